"""Jobs from a generator: a Poisson process for every consumer, with hours of the day, a surge and drawn sizes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np

from celluler_sim.book import Floats, Slots
from celluler_sim.errors import ScenarioError, require
from celluler_sim.mechanisms.base import register
from celluler_sim.streams import Streams
from celluler_sim.workloads.base import Jobs, Machines
from celluler_sim.workloads.cluster import RUN_TIME
from celluler_sim.workloads.profiles import PROFILES, Intensity
from celluler_sim.workloads.replay import one_of, unconstrained

LAWS = ("lognormal", "exponential", "constant", "cluster")
_NTH = 40  # bits kept for slots in the position of a draw; the number of a slot's birth within the tick stands above


@dataclass(frozen=True)
class _Prepared:
    """What `Generated.prepare` has worked out."""

    intensity: Intensity
    amount: Floats  # (n_sizes,) units/s of each number of accelerators
    cumulative: Floats  # (n_sizes,) probability of that size or one before it


@register("workload", "generated")
@dataclass(frozen=True, kw_only=True)
class Generated:
    """Poisson arrivals for every consumer, by the hours of the day and with a surge, and drawn job sizes.

    A consumer's rate is multiplied by an hour-of-day profile (mean 1) and by a surge, a raised cosine around
    ``surge_hour`` of every day that reaches ``surge_factor``. A job wants a number of accelerators drawn from ``gpus``
    for a time drawn from ``law``. Every draw belongs to a consumer's slot, so one more consumer changes no other's
    jobs. Values and patience are left to the consumers. An hour of 0 is the start of the simulation.
    """

    profile: Literal["flat", "cluster", "llm_m_small", "llm_deepseek"] = "flat"  # of the hours of the day
    surge_hour: float = 12.0  # h of the day of the surge's top
    surge_factor: float = 1.0  # on every rate at the top; 1: no surge
    surge_hours: float = 4.0  # h from the surge's beginning to its end
    law: Literal["lognormal", "exponential", "constant", "cluster"] = "lognormal"  # of run times
    mean_seconds: float = 1800.0  # s, mean run time at the amount wanted, of every law
    cv: float = 1.5  # coefficient of variation of run times, of the lognormal law
    device_flops: float = 1.0e15  # FLOP/s of one accelerator
    gpus: Mapping[str, float] = field(
        default_factory=lambda: {"1": 0.8, "2": 0.12, "4": 0.06, "8": 0.02}
    )  # weight of each number of accelerators a job may want

    _state: ClassVar[_Prepared | None] = None  # set on the instance by `prepare`

    def __post_init__(self) -> None:
        """Check ranges."""
        one_of("profile", self.profile, PROFILES)
        one_of("law", self.law, LAWS)
        self._intensity()
        require("workload.mean_seconds", self.mean_seconds, above=0, unit="s")
        require("workload.cv", self.cv, at_least=0)
        require("workload.device_flops", self.device_flops, above=0, unit="FLOP/s")
        self._sizes()

    def _intensity(self) -> Intensity:
        return Intensity(self.profile, self.surge_hour, self.surge_factor, self.surge_hours)

    def _sizes(self) -> tuple[Floats, Floats]:
        """Return the numbers of accelerators a job may want and their probabilities, (n_sizes,) each."""
        if not self.gpus:
            raise ScenarioError("workload.gpus must name at least one number of accelerators, got none")
        for name, weight in self.gpus.items():
            if not re.fullmatch(r"\d*[1-9]\d*|\d*\.\d*[1-9]\d*", str(name)):
                raise ScenarioError(f"workload.gpus must have numbers of accelerators > 0 as keys, got {name!r}")
            require(f"workload.gpus.{name}", weight, at_least=0)
        weights = np.array(list(self.gpus.values()), dtype=np.float64)
        require("workload.gpus (sum of weights)", float(weights.sum()), above=0)
        return np.array([float(name) for name in self.gpus]), weights / weights.sum()

    @property
    def resources(self) -> tuple[str, ...]:
        """No resource beside the priced capacity."""
        return ()

    def prepare(self, streams: Streams, unit_size: float) -> None:  # noqa: ARG002
        """Work out amounts in the market's unit."""
        number, probability = self._sizes()
        amount = number * self.device_flops / unit_size
        object.__setattr__(self, "_state", _Prepared(self._intensity(), amount, np.cumsum(probability)))

    def machines(self) -> Machines | None:
        """Return None: the scenario's own providers serve."""
        return None

    def n_consumers(self) -> int | None:
        """Return None: the scenario's count holds."""
        return None

    def duration(self) -> float | None:
        """Return None: arrivals never end."""
        return None

    def arrivals(self, streams: Streams, tick: int, start: float, end: float, rate: Floats) -> Jobs:
        """Return the jobs born in [start, end); ``rate`` is (n_consumers,) jobs per second of each slot."""
        from celluler_sim.workloads.arrival_kernels import births

        state = self._ready()
        moments = np.linspace(start, end, 9)  # within a tick the factor is nearly straight between them
        passed = state.intensity.integral(moments)
        passed -= passed[0]
        slots, nth = births(streams.key("workload.arrivals", tick), rate, float(passed[-1]))
        place = slots + (nth << _NTH)
        born = np.interp(streams.draws("workload.birth", tick).uniform(place) * passed[-1], passed, moments)
        order = np.argsort(born, kind="stable")
        slots, place = slots[order], place[order]
        size = np.searchsorted(state.cumulative, streams.draws("workload.size", tick).uniform(place))
        amount = state.amount[np.minimum(size, len(state.amount) - 1)]
        kinds, demand = unconstrained(len(slots))
        unknown = np.full(len(slots), np.nan)
        return Jobs(
            consumer=slots,
            born=np.minimum(born[order], np.nextafter(end, start)),
            amount=amount,
            work=amount * self._seconds(streams, tick, place),
            patience=unknown,
            value=unknown,
            kinds=kinds,
            demand=demand,
        )

    def _seconds(self, streams: Streams, tick: int, place: Slots) -> Floats:
        """Draw run times with mean `mean_seconds`, shape of ``place``."""
        draws = streams.draws("workload.duration", tick)
        if self.law == "constant":
            return np.full(len(place), self.mean_seconds)
        if self.law == "exponential":
            return self.mean_seconds * draws.exponential(place)
        if self.law == "cluster":
            return self.mean_seconds / RUN_TIME.mean * RUN_TIME.at(draws.uniform(place))
        variance = math.log1p(self.cv**2)
        return self.mean_seconds * np.exp(math.sqrt(variance) * draws.normal(place) - variance / 2)

    def facts(self) -> Mapping[str, float]:
        """Return nothing: there is no trace to compare with."""
        return {}

    def _ready(self) -> _Prepared:
        if self._state is None:
            raise ScenarioError("workload generated must be prepared before it is used: call prepare first")
        return self._state
