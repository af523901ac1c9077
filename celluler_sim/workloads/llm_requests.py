"""Replay of one hour of requests to a language model, request by request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from celluler_sim.book import Floats
from celluler_sim.errors import ScenarioError, require
from celluler_sim.mechanisms.base import register
from celluler_sim.streams import Streams
from celluler_sim.workloads.base import Jobs, Machines
from celluler_sim.workloads.replay import SOURCES, between, data_folder, one_of, spread_over
from celluler_sim.workloads.serving import Serving, llm_request_generator, request_facts, requests_from


@dataclass(frozen=True)
class _Prepared:
    """What `LlmRequests.prepare` has read and worked out."""

    jobs: Jobs
    seconds: float
    facts: Mapping[str, float]


@register("workload", "llm_requests")
@dataclass(frozen=True, kw_only=True)
class LlmRequests(Serving):
    """Requests to a production chat service, one by one: the trace published with Splitwise (Patel et al., 2023).

    A request is 2 FLOP a parameter and token; it asks for the capacity that serves it in the time its tokens take at
    the stated speeds. The trace names nobody: requests are spread over ``consumers`` by hash. Values and patience are
    left to them.
    """

    path: str | None = None  # the file, or its folder
    source: Literal["trace", "fitted"] = "trace"  # fitted: generated from laws fitted to the trace, no file needed
    seconds: float = 3501.7  # s to generate, where the source is fitted
    arrival_scale: float = 1.0  # gaps between arrivals are divided by it
    consumers: int = 100  # that the requests are spread over

    _state: ClassVar[_Prepared | None] = None  # set on the instance by `prepare`

    def __post_init__(self) -> None:
        """Check ranges."""
        self.check_serving()
        one_of("source", self.source, SOURCES)
        require("workload.seconds", self.seconds, above=0, unit="s")
        require("workload.arrival_scale", self.arrival_scale, above=0)
        require("workload.consumers", self.consumers, at_least=1)

    @property
    def resources(self) -> tuple[str, ...]:
        """No resource beside the priced capacity."""
        return ()

    def prepare(self, streams: Streams, unit_size: float) -> None:
        """Read or generate the requests; raises `TraceError` where the file is missing, wrong or damaged."""
        if self.source == "fitted":
            requests = llm_request_generator(streams.at("workload.fitted"), self.seconds)
        else:
            from celluler_sim.workloads.readers import read_llm_requests

            requests = requests_from(read_llm_requests(data_folder(self.path, "llm_requests_2023")))
        if not len(requests):
            raise ScenarioError(f"workload.seconds must be long enough for one request, got {self.seconds}")
        consumer = spread_over(np.arange(len(requests)), self.consumers)
        scaled = type(requests)(requests.time / self.arrival_scale, requests.context, requests.generated)
        last = float(np.nextafter(scaled.time[-1], np.inf))
        jobs = self.jobs(consumer, scaled, unit_size)
        facts = {**request_facts(requests, self.parameters), "replayed_work": float(jobs.work.sum())}
        object.__setattr__(self, "_state", _Prepared(jobs, last, facts))

    def machines(self) -> Machines | None:
        """Return None: the scenario's own providers serve."""
        return None

    def n_consumers(self) -> int | None:
        """Return how many consumers the requests are spread over."""
        return self.consumers

    def duration(self) -> float | None:
        """Return the seconds from the first to the last request."""
        return self._ready().seconds

    def arrivals(self, streams: Streams, tick: int, start: float, end: float, rate: Floats) -> Jobs:  # noqa: ARG002
        """Return the requests made in [start, end)."""
        return between(self._ready().jobs, start, end)

    def facts(self) -> Mapping[str, float]:
        """Return the trace's own figures."""
        return self._ready().facts

    def _ready(self) -> _Prepared:
        if self._state is None:
            raise ScenarioError("workload llm_requests must be prepared before it is used: call prepare first")
        return self._state
