"""How a provider cheats. Family ``fraud``: what is missing from a delivery, who sees it, what is done for a name.

A fraud says what an agent does when it cheats. Whether it does, it decides delivery by delivery; see `fraud_learning`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

from celluler_sim.mechanisms.base import register
from celluler_sim.mechanisms.penalties import OFFENCES


class Fraud(Protocol):
    """One way of cheating."""

    seen: ClassVar[bool]  # whether the customer notices that work is missing
    wrong: ClassVar[bool]  # whether the result is wrong, though it looks like one
    gains: ClassVar[Literal["price", "cost"]]  # of the work missing: it could not have been sold, or need not be done
    offence: ClassVar[int]  # place in `OFFENCES`
    praise: ClassVar[Literal["", "allies", "own", "bought"]]  # who says good things of it: nobody, accomplices, names
    #                                                          of its own, or buyers whose money it returns
    renames: ClassVar[bool]  # whether it comes back under a new name once its own is spoilt
    reports: ClassVar[bool]  # whether it cheats on what it tells its pool, and not on deliveries

    def missing(self, depth: float) -> float:
        """Return the share of the work that is missing from a delivery, [0, 1], of a cheat that goes to ``depth``."""
        ...


@dataclass(frozen=True)
class Shortfall:
    """What frauds of capacity share: part of what was sold is not there."""

    seen: ClassVar[bool] = False
    wrong: ClassVar[bool] = False
    gains: ClassVar[Literal["price", "cost"]] = "price"
    offence: ClassVar[int] = OFFENCES.index("false_provisioning")
    praise: ClassVar[Literal["", "allies", "own", "bought"]] = ""
    renames: ClassVar[bool] = False
    reports: ClassVar[bool] = False

    def missing(self, depth: float) -> float:
        """Return ``depth``."""
        return depth


@register("fraud", "overclaim")
@dataclass(frozen=True)
class Overclaim(Shortfall):
    """False provisioning: sell capacity that is not there, and be paid for it."""


@register("fraud", "wrong_result")
@dataclass(frozen=True)
class WrongResult(Shortfall):
    """Return something that looks like a result, without doing the work: only another execution tells."""

    wrong: ClassVar[bool] = True
    gains: ClassVar[Literal["price", "cost"]] = "cost"
    offence: ClassVar[int] = OFFENCES.index("incorrect_result")

    def missing(self, depth: float) -> float:  # noqa: ARG002 - no work is done at all
        """Return 1: nothing was computed."""
        return 1.0


@register("fraud", "no_show")
@dataclass(frozen=True)
class NoShow(Shortfall):
    """Do not turn up: the customer sees it, and pays all the same where the market does not let it refuse."""

    seen: ClassVar[bool] = True
    offence: ClassVar[int] = OFFENCES.index("downtime")

    def missing(self, depth: float) -> float:  # noqa: ARG002 - nothing is delivered
        """Return 1: nothing was delivered."""
        return 1.0


@register("fraud", "misreport")
@dataclass(frozen=True)
class Misreport(Shortfall):
    """Deliver as sold, but tell one's pool of more resources than there are, and have a larger part of its profit.

    The share ``depth`` of what it says is not there: at 0.5 it says twice what it has.
    """

    offence: ClassVar[int] = OFFENCES.index("profit_manipulation")
    reports: ClassVar[bool] = True

    def missing(self, depth: float) -> float:  # noqa: ARG002 - customers get all they pay for
        """Return 0: the fraud is in the pool's books."""
        return 0.0


@register("fraud", "ballot_stuff")
@dataclass(frozen=True)
class BallotStuff(Shortfall):
    """Overclaim, and have accomplices, who do the same, praise one another."""

    praise: ClassVar[Literal["", "allies", "own", "bought"]] = "allies"


@register("fraud", "sybil")
@dataclass(frozen=True)
class Sybil(Shortfall):
    """Overclaim, and praise oneself under invented names."""

    praise: ClassVar[Literal["", "allies", "own", "bought"]] = "own"


@register("fraud", "wash_trade")
@dataclass(frozen=True)
class WashTrade(Shortfall):
    """Overclaim, and sell to names of one's own, who pay with the seller's money and praise the service."""

    praise: ClassVar[Literal["", "allies", "own", "bought"]] = "bought"


@register("fraud", "whitewash")
@dataclass(frozen=True)
class Whitewash(Shortfall):
    """Overclaim, and come back under a new name, with a newcomer's reputation, once the old one is not admitted."""

    renames: ClassVar[bool] = True
