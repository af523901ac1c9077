"""Rings: providers that agree on asks, take turns at winning, and ask themselves whether to keep to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from celluler_sim.behaviours.fraud import Shortfall
from celluler_sim.book import Floats, Slots
from celluler_sim.errors import ScenarioError, require
from celluler_sim.mechanisms.base import register
from celluler_sim.mechanisms.penalties import OFFENCES

HORIZON = 1e-12  # weight of the far future that is left out of a value
Turns = Literal["lot", "rotation"]


@register("fraud", "ring")
@dataclass(frozen=True)
class Ring(Shortfall):
    """Deliver as sold, but agree on asks: one member is to win, the others cover it with higher asks."""

    offence: ClassVar[int] = OFFENCES.index("collusion")

    def missing(self, depth: float) -> float:  # noqa: ARG002 - nothing is missing
        """Return 0: the fraud is in the price."""
        return 0.0


@dataclass(frozen=True, kw_only=True)
class RingConfig:
    """How rings work."""

    size: int = 3  # members of a ring
    period_s: float = 3600.0  # between two changes of who is to win
    turns: Turns = "rotation"  # who wins: in turn, or drawn by lot
    markup: float = 0.5  # of the winner's ask over the dearest member's cost
    cover: float = 0.1  # by which the other members' asks exceed the winner's
    discount: float = 0.9  # what a member gives for profit one period later
    patience: int = 3  # periods after which members first ask themselves whether to go on

    def __post_init__(self) -> None:
        """Check the ranges."""
        require("trust.ring.size", self.size, at_least=2)
        require("trust.ring.period_s", self.period_s, above=0, unit="s")
        require("trust.ring.discount", self.discount, at_least=0, below=1)
        require("trust.ring.patience", self.patience, at_least=1)
        for name in ("markup", "cover"):
            require(f"trust.ring.{name}", getattr(self, name), at_least=0)
        if self.turns not in ("lot", "rotation"):
            raise ScenarioError(f"trust.ring.turns must be one of lot, rotation, got {self.turns!r}")


def worth_keeping(profit: float, compete: float, size: int, discount: float, turns: Turns) -> bool:
    """Return whether no member gains by undercutting once and facing competition ever after.

    Every member discounts what its turns will bring. Undercutting brings the whole ring's profit at once, whoever's
    turn it is; a member whose own turn it is has nothing to gain by it, so the others are asked, and of those the one
    that waits longest.

    Parameters
    ----------
    profit
        The ring's profit of a period, PRANA, mean of what its members have seen.
    compete
        One member's profit of a period in competition, PRANA.
    """
    n = int(np.ceil(np.log(HORIZON) / np.log(discount))) + 1 if discount > 0 else 1
    weight = discount ** np.arange(n)
    mine = np.full(n, 1.0 / size) if turns == "lot" else (np.arange(n) % size == size - 1).astype(np.float64)
    keep = profit * float(weight @ mine)
    leave = profit + compete * float(weight[1:].sum())
    return keep >= leave


def designated(size: int, period: int, turns: Turns, uniform: float) -> int:
    """Return the place in its ring of the member that is to win a period."""
    return period % size if turns == "rotation" else int(uniform * size)


def agreed_asks(cost: Floats, winner: int, markup: float, cover: float) -> Floats:
    """Return the asks of a ring's members, (n,) PRANA per unit: the winner's below all others'."""
    price = float(cost.max()) * (1.0 + markup)
    ask = np.full(len(cost), price * (1.0 + cover))
    ask[winner] = price
    return ask


def ring_of(members: Slots, size: int) -> list[Slots]:
    """Return the rings that members form, in the order of their slots; those left over stay out."""
    return [members[k : k + size] for k in range(0, len(members) - size + 1, size)]
