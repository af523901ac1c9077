"""Small economies with trust or governance."""

from __future__ import annotations

import functools
from typing import Any

import pandas as pd

from celluler_sim.conf.overrides import choice, parse
from celluler_sim.economy import Economy, Tick
from celluler_sim.institutions.governance_changes import replaced
from celluler_sim.scenario import Scenario, compose

SMALL = (
    "consensus=fifo", "ticks=40", "tick_seconds=600", "agents.providers.count=24", "agents.consumers.count=60",
    "workload.mean_seconds=1200", "record.agents_every=10", "record.optimum_every=0",
    "agents.providers.entry_per_day=0",
)  # fmt: skip
TRUST = ("trust=standard", "verification=spot_checks", "trust.bond_prana=100000", "trust.failure_rate=0")


@functools.cache
def _base() -> Scenario:
    return compose("compute_congestion", SMALL)


def world(*more: str) -> Economy:
    """Return a small economy with what is given chosen."""
    return Economy(changed(_base(), *more))


def changed(scenario: Scenario, *more: str) -> Scenario:
    """Return a scenario with what is given chosen: rules first, then values, without composing files anew."""
    mapping = scenario.to_mapping()
    last = {text.partition("=")[0]: parse(text) for text in more}
    for o in sorted(last.values(), key=lambda o: not choice(o)):
        if choice(o):
            mapping[o.key_or_group] = replaced(o.key_or_group, o.value(), mapping[o.key_or_group])
            continue
        *path, name = o.key_or_group.split(".")
        functools.reduce(lambda at, key: at[key], path, mapping)[name] = o.value()
    return Scenario.from_mapping(mapping)


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
    found: pd.DataFrame = economy.recorder.arrow(name).to_pandas()
    return found


def trust_of(economy: Economy) -> Any:
    """Return the running trust."""
    return next(i for i in economy.institutions if type(i).__name__ == "RunningTrust")


def governance_of(economy: Economy) -> Any:
    """Return the running governance."""
    return next(i for i in economy.institutions if type(i).__name__ == "RunningGovernance")


def now(economy: Economy) -> Tick:
    """Return the tick that comes next."""
    n, seconds = economy.steps, economy.setup.tick_seconds
    return Tick(n, n * seconds, (n + 1) * seconds)
