"""The governance of one running economy: proposals are submitted, voted on, counted and executed."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from celluler_sim.book import Floats, Slots
from celluler_sim.consensus.base import PROPOSAL, VOTE
from celluler_sim.errors import CellulerError, ScenarioError
from celluler_sim.institutions.base import Institution
from celluler_sim.institutions.governance_changes import changed, execute
from celluler_sim.institutions.governance_voters import Answer, Question
from celluler_sim.ledger import Amounts
from celluler_sim.markets.rows import Rows
from celluler_sim.mechanisms.base import guarded, registered
from celluler_sim.mechanisms.power import WeightedGame
from celluler_sim.mechanisms.voting import ABSENT, NO, NOBODY, YES, Ballots, Tally
from celluler_sim.recorder import Coded

if TYPE_CHECKING:
    from celluler_sim.economy import Economy, Tick
    from celluler_sim.institutions.governance import OnChain

VOTES = {YES: "yes", NO: "no", 0: "abstain", ABSENT: "absent"}
NOT_COUNTED = Tally(*(Fraction(0),) * 5, quorum_met=False, passed=False, weight=(), vote=())
PARTS = 10_000  # stakes are rounded to this many parts of the whole for power indices


@dataclass
class Motion:
    """One proposal of one run."""

    number: int
    name: str
    status: str = "due"  # due, sent, open, or how it ended
    reason: str = ""
    submitted: float = float("nan")
    opened: float = float("nan")
    closes: float = float("nan")
    bribes: float = 0.0
    ballots: dict[int, tuple[int, int, bool]] = field(default_factory=dict)  # voter: vote, delegate, bribed


class RunningGovernance(Institution):
    """The governance of one economy."""

    kinds: ClassVar[tuple[int, ...]] = (PROPOSAL, VOTE)

    def __init__(self, economy: Economy, rule: OnChain) -> None:
        super().__init__(economy)
        self.rule = rule
        self.motions = [Motion(k, name) for k, name in enumerate(rule.proposals)]
        self.said = Rows(
            number=np.int64, motion=np.int64, voter=np.int64, vote=np.int64, delegate=np.int64, bribed=bool
        )
        voters = rule.voters
        rank = np.arange(1, voters.count + 1)
        weight = rank**-voters.concentration
        self.stakes = Amounts.from_prana(voters.stake_prana * weight / weight.sum())
        self.account = self._endowed(Amounts.from_prana(np.full(voters.count, voters.balance_prana)))
        self.strategies: list[Any] = [registered("voter_behaviour")[name]() for name in voters.behaviours]
        shares = np.array(list(voters.behaviours.values()))
        uniform = economy.streams.draws("governance.behaviour").uniform(rank)
        self.behaviour = np.searchsorted(np.cumsum(shares)[:-1] / shares.sum(), uniform, side="right")

    def _endowed(self, free: Amounts) -> Slots:
        ledger, n = self.economy.ledger, len(free)
        account = ledger.open_accounts(n, self.stakes + free)
        ledger.stake(account, self.stakes)
        return account

    # ---- the hooks of a tick, in order -----------------------------------------------------------------------------

    def act(self, tick: Tick) -> None:
        """Submit proposals that are due, and votes on those that have become final."""
        for motion in self.motions:
            at = self.rule.proposals[motion.name].at_s
            if motion.status == "due" and at < tick.end:
                self._propose(motion, max(at, tick.start))
            elif motion.status == "open" and not motion.ballots and not np.any(self.said["motion"] == motion.number):
                self._vote(motion, max(motion.opened, tick.start))

    def _propose(self, motion: Motion, when: float) -> None:
        proposal = self.rule.proposals[motion.name]
        motion.submitted = when
        try:
            changed(self.economy.setup, proposal.changes)
        except ScenarioError as error:
            self._end(motion, "refused", str(error), when)
            return
        self._submit(PROPOSAL, motion, np.array([proposal.proposer]), when)
        motion.status = "sent"

    def _vote(self, motion: Motion, when: float) -> None:
        answer = self.answers(motion)
        voter = np.flatnonzero((answer.vote != ABSENT) | (answer.delegate != NOBODY))
        self._submit(VOTE, motion, voter, when, answer.vote[voter], answer.delegate[voter], answer.bribed[voter])

    def _submit(self, kind: int, motion: Motion, voter: Slots, when: float, *said: Any) -> None:
        n = len(voter)
        if not n:
            return
        validator = voter % self.economy.setup.consensus.n_validators
        number = self.economy.submit(kind, self.account[voter], validator, np.full(n, when))
        vote, delegate, bribed = said or (np.zeros(n, np.int64), np.full(n, NOBODY), np.zeros(n, np.bool_))
        self.said.append(number=number, motion=motion.number, voter=voter, vote=vote, delegate=delegate, bribed=bribed)

    def answers(self, motion: Motion) -> Answer:
        """Return what every voter does about a proposal, (n_voters,) rows."""
        proposal, draws = self.rule.proposals[motion.name], self.economy.streams.draws("governance.opinion")
        voter = np.arange(len(self.account))
        uniform = draws.uniform(2 * (motion.number * 1_048_583 + voter))
        price = draws.uniform(2 * (motion.number * 1_048_583 + voter) + 1)
        question = Question(voter, uniform < proposal.support, voter - 1, proposal.bribe_prana, price)
        vote, delegate, bribed = (
            np.full(len(voter), ABSENT),
            np.full(len(voter), NOBODY),
            np.zeros(len(voter), np.bool_),
        )
        for code, rule in enumerate(self.strategies):
            mine = self.behaviour == code
            asked = Question(voter[mine], question.favours[mine], question.larger[mine], question.bribe, price[mine])
            said = guarded("voter_behaviour", rule, self.economy.steps - 1, partial(rule.answer, asked))
            vote[mine], delegate[mine], bribed[mine] = said.vote, said.delegate, said.bribed
        vote[proposal.proposer] = YES
        bribed[proposal.proposer] = False
        return Answer(vote, delegate, bribed)

    def ordered(self, kind: int, number: Slots, final: Floats, tick: Tick) -> None:  # noqa: ARG002 - its time counts
        """Open the vote on proposals, and take in votes that are in time."""
        said = self.said.take(np.searchsorted(self.said["number"], number))
        for k, (motion, voter) in enumerate(zip(said["motion"].tolist(), said["voter"].tolist(), strict=True)):
            m = self.motions[motion]
            if kind == PROPOSAL:
                m.status, m.opened = "open", float(final[k])
                m.closes = m.opened + self.economy.setup.mechanisms["voting"].period_seconds
            elif m.status == "open" and final[k] <= m.closes:
                bribed = bool(said["bribed"][k]) and self._pay_bribe(m, voter)
                m.ballots[voter] = int(said["vote"][k]), int(said["delegate"][k]), bribed

    def _pay_bribe(self, motion: Motion, voter: int) -> bool:
        """Pay for a vote; whether the briber could."""
        proposal = self.rule.proposals[motion.name]
        prana = float(self.stakes[[voter]].to_prana()[0]) * proposal.bribe_prana
        briber, seller = self.account[[proposal.proposer]], self.account[[voter]]
        paid = not self.economy.ledger.pay(briber, seller, Amounts.from_prana(np.array([prana])))[0]
        motion.bribes += prana * paid
        return paid

    def expired(self, number: Slots, tick: Tick) -> None:
        """Give up on proposals that were not final in time; votes that were not do not count."""
        gone = self.said.take(np.flatnonzero(np.isin(self.said["number"], number) & self.said["alive"]))
        for k in gone["motion"].tolist():
            if self.motions[k].status == "sent":
                self._end(self.motions[k], "expired", "", tick.end)

    def govern(self, tick: Tick) -> None:
        """Count the votes whose time is over; what passed is in force from the next tick on."""
        for motion in self.motions:
            if motion.status == "open" and motion.closes <= tick.end:
                self._count(motion, tick)

    def _count(self, motion: Motion, tick: Tick) -> None:
        ballots = self.ballots(motion)
        voting = self.economy.setup.mechanisms["voting"]
        tally = guarded("voting", voting, tick.number, lambda: voting.tally(ballots))
        status, reason = ("rejected", "") if not tally.passed else self._executed(motion)
        self._log_votes(motion, ballots, tally, voting)
        effective = tick.number + 1 if status == "executed" else -1
        self._end(motion, status, reason, tick.end, tally, effective)

    def ballots(self, motion: Motion) -> Ballots:
        """Return who has cast what so far, with stakes as they are now."""
        stake = self.economy.ledger.amounts(self.account, "stake").to_units()
        cast = [motion.ballots.get(v, (ABSENT, NOBODY, False)) for v in range(len(stake))]
        return Ballots.of(stake, [c[0] for c in cast], [c[1] for c in cast])

    def _executed(self, motion: Motion) -> tuple[str, str]:
        try:
            execute(self.economy, self.rule.proposals[motion.name].changes)
        except CellulerError as error:
            return "failed", str(error)
        return "executed", ""

    def close(self) -> None:
        """Write down what is not decided at the end of the run."""
        for motion in self.motions:
            if motion.status in ("sent", "open"):
                self._end(motion, "open", "", float("nan"))

    # ---- tables ----------------------------------------------------------------------------------------------------

    def _end(
        self, motion: Motion, status: str, reason: str, when: float, tally: Tally | None = None, effective: int = -1
    ) -> None:  # fmt: skip
        """Close a proposal, and write it down."""
        motion.status, motion.reason = status, reason
        unit = 10.0**18
        t = tally or NOT_COUNTED
        self.economy.recorder.log(
            "proposals", proposal=np.array([motion.number]), name=motion.name,
            changes=" ".join(self.rule.proposals[motion.name].changes), status=status, reason=reason,
            submitted_s=motion.submitted, opened_s=motion.opened, closed_s=when, effective_tick=effective,
            yes=float(t.yes / int(unit)), no=float(t.no / int(unit)), total=float(t.total / int(unit)),
            turnout=float(t.turnout), approval=float(t.approval), passed=t.passed, bribes_prana=motion.bribes,
        )  # fmt: skip

    def _log_votes(self, motion: Motion, ballots: Ballots, tally: Tally, voting: Any) -> None:
        words = tuple(VOTES.values())
        keys = list(VOTES)
        whole = max(float(tally.total), 1e-300)
        n = len(ballots.stake)
        self.economy.recorder.log(
            "votes", proposal=motion.number, voter=np.arange(n),
            behaviour=Coded(self.behaviour, tuple(self.rule.voters.behaviours)),
            stake_prana=self.economy.ledger.amounts(self.account, "stake"),
            weight=np.array([float(w) / whole for w in tally.weight]),
            vote=Coded(np.array([keys.index(v) for v in ballots.vote]), words),
            counted=Coded(np.array([keys.index(v) for v in tally.vote]), words),
            delegate=np.array(ballots.delegate, np.int64), power=self.power(ballots, voting),
            bribed=np.array([motion.ballots.get(v, (0, 0, False))[2] for v in range(n)]),
        )  # fmt: skip

    def power(self, ballots: Ballots, voting: Any) -> Floats:
        """Return every voter's Banzhaf index among those who speak for stakes, (n_voters,), with sum 1.

        A coalition wins that has the quota of all weight; weights are rounded to `PARTS` parts of the whole.
        """
        power = [voting.power(stake) for stake in ballots.stake]
        speaker = voting.spoken_for(ballots)
        weight = [Fraction(0)] * len(power)
        for voter, by in enumerate(speaker):
            weight[by] += power[voter]
        total = sum(weight, Fraction(0))
        if not total:
            return np.zeros(len(weight))
        parts = [round(w * PARTS / total) for w in weight]
        needed = min(float(Fraction(str(voting.threshold))) * sum(parts), sum(parts))
        game = WeightedGame.of(int(np.ceil(needed - 1e-9)), np.array(parts))
        index = game.banzhaf()
        return np.asarray(index / index.sum()) if index.sum() else np.zeros(len(weight))
