"""Every registered rule of trust and governance keeps the laws it claims; and each check notices one that does not."""

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from celluler_sim.mechanisms import eigentrust, penalties, reputation, screens, verification, voting
from celluler_sim.mechanisms.base import claims_of, registered
from celluler_sim.mechanisms.laws import Law
from celluler_sim.mechanisms.reputation import MARKET, Ratings
from celluler_sim.mechanisms.trade_graph import TradeCommunities
from celluler_sim.mechanisms.trust_law_checks import (
    TRUST_LAW_CHECKS,
    Career,
    Election,
    Offence,
    Population,
    broken_claims,
)
from celluler_sim.mechanisms.voting import ABSENT, NO, NOBODY, VOTES, YES, Ballots
from tests.mechanisms.honest import population

CASES = {
    "reputation": Career,
    "penalty": Offence,
    "voting": Election,
    "verification": Population,
    "screens": Population,
}


def rules(family: str) -> dict[str, Any]:
    return {n: c() for n, c in registered(family).items() if c.__module__.startswith("celluler_sim.")}


@st.composite
def careers(draw: st.DrawFn) -> Career:
    """Return up to 20 ratings among up to 6 agents, the pre-trusted among them drawn."""
    n, rows = draw(st.integers(2, 6)), draw(st.integers(1, 20))
    column = lambda values: draw(st.lists(values, min_size=rows, max_size=rows))  # noqa: E731
    ratings = Ratings.of(
        column(st.integers(0, n - 1)), column(st.floats(0, 1)), column(st.integers(0, 2)),
        column(st.integers(MARKET, n - 1)), sorted(column(st.floats(0, 1e6))),
    )  # fmt: skip
    trusted = np.array(draw(st.lists(st.sampled_from([0.0, 1.0, 2.5]), min_size=n, max_size=n)))
    trusted[draw(st.integers(0, n - 1))] = 1.0
    order = np.array(draw(st.permutations(range(n))))
    return Career(
        ratings, n, trusted, draw(st.integers(0, rows - 1)), draw(st.integers(0, rows)), order, draw(st.integers(2, 5))
    )


@st.composite
def offences(draw: st.DrawFn) -> Offence:
    light, heavy = sorted(draw(st.lists(st.integers(0, 100), min_size=2, max_size=2, unique=True)))
    score = st.sampled_from([0.0, 1e-3, 0.2, 0.5, 0.9, 1.0])
    return Offence(np.array(draw(st.lists(score, min_size=1, max_size=4))), light / 100, heavy / 100)


@st.composite
def elections(draw: st.DrawFn) -> Election:
    """Return up to 7 voters with stakes up to the whole supply in units, votes and delegates of all kinds."""
    n = draw(st.integers(1, 7))
    stake = st.one_of(st.integers(0, 5), st.integers(0, 10**27))
    ballots = Ballots.of(
        draw(st.lists(stake, min_size=n, max_size=n)),
        draw(st.lists(st.sampled_from(VOTES), min_size=n, max_size=n)),
        draw(st.lists(st.integers(NOBODY, n - 1), min_size=n, max_size=n)),
    )
    return Election(ballots, draw(st.integers(0, n - 1)), np.array(draw(st.permutations(range(n)))))


@pytest.mark.parametrize("name", rules("reputation"))
@settings(deadline=None, max_examples=60)
@given(career=careers())
def test_reputation_rules_keep_their_claims(name: str, career: Career):
    assert broken_claims(rules("reputation")[name], career) == []


@settings(deadline=None, max_examples=40)
@given(career=careers(), restart=st.floats(0.05, 1.0), half_life=st.floats(1.0, 1e6), keep=st.floats(0.0, 1.0))
def test_reputation_rules_keep_their_claims_whatever_their_parameters(
    career: Career, restart: float, half_life: float, keep: float
):
    for rule in (
        eigentrust.EigenTrust(restart=restart, neutral=min(keep, 0.9)),
        reputation.Beta(forgetting=keep, half_life_seconds=half_life),
        reputation.Exponential(alpha=keep, initial=1 - keep, fairness_weight=3.0),
    ):
        assert broken_claims(rule, career) == []


@pytest.mark.parametrize("name", rules("penalty"))
@settings(max_examples=60)
@given(offence=offences())
def test_penalties_keep_their_claims(name: str, offence: Offence):
    assert broken_claims(rules("penalty")[name], offence) == []


