"""The default of every institution: there is none."""

from __future__ import annotations

from dataclasses import dataclass

from celluler_sim.institutions.base import Absent
from celluler_sim.mechanisms.base import register


@register("pools", "none")
@dataclass(frozen=True)
class NoPools(Absent):
    """Every provider sells alone."""


@register("training", "none")
@dataclass(frozen=True)
class NoTraining(Absent):
    """Nobody trains models."""


@register("trust", "none")
@dataclass(frozen=True)
class NoTrust(Absent):
    """Everybody delivers what they sell, and nobody checks."""


@register("governance", "none")
@dataclass(frozen=True)
class NoGovernance(Absent):
    """The rules stay as they are."""
