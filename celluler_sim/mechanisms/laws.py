"""The properties a mechanism may claim; the law suite tries to break every claim."""

from __future__ import annotations

from enum import Enum


class Law(Enum):
    """One testable property, named as in the mechanism-design literature."""

    # pricing
    INDIVIDUALLY_RATIONAL = "no trade above its bid or below its ask, given that only willing sides trade"
    HOMOGENEOUS = "scaling every money figure (or every quantity) scales the answer"
    MONOTONE_IN_LOAD = "the price never falls when utilisation rises, all else equal"
    CONTINUOUS_IN_TIME = "at constant load the price moves by less than 1 % of itself in a second"
    STATIONARY = "at constant load the price does not depend on the time of day"
    BOUNDED = "at any utilisation in [0, 1] the price stays within the bounds stated by `price_bounds`"
    # allocation
    NON_WASTEFUL = "no divisible request is left short while an offer it accepts has capacity"
    ENVY_FREE = "nobody with an equal or higher weight and an unmet claim gets less than somebody else's grant"
    EFFICIENT = "no feasible allocation has a larger gain from trade"
    ANONYMOUS = "renumbering requests renumbers the grants, nothing else"
    RESPECTS_ORDER = "no request is served that would not be served with everyone behind it gone"
    STRATEGY_PROOF = "asking for more than is needed never brings more of what is needed"
    RESOURCE_MONOTONE = "more capacity never gives anybody less"
    SHARING_INCENTIVE = "everybody gets at least the smaller of its claim and its weighted equal share"
    # reputation
    SCORES_BOUNDED = "every score and metric lies in [0, 1]"
    MONOTONE_IN_OUTCOMES = "a better outcome never lowers the score of the one it is about"
    BLIND_TO_NAMES = "renumbering agents renumbers the answer, nothing else"
    LOCAL = "an outcome moves no score but that of the one it is about"
    TICK_FREE = "outcomes handed over in several calls count as in one"
    SYBIL_BOUNDED = "newcomers hold at most (1 - a)/a of the trust that others place in them, a the restart share"
    # penalties
    NEVER_REWARDS = "no offence raises a score, and none takes it out of [0, 1]"
    GRADED = "of two offences the heavier never leaves the higher score"
    TELLS_APART = "of two offences the heavier leaves the strictly lower score, as long as there is some to lose"
    # voting
    MONOTONE_IN_VOTES = "turning a no into a yes never fails a proposal that passed"
    SPLIT_PROOF = "dividing a stake among identities that vote alike changes nothing"
    TIES_FAIL = "with as much for as against, nothing passes"
    # detection
    FALSE_ALARMS_STATED = "of honest agents no more than the stated share is flagged"
    UNCHECKED_UNTOUCHED = "nobody is flagged of whom nothing was looked at"
    # sharing
    PARETO_EFFICIENT = "the shares sum to the worth of all members together"
    SYMMETRIC = "two members who add the same to every coalition get the same"
    NULL_PLAYER = "a member who adds nothing to any coalition gets nothing"
    ADDITIVE = "the shares of two games played at once are the sums of the shares of each"
    STRONGLY_MONOTONE = "nobody whose every marginal contribution is at least as large gets less"
    AGGREGATE_MONOTONE = "when only the worth of all members together rises nobody gets less"
    PARTICIPATION = "in a superadditive game nobody gets less than what it is worth alone"
    IN_CORE_IF_CONVEX = "in a convex game no coalition gets less than its worth"
    IN_CORE_IF_NONEMPTY = "where some division gives every coalition its worth, this one does"
