"""The customers of a hosted language model, one consumer each, with their bursts and hours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Floats
from celluler_sim.errors import ScenarioError, require
from celluler_sim.mechanisms.base import register
from celluler_sim.streams import Streams, mix64
from celluler_sim.workloads.base import Jobs, Machines
from celluler_sim.workloads.clients import (
    LAWS,
    TOKEN_WINDOW,
    WINDOW,
    Clients,
    client_facts,
    clients_from,
    llm_client_generator,
)
from celluler_sim.workloads.replay import SOURCES, between, data_folder, one_of
from celluler_sim.workloads.serving import Requests, Serving

_CV_RANGE = (0.05, 100.0)  # a gamma or Weibull law outside is numerically a clock, or a single burst


@dataclass(frozen=True)
class _Prepared:
    """What `LlmClients.prepare` has read, and the windows drawn last."""

    clients: Clients
    unit_size: float
    facts: Mapping[str, float]
    drawn: dict[tuple[int, int], Jobs] = field(default_factory=dict)  # by key of the draws and window


@register("workload", "llm_clients")
@dataclass(frozen=True, kw_only=True)
class LlmClients(Serving):
    """One consumer a client of a hosted model, with its own rate, bursts and hours: the trace of Xiang et al. (2025).

    The trace gives each client's rate and burstiness in windows of 10 minutes. In a window, its requests are a
    stationary gamma or Weibull renewal process (the law that the trace found best) with that rate and coefficient of
    variation. ``scale`` multiplies every rate and leaves the coefficients of variation, so bursts stay as uneven,
    though of fewer requests: thinning them at random would smooth them into Poisson arrivals.
    Tokens are lognormal around the client's mean in windows of 6 hours; where the trace has none, around
    the client's mean or the median client's. Values and patience are left to the consumers.
    """

    path: str | None = None  # the folder of the trace
    source: Literal["trace", "fitted"] = "trace"  # fitted: generated from laws fitted to the trace, no file needed
    model: Literal["m-small", "deepseek-r1"] = "m-small"  # 14 days, 1,174 requests/s; or 1 day, 16 requests/s
    scale: float = 0.01  # factor on every rate
    clients: int | None = None  # to generate, where the source is fitted; as many as the trace has by default
    days: float | None = None  # to generate, where the source is fitted; as long as the trace by default

    _state: ClassVar[_Prepared | None] = None  # set on the instance by `prepare`

    def __post_init__(self) -> None:
        """Check ranges."""
        self.check_serving()
        one_of("source", self.source, SOURCES)
        one_of("model", self.model, tuple(LAWS))
        require("workload.scale", self.scale, above=0)
        if self.clients is not None:
            require("workload.clients", self.clients, at_least=1)
        if self.days is not None:
            require("workload.days", self.days, above=0, unit="days")

    @property
    def resources(self) -> tuple[str, ...]:
        """No resource beside the priced capacity."""
        return ()

    def prepare(self, streams: Streams, unit_size: float) -> None:
        """Read or generate the clients; raises `TraceError` where a file is missing, wrong or damaged."""
        if self.source == "fitted":
            clients = llm_client_generator(streams.at("workload.fitted"), self.model, self.days, self.clients)
        else:
            from celluler_sim.workloads.readers import read_llm_client_rates, read_llm_client_tokens

            place = data_folder(self.path, "llm_clients_2025")
            rates, tokens = read_llm_client_rates(place, self.model), read_llm_client_tokens(place, self.model)
            clients = clients_from(rates, tokens)
        facts = client_facts(clients)
        facts["replayed_requests_per_second"] = self.scale * facts["requests_per_second"]
        object.__setattr__(self, "_state", _Prepared(clients, unit_size, facts))

    def machines(self) -> Machines | None:
        """Return None: the scenario's own providers serve."""
        return None

    def n_consumers(self) -> int | None:
        """Return the number of clients."""
        return len(self._ready().clients.rate)

    def duration(self) -> float | None:
        """Return the length of the record in seconds."""
        return self._ready().clients.seconds

    def arrivals(self, streams: Streams, tick: int, start: float, end: float, rate: Floats) -> Jobs:  # noqa: ARG002
        """Return the requests made in [start, end); they do not depend on how the time is cut into ticks."""
        first, last = int(start // WINDOW), int(np.ceil(end / WINDOW))
        windows = [between(self._window(streams, w), start, end) for w in range(first, max(last, first + 1))]
        if len(windows) == 1:
            return windows[0]
        columns = windows[0].__dataclass_fields__
        return Jobs(**{name: np.concatenate([getattr(w, name) for w in windows]) for name in columns})

    def facts(self) -> Mapping[str, float]:
        """Return the trace's own figures."""
        return self._ready().facts

    def _window(self, streams: Streams, window: int) -> Jobs:
        """Return all requests of one window, drawn once and kept until a later window is asked for."""
        drawn = self._ready().drawn
        place = (streams.key("workload.requests", window), window)
        if place not in drawn:
            for old in [p for p in drawn if p[1] < window - 1 or p[1] > window]:
                del drawn[old]
            drawn[place] = self._draw(streams, window)
        return drawn[place]

    def _draw(self, streams: Streams, window: int) -> Jobs:
        """Draw one window: arrivals of every client, then the tokens of every request."""
        from celluler_sim.workloads.arrival_kernels import renewals

        state = self._ready()
        clients = state.clients
        n, n_windows = clients.rate.shape
        column = min(window, n_windows - 1)
        rate = self.scale * clients.rate[:, column] * (window < n_windows)
        weibull = clients.weibull[:, column]
        shape = _shape(clients.cv[:, column], weibull)
        keys = mix64(streams.key("workload.requests", window), np.arange(n))
        client, time = renewals(keys, rate, shape, weibull, WINDOW)
        nth = np.arange(len(client)) - np.searchsorted(client, client)
        order = np.argsort(time, kind="stable")
        client, nth = client[order], nth[order]
        place = client + (nth << 32)  # a client's draws stay its own whatever the others do
        six_hours = min(int(window * WINDOW // TOKEN_WINDOW), clients.context.shape[1] - 1)
        row = (client, six_hours)
        sizes = [
            _tokens(streams.draws(f"workload.{name}", window).normal(place), mean[row], spread[row])
            for name, mean, spread in (
                ("context", clients.context, clients.context_spread),
                ("generated", clients.generated, clients.generated_spread),
            )
        ]
        return self.jobs(client, Requests(window * WINDOW + time[order], *sizes), state.unit_size)

    def _ready(self) -> _Prepared:
        if self._state is None:
            raise ScenarioError("workload llm_clients must be prepared before it is used: call prepare first")
        return self._state


def _tokens(normal: Floats, mean: Floats, spread: Floats) -> Floats:
    """Return lognormal token counts with the given means, whole and at least 1."""
    return np.maximum(np.rint(mean * np.exp(spread * normal - spread**2 / 2)), 1.0)


def _shape(cv: Floats, weibull: npt.NDArray[np.bool_]) -> Floats:
    """Return the shape of the gamma or Weibull law with each coefficient of variation, (n,).

    Gamma: 1 / cv^2. Weibull: cv^2 + 1 = Gamma(1 + 2/k) / Gamma(1 + 1/k)^2, read backwards from a table.
    """
    from scipy.special import gammaln

    cv = np.clip(cv, *_CV_RANGE)
    k = np.geomspace(0.1, 40.0, 2000)
    of_k = np.sqrt(np.expm1(gammaln(1 + 2 / k) - 2 * gammaln(1 + 1 / k)))
    return np.where(weibull, np.exp(np.interp(np.log(cv), np.log(of_k[::-1]), np.log(k[::-1]))), 1 / cv**2)
