"""Try to break the laws that rules of trust and governance claim: reputation, penalties, voting, detection.

Each check takes a rule and one case of its family and returns what went wrong, or None. A rule from outside can be
tried the same way: ``broken_claims(MyRule(), case)``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from celluler_sim.book import Floats, Slots
from celluler_sim.mechanisms.base import claims_of
from celluler_sim.mechanisms.bids import Dealings
from celluler_sim.mechanisms.laws import Law
from celluler_sim.mechanisms.penalties import OFFENCES, Penalty
from celluler_sim.mechanisms.reputation import Ratings, Reputation, Standing
from celluler_sim.mechanisms.verification import Evidence, Verdicts, Verification
from celluler_sim.mechanisms.voting import NO, NOBODY, YES, Ballots, Tally, Voting
from celluler_sim.streams import Streams

ROUNDING = 1e-9  # what arithmetic may add to a score
SETTLED = 1e-5  # what an iteration that stops early may leave of one


@dataclass(frozen=True)
class Career:
    """A history of ratings, and how to vary it."""

    ratings: Ratings
    n: int  # agents
    pretrusted: Floats  # (n,) >= 0, not all 0
    row: int  # of the rating that is improved
    cut: int  # rows before which the history is handed over first
    order: Slots  # (n,) a renumbering of the agents
    newcomers: int  # identities that praise each other


@dataclass(frozen=True)
class Offence:
    """Scores and two severities."""

    score: Floats  # (n,) [0, 1]
    light: float  # [0, 1]
    heavy: float  # [0, 1], > light


@dataclass(frozen=True)
class Election:
    """Ballots, and how to vary them."""

    ballots: Ballots
    voter: int  # whose stake is divided
    order: Slots  # (n,) a renumbering of the voters


@dataclass(frozen=True)
class Population:
    """Evidence and dealings of honest agents, in independent replicates, and a renumbering of the agents."""

    evidence: Sequence[Evidence]
    dealings: Sequence[Dealings]
    order: Slots  # (n_agents,)


Check = Callable[[Any, Any], str | None]


# ---- reputation ------------------------------------------------------------------------------------------------------


def _after(rule: Reputation, c: Career, ratings: Ratings) -> Standing:
    return rule.update(rule.start(c.n), ratings, pretrusted=c.pretrusted)


def scores_bounded(rule: Reputation, c: Career) -> str | None:
    """Check scores and metrics after a history, and before it."""
    for standing in (rule.start(c.n), _after(rule, c, c.ratings)):
        for name, x in (("score", standing.score), ("metrics", standing.metrics)):
            if not np.all((x >= 0) & (x <= 1)):
                return f"{name} {x.tolist()}"
    return None


def _improved(c: Career) -> Ratings:
    value = c.ratings.value.copy()
    value[c.row] = 1.0
    return replace(c.ratings, value=value)


def monotone_in_outcomes(rule: Reputation, c: Career) -> str | None:
    """Check one outcome made perfect: the score of the one it is about must not fall."""
    agent = c.ratings.ratee[c.row]
    before, after = (_after(rule, c, r).score[agent] for r in (c.ratings, _improved(c)))
    return f"agent {agent} fell from {before:g} to {after:g}" if after < before - ROUNDING else None


def local(rule: Reputation, c: Career) -> str | None:
    """Check one outcome made perfect: nobody else's score may move."""
    others = np.arange(c.n) != c.ratings.ratee[c.row]
    before, after = (_after(rule, c, r).score[others] for r in (c.ratings, _improved(c)))
    return f"others moved from {before.tolist()} to {after.tolist()}" if not np.array_equal(before, after) else None


def reputation_blind_to_names(rule: Reputation, c: Career) -> str | None:
    """Check the same history among renumbered agents."""
    rater = np.where(c.ratings.rater < 0, c.ratings.rater, c.order[c.ratings.rater])
    renamed = replace(c.ratings, rater=rater, ratee=c.order[c.ratings.ratee])
    weights = np.empty(c.n)
    weights[c.order] = c.pretrusted
    before = _after(rule, c, c.ratings).score
    after = _after(rule, replace(c, pretrusted=weights), renamed).score[c.order]
    same = np.allclose(before, after, rtol=0, atol=SETTLED)
    return None if same else f"scores {before.tolist()} became {after.tolist()}"


def tick_free(rule: Reputation, c: Career) -> str | None:
    """Check the same history handed over in two calls."""
    whole = _after(rule, c, c.ratings)
    first = _after(rule, c, c.ratings.take(np.arange(c.cut)))
    rest = c.ratings.take(np.arange(c.cut, len(c.ratings)))
    parts = rule.update(first, rest, pretrusted=c.pretrusted)
    same = np.allclose(whole.score, parts.score, rtol=0, atol=SETTLED)
    return None if same else f"scores {whole.score.tolist()} in one call, {parts.score.tolist()} in two"


