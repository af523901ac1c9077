"""Every registered allocation rule keeps the laws it claims; and each check notices a rule that does not."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from celluler_sim.book import Book, Fills, check_fills
from celluler_sim.mechanisms import allocation
from celluler_sim.mechanisms.base import claims_of, registered
from celluler_sim.mechanisms.law_checks import LAW_CHECKS, LawBrokenError, broken_claims
from celluler_sim.mechanisms.laws import Law
from celluler_sim.mechanisms.welfare import gain, optimal_gain
from tests.mechanisms.books import books

RULES: dict[str, Any] = {
    name: cls() for name, cls in registered("allocation").items() if cls.__module__.startswith("celluler_sim.")
} | {
    "fair_share without bounds": allocation.FairShare(max_share=1.0, min_share=0.0),
    "first_come, not strict": allocation.FirstCome(strict=False),
}
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the first call may compile
CLAIMS = [(name, law) for name, rule in RULES.items() for law in sorted(claims_of(rule), key=lambda law: law.name)]


@pytest.mark.parametrize(("name", "law"), CLAIMS, ids=[f"{name}-{law.name}" for name, law in CLAIMS])
@patient
@given(book=books())
def test_claimed_laws_hold(name: str, law: Law, book: Book):
    LAW_CHECKS[law](RULES[name], book)


@pytest.mark.parametrize("name", RULES)
@patient
@given(book=books())
def test_every_answer_can_be_carried_out(name: str, book: Book):
    check_fills(name, book, RULES[name].allocate(book, np.random.default_rng(0)))


@pytest.mark.parametrize("name", RULES)
@patient
@given(book=books())
def test_each_pair_has_one_fill_and_unsplit_requests_one_offer(name: str, book: Book):
    fills = RULES[name].allocate(book, np.random.default_rng(0))
    pairs = list(zip(fills.request_row.tolist(), fills.offer_row.tolist(), strict=True))
    assert len(set(pairs)) == len(pairs)
    assert book.split or len(set(fills.request_row.tolist())) == len(pairs)


@pytest.mark.parametrize("name", sorted(RULES.keys() - {"welfare"}))
@patient
@given(book=books())
def test_no_rule_gains_more_than_welfare(name: str, book: Book):
    best = gain(book, RULES["welfare"].allocate(book, np.random.default_rng(0)))
    assert gain(book, RULES[name].allocate(book, np.random.default_rng(0))) <= best + 1e-6 * max(1.0, abs(best))


@patient
@given(book=books())
def test_welfare_gains_no_more_than_the_yardstick(book: Book):
    best = optimal_gain(book)
    assert gain(book, RULES["welfare"].allocate(book, np.random.default_rng(0))) <= best * (1 + 1e-9) + 1e-9


@patient
@given(book=books(divisible=True, one_price=True, resources=False))
def test_the_yardstick_is_reached_where_it_is_exact(book: Book):
    best = optimal_gain(book)
    assert gain(book, RULES["welfare"].allocate(book, np.random.default_rng(0))) == pytest.approx(best, rel=1e-9)


@pytest.mark.parametrize("name", RULES)
@patient
@given(book=books(), data=st.data())
def test_nobody_is_asked_twice(name: str, book: Book, data: st.DataObject):
    """The same book gives the same answer, to the bit, whatever was allocated in between and whatever is drawn."""
    first = RULES[name].allocate(book, np.random.default_rng(0))
    RULES[name].allocate(data.draw(books()), np.random.default_rng(1))
    again = RULES[name].allocate(book, np.random.default_rng(2))
    assert [a.tobytes() for a in (first.request_row, first.offer_row, first.quantity)] == [
        a.tobytes() for a in (again.request_row, again.offer_row, again.quantity)
    ]


# ---- the checks have teeth ------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class FirstInCompany:
    """A deliberately bad rule: the first request takes all it can of the first offer, but only if others are there."""

    claims: ClassVar[frozenset[Law]] = frozenset({Law.RESPECTS_ORDER, Law.ENVY_FREE, Law.NON_WASTEFUL})

    def allocate(self, book: Book, rng: np.random.Generator) -> Fills:  # noqa: ARG002, D102 - as the protocol says
        rows = np.arange(1 if book.n_requests > 1 else 0)
        return Fills(rows, rows.copy(), np.minimum(book.amount[rows], book.capacity[rows]))


BREAKERS: dict[Law, tuple[Any, Book]] = {
    Law.NON_WASTEFUL: (allocation.LiteralFairShare(), Book.of(amount=[1, 9], capacity=[5, 5])),
    Law.ENVY_FREE: (allocation.FirstCome(), Book.of(amount=[4, 4], capacity=[4])),
    Law.EFFICIENT: (allocation.FairShare(), Book.of(bid=[9, 5], amount=[4, 4], capacity=[4])),
    Law.ANONYMOUS: (allocation.FirstCome(), Book.of(amount=[4, 4], capacity=[4])),
    Law.RESPECTS_ORDER: (FirstInCompany(), Book.of(amount=[2, 2], capacity=[9])),
    Law.STRATEGY_PROOF: (allocation.Proportional(), Book.of(amount=[4, 4], capacity=[4])),
    Law.RESOURCE_MONOTONE: (
        allocation.LiteralFairShare(),
        Book.of(amount=[9, 9], kinds=[1, 1], capacity=[4, 0], kind=[0, 1]),
    ),
    Law.SHARING_INCENTIVE: (allocation.Priority(), Book.of(amount=[4, 4], weight=[1, 2], capacity=[4])),
}


def test_there_is_a_check_for_every_law_that_an_allocation_claims():
    assert {law for rule in RULES.values() for law in claims_of(rule)} <= LAW_CHECKS.keys() == BREAKERS.keys()


@pytest.mark.parametrize("law", BREAKERS, ids=lambda law: law.name)
def test_each_check_catches_a_rule_that_breaks_the_law(law: Law):
    rule, book = BREAKERS[law]
    check_fills("breaker", book, rule.allocate(book, np.random.default_rng(0)))
    with pytest.raises(LawBrokenError, match=law.name):
        LAW_CHECKS[law](rule, book)


def test_broken_claims_of_a_rule_from_outside_are_named():
    """The first of two takes all there is: alone it would get nothing, and the second envies it; nothing is wasted."""
    broken = broken_claims(FirstInCompany(), Book.of(amount=[2, 2], capacity=[2]))
    assert set(broken) == {Law.RESPECTS_ORDER, Law.ENVY_FREE}
    assert "request 1 gets 0, request 0 gets 2" in broken[Law.ENVY_FREE]
