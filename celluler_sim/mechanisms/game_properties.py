"""What kind of game it is, and whether a division is one that nobody can improve on: superadditive, convex, core."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Floats
from celluler_sim.mechanisms import coalitions
from celluler_sim.mechanisms.games import CoalitionalGame, GameError

ROUNDING = 1e-9  # of the largest worth: differences below it count as none
SPLIT_MEMBERS = 20  # most members of whose game every split of every coalition is tried


class Objection(NamedTuple):
    """The coalition with the most to gain from leaving."""

    excess: float  # what it is worth more than what it gets; below 0: less
    members: tuple[int, ...]


def _slack(table: Floats) -> float:
    return ROUNDING * max(float(np.abs(table).max()), 1e-300)


def is_superadditive(game: CoalitionalGame) -> bool:
    """Return whether no coalition is worth less than two parts of it are worth apart; <= 20 members."""
    from celluler_sim.mechanisms.coalition_kernels import first_gainful_split

    if game.n > SPLIT_MEMBERS:
        raise GameError(f"the test of superadditivity needs <= {SPLIT_MEMBERS} members, got {game.n}")
    return bool(first_gainful_split(game.table, _slack(game.table)) == (0, 0))


def is_convex(game: CoalitionalGame) -> bool:
    """Return whether a member adds the more, the more others are there; <= 24 members.

    It is enough that v(S + i + j) - v(S + j) >= v(S + i) - v(S) for every pair and every S without it (Shapley 1971).
    """
    table = game.table
    slack = _slack(table)
    for j in range(1, game.n):
        for i in range(j):
            by = table.reshape(-1, 2, 1 << (j - i - 1), 2, 1 << i)
            if bool((by[:, 1, :, 1] - by[:, 1, :, 0] < by[:, 0, :, 1] - by[:, 0, :, 0] - slack).any()):
                return False
    return True


def is_monotone(game: CoalitionalGame) -> bool:
    """Return whether no member ever takes worth away; <= 24 members."""
    table = game.table
    steps = (table.reshape(-1, 2, 1 << i) for i in range(game.n))
    return not any((by[:, 1] < by[:, 0] - _slack(table)).any() for by in steps)


def strongest_objection(game: CoalitionalGame, value: npt.ArrayLike) -> Objection:
    """Return the coalition, not empty and not all, that is worth most above what ``value``, (n,), gives it.

    Its members would be better off outside where the excess is above 0. <= 24 members; of equals the lowest mask.
    """
    x = np.asarray(value, dtype=np.float64)
    best, where = -np.inf, 0
    for first, worth in game.chunks():
        low = len(worth).bit_length() - 1
        high = sum(x[low + i] for i in range(game.n - low) if (first >> low) >> i & 1)
        excess = worth - coalitions.subset_sums(x[:low]) - high
        if first == 0:
            excess[0] = -np.inf
        if first + len(worth) == 1 << game.n:
            excess[-1] = -np.inf
        k = int(np.argmax(excess))
        if excess[k] > best:
            best, where = float(excess[k]), first + k
    return Objection(best, tuple(i for i in range(game.n) if where >> i & 1))


def in_core(game: CoalitionalGame, value: npt.ArrayLike, tolerance: float | None = None) -> bool:
    """Return whether ``value``, (n,), shares out the worth of all and gives every coalition its own (Gillies 1959).

    ``tolerance`` is in the unit of the worths; 1e-9 of the largest figure where left out. <= 24 members.
    """
    x = np.asarray(value, dtype=np.float64)
    if x.shape != (game.n,) or not np.isfinite(x).all():
        raise GameError(f"a division must be {game.n} finite numbers, one a member, got {x.tolist()}")
    slack = ROUNDING * max(1e-300, abs(game.grand), float(np.abs(x).max())) if tolerance is None else tolerance
    if abs(float(x.sum()) - game.grand) > slack:
        return False
    return strongest_objection(game, x).excess <= slack
