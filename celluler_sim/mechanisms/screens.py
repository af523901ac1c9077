"""Collusion screens: who bids, or trades, in a way that independent agents would not.

Each screen compares a figure of an agent with what it would be if nothing but chance connected agents: with the same
bids or trades, shuffled (a permutation test), or with a count that competition bounds (a binomial test). The score is
1 - p, and an agent is flagged at p <= `false_alarm_rate`; so the rate of false accusations holds without a model of
bids wherever the shuffled things are exchangeable among honest agents, which every screen states.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np

from celluler_sim.book import Floats, Slots
from celluler_sim.errors import ScenarioError, require
from celluler_sim.mechanisms.base import When, register, registered
from celluler_sim.mechanisms.bids import Dealings, Figures, figures
from celluler_sim.mechanisms.laws import Law
from celluler_sim.mechanisms.verification import PRANA, Verdicts

_CLAIMS = frozenset({Law.FALSE_ALARMS_STATED, Law.UNCHECKED_UNTOUCHED})
_SAME = 1e-9  # relative; figures that differ by less are the same


@runtime_checkable
class Screen(Protocol):
    """Look at bids and trades and say who is suspect."""

    claims: ClassVar[frozenset[Law]]

    def screen(self, dealings: Dealings, rng: np.random.Generator) -> Verdicts:
        """Return the verdicts on everybody with enough bids or trades to say something."""
        ...


@dataclass(frozen=True, kw_only=True)
class ScreenRule:
    """What all screens share."""

    false_alarm_rate: float = 0.01  # share of honest agents flagged per call, at most
    cost: float = field(default=0.0, metadata=PRANA)  # PRANA for one call: bids are public
    minimum: int = 8  # auctions or trades that an agent needs to be looked at

    claims: ClassVar[frozenset[Law]] = _CLAIMS
    claims_when: ClassVar[Mapping[Law, When]] = {}

    def __post_init__(self) -> None:
        """Check the ranges."""
        require("screens.false_alarm_rate", self.false_alarm_rate, above=0, below=1)
        require("screens.cost", self.cost, at_least=0, unit="PRANA")
        require("screens.minimum", self.minimum, at_least=2)

    def judged(self, agent: Slots, p: Floats, seen: Slots) -> Verdicts:
        """Return the verdicts that chances ``p`` among independent agents amount to, (n,)."""
        threshold = 1.0 - self.false_alarm_rate
        return Verdicts(agent, np.clip(1.0 - p, 0.0, 1.0), seen, threshold, self.cost if len(agent) else 0.0)


@register("screens", "none")
@dataclass(frozen=True, kw_only=True)
class NoScreen:
    """Nobody looks at bids or trades."""

    claims: ClassVar[frozenset[Law]] = _CLAIMS

    def screen(self, dealings: Dealings, rng: np.random.Generator) -> Verdicts:  # noqa: ARG002 - nobody looks
        """Return no verdict."""
        return Verdicts.nobody()


@dataclass(frozen=True, kw_only=True)
class AuctionScreen(ScreenRule, ABC):
    """A figure of auctions, averaged over those an agent took part in, against the same number of others.

    Steps: rank the auctions by the figure among those with as many bids; average each bidder's ranks; shuffle the
    ranks among auctions with as many bids, `shuffles` times; p is the share of shuffles (the true one included) in
    which the bidder's average is as low. Domain: auctions with as many bids are exchangeable among honest bidders.
    """

    shuffles: int = 149  # random reorderings; p is a multiple of 1 / (shuffles + 1), so that 0.01 stands for 1/150

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        require("screens.shuffles", self.shuffles, at_least=19)

    @abstractmethod
    def figure(self, auctions: Figures) -> Floats:
        """Return the figure that collusion makes small, (n_auctions,); NaN where an auction says nothing."""

    def screen(self, dealings: Dealings, rng: np.random.Generator) -> Verdicts:
        """Return the verdicts on everybody with `minimum` auctions."""
        bids = dealings.bids
        auctions = figures(bids)
        figure = self.figure(auctions)
        rows = np.isfinite(figure)[bids.auction]
        bidder, number = np.unique(bids.bidder[rows], return_inverse=True)
        seen = np.bincount(number, minlength=len(bidder))

        def mean(rank: Floats) -> Floats:
            return np.asarray(np.bincount(number, rank[bids.auction[rows]], len(bidder)) / np.maximum(seen, 1))

        enough = seen >= self.minimum
        p = _shuffled(mean, figure, auctions.bids, self.shuffles, rng)
        return self.judged(bidder[enough], p[enough], seen[enough])


def _shuffled(
    mean: Callable[[Floats], Floats], figure: Floats, stratum: Slots, shuffles: int, rng: np.random.Generator
) -> Floats:
    """Return how often a shuffle within strata leaves a mean rank as low as the true one, (n_bidders,)."""
    use = np.flatnonzero(np.isfinite(figure))
    use = use[np.argsort(stratum[use], kind="stable")]
    rank = np.zeros(len(figure))
    rank[use] = _ranks(figure[use], stratum[use])
    truth = mean(rank)
    as_low = np.ones(truth.shape)
    for _ in range(shuffles):
        other = np.zeros(len(figure))
        other[use] = rank[use[np.lexsort((rng.random(len(use)), stratum[use]))]]
        as_low += mean(other) <= truth + _SAME
    return as_low / (shuffles + 1)


def _ranks(x: Floats, stratum: Slots) -> Floats:
    """Return each figure's mean place among the equal or smaller ones of its stratum, (n,), (0, 1]; strata sorted."""
    ranks = np.empty(len(x))
    for begin, end in _runs(stratum):
        part = np.sort(x[begin:end])
        low, high = (np.searchsorted(part, x[begin:end], side) for side in ("left", "right"))
        ranks[begin:end] = (low + high + 1) / (2 * len(part))
    return ranks


