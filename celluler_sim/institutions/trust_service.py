"""The quality of service: what customers got from each provider over a period, and whether that was as agreed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

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

    def latency(self, provider: Slots, end: Floats) -> Floats:
        """Return the mean time to an answer, (n,) ms, by the law of queues.

        The load is the provider's when the job ended (s), or when the tick began if that was earlier: what has started
        since is not cleared yet.
        """
        began = (self.economy.steps - 1) * self.economy.setup.tick_seconds
        capacity = self.economy.providers["capacity"][provider]
        load = self._busy(provider, np.minimum(end, began)) / np.maximum(capacity, 1e-300)
        n, rule = len(provider), self.rule
        return latency(load, np.full(n, rule.servers), np.full(n, rule.service_ms))

    def _busy(self, provider: Slots, when: Floats) -> Floats:
        """Return the capacity in use at each of these providers at that moment (s), (n,) units/s."""
        market = self.economy.market
        both = (market.fills, market._released)  # noqa: SLF001 - what ended in this tick was busy until it ended
        who, quantity, start, end = (
            np.concatenate([f[c] for f in both]) for c in ("provider", "quantity", "start", "end")
        )
        begun = sum_before(who, start, quantity, provider, when, side="right")
        return np.maximum(begun - sum_before(who, end, quantity, provider, when, side="left"), 0.0)

    def observe(self, deliveries: Deliveries, findings: Findings, end: Floats) -> Floats:
        """Count deliveries that ended at these moments (s), and return the latency of each, (n,) ms."""
        provider = deliveries.provider
        ms = self.latency(provider, end)
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


def sum_before(
    who: Slots, at: Floats, quantity: Floats, provider: Slots, when: Floats, *, side: Literal["left", "right"]
) -> Floats:
    """Return what each provider has in ``quantity`` (n_fills,) before a moment ``when``, (n,); ``right`` counts it in.

    Fills are sorted by provider and moment, moments by their rank, so that equal ones stay equal.
    """
    rank = np.unique(np.concatenate([at, when]), return_inverse=True)[1]
    step = len(rank) + 1
    key, wanted = who * step + rank[: len(at)], provider * step + rank[len(at) :]
    order = np.argsort(key, kind="stable")
    total = np.concatenate([[0.0], np.cumsum(quantity[order])])
    first = np.searchsorted(key[order], provider * step, side="left")
    return np.asarray(total[np.searchsorted(key[order], wanted, side=side)] - total[first])
