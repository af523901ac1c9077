"""One clearing at a time: who starts when and at what price, worked by hand; what the market refuses from a rule."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.testing import assert_allclose

from celluler_sim.book import ANY_KIND, Fills
from celluler_sim.errors import MechanismError, ScenarioError
from celluler_sim.markets.resource import Offers, ResourceMarket
from celluler_sim.mechanisms.allocation import FairShare, FirstCome
from celluler_sim.mechanisms.pricing import Fixed, Posted

RNG = np.random.default_rng(0)
FOREVER = 1e9


def market(pricing=None, allocation=None, *, split=True, n_resources=0):
    rule = allocation or FirstCome(strict=False)
    return ResourceMarket("compute", pricing or Posted(), rule, min_quality=0, split=split, n_resources=n_resources)


def offers(*rows, supply=None):
    """Return offers from rows of (ask, total, busy)."""
    ask, total, busy = np.array(rows, float).reshape(-1, 3).T
    n = len(rows)
    supply = np.zeros((n, 0)) if supply is None else np.array(supply, float)
    return Offers(np.arange(n), ask, total, busy, np.ones(n), np.zeros(n, np.int64), supply)


def append(rows, **values):
    """Append one row; columns that are not given hold 0."""
    rows.append(
        **{name: np.zeros_like(rows[name], shape=(1, *rows[name].shape[1:])) for name in rows._columns} | values
    )


def wait(place, *requests, demand=None):
    """Put requests, (bid, amount, work, ready, give up) and perhaps a deadline, into a market's queue."""
    for k, (bid, amount, work, ready, give_up, *deadline) in enumerate(requests):
        append(
            place.waiting, job=k, consumer=k, born=ready, submitted=ready, ready=ready, bid=bid, value=bid,
            amount=amount, work=work, weight=1.0, least=amount, give_up=give_up,
            deadline=deadline[0] if deadline else FOREVER, kinds=ANY_KIND, demand=0.0 if demand is None else demand[k],
        )  # fmt: skip


def occupy(place, *fills):
    """Let fills, (provider, quantity, end, price), run in a market."""
    for provider, quantity, end, price in fills:
        append(place.fills, provider=provider, quantity=quantity, end=end, price=price)


def clear(place, standing, tick=1, since=60.0, now=120.0):
    """Complete what has ended, quote and clear one tick."""
    place.complete(now)
    return place.clear(standing, place.quote(standing, tick, since, now), tick, since, now, RNG)


def test_three_requests_by_hand():
    """P0 asks 10 for 2 units/s, P1 asks 20 for 3 that are busy until 90 s.

    A (final at 70 s) takes P0 at once, B (at 80 s) starts with P1 at 90 s, C bids 15: P0 is taken, P1 too dear.
    """
    place = market()
    occupy(place, (1, 3.0, 90.0, 20.0))
    wait(place, (50, 2, 200, 70, FOREVER), (25, 3, 90, 80, FOREVER), (15, 1, 10, 85, 115))
    started = clear(place, offers((10, 2, 0), (20, 3, 0)))
    assert started.row.tolist() == [0, 1]
    assert started.start.tolist() == [70.0, 90.0]
    assert started.price.tolist() == [10.0, 20.0]
    assert started.granted.tolist() == [2.0, 3.0]
    assert (started.offer.tolist(), started.job.tolist()) == ([0, 1], [0, 1])
    assert place.last_price == (2 * 10 + 3 * 20) / 5
    place.waiting.drop(started.row)
    assert place.renege(114.9)["job"].tolist() == []
    assert place.renege(115.0)["job"].tolist() == [2]


def test_one_request_of_two_providers_pays_their_mean():
    """4 units/s, 1 from P0 at 10 and 3 from P1 at 20: 17.5 a unit; without splitting nobody has 4."""
    place = market()
    wait(place, (50, 4, 200, 70, FOREVER))
    started = clear(place, offers((10, 1, 0), (20, 3, 0)))
    assert (started.price.tolist(), started.unit_price.tolist()) == ([17.5], [10.0, 20.0])
    whole = market(split=False)
    wait(whole, (50, 4, 200, 70, FOREVER))
    assert not len(clear(whole, offers((10, 1, 0), (20, 3, 0))).row)


