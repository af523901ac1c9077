"""Games in which a coalition wins or loses: swings, minimal winning coalitions and the indices built on them."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Floats
from celluler_sim.mechanisms import coalitions
from celluler_sim.mechanisms.games import CoalitionalGame


class SimpleGame:
    """The vote that a game amounts to: a coalition wins if its worth is above 0; <= 24 members."""

    def __init__(self, game: CoalitionalGame) -> None:
        self.n = game.n
        self._game = game

    @cached_property
    def wins(self) -> npt.NDArray[np.bool_]:
        """Whether each coalition wins, (2**n,) by mask."""
        return np.asarray(self._game.table > 0)

    @cached_property
    def critical(self) -> npt.NDArray[np.bool_]:
        """Whether a winning coalition would lose without a member, (2**n, n)."""
        masks = np.arange(1 << self.n)
        there = coalitions.members(masks.astype(np.uint64), self.n)
        return np.stack(
            [self.wins & there[:, i] & ~self.wins[masks & ~(1 << i)] for i in range(self.n)], axis=1
        )  # fmt: skip

    def winning(self) -> int:
        """Return how many coalitions win."""
        return int(self.wins.sum())

    def swings(self) -> list[int]:
        """Return how many coalitions lose without each member, (n,)."""
        return [int(k) for k in self.critical.sum(axis=0)]

    def minimal(self) -> npt.NDArray[np.bool_]:
        """Return the coalitions that win and lose without any one member, (m, n) membership."""
        there = coalitions.members(np.arange(1 << self.n, dtype=np.uint64), self.n)
        return np.asarray(there[self.wins & (self.critical == there).all(axis=1)])

    def vetoers(self) -> list[int]:
        """Return the members without whom nobody wins."""
        there = coalitions.members(np.flatnonzero(self.wins).astype(np.uint64), self.n)
        return [int(i) for i in np.flatnonzero(there.all(axis=0))] if len(there) else []

    def power_to_act(self) -> float:
        """Return the share of all coalitions that win (Coleman 1971)."""
        return float(self.winning() / 2**self.n)

    def deegan_packel(self) -> Floats:
        """Return the index that shares out each minimal winning coalition equally (Deegan and Packel 1978), (n,)."""
        minimal = self.minimal()
        return np.asarray((minimal / minimal.sum(axis=1, keepdims=True)).mean(axis=0))

    def holler(self) -> Floats:
        """Return each member's part of all memberships of minimal winning coalitions (Holler 1982), (n,)."""
        count = self.minimal().sum(axis=0)
        return np.asarray(count / count.sum())

    def johnston(self) -> Floats:
        """Return the index that shares out each winning coalition among its critical members (Johnston 1978), (n,)."""
        several = self.critical[self.critical.any(axis=1)]
        found = (several / several.sum(axis=1, keepdims=True)).sum(axis=0)
        return np.asarray(found / found.sum())
