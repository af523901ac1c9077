"""What members of pools report, as trust sees it: who overstates, which reports are checked, what that costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from celluler_sim.book import Floats, Slots
from celluler_sim.institutions.trust_judging import Bools, Findings, examine
from celluler_sim.mechanisms.penalties import OFFENCES
from celluler_sim.mechanisms.verification import Evidence, Metering, Verdicts, Verification

if TYPE_CHECKING:
    from celluler_sim.economy import Tick
    from celluler_sim.institutions.trust_running import RunningTrust

MANIPULATION = OFFENCES.index("profit_manipulation")


class ReportBook:
    """The reports of one period, from what is said to what it cost; and what is held against whom over periods.

    A meter is the only check that tells how much a machine can do, so rules that repeat work or count failures look at
    no report. Suspicion from reports adds up by itself, beside that from deliveries.
    """

    def __init__(self, trust: RunningTrust) -> None:
        self.trust = trust
        self.suspicion = trust.rule.accumulation.start(0)
        self._n = 0
        self._number: Slots = np.zeros(0, np.int64)  # (n,) of this period's reports
        self._lies: Bools = np.zeros(0, np.bool_)  #   (n,)
        self._depth: Floats = np.zeros(0)  #           (n,) share of what was said that is not there
        self._held: Floats = np.zeros(0)  #            (n,) compute that is there
        self._findings = _unchecked(0)

    def grow(self, more: int) -> None:
        """Make room for newcomers."""
        self.suspicion = self.trust.rule.accumulation.grow(self.suspicion, more)

    def said(self, member: Slots, held: Floats) -> Floats:
        """Return what members say that they bring, (n, n_resources)."""
        conduct, n = self.trust.conduct, len(member)
        self._number, self._n = self._n + np.arange(n), self._n + n
        self._lies = conduct.overstates(member, self._number)
        self._depth = np.where(self._lies, conduct.config.depth, 0.0)
        self._held = held[:, 0].copy()
        return held / (1.0 - self._depth)[:, None]

    def believed(self, member: Slots, said: Floats) -> Floats:
        """Look at some reports, and return what pools go by, (n, n_resources): what was found out is put right."""
        f = self._findings = self._examined(member)
        self.trust.purse.pay("report", f, self._number)
        np.add.at(self.trust.short, member[f.checked], self._depth[f.checked])
        self.suspicion = self.trust.rule.accumulation.update(self.suspicion, f.verdicts)
        return said * (1.0 - f.missing * self.trust.rule.forfeits)[:, None]

    def _examined(self, member: Slots) -> Findings:
        rule: Verification = self.trust.mechanism("verification")
        n = len(member)
        if not isinstance(rule, Metering):
            return _unchecked(n)
        evidence = Evidence.of(member, self._number, self._number, 1.0, 1.0 - self._depth)
        draws = self.trust.economy.streams.draws("trust.verification.reports")
        return examine(rule, evidence, draws, member, lambda _, item: item, self.trust.purse.most(rule))

    def overpaid(self, member: Slots, gain: Floats, tick: Tick) -> None:
        """Fine what a lie was worth if it was found, accuse whom many were found of, and let liars learn."""
        trust, rule, f = self.trust, self.trust.rule, self._findings
        gain = np.where(self._lies, gain, 0.0)
        fine = rule.fine_multiple * np.maximum(gain, 0.0) * f.guilty
        rows = np.flatnonzero(fine > 0)
        paid = trust.bonds.slash(member[rows], fine[rows])
        trust.log.penalties(tick, "fine", member[rows], np.full(len(rows), MANIPULATION), paid, "none")
        kept = np.where(f.guilty & rule.forfeits, 0.0, gain)
        stake = (1.0 + rule.fine_multiple) * np.abs(gain)
        payoff = np.clip((kept - fine) / np.where(stake > 0, stake, 1.0), -1.0, 1.0)
        trust.conduct.learn_of_reports(member, self._lies, payoff, tick.number)
        self._log(member, gain, fine, tick)
        accused = rule.accumulation.verdicts(self.suspicion).accused
        if len(accused):
            trust.accuse(accused, MANIPULATION, tick)
            self.suspicion = rule.accumulation.cleared(self.suspicion, accused)

    def _log(self, member: Slots, gain: Floats, fine: Floats, tick: Tick) -> None:
        if not len(member):
            return
        f = self._findings
        self.trust.economy.recorder.log(
            "reports", report=self._number, tick=tick.number, member=member, held=self._held,
            said=self._held / (1.0 - self._depth), overstated=self._lies, checked=f.checked, guilty=f.guilty,
            believed=self._held / (1.0 - self._depth) * (1.0 - f.missing * self.trust.rule.forfeits),
            gain_prana=gain, fine_prana=fine,
            check_prana=np.where(f.checked, f.verdicts.cost / max(1, int(f.checked.sum())), 0.0),
        )  # fmt: skip


def _unchecked(n: int) -> Findings:
    """Return that nothing was looked at."""
    return Findings(np.zeros(n, np.bool_), np.zeros(n, np.bool_), np.zeros(n), Verdicts.nobody())
