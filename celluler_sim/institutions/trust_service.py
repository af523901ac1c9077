"""The quality of service: what customers got from each provider over a period, and whether that was as agreed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from celluler_sim.book import Codes, Floats, Slots
from celluler_sim.institutions.trust_conduct import Deliveries
from celluler_sim.institutions.trust_judging import Findings
from celluler_sim.mechanisms.quality import Service, latency

if TYPE_CHECKING:
    from celluler_sim.economy import Economy, Tick
    from celluler_sim.institutions.trust import StandardTrust


class ServiceBook:
    """Counts what each provider delivered since the last review."""

    def __init__(self, economy: Economy, rule: StandardTrust) -> None:
        self.economy, self.rule = economy, rule
        self._columns = np.zeros((0, 4))  # (n_providers, 4): deliveries, seen to fail, ms of latency, found wrong
        self._next = rule.review_s

    def grow(self, n: int) -> None:
        """Make room for ``n`` providers."""
        self._columns = np.concatenate([self._columns, np.zeros((n - len(self._columns), 4))])

    def latency(self, provider: Slots) -> Floats:
        """Return the mean time to an answer, (n,) ms, at the load that each provider has now, by the law of queues."""
        p, rule = self.economy.providers, self.rule
        busy = self.economy.market.busy(p.size) + self._leaving(p.size)
        load = busy[provider] / np.maximum(p["capacity"][provider], 1e-300)
        n = len(provider)
        return latency(load, np.full(n, rule.servers), np.full(n, rule.service_ms))

    def _leaving(self, n: int) -> Floats:
        """Return the capacity of what has just ended: it was in use until then."""
        gone = self.economy.market._released  # noqa: SLF001 - what ended in this tick was busy until it ended
        return np.bincount(gone["provider"], gone["quantity"], minlength=n).astype(np.float64)

    def observe(self, deliveries: Deliveries, findings: Findings) -> Floats:
        """Count deliveries that have ended, and return the latency of each, (n,) ms."""
        provider = deliveries.provider
        ms = self.latency(provider)
        wrong = findings.guilty & (deliveries.answer > 0)
        rows = np.stack([np.ones(len(ms)), deliveries.failed, ms, wrong], axis=1)
        np.add.at(self._columns, provider, rows)
        return ms

    def review(self, tick: Tick) -> tuple[Slots, Codes] | None:
        """Return the breaches of a period that has just ended, as `QualityTerms.breaches` does; None within one."""
        if tick.end < self._next * (1 - 1e-12):
            return None
        self._next = tick.end + self.rule.review_s
        agent = np.flatnonzero(self._columns[:, 0] > 0)
        n, failed, ms, wrong = self._columns[agent].T
        capacity = self.economy.providers["capacity"][agent]
        uptime = 1.0 - failed / n
        service = Service(
            agent, uptime, ms / n, uptime * capacity * self.rule.requests_per_unit, wrong.astype(np.int64)
        )
        self._columns[:] = 0.0
        return self.rule.quality.breaches(service)
