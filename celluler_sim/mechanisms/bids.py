"""Bids and trades as collusion screens see them, and the figures of an auction that screens are made of.

Auctions here are reverse auctions, as where providers bid for a job: the lowest bid wins.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Floats, Frozen, Slots
from celluler_sim.errors import ScenarioError

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Bids(Frozen):
    """Bids of past auctions, sorted by auction (in time order), then amount."""

    auction: Slots  # (n_bids,) number of the auction, 0 to n_auctions - 1
    bidder: Slots  #  (n_bids,) slot
    amount: Floats  # (n_bids,) > 0, over the auction's scale
    won: Mask  #      (n_bids,)

    @classmethod
    def of(
        cls,
        auction: npt.ArrayLike,
        bidder: npt.ArrayLike,
        amount: npt.ArrayLike,
        won: npt.ArrayLike | None = None,
        scale: npt.ArrayLike = 1.0,
    ) -> Bids:
        """Return checked bids.

        Parameters
        ----------
        auction
            (n_bids,) any numbers; auctions are taken to have happened in their order.
        amount
            (n_bids,) PRANA, > 0.
        won
            (n_bids,); the lowest bid of each auction where left out.
        scale
            (n_bids,) or one number, what amounts are divided by: the reserve price, say.

        Raises
        ------
        ScenarioError
            If an amount or a scale is not above 0.
        """
        number = np.unique(np.asarray(auction), return_inverse=True)[1].astype(np.int64).reshape(-1)
        relative = np.asarray(amount, dtype=np.float64) / np.asarray(scale, dtype=np.float64)
        if (bad := ~(np.isfinite(relative) & (relative > 0))).any():
            raise ScenarioError(f"bids.amount over bids.scale must be > 0, got {relative[bad][0]}; leave such bids out")
        order = np.lexsort((relative, number))
        number, relative = number[order], relative[order]
        first = np.diff(number, prepend=-1) > 0
        winners = first if won is None else np.asarray(won, dtype=np.bool_)[order]
        return cls(number, np.asarray(bidder, dtype=np.int64)[order], relative, winners)

    @classmethod
    def none(cls) -> Bids:
        """Return no bids."""
        return cls.of(*([np.zeros(0)] * 3))

    def __len__(self) -> int:
        """Return the number of bids."""
        return len(self.auction)

    @property
    def counts(self) -> Slots:
        """The number of bids of each auction, (n_auctions,)."""
        return np.bincount(self.auction).astype(np.int64) if len(self) else np.zeros(0, np.int64)


@dataclass(frozen=True)
class Trades(Frozen):
    """Sales, one a row."""

    seller: Slots  # (n_trades,) number of a node of the trade graph
    buyer: Slots  #  (n_trades,) number of a node; an agent that sells and buys has one number
    period: Slots  # (n_trades,) in which it happened: who could have met whom

    @classmethod
    def of(cls, seller: npt.ArrayLike, buyer: npt.ArrayLike, period: npt.ArrayLike = 0) -> Trades:
        """Return trades between numbered agents, all in one period unless said otherwise."""
        sold, bought = (np.array(side, dtype=np.int64).reshape(-1) for side in (seller, buyer))
        return cls(sold, bought, np.array(np.broadcast_to(np.asarray(period, dtype=np.int64), sold.shape)))

    def __len__(self) -> int:
        """Return the number of trades."""
        return len(self.seller)


def _no_trades() -> Trades:
    return Trades.of([], [])


@dataclass(frozen=True)
class Dealings:
    """What a collusion screen may look at."""

    bids: Bids = field(default_factory=Bids.none)
    trades: Trades = field(default_factory=_no_trades)


@dataclass(frozen=True)
class Figures(Frozen):
    """What bids look like, auction by auction; NaN where there are too few bids for a figure."""

    bids: Slots  #     (n_auctions,) how many
    lowest: Floats  #  (n_auctions,) lowest bid over the scale
    spread: Floats  #  (n_auctions,) standard deviation over mean, from two bids on
    gap: Floats  #     (n_auctions,) second lowest less lowest bid, over the scale, from two bids on
    distance: Floats  # (n_auctions,) the same over the standard deviation of the losing bids, from three bids on


def figures(bids: Bids) -> Figures:
    """Return the figures of every auction.

    References
    ----------
    Abrantes-Metz, Froeb, Geweke and Taylor (2006), A variance screen for collusion: the spread. Imhof, Karagok and
    Rutz (2018), Screening for bid rigging: the relative distance.
    """
    n = bids.counts
    start = np.cumsum(n) - n
    lowest, second = bids.amount[start], _or_nan(bids.amount, start + 1, n > 1)
    spread = _deviation(bids.auction, bids.amount, n) / _mean(bids.auction, bids.amount, n)
    losing = np.ones(len(bids), np.bool_)
    losing[start] = False
    among_losers = _deviation(bids.auction[losing], bids.amount[losing], n - 1)
    gap = second - lowest
    distance = np.where(among_losers > 0, gap / np.where(among_losers > 0, among_losers, 1.0), np.nan)
    return Figures(n, lowest, spread, gap, distance)


def _or_nan(column: Floats, rows: Slots, there: Mask) -> Floats:
    return np.where(there, column[np.where(there, rows, 0)], np.nan) if len(column) else np.zeros(0)


def _mean(group: Slots, x: Floats, n: Slots) -> Floats:
    return np.asarray(np.bincount(group, x, len(n)) / np.maximum(n, 1))


def _deviation(group: Slots, x: Floats, n: Slots) -> Floats:
    """Return the standard deviation (of a sample) by group, NaN below two."""
    off = x - _mean(group, x, n)[group]
    return np.where(n > 1, np.sqrt(np.bincount(group, off * off, len(n)) / np.maximum(n - 1, 1)), np.nan)
