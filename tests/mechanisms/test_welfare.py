"""The welfare rule and its yardstick against enumeration, and the two textbook problems."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.optimize import linprog

from celluler_sim.book import Book, check_fills
from celluler_sim.errors import ScenarioError
from celluler_sim.mechanisms.allocation import Welfare
from celluler_sim.mechanisms.law_checks import accepts
from celluler_sim.mechanisms.welfare import assignment, gain, knapsack, optimal_gain, worth
from tests.mechanisms.books import books
from tests.shared_data import shared

patient = settings(deadline=None)  # the first call may compile
RNG = np.random.default_rng(0)


def best_gain(book: Book) -> float:
    return gain(book, Welfare(gap=0.0).allocate(book, RNG))


def test_milp_welfare_cases():
    seen = 0
    for case in json.loads(shared("validation/cases.json").read_text()):
        if case["area"] != "milp-welfare":
            continue
        given_, expected, seen = case["inputs"], case["expected"], seen + 1
        if "jobs" in given_:
            sizes, values = np.array(given_["jobs"]).T
            answer = knapsack(given_["capacity"], sizes, values)
            assert list(answer.jobs) == expected["jobs"]
            assert answer.value == pytest.approx(expected["optimal_value"], abs=1e-7)
            assert answer.greedy == pytest.approx(expected["greedy_by_density_value"], abs=1e-7)
            assert answer.relaxation == pytest.approx(expected["lp_relaxation"], abs=1e-7)
            assert {str(k): pytest.approx(v, abs=1e-7) for k, v in answer.payments.items()} == expected["vcg_payments"]
        else:
            matched = assignment(given_["values"])
            assert matched.columns.tolist() == expected["assignment"]
            assert matched.value == pytest.approx(expected["welfare"], abs=1e-9)
            assert_allclose(matched.payments, expected["vcg_payments"], atol=1e-9)
    assert seen == 2


def test_supply_and_demand_cross_by_hand():
    """Bids 9, 7, 3 and asks 2, 5, 6, one unit each: 9 meets 2 and 7 meets 5, a gain of 7 + 2; 3 is below 6."""
    book = Book.of(bid=[9, 7, 3], ask=[2, 5, 6])
    fills = Welfare().allocate(book, RNG)
    assert gain(book, fills) == 9
    assert fills.granted(book).tolist() == [1, 1, 0]
    assert fills.sold(book).tolist() == [1, 1, 0]
    assert optimal_gain(book) == 9


def test_the_knapsack_as_a_book():
    """Jobs of 10, 20, 30 worth 6, 5, 4 a unit on one machine of 50: the last two are worth 220, more than 160."""
    jobs = {"amount": [10, 20, 30], "minimum": [10, 20, 30], "bid": [6, 5, 4]}
    for split in (True, False):
        book = Book.of(**jobs, capacity=[50], split=split)
        fills = Welfare().allocate(book, RNG)
        assert fills.granted(book).tolist() == [0, 20, 30]
        assert gain(book, fills) == 220
    assert optimal_gain(book) == 240  # as if jobs were divisible: 60 + 100 + 2/3 of 120


def test_a_losing_pair_may_be_needed_to_reach_a_minimum():
    """A bid of 10 that needs both units: it gains 9 from the ask of 1 and loses 2 to the ask of 12."""
    book = Book.of(bid=[10], amount=[2], minimum=[2], ask=[1, 12])
    fills = Welfare().allocate(book, RNG)
    assert fills.sold(book).tolist() == [1, 1]
    assert gain(book, fills) == 7


def test_hardware_decides_who_gets_the_cheap_offer():
    """Both could use the cheap machine, only the second has to: the first pays more elsewhere."""
    book = Book.of(bid=[9, 8], kinds=[0b11, 0b01], ask=[1, 2], kind=[0, 1])
    fills = Welfare().allocate(book, RNG)
    assert fills.request_row.tolist() == [1, 0]
    assert fills.offer_row.tolist() == [0, 1]
    assert gain(book, fills) == optimal_gain(book) == 14


def test_prices_stand_in_the_way_of_gains():
    """The ask of 1 is posted at 6, above the bid of 5; at no price the two would gain 4."""
    book = Book.of(bid=[5], ask=[1], price=[6])
    assert len(Welfare().allocate(book, RNG).quantity) == 0
    assert optimal_gain(book) == 0
    assert optimal_gain(Book.of(bid=[5], ask=[1])) == 4


def test_an_unlimited_bid_is_worth_twice_the_highest_figure():
    assert worth(Book.of(bid=[np.inf, 3], ask=[4])).tolist() == [8, 3]
    assert worth(Book.of(amount=[1, 1], capacity=[1])).tolist() == [1, 1]
    assert worth(Book.of(bid=[2, 3], ask=[4])).tolist() == [2, 3]


def test_unlimited_bids_are_served_first():
    book = Book.of(bid=[5, np.inf], amount=[2, 2], capacity=[3])
    assert Welfare().allocate(book, RNG).granted(book).tolist() == [1, 2]


@patient
@given(books(max_requests=4, max_offers=3))
def test_welfare_equals_enumeration_of_whole_jobs(book: Book):
    """All or nothing, each on one machine: every way to put jobs on machines is tried."""
    book = Book(**{**vars(book), "minimum": book.amount, "split": False})
    suits, value, best = accepts(book), worth(book), 0.0
    for offers in itertools.product(range(-1, book.n_offers), repeat=book.n_requests):
        placed = [(i, j) for i, j in enumerate(offers) if j >= 0]
        if not all(suits[i, j] and book.amount[i] > 0 for i, j in placed):
            continue
        used, taken = np.zeros(book.n_offers), np.zeros_like(book.supply)
        for i, j in placed:
            used[j] += book.amount[i]
            taken[j] += book.demand[i]
        if np.all(used <= book.capacity * (1 + 1e-9)) and np.all(taken <= book.supply * (1 + 1e-9)):
            best = max(best, sum((value[i] - book.ask[j]) * book.amount[i] for i, j in placed))
    assert best_gain(book) == pytest.approx(best, rel=1e-6, abs=1e-6)


@patient
@given(books(max_requests=4, max_offers=3, finite_bids=True))
def test_welfare_equals_enumeration_of_who_is_admitted(book: Book):
    """With minimums, split over machines: for every set of requests a linear program over pairs."""
    book = Book(**{**vars(book), "split": True})
    possible = (book.amount > 0) & (book.minimum <= book.amount)
    pairs = np.argwhere(accepts(book) & possible[:, None]).reshape(-1, 2)
    if not len(pairs):
        assert best_gain(book) == 0
        return
    i, j = pairs.T
    rows = [*(i == k for k in range(book.n_requests)), *(j == k for k in range(book.n_offers))]
    rows += [
        (j == o) * book.demand[i, k] / book.amount[i] for o in range(book.n_offers) for k in range(book.supply.shape[1])
    ]
    gains, best = worth(book)[i] - book.ask[j], 0.0
    for admitted in itertools.product([0.0, 1.0], repeat=book.n_requests):
        z = np.array(admitted)
        lower = [-1.0 * (i == k) for k in range(book.n_requests)]
        limits = np.concatenate([z * book.amount, book.capacity, book.supply.ravel(), -z * book.minimum])
        answer = linprog(-gains, A_ub=np.array([*rows, *lower], dtype=float), b_ub=limits)
        if answer.status == 0:
            best = max(best, -answer.fun)
    assert best_gain(book) == pytest.approx(best, rel=1e-6, abs=1e-6)


def test_a_search_that_is_cut_short_still_answers():
    """Forty jobs of odd sizes, one node of search: what comes back can be carried out and is near the bound."""
    rng = np.random.default_rng(3)
    size = rng.integers(5, 60, 40)
    book = Book.of(amount=size, minimum=size, bid=rng.uniform(1, 2, 40), capacity=rng.integers(30, 90, 6), split=False)
    fills = Welfare(node_limit=1).allocate(book, RNG)
    check_fills("welfare", book, fills)
    assert 0.9 * optimal_gain(book) < gain(book, fills) <= optimal_gain(book)


@pytest.mark.parametrize(("keywords", "message"), [({"gap": -1}, "allocation.gap"), ({"node_limit": 0}, "node_limit")])
def test_parameters_out_of_range_are_refused(keywords: dict[str, float], message: str):
    with pytest.raises(ScenarioError, match=message):
        Welfare(**keywords)


# ---- textbook problems -----------------------------------------------------------------------------------------------


jobs = st.lists(st.tuples(st.integers(1, 12), st.integers(0, 20)), min_size=1, max_size=7)


def best_value(capacity: float, chosen: list[tuple[int, int]]) -> float:
    """Return the largest value of any subset that fits."""
    subsets = itertools.chain.from_iterable(itertools.combinations(chosen, n) for n in range(len(chosen) + 1))
    return max(sum(v for _, v in subset) for subset in subsets if sum(s for s, _ in subset) <= capacity)


@patient
@given(capacity=st.integers(0, 30), jobs=jobs)
def test_knapsack_equals_enumeration(capacity: int, jobs: list[tuple[int, int]]):
    sizes, values = np.array(jobs).T
    answer = knapsack(capacity, sizes, values)
    assert answer.value == best_value(capacity, jobs)
    assert sizes[list(answer.jobs)].sum() <= capacity
    assert answer.greedy <= answer.value <= answer.relaxation + 1e-9
    for job, payment in answer.payments.items():
        others = [other for k, other in enumerate(jobs) if k != job]
        assert payment == pytest.approx(best_value(capacity, others) - (answer.value - values[job]))


@given(st.integers(1, 4), st.integers(1, 4), st.data())
def test_assignment_equals_enumeration(n: int, m: int, data: st.DataObject):
    values = np.array(data.draw(st.lists(st.lists(st.integers(0, 9), min_size=m, max_size=m), min_size=n, max_size=n)))

    def best(rows: list[int]) -> int:
        few, many = (rows, list(range(m))) if len(rows) <= m else (list(range(m)), rows)
        ways = itertools.permutations(many, len(few))
        return max(
            sum(values[(a, b) if few is rows else (b, a)] for a, b in zip(few, way, strict=True)) for way in ways
        )

    answer = assignment(values)
    assert answer.value == best(list(range(n)))
    for i, column in enumerate(answer.columns):
        own = values[i, column] if column >= 0 else 0
        due = best([k for k in range(n) if k != i]) - (answer.value - own)
        assert answer.payments[i] == pytest.approx(due)


def test_knapsack_and_assignment_refuse_what_they_cannot_read():
    with pytest.raises(ValueError, match="sizes must be > 0"):
        knapsack(5, [0], [1])
    with pytest.raises(ValueError, match="matrix of finite numbers"):
        assignment([1, 2])
