"""Rules of trust held against real markets: collusion screens on real bids, reputation rules on real ratings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from celluler_sim.analysis.detection import auc_error, curve
from celluler_sim.book import Floats, Slots
from celluler_sim.mechanisms.bids import Bids, Dealings, figures
from celluler_sim.mechanisms.reputation import Ratings, Reputation
from celluler_sim.mechanisms.screens import Screen

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Area:
    """How well a score ranks cheats above honest agents; 0.5 is chance."""

    auc: float
    error: float  # standard error, of independent scores
    cheats: int  # marked or labelled as such
    honest: int
    average_precision: float  # whose chance level is the share of cheats

    @property
    def base_rate(self) -> float:
        """Share of cheats: the average precision of a score that says nothing."""
        return self.cheats / (self.cheats + self.honest)


def area(truth: npt.ArrayLike, score: npt.ArrayLike) -> Area:
    """Return the area under the curve of scores, (n,), NaN among them left out."""
    x = np.asarray(score, dtype=np.float64)
    known = ~np.isnan(x)
    cheat = np.asarray(truth, dtype=np.bool_)[known]
    cheats, found = int(cheat.sum()), curve(cheat, x[known])
    error = auc_error(found.auc, cheats, len(cheat) - cheats)
    return Area(found.auc, error, cheats, len(cheat) - cheats, found.average_precision)


@dataclass(frozen=True)
class Procurement:
    """Real reverse auctions, and the mark of their researchers: a classification, not a finding of a court."""

    bids: Bids
    marked: Mask  #  (n_auctions,) every bidder is a long-run bidder
    floor: Mask  #   (n_auctions,) bids below a minimum price were struck out
    bidder: Slots  # (n_bidders,) numbers, ascending
    long_run: Mask  # (n_bidders,) long-run bidder


def procurement(path: str | Path) -> Procurement:
    """Return the auctions of a file of `read_bids`; a bid without an amount, or struck out, is left out."""
    from celluler_sim.workloads.trust_readers import read_bids

    rows = read_bids(path).sort_values(["date", "pid"], kind="stable")
    rows = rows[rows["bid"].notna() & (rows["belowminprice"] == 0)]
    number = rows.groupby(["date", "pid"], sort=True).ngroup().to_numpy()
    reserve = rows["reserveprice"].to_numpy(np.float64)
    amount, won = rows["bid"].to_numpy(np.float64), rows["winner"].to_numpy() == 1
    bids = Bids.of(number, rows["bidder_id"].to_numpy(), amount, won=won, scale=reserve)
    first = np.unique(number, return_index=True)[1]
    marked, floor = (rows[name].to_numpy()[first] == 1 for name in ("auction_cartelized", "minpriceauction"))
    bidder, place = np.unique(rows["bidder_id"].to_numpy(), return_index=True)
    return Procurement(bids, marked, floor, bidder.astype(np.int64), rows["is_cartel"].to_numpy()[place] == 1)


def screens_of_auctions(data: Procurement) -> Mapping[tuple[str, bool], Area]:
    """Return how well each figure of an auction tells marked auctions, by (figure, whether there was a minimum price).

    Each figure has the sign that collusion is expected to give it: a high winning bid, a low spread, a small gap, a
    large relative distance of losing bids.
    """
    f = figures(data.bids)
    signed = {"winning bid": f.lowest, "low spread": -f.spread, "small gap": -f.gap, "distance": f.distance}
    signed["combined"] = _mean_rank(list(signed.values()), data.floor)
    return {
        (name, floor): area(data.marked[data.floor == floor], score[data.floor == floor])
        for name, score in signed.items()
        for floor in (False, True)
    }


def _mean_rank(scores: list[Floats], group: Mask) -> Floats:
    """Return the mean of the ranks of several scores within groups, (n,), over those that are numbers."""
    from scipy.stats import rankdata

    ranks = np.full((len(scores), len(group)), np.nan)
    for row, score in zip(ranks, scores, strict=True):
        for one in (group, ~group):
            known = one & ~np.isnan(score)
            row[known] = rankdata(score[known]) / max(int(known.sum()), 1)
    return np.asarray(np.nanmean(ranks, axis=0))


def placebo(data: Procurement, seed: int) -> Procurement:
    """Return the same auctions with their bids dealt out anew: who took part stays, what was bid tells nothing.

    All bids of an auction go together to another auction with as many bids and the same kind of minimum price, and
    there to its bidders in random order. A score that still finds the marked ones has read something else than bids.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    bids, n = data.bids, data.bids.counts
    start = np.cumsum(n) - n
    source = np.arange(len(n))
    kind = 2 * n + data.floor
    for value in np.unique(kind):
        alike = np.flatnonzero(kind == value)
        source[alike] = rng.permutation(alike)
    place = np.arange(len(bids)) - start[bids.auction]
    amount = bids.amount[start[source][bids.auction] + place]
    bidder = bids.bidder[np.lexsort((rng.random(len(bids)), bids.auction))]
    return replace(data, bids=Bids.of(bids.auction, bidder, amount))


