"""Voting: whether a proposal passes, in exact rationals.

Stakes are whole numbers of the smallest unit (or any exact rationals); shares are compared as fractions, and a
threshold given as 0.67 is 67/100: two of three equal stakes do not reach it, 67 of 100 do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt
from typing import ClassVar, Literal, Protocol, runtime_checkable

from celluler_sim.errors import ScenarioError, require
from celluler_sim.mechanisms.base import When, register
from celluler_sim.mechanisms.laws import Law

YES, NO, ABSTAIN, ABSENT = 1, -1, 0, 2
VOTES = (YES, NO, ABSTAIN, ABSENT)
NOBODY = -1  # the delegate of a voter who has none
ROOT_STEPS = 10**9  # square roots of stakes are exact to one part in this many of a unit

_ALWAYS = frozenset({Law.MONOTONE_IN_VOTES, Law.BLIND_TO_NAMES, Law.TIES_FAIL})


def exact(share: float | str | Fraction) -> Fraction:
    """Return the rational that a number is written as.

    >>> exact(0.67)
    Fraction(67, 100)
    """
    return Fraction(str(share)) if isinstance(share, float | str) else Fraction(share)


@dataclass(frozen=True)
class Ballots:
    """Who may vote, and what was cast; one entry a voter."""

    stake: tuple[Fraction, ...]  # >= 0; a voter without stake has no vote
    vote: tuple[int, ...]  # YES, NO, ABSTAIN (in person) or ABSENT
    delegate: tuple[int, ...]  # place of the voter who votes for an absent one, or NOBODY

    @classmethod
    def of(cls, stake: Sequence[int | Fraction], vote: Sequence[int], delegate: Sequence[int] | None = None) -> Ballots:
        """Return checked ballots; nobody delegates where ``delegate`` is left out.

        Raises
        ------
        ScenarioError
            If the three differ in length, a stake is negative, a vote unknown or a delegate no voter.
        """
        chosen = [NOBODY] * len(stake) if delegate is None else [int(d) for d in delegate]
        if not len(stake) == len(vote) == len(chosen):
            sizes = (len(stake), len(vote), len(chosen))
            raise ScenarioError(f"ballots must have as many stakes as votes and delegates, got {sizes}")
        if bad := [s for s in stake if s < 0]:
            raise ScenarioError(f"ballots.stake must be >= 0, got {bad[0]}")
        if unknown := [v for v in vote if v not in VOTES]:
            raise ScenarioError(f"ballots.vote must be one of {VOTES}, got {unknown[0]}")
        if nowhere := [d for d in chosen if not NOBODY <= d < len(stake)]:
            raise ScenarioError(f"ballots.delegate must be {NOBODY} or a voter's place, got {nowhere[0]}")
        return cls(tuple(Fraction(s) for s in stake), tuple(int(v) for v in vote), tuple(chosen))


@dataclass(frozen=True)
class Tally:
    """A count, exact."""

    yes: Fraction  # weight in favour
    no: Fraction  # weight against
    total: Fraction  # weight of everybody entitled
    turnout: Fraction  # what counts for the quorum over total, [0, 1]
    approval: Fraction  # yes over yes and no, [0, 1]; 0 where nobody voted
    quorum_met: bool
    passed: bool
    weight: tuple[Fraction, ...]  # with which each voter's own ballot was counted; 0 for those it does not speak for
    vote: tuple[int, ...]  # that each voter's stake was counted for, its delegate's included

    @property
    def support(self) -> Fraction:
        """Yes over all who are entitled, [0, 1]."""
        return self.yes / self.total if self.total else Fraction(0)


@runtime_checkable
class Voting(Protocol):
    """Decide whether a proposal passes."""

    claims: ClassVar[frozenset[Law]]

    def tally(self, ballots: Ballots) -> Tally:
        """Return the count and whether the proposal passes."""
        ...


@dataclass(frozen=True, kw_only=True)
class VotingRule:
    """What all rules share: quorum, threshold and how long a vote lasts.

    A proposal passes where the quorum is reached, and yes over (yes and no) reaches the threshold. One half must be
    exceeded rather than reached, so that a tie never passes.
    """

    quorum: float = 0.67  # share of all weight that must take part
    quorum_of: Literal["cast", "yes"] = "cast"  # cast: yes and no take part; yes: only those in favour do
    threshold: float = 0.67  # share of the weight cast that must be in favour, >= 1/2
    exceed: bool = False  # whether the threshold must be exceeded; a threshold of one half always must
    abstentions_count: bool = False  # whether who votes "abstain" in person takes part in the quorum
    period_seconds: float = 3600.0  # s, from a proposal to its count

    claims: ClassVar[frozenset[Law]] = _ALWAYS
    claims_when: ClassVar[Mapping[Law, When]] = {}

    def __post_init__(self) -> None:
        """Check the ranges."""
        require("voting.quorum", self.quorum, at_least=0, at_most=1)
        require("voting.threshold", self.threshold, at_least=0.5, at_most=1)
        require("voting.period_seconds", self.period_seconds, above=0, unit="s")
        if self.quorum_of not in ("cast", "yes"):
            raise ScenarioError(f"voting.quorum_of must be one of cast, yes, got {self.quorum_of!r}")

    def power(self, stake: Fraction) -> Fraction:
        """Return the weight of a voter: here, its stake."""
        return stake

    def spoken_for(self, ballots: Ballots) -> tuple[int, ...]:
        """Return the place of the voter who votes with each voter's stake: here, everybody itself."""
        return tuple(range(len(ballots.stake)))

    def tally(self, ballots: Ballots) -> Tally:
        """Return the count and whether the proposal passes."""
        speaker = self.spoken_for(ballots)
        power = [self.power(stake) for stake in ballots.stake]
        weight = [Fraction(0)] * len(power)
        cast = dict.fromkeys(VOTES, Fraction(0))
        for voter, by in enumerate(speaker):
            weight[by] += power[voter]
            cast[ballots.vote[by]] += power[voter]
        return self._judged(cast, tuple(weight), tuple(ballots.vote[by] for by in speaker))

    def _judged(self, cast: Mapping[int, Fraction], weight: tuple[Fraction, ...], vote: tuple[int, ...]) -> Tally:
        yes, no, total = cast[YES], cast[NO], sum(cast.values(), Fraction(0))
        present = yes if self.quorum_of == "yes" else yes + no
        present += cast[ABSTAIN] if self.abstentions_count else 0
        turnout = present / total if total else Fraction(0)
        approval = yes / (yes + no) if yes + no else Fraction(0)
        bar = exact(self.threshold)
        enough = approval > bar if self.exceed or bar == Fraction(1, 2) else approval >= bar
        met = total > 0 and turnout >= exact(self.quorum)
        return Tally(yes, no, total, turnout, approval, met, met and yes > 0 and enough, weight, vote)