def sybil_bounded(rule: Any, c: Career) -> str | None:
    """Check newcomers, none of them pre-trusted, who praise each other, with and without somebody who praises one."""
    new = np.arange(c.n, c.n + c.newcomers)
    pairs = [(i, j) for i in new for j in new if i != j]
    weights = np.concatenate([c.pretrusted, np.zeros(c.newcomers)])
    friend = [(int(np.argmax(c.pretrusted)), int(new[0]))]
    alone = _after(rule, c, c.ratings).score
    for links in (pairs, [*pairs, *friend]):
        rater, ratee = (np.array(column, np.int64) for column in zip(*links, strict=True))
        time = float(c.ratings.time.max(initial=0.0))
        praise = Ratings.of(ratee, np.ones(len(ratee)), rater=rater, time=time)
        columns = ("rater", "ratee", "metric", "value", "time")
        both = Ratings(*(np.concatenate([getattr(c.ratings, k), getattr(praise, k)]) for k in columns))
        standing = rule.update(rule.start(c.n + c.newcomers), both, pretrusted=weights)
        placed, held = _placed(standing, new), float(standing.trust[new].sum())
        if held > (1 - rule.restart) / rule.restart * placed + SETTLED:
            return f"newcomers hold {held:g} where others place {placed:g} in them"
        if links is pairs and not np.allclose(standing.score[: c.n], alone, rtol=0, atol=SETTLED):
            return f"newcomers whom nobody knows moved {alone.tolist()} to {standing.score[: c.n].tolist()}"
    return None


def _placed(standing: Standing, group: Slots) -> float:
    """Return the trust that agents outside a group place in it: sum of t_i c_ij."""
    links = standing.links
    given = np.maximum(links.balance, 0.0)
    total = np.bincount(links.truster, given, len(standing))
    rows = np.isin(links.trustee, group) & ~np.isin(links.truster, group) & (given > 0)
    return float(np.sum(standing.trust[links.truster[rows]] * given[rows] / total[links.truster[rows]]))


# ---- penalties -------------------------------------------------------------------------------------------------------


def never_rewards(rule: Penalty, c: Offence) -> str | None:
    """Check every offence that the rule knows, and two more severities."""
    for severity in (c.light, c.heavy, *rule.severity(np.arange(len(OFFENCES)))):
        after = rule.punished(c.score, np.full(c.score.shape, severity))
        if not np.all((after >= 0) & (after <= c.score)):
            return f"severity {severity:g} turned {c.score.tolist()} into {after.tolist()}"
    return None


def _two(rule: Penalty, c: Offence) -> tuple[Floats, Floats]:
    light, heavy = (rule.punished(c.score, np.full(c.score.shape, s)) for s in (c.light, c.heavy))
    return light, heavy


def graded(rule: Penalty, c: Offence) -> str | None:
    """Check a light offence against a heavy one."""
    light, heavy = _two(rule, c)
    return f"{light.tolist()} after the light, {heavy.tolist()} after the heavy" if np.any(heavy > light) else None


def tells_apart(rule: Penalty, c: Offence) -> str | None:
    """Check a light offence against a heavy one where there is a score to lose."""
    light, heavy = _two(rule, c)
    alike = (c.score > 0) & ~(heavy < light)
    return f"both leave {light[alike].tolist()}" if alike.any() else None


# ---- voting ----------------------------------------------------------------------------------------------------------


def monotone_in_votes(rule: Voting, c: Election) -> str | None:
    """Check every no turned into a yes, one at a time."""
    if not rule.tally(c.ballots).passed:
        return None
    for voter, vote in enumerate(c.ballots.vote):
        votes = [YES if i == voter else v for i, v in enumerate(c.ballots.vote)]
        if vote == NO and not rule.tally(replace(c.ballots, vote=tuple(votes))).passed:
            return f"voter {voter} failed it by voting yes"
    return None


def _figures(tally: Tally) -> tuple[Fraction, Fraction, Fraction, bool]:
    return tally.yes, tally.no, tally.total, tally.passed


def voting_blind_to_names(rule: Voting, c: Election) -> str | None:
    """Check the same ballots in another order."""
    b, back = c.ballots, np.argsort(c.order)  # voter i becomes number order[i]
    moved = {d: int(c.order[d]) for d in range(len(b.stake))} | {NOBODY: NOBODY}
    renamed = Ballots(
        tuple(b.stake[i] for i in back), tuple(b.vote[i] for i in back), tuple(moved[b.delegate[i]] for i in back)
    )
    before, after = _figures(rule.tally(b)), _figures(rule.tally(renamed))
    return None if before == after else f"{before} became {after}"


