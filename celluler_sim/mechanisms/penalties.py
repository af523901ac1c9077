"""Penalties: what an offence takes off a reputation, and of a stake.

The seed states penalties in full scores (false provisioning -0.5, profit manipulation -0.8, collusion -1.0, and -0.1,
-0.05, -0.2 for breaches of the quality of service). On a score in [0, 1], clamped, the large ones look alike after one
offence; two other scales keep them apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Codes, Floats, Slots
from celluler_sim.errors import require
from celluler_sim.mechanisms.base import When, register
from celluler_sim.mechanisms.laws import Law
from celluler_sim.mechanisms.reputation import Standing, place_in_group

OFFENCES = (
    "downtime", "slow_response", "incorrect_result", "false_provisioning", "profit_manipulation", "collusion",
)  # fmt: skip

_ALWAYS = frozenset({Law.NEVER_REWARDS, Law.GRADED})


@runtime_checkable
class Penalty(Protocol):
    """Decide what an offence costs."""

    claims: ClassVar[frozenset[Law]]

    def severity(self, offence: npt.ArrayLike) -> Floats:
        """Return how heavy offences are, (n,), [0, 1]. ``offence`` is (n,), places in `OFFENCES`."""
        ...

    def punished(self, score: Floats, severity: Floats) -> Floats:
        """Return scores, (n,), after one offence each."""
        ...

    def slashed(self, severity: Floats) -> Floats:
        """Return the share of the stake that offences cost, (n,), [0, 1]."""
        ...


@dataclass(frozen=True, kw_only=True)
class Offences:
    """How heavy each offence is, and what it costs besides reputation."""

    downtime: float = 0.1  # uptime below what was agreed
    slow_response: float = 0.05  # latency above what was agreed
    incorrect_result: float = 0.2  # a wrong answer
    false_provisioning: float = 0.5  # capacity claimed that is not there
    profit_manipulation: float = 0.8  # contributions to a pool misreported
    collusion: float = 1.0  # asks or bids agreed upon
    slash: float = 0.0  # share of the stake that an offence of weight 1 costs, lighter ones in proportion

    claims: ClassVar[frozenset[Law]] = _ALWAYS
    claims_when: ClassVar[Mapping[Law, When]] = {}

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in (*OFFENCES, "slash"):
            require(f"penalty.{name}", getattr(self, name), at_least=0, at_most=1)

    def severity(self, offence: npt.ArrayLike) -> Floats:
        """Return how heavy offences are, (n,), [0, 1]. ``offence`` is (n,), places in `OFFENCES`."""
        return np.array([getattr(self, name) for name in OFFENCES])[np.asarray(offence, dtype=np.int64)]

    def slashed(self, severity: Floats) -> Floats:
        """Return the share of the stake that offences cost, (n,), [0, 1]."""
        return self.slash * np.asarray(severity, dtype=np.float64)


@register("penalty", "additive")
@dataclass(frozen=True, kw_only=True)
class Additive(Offences):
    """The seed's own scale: the score less the penalty, never below 0."""

    def punished(self, score: Floats, severity: Floats) -> Floats:
        """Return max(0, score - severity), (n,)."""
        return np.maximum(0.0, np.asarray(score, dtype=np.float64) - severity)


@register("penalty", "multiplicative")
@dataclass(frozen=True, kw_only=True)
class Multiplicative(Offences):
    """The penalty as a share of the score that is left: a second offence still hurts, a heavier one hurts more."""

    claims: ClassVar[frozenset[Law]] = _ALWAYS | {Law.TELLS_APART}

    def punished(self, score: Floats, severity: Floats) -> Floats:
        """Return score * (1 - severity), (n,)."""
        return np.asarray(score, dtype=np.float64) * (1.0 - np.asarray(severity, dtype=np.float64))


@register("penalty", "points")
@dataclass(frozen=True, kw_only=True)
class Points(Offences):
    """Penalties are points of a scale with many: the score less penalty / `scale`, never below 0."""

    scale: float = 10.0  # points that a full score has; 100 reads the score as a percentage

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        require("penalty.scale", self.scale, at_least=1, unit="points")

    def punished(self, score: Floats, severity: Floats) -> Floats:
        """Return max(0, score - severity / scale), (n,)."""
        return np.maximum(
            0.0, np.asarray(score, dtype=np.float64) - np.asarray(severity, dtype=np.float64) / self.scale
        )


def charged(standing: Standing, rule: Penalty, offender: Slots, offence: Codes | Slots) -> Standing:
    """Return the standing after offences, one a row, several of one agent one after the other.

    What they take off the score is remembered in `Standing.lost` and comes back as the reputation rule says.
    """
    lost, severity, turn = standing.lost.copy(), rule.severity(offence), place_in_group(np.asarray(offender))[0]
    for k in range(int(turn.max(initial=-1)) + 1):
        rows = turn == k
        agent = offender[rows]
        score = np.clip(standing.merit[agent] - lost[agent], 0.0, 1.0)
        lost[agent] = standing.merit[agent] - rule.punished(score, severity[rows])
    return replace(standing, lost=np.maximum(lost, 0.0))


def pardoned(standing: Standing, before: Floats, agent: Slots) -> Standing:
    """Return the standing with what was taken from agents given back: an appeal that was granted.

    ``before`` is `Standing.lost`, (n_agents,), as it was when they were charged; no agent ends up with less than now.
    """
    lost = standing.lost.copy()
    lost[agent] = np.minimum(lost[agent], before[agent])
    return replace(standing, lost=lost)
