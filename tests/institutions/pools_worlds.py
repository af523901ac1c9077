"""Small economies with pools."""

from __future__ import annotations

from celluler_sim.economy import Economy
from celluler_sim.scenario import compose

SMALL = (
    "ticks=40", "tick_seconds=900", "workload.cells=8", "agents.consumers.count=40", "record.agents_every=0",
    "agents.consumers.jobs_per_day=20", "pools.initial=2", "pools.period_s=7200", "workload.mean_seconds=1800",
)  # fmt: skip


def pooled(*more: str, scenario: str = "resource_pool") -> Economy:
    """Return a small economy of a scenario with pools."""
    return Economy(compose(scenario, [*SMALL, *more]))
