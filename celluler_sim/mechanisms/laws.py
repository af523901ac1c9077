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
