"""Trust in one running economy: deliveries are measured, checked and rated; breaches cost money, name and admission."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Codes, Floats, Slots
from celluler_sim.consensus.base import STAKE
from celluler_sim.institutions.base import Columns, Institution
from celluler_sim.institutions.trust_bonds import Bonds
from celluler_sim.institutions.trust_conduct import Conduct, Deliveries
from celluler_sim.institutions.trust_judging import Findings, examine, offence_of
from celluler_sim.institutions.trust_log import TrustLog
from celluler_sim.institutions.trust_money import consequences, payoffs
from celluler_sim.institutions.trust_names import Names
from celluler_sim.institutions.trust_purse import Purse
from celluler_sim.institutions.trust_reports import ReportBook
from celluler_sim.institutions.trust_rings import Rings, Screening
from celluler_sim.institutions.trust_service import ServiceBook
from celluler_sim.mechanisms.base import guarded
from celluler_sim.mechanisms.penalties import OFFENCES, charged, pardoned
from celluler_sim.mechanisms.reputation import Links, Ratings
from celluler_sim.mechanisms.verification import Verdicts

if TYPE_CHECKING:
    from celluler_sim.economy import Economy, Tick
    from celluler_sim.institutions.trust import StandardTrust

COLLUSION = OFFENCES.index("collusion")
Bools = npt.NDArray[np.bool_]


class RunningTrust(Institution):
    """The trust of one economy: what is known of every provider, and what is done about it."""

    kinds: ClassVar[tuple[int, ...]] = (STAKE,)

    def __init__(self, economy: Economy, rule: StandardTrust) -> None:
        super().__init__(economy)
        self.conduct = Conduct(economy.streams, rule.fraud, rule.failure_rate)
        self.conduct.grow(economy.providers.size, self._fronts())
        self.names = Names(economy, self.conduct)
        self.purse = Purse(economy, rule.payer)
        self.bonds = Bonds(economy, rule.bond_prana, self.purse.account)
        self.service = ServiceBook(economy, rule)
        self.rings = Rings(economy, self.conduct, rule.ring)
        self.screening = Screening(economy, rule.screen_s, rule.screen_every)
        self.log = TrustLog(self)
        self.standing = self.mechanism("reputation").start(self.names.first)
        self.suspicion = rule.accumulation.start(0)
        self.reports = ReportBook(self)
        self.until: Floats = np.zeros(0)  # (n_providers,) s, end of each one's suspension
        self.short: Floats = np.zeros(0)  # (n_providers,) share found missing in checks since cleared, exactly, summed
        self._colluding: Slots = np.zeros(0, np.int64)  # accused by a screen in this tick
        self._due: list[tuple[Slots, Floats, Slots]] = []  # fines to be executed: provider, PRANA, offence
        self._fees: list[tuple[Slots, Floats]] = []  # towards checks, to be collected: provider, PRANA
        self._verdicts: list[Verdicts] = []
        self._ratings: list[Ratings] = []
        self._learned: list[tuple[Deliveries, Floats]] = []
        self._grow()

    @property
    def rule(self) -> StandardTrust:
        """The terms that are in force now: governance may change some."""
        rule: StandardTrust = self.economy.setup.mechanisms["trust"]
        return rule

    def mechanism(self, family: str) -> Any:
        """Return the rule of a family that is in force now."""
        return self.economy.setup.mechanisms[family]

    @property
    def scores(self) -> Floats:
        """Every provider's reputation, (n_providers,), [0, 1]."""
        return np.asarray(self.standing.score[self.names.first :])

    def _fronts(self) -> Slots:
        """Return the providers as which others sell together, (n,)."""
        return np.concatenate([np.zeros(0, np.int64), *(other.fronts() for other in self.economy.institutions)])

    def _grow(self) -> None:
        """Take in providers that are new."""
        n, known = self.economy.providers.size, len(self.until)
        if n == known:
            return
        more = n - known
        self.conduct.grow(n, self._fronts())
        self.standing = self.mechanism("reputation").grow(self.standing, more)
        self.suspicion = self.rule.accumulation.grow(self.suspicion, more)
        self.reports.grow(more)
        self.until, self.short = (np.concatenate([column, np.zeros(more)]) for column in (self.until, self.short))
        self.service.grow(n)
        self.bonds.lend(np.arange(known, n))

    # ---- the hooks of a tick, in order -----------------------------------------------------------------------------

    def act(self, tick: Tick) -> None:
        """Let rings announce their asks."""
        self.rings.act(tick)

    def clear(self, tick: Tick) -> None:
        """Note who sold what at which ask, and screen that now and then."""
        self.rings.sales.note()
        if self.mechanism("screens").name != "none":
            self._colluding = self.screening.note(tick, self.names.washes(), self.purse).accused

    def delivered(self, fills: Columns, jobs: Columns, tick: Tick) -> Floats | None:  # noqa: ARG002 - fills say it all
        """Measure, check and rate what has ended, and return what it earned."""
        self._grow()
        if not len(fills["fill"]):
            return None
        deliveries = self.conduct.deliver(fills)
        findings = self._examined(deliveries, tick)
        self.purse.pay("delivery", findings, deliveries.fill)
        latency = self.service.observe(deliveries, findings, fills["end"])
        price = fills["price"] * fills["work"]
        verification = self.mechanism("verification")
        share, fine = consequences(self.rule, self.mechanism("penalty"), verification, price, deliveries, findings)
        good = np.where(deliveries.failed | findings.guilty, 0.0, 1.0)
        self._ratings.append(self.names.ratings(self.rule.quality, fills, good, latency, tick))
        self._verdicts.append(findings.verdicts)
        np.add.at(self.short, fills["provider"], np.where(findings.checked, _exact_shortfall(deliveries), 0.0))
        self._due.append((fills["provider"], fine, np.full(len(fine), offence_of(verification))))
        if self.rule.check_fee > 0:
            earned = share * (fills["price"] - fills["skim"]) * fills["work"]
            self._fees.append((fills["provider"], self.rule.check_fee * earned))
        cost = self.economy.providers["energy_cost"][fills["provider"]] * fills["work"]
        self._learned.append((deliveries, payoffs(self.rule, self.conduct, price, cost, deliveries, share, fine)))
        self.log.deliveries(tick, fills, deliveries, findings, latency, share, fine)
        return share

    def _examined(self, deliveries: Deliveries, tick: Tick) -> Findings:
        rule, p = self.mechanism("verification"), self.economy.providers
        draws = self.economy.streams.draws("trust.verification")
        helpers = np.flatnonzero(p.active)

        def asked(agent: Slots, item: Slots) -> Slots:
            return self.conduct.answers(agent, item)[1]

        return guarded(
            "verification", rule, tick.number,
            lambda: examine(rule, deliveries.evidence(), draws, helpers, asked, self.purse.most(rule)),
        )  # fmt: skip

    def stated(self, member: Slots, held: Floats, tick: Tick) -> Floats:  # noqa: ARG002 - whatever the time
        """Return what members of pools say that they bring, (n, n_resources): some overstate it."""
        self._grow()
        return self.reports.said(member, held)

    def believed(self, member: Slots, held: Floats, said: Floats, tick: Tick) -> Floats:  # noqa: ARG002 - checks show it
        """Return what their pools go by, (n, n_resources), once some reports have been checked."""
        return self.reports.believed(member, said)

    def overpaid(self, member: Slots, gain: Floats, tick: Tick) -> None:
        """Fine what was found out; ``gain`` is what each member's word brings it over the truth, (n,) PRANA."""
        self.reports.overpaid(member, gain, tick)

    def admits(self, provider: Slots, tick: Tick) -> Bools:
        """Return who has name and bond enough, and is not suspended; who is spoilt may come back under another name."""
        self._grow()
        if self.rule.min_reputation > 0:
            self._rename(tick)
        return self.welcome(provider, tick.start)

    def welcome(self, provider: Slots, when: float) -> Bools:
        """Return which providers may offer at a moment (s), as things stand, (n,)."""
        good = self.scores[provider] >= self.rule.min_reputation
        return np.asarray(good & (self.until[provider] <= when) & self.bonds.enough(provider))

    def _rename(self, tick: Tick) -> None:
        """Let whitewashers that would not be let in begin anew, with what is known of a newcomer."""
        slots = np.arange(len(self.until))
        renames = self.conduct.trait("renames", slots).astype(np.bool_) & self.economy.providers.active
        who = slots[renames & ((self.scores < self.rule.min_reputation) | (self.until > tick.start))]
        if len(who):
            self.standing = _reset(self.mechanism("reputation"), self.standing, self.names.first + who)
            self.suspicion = self.rule.accumulation.cleared(self.suspicion, who)
            self.until[who] = self.short[who] = 0.0
            self.log.renamed += len(who)

    def judge(self, tick: Tick) -> None:
        """Collect fees and fines, accuse and hear appeals, review the quality of service, renew reputations."""
        self._grow()
        for provider, fee in self._fees:
            self.bonds.charge(provider, fee)
        for provider, fine, offence in self._due:
            rows = np.flatnonzero(fine > 0)
            paid = self.bonds.slash(provider[rows], fine[rows])
            self.log.penalties(tick, "fine", provider[rows], offence[rows], paid, "none")
        self._renew(tick)
        for verdicts in self._verdicts:
            self.suspicion = self.rule.accumulation.update(self.suspicion, verdicts)
        accused = self.rule.accumulation.verdicts(self.suspicion).accused
        if len(accused):
            self.accuse(accused, offence_of(self.mechanism("verification")), tick)
        if len(self._colluding):
            self.accuse(self._colluding, COLLUSION, tick)
            self._colluding = np.zeros(0, np.int64)
        self._review(tick)
        self.bonds.refill(tick)
        self._due, self._fees, self._verdicts, self._ratings = [], [], [], []

    def ordered(self, kind: int, number: Slots, final: Floats, tick: Tick) -> None:  # noqa: ARG002 - all are stakes
        """Lock what providers add to their bonds."""
        self.bonds.final(number)

    def expired(self, number: Slots, tick: Tick) -> None:  # noqa: ARG002 - whenever it was
        """Forget additions to bonds that were not final in time."""
        self.bonds.expired(number)

    def _renew(self, tick: Tick) -> None:
        rule = self.mechanism("reputation")
        parts = [*self._ratings, self.names.praises(tick)]
        columns = [
            np.concatenate([getattr(r, c) for r in parts]) for c in ("ratee", "value", "metric", "rater", "time")
        ]
        ratings = Ratings.of(*columns)
        trusted = self.names.spending(len(self.standing))
        self.standing = guarded(
            "reputation", rule, tick.number, lambda: rule.update(self.standing, ratings, tick.end, trusted)
        )

    def accuse(self, accused: Slots, offence_code: int, tick: Tick) -> None:
        """Punish those accused; an appeal that is granted gives everything back."""
        rule, penalty = self.rule, self.mechanism("penalty")
        offence = np.full(len(accused), offence_code)
        before = self.standing.lost
        self._charge(accused, offence)
        slashed = self.bonds.slash(accused, penalty.slashed(penalty.severity(offence)) * rule.bond_prana)
        self.until[accused] = tick.end + rule.suspension_s
        appeal = np.full(len(accused), "none", dtype="<U8")
        if rule.appeals and offence_code != COLLUSION:  # what was agreed upon leaves nothing to measure again
            appeals = ~self.conduct.tainted[accused]  # who knows better does not pay for losing
            innocent = self.short[accused] <= 0.0
            granted = appeals & innocent
            appeal[appeals & ~innocent], appeal[granted] = "rejected", "granted"
            cleared = accused[granted]
            self.standing = pardoned(self.standing, before, self.names.first + cleared)
            self.bonds.give_back(cleared, slashed[granted])
            self.until[cleared] = 0.0
            lost = accused[appeals & ~innocent]
            self.bonds.charge(lost, np.full(len(lost), rule.appeal_fee_prana))
        self.log.penalties(tick, "accusation", accused, offence, slashed, appeal)
        self.suspicion = rule.accumulation.cleared(self.suspicion, accused)
        self.short[accused], self.conduct.tainted[accused] = 0.0, False

    def _review(self, tick: Tick) -> None:
        """At a period's end: charge breaches of what was agreed."""
        found = self.service.review(tick)
        if found is not None and len(found[0]):
            provider, offence = found
            self._charge(provider, offence)
            penalty = self.mechanism("penalty")
            slashed = self.bonds.slash(provider, penalty.slashed(penalty.severity(offence)) * self.rule.bond_prana)
            self.log.penalties(tick, "breach", provider, offence.astype(np.int64), slashed, "none")

    def _charge(self, provider: Slots, offence: Slots | Codes) -> None:
        self.standing = charged(self.standing, self.mechanism("penalty"), self.names.first + provider, offence)

    def learn(self, tick: Tick) -> None:
        """Let cheats learn from what happened to them."""
        for deliveries, payoff in self._learned:
            self.conduct.learn(deliveries, payoff, tick.number)
        self._learned = []

    def record(self, tick: Tick) -> None:
        """Write down what checks cost, and everybody's reputation as often as agents are sampled."""
        self.purse.record(tick)
        every = self.economy.setup.record.agents_every
        if every and tick.number % every == 0:
            self._grow()
            self.log.reputation(tick)


def _exact_shortfall(d: Deliveries) -> Floats:
    """Return what an exact second look shows, (n,): the share missing, 1 for a wrong result."""
    return np.where(d.answer > 0, 1.0, d.missing)


def _reset(rule: Any, standing: Any, who: Slots) -> Any:
    """Return the standing with some agents as if nothing were known of them."""
    new = rule.start(len(standing))
    columns = {}
    for name in ("good", "bad", "lost", "metrics", "merit"):
        column = getattr(standing, name).copy()
        column[who] = getattr(new, name)[who]
        columns[name] = column
    keep = ~np.isin(standing.links.trustee, who) & ~np.isin(standing.links.truster, who)
    links = Links(standing.links.truster[keep], standing.links.trustee[keep], standing.links.balance[keep])
    return replace(standing, **columns, links=links)
