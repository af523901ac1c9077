"""Allocation rules on books small enough to be solved on paper."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from celluler_sim.book import Book, Fills
from celluler_sim.errors import ScenarioError
from celluler_sim.mechanisms.allocation import (
    DominantResourceFairness,
    FairShare,
    FirstCome,
    LiteralFairShare,
    Priority,
    Proportional,
)
from celluler_sim.mechanisms.base import registered
from celluler_sim.mechanisms.egalitarian import Claims, level_with_minimums
from celluler_sim.mechanisms.filling import max_min
from celluler_sim.mechanisms.law_checks import non_wasteful
from celluler_sim.mechanisms.placement_kernels import sorted_rows
from celluler_sim.mechanisms.provider_shares import level_above
from tests.mechanisms.books import books

patient = settings(deadline=None)  # the first call may compile
RNG = np.random.default_rng(0)
UNBOUNDED = FairShare(max_share=1.0, min_share=0.0)


def granted(rule: object, book: Book) -> np.ndarray:
    return rule.allocate(book, RNG).granted(book)


def pairs(fills: Fills) -> list[tuple[int, int, float]]:
    rows = zip(fills.request_row.tolist(), fills.offer_row.tolist(), fills.quantity.tolist(), strict=True)
    return sorted((i, j, round(q, 9)) for i, j, q in rows)


# ---- whose claim, how much -------------------------------------------------------------------------------------------


def test_fair_share_by_hand():
    """Ten units for 2, 2.6, 4 and 5: the first two are met, the others share the 5.4 that is left (Keshav 1997)."""
    assert_allclose(granted(FairShare(), Book.of(amount=[2, 2.6, 4, 5], capacity=[4, 6])), [2, 2.6, 2.7, 2.7])


def test_fair_share_with_weights_by_hand():
    """Sixteen units, weights 5:8:1:2: three are met with 10 in all, the third has the other 6 (Keshav 1997)."""
    book = Book.of(amount=[4, 2, 10, 4], weight=[2.5, 4, 0.5, 1], capacity=[16])
    assert_allclose(granted(FairShare(), book), [4, 2, 6, 4])


def test_equal_claims_go_to_the_earlier_deadline_then_to_consensus_order():
    """Ten units hold one of three jobs that need 6 whole: the second is due first; else the first came first."""
    job = {"amount": [6, 6, 6], "minimum": [6, 6, 6], "capacity": [10]}
    assert granted(FairShare(), Book.of(**job, deadline=[9, 5, 5])).tolist() == [0, 6, 0]
    assert granted(FairShare(), Book.of(**job)).tolist() == [6, 0, 0]


def test_a_claim_that_is_not_admitted_does_not_block_those_behind_it():
    """Of ten units 6 are gone; the second job needs 6 as well, the third only 4."""
    book = Book.of(amount=[6, 6, 4], minimum=[6, 6, 3], capacity=[10])
    assert granted(FairShare(), book).tolist() == [6, 0, 4]


def test_what_admitted_claims_leave_goes_to_who_can_use_less():
    """Equal shares of ten are 5 each, which would not do for the first, in need of 6; the other has what is left."""
    book = Book.of(amount=[6, 6], minimum=[6, 0], capacity=[10])
    assert granted(FairShare(), book).tolist() == [6, 4]


def test_who_needs_more_than_it_asks_for_gets_nothing():
    book = Book.of(amount=[2, 3], minimum=[2.5, 0], capacity=[4])
    for rule in registered("allocation").values():
        assert granted(rule(), book)[0] == 0


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(0, 4), st.sampled_from([0.5, 1.0, 2.0])), min_size=1, max_size=8),
    st.integers(1, 40),
)
@patient
def test_admission_is_what_its_definition_says(claims: list[tuple[int, int, float]], capacity: int):
    """One after another, each is in if the max-min shares with it still cover all minimums: done here step by step."""
    amount, quarter, weight = np.array(claims).T.astype(float)
    minimum = amount * quarter / 4
    admitted: list[int] = []
    for i in range(len(claims)):
        trial = [*admitted, i]
        if np.all(max_min(capacity, amount[trial], weight[trial]) >= minimum[trial] - 1e-9):
            admitted = trial
    rows, level = level_with_minimums(Claims(np.arange(len(claims)), amount, minimum, weight), float(capacity))
    assert rows.tolist() == admitted
    expected = max_min(capacity, amount[rows], weight[rows])
    assert_allclose(np.minimum(amount[rows], weight[rows] * level), expected, rtol=1e-9)


def test_hardware_ties_claims_to_offers():
    """Two need the scarce machine and share its 4; the third could use it too but has the dearer one to itself."""
    book = Book.of(amount=[9, 9, 9], kinds=[0b01, 0b01, 0b11], kind=[0, 1], capacity=[4, 6], ask=[1, 5])
    fills = FairShare().allocate(book, RNG)
    assert pairs(fills) == [(0, 0, 2), (1, 0, 2), (2, 1, 6)]


def test_low_bids_are_tied_to_cheap_offers():
    """Nine units at level 3: the low bid can afford the cheap 3 only and gets them all, the others share the dear 6."""
    book = Book.of(amount=[9, 9, 9], bid=[1, 5, 5], price=[1, 4], ask=[1, 4], capacity=[3, 6])
    assert pairs(UNBOUNDED.allocate(book, RNG)) == [(0, 0, 3), (1, 1, 3), (2, 1, 3)]


@pytest.mark.parametrize("seed", range(5))
def test_many_prices_leave_nothing_that_somebody_could_afford(seed: int):
    """Forty prices are more than are told apart, so shares may be off; still nothing is wasted."""
    rng = np.random.default_rng(seed)
    price = rng.permutation(np.arange(40.0))
    book = Book.of(bid=rng.uniform(0, 40, 30), amount=rng.uniform(0.5, 4, 30), price=price, ask=price)
    non_wasteful(UNBOUNDED, book)


def test_a_claim_that_cannot_be_met_alone_stands_in_nobodys_way():
    """The most urgent needs 3.6 of a kind of which there are 3; the others are served as if it were not there."""
    book = Book.of(
        amount=[1, 4, 1],
        minimum=[0, 3.6, 0],
        deadline=[9, 1, 9],
        kinds=[0b11, 0b10, 0b01],
        kind=[1, 0],
        capacity=[3, 1],
    )
    assert granted(FairShare(), book).tolist() == [1, 0, 1]


def test_proportional_by_hand():
    """Ten units for 5 and 15 are 2.5 and 7.5; with weights 3 and 1, 4 and 12 weigh the same and get 4 each of 8."""
    assert_allclose(granted(Proportional(), Book.of(amount=[5, 15], capacity=[10])), [2.5, 7.5])
    assert_allclose(granted(Proportional(), Book.of(amount=[4, 12], weight=[3, 1], capacity=[8])), [4, 4])


def test_literal_fair_share_strands_what_small_claims_leave():
    """Ten units, two providers, so at most 5 each: the first takes 1 and 4 of the others' 9 stay unserved."""
    assert granted(LiteralFairShare(), Book.of(amount=[1, 9], capacity=[7, 3])).tolist() == [1, 5]