def split_proof(rule: Voting, c: Election) -> str | None:
    """Check one stake divided into a third and the rest, both voting as before."""
    b, k = c.ballots, c.voter
    part = b.stake[k] / 3
    stakes = (*(s - part if i == k else s for i, s in enumerate(b.stake)), part)
    divided = Ballots(stakes, (*b.vote, b.vote[k]), (*b.delegate, b.delegate[k]))
    before, after = _figures(rule.tally(b)), _figures(rule.tally(divided))
    return None if before == after else f"{before} became {after}"


def ties_fail(rule: Voting, c: Election) -> str | None:
    """Check every voter joined by a twin with the opposite vote, who delegates to the delegate's twin."""
    b, n = c.ballots, len(c.ballots.stake)
    opposite = tuple({YES: NO, NO: YES}.get(vote, vote) for vote in b.vote)
    twins = tuple(d if d == NOBODY else d + n for d in b.delegate)
    tally = rule.tally(Ballots(b.stake * 2, b.vote + opposite, b.delegate + twins))
    return f"passed with {tally.yes} for and {tally.no} against" if tally.passed else None


# ---- detection -------------------------------------------------------------------------------------------------------


def _verdicts(rule: Any, p: Population) -> list[Verdicts]:
    if isinstance(rule, Verification):
        streams = Streams(1)
        return [rule.inspect(e, streams.draws("verification", tick)) for tick, e in enumerate(p.evidence)]
    return [rule.screen(d, np.random.Generator(np.random.PCG64(i))) for i, d in enumerate(p.dealings)]


def false_alarms_stated(rule: Any, p: Population) -> str | None:
    """Check the mean share flagged over honest replicates against the stated rate and three standard errors of it."""
    found = [v for v in _verdicts(rule, p) if len(v.agent)]
    if not found:
        return None
    shares = np.array([v.flagged.mean() for v in found])
    noise = 3 * float(shares.std()) / np.sqrt(len(shares))
    excess = float(shares.mean()) - rule.false_alarm_rate
    return f"{shares.mean():.4f} flagged, {rule.false_alarm_rate:g} stated" if excess > noise else None


def unchecked_untouched(rule: Any, p: Population) -> str | None:
    """Check that verdicts are about agents in the evidence, each with something seen, each once."""
    sources: Sequence[Evidence | Dealings] = p.evidence if isinstance(rule, Verification) else p.dealings
    for source, v in zip(sources, _verdicts(rule, p), strict=True):
        known = source.agent if isinstance(source, Evidence) else _dealers(source)
        if not np.isin(v.agent, known).all() or np.any(v.seen < 1) or len(np.unique(v.agent)) != len(v.agent):
            return f"verdicts on {v.agent.tolist()} with {v.seen.tolist()} seen"
    return None


def _dealers(dealings: Dealings) -> Slots:
    return np.concatenate([dealings.bids.bidder, dealings.trades.seller, dealings.trades.buyer])


def detection_blind_to_names(rule: Verification, p: Population) -> str | None:
    """Check the same evidence about renumbered agents."""
    renamed = replace(p, evidence=[replace(e, agent=p.order[e.agent]) for e in p.evidence])
    for before, after in zip(_verdicts(rule, p), _verdicts(rule, renamed), strict=True):
        if not np.allclose(before.scores(len(p.order)), after.scores(len(p.order))[p.order], rtol=0, atol=ROUNDING):
            return f"scores {before.score.tolist()} became {after.score.tolist()}"
    return None


TRUST_LAW_CHECKS: Mapping[type, Mapping[Law, Check]] = {
    Career: {
        Law.SCORES_BOUNDED: scores_bounded,
        Law.MONOTONE_IN_OUTCOMES: monotone_in_outcomes,
        Law.BLIND_TO_NAMES: reputation_blind_to_names,
        Law.LOCAL: local,
        Law.TICK_FREE: tick_free,
        Law.SYBIL_BOUNDED: sybil_bounded,
    },
    Offence: {Law.NEVER_REWARDS: never_rewards, Law.GRADED: graded, Law.TELLS_APART: tells_apart},
    Election: {
        Law.MONOTONE_IN_VOTES: monotone_in_votes,
        Law.BLIND_TO_NAMES: voting_blind_to_names,
        Law.SPLIT_PROOF: split_proof,
        Law.TIES_FAIL: ties_fail,
    },
    Population: {
        Law.FALSE_ALARMS_STATED: false_alarms_stated,
        Law.UNCHECKED_UNTOUCHED: unchecked_untouched,
        Law.BLIND_TO_NAMES: detection_blind_to_names,
    },
}  # by the kind of case that a family's laws are tried on


def broken_claims(rule: Any, case: Career | Offence | Election | Population) -> list[str]:
    """Return one sentence per claimed law that the case breaks, and per claim that no check knows."""
    checks, found = TRUST_LAW_CHECKS[type(case)], []
    for law in sorted(claims_of(rule), key=lambda law: law.name):
        complaint = checks[law](rule, case) if law in checks else "is no law of such rules"
        if complaint:
            found.append(f"{type(rule).__name__} claims {law.name}: {complaint}")
    return found