def screens_of_bidders(
    data: Procurement, rules: Mapping[str, Screen], seed: int = 0
) -> Mapping[str, tuple[Area, Area]]:
    """Return, of each screen and the bidders it looked at: (area of its scores, area of how often they took part).

    The mark of a bidder was made from how often it took part, so the second is far above chance without any screen. A
    score that grows with participation, whatever the bids, borrows from it: that is a leak, and no detection.
    """
    found = {}
    for name, rule in rules.items():
        verdicts = rule.screen(Dealings(data.bids), np.random.Generator(np.random.PCG64(seed)))
        rows = np.searchsorted(data.bidder, verdicts.agent)
        found[name] = area(data.long_run[rows], verdicts.score), area(data.long_run[rows], verdicts.seen)
    return found


@dataclass(frozen=True)
class Otc:
    """Real ratings among traders, members numbered from 0, and what is known of some."""

    ratings: Ratings  # value: -10 to 10 brought to [0, 1]
    n: int  # members
    labelled: Slots  # (n_labelled,) number of the member
    fraud: Mask  #      (n_labelled,)


def otc(folder: str | Path) -> Otc:
    """Return ratings and labels from a folder that `read_trust_ratings` and `read_trust_labels` read."""
    from celluler_sim.workloads.trust_readers import read_trust_labels, read_trust_ratings

    rows, labels = read_trust_ratings(folder), read_trust_labels(folder)
    pairs = rows[["source", "target"]].to_numpy()
    member, number = np.unique(pairs, return_inverse=True)
    who = number.reshape(pairs.shape)
    value = (rows["rating"].to_numpy(np.float64) + 10.0) / 20.0
    ratings = Ratings.of(who[:, 1], value, rater=who[:, 0], time=rows["time"].to_numpy())
    known = labels[labels["member"].isin(member)]
    return Otc(ratings, len(member), np.searchsorted(member, known["member"]), known["label"].to_numpy() == -1)


def early_detection(data: Otc, rule: Reputation, k: int, *, independent: bool = False) -> Area:
    """Return how well low scores tell fraudulent members after the first ``k`` ratings each member got.

    Members with fewer ratings are judged by those; members without any are left out. With ``independent`` the
    ratings given by labelled members are left out beforehand: the labels were made from what the founder's circle
    said, and this removes as much of that as the data name.
    """
    ratings = data.ratings
    if independent:
        ratings = ratings.take(~np.isin(ratings.rater, data.labelled))
    ratings = ratings.take(ratings.nth() < k)
    standing = rule.update(rule.start(data.n), ratings)
    rated = np.isin(data.labelled, ratings.ratee)
    return area(data.fraud[rated], 1.0 - standing.score[data.labelled[rated]])


def early_path(data: Otc, rules: Mapping[str, Reputation], ks: tuple[int, ...]) -> Mapping[str, Floats]:
    """Return the area under the curve of each rule after the first k ratings, {name: (len(ks),)}."""
    return {name: np.array([early_detection(data, rule, k).auc for k in ks]) for name, rule in rules.items()}
