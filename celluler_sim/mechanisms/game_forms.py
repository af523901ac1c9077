"""Games of the textbooks, ready made, with the closed forms that some of them have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import product
from math import comb, lcm, prod
from typing import Any

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Floats, Masks
from celluler_sim.mechanisms import coalitions
from celluler_sim.mechanisms.games import CoalitionalGame, GameError

TYPED_TERMS = 2_000_000  # most combinations of types that a closed form adds up


def _figures(name: str, values: npt.ArrayLike) -> Floats:
    """Return finite numbers, one a member, or raise `GameError`."""
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 1 or not len(found) or not np.isfinite(found).all():
        raise GameError(f"{name} must be finite numbers, one a member, got {np.asarray(values).tolist()}")
    return found


def additive(worth: npt.ArrayLike) -> CoalitionalGame:
    """Return the game without synergy: a coalition is worth the sum of its members' worths, (n,)."""
    w = _figures("additive.worth", worth)
    same = w.copy
    return CoalitionalGame(
        len(w), lambda masks: coalitions.coalition_sums(masks, w), contribution=np.abs(w),
        shapley_value=same, banzhaf_value=same,
    )  # fmt: skip


def airport(cost: npt.ArrayLike) -> CoalitionalGame:
    """Return the runway's cost game: a coalition needs the runway of its largest aeroplane (Littlechild and Owen 1973).

    The Shapley value in closed form: the stretch from one length to the next is paid in equal parts by all who need
    it. Costs are (n,), >= 0; the worths and shares are costs.

    >>> airport([8, 11, 13, 18]).shapley_value()
    array([2., 3., 4., 9.])
    """
    c = _figures("airport.cost", cost)
    if c.min() < 0:
        raise GameError(f"airport.cost must be >= 0, got {c.min():g}")
    order = np.argsort(c, kind="stable")

    def worth(masks: Masks) -> Floats:
        found = np.zeros(len(masks))
        for i in order:
            found = np.where(_has(masks, int(i)), c[i], found)
        return found

    def value() -> Floats:
        steps = np.diff(c[order], prepend=0.0) / np.arange(len(c), 0, -1)
        shares = np.empty(len(c))
        shares[order] = np.cumsum(steps)
        return shares

    return CoalitionalGame(len(c), worth, contribution=c, shapley_value=value)