@pytest.mark.parametrize("name", rules("voting"))
@settings(deadline=None, max_examples=60)
@given(
    election=elections(), quorum=st.sampled_from([0.0, 0.5, 0.67, 1.0]), threshold=st.sampled_from([0.5, 0.67, 1.0]),
    of=st.sampled_from(["cast", "yes"]), abstentions=st.booleans(),
)  # fmt: skip
def test_voting_rules_keep_their_claims(
    name: str, election: Election, quorum: float, threshold: float, of: Any, abstentions: bool
):
    rule = registered("voting")[name](quorum=quorum, threshold=threshold, quorum_of=of, abstentions_count=abstentions)
    assert broken_claims(rule, election) == []


DETECTORS = [("verification", name) for name in rules("verification")] + [
    ("screens", name) for name in rules("screens")
]
HONEST = population(60)
FEWER = population(8)
SLOW: dict[str, Any] = {  # as few shuffles as the rate allows, and fewer replicates
    "trade_communities": TradeCommunities(shuffles=19, false_alarm_rate=0.05),
    "combined": screens.Combined(shuffles=399),
}


def test_missing_bids_keeps_its_claim_where_bids_are_as_close_as_it_asks():
    """At 0.03 of the price every honest bidder is looked at; at the default 0.005 hardly one is."""
    rule = screens.MissingBids(close=0.03)
    assert broken_claims(rule, HONEST) == []
    assert all(len(rule.screen(d, np.random.default_rng(0)).agent) >= 10 for d in HONEST.dealings)


@pytest.mark.parametrize(("family", "name"), DETECTORS)
def test_detectors_keep_their_claims(family: str, name: str):
    """Sixty honest populations (eight for the slow screens); 200 are run for the documentation."""
    if name in SLOW:
        assert broken_claims(SLOW[name], FEWER) == []
    else:
        assert broken_claims(rules(family)[name], HONEST) == []


def test_every_claim_has_a_check():
    for family, case in CASES.items():
        for name, rule in rules(family).items():
            assert claims_of(rule) <= set(TRUST_LAW_CHECKS[case]), name
            assert claims_of(rule), name


# ---- the checks have teeth -------------------------------------------------------------------------------------------

CAREER = Career(
    Ratings.of([1, 2, 1, 0], [1.0, 0.2, 0.3, 0.9], [0, 0, 1, 2], [0, 1, 2, 1], [0.0, 1.0, 2.0, 3.0]),
    n=3, pretrusted=np.array([1.0, 0.0, 0.0]), row=1, cut=2, order=np.array([2, 0, 1]), newcomers=3,
)  # fmt: skip
OFFENCE = Offence(np.array([0.3, 0.9]), light=0.5, heavy=0.8)
ELECTION = Election(
    Ballots.of([3, 2, 2, 1], [YES, NO, YES, ABSENT], [NOBODY, NOBODY, NOBODY, 1]), 0, np.array([1, 2, 3, 0])
)


@dataclass(frozen=True, kw_only=True)
class OddReputation(reputation.Exponential):
    """A reputation that goes wrong in the way its `why` says, and claims all laws."""

    why: str = ""
    restart: float = 0.5
    claims: ClassVar[frozenset[Law]] = frozenset(TRUST_LAW_CHECKS[Career])

    def judged(self, standing: Any, pretrusted: Any) -> Any:
        """Return a merit that breaks a law."""
        s = super().judged(standing, pretrusted)
        merit = {
            "unbounded": s.merit * 3,
            "perverse": 1 - s.merit,
            "by number": s.merit * (1 + np.arange(len(s))) / len(s),
            "relative": s.merit / s.merit.max(initial=1e-9),
            "by count": s.merit * 0.9 if len(s) > 3 else s.merit,
            "by call": np.minimum(s.merit + 0.01 * (s.time > 0) * (s.time < 3), 1.0),
        }[self.why]
        return replace(s, merit=merit, trust=np.ones(len(s)) / max(len(s), 1))

    def update(self, standing: Any, ratings: Any, now: Any = None, pretrusted: Any = None) -> Any:
        """Return a standing that remembers that it was updated before, where that is what is wrong."""
        after = super().update(standing, ratings, now, pretrusted)
        if self.why == "by call" and standing.time > 0:
            after = replace(after, merit=after.merit * 0.5)
        return replace(after, links=eigentrust.EigenTrust.linked(eigentrust.EigenTrust(), standing, ratings))


