"""What data sets add to a model's price, and who is paid how much of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from celluler_sim.agents.data_provider import SHARDS, coverage
from celluler_sim.book import Floats, Masks
from celluler_sim.mechanisms.games import CoalitionalGame
from celluler_sim.mechanisms.shares import Shares
from celluler_sim.mechanisms.sharing import Sharing


@dataclass(frozen=True)
class DataWorth:
    """The game of the data sets that a model was trained on: a coalition is worth what its data adds to the price.

    Sets cover parts of the task's data, what several have counts once; beside them everybody has the public share.
    With c(S) the share covered, v(S) = price(public + (1 - public) c(S)) - price(public), never below 0.
    """

    sets: Masks  #  (n,) the parts that each has, one bit each
    public: float  # share of the full data that is free to all, (0, 1]
    price: Callable[[Floats], Floats]  # PRANA of the same model on these shares of the data

    def data(self, covered: Floats) -> Floats:
        """Return the share of the full data that there is where sets cover ``covered``, shape of it."""
        return self.public + (1.0 - self.public) * np.asarray(covered)

    def game(self) -> CoalitionalGame:
        """Return the game; contributions are the sets' sizes."""
        n = len(self.sets)
        levels = self.data(np.arange(SHARDS + 1) / SHARDS)
        prices = self.price(levels)
        added = np.maximum(prices - prices[0], 0.0)  # (SHARDS + 1,) by parts covered

        def worth(masks: Masks) -> Floats:
            covered = coverage(self.sets, masks)
            return np.asarray(added[np.round(covered * SHARDS).astype(np.int64)])

        return CoalitionalGame(n, worth, contribution=np.bitwise_count(self.sets) / SHARDS)


def share_data_worth(worth: DataWorth, rule: Sharing, rng: np.random.Generator) -> tuple[float, Shares]:
    """Return what all the data added to the price, PRANA, and each set's share of it by the rule."""
    game = worth.game()
    return game.grand, rule.shares(game, rng)