def _has(masks: Masks, i: int) -> npt.NDArray[np.bool_]:
    """Return whether member ``i`` is in each coalition, (m,)."""
    word = masks if masks.ndim == 1 else masks[:, i // coalitions.WORD]
    return np.asarray((word >> np.uint64(i % coalitions.WORD)) & np.uint64(1), dtype=np.bool_)


def symmetric(worth_by_size: npt.ArrayLike) -> CoalitionalGame:
    """Return the game whose worths depend on the number of members only, (n + 1,) from 0 to n: all get the same."""
    v = _figures("symmetric.worth_by_size", worth_by_size)
    n = len(v) - 1
    marginal = np.diff(v)

    def banzhaf() -> Floats:
        mean = sum(comb(n - 1, s) * marginal[s] for s in range(n)) / 2 ** (n - 1)
        return np.full(n, float(mean))

    return CoalitionalGame(
        n, lambda masks: v.take(coalitions.sizes(masks)), shapley_value=lambda: np.full(n, v[-1] / n),
        banzhaf_value=banzhaf,
    )  # fmt: skip


def typed(counts: Sequence[int], worth_by_counts: npt.ArrayLike) -> CoalitionalGame:
    """Return the game whose worths depend only on how many members of each type are there.

    Members of a type have consecutive numbers. The Shapley value adds up the marginals over all combinations of types,
    prod(counts + 1) of them, each weighted with the number of coalitions that it stands for: so a hundred members of
    two types are exact.

    Parameters
    ----------
    counts
        Members of each type.
    worth_by_counts
        (counts[0] + 1, counts[1] + 1, ...), the worth by number present of each type.
    """
    v, c = np.asarray(worth_by_counts, dtype=np.float64), [int(k) for k in counts]
    if not c or min(c) < 0 or v.shape != tuple(k + 1 for k in c):
        raise GameError(f"typed.worth_by_counts must have shape {tuple(k + 1 for k in c)} for {c}, got {v.shape}")
    kind, n = np.repeat(np.arange(len(c)), c), sum(c)

    def worth(masks: Masks) -> Floats:
        present = [coalitions.coalition_sums(masks, kind == k).astype(np.int64) for k in range(len(c))]
        return np.asarray(v[tuple(present)])

    def value(k: int) -> float:
        """Return the Shapley value of one member of type ``k``."""
        others = [count - (j == k) for j, count in enumerate(c)]
        total = Fraction(0)
        for there in product(*(range(count + 1) for count in others)):
            more = v[tuple(t + (j == k) for j, t in enumerate(there))] - v[there]
            if more:
                ways, size = prod(map(comb, others, there)), sum(there)
                total += Fraction(float(more)) * Fraction(ways, n * comb(n - 1, size))
        return float(total)

    def values() -> Floats:
        return np.array([value(k) if c[k] else 0.0 for k in range(len(c))])[kind]

    small = v.size <= TYPED_TERMS
    return CoalitionalGame(n, worth, shapley_value=values if small else None)


def glove(left: int, right: int, pair_worth: float = 1.0) -> CoalitionalGame:
    """Return the market for gloves: owners of left ones first, then right ones; a matched pair has a worth.

    >>> glove(2, 1).shapley_value()
    array([0.16666667, 0.16666667, 0.66666667])
    """
    by_counts = pair_worth * np.minimum.outer(np.arange(left + 1), np.arange(right + 1))
    return typed((left, right), by_counts)


def weighted_voting(
    quota: float, weights: npt.ArrayLike, payment: float = 1.0, *, strict: bool = False
) -> CoalitionalGame:
    """Return the game in which a coalition of enough weight wins ``payment``, and any other nothing.

    Values come from `power` by dynamic programming over the weights. Numbers are taken as the decimals that they are
    written as, and compared exactly: 0.1 and 0.2 reach a quota of 0.3.

    Parameters
    ----------
    quota
        > 0, weight that wins.
    weights
        (n,) >= 0.
    strict
        Whether a coalition must exceed the quota instead of reaching it.
    """
    from celluler_sim.mechanisms import power

    game = power.WeightedGame.of(quota, weights, strict=strict)
    whole = np.array(game.weights, dtype=np.float64)

    def worth(masks: Masks) -> Floats:
        return np.where(coalitions.coalition_sums(masks, whole) >= game.quota, payment, 0.0)

    feasible = game.cost <= power.MOST_STEPS
    return CoalitionalGame(
        len(whole), worth, contribution=whole,
        shapley_value=(lambda: payment * game.shapley_shubik()) if feasible else None,
        banzhaf_value=(lambda: payment * game.banzhaf()) if feasible else None,
    )  # fmt: skip


def bankruptcy_game(estate: float, claims: npt.ArrayLike) -> CoalitionalGame:
    """Return what each coalition is sure of: the estate less the claims of everybody outside, >= 0 (O'Neill 1982)."""
    c = _figures("bankruptcy.claims", claims)
    whole = float(c.sum())
    if estate < 0 or c.min() < 0 or whole < estate:
        raise GameError(f"bankruptcy must have claims >= 0 that reach the estate >= 0, got {estate:g}, {c.tolist()}")

    def worth(masks: Masks) -> Floats:
        outside = whole - coalitions.coalition_sums(masks, c)
        return np.asarray(np.maximum(0.0, estate - np.maximum(outside, 0.0)))

    return CoalitionalGame(len(c), worth, contribution=c)


def synergy(worth: npt.ArrayLike, pairs: npt.ArrayLike) -> CoalitionalGame:
    """Return the game of members' own worths, (n,), and what each pair earns besides, (n, n) symmetric, diagonal 0.

    A pair's synergy is halved between the two, so the Shapley and Banzhaf values are worth + pairs.sum(axis=1) / 2.
    """
    w, a = _figures("synergy.worth", worth), np.asarray(pairs, dtype=np.float64)
    if a.shape != (len(w), len(w)) or not np.array_equal(a, a.T) or a.diagonal().any():
        raise GameError(f"synergy.pairs must be a symmetric {len(w)} x {len(w)} matrix with diagonal 0, got {a.shape}")

    def value() -> Floats:
        return np.asarray(w + a.sum(axis=1) / 2)

    def of(masks: Masks) -> Floats:
        there = coalitions.members(masks, len(w)).astype(np.float64)
        return np.asarray(there @ w + ((there @ a) * there).sum(axis=1) / 2)

    return CoalitionalGame(len(w), of, shapley_value=value, banzhaf_value=value)


def from_table(worth: npt.ArrayLike | Mapping[Any, float], n: int | None = None) -> CoalitionalGame:
    """Return the game of a table of worths.

    Parameters
    ----------
    worth
        (2**n,) by mask, the first 0; or a mapping from coalitions to worths. A coalition is written "1,3", (0, 2) or
        a frozenset: text counts members from 1, numbers from 0. The empty coalition may be left out, no other.
    n
        Members of a mapping; the largest number named where left out.
    """
    table = _table(worth, n) if isinstance(worth, Mapping) else _figures("table.worth", worth)
    members = len(table).bit_length() - 1
    if len(table) != 1 << members or not members:
        raise GameError(f"table.worth must have 2**n entries, n >= 1, got {len(table)}")
    return CoalitionalGame(members, lambda masks: table[masks.astype(np.int64)])


def _table(worth: Mapping[Any, float], n: int | None) -> Floats:
    """Return the worths by mask of a mapping, or raise `GameError` naming a coalition that is missing."""
    by_coalition = {_coalition(key): float(value) for key, value in worth.items()}
    largest = max((i for coalition in by_coalition for i in coalition), default=-1) + 1
    n = largest if n is None else n
    if not 0 < largest <= n:
        raise GameError(f"table.worth must name coalitions of the members 1 to {n}, got a member {largest}")
    table = np.full(1 << n, np.nan)
    table[0] = 0.0
    for coalition, value in by_coalition.items():
        table[sum(1 << i for i in coalition)] = value
    missing = np.flatnonzero(np.isnan(table))
    if len(missing):
        who = ",".join(str(i + 1) for i in range(n) if missing[0] >> i & 1)
        raise GameError(f"table.worth must be a number for every coalition of {n} members, got none for '{who}'")
    return table


def _coalition(key: Any) -> frozenset[int]:
    """Return the members, counted from 0, that a key names."""
    if isinstance(key, str):
        digits = key.replace("{", " ").replace("}", " ").replace("(", " ").replace(")", " ").replace(",", " ").split()
        return frozenset(int(d) - 1 for d in digits)
    return frozenset(int(i) for i in key) if not isinstance(key, int) else frozenset((key,))


def total(games: Sequence[CoalitionalGame], factors: Sequence[float] | None = None) -> CoalitionalGame:
    """Return the sum of games among the same members, each times its factor."""
    by = [1.0] * len(games) if factors is None else list(factors)
    if len({game.n for game in games}) != 1:
        raise GameError(f"games can be added among the same members only, got {[game.n for game in games]} members")
    return CoalitionalGame(games[0].n, lambda masks: sum(f * g.evaluate(masks) for f, g in zip(by, games, strict=True)))


def whole_numbers(values: npt.ArrayLike) -> tuple[list[int], int]:
    """Return decimals as whole numbers, and the number by which they were multiplied.

    >>> whole_numbers([0.5, 0.25, 3])
    ([2, 1, 12], 4)
    """
    exact = [Fraction(str(v)) for v in np.asarray(values).tolist()]
    scale = lcm(*(v.denominator for v in exact))
    return [int(v * scale) for v in exact], scale
