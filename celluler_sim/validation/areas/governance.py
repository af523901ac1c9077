"""Governance: votes weighted by stake, quadratic voting and funding, delegation."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from celluler_sim.analysis.metrics import nakamoto
from celluler_sim.errors import ScenarioError
from celluler_sim.mechanisms.power import WeightedGame
from celluler_sim.mechanisms.voting import (
    ABSENT,
    ABSTAIN,
    NO,
    NOBODY,
    YES,
    Ballots,
    Delegated,
    Quadratic,
    StakeWeighted,
    exact,
    quadratic_funding,
    votes_affordable,
    votes_cost,
)
from celluler_sim.validation.areas.trust import one_of
from celluler_sim.validation.registry import Answers, Question, Unsupported, checks

WORDS: Mapping[str | None, int] = {
    "yes": YES, "for": YES, "aye": YES, "y": YES, "no": NO, "against": NO, "nay": NO, "n": NO,
    "abstain": ABSTAIN, "abstention": ABSTAIN, "absent": ABSENT, "none": ABSENT, None: ABSENT,
}  # fmt: skip


@checks("governance")
def governance(question: Question) -> Answers:
    """Answer with the count of a vote in both readings of the quorum, or with the arithmetic of quadratic voting."""
    answers: dict[str, Any] = {}
    stakes = one_of(question, "stakes", "weights", "stake")
    ways = one_of(question, "votes", "ballots")
    if stakes is not None and ways is not None:
        answers |= _count(question, stakes, ways)
    elif stakes is not None:
        answers |= _power(question, stakes)
    elif ways is not None and all(isinstance(vote, int) for vote in ways):
        answers["cost"] = votes_cost(ways)
        if question.has("budget"):
            answers["affordable"] = answers["cost"] <= exact(question["budget"])
    if question.has("budget"):
        answers |= _credits(question)
    if question.has("contributions"):
        paid, given = quadratic_funding(question["contributions"]), sum(question["contributions"])
        answers |= {"qf_total": paid, "qf_match": paid - given}
    if not answers:
        raise Unsupported(f"no vote has inputs {', '.join(sorted(question.inputs)) or 'none'}")
    return answers


def _credits(question: Question) -> dict[str, Any]:
    """Return what a budget buys where v votes cost v^2, whole or split over identities."""
    budget = question["budget"]
    answers: dict[str, Any] = {"max_votes_one_issue": votes_affordable(budget)}
    for name in question.wanted:
        if found := re.fullmatch(r"votes_split_(\d+)", name):
            k = int(found[1])
            answers[name] = k * math.sqrt(budget / k)
    return answers


def _cast(ways: list[Any]) -> list[int]:
    """Return votes from words, booleans or numbers; 0 is a no beside 1, and an abstention beside 1 and -1."""
    zero = ABSTAIN if any(isinstance(way, int) and way < 0 for way in ways) else NO
    votes: list[int] = []
    for way in ways:
        word = way.strip().lower() if isinstance(way, str) else way
        if isinstance(word, int) and word in (-1, 0, 1):
            votes.append({-1: NO, 0: NO if isinstance(word, bool) else zero, 1: YES}[int(word)])
        elif not isinstance(word, int | float) and word in WORDS:
            votes.append(WORDS[word])
        else:
            raise Unsupported(f"a vote of {way!r}; known are yes, no, abstain and absent")
    return votes


def _count(question: Question, stakes: list[Any], ways: list[Any]) -> dict[str, Any]:
    """Return the count; an abstention is not cast, and comparisons are of exact rationals."""
    chosen = _delegates(question, len(stakes))
    ballots = Ballots.of([Fraction(str(stake)) for stake in stakes], _cast(ways), chosen)
    quorum, bar = question.get("quorum", 0.67), exact(question.get("threshold", 0.5))
    kind = Quadratic if question.get("method") == "quadratic" else Delegated if chosen else StakeWeighted
    cast, in_favour = kind(quorum=quorum).tally(ballots), kind(quorum=quorum, quorum_of="yes").tally(ballots)
    return {
        "turnout": cast.turnout,
        "yes_of_cast": cast.approval,
        "yes_of_total": cast.support,
        "passes_QP": cast.quorum_met and cast.approval > bar,
        "passes_QY": in_favour.quorum_met,
        "yes": cast.yes,
        "no": cast.no,
        "total": cast.total,
        "weights": list(cast.weight),
        "quorum_met": cast.quorum_met,
    }


def _delegates(question: Question, n: int) -> list[int] | None:
    """Return each voter's delegate by place, or None where nobody has one."""
    given = one_of(question, "delegates", "delegations", "delegate", "delegation")
    if given is None:
        return None
    pairs = given.items() if isinstance(given, Mapping) else enumerate(given)
    chosen = [NOBODY] * n
    for voter, to in pairs:
        chosen[int(voter)] = NOBODY if to is None else int(to)
    return chosen


def _power(question: Question, stakes: list[Any]) -> dict[str, Any]:
    """Return who can turn a vote: swings against a quota in stake, or a quorum in shares of the whole."""
    quota = question.get("quota")
    if quota is None and not question.has("quorum"):
        raise Unsupported("the power of stakes needs a quota or a quorum")
    whole = [Fraction(str(stake)) for stake in stakes]
    needed = Fraction(str(quota)) if quota is not None else exact(question["quorum"]) * sum(whole)
    common = math.lcm(needed.denominator, *(stake.denominator for stake in whole))
    try:
        game = WeightedGame.of(int(needed * common), [int(stake * common) for stake in whole])
    except ValueError as error:
        raise ScenarioError(str(error)) from None
    swings = game.swings()
    return {
        "swings": swings,
        "banzhaf": game.banzhaf(),
        "banzhaf_normalised": [swing / max(sum(swings), 1) for swing in swings],
        "nakamoto_half": nakamoto(stakes),
        "nakamoto_third": nakamoto(stakes, Fraction(1, 3)),
    }