def test_who_would_start_too_late_lets_the_next_go():
    """The only unit is free at 90 s: A gives up at 80 s, so B, behind it in the queue, has it from 90 s."""
    place = market()
    occupy(place, (0, 1.0, 90.0, 10.0))
    wait(place, (50, 1, 10, 65, 80), (50, 1, 10, 70, FOREVER))
    started = clear(place, offers((10, 1, 0)))
    assert (started.row.tolist(), started.start.tolist(), started.granted.tolist()) == ([1], [90.0], [1.0])


def test_who_could_not_end_in_time_does_not_start():
    """Work 10 at 1 unit/s from 90 s ends at 100 s: a deadline of 99 s is out of reach, one of 100 s is met."""
    for deadline, rows in ((99.0, []), (100.0, [0])):
        place = market()
        occupy(place, (0, 1.0, 90.0, 10.0))
        wait(place, (50, 1, 10, 65, FOREVER, deadline))
        assert clear(place, offers((10, 1, 0))).row.tolist() == rows


def test_a_deadline_raises_the_least_that_is_of_use():
    """Work 100 by 120 s needs 2 units/s from 70 s on: of 4 wanted, the half that is free is just enough."""
    for work, rows in ((100.0, [0]), (101.0, [])):
        place = market(allocation=FairShare(max_share=1.0, min_share=0.0))
        wait(place, (50, 4, work, 70, FOREVER, 120.0))
        place.waiting["least"][0] = 0.1
        assert clear(place, offers((10, 2, 0))).row.tolist() == rows


def test_offers_above_the_price_stand_aside():
    """At a fixed price of 15 the provider that asks 20 does not serve, free as it is."""
    place = market(Fixed(base_price=15.0))
    wait(place, (50, 1, 10, 65, FOREVER), (50, 1, 10, 66, FOREVER))
    started = clear(place, offers((20, 5, 0), (15, 1, 0)))
    assert (started.row.tolist(), started.offer.tolist(), started.price.tolist()) == ([0], [1], [15.0])


def test_a_second_resource_binds():
    """Two jobs of 1 unit/s with 6 GiB each: the provider has 4 units/s but 10 GiB, so only the first starts."""
    place = market(n_resources=1)
    wait(place, (50, 1, 10, 65, FOREVER), (50, 1, 10, 66, FOREVER), demand=np.array([[[6.0]], [[6.0]]]))
    assert clear(place, offers((10, 4, 0), supply=[[10.0]])).row.tolist() == [0]


def test_what_ended_is_taken_out():
    """Fills that end by 120 s, the earlier first; what still runs is busy and earns 2 * 30."""
    place = market()
    occupy(place, (0, 1.0, 110.0, 10.0), (1, 2.0, 150.0, 30.0), (1, 4.0, 70.0, 20.0), (0, 8.0, 120.0, 10.0))
    fills, jobs = place.complete(120.0)
    assert fills["end"].tolist() == [70.0, 110.0, 120.0]
    assert len(jobs["job"]) == 0
    assert place.busy(3).tolist() == [0.0, 2.0, 0.0]
    assert place.earning(3).tolist() == [0.0, 60.0, 0.0]


def test_what_withdrawn_providers_still_deliver():
    """P1 has withdrawn: its 2 units/s until 150 s count whole, its 4 until 75 s for a quarter of the minute."""
    place = market()
    occupy(place, (0, 1.0, 300.0, 10.0), (1, 2.0, 150.0, 30.0), (1, 4.0, 75.0, 20.0))
    place.complete(120.0)
    assert place.draining(np.array([True, False]), 60.0, 120.0) == 3.0
    assert place.draining(np.array([True, True]), 60.0, 120.0) == 0.0


def test_crumbs_count_as_nothing():
    """A provider whose capacity is taken but for rounding has none free."""
    assert offers((1, 3.0, 3.0 - 4e-16), (1, 3.0, 2.0), (1, 3.0, 3.0 + 4e-16)).free.tolist() == [0.0, 1.0, 0.0]


def test_without_offers_the_price_stays():
    """Nothing is quoted in an empty market: the last price, at first the base price, holds."""
    place = market(Posted(base_price=77.0))
    assert place.quote(offers(), 0, 0.0, 60.0).mean == 77.0
    assert place.observe(0.0, 60.0, 0.0, 0.0) == 0.0


def test_the_quote_sees_the_load_of_the_past():
    """Half of 4 units/s busy in the first minute: 0.5, and it is 0 before anything has been seen."""
    place = market(Fixed())
    standing = offers((10, 4, 0))
    assert place.quote(standing, 0, 0.0, 60.0).load.utilisation == 0.0
    assert place.observe(0.0, 60.0, 4.0, 2.0) == 0.5
    load = place.quote(standing, 1, 60.0, 120.0).load
    assert_allclose([load.utilisation, load.used, load.capacity, load.elapsed], [0.5, 2.0, 4.0, 60.0])


