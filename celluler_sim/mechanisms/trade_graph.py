"""The trade graph: communities that trade among themselves more than chance would have it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from celluler_sim.book import Floats, Slots
from celluler_sim.errors import require
from celluler_sim.mechanisms.base import register
from celluler_sim.mechanisms.bids import Dealings, Mask, Trades
from celluler_sim.mechanisms.screens import ScreenRule
from celluler_sim.mechanisms.verification import Verdicts


@register("screens", "trade_communities")
@dataclass(frozen=True, kw_only=True)
class TradeCommunities(ScreenRule):
    """Members of a community (of the Louvain method) that trades within itself more than chance: wash trades, rings.

    1. Find communities; of each, compare its inner trades with those expected if the same sales had met the same
       purchases of the same period at random, as a likelihood ratio.
    2. Shuffle the buyers among the sales of each period, `shuffles` times, and take the largest ratio of each shuffle;
       p is the share of shuffles (the true one included) with a ratio as large. So the chance that *any* community is
       accused wrongly is `false_alarm_rate`.
    3. Of the communities at or below it accuse the one with most inner trades beyond those expected for each pair of
       its sellers and buyers, leave its inner trades out, and begin again with the rest: where a few trade among
       themselves, so do all others, and are not to blame.

    Domain: who buys from whom within a period is chance.

    References
    ----------
    Blondel, Guillaume, Lambiotte and Lefebvre (2008), Fast unfolding of communities in large networks. Kulldorff
    (1997), A spatial scan statistic. Zhang, Assuncao and Kulldorff (2010), Spatial scan statistics adjusted for
    multiple clusters.
    """

    shuffles: int = 99  # random graphs; p is at least 1 / (shuffles + 1)

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        require("screens.shuffles", self.shuffles, at_least=19)

    def screen(self, dealings: Dealings, rng: np.random.Generator) -> Verdicts:
        """Return the verdicts on everybody with `minimum` trades."""
        trades = dealings.trades
        node, number = np.unique(np.concatenate([trades.seller, trades.buyer]), return_inverse=True)
        rest = Trades(number[: len(trades)], number[len(trades) :], trades.period)
        seen, n = np.bincount(number, minlength=len(node)), len(node)
        enough = seen >= self.minimum
        if not enough.any():
            return Verdicts.nobody()
        p, accused = np.zeros(n), np.zeros(n, np.bool_)
        while len(rest):
            found = scan(rest, n, rng)
            chance = self._chance(found, rest, rng)
            p = np.where(accused, p, np.maximum(p, chance))  # who is cleared by one round stays cleared
            low = np.flatnonzero((chance <= self.false_alarm_rate) & (found.excess > 0.0))
            if not len(low):
                break
            members = found.community == found.community[low[np.argmax(found.excess[low])]]
            p[members & ~accused] = chance[members & ~accused]
            accused |= members
            rest = _without(rest, members)
        return self.judged(node[enough], p[enough], seen[enough])

    def _chance(self, found: Scan, trades: Trades, rng: np.random.Generator) -> Floats:
        """Return how often the largest ratio of trades at random is as large as each node's, (n_nodes,)."""
        as_large = np.ones(len(found.ratio))
        for _ in range(self.shuffles):
            other = scan(_shuffled(trades, rng), len(found.ratio), rng)
            as_large += other.ratio.max() >= found.ratio * (1 - 1e-9)
        return as_large / (self.shuffles + 1)


class Scan(NamedTuple):
    """The community of each node, and how it trades within itself."""

    community: Slots  # (n_nodes,)
    ratio: Floats  #     (n_nodes,) log likelihood ratio of its inner trades against chance, >= 0
    excess: Floats  #    (n_nodes,) its inner trades beyond those expected, for each pair of a seller and a buyer in it


def scan(trades: Trades, n: int, rng: np.random.Generator) -> Scan:
    """Return how far the community of each of ``n`` nodes trades within itself beyond chance.

    With T trades, k of them within the community and e expected, the sum over periods of (its sales) (its purchases) /
    (all trades), the log likelihood ratio is k ln(k/e) + (T - k) ln((T - k)/(T - e)) where k > e, else 0.
    """
    community = communities(trades, n, rng)
    total, groups = float(len(trades)), int(community.max(initial=0)) + 1
    seller, buyer = community[trades.seller], community[trades.buyer]
    k = np.bincount(seller[seller == buyer], minlength=groups).astype(np.float64)
    e = _expected(seller, buyer, trades.period, groups)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = k * np.log(k / e) + np.where(total > k, (total - k) * np.log((total - k) / (total - e)), 0.0)
    pairs = np.prod(
        [np.bincount(community[np.unique(side)], minlength=groups) for side in (trades.seller, trades.buyer)], axis=0
    )
    return Scan(community, np.where(k > e, ratio, 0.0)[community], ((k - e) / np.maximum(pairs, 1))[community])


def _expected(seller: Slots, buyer: Slots, period: Slots, groups: int) -> Floats:
    """Return how many inner trades of each community chance would bring, (n_groups,)."""
    number = np.unique(period, return_inverse=True)[1].reshape(-1)
    periods = int(number.max(initial=0)) + 1
    sold, bought = (
        np.bincount(number * groups + side, minlength=periods * groups).reshape(periods, groups)
        for side in (seller, buyer)
    )
    return np.asarray((sold * bought / np.maximum(sold.sum(axis=1), 1)[:, None]).sum(axis=0))


def _shuffled(trades: Trades, rng: np.random.Generator) -> Trades:
    """Return the same sales and purchases of each period, put together at random."""
    order = np.argsort(trades.period, kind="stable")
    anew = np.lexsort((rng.random(len(trades)), trades.period))
    buyer = trades.buyer.copy()
    buyer[order] = trades.buyer[anew]
    return Trades(trades.seller, buyer, trades.period)


def _without(trades: Trades, members: Mask) -> Trades:
    """Return all trades but those among these nodes."""
    keep = ~(members[trades.seller] & members[trades.buyer])
    return Trades(trades.seller[keep], trades.buyer[keep], trades.period[keep])


def communities(trades: Trades, n: int, rng: np.random.Generator) -> Slots:
    """Return the number of each node's community, (n_nodes,), by the Louvain method on the graph of trade counts."""
    import networkx as nx

    low, high = np.minimum(trades.seller, trades.buyer), np.maximum(trades.seller, trades.buyer)
    pair, count = np.unique(low * n + high, return_counts=True)
    graph: nx.Graph[int] = nx.Graph()
    graph.add_nodes_from(range(n))
    graph.add_weighted_edges_from(zip((pair // n).tolist(), (pair % n).tolist(), count.tolist(), strict=True))
    found = nx.community.louvain_communities(graph, seed=int(rng.integers(2**31)))
    number = np.zeros(n, np.int64)
    for place, members in enumerate(found):
        number[list(members)] = place
    return number