def _runs(group: Slots) -> list[tuple[int, int]]:
    """Return where each run of equal values begins and ends."""
    edges = np.flatnonzero(np.diff(group)) + 1
    ends = [*edges.tolist(), len(group)]
    return list(zip([0, *edges.tolist()], ends, strict=True)) if len(group) else []


@register("screens", "price_variance")
@dataclass(frozen=True, kw_only=True)
class PriceVariance(AuctionScreen):
    """Bids close to each other: the variance screen.

    References
    ----------
    Abrantes-Metz, Froeb, Geweke and Taylor (2006), A variance screen for collusion.
    """

    def figure(self, auctions: Figures) -> Floats:
        """Return the spread, (n_auctions,)."""
        return auctions.spread


@register("screens", "cover_bids")
@dataclass(frozen=True, kw_only=True)
class CoverBids(AuctionScreen):
    """Losing bids close to each other and far from the winner's: cover bids keep a distance.

    References
    ----------
    Imhof, Karagok and Rutz (2018), Screening for bid rigging: does it work?
    """

    def figure(self, auctions: Figures) -> Floats:
        """Return the relative distance, large where collusion is likely, with its sign turned, (n_auctions,)."""
        return -auctions.distance


@register("screens", "bid_rotation")
@dataclass(frozen=True, kw_only=True)
class BidRotation(ScreenRule):
    """Wins that are spread too evenly over the auctions a bidder took part in: taking turns.

    Steps, for each bidder with m auctions and w >= 2 wins: the waits between wins, before the first and after the last
    sum to m - w; their sum of squares is small where wins come regularly; p is the share of random orders of the same
    wins (`shuffles`, and the true one) with a sum as small. Domain: an honest bidder's wins are exchangeable in time.
    """

    shuffles: int = 149  # random reorderings; p is a multiple of 1 / (shuffles + 1), so that 0.01 stands for 1/150

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        require("screens.shuffles", self.shuffles, at_least=19)

    def screen(self, dealings: Dealings, rng: np.random.Generator) -> Verdicts:
        """Return the verdicts on everybody with `minimum` auctions and two wins."""
        bids = dealings.bids
        order = np.lexsort((bids.auction, bids.bidder))
        bidder, won = bids.bidder[order], bids.won[order]
        runs = [(i, j) for i, j in _runs(bidder) if j - i >= self.minimum and won[i:j].sum() >= 2]
        p = np.array([self._chance(np.flatnonzero(won[i:j]), j - i, rng) for i, j in runs])
        begin = np.array([i for i, _ in runs], dtype=np.int64)
        return self.judged(bidder[begin], p, np.array([j - i for i, j in runs], dtype=np.int64))

    def _chance(self, wins: Slots, m: int, rng: np.random.Generator) -> float:
        """Return how often random wins come as regularly as these."""
        places = np.argsort(rng.random((self.shuffles, m)), axis=1)[:, : len(wins)]
        random = _irregularity(np.sort(places, axis=1), m)
        return float(1 + np.sum(random <= _irregularity(wins[None, :], m)[0])) / (self.shuffles + 1)


