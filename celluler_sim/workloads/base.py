"""What a workload is: where jobs, and sometimes providers, come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from celluler_sim.book import Floats, Frozen, Masks, Slots
from celluler_sim.streams import Streams


@dataclass(frozen=True)
class Jobs(Frozen):
    """A batch of jobs, sorted by `born`. NaN in `value` or `patience` leaves it to the consumer's own distribution."""

    consumer: Slots  # (n,) slot of the consumer
    born: Floats  #    (n,) s, when the consumer first wants it
    amount: Floats  #  (n,) units/s wanted
    work: Floats  #    (n,) units
    patience: Floats  # (n,) s it waits for service before it gives up
    value: Floats  #   (n,) PRANA per unit
    kinds: Masks  #    (n,) bit k is set where hardware of kind k will do
    demand: Floats  #  (n, n_resources) wanted beside the amount

    def __len__(self) -> int:
        """Return the number of jobs."""
        return len(self.born)


@dataclass(frozen=True)
class Machines(Frozen):
    """Providers given by a trace, one per row."""

    capacity: Floats  # (n,) units/s
    hardware: tuple[str, ...]  # names of the kinds, at most 64
    kind: Slots  #     (n,) index into `hardware`
    supply: Floats  #  (n, n_resources) beside the capacity


class Workload(Protocol):
    """A source of jobs. Registered in the family ``workload``; its fields are its YAML keys."""

    @property
    def resources(self) -> tuple[str, ...]:
        """Names of the resources beside the priced capacity."""
        ...

    def prepare(self, streams: Streams, unit_size: float) -> None:
        """Read the trace (if any). Called once before the run; raises `TraceError`."""
        ...

    def machines(self) -> Machines | None:
        """Return the trace's providers, or None where the scenario's own are used."""
        ...

    def n_consumers(self) -> int | None:
        """Return how many consumers the trace has, or None where the scenario's count holds."""
        ...

    def duration(self) -> float | None:
        """Return the trace's length in seconds, or None."""
        ...

    def arrivals(self, streams: Streams, tick: int, start: float, end: float, rate: Floats) -> Jobs:
        """Return the jobs born in [start, end). ``rate`` is each consumer slot's own rate in jobs per second."""
        ...

    def facts(self) -> Mapping[str, float]:
        """Return the trace's own figures, to be stated beside the simulated ones."""
        ...
