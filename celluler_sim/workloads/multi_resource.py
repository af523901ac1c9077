"""Jobs that want several resources at once, and the cells that sell them: compute, memory and storage together."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from celluler_sim.book import Floats, Slots
from celluler_sim.errors import ScenarioError, require
from celluler_sim.mechanisms.base import register
from celluler_sim.streams import Draws, Streams, mix64
from celluler_sim.workloads.base import Jobs, Machines
from celluler_sim.workloads.generated import Generated
from celluler_sim.workloads.hardware import hardware


@register("workload", "multi_resource")
@dataclass(frozen=True, kw_only=True)
class MultiResource(Generated):
    """The jobs of `generated`, each with a demand for memory and storage; cells with accelerators, memory and storage.

    Accelerators of a cell are drawn from ``accelerators``; its memory and storage are lognormal around so much an
    accelerator, so some cells have plenty of one and little of another. A job's memory and storage are lognormal
    around so much an accelerator it wants. With ``market.split=false`` and ``agents.consumers.min_share=1`` a job runs
    on one offer or not at all: those larger than every cell can only be served by cells that pool what they have.
    """

    gpus: Mapping[str, float] = field(
        default_factory=lambda: {"1": 0.5, "2": 0.2, "4": 0.12, "8": 0.08, "16": 0.07, "24": 0.03}
    )  # weight of each number of accelerators a job may want
    device_flops: float = 3.12e14  # FLOP/s of one accelerator that a job wants
    cells: int = 18  # providers
    hardware: str = "A100_SXM4"  # accelerator of all cells, whose data sheet gives FLOP/s and cost
    accelerators: Mapping[str, float] = field(
        default_factory=lambda: {"4": 0.4, "8": 0.6}
    )  # weight of each number of accelerators a cell may have
    cell_memory_gib: float = 120.0  # a cell's memory per accelerator, mean
    cell_storage_tib: float = 3.0  # a cell's storage per accelerator, mean
    cell_cv: float = 0.6  # their coefficient of variation between cells (lognormal)
    job_memory_gib: float = 80.0  # memory a job wants per accelerator, mean
    job_storage_tib: float = 2.0  # storage a job wants per accelerator, mean
    job_cv: float = 0.6  # their coefficient of variation between jobs (lognormal)

    _cells: ClassVar[Machines | None] = None  # set on the instance by `prepare`
    _unit_size: ClassVar[float] = 1.0  # likewise

    def __post_init__(self) -> None:
        """Check ranges."""
        super().__post_init__()
        require("workload.cells", self.cells, at_least=1)
        hardware(self.hardware)
        self._sizes_of_cells()
        for name in ("cell_memory_gib", "cell_storage_tib"):
            require(f"workload.{name}", getattr(self, name), above=0)
        for name in ("cell_cv", "job_memory_gib", "job_storage_tib", "job_cv"):
            require(f"workload.{name}", getattr(self, name), at_least=0)

    def _sizes_of_cells(self) -> tuple[Floats, Floats]:
        """Return the numbers of accelerators a cell may have and their cumulative probabilities, (n_sizes,) each."""
        for name, weight in self.accelerators.items():
            if not re.fullmatch(r"\d*[1-9]\d*", str(name)):
                raise ScenarioError(f"workload.accelerators must have whole numbers > 0 as keys, got {name!r}")
            require(f"workload.accelerators.{name}", weight, at_least=0)
        weights = np.array(list(self.accelerators.values()), dtype=np.float64)
        require("workload.accelerators (sum of weights)", float(weights.sum()), above=0)
        return np.array([float(name) for name in self.accelerators]), np.cumsum(weights / weights.sum())

    @property
    def resources(self) -> tuple[str, ...]:
        """Names of the resources beside the priced capacity."""
        return ("memory_gib", "storage_tib")

    def prepare(self, streams: Streams, unit_size: float) -> None:
        """Work out amounts in the market's unit, and draw the cells."""
        super().prepare(streams, unit_size)
        slots = np.arange(self.cells)
        number, cumulative = self._sizes_of_cells()
        size = np.searchsorted(cumulative, streams.draws("workload.cell.accelerators").uniform(slots))
        accelerators = number[np.minimum(size, len(number) - 1)]
        supply = [
            accelerators * mean * _lognormal(streams.draws(f"workload.cell.{name}"), slots, self.cell_cv)
            for name, mean in zip(self.resources, (self.cell_memory_gib, self.cell_storage_tib), strict=True)
        ]
        capacity = accelerators * hardware(self.hardware).flops / unit_size
        machines = Machines(capacity, (self.hardware,), np.zeros(self.cells, np.int64), np.column_stack(supply))
        object.__setattr__(self, "_cells", machines)
        object.__setattr__(self, "_unit_size", unit_size)

    def machines(self) -> Machines | None:
        """Return the cells as providers."""
        self._ready()
        return self._cells

    def arrivals(self, streams: Streams, tick: int, start: float, end: float, rate: Floats) -> Jobs:
        """Return the jobs born in [start, end); ``rate`` is (n_consumers,) jobs per second of each slot."""
        jobs = super().arrivals(streams, tick, start, end, rate)
        identity = (mix64(1, jobs.consumer) ^ jobs.born.view(np.uint64)).view(np.int64)  # of the job alone
        accelerators = jobs.amount * self._unit_size / self.device_flops
        demand = [
            accelerators * mean * _lognormal(streams.draws(f"workload.job.{name}"), identity, self.job_cv)
            for name, mean in zip(self.resources, (self.job_memory_gib, self.job_storage_tib), strict=True)
        ]
        return replace(jobs, demand=np.column_stack(demand))


def _lognormal(draws: Draws, slots: Slots, cv: float) -> Floats:
    """Return lognormal factors of mean 1, shape of ``slots``."""
    variance = math.log1p(cv**2)
    return np.asarray(np.exp(math.sqrt(variance) * draws.normal(slots) - variance / 2))