# ---- what a user's rule may not do ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Quotes:
    """A pricing rule that returns what it is told, or raises it."""

    answer: object
    base_price: float = 100.0
    window_seconds: float = 3600.0
    name: str = "odd"

    def quote(self, load, ask):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ([1.0], r"pricing=odd must quote one price per offer, shape \(2,\), got shape \(1,\) at tick 7"),
        (3.0, r"pricing=odd must quote one price per offer, shape \(2,\), got shape \(\) at tick 7"),
        ([1.0, np.nan], "pricing=odd must quote finite prices >= 0, got nan at tick 7"),
        ([np.inf, 1.0], "pricing=odd must quote finite prices >= 0, got inf at tick 7"),
        ([1.0, -2.0], "pricing=odd must quote finite prices >= 0, got -2.0 at tick 7"),
        (KeyError("slot"), "pricing=odd must not raise, got KeyError: 'slot' at tick 7"),
        ("dear", "pricing=odd must .* at tick 7"),
        (None, "pricing=odd must .* at tick 7"),
    ],
)
def test_bad_quotes(answer, message):
    """Each is one line that names rule, value and tick."""
    with pytest.raises(MechanismError, match=message) as caught:
        market(Quotes(answer)).quote(offers((10, 1, 0), (20, 1, 0)), 7, 0.0, 60.0)
    assert "\n" not in str(caught.value)


def test_a_rule_may_refuse_in_its_own_words():
    """An error of this package passes as it is."""
    with pytest.raises(ScenarioError, match=r"^pricing.block_seconds must divide$"):
        market(Quotes(ScenarioError("pricing.block_seconds must divide"))).quote(offers((1, 1, 0)), 7, 0.0, 60.0)


@dataclass(frozen=True)
class Grants:
    """An allocation rule that returns what it is told, or raises it."""

    answer: object
    name: str = "odd"

    def allocate(self, book, rng):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Writes:
    """An allocation rule that alters the book."""

    name = "odd"

    def allocate(self, book, rng):
        book.capacity[:] = 9.0


def test_a_rule_that_alters_the_book():
    """The book is read-only: what the rule raises is one line."""
    place = market(allocation=Writes())
    wait(place, (50, 2, 10, 65, FOREVER))
    with pytest.raises(MechanismError, match=r"allocation=odd must not raise, got ValueError: .* read-only at tick 7"):
        clear(place, offers((10, 2, 0)), tick=7)


def fills(*rows):
    """Return fills from rows of (request, offer, quantity)."""
    return Fills(*(np.array(column) for column in zip(*rows, strict=True)))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (ZeroDivisionError("by zero"), "allocation=odd must not raise, got ZeroDivisionError: by zero at tick 7"),
        (None, "allocation=odd must return Fills, got NoneType at tick 7"),
        ([(0, 0, 1.0)], "allocation=odd must return Fills, got list at tick 7"),
        (fills((0, 0, 3.0)), "allocation=odd must sell no more than .* at tick 7"),
        (fills((0, 0, -1.0)), "allocation=odd must grant finite quantities above 0 .*got -1.0 at tick 7"),
        (fills((0, 5, 1.0)), "allocation=odd must name rows of the book.* at tick 7"),
        (
            Fills(np.array([0]), np.array([0, 0]), np.array([1.0])),
            "must return three columns of one length.* at tick 7",
        ),
        (Fills([0], [0], [1.0]), "allocation=odd must return three columns .* at tick 7"),
        (Fills(np.array([0.5]), np.array([0]), np.array([1.0])), "allocation=odd must .* at tick 7"),
        (Fills(np.array([0]), np.array([0]), np.array(["much"])), "allocation=odd must .* at tick 7"),
        (Fills(None, None, None), "allocation=odd must .* at tick 7"),
    ],
)
def test_bad_fills(answer, message):
    """Each is one line that names rule, what was wrong and the tick."""
    place = market(allocation=Grants(answer))
    wait(place, (50, 2, 10, 65, FOREVER))
    with pytest.raises(MechanismError, match=message) as caught:
        clear(place, offers((10, 2, 0)), tick=7)
    assert "\n" not in str(caught.value)
