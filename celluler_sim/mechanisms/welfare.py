"""The largest gain from trade: an allocation rule, a yardstick for the others, and two textbook problems."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Book, Fills, Floats, Slots
from celluler_sim.errors import require
from celluler_sim.mechanisms.base import register
from celluler_sim.mechanisms.laws import Law

if TYPE_CHECKING:  # compiled modules are imported only inside a run
    from celluler_sim.mechanisms.compatibility import Compatibility, Mask

REACHED = 1e-10  # relative: a gain this close to its upper bound has reached it


def worth(book: Book) -> Floats:
    """Return what a unit is worth to each request, (n_requests,), PRANA: its bid.

    An unlimited bid counts as twice the highest finite bid or ask on the book (1 where all are 0), so that it goes
    first and sums stay finite.
    """
    unlimited = np.isinf(book.bid)
    if not unlimited.any():
        return book.bid
    highest = max(book.bid[~unlimited].max(initial=0.0), book.ask.max(initial=0.0))
    return np.where(unlimited, 2 * highest if highest > 0 else 1.0, book.bid)


def gain(book: Book, fills: Fills) -> float:
    """Return the gain from trade, PRANA/s: (worth - ask) times quantity, summed."""
    return float(np.sum((worth(book)[fills.request_row] - book.ask[fills.offer_row]) * fills.quantity))


def optimal_gain(book: Book) -> float:
    """Return the largest gain from trade that a book allows, PRANA/s, or a bound on it: the yardstick.

    Exact where requests are divisible, prices do not matter (they are uniform, or equal to the asks, or all affordable)
    and there are no further resources: supply and demand cross, class of hardware by class of hardware. Minimums,
    unsplit requests, dispersed prices and further resources are relaxed, so with them it is an upper bound. A
    book whose prices are 0 gives the gain that no price stands in the way of. About a millisecond for 2,000 requests
    and 10,000 offers.
    """
    from celluler_sim.mechanisms.compatibility import classify

    classes = classify(book, bands=0)
    rows = _affordable(book, classes)
    if not len(rows):
        return 0.0
    granted, sold, _ = _crossing(book, classes, classes.suits, rows)
    return _value(book, granted, sold)


def _value(book: Book, granted: Floats, sold: Floats) -> float:
    return float(worth(book) @ granted - book.ask @ sold)


def _affordable(book: Book, classes: Compatibility) -> Slots:
    """Return the rows that could pay for some offer that suits them."""
    from celluler_sim.mechanisms.compatibility import cheapest

    if not classes.eligible.any():
        return np.empty(0, np.int64)
    return np.flatnonzero(
        classes.eligible & (book.bid >= cheapest(book, classes.offer_class, classes.suits)[classes.request_class])
    )


def _crossing(
    book: Book, classes: Compatibility, link: Mask, rows: Slots, *, firm: bool = False
) -> tuple[Floats, Floats, Floats]:
    """Cross supply and demand of ``rows`` as if divisible: (granted by request, sold by offer, flow between classes).

    ``firm``: each of the rows gets its minimum first, whatever that costs.
    """
    from celluler_sim.mechanisms.flow_kernels import cross
    from celluler_sim.mechanisms.placement_kernels import by_class, sorted_rows

    n, cost = book.n_requests, np.array(book.ask)
    value, amount, group = np.array(worth(book)), np.array(book.amount), np.array(classes.request_class)
    if firm:  # every request twice: its minimum, worth any price, and the rest
        value, amount = np.append(value, np.full(n, np.inf)), np.append(amount - book.minimum, book.minimum)
        group, rows = np.append(group, group), np.append(rows, rows + n)
    row, start, _ = by_class(sorted_rows(cost, np.arange(book.n_offers)), np.array(classes.offer_class), link.shape[1])
    order = sorted_rows(-value, rows)
    granted, sold, flow = cross(order, value, amount, group, row, start, cost, np.array(book.capacity), np.array(link))
    return (granted[:n] + granted[n:] if firm else granted), sold, flow


def _carry_out(book: Book, classes: Compatibility, crossed: tuple[Floats, Floats, Floats]) -> Fills:
    """Place what a crossing grants and sells, as far as prices, minimums and single offers let it be placed.

    Lowest bids choose first: what they can afford the others can afford as well.
    """
    from celluler_sim.mechanisms.placement import Placement
    from celluler_sim.mechanisms.placement_kernels import DUST, sorted_rows

    granted, sold, flow = crossed
    stage = Placement(replace(book, capacity=sold), classes)
    order = sorted_rows(np.array(book.bid), np.flatnonzero(granted > 0))
    stage.serve(order, granted, flow * (1 + DUST), least=np.array(book.minimum))
    return stage.fills()


def _by_worth(book: Book) -> Fills:
    """Serve by falling worth, each with all it wants or what is left, from offers that ask for no more than that."""
    from celluler_sim.mechanisms.placement import serve_in_order

    at_no_loss = replace(book, price=np.maximum(book.price, book.ask), bid=worth(book))
    return serve_in_order(at_no_loss, np.argsort(-worth(book), kind="stable"), book.amount)


@register("allocation", "welfare")
@dataclass(frozen=True, kw_only=True)
class Welfare:
    """The largest gain from trade, the sum of (bid - ask) * quantity: what other rules are measured against.

    1. Supply and demand are crossed as if requests were divisible and only hardware mattered. If that can be carried
       out as it is, nothing is better.
    2. Else, where requests may be split and there are no further resources, a program over what each request gets,
       each offer sells, and what flows between classes; minimums make it a mixed-integer one.
    3. Else a program over pairs of request and offer, mixed-integer where there are minimums or requests are not split.

    The programs are solved by HiGHS (Huangfu and Hall 2018), whose answers are the same every time. Where it stops at
    ``node_limit`` the better of its answer and the one from serving by falling bid is taken, which may not be the best.
    Requests that may be split take milliseconds, by the hundred; some dozens that may not, and want all or nothing, can
    take many seconds, most of them before the first branch.
    """

    gap: float = 1e-6  # relative distance from the optimum at which a mixed-integer search may stop
    node_limit: int = 1_000  # branch-and-bound nodes at which it stops in any case

    claims: ClassVar[frozenset[Law]] = frozenset({Law.EFFICIENT})

    def __post_init__(self) -> None:
        """Check the ranges."""
        require("allocation.gap", self.gap, at_least=0, below=1)
        require("allocation.node_limit", self.node_limit, at_least=1)

    def allocate(self, book: Book, rng: np.random.Generator) -> Fills:  # noqa: ARG002 - nothing is drawn
        """Return the fills."""
        from celluler_sim.mechanisms.compatibility import classify
        from celluler_sim.mechanisms.placement import no_fills

        hardware = classify(book, bands=0)
        rows = _affordable(book, hardware)
        if not len(rows):
            return no_fills()
        bound = _crossing(book, hardware, hardware.suits, rows)
        crossed = _carry_out(book, hardware, bound)
        if gain(book, crossed) >= _value(book, *bound[:2]) * (1 - REACHED):
            return crossed
        return max(crossed, self._programmed(book), _by_worth(book), key=lambda fills: gain(book, fills))

    def _programmed(self, book: Book) -> Fills:
        """Return the answer of the smallest program that describes the book."""
        from celluler_sim.mechanisms.compatibility import classify
        from celluler_sim.mechanisms.welfare_programs import admitted_by_classes, matched_by_pairs

        classes = classify(book)
        if not (classes.exact and book.split and not book.supply.shape[1]):
            return matched_by_pairs(book, worth(book), self.gap, self.node_limit)
        rows = np.flatnonzero(classes.eligible)
        if book.minimum[rows].any():
            rows = admitted_by_classes(book, classes, worth(book), self.gap, self.node_limit)
        return _carry_out(book, classes, _crossing(book, classes, classes.link, rows, firm=True))


class Knapsack(NamedTuple):
    """Which indivisible jobs fill one machine best."""

    value: float
    jobs: tuple[int, ...]  # 0-based
    relaxation: float  # value if jobs were divisible, an upper bound
    greedy: float  # value of taking jobs by falling value per size as long as they fit
    payments: dict[int, float]  # Vickrey, Clarke and Groves: what each winner's presence costs the others


def knapsack(capacity: float, sizes: npt.ArrayLike, values: npt.ArrayLike) -> Knapsack:
    """Solve the 0/1 knapsack problem (Dantzig 1957) exactly.

    Parameters
    ----------
    capacity
        >= 0, in the unit of the sizes.
    sizes, values
        (n,) > 0 and (n,) >= 0.

    >>> knapsack(50, [10, 20, 30], [60, 100, 120]).jobs
    (1, 2)
    """
    from celluler_sim.mechanisms.welfare_programs import best_subset

    size, value = np.asarray(sizes, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if size.ndim != 1 or size.shape != value.shape or not (np.all(size > 0) and np.all(value >= 0) and capacity >= 0):
        raise ValueError(
            f"sizes must be > 0, values >= 0, of one length, capacity >= 0, got {size}, {value}, {capacity}"
        )
    chosen = best_subset(capacity, size, value)
    total = float(value[chosen].sum())
    payments = {}
    for job in np.flatnonzero(chosen):
        others = np.arange(len(size)) != job
        without = value[others][best_subset(capacity, size[others], value[others])].sum()
        payments[int(job)] = float(without - (total - value[job]))
    relaxation, greedy = _by_density(capacity, size, value)
    return Knapsack(total, tuple(np.flatnonzero(chosen).tolist()), relaxation, greedy, payments)


def _by_density(capacity: float, size: Floats, value: Floats) -> tuple[float, float]:
    """Return the values of filling by falling value per size with divisible and with whole jobs."""
    order = np.argsort(-value / size, kind="stable")
    before = np.cumsum(size[order]) - size[order]
    relaxation = float(np.clip((capacity - before) / size[order], 0, 1) @ value[order])
    greedy, left = 0.0, capacity
    for job in order:
        if size[job] <= left:
            greedy, left = greedy + float(value[job]), left - float(size[job])
    return relaxation, greedy


class Assignment(NamedTuple):
    """Who gets which of several different items, one each."""

    columns: Slots  # (n_rows,) item of each row, -1 for none
    value: float
    payments: Floats  # (n_rows,) Vickrey, Clarke and Groves, 0 for who gets nothing


def assignment(values: npt.ArrayLike) -> Assignment:
    """Assign columns to rows, one each, so that the sum of values is largest (Shapley and Shubik 1971; Leonard 1983).

    ``values`` is (n_rows, n_columns).

    >>> assignment([[9, 8, 3], [7, 4, 2], [8, 6, 5]]).columns.tolist()
    [1, 0, 2]
    """
    v = np.asarray(values, dtype=np.float64)
    if v.ndim != 2 or not np.all(np.isfinite(v)):
        raise ValueError(f"values must be a matrix of finite numbers, got shape {v.shape}")
    rows, columns, total = _assign(v)
    chosen, payments = np.full(len(v), -1, np.int64), np.zeros(len(v))
    chosen[rows] = columns
    for row, column in zip(rows, columns, strict=True):
        payments[row] = _assign(np.delete(v, row, axis=0))[2] - (total - v[row, column])
    return Assignment(chosen, total, payments)


def _assign(values: Floats) -> tuple[Slots, Slots, float]:
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(values, maximize=True)
    return rows, columns, float(values[rows, columns].sum())