def test_literal_fair_share_leaves_the_last_in_order_with_nothing():
    assert granted(LiteralFairShare(), Book.of(amount=[9, 9, 9], capacity=[7, 3])).tolist() == [5, 5, 0]


def test_first_come_is_a_queue():
    """Three servers, five jobs that need one each: the first three are served, in order, one server each."""
    book = Book.of(amount=np.ones(5), minimum=np.ones(5), capacity=np.ones(3))
    for split in (True, False):
        fills = FirstCome().allocate(Book(**{**vars(book), "split": split}), RNG)
        assert pairs(fills) == [(0, 0, 1), (1, 1, 1), (2, 2, 1)]


def test_nobody_overtakes_unless_the_queue_is_not_strict():
    """After 4 of 5 units the next job needs 3 whole; the third, which needs 1, may pass it only if not strict."""
    book = Book.of(amount=[4, 3, 1], minimum=[4, 3, 1], capacity=[5])
    for split in (True, False):
        book = Book(**{**vars(book), "split": split})
        assert granted(FirstCome(), book).tolist() == [4, 0, 0]
        assert granted(FirstCome(strict=False), book).tolist() == [4, 0, 1]


def test_who_waits_for_one_kind_of_machine_holds_up_only_that_kind():
    """The first waits for the small machine and keeps the second out of it; the third uses the other kind."""
    book = Book.of(amount=[3, 1, 1], minimum=[3, 1, 1], kinds=[0b01, 0b01, 0b10], kind=[0, 1], capacity=[2, 2])
    assert granted(FirstCome(), book).tolist() == [0, 0, 1]


