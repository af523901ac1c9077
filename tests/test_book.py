"""What `check_fills` lets pass and what it refuses, one wrong figure at a time; and books built from lists."""

from __future__ import annotations

import numpy as np
import pytest

from celluler_sim.book import ANY_KIND, Book, Fills, check_fills
from celluler_sim.errors import MechanismError

COLUMNS = {
    "bid": [50.0, 20.0], "amount": [4.0, 2.0], "minimum": [1.0, 2.0], "kinds": [0b01, ANY_KIND],
    "ask": [10.0, 20.0], "price": [10.0, 20.0], "capacity": [3.0, 5.0], "kind": [0, 1],
    "demand": [[8.0], [4.0]], "supply": [[6.0], [100.0]],
}  # fmt: skip


def book(**changes):
    return Book.of(time=60.0, **{**COLUMNS, **changes})


def fills(*rows):
    """Return fills from rows of (request, offer, quantity)."""
    request, offer, quantity = np.array(rows, float).reshape(-1, 3).T
    return Fills(request.astype(np.int64), offer.astype(np.int64), quantity)


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [(0, 0, 3.0)],  # all of offer 0; of 8 GiB for 4 units/s 3/4 are used, the 6 there are
        [(0, 0, 1.0), (1, 1, 2.0)],
        [(1, 0, 1.0), (1, 1, 1.0)],  # one request of two offers
        [(0, 0, 3.0 * (1 + 1e-12))],  # rounding
    ],
)
def test_what_can_be_carried_out(rows):
    """Fills within every limit pass."""
    check_fills("allocation=x", book(), fills(*rows))


@pytest.mark.parametrize(
    ("rows", "changes", "message"),
    [
        ([(1, 1, 2.0), (0, 0, 3.1)], {}, "sell no more than an offer's free capacity, got 0.1 units/s too much"),
        ([(0, 0, 2.0), (1, 0, 2.0)], {}, "sell no more than an offer's free capacity, got 1 units/s too much"),
        ([(1, 1, 2.5)], {}, "grant no more than asked for, got 0.5 units/s too much"),
        ([(1, 1, 1.5)], {}, "grant at least a request's minimum or nothing, got 1.5"),
        ([(1, 1, 2.0)], {"bid": [50.0, 19.9]}, "charge no request more than its bid"),
        ([(0, 1, 2.0)], {}, "use hardware that the request accepts"),
        ([(0, 0, 3.0)], {"supply": [[5.9], [100.0]]}, "use no more of any resource than an offer has"),
        ([(0, 0, 0.0)], {}, "grant finite quantities above 0 units/s, got 0.0"),
        ([(0, 0, -1.0)], {}, "grant finite quantities above 0 units/s, got -1.0"),
        ([(0, 0, np.nan)], {}, "grant finite quantities above 0 units/s, got nan"),
        ([(0, 0, np.inf)], {}, "grant finite quantities above 0 units/s, got inf"),
        ([(2, 0, 1.0)], {}, "name rows of the book"),
        ([(-1, 0, 1.0)], {}, "name rows of the book"),
        ([(0, 2, 1.0)], {}, "name rows of the book"),
        ([(0, -1, 1.0)], {}, "name rows of the book"),
    ],
)
def test_what_cannot_be_carried_out(rows, changes, message):
    """Each wrong figure is named."""
    with pytest.raises(MechanismError, match=f"^allocation=x must {message}"):
        check_fills("allocation=x", book(**changes), fills(*rows))


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
def test_the_unit_does_not_matter(unit):
    """Half a percent too much is too much, whether capacities are trillions or trillionths of a unit."""
    small = book(amount=[4.0 * unit, 2.0 * unit], minimum=[0.0, 0.0], capacity=[3.0 * unit, 5.0 * unit])
    check_fills("allocation=x", small, fills((1, 1, 2.0 * unit)))
    with pytest.raises(MechanismError, match="grant no more than asked for"):
        check_fills("allocation=x", small, fills((1, 1, 2.01 * unit)))
    cheap = book(bid=[50.0 * unit, 20.0 * unit], price=[10.0 * unit, 20.1 * unit])
    with pytest.raises(MechanismError, match="charge no request more than its bid"):
        check_fills("allocation=x", cheap, fills((1, 1, 2.0)))


def test_columns_that_are_none():
    """Lists, matrices, columns of two lengths, fractions of rows and texts are no fills; empty ones of any type are."""
    one, many = np.array([0]), np.array([0, 1])
    for odd in (Fills([0], [0], [1.0]), Fills(one, many, np.array([1.0])), Fills(one[:, None], one, np.array([1.0]))):
        with pytest.raises(MechanismError, match="must return three columns of one length"):
            check_fills("allocation=x", book(), odd)
    for odd in (Fills(np.array([0.5]), one, np.array([1.0])), Fills(one, one, np.array(["1"]))):
        with pytest.raises(MechanismError, match="must return whole numbers as rows and floats as quantities"):
            check_fills("allocation=x", book(), odd)
    check_fills("allocation=x", book(), Fills(np.array([]), np.array([]), np.array([])))


def test_sums_by_hand():
    """3 from offer 0 to request 0 and 2 from offer 1 to request 1: (50 - 10) * 3 + (20 - 20) * 2 gained a second."""
    done = fills((0, 0, 3.0), (1, 1, 1.5), (1, 0, 0.5))
    assert done.granted(book()).tolist() == [3.0, 2.0]
    assert done.sold(book()).tolist() == [3.5, 1.5]
    assert done.surplus(book()) == 40 * 3 + 0 * 1.5 + 10 * 0.5


def test_columns_left_out_are_neutral():
    """A request without a bid pays anything, without a minimum takes anything; nothing is wanted beside the amount."""
    plain = Book.of(amount=[1.0, 2.0], capacity=[5.0])
    assert (plain.bid.tolist(), plain.minimum.tolist(), plain.price.tolist()) == ([np.inf] * 2, [0.0] * 2, [0.0])
    assert (plain.n_requests, plain.n_offers, plain.demand.shape, plain.supply.shape) == (2, 1, (2, 0), (1, 0))
    with pytest.raises(TypeError, match="Book has no column 'amuont'"):
        Book.of(amuont=[1.0])


def test_a_book_cannot_be_written():
    """A rule that alters its input fails at once."""
    with pytest.raises(ValueError, match="read-only"):
        book().amount[0] = 9.0
    with pytest.raises(AttributeError):
        book().amount = np.zeros(2)
