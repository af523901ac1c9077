"""What the order of transactions does: who is put before whom, how soon it is final, and what is made of it.

A pair of transactions is *ordered against submission* if the one submitted later comes first in the total order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from celluler_sim.analysis.reading import Bools, Floats, Slots, Tables, floats, setting, slots

GAP_BINS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)  # in gossip intervals, or in s where nobody gossips
PAIR_GAP_S = 10.0  # s, pairs further apart are left out of the summary: hardly any rule gets those wrong
MAX_PAIRS = 500_000  # pairs looked at; a fixed random sample where there are more
MEASURED = (0.43, 0.31, 0.18, 0.05, 0.004, 0.0)  # of hashgraph events in `GAP_BINS`: 32 members, pull gossip, no delay
Z_95 = 1.959964  # 97.5 % quantile of the normal distribution


class Submitted(NamedTuple):
    """The transactions that were ordered, by submission time."""

    time: Floats  #  (n,) s, ascending
    place: Slots  #  (n,) in the total order; of transactions submitted at once, ascending


def submitted(tables: Tables) -> Submitted:
    """Return when the transactions that were ordered were submitted, and their place in the order."""
    place, time = slots(tables, "transactions", "order"), floats(tables, "transactions", "submitted_s")
    known = place >= 0
    place, time = place[known], time[known]
    by_time = np.lexsort((place, time))
    return Submitted(time[by_time], place[by_time])


class Pairs(NamedTuple):
    """Pairs of transactions: how far apart they were submitted, and whether the later one came first."""

    gap: Floats  #   (n,) s, above 0
    wrong: Bools  #  (n,)


def pairs(tables: Tables, max_gap: float, at_most: int = MAX_PAIRS) -> Pairs:
    """Return the pairs submitted more than 0 and at most ``max_gap`` s apart, or ``at_most`` of them.

    A sample takes one pair at random from each of ``at_most`` equal parts of the list of all pairs, always the same.
    """
    time, place = submitted(tables)
    first = np.searchsorted(time, time, side="right")  # the next one that was not submitted in the same moment
    count = np.searchsorted(time, time + max_gap, side="right") - first
    ends = np.cumsum(count)
    total = int(ends[-1]) if len(ends) else 0
    chosen = np.arange(min(total, at_most))
    if total > at_most:
        jitter = np.random.default_rng(total).random(at_most)
        chosen = ((chosen + jitter) * (total / at_most)).astype(np.int64)
    one = np.searchsorted(ends, chosen, side="right")
    other = first[one] + chosen - (ends[one] - count[one])
    return Pairs(time[other] - time[one], place[other] < place[one])


class Fairness(NamedTuple):
    """Shares of pairs ordered against submission, by the gap between the two."""

    edges: Floats  # (n_bins + 1,) s
    pairs: Slots  #  (n_bins,)
    share: Floats  # (n_bins,) NaN without a pair
    low: Floats  #   (n_bins,) ends of the 95 % interval, as if pairs were independent
    high: Floats  #  (n_bins,)


def fairness(tables: Tables, unit_s: float = 1.0, bins: tuple[float, ...] = GAP_BINS) -> Fairness:
    """Return the share of pairs ordered against submission in bins of the gap.

    Parameters
    ----------
    tables
        With `transactions`.
    unit_s
        What the bins are multiples of, s: a gossip interval, say.
    bins
        Edges; a gap falls into the bin that ends at or above it.

    Notes
    -----
    The intervals are Wilson's (1927), Probable inference, the law of succession, and statistical inference.
    """
    edges = unit_s * np.asarray(bins)
    gap, wrong = pairs(tables, float(edges[-1]))
    inside = gap > edges[0]
    index = np.clip(np.searchsorted(edges, gap[inside], side="left") - 1, 0, len(edges) - 2)
    n = np.bincount(index, minlength=len(edges) - 1)
    bad = np.bincount(index, wrong[inside], minlength=len(n))
    with np.errstate(invalid="ignore", divide="ignore"):
        share = bad / n
        middle = (bad + Z_95**2 / 2) / (n + Z_95**2)
        half = Z_95 * np.sqrt(share * (1 - share) / n + (Z_95 / (2 * n)) ** 2) / (1 + Z_95**2 / n)
    return Fairness(edges, n, share, middle - half, middle + half)


def gossip_interval(config: Mapping[str, Any]) -> float | None:
    """Return the mean time between two events of a validator, s; None where nobody gossips."""
    interval = setting(config, "consensus.gossip_interval_seconds")
    return None if interval is None else float(interval)


def rank_displacement(tables: Tables) -> Floats:
    """Return by how many places each ordered transaction is off its place by submission time, (n,)."""
    _, place = submitted(tables)
    rank = np.empty(len(place), np.int64)
    rank[np.argsort(place, kind="stable")] = np.arange(len(place))
    return np.asarray(np.abs(rank - np.arange(len(place))), np.float64)


def finality(tables: Tables) -> Floats:
    """Return the time from submission to finality of each transaction that became final, (n,), s."""
    latency = floats(tables, "transactions", "final_s") - floats(tables, "transactions", "submitted_s")
    return np.asarray(latency[np.isfinite(latency)])


def extracted_by_fill(tables: Tables) -> Floats:
    """Return what proposers take of each fill, (n_fills,), PRANA."""
    return np.nan_to_num(floats(tables, "fills", "skim_prana")) * floats(tables, "fills", "work")


def spent_by_fill(tables: Tables) -> Floats:
    """Return what the consumer pays for each fill in all, (n_fills,), PRANA."""
    return floats(tables, "fills", "price_prana") * floats(tables, "fills", "work")


def extracted_by_proposer(tables: Tables) -> Floats:
    """Return what each validator took, (n_validators up to the last that took any,), PRANA."""
    proposer = slots(tables, "fills", "proposer")
    taken = proposer >= 0
    return np.bincount(proposer[taken], extracted_by_fill(tables)[taken]).astype(np.float64)


class Payers(NamedTuple):
    """Who pays what is extracted: groups from the lowest to the highest."""

    low: Floats  #       (groups,) least of each group: PRANA spent, or PRANA per unit bid
    high: Floats  #      (groups,) and most
    spent: Floats  #     (groups,) PRANA
    extracted: Floats  # (groups,) PRANA

    @property
    def share(self) -> Floats:
        """What is extracted of each PRANA spent, (groups,); NaN where none was."""
        out = np.full(len(self.spent), np.nan)
        return np.asarray(np.divide(self.extracted, self.spent, out=out, where=self.spent > 0))


def payers_by_spending(tables: Tables, groups: int = 10) -> Payers:
    """Return what equally many consumers each, from those who spend least on, spend and lose to proposers.

    Consumers who bought nothing are left out.
    """
    consumer = slots(tables, "fills", "consumer")
    who, index = np.unique(consumer, return_inverse=True)
    spent = np.bincount(index, spent_by_fill(tables), minlength=len(who)).astype(np.float64)
    taken = np.bincount(index, extracted_by_fill(tables), minlength=len(who)).astype(np.float64)
    return _grouped(spent, spent, taken, groups)


def payers_by_value(tables: Tables, groups: int = 10) -> Payers:
    """Return the same for equally many jobs each, from those worth least a unit on.

    A truthful bid is what a job is worth, so these groups are those of low and high bids.
    """
    job, number = slots(tables, "fills", "job"), slots(tables, "jobs", "job")
    by_number = np.argsort(number, kind="stable")
    served, index = np.unique(job, return_inverse=True)
    place = np.searchsorted(number[by_number], served)
    known = place < len(number)
    known[known] = number[by_number][place[known]] == served[known]
    value = floats(tables, "jobs", "value_prana")[by_number][place[known]]
    spent = np.bincount(index, spent_by_fill(tables), minlength=len(served)).astype(np.float64)
    taken = np.bincount(index, extracted_by_fill(tables), minlength=len(served)).astype(np.float64)
    return _grouped(value, spent[known], taken[known], groups)


def _grouped(key: Floats, spent: Floats, taken: Floats, groups: int) -> Payers:
    """Sum in groups of equally many (they differ by one at most), in ascending order of ``key``."""
    parts = [part for part in np.array_split(np.argsort(key, kind="stable"), groups) if len(part)]
    columns = (
        [key[p].min() for p in parts], [key[p].max() for p in parts],
        [spent[p].sum() for p in parts], [taken[p].sum() for p in parts],
    )  # fmt: skip
    return Payers(*(np.array(column, np.float64) for column in columns))


def bought_at_own_bid(tables: Tables) -> float:
    """Return the share of the work served that was paid at what it is worth to its consumer; NaN if none was served.

    Of truthful bidders these are the requests whose bid was in the book before the offer that served them.
    """
    price, value, work = (floats(tables, "jobs", c) for c in ("price_prana", "value_prana", "work"))
    served = np.isfinite(price)
    own = np.abs(price - value) <= 1e-6 * value
    total = float(work[served].sum())
    return float(work[served & own].sum()) / total if total > 0 else float("nan")


def consumer_surplus(tables: Tables) -> float:
    """Return value less price of the requests that started, PRANA."""
    return float(floats(tables, "markets", "consumer_surplus_prana").sum())


def consumers_loss(tables: Tables, counterfactual: Tables) -> float:
    """Return by how much consumers gain less than in another run of the same world, PRANA."""
    return consumer_surplus(counterfactual) - consumer_surplus(tables)


class Interval(NamedTuple):
    """A mean and its confidence interval."""

    mean: float
    low: float
    high: float


def interval(values: npt.ArrayLike, level: float = 0.95) -> Interval:
    """Return the mean of independent values and Student's interval around it; infinite for a single value.

    >>> interval([1.0, 2.0, 3.0]).mean
    2.0
    """
    from scipy.stats import t

    x = np.asarray(values, np.float64)
    half = float(t.ppf((1 + level) / 2, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x))) if len(x) > 1 else np.inf
    return Interval(float(x.mean()), float(x.mean()) - half, float(x.mean()) + half)


def ordering_figures(tables: Tables) -> dict[str, float | None]:
    """Return the figures of a summary that are about order; None where nothing was ordered."""
    latency, near, moved = finality(tables), pairs(tables, PAIR_GAP_S).wrong, rank_displacement(tables)
    spent, taken = float(spent_by_fill(tables).sum()), float(extracted_by_fill(tables).sum())
    return {
        "ordered_against_submission_share": float(near.mean()) if len(near) else None,
        "rank_displacement_mean": float(moved.mean()) if len(moved) else None,
        "finality_p50_s": float(np.quantile(latency, 0.50)) if len(latency) else None,
        "finality_p95_s": float(np.quantile(latency, 0.95)) if len(latency) else None,
        "extracted_prana": taken if len(moved) else None,
        "extracted_share_of_spending": taken / spent if len(moved) and spent > 0 else None,
    }
