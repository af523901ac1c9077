"""The Owen value: the Shapley value where members bargain in unions formed beforehand.

Only those orders count in which each union arrives together (Owen 1977). With m unions, b members in the union B of
member i, and p as in `shapley`, the value is the sum over sets R of other unions and T of other members of B of

    p_m(|R|) p_b(|T|) (v(Q + T + i) - v(Q + T)),  Q being everybody in R.

This asks for 2**(m - 1 + b) worths a union instead of 2**n.
"""

from __future__ import annotations

import numpy as np

from celluler_sim.book import Floats, Masks
from celluler_sim.mechanisms import coalitions
from celluler_sim.mechanisms.games import CHUNK_BITS, TABLE_MEMBERS, CoalitionalGame, GameError
from celluler_sim.mechanisms.shapley import shapley_weights


def unions_of(game: CoalitionalGame) -> list[tuple[int, ...]]:
    """Return the game's unions; each member its own where it has none, which gives the Shapley value."""
    return [tuple(u) for u in game.unions] if game.unions is not None else [(i,) for i in range(game.n)]


def owen_bits(game: CoalitionalGame) -> int:
    """Return the power of two that tells how many coalitions the exact Owen value of the largest union looks at."""
    unions = unions_of(game)
    return len(unions) - 1 + max(map(len, unions))


def exact_owen(game: CoalitionalGame) -> Floats:
    """Return the Owen value, (n,), exactly; `GameError` beyond 2**24 coalitions for one union."""
    if owen_bits(game) > TABLE_MEMBERS:
        rule = f"needs number of unions - 1 + members of the largest <= {TABLE_MEMBERS}"
        raise GameError(f"the exact Owen value {rule}, got {owen_bits(game)}; use sampling")
    value = np.empty(game.n)
    for k, union in enumerate(unions_of(game)):
        value[list(union)] = _within(game, k)
    return value


def _within(game: CoalitionalGame, k: int) -> Floats:
    """Return the Owen value of the members of union ``k``, (b,)."""
    unions = unions_of(game)
    own, others = unions[k], [unions[j] for j in range(len(unions)) if j != k]
    b, m = len(own), len(unions)
    parts = np.concatenate([coalitions.mask((i,), game.n) for i in own] + [coalitions.mask(u, game.n) for u in others])
    outer, inner = shapley_weights(m), shapley_weights(b)
    joined, alone = np.concatenate(([0.0], inner)), np.concatenate((inner, [0.0]))  # by size of T with i, and without
    found, whole = np.zeros(b), 0.0
    for abstract in _chunks(b, b + m - 1):
        worth = game.evaluate(_union_of_parts(abstract, parts)).reshape(-1, 1 << b)
        weight = outer[coalitions.sizes(abstract[:: 1 << b] >> np.uint64(b))]
        figures = weight @ worth  # (2**b,) by T
        size = coalitions.sizes(np.arange(1 << b, dtype=np.uint64))
        found += coalitions.sums_by_member(figures * (joined + alone)[size])[0]
        whole += float(figures @ alone[size])
    return found - whole


def _chunks(b: int, bits: int) -> list[Masks]:
    """Return all numbers below 2**bits in pieces that hold every T for each R."""
    piece = 1 << min(bits, max(b, CHUNK_BITS))
    return [np.arange(first, first + piece, dtype=np.uint64) for first in range(0, 1 << bits, piece)]


def _union_of_parts(abstract: Masks, parts: Masks) -> Masks:
    """Return the coalitions made of those parts whose bit is set: parts are disjoint, so their masks add up."""
    found = np.zeros((len(abstract), *parts.shape[1:]), np.uint64)
    for j, part in enumerate(parts):
        chosen = (abstract >> np.uint64(j)) & np.uint64(1)
        found += chosen * part if not part.shape else chosen[:, None] * part
    return found