def test_who_cannot_pay_holds_up_nobody():
    book = Book.of(amount=[3, 1], bid=[1, 9], price=[2], ask=[0], capacity=[2])
    assert granted(FirstCome(), book).tolist() == [0, 1]


def test_priority_serves_heavy_claims_first_and_equals_in_order():
    book = Book.of(amount=[4, 4, 4], weight=[1, 2, 1], capacity=[6])
    assert granted(Priority(), book).tolist() == [2, 4, 0]


def test_dominant_resource_fairness_by_hand():
    """9 CPU and 18 GB, tasks of 1 and 4 against 3 and 1: 3 and 2 tasks, so 3 and 6 CPU (Ghodsi et al. 2011)."""
    book = Book.of(amount=[9, 9], demand=[[36], [3]], capacity=[9], supply=[[18]])
    assert_allclose(granted(DominantResourceFairness(), book), [3, 6])


def test_dominant_resource_fairness_admits_while_minimums_are_covered():
    """The third needs its 2 units whole, with 12 GB that its dominant share does not reach: it is not admitted."""
    two = Book.of(amount=[9, 9], demand=[[36], [3]], capacity=[9], supply=[[18]])
    book = Book.of(
        amount=[9, 9, 2], minimum=[0, 6, 2], demand=[[36], [3], [12]], capacity=[9], supply=[[18]], deadline=[1, 2, 3]
    )
    assert_allclose(granted(DominantResourceFairness(), book)[:2], granted(DominantResourceFairness(), two))
    assert granted(DominantResourceFairness(), book)[2] == 0


# ---- from whom -------------------------------------------------------------------------------------------------------


def test_offers_are_taken_by_price_then_ask_then_order():
    book = Book.of(amount=[3.5], price=[2, 1, 1, 1], ask=[0, 1, 0, 1])
    assert pairs(UNBOUNDED.allocate(book, RNG)) == [(0, 0, 0.5), (0, 1, 1), (0, 2, 1), (0, 3, 1)]
    smaller = Book.of(amount=[1.5], price=[2, 1, 1, 1], ask=[0, 1, 0, 1])
    assert pairs(UNBOUNDED.allocate(smaller, RNG)) == [(0, 1, 0.5), (0, 2, 1)]


def test_an_unsplit_request_takes_the_first_offer_that_holds_all_of_it():
    book = Book.of(amount=[3], capacity=[1, 4, 5], split=False)
    assert pairs(UNBOUNDED.allocate(book, RNG)) == [(0, 1, 3)]


def test_an_unsplit_request_that_fits_nowhere_takes_the_largest_offer_if_that_is_enough():
    for minimum, expected in ((2, [(0, 1, 4)]), (4.5, [])):
        book = Book.of(amount=[5], minimum=[minimum], capacity=[3, 4, 4], split=False)
        assert pairs(FirstCome().allocate(book, RNG)) == expected


def test_further_resources_limit_what_an_offer_can_give():
    """Four units with 8 GB need 2 GB each: the first machine has memory for 1 unit, the second for 2."""
    book = Book.of(amount=[4], demand=[[8]], capacity=[4, 4], supply=[[2], [4]])
    assert pairs(FirstCome().allocate(book, RNG)) == [(0, 0, 1), (0, 1, 2)]


def test_what_a_request_cannot_use_is_left_to_others():
    """The first would have to have both units and can pay for one only; so it gets nothing and the second is served."""
    book = Book.of(amount=[2, 1], minimum=[2, 1], bid=[1, 9], price=[1, 5], ask=[0, 0])
    assert pairs(Priority().allocate(book, RNG)) == [(1, 0, 1)]