def _irregularity(wins: Slots, m: int) -> Slots:
    """Return the sum of squared waits around wins at sorted places, (n_orders,). ``wins`` is (n_orders, n_wins)."""
    waits = np.diff(wins, axis=1, prepend=-1, append=m) - 1
    return np.asarray((waits * waits).sum(axis=1), dtype=np.int64)


@register("screens", "missing_bids")
@dataclass(frozen=True, kw_only=True)
class MissingBids(ScreenRule):
    """Near ties for the lowest bid that are not there: rivals who compete sometimes come close.

    Steps, for each bidder who was one of the lowest two: among its auctions whose two lowest bids are less than 2 h
    apart (h = `close`), count those less than h apart. Where bids are independent draws from one log-concave density,
    small gaps are the likelier, so the count is at least binomial with chance 1/2; p = P(that few or fewer). Domain:
    such bids.

    References
    ----------
    Chassang, Kawai, Nakabayashi and Ortner (2022), Robust screens for noncompetitive bidding in procurement auctions.
    """

    close: float = 0.005  # h, over the auction's scale (its reserve price)

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        require("screens.close", self.close, above=0)

    def screen(self, dealings: Dealings, rng: np.random.Generator) -> Verdicts:  # noqa: ARG002 - nothing is drawn
        """Return the verdicts on everybody with `minimum` auctions that it won or nearly won."""
        from scipy.special import bdtr

        bids = dealings.bids
        auctions = figures(bids)
        start = np.cumsum(auctions.bids) - auctions.bids
        place = np.arange(len(bids)) - start[bids.auction]
        gap = auctions.gap[bids.auction]
        rows = (place < 2) & (gap < 2 * self.close)  # a NaN gap is not below anything
        bidder, number = np.unique(bids.bidder[rows], return_inverse=True)
        seen = np.bincount(number, minlength=len(bidder))
        near = np.bincount(number, gap[rows] < self.close, len(bidder))
        enough = seen >= self.minimum
        p = bdtr(near[enough], seen[enough], 0.5)
        return self.judged(bidder[enough], np.asarray(p), seen[enough])


@register("screens", "combined")
@dataclass(frozen=True, kw_only=True)
class Combined(ScreenRule):
    """Several screens at once: the smallest of m chances, times m, which holds however the screens depend.

    Here m is how many of the screens found enough to look at the agent.

    References
    ----------
    Bonferroni (1936), Teoria statistica delle classi e calcolo delle probabilita.
    """

    screens: tuple[str, ...] = ("price_variance", "cover_bids", "bid_rotation", "missing_bids")  # names of the family
    shuffles: int = 999  # random reorderings of the screens that shuffle; p is at least m / (shuffles + 1)

    def __post_init__(self) -> None:
        """Check the ranges and names."""
        super().__post_init__()
        known = [name for name in registered("screens") if name not in ("combined", "none")]
        if not self.screens or (unknown := [name for name in self.screens if name not in known]):
            got = unknown[0] if self.screens else "none"
            raise ScenarioError(f"screens.screens must name some of {', '.join(known)}, got {got}")
        require("screens.shuffles", self.shuffles, at_least=19)

    def screen(self, dealings: Dealings, rng: np.random.Generator) -> Verdicts:
        """Return the verdicts on everybody whom any of the screens looked at."""
        found = [self._part(name).screen(dealings, rng) for name in self.screens]
        agent = np.unique(np.concatenate([verdicts.agent for verdicts in found]))
        p, looked, seen = np.ones(len(agent)), np.zeros(len(agent)), np.zeros(len(agent), np.int64)
        for verdicts in found:
            rows = np.searchsorted(agent, verdicts.agent)
            p[rows] = np.minimum(p[rows], 1.0 - verdicts.score)
            looked[rows] += 1
            seen[rows] = np.maximum(seen[rows], verdicts.seen)
        return self.judged(agent, p * looked, seen)

    def _part(self, name: str) -> Screen:
        """Return one of the screens with the parameters that it shares with this one."""
        rule = registered("screens")[name]
        shared = {key: getattr(self, key) for key in ("minimum", "shuffles") if key in {f.name for f in fields(rule)}}
        screen: Screen = rule(**shared)
        return screen
