"""The trade graph: communities that trade among themselves more than chance would have it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from celluler_sim.book import Floats, Slots
from celluler_sim.errors import require
from celluler_sim.mechanisms.base import register
from celluler_sim.mechanisms.bids import Dealings, Trades
from celluler_sim.mechanisms.screens import ScreenRule
from celluler_sim.mechanisms.verification import Verdicts


@register("screens", "trade_communities")
@dataclass(frozen=True, kw_only=True)
class TradeCommunities(ScreenRule):
    """Members of a community (of the Louvain method) that trades within itself more than chance: wash trades, rings.

    Steps: find communities; of each, compare its inner trades with those expected if the same sales had met the same
    purchases at random, as a likelihood ratio; shuffle the buyers among all sales, `shuffles` times, and take the
    largest ratio of each shuffle; p is the share of shuffles (the true one included) with a ratio as large. So the
    chance that *any* community is accused wrongly is `false_alarm_rate`. Domain: who buys from whom is chance.

    References
    ----------
    Blondel, Guillaume, Lambiotte and Lefebvre (2008), Fast unfolding of communities in large networks. Kulldorff
    (1997), A spatial scan statistic.
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
        seller, buyer = number[: len(trades)], number[len(trades) :]
        seen = np.bincount(number, minlength=len(node))
        enough = seen >= self.minimum
        if not enough.any():
            return Verdicts.nobody()
        ratio = community_ratio(Trades(seller, buyer), len(node), rng)
        as_large = np.ones(len(node))
        for _ in range(self.shuffles):
            other = community_ratio(Trades(seller, rng.permutation(buyer)), len(node), rng)
            as_large += other.max() >= ratio * (1 - 1e-9)
        p = as_large / (self.shuffles + 1)
        return self.judged(node[enough], p[enough], seen[enough])


def community_ratio(trades: Trades, n: int, rng: np.random.Generator) -> Floats:
    """Return how far the community of each node trades within itself beyond chance, (n_nodes,), >= 0.

    With T trades, k of them within the community and e = (its sales) (its purchases) / T expected, the log likelihood
    ratio is k ln(k/e) + (T - k) ln((T - k)/(T - e)) where k > e, else 0.
    """
    community = communities(trades, n, rng)
    total, groups = float(len(trades)), int(community.max(initial=0)) + 1
    sold, bought = (np.bincount(community[side], minlength=groups) for side in (trades.seller, trades.buyer))
    inside = community[trades.seller] == community[trades.buyer]
    k = np.bincount(community[trades.seller[inside]], minlength=groups).astype(np.float64)
    e = sold * bought / total
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = k * np.log(k / e) + np.where(total > k, (total - k) * np.log((total - k) / (total - e)), 0.0)
    return np.asarray(np.where(k > e, ratio, 0.0)[community])


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