@given(st.lists(st.one_of(st.integers(-3, 3).map(float), st.floats(allow_nan=False)), max_size=40), st.data())
@patient
def test_rows_are_sorted_as_by_a_stable_sort(keys: list[float], data: st.DataObject):
    key = np.array(keys, dtype=float)
    rows = np.array(data.draw(st.permutations(range(len(key)))), np.int64)
    assert sorted_rows(key, rows).tolist() == rows[np.argsort(key[rows], kind="stable")].tolist()


# ---- bounds on providers' shares -------------------------------------------------------------------------------------


def test_five_providers_at_a_fifth_each():
    """Ten units from six providers: the cheapest five sell 2 each, the dearest nothing."""
    book = Book.of(amount=[10], capacity=np.full(6, 10), ask=[1, 2, 3, 9, 4, 5])
    fills = FairShare(max_share=0.2, min_share=0.0).allocate(book, RNG)
    assert_allclose(fills.sold(book), [2, 2, 2, 0, 2, 2])
    assert not fills.relaxed


def test_with_four_providers_the_cap_is_raised_to_a_quarter():
    book = Book.of(amount=[10], capacity=np.full(4, 10), ask=[1, 2, 3, 4])
    fills = FairShare(max_share=0.2, min_share=0.0).allocate(book, RNG)
    assert_allclose(fills.sold(book), 2.5)
    assert fills.relaxed


def test_a_cap_is_raised_only_as_far_as_the_small_cannot_sell():
    """Of 10 units the small providers can sell 1 and 2; the other two share the 7 that are left, not more."""
    book = Book.of(amount=[10], capacity=[1, 9, 2, 9])
    assert_allclose(FairShare(min_share=0.0).allocate(book, RNG).sold(book), [1, 3.5, 2, 3.5])


def test_the_lower_bound_comes_first():
    """A twentieth of 10 for each of six is 3 in all; then the cheapest are filled up to 2: four of them, and 1 more."""
    book = Book.of(amount=[10], capacity=np.full(6, 10), ask=[1, 2, 3, 4, 5, 6])
    fills = FairShare(max_share=0.2, min_share=0.05).allocate(book, RNG)
    assert_allclose(fills.sold(book), [2, 2, 2, 2, 1.5, 0.5])
    assert not fills.relaxed


def test_a_lower_bound_for_too_many_is_dropped():
    """A fifth each for six is more than there is: merit order alone decides, and the answer says so."""
    book = Book.of(amount=[10], capacity=np.full(6, 10), ask=[1, 2, 3, 4, 5, 6])
    fills = FairShare(max_share=0.5, min_share=0.2).allocate(book, RNG)
    assert_allclose(fills.sold(book), [5, 5, 0, 0, 0, 0])
    assert fills.relaxed


def test_shares_count_what_was_sold_before():
    """Of 12 units in all half is 6, which the cheap provider has sold already: the other sells the 4, up to 6."""
    book = Book.of(amount=[4], capacity=[9, 9], sold=[6, 2], ask=[1, 2])
    fills = FairShare(max_share=0.5, min_share=0.0).allocate(book, RNG)
    assert_allclose(fills.sold(book), [0, 4])
    assert not fills.relaxed


def test_a_provider_with_two_offers_is_one_provider():
    book = Book.of(amount=[10], capacity=[9, 9, 9], provider=[7, 7, 3], ask=[1, 2, 3])
    assert_allclose(FairShare(max_share=0.6, min_share=0.0).allocate(book, RNG).sold(book), [6, 0, 4])


def test_a_whole_request_goes_where_the_resulting_share_is_smallest():
    """On an empty market any single seller has all of the sale; on a busy one the cap leaves the first no room."""
    cold = FairShare().allocate(Book.of(amount=[5], capacity=[9, 9], split=False), RNG)
    assert pairs(cold) == [(0, 0, 5)]
    assert cold.relaxed
    uneven = FairShare().allocate(Book.of(amount=[5], capacity=[9, 9], sold=[3, 1], split=False), RNG)
    assert pairs(uneven) == [(0, 1, 5)]
    warm = Book.of(amount=[5], capacity=np.full(6, 9), sold=[20, 19, 14, 14, 14, 14], split=False)
    fills = FairShare(min_share=0.0).allocate(warm, RNG)
    assert pairs(fills) == [(0, 2, 5)]
    assert not fills.relaxed


