"""The textbook queue's demand: Poisson arrivals, exponential sizes. For checks against closed forms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from celluler_sim.book import ANY_KIND, Floats
from celluler_sim.errors import require
from celluler_sim.mechanisms.base import register
from celluler_sim.streams import Streams
from celluler_sim.workloads.base import Jobs, Machines


@register("workload", "poisson")
@dataclass(frozen=True, kw_only=True)
class Poisson:
    """Poisson arrivals at a constant rate, exponential service times, consumers drawn at random (M/M/c)."""

    jobs_per_second: float = 8.0 / 1200.0  # all consumers together
    mean_seconds: float = 1200.0  # mean service time at the full amount
    amount: float = 1e-3  # units/s that each job wants: one server's capacity
    patience_seconds: float | None = None  # the same for all; null: the consumers' own; 0: lost unless served at once

    def __post_init__(self) -> None:
        """Check ranges."""
        require("workload.jobs_per_second", self.jobs_per_second, above=0, unit="jobs/s")
        require("workload.mean_seconds", self.mean_seconds, above=0, unit="s")
        require("workload.amount", self.amount, above=0, unit="units/s")
        if self.patience_seconds is not None:
            require("workload.patience_seconds", self.patience_seconds, at_least=0, unit="s")

    @property
    def resources(self) -> tuple[str, ...]:
        """No resource beside the capacity."""
        return ()

    def prepare(self, streams: Streams, unit_size: float) -> None:
        """Do nothing: there is no trace to read."""

    def machines(self) -> Machines | None:
        """Return None: the scenario's own providers serve."""
        return None

    def n_consumers(self) -> int | None:
        """Return None: the scenario's count holds."""
        return None

    def duration(self) -> float | None:
        """Return None: it goes on for as long as the run."""
        return None

    def arrivals(self, streams: Streams, tick: int, start: float, end: float, rate: Floats) -> Jobs:
        """Return the jobs born in [start, end), (n,), each for a consumer drawn from the active ones."""
        rng = streams.at("workload.arrivals", tick)
        n = int(rng.poisson(self.jobs_per_second * (end - start)))
        born = np.sort(start + (end - start) * rng.random(n))
        who = np.flatnonzero(rate > 0)
        patience = np.nan if self.patience_seconds is None else self.patience_seconds
        return Jobs(
            consumer=who[(rng.random(n) * len(who)).astype(np.int64)],
            born=born,
            amount=np.full(n, self.amount),
            work=rng.exponential(self.mean_seconds * self.amount, n),
            patience=np.full(n, patience),
            value=np.full(n, np.nan),
            kinds=np.full(n, ANY_KIND),
            demand=np.zeros((n, 0)),
        )

    def facts(self) -> Mapping[str, float]:
        """Return the load that is offered, erlangs."""
        return {"offered_load": self.jobs_per_second * self.mean_seconds}
