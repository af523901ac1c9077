"""Writes trust down: rows of `deliveries`, `penalties` and `reputation`. Tables alone show who cheats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from celluler_sim.book import Floats, Slots
from celluler_sim.institutions.base import Columns
from celluler_sim.institutions.trust_conduct import Deliveries
from celluler_sim.institutions.trust_judging import Findings
from celluler_sim.ledger import Amounts
from celluler_sim.mechanisms.penalties import OFFENCES
from celluler_sim.recorder import Coded

if TYPE_CHECKING:
    from celluler_sim.economy import Tick
    from celluler_sim.institutions.trust_running import RunningTrust

APPEALS = ("none", "rejected", "granted")


class TrustLog:
    """The tables of one trust, as it fills them."""

    def __init__(self, trust: RunningTrust) -> None:
        self.trust = trust
        self.renamed = 0  # whitewashers that came back under another name, so far
        self._n_penalties = 0

    def deliveries(
        self, tick: Tick, fills: Columns, d: Deliveries, f: Findings, latency: Floats, share: Floats, fine: Floats
    ) -> None:
        """Log deliveries, and what became of them."""
        price = fills["price"] * fills["work"]
        suspicion = f.verdicts.scores(self.trust.economy.providers.size)[d.provider]
        self.trust.economy.recorder.log(
            "deliveries", fill=d.fill, tick=tick.number, provider=d.provider, consumer=fills["consumer"],
            claimed=d.claimed, found=d.found, wrong=d.answer > 0, failed=d.failed, cheated=d.cheated,
            latency_ms=latency, checked=f.checked, guilty=f.guilty, suspicion=suspicion, price_prana=price,
            earned_prana=share * price, lost_prana=np.maximum(0.0, share - (1.0 - d.missing)) * price, fine_prana=fine,
            check_prana=np.where(f.checked, f.verdicts.cost / max(1, int(f.checked.sum())), 0.0),
        )  # fmt: skip

    def penalties(
        self, tick: Tick, kind: str, provider: Slots, offence: Slots, slashed: Amounts, appeal: Any
    ) -> None:  # fmt: skip
        """Log fines, accusations and breaches."""
        n = len(provider)
        if not n:
            return
        t = self.trust
        codes = np.array([APPEALS.index(a) for a in ([appeal] * n if isinstance(appeal, str) else appeal.tolist())])
        t.economy.recorder.log(
            "penalties", penalty=self._n_penalties + np.arange(n), tick=tick.number, provider=provider, kind=kind,
            offence=Coded(np.asarray(offence, np.int64), OFFENCES), slashed_prana=slashed,
            score=t.scores[provider], appeal=Coded(codes, APPEALS), cheat=t.conduct.fraud[provider] >= 0,
        )  # fmt: skip
        self._n_penalties += n

    def reputation(self, tick: Tick) -> None:
        """Log where every active provider stands."""
        t, p = self.trust, self.trust.economy.providers
        slots = np.flatnonzero(p.active)
        nodes = t.names.first + slots
        metrics = t.standing.metrics[nodes]
        t.economy.recorder.log(
            "reputation", tick=tick.number, provider=slots, score=t.scores[slots], reliability=metrics[:, 0],
            performance=metrics[:, 1], fairness=metrics[:, 2], penalty=t.standing.lost[nodes],
            suspicion=-np.expm1(-np.maximum(t.suspicion.log_e[slots], 0.0)), admitted=t.welcome(slots, tick.end),
            bond_prana=t.economy.ledger.staked(p["account"][slots]),
            fraud=Coded(t.conduct.fraud[slots] + 1, ("honest", *t.conduct.names)),
            propensity=t.conduct.propensity[slots],
        )  # fmt: skip