def test_hardware_can_force_a_share_above_the_cap():
    """Only one provider has what is wanted: it sells all 4, though the cap would leave 3 to the others."""
    book = Book.of(amount=[4], kinds=[0b10], kind=[0, 1, 0], capacity=[9, 9, 9])
    fills = FairShare(min_share=0.0).allocate(book, RNG)
    assert fills.sold(book).tolist() == [0, 4, 0]
    assert fills.relaxed


@patient
@given(books())
def test_bounds_do_not_change_what_is_granted(book: Book):
    """Requests that may be split, without further resources: the bounds decide only who serves."""
    book = Book(**{**vars(book), "split": True, "demand": book.demand[:, :0], "supply": book.supply[:, :0]})
    slack = 1e-7 * max(book.amount.max(initial=0.0), book.capacity.max(initial=0.0))
    assert_allclose(granted(FairShare(), book), granted(UNBOUNDED, book), atol=slack)


@patient
@given(books(divisible=True, one_price=True, one_kind=True, resources=False), st.sampled_from([0.2, 0.4]))
def test_an_answer_that_is_not_relaxed_keeps_the_bounds(book: Book, cap: float):
    fills = FairShare(max_share=cap, min_share=0.05).allocate(book, RNG)
    owners, owner = np.unique(book.provider, return_inverse=True)
    before = np.bincount(owner, book.sold, minlength=len(owners))
    now = np.bincount(owner, fills.sold(book), minlength=len(owners))
    free = np.bincount(owner, book.capacity, minlength=len(owners)) - now
    total = (before + now).sum()

    def broken(slack: float) -> bool:
        """Whether a bound is missed by more than ``slack``, where something was sold or something was left to sell."""
        above = (now > slack * total) & (before + now > cap * total * (1 + slack))
        below = (free > slack * total) & (before + now < 0.05 * total * (1 - slack))
        return bool(len(fills.quantity) and (above.any() or below.any()))

    assert fills.relaxed or not broken(1e-6)  # what is plainly broken is said
    assert broken(1e-9) or not fills.relaxed  # and nothing else is


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=6),
    st.floats(0.0, 1.0),
)
def test_the_level_is_where_the_sale_is_all_placed(providers: list[tuple[int, int]], share: float):
    held, free = np.array(providers, dtype=float).T
    quantity = share * free.sum()
    level = level_above(held, free, quantity)
    assert np.clip(level - held, 0, free).sum() == pytest.approx(quantity, abs=1e-9)
    lower = np.clip(level - 1e-3 - held, 0, free).sum()
    assert quantity == 0 or lower < quantity


def test_no_level_places_more_than_there_is():
    assert level_above(np.zeros(2), np.ones(2), 3.0) == np.inf


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"max_share": 0}, "allocation.max_share must be > 0 and <= 1, got 0"),
        ({"min_share": -0.1}, "allocation.min_share must be >= 0 and <= 1, got -0.1"),
        ({"max_share": float("nan")}, "allocation.max_share"),
        (
            {"max_share": 0.1, "min_share": 0.3},
            r"allocation.min_share must be <= allocation.max_share \(0.1\), got 0.3",
        ),
    ],
)
def test_bounds_out_of_range_are_refused(keywords: dict[str, float], message: str):
    with pytest.raises(ScenarioError, match=message):
        FairShare(**keywords)


# ---- nothing to do ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", registered("allocation"))
@pytest.mark.parametrize(
    "book",
    [
        Book.of(),
        Book.of(amount=[1, 2]),
        Book.of(capacity=[1, 2]),
        Book.of(amount=[0], capacity=[3]),
        Book.of(amount=[3], capacity=[0]),
        Book.of(amount=[3], bid=[1], price=[2]),
        Book.of(amount=[3], kinds=[0b10], kind=[0]),
        Book.of(amount=[3], kinds=[0], kind=[0]),
    ],
    ids=[
        "empty",
        "no offers",
        "no requests",
        "nothing wanted",
        "nothing free",
        "too dear",
        "wrong kind",
        "no kind will do",
    ],
)
def test_nothing_can_be_sold(name: str, book: Book):
    fills = registered("allocation")[name]().allocate(book, RNG)
    assert len(fills.request_row) == len(fills.offer_row) == len(fills.quantity) == 0
    assert not fills.relaxed
