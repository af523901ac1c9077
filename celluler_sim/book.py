"""What a mechanism is given and what it gives back: frozen columns in consensus order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from celluler_sim.errors import MechanismError

Floats = npt.NDArray[np.float64]
Slots = npt.NDArray[np.int64]
Masks = npt.NDArray[np.uint64]
Codes = npt.NDArray[np.int8]

ANY_KIND = np.uint64(0xFFFFFFFFFFFFFFFF)


class Frozen:
    """Make every array field read-only, so that a mechanism cannot alter its input."""

    def __post_init__(self) -> None:
        """Set every array's writeable flag to false."""
        for column in self.__dict__.values():
            if type(column) is np.ndarray:
                column.setflags(write=False)


@dataclass(frozen=True)
class Load(Frozen):
    """What a pricing rule may know about a market at the moment it quotes."""

    time: float  #        s since the start of the simulation
    elapsed: float  #     s since the previous quote
    utilisation: float  # time-weighted share of capacity in use over the pricing window, [0, 1]
    used: float  #        mean capacity in use since the previous quote, units/s
    capacity: float  #    capacity on offer, in use or not, units/s
    last_price: float  #  PRANA per unit, the previous quote (the base price at the start)


@dataclass(frozen=True)
class Book(Frozen):
    """The open requests and offers of one market at one clearing, in consensus order.

    Capacity is in units per second, work in units (of FLOP-seconds, by default 1e18 of them), so
    a request that holds ``amount`` of capacity for ``d`` seconds receives ``amount * d`` of work.
    """

    time: float  #       s, the moment of clearing
    request_id: Slots  # (n_requests,)
    consumer: Slots  #   (n_requests,) slot in the population of consumers
    bid: Floats  #       (n_requests,) PRANA per unit, the most the consumer would pay
    amount: Floats  #    (n_requests,) units/s wanted
    minimum: Floats  #   (n_requests,) units/s, the least that is of use; equal to amount: all or nothing
    weight: Floats  #    (n_requests,) > 0, claim relative to others
    deadline: Floats  #  (n_requests,) s, inf where there is none
    submitted: Floats  # (n_requests,) s
    kinds: Masks  #      (n_requests,) bit k is set where hardware of kind k will do
    demand: Floats  #    (n_requests, n_resources) wanted beside the amount, in each resource's unit
    provider: Slots  #   (n_offers,) slot in the population of providers
    ask: Floats  #       (n_offers,) PRANA per unit, the least the provider accepts
    price: Floats  #     (n_offers,) PRANA per unit, what is paid if this offer is taken
    capacity: Floats  #  (n_offers,) units/s free
    sold: Floats  #      (n_offers,) units/s in use already
    quality: Floats  #   (n_offers,) [0, 1]
    kind: Slots  #       (n_offers,) hardware kind, 0 to 63
    supply: Floats  #    (n_offers, n_resources) free beside the capacity
    available: (
        Floats  # (n_offers,) s, since when the free capacity has been free; of one price the earliest is taken first
    )
    ready: Floats  #     (n_requests,) s, when it became final
    exposed: Codes  #    (n_requests,) what the consensus lets a proposer do to it: 0 nothing, 1 front-run, 2 sandwich
    split: bool = True  # whether one request may be served by several offers at once

    @property
    def n_requests(self) -> int:
        """Number of requests."""
        return len(self.bid)

    @property
    def n_offers(self) -> int:
        """Number of offers."""
        return len(self.ask)

    @classmethod
    def of(cls, *, time: float = 0.0, split: bool = True, **columns: Iterable[Any]) -> Book:
        """Build a book from plain lists; columns left out take neutral values.

        A side's length is that of its columns; ``bid`` defaults to infinity, ``ask`` and ``price`` to 0, ``minimum``
        to 0, ``demand`` and ``supply`` to no further resources.

        >>> Book.of(amount=[2, 5], capacity=[4]).n_requests
        2
        """
        given = {name: list(value) for name, value in columns.items()}
        requests, offers = cls._sides()
        if unknown := given.keys() - requests.keys() - offers.keys():
            raise TypeError(f"Book has no column {min(unknown)!r}; it has {sorted(requests | offers)}")
        full: dict[str, Any] = {}
        for side in (requests, offers):
            n = max((len(v) for k, v in given.items() if k in side), default=0)
            for name, (default, dtype) in side.items():
                if name in given:
                    full[name] = np.array(given[name], dtype)  # at once: int beside uint64 would make floats
                elif name in ("demand", "supply"):
                    full[name] = np.zeros((n, 0))
                elif name in ("request_id", "consumer", "provider"):
                    full[name] = np.arange(n)
                else:
                    full[name] = np.full(n, default, dtype)
        return cls(time=time, split=split, **full)

    @staticmethod
    def _sides() -> tuple[dict[str, tuple[Any, Any]], dict[str, tuple[Any, Any]]]:
        f, i, u = np.float64, np.int64, np.uint64
        requests = {
            "request_id": (0, i),
            "consumer": (0, i),
            "bid": (np.inf, f),
            "amount": (1.0, f),
            "minimum": (0.0, f),
            "weight": (1.0, f),
            "deadline": (np.inf, f),
            "submitted": (0.0, f),
            "kinds": (ANY_KIND, u),
            "demand": (0.0, f),
            "ready": (0.0, f),
            "exposed": (0, np.int8),
        }
        offers = {
            "provider": (0, i), "ask": (0.0, f), "price": (0.0, f), "capacity": (1.0, f), "sold": (0.0, f),
            "available": (0.0, f),
            "quality": (1.0, f), "kind": (0, i), "supply": (0.0, f),
        }  # fmt: skip
        return requests, offers


