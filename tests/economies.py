"""Small economies for tests: composed once, then changed by dotted keys; and random ones drawn by Hypothesis."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from celluler_sim.book import ANY_KIND
from celluler_sim.consensus.base import NetworkStats, Ordered, Transactions
from celluler_sim.economy import Economy
from celluler_sim.recorder import Recorder
from celluler_sim.results import Tables
from celluler_sim.scenario import Scenario, compose
from celluler_sim.streams import Streams, mix64
from celluler_sim.workloads.base import Jobs

SMALL = {
    "ticks": 30,
    "agents.providers.count": 4,
    "agents.consumers.count": 20,
    "agents.consumers.jobs_per_day": 200.0,
    "record.agents_every": 0,
    "record.optimum_every": 0,
}


@functools.cache
def _composed(name: str) -> dict[str, Any]:
    return compose(name).to_mapping()


def scenario(changes: Mapping[str, Any] | None = None, name: str = "compute_congestion") -> Scenario:
    """Return a small scenario with some keys changed: ``{"pricing": {"name": "fixed"}, "market.split": False}``."""
    mapping = deepcopy(_composed(name))
    for key, value in {**SMALL, **(changes or {})}.items():
        *path, last = key.split(".")
        functools.reduce(lambda place, part: place[part], path, mapping)[last] = value
    return Scenario.from_mapping(mapping)


def economy(changes: Mapping[str, Any] | None = None, **rules: Any) -> Economy:
    """Return a small economy; ``rules`` are ready mechanisms by family, which need not be registered."""
    chosen = scenario(changes)
    return Economy(replace(chosen, mechanisms={**chosen.mechanisms, **rules}))


def run(world: Economy, ticks: int) -> Economy:
    """Step an economy some ticks and return it."""
    for _ in range(ticks):
        world.step()
    return world


def tables(world: Economy) -> Tables:
    """Close an economy that records in memory and return its tables."""
    world.close()
    assert isinstance(world.recorder, Recorder)
    return Tables(world.recorder)


# ---- a consensus that takes its time -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Laggard:
    """Each transaction takes its own time, up to ``slowest`` s, and overtakes others; the share ``lost`` never ends."""

    slowest: float
    lost: float
    timeout: float
    name: str = "laggard"
    n_validators: int = 3

    def open(self, streams: Streams) -> LaggardNetwork:
        """Start the network of one run."""
        return LaggardNetwork(self)


@dataclass
class LaggardNetwork:
    """Transactions under way, as (final, number, submitted)."""

    rule: Laggard
    pool: list[tuple[float, int, float]] = field(default_factory=list)
    stats: NetworkStats = field(default_factory=NetworkStats)
    next_epoch: float = np.inf

    def submit(self, transactions: Transactions) -> None:
        """Decide by a hash of its number when each is final."""
        luck = (mix64(5, transactions.number) >> np.uint64(11)) * 2.0**-53
        final = transactions.submitted + luck * self.rule.slowest
        final[(luck * 1000) % 1 < self.rule.lost] = np.inf
        self.pool += list(
            zip(final.tolist(), transactions.number.tolist(), transactions.submitted.tolist(), strict=True)
        )

    def advance(self, until: float) -> Ordered:
        """Return what is final, by that moment."""
        due = sorted(entry for entry in self.pool if entry[0] < until)
        self.pool = [entry for entry in self.pool if entry[0] >= until]
        final = np.array([entry[0] for entry in due])
        return Ordered(np.array([entry[1] for entry in due], np.int64), final, final)

    def expire(self, now: float) -> np.ndarray:
        """Drop what is too old."""
        old = [entry for entry in self.pool if entry[2] < now - self.rule.timeout]
        self.pool = [entry for entry in self.pool if entry[2] >= now - self.rule.timeout]
        return np.array(sorted(entry[1] for entry in old), np.int64)

    def weigh(self, stakes: np.ndarray) -> None:
        """Nobody votes."""

    def pending(self) -> int:
        """Return how many are under way."""
        return len(self.pool)


# ---- random worlds -------------------------------------------------------------------------------------------------


def _shares(*names: str) -> st.SearchStrategy[dict[str, float]]:
    """Return shares of some of the names, at least one of them positive."""
    entry = st.tuples(st.sampled_from(names), st.sampled_from([1.0, 0.3]))
    return st.lists(entry, min_size=1, max_size=3).map(dict)


@st.composite
def _pricing(draw: st.DrawFn, tick: float, base: float) -> dict[str, Any]:
    rule = draw(
        st.sampled_from(
            [
                {"name": "fixed"},
                {"name": "posted"},
                {"name": "linear"},
                {"name": "linear", "literal": True, "utilization_factor": 2.0},
                {"name": "sliding_window", "cycle": "sawtooth"},
                {"name": "sliding_window", "cycle": "smooth"},
                {"name": "sliding_window", "cycle": "none"},
                {"name": "eip1559", "block_seconds": tick},
                {"name": "eip1559", "block_seconds": tick, "exact": True},
            ]
        )
    )
    return {**rule, "base_price": base, "window_seconds": tick * draw(st.sampled_from([0.5, 7.3, 60.0]))}


def _allocation() -> st.SearchStrategy[dict[str, Any]]:
    fair = st.builds(
        lambda most, least: {"name": "fair_share", "max_share": most, "min_share": least * most},
        st.floats(0.05, 1.0),
        st.floats(0.0, 1.0),
    )
    others = ["literal_fair_share", "proportional", "first_come", "priority", "drf", "welfare"]
    greedy = st.just({"name": "first_come", "strict": False})
    return st.one_of(fair, greedy, *(st.just({"name": name}) for name in others))


@st.composite
def worlds(draw: st.DrawFn) -> tuple[dict[str, Any], Laggard | None]:
    """Draw a small world: what to change in a scenario, and a consensus that is not the hashgraph, if any.

    Times are drawn in ticks and money in prices, so that a tick of a second and one of an hour are as busy;
    endowments reach from nearly all PRANA down to consumers that can hardly afford one job.
    """
    pick = lambda *choices: draw(st.sampled_from(choices))  # noqa: E731
    tick, base = pick(60.0, 1.0, 17.3, 600.0, 3600.0), pick(100.0, 0.5, 30.0)
    consumers, value, seconds = draw(st.integers(5, 30)), base * pick(4.0, 1.5, 1.0), tick * pick(3.0, 0.1, 20.0)
    jobs = value * 1.4e-3 * seconds * consumers / 1e9  # share of all PRANA that is worth a job for each
    changes = {
        "seed": draw(st.integers(0, 2**32)),
        "tick_seconds": tick,
        "market.split": draw(st.booleans()),
        "market.min_quality": pick(0.0, 0.8),
        "consensus": {"name": "hashgraph", "gossip_interval_seconds": tick / 30, "timeout_seconds": 3 * tick},
        "pricing": draw(_pricing(tick, base)),
        "allocation": draw(_allocation()),
        "workload": {
            "name": "generated",
            "surge_factor": pick(1.0, 5.0),
            "surge_hour": tick * 100 / 3600 % 24,
            "law": pick("lognormal", "exponential", "constant"),
            "mean_seconds": seconds,
        },
        "agents.providers.count": draw(st.integers(2, 8)),
        "agents.providers.accelerators": pick(8.0, 2.0),
        "agents.providers.usd_per_prana": pick(1.0, 5.0, 0.7) / base,
        "agents.providers.behaviours": draw(_shares("truthful", "markup")),
        "agents.providers.exit_after_s": tick * pick(1e9, 50.0, 2.5),
        "agents.providers.entry_per_day": pick(0.0, 0.03) * 86_400 / tick,
        "agents.providers.hurdle": pick(0.5, 0.0),
        "agents.consumers.count": consumers,
        "agents.consumers.jobs_per_day": pick(0.1, 0.3, 0.01) * 86_400 / tick,
        "agents.consumers.value_median": value,
        "agents.consumers.value_cv": pick(0.7, 0.0),
        "agents.consumers.patience_s": tick * pick(5.0, 100.0, 0.7, 0.0),
        "agents.consumers.postpone_s": tick * pick(4.0, 0.3),
        "agents.consumers.deadline_stretch": pick(3.0, 1.0),
        "agents.consumers.min_share": pick(0.5, 0.01, 1.0),
        "agents.consumers.endowment_share": min(0.85, jobs * pick(10.0, 1.0, 1e12)),  # a tenth is staked
        "agents.consumers.behaviours": draw(_shares("truthful", "elastic", "strategic_timing")),
    }
    slow = st.builds(Laggard, st.floats(0.0, 5 * tick), st.sampled_from([0.0, 0.1]), st.just(3 * tick))
    return changes, draw(st.none() | slow)


# ---- a workload written down job by job ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Script:
    """Jobs given one by one: (born, consumer, amount, work, value, patience)."""

    jobs: tuple[tuple[float, int, float, float, float, float], ...]
    name: str = "script"
    resources: tuple[str, ...] = ()

    def prepare(self, streams: Streams, unit_size: float) -> None:
        """Do nothing."""

    def machines(self) -> None:
        """Return None: the scenario's own providers serve."""

    def n_consumers(self) -> None:
        """Return None: the scenario's count holds."""

    def arrivals(self, streams: Streams, tick: int, start: float, end: float, rate: np.ndarray) -> Jobs:
        """Return the jobs born in [start, end)."""
        jobs = [job for job in sorted(self.jobs) if start <= job[0] < end]
        born, consumer, amount, work, value, patience = np.array(jobs, float).reshape(-1, 6).T
        n = len(jobs)
        return Jobs(
            consumer.astype(np.int64), born, amount, work, patience, value, np.full(n, ANY_KIND), np.zeros((n, 0))
        )