@dataclass(frozen=True, kw_only=True)
class OddPenalty(penalties.Additive):
    """A penalty that goes wrong."""

    why: str = ""

    def punished(self, score: Any, severity: Any) -> Any:
        """Return scores that break a law."""
        return {"rewards": score + severity, "inverted": score * severity, "flat": score * 0}[self.why]


@dataclass(frozen=True, kw_only=True)
class OddVoting(voting.StakeWeighted):
    """A vote that goes wrong."""

    why: str = ""

    def tally(self, ballots: Ballots) -> voting.Tally:
        """Return a tally that breaks a law."""
        t = super().tally(ballots)
        if self.why == "first voter decides":
            return replace(t, passed=ballots.vote[0] == YES)
        if self.why == "few noes":
            return replace(t, passed=ballots.vote.count(NO) == 1)
        if self.why == "heads":
            heads = sum(1 for v in ballots.vote if v == YES)
            return replace(t, yes=Fraction(heads))
        return replace(t, passed=t.yes >= t.no)


@dataclass(frozen=True, kw_only=True)
class OddDetector(verification.SpotChecks):
    """A detector that goes wrong."""

    why: str = ""

    def inspect(self, evidence: Any, draws: Any) -> verification.Verdicts:
        """Return verdicts that break a law."""
        agent = np.arange(20)
        score = np.ones(20) if self.why == "accuses everybody" else agent / 20.0
        seen = np.zeros(20, np.int64) if self.why == "looks at nobody" else np.ones(20, np.int64)
        return verification.Verdicts(agent, score, seen, 0.99, 0.0)


WRONG = [
    *[(OddReputation(why=w), CAREER, law) for w, law in (
        ("perverse", "MONOTONE_IN_OUTCOMES"), ("by number", "BLIND_TO_NAMES"), ("relative", "LOCAL"),
        ("by call", "TICK_FREE"), ("by count", "SYBIL_BOUNDED"),
    )],
    *[(OddPenalty(why=w), OFFENCE, law) for w, law in (
        ("rewards", "NEVER_REWARDS"), ("inverted", "GRADED"), ("flat", "TELLS_APART"),
    )],
    *[(OddVoting(why=w, quorum=0), ELECTION, law) for w, law in (
        ("first voter decides", "BLIND_TO_NAMES"), ("few noes", "MONOTONE_IN_VOTES"), ("heads", "SPLIT_PROOF"),
        ("ties pass", "TIES_FAIL"),
    )],
    (voting.Quadratic(), Election(Ballots.of([9], [YES]), 0, np.zeros(1, np.int64)), "SPLIT_PROOF"),
    (penalties.Additive(), OFFENCE, "TELLS_APART"),
    *[(OddDetector(why=w), population(3), law) for w, law in (
        ("accuses everybody", "FALSE_ALARMS_STATED"), ("looks at nobody", "UNCHECKED_UNTOUCHED"),
        ("by number", "BLIND_TO_NAMES"),
    )],
]  # fmt: skip


@pytest.mark.parametrize(("rule", "case", "law"), WRONG, ids=[f"{getattr(r, 'why', r)}-{law}" for r, _, law in WRONG])
def test_checks_have_teeth(rule: Any, case: Any, law: str):
    assert TRUST_LAW_CHECKS[type(case)][Law[law]](rule, case)


def test_the_check_of_bounds_has_teeth():
    """A metric of 1.5 is out of bounds, though the score is clipped."""

    @dataclass(frozen=True, kw_only=True)
    class TooGood(reputation.Mean):
        def estimate(self, good: Any, bad: Any) -> Any:
            """Return half as much again."""
            return 1.5 * np.ones(good.shape)

    assert TRUST_LAW_CHECKS[Career][Law.SCORES_BOUNDED](TooGood(), CAREER)


def test_screens_know_no_rates_of_their_own():
    """The names in `combined` are names of the family, and it refuses others."""
    with pytest.raises(ValueError, match=r"screens.screens must name some of .* got nonsense"):
        screens.Combined(screens=("nonsense",))