@dataclass(frozen=True)
class Fills(Frozen):
    """Who serves whom with how much: rows into a `Book`. A request may have several fills, each pair at most one."""

    request_row: Slots  # (n_fills,)
    offer_row: Slots  #   (n_fills,)
    quantity: Floats  #   (n_fills,) units/s, > 0
    relaxed: bool = False  # a constraint (a share cap, say) could not be met and was relaxed
    price: Floats | None = None  # (n_fills,) PRANA per unit, where the rule sets prices itself; else the offers' quotes
    skim: Floats | None = None  #  (n_fills,) PRANA per unit of it that a proposer takes

    def granted(self, book: Book) -> Floats:
        """Return the capacity granted to each request, (n_requests,), units/s."""
        return np.bincount(self.request_row, self.quantity, minlength=book.n_requests).astype(np.float64)

    def sold(self, book: Book) -> Floats:
        """Return the capacity newly sold by each offer, (n_offers,), units/s."""
        return np.bincount(self.offer_row, self.quantity, minlength=book.n_offers).astype(np.float64)

    def surplus(self, book: Book) -> float:
        """Return the gain from trade per second, PRANA/s: (bid - ask) times quantity, summed. Prices cancel out."""
        return float(np.sum((book.bid[self.request_row] - book.ask[self.offer_row]) * self.quantity))


TOLERANCE = 1e-9  # relative to the largest figure on the book: float sums are not exact


def check_fills(name: str, book: Book, fills: Fills) -> None:
    """Raise `MechanismError` unless ``fills`` could be carried out on ``book``.

    Checks shapes, ranges of rows, positive finite quantities, no offer oversold, no request given more than
    it asked for, no request given less than its minimum, no price above a bid, no unsuitable hardware.
    """

    def fail(rule: str, value: object) -> None:
        raise MechanismError(f"{name} must {rule}, got {value}")

    r, o, q = fills.request_row, fills.offer_row, fills.quantity
    if not all(isinstance(c, np.ndarray) and c.ndim == 1 and len(c) == len(r) for c in (r, o, q)):
        fail("return three columns of one length", f"shapes {np.shape(r)}, {np.shape(o)}, {np.shape(q)}")
    if not len(q):
        return
    types = (np.int64, np.int64, np.float64)
    if not all(c.dtype.kind in "iuf" and np.can_cast(c.dtype, t) for c, t in zip((r, o, q), types, strict=True)):
        fail("return whole numbers as rows and floats as quantities", f"{r.dtype}, {o.dtype} and {q.dtype}")
    if not np.isfinite(q).all() or q.min() <= 0:
        fail("grant finite quantities above 0 units/s", q[~(np.isfinite(q) & (q > 0))][0])
    if r.min() < 0 or r.max() >= book.n_requests or o.min() < 0 or o.max() >= book.n_offers:
        fail("name rows of the book", (int(r.max()), int(o.max())))
    slack = TOLERANCE * max(float(book.amount.max()), float(book.capacity.max()))
    granted, sold = fills.granted(book), fills.sold(book)
    if (worst := np.max(sold - book.capacity)) > slack:
        fail("sell no more than an offer's free capacity", f"{worst:g} units/s too much")
    if (worst := np.max(granted - book.amount)) > slack:
        fail("grant no more than asked for", f"{worst:g} units/s too much")
    if np.any((granted > 0) & (granted < book.minimum - slack)):
        fail(
            "grant at least a request's minimum or nothing",
            float(granted[(granted > 0) & (granted < book.minimum - slack)][0]),
        )
    price = book.price[o] if fills.price is None else fills.price
    if price.shape != q.shape or (
        fills.price is not None and not np.all(np.isfinite(price) & (price >= book.ask[o] * (1 - TOLERANCE)))
    ):
        fail("set a finite price per fill, at or above the ask", price[:3])
    if np.any(price > book.bid[r] * (1 + TOLERANCE)):
        fail("charge no request more than its bid", float((price - book.bid[r]).max()))
    if not np.all((book.kinds[r] >> book.kind[o].astype(np.uint64)) & np.uint64(1)):
        fail("use hardware that the request accepts", "another kind")
    if book.supply.shape[1]:
        used = np.zeros_like(book.supply)
        np.add.at(used, o, book.demand[r] * (q / book.amount[r])[:, None])
        if np.any(used > book.supply * (1 + TOLERANCE) + slack):
            fail("use no more of any resource than an offer has", float((used - book.supply).max()))