def scripted(
    *jobs: tuple[float, ...],
    capacity: Sequence[float],
    ask: Sequence[float],
    consensus: Laggard | None = None,
    **changes: Any,
) -> Economy:
    """Return an economy of perfect providers with these capacities and asks, each consumer with a million PRANA."""
    consumers = 1 + max((int(job[1]) for job in jobs), default=0)
    world = economy(
        {
            "consensus": {"name": "fifo"},  # what is worked out by hand waits for no validator
            "pricing": {"name": "posted"},
            "allocation": {"name": "first_come", "strict": False},
            "market.min_quality": 0.0,
            "agents.providers.count": len(capacity),
            "agents.providers.exit_after_s": 1e12,
            "agents.providers.entry_per_day": 0.0,
            "agents.consumers.count": consumers,
            "agents.consumers.min_share": 1.0,
            "agents.consumers.behaviours": {"truthful": 1.0},
            "agents.consumers.endowment_share": consumers * 1e-3,
            "agents.consumers.endowment_cv": 0.0,
            **changes,
        },
        workload=Script(jobs),
        **({"consensus": consensus} if consensus else {}),
    )
    world.providers["capacity"], world.providers["ask"] = np.array(capacity), np.array(ask)
    world.providers["energy_cost"], world.providers["capital_cost"] = np.array(ask) * 0.5, np.array(ask) * 0.5
    return world
