"""Every registered allocation rule keeps the laws it claims; and each check notices a rule that does not."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

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


def answers(book: Book) -> dict[str, Fills]:
    return {name: rule.allocate(book, np.random.default_rng(0)) for name, rule in RULES.items()}


@settings(patient, max_examples=300)
@given(book=books())
def test_every_answer_can_be_carried_out(book: Book):
    """No rule oversells, undercuts a minimum, or serves a pair twice; unsplit requests have one offer each."""
    for name, fills in answers(book).items():
        check_fills(name, book, fills)
        pairs = list(zip(fills.request_row.tolist(), fills.offer_row.tolist(), strict=True))
        assert len(set(pairs)) == len(pairs), name
        assert book.split or len(set(fills.request_row.tolist())) == len(pairs), name


@settings(patient, max_examples=300)
@given(book=books())
def test_no_rule_gains_more_than_welfare_and_welfare_no_more_than_the_yardstick(book: Book):
    gains = {name: gain(book, fills) for name, fills in answers(book).items()}
    assert max(gains.values()) <= gains["welfare"] + 1e-6 * max(1.0, abs(gains["welfare"])), gains
    assert gains["welfare"] <= optimal_gain(book) * (1 + 1e-9) + 1e-9


@patient
@given(book=books(divisible=True, one_price=True, resources=False))
def test_the_yardstick_is_reached_where_it_is_exact(book: Book):
    best = optimal_gain(book)
    assert gain(book, RULES["welfare"].allocate(book, np.random.default_rng(0))) == pytest.approx(best, rel=1e-9)


@patient
@given(book=books(), other=books())
def test_the_same_book_has_the_same_answer(book: Book, other: Book):
    """To the bit, whatever was allocated in between and whatever is drawn."""
    for name, rule in RULES.items():
        first = rule.allocate(book, np.random.default_rng(0))
        rule.allocate(other, np.random.default_rng(1))
        again = rule.allocate(book, np.random.default_rng(2))
        for column in ("request_row", "offer_row", "quantity"):
            assert getattr(first, column).tobytes() == getattr(again, column).tobytes(), name


# ---- the checks have teeth ------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class FirstInCompany:
    """A deliberately bad rule: the first request takes all it can of the first offer, but only if others are there."""

    claims: ClassVar[frozenset[Law]] = frozenset({Law.RESPECTS_ORDER, Law.ENVY_FREE, Law.NON_WASTEFUL})

    def allocate(self, book: Book, rng: np.random.Generator) -> Fills:
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
