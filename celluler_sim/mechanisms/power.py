"""Voting power: Shapley-Shubik and Banzhaf indices of weighted games by dynamic programming.

Count, for each member, the coalitions of the others by size and weight; those that lack no more than the member's
weight to the quota are the ones it swings. Counts of "all but one" come from halving: to leave out one of many, put
the one half in and go on with the other, so each weight is put in log2(n) times and nothing is ever subtracted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Floats
from celluler_sim.mechanisms.games import GameError
from celluler_sim.mechanisms.shapley import shapley_weights

MOST_STEPS = 3_000_000_000  # additions beyond which other ways are taken


@dataclass(frozen=True)
class WeightedGame:
    """A vote: a coalition wins if its weight reaches the quota; all numbers whole."""

    quota: int
    weights: tuple[int, ...]

    @classmethod
    def of(cls, quota: float, weights: npt.ArrayLike, *, strict: bool = False) -> WeightedGame:
        """Return the vote of decimal numbers, multiplied until they are whole; ``strict``: the quota must be exceeded.

        Raises
        ------
        GameError
            If a weight is negative, there is none, or nothing is needed to win.
        """
        from celluler_sim.mechanisms.game_forms import whole_numbers

        given = np.asarray(weights)
        if given.ndim != 1 or not given.size or not np.all(np.isfinite(given.astype(np.float64)) & (given >= 0)):
            raise GameError(f"weights must be finite numbers >= 0, one a member, got {given.tolist()}")
        (needed, *whole), _ = whole_numbers([quota, *given.tolist()])
        needed += int(strict)
        if needed <= 0:
            raise GameError(f"quota must be > 0, else the empty coalition wins, got {quota:g}")
        if sum(whole) >= 2**53:
            raise GameError(f"weights must be written in at most 15 digits in all, got {given.tolist()}; round them")
        return cls(needed, tuple(whole))

    @property
    def cost(self) -> float:
        """About how many additions the indices take."""
        n, levels = len(self.weights), len(set(self.weights)).bit_length() + 1
        return float(min(self.quota, sum(self.weights) + 1)) * (n + 1) * n * levels

    def swings(self) -> list[int]:
        """Return how many coalitions of the others each member turns from losing to winning, (n,), exactly.

        Exact up to 53 members; beyond that the counts pass 2**53 and are good to 15 digits.
        """
        return [int(row.sum()) for row in self._swings_by_size()]

    def banzhaf(self) -> Floats:
        """Return the absolute Banzhaf index, (n,): swings over the 2**(n-1) coalitions of the others."""
        return np.array([row.sum() for row in self._swings_by_size()]) * 0.5 ** (len(self.weights) - 1)

    def shapley_shubik(self) -> Floats:
        """Return the Shapley-Shubik index, (n,): the chance to be the one who turns the vote, all orders alike."""
        p = shapley_weights(len(self.weights))
        return np.array([row @ p for row in self._swings_by_size()])

    def _swings_by_size(self) -> list[Floats]:
        """Return the number of coalitions that each member swings by their size, n times (n,)."""
        distinct = sorted(set(self.weights))
        alike = [self.weights.count(weight) for weight in distinct]
        by_weight = dict(zip(distinct, self._each(distinct, alike), strict=True))
        return [by_weight[weight] for weight in self.weights]

    def _each(self, distinct: list[int], alike: list[int]) -> Iterator[Floats]:
        """Yield the swings by size of one member of each distinct weight, in order."""
        counts = np.zeros((len(self.weights), min(self.quota, sum(self.weights) + 1)))
        counts[0, 0] = 1.0
        yield from self._leave_out(counts, distinct, alike)

    def _leave_out(self, counts: Floats, distinct: list[int], alike: list[int]) -> Iterator[Floats]:
        """Yield the swings of each weight, ``counts`` holding the coalitions of all members of other weights."""
        if len(distinct) == 1:
            weight = distinct[0]
            others = self._put_in(counts, [weight] * (alike[0] - 1))
            lacking = max(self.quota - weight, 0)
            yield others[:, lacking : self.quota].sum(axis=1)
            return
        half = len(distinct) // 2
        for mine, rest in ((slice(half), slice(half, None)), (slice(half, None), slice(half))):
            more = [w for w, k in zip(distinct[rest], alike[rest], strict=True) for _ in range(k)]
            yield from self._leave_out(self._put_in(counts, more), distinct[mine], alike[mine])

    def _put_in(self, counts: Floats, weights: list[int]) -> Floats:
        """Return the coalitions by size and weight below the quota once these members may be in, too."""
        counts = counts.copy()
        for w in weights:
            if w < counts.shape[1]:
                counts[1:, w:] += counts[:-1, : counts.shape[1] - w].copy()
        return counts
