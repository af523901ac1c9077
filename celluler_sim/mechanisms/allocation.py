"""Allocation rules: who gets how much from whom. Importing this module registers all of them.

All rules place what they grant in merit order (cheapest price, then longest free, then ask, then row of the book) and
never match a request with hardware it does not accept or a price above its bid. A request whose minimum exceeds its
amount gets nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from celluler_sim.book import Book, Fills
from celluler_sim.errors import ScenarioError, require
from celluler_sim.mechanisms.base import When, register
from celluler_sim.mechanisms.drf import DominantResourceFairness
from celluler_sim.mechanisms.filling import capped_equal_share
from celluler_sim.mechanisms.laws import Law
from celluler_sim.mechanisms.welfare import Welfare

if TYPE_CHECKING:  # compiled modules are imported only inside a run
    from celluler_sim.mechanisms.provider_shares import ShareBounds

__all__ = [
    "DominantResourceFairness", "FairShare", "FirstCome", "LiteralFairShare", "Priority", "Proportional", "Welfare"
]  # fmt: skip

_EGALITARIAN = frozenset({
    Law.NON_WASTEFUL, Law.ENVY_FREE, Law.ANONYMOUS, Law.STRATEGY_PROOF, Law.RESOURCE_MONOTONE, Law.SHARING_INCENTIVE
})  # fmt: skip


@register("allocation", "fair_share")
@dataclass(frozen=True, kw_only=True)
class FairShare:
    """Weighted max-min: everyone gets min(amount, weight * level); shares of providers are bounded.

    Requests are admitted by deadline, then consensus order, each only if the level with it still covers the minimum of
    everyone admitted; who is not admitted does not block those behind. Where hardware or prices tie requests to certain
    offers the grants are lexicographically max-min (Megiddo 1974). What the admitted leave over is divided again in the
    same way. On the other side of the market, `provider_shares.ShareBounds` says how ``max_share`` and ``min_share``
    bound each provider's share and how they give way where they cannot hold; ``Fills.relaxed`` says that one does not.
    The bounds never change what a request is granted, only who serves it, unless it has to be served by a single offer.
    """

    max_share: float = 0.2  # largest share of a provider in the capacity sold; 1 switches the cap off
    min_share: float = 0.01  # smallest share of a provider with free capacity; 0 switches it off

    claims: ClassVar[frozenset[Law]] = _EGALITARIAN

    def __post_init__(self) -> None:
        """Check the ranges."""
        require("allocation.max_share", self.max_share, above=0, at_most=1)
        require("allocation.min_share", self.min_share, at_least=0, at_most=1)
        if self.min_share > self.max_share:
            raise ScenarioError(
                f"allocation.min_share must be <= allocation.max_share ({self.max_share:g}), got {self.min_share:g}"
            )

    def allocate(self, book: Book, rng: np.random.Generator) -> Fills:  # noqa: ARG002 - nothing is drawn
        """Return the fills."""
        from celluler_sim.mechanisms.egalitarian import share_out

        return share_out(book, book.weight, bounds=self._bounds())

    def _bounds(self) -> ShareBounds:
        from celluler_sim.mechanisms.provider_shares import ShareBounds

        return ShareBounds(self.max_share, self.min_share)


@register("allocation", "proportional")
@dataclass(frozen=True, kw_only=True)
class Proportional:
    """Where capacity is short everyone gets in proportion to weight times amount, as far as each can use it.

    What full claims leave goes to the rest in the same proportion. This is max-min with weight * amount as weight:
    equal weights mean that all get the same fraction of what they ask for, and asking for more pays. Minimums are
    admitted as in `FairShare`.
    """

    claims: ClassVar[frozenset[Law]] = frozenset({Law.NON_WASTEFUL, Law.ANONYMOUS, Law.RESOURCE_MONOTONE})

    def allocate(self, book: Book, rng: np.random.Generator) -> Fills:  # noqa: ARG002 - nothing is drawn
        """Return the fills."""
        from celluler_sim.mechanisms.egalitarian import share_out

        return share_out(book, book.weight * book.amount)


@register("allocation", "literal_fair_share")
@dataclass(frozen=True, kw_only=True)
class LiteralFairShare:
    """The seed's rule: min(amount, free capacity / number of providers), in consensus order while capacity lasts.

    What small claims leave is stranded though larger ones could use it, and with more claims than providers the last
    in order may get nothing. A request whose share would be below its minimum gets nothing.
    """

    claims: ClassVar[frozenset[Law]] = frozenset({Law.RESPECTS_ORDER, Law.STRATEGY_PROOF})

    def allocate(self, book: Book, rng: np.random.Generator) -> Fills:  # noqa: ARG002 - nothing is drawn
        """Return the fills."""
        from celluler_sim.mechanisms.placement import serve_in_order

        providers = len(np.unique(book.provider))
        share = capped_equal_share(float(book.capacity.sum()), book.amount, providers)
        return serve_in_order(book, np.arange(book.n_requests), share)


@register("allocation", "first_come")
@dataclass(frozen=True, kw_only=True)
class FirstCome:
    """Consensus order: each gets all it wants, or what is left if that covers its minimum; nobody overtakes.

    With ``strict`` a request that is left short closes every offer that it accepts to those behind it, so at any offer
    requests are served in the order in which they came: a first-in, first-out queue, M/M/c with requests of one server
    each. A request that no offer accepts (its bid is below every price, its hardware is not there) blocks nobody.
    Without ``strict`` smaller requests may slip past a larger one that has to wait.
    """

    strict: bool = True  # whether a request left short holds up those behind it

    claims: ClassVar[frozenset[Law]] = frozenset({Law.RESPECTS_ORDER, Law.STRATEGY_PROOF, Law.RESOURCE_MONOTONE})
    claims_when: ClassVar[Mapping[Law, When]] = {
        Law.NON_WASTEFUL: When("strict is false", lambda rule: not rule.strict)
    }

    def allocate(self, book: Book, rng: np.random.Generator) -> Fills:  # noqa: ARG002 - nothing is drawn
        """Return the fills."""
        from celluler_sim.mechanisms.placement import serve_in_order

        return serve_in_order(book, np.arange(book.n_requests), book.amount, strict=self.strict)


@register("allocation", "priority")
@dataclass(frozen=True, kw_only=True)
class Priority:
    """Highest weight first, equal weights in consensus order: each gets all it wants, or what is left.

    What is left has to cover its minimum. A request that has to wait does not hold up those behind it.
    """

    claims: ClassVar[frozenset[Law]] = frozenset({Law.NON_WASTEFUL, Law.STRATEGY_PROOF, Law.RESOURCE_MONOTONE})

    def allocate(self, book: Book, rng: np.random.Generator) -> Fills:  # noqa: ARG002 - nothing is drawn
        """Return the fills."""
        from celluler_sim.mechanisms.placement import serve_in_order

        return serve_in_order(book, np.argsort(-book.weight, kind="stable"), book.amount)
