"""Who may use what: requests and offers of a book sorted into classes that are alike in hardware and affordability."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from celluler_sim.book import ANY_KIND, Book, Floats, Frozen, Masks, Slots

Mask = npt.NDArray[np.bool_]

BANDS = 8  # prices told apart at most; with more, neighbouring prices share a band


@dataclass(frozen=True)
class Compatibility(Frozen):
    """The classes of a book.

    Offers of one class have the same hardware and lie in one price band; requests of one class accept the same hardware
    and can afford the same bands. Where at most eight prices need telling apart (prices between which no bid lies need
    not) the bands are `exact`; else a band counts as affordable where its dearest offer is.
    """

    request_class: Slots  # (n_requests,)
    offer_class: Slots  #   (n_offers,)
    suits: Mask  #     (n_request_classes, n_offer_classes) the hardware will do
    link: Mask  #      (n_request_classes, n_offer_classes) and every offer of the band is affordable
    eligible: Mask  #  (n_requests,) wants something, could be granted its minimum, and some offer will do
    exact: bool
    uniform: bool  # everybody eligible may use every offer


def classify(book: Book, bands: int = BANDS) -> Compatibility:
    """Sort a book's requests and offers into classes. ``bands=0`` looks at hardware alone."""
    wanted = (book.amount > 0) & (book.minimum <= book.amount)
    if not (book.n_requests and book.n_offers):
        return _nothing(book)
    offer_kind, request_kind, hardware = _hardware(book)
    offer_band, affords, exact = _bands(book, bands)
    n_bands = int(offer_band.max()) + 1
    request_class, request_of = _distinct(request_kind * (n_bands + 1) + affords)
    offer_class, offer_of = _distinct(offer_kind * n_bands + offer_band)
    suits = np.ascontiguousarray(hardware[request_of // (n_bands + 1)][:, offer_of // n_bands])
    link = suits & ((request_of % (n_bands + 1))[:, None] > (offer_of % n_bands)[None, :])
    eligible = wanted & np.asarray(suits.any(axis=1))[request_class]
    if bands:
        eligible &= book.bid >= cheapest(book, offer_class, suits)[request_class]
    taking_part = np.bincount(request_class[eligible], minlength=len(link)) > 0
    uniform = bool(link[taking_part].all())
    return Compatibility(request_class, offer_class, suits, link, eligible, exact=exact, uniform=uniform)


def _nothing(book: Book) -> Compatibility:
    none, nobody = np.zeros((0, 0), np.bool_), np.zeros(book.n_requests, np.bool_)
    n, m = np.zeros(book.n_requests, np.int64), np.zeros(book.n_offers, np.int64)
    return Compatibility(n, m, none, none, nobody, exact=True, uniform=True)


def _distinct(key: Slots) -> tuple[Slots, Slots]:
    """Return (number of each key among the different ones, the different keys)."""
    if key.min() == key.max():
        return np.zeros(len(key), np.int64), key[:1]
    different, number = np.unique(key, return_inverse=True)
    return number.astype(np.int64), different


def _hardware(book: Book) -> tuple[Slots, Slots, Mask]:
    """Return (kind number per offer, mask number per request, whether mask accepts kind)."""
    if (book.kinds == ANY_KIND).all():  # nobody minds: one kind
        return np.zeros(book.n_offers, np.int64), np.zeros(book.n_requests, np.int64), np.ones((1, 1), np.bool_)
    offer_kind, kinds = _distinct(book.kind)
    bits = np.uint64(1) << kinds.astype(np.uint64)
    masks: Masks = book.kinds & np.bitwise_or.reduce(bits)  # bits of hardware that is not on offer make no difference
    number, different = _distinct(masks.view(np.int64))
    return offer_kind, number, (different.view(np.uint64)[:, None] & bits[None, :]) != 0


def _bands(book: Book, bands: int) -> tuple[Slots, Slots, bool]:
    """Return (price band per offer, number of bands that each request can afford throughout, whether that is exact)."""
    low, high = book.price.min(), book.price.max()
    if not bands or book.bid.min() >= high:
        return np.zeros(book.n_offers, np.int64), np.ones(book.n_requests, np.int64), True
    if low == high:
        return np.zeros(book.n_offers, np.int64), (book.bid >= high).astype(np.int64), True
    out_of_reach = np.searchsorted(np.sort(book.bid), book.price)  # bids below each price
    steps = np.unique(out_of_reach)
    exact = len(steps) <= bands
    tops = steps if exact else steps[np.linspace(0, len(steps), bands + 1).astype(np.int64)[1:] - 1]
    band = np.searchsorted(tops, out_of_reach).astype(np.int64)
    dearest = np.full(len(tops), -np.inf)
    np.maximum.at(dearest, band, book.price)
    return band, np.searchsorted(dearest, book.bid, side="right").astype(np.int64), exact


def cheapest(book: Book, offer_class: Slots, suits: Mask) -> Floats:
    """Return the lowest price at which each class of requests can be served, (n_request_classes,), PRANA per unit."""
    if suits.size == 1:
        return np.where(suits[0], book.price.min(), np.inf)
    lowest = np.full(suits.shape[1], np.inf)
    np.minimum.at(lowest, offer_class, book.price)
    return np.asarray(np.where(suits, lowest, np.inf).min(axis=1))
