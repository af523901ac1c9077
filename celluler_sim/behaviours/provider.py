"""How a provider sets its ask. Family ``provider_behaviour``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from celluler_sim.book import Floats
from celluler_sim.mechanisms.base import register


class ProviderBehaviour(Protocol):
    """A provider's pricing strategy."""

    def ask(self, unit_cost: Floats, markup: Floats) -> Floats:
        """Return the ask, PRANA per unit, from unit cost (PRANA per unit) and the provider's mark-up (share)."""
        ...


@register("provider_behaviour", "truthful")
@dataclass(frozen=True)
class Truthful:
    """Ask what a unit costs."""

    def ask(self, unit_cost: Floats, markup: Floats) -> Floats:  # noqa: ARG002 - a truthful provider has none
        """Return unit cost."""
        return unit_cost


@register("provider_behaviour", "markup")
@dataclass(frozen=True)
class Markup:
    """Ask unit cost plus the provider's mark-up."""

    def ask(self, unit_cost: Floats, markup: Floats) -> Floats:
        """Return unit cost times one plus the mark-up."""
        return unit_cost * (1.0 + markup)
