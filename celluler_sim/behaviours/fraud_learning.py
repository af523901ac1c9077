"""How a cheat learns whether cheating pays, from what happened to it and to others. Family ``fraud_learning``.

Both rules move in proportion to payoffs, so that their mean motion is that of the replicator: cheating grows where it
pays more than honesty on average, and shrinks where it pays less.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Floats, Frozen, Slots
from celluler_sim.errors import require
from celluler_sim.mechanisms.base import register
from celluler_sim.streams import Draws

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Experience(Frozen):
    """What became of deliveries of those who learn, one a row, in the order of their ends."""

    agent: Slots  #   (n,) place among those who learn
    cheated: Bools  # (n,)
    payoff: Floats  # (n,) what cheating brought less what it cost, 0 for an honest delivery, over `stake`; [-1, 1]


class Learning(Protocol):
    """Turn experience into the chance to cheat next time."""

    def learned(self, propensity: Floats, experience: Experience, draws: Draws) -> Floats:
        """Return everybody's chance to cheat on a delivery, (n_agents,), [0, 1], after some experience."""
        ...


@register("fraud_learning", "none")
@dataclass(frozen=True, kw_only=True)
class Fixed:
    """Cheats cheat as often as they did at the start."""

    def learned(self, propensity: Floats, experience: Experience, draws: Draws) -> Floats:  # noqa: ARG002
        """Return what was given."""
        return propensity


@register("fraud_learning", "reinforcement")
@dataclass(frozen=True, kw_only=True)
class Reinforcement:
    """What paid is done more often: x <- x + rate u (1 - x) after a fraud, x <- x - rate u x after an honest delivery.

    u is the payoff, moved and scaled to [0, 1].

    References
    ----------
    Cross (1973), A stochastic learning model of economic behavior. Borgers and Sarin (1997), Learning through
    reinforcement and replicator dynamics.
    """

    rate: float = 0.1  # step for the best payoff there is
    least: float = 0.01  # chance to try the other way that is never given up

    def __post_init__(self) -> None:
        """Check the ranges."""
        require("reinforcement.rate", self.rate, above=0, at_most=1)
        require("reinforcement.least", self.least, at_least=0, below=0.5)

    def learned(self, propensity: Floats, experience: Experience, draws: Draws) -> Floats:  # noqa: ARG002
        """Return the chances after each agent's deliveries, one after the other."""
        from celluler_sim.mechanisms.reputation import place_in_group

        x = propensity.copy()
        turn = place_in_group(experience.agent)[0]
        u = (experience.payoff + 1.0) / 2.0
        for k in range(int(turn.max(initial=-1)) + 1):
            rows = turn == k
            who, step = experience.agent[rows], self.rate * u[rows]
            x[who] += np.where(experience.cheated[rows], step * (1.0 - x[who]), -step * x[who])
        return np.asarray(np.clip(x, self.least, 1.0 - self.least))


@register("fraud_learning", "replicator")
@dataclass(frozen=True, kw_only=True)
class Replicator:
    """Look at somebody else now and then, and do as it does with a chance in proportion to how much better it fared.

    An agent is a cheat or honest, and changes over. Some change without a reason.

    References
    ----------
    Schlag (1998), Why imitate, and if so, how?; Taylor and Jonker (1978), Evolutionary stable strategies and game
    dynamics.
    """

    rate: float = 0.5  # chance to look at somebody else after a tick with deliveries
    whim: float = 0.002  # chance to change over without a reason

    def __post_init__(self) -> None:
        """Check the ranges."""
        require("replicator.rate", self.rate, above=0, at_most=1)
        require("replicator.whim", self.whim, at_least=0, at_most=1)

    def learned(self, propensity: Floats, experience: Experience, draws: Draws) -> Floats:
        """Return 1 for cheats and 0 for the honest, once those with deliveries have looked at each other."""
        cheats = propensity >= 0.5
        who, row = np.unique(experience.agent, return_inverse=True)
        if not len(who):
            return np.asarray(cheats.astype(np.float64))
        mine = np.bincount(row, experience.payoff) / np.bincount(row)
        other = (draws.uniform(4 * who) * len(who)).astype(np.int64)
        better = np.maximum(mine[other] - mine, 0.0) / 2.0
        copies = (draws.uniform(4 * who + 1) < self.rate) & (draws.uniform(4 * who + 2) < better)
        after = np.where(copies, cheats[who[other]], cheats[who])
        after ^= draws.uniform(4 * who + 3) < self.whim
        cheats[who] = after
        return np.asarray(cheats.astype(np.float64))