@register("voting", "stake_weighted")
@dataclass(frozen=True, kw_only=True)
class StakeWeighted(VotingRule):
    """One unit of stake, one vote."""

    claims: ClassVar[frozenset[Law]] = _ALWAYS | {Law.SPLIT_PROOF}


@register("voting", "quadratic")
@dataclass(frozen=True, kw_only=True)
class Quadratic(VotingRule):
    """A stake buys its square root in votes: the large weigh less, and splitting one identity into k gains sqrt(k).

    References
    ----------
    Lalley and Weyl (2018), Quadratic voting: how mechanism design can radicalize democracy.
    """

    def power(self, stake: Fraction) -> Fraction:
        """Return the square root of a stake, rounded down to 1e-9 of a unit; exact for squares."""
        return Fraction(isqrt(int(stake * ROOT_STEPS**2)), ROOT_STEPS)


@register("voting", "delegated")
@dataclass(frozen=True, kw_only=True)
class Delegated(VotingRule):
    """Stake-weighted, and who is absent may let another vote for it, who may pass it on.

    A ballot of one's own, an abstention too, goes before one's delegate. A chain that ends in a circle, or with
    somebody absent, casts nothing; its stake still counts among those entitled.

    References
    ----------
    Ford (2002), Delegative democracy.
    """

    claims: ClassVar[frozenset[Law]] = _ALWAYS | {Law.SPLIT_PROOF}

    def spoken_for(self, ballots: Ballots) -> tuple[int, ...]:
        """Return the voter at the end of each voter's chain of delegates; in a circle, one of its absent members."""
        end: dict[int, int] = {}
        for voter in range(len(ballots.vote)):
            path: dict[int, None] = {}
            at = voter
            while at not in end and at not in path and ballots.vote[at] == ABSENT and ballots.delegate[at] != NOBODY:
                path[at] = None
                at = ballots.delegate[at]
            last = end.setdefault(at, at)
            end.update(dict.fromkeys(path, last))
        return tuple(end[voter] for voter in range(len(ballots.vote)))


def votes_affordable(budget: float) -> int:
    """Return the most votes on one issue that credits buy where v votes cost v^2."""
    return isqrt(int(exact(budget)))


def votes_cost(votes: Sequence[int]) -> int:
    """Return the credits that votes on several issues cost, whichever way they go: the sum of their squares."""
    return sum(v * v for v in votes)


def quadratic_funding(contributions: Sequence[float]) -> float:
    """Return what a project is paid in all for its contributions: (sum of their square roots)^2.

    References
    ----------
    Buterin, Hitzig and Weyl (2019), A flexible design for funding public goods.
    """
    return float(sum(c**0.5 for c in contributions)) ** 2
