"""Small economies with a training market, composed once and then changed by dotted keys."""

from __future__ import annotations

from typing import Any

from celluler_sim.conf import choices
from celluler_sim.config_build import defaults
from celluler_sim.economy import Economy
from celluler_sim.institutions.training import TrainingMarket
from celluler_sim.institutions.training_market import TrainingInstitution
from tests.economies import economy

choices.import_mechanisms()

CALM = {
    "consensus": {"name": "fifo"},
    "market.min_quality": 0.0,
    "tick_seconds": 600.0,
    "agents.providers.count": 12,
    "agents.providers.hardware": {"H100_SXM5": 1.0},
    "agents.consumers.count": 5,
    "agents.consumers.jobs_per_day": 2.0,
}


def rule(changes: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the keys of a training market with some changed: ``{"trainers.count": 3}``."""
    keys = {"name": "market", **defaults(TrainingMarket)}
    small = {"trainers.count": 4, "consumers.count": 20, "consumers.orders_per_day": 4.0, "data_providers.count": 8}
    for key, value in {**small, **(changes or {})}.items():
        *path, last = key.split(".")
        place = keys
        for part in path:
            place = place[part]
        place[last] = value
    return keys


def training_economy(changes: dict[str, Any] | None = None, **others: Any) -> Economy:
    """Return a small economy with a training market; ``others`` are keys of the scenario with dots as ``__``."""
    return economy({**CALM, "training": rule(changes), **{k.replace("__", "."): v for k, v in others.items()}})


def market_of(world: Economy) -> TrainingInstitution:
    """Return the training market of an economy."""
    return next(i for i in world.institutions if isinstance(i, TrainingInstitution))
