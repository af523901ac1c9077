"""Small economies with trust or governance."""

from __future__ import annotations

from typing import Any

import pandas as pd

from celluler_sim.economy import Economy
from celluler_sim.scenario import compose

SMALL = (
    "consensus=fifo", "ticks=40", "tick_seconds=600", "agents.providers.count=30", "agents.consumers.count=80",
    "workload.mean_seconds=1200", "record.agents_every=10", "record.optimum_every=0", "agents.providers.entry_per_day=0",
)  # fmt: skip
TRUST = ("trust=standard", "verification=spot_checks", "trust.bond_prana=100000", "trust.failure_rate=0")


def world(*more: str) -> Economy:
    """Return a small economy with what is given chosen."""
    last = {text.partition("=")[0]: text for text in (*SMALL, *more)}
    return Economy(compose("compute_congestion", list(last.values())))


def trusting(*more: str, ticks: int = 40) -> Economy:
    """Return a small economy with trust, after some ticks."""
    return stepped(world(*TRUST, *more), ticks)


def stepped(economy: Economy, ticks: int) -> Economy:
    """Return the economy after some ticks."""
    for _ in range(ticks):
        economy.step()
    return economy


def table(economy: Economy, name: str) -> pd.DataFrame:
    """Return a table so far."""
    return economy.recorder.arrow(name).to_pandas()


def trust_of(economy: Economy) -> Any:
    """Return the running trust."""
    return next(i for i in economy.institutions if type(i).__name__ == "RunningTrust")
