"""Quality of service: what was agreed, how latency follows from load, and what counts as a breach."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from celluler_sim.book import Codes, Floats, Frozen, Slots
from celluler_sim.errors import require
from celluler_sim.mechanisms.penalties import OFFENCES

DOWNTIME, SLOW_RESPONSE, INCORRECT_RESULT = (
    OFFENCES.index(n) for n in ("downtime", "slow_response", "incorrect_result")
)


@dataclass(frozen=True)
class Service(Frozen):
    """What customers got from each agent over a period, one row an agent."""

    agent: Slots  #    (n,) slot
    uptime: Floats  #  (n,) share of the time in which it answered
    latency: Floats  # (n,) ms, mean time to an answer
    throughput: Floats  # (n,) requests/s it could serve
    wrong: Slots  #    (n,) results found wrong


@dataclass(frozen=True, kw_only=True)
class QualityTerms:
    """The seed's service level, and what a breach gives back to the customer."""

    uptime: float = 0.99  # share of the time
    latency_ms: float = 100.0  # ms, mean time to an answer, at most
    throughput: float = 1000.0  # requests/s, at least
    compensation: float = 0.0  # share of what was paid that a breach gives back to the customer, times its severity

    def __post_init__(self) -> None:
        """Check the ranges."""
        require("quality.uptime", self.uptime, at_least=0, at_most=1)
        require("quality.latency_ms", self.latency_ms, above=0, unit="ms")
        require("quality.throughput", self.throughput, at_least=0, unit="requests/s")
        require("quality.compensation", self.compensation, at_least=0, at_most=1)

    def breaches(self, service: Service) -> tuple[Slots, Codes]:
        """Return (agent, place in `OFFENCES`) of each breach, both (n_breaches,), agent by agent.

        Downtime: uptime below the target. Slow response: latency above, or throughput below, the target; one breach
        for both. Incorrect result: one for each wrong result.
        """
        down = service.uptime < self.uptime
        slow = (service.latency > self.latency_ms) | (service.throughput < self.throughput)
        count = np.column_stack([down, slow, service.wrong]).astype(np.int64)
        kinds = np.tile(np.array([DOWNTIME, SLOW_RESPONSE, INCORRECT_RESULT], np.int8), len(service.agent))
        return np.repeat(service.agent, count.sum(axis=1)), np.repeat(kinds, count.reshape(-1))

    def compensated(self, paid: Floats, severity: Floats) -> Floats:
        """Return what goes back to customers, (n,), PRANA, for breaches of such ``severity``, (n,), [0, 1]."""
        return np.minimum(paid, paid * self.compensation * severity)


def latency(load: Floats, servers: Floats, service: Floats, scv: float = 1.0, ceiling: float = 0.99) -> Floats:
    """Return the mean time to an answer, (n,), in the unit of ``service``: waiting in a queue plus being served.

    W = s (1 + rho^(sqrt(2 (c + 1)) - 1) / (c (1 - rho)) (1 + scv) / 2), Sakasegawa's form of the M/G/c wait: exact for
    one server, and within a few per cent of Erlang's for more.

    Parameters
    ----------
    load
        (n,) rho, share of the servers that is busy, >= 0. Above ``ceiling`` the queue has no steady state that a tick
        could reach; the latency stays at the ceiling's.
    servers
        (n,) c, >= 1.
    service
        (n,) s, mean time to serve one request.
    scv
        squared coefficient of variation of the time to serve: 1 exponential, 0 constant.

    References
    ----------
    Sakasegawa (1977), An approximation formula Lq = alpha rho^beta / (1 - rho).
    """
    rho, c = np.clip(load, 0.0, ceiling), np.asarray(servers, dtype=np.float64)
    wait = rho ** (np.sqrt(2.0 * (c + 1.0)) - 1.0) / (c * (1.0 - rho)) * (1.0 + scv) / 2.0
    return np.asarray(service * (1.0 + wait))
