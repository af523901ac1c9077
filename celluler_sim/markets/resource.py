"""A resource market: requests wait, offers stand, the two are matched once a tick, capacity is held to the end."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Book, Fills, Floats, Frozen, Load, Slots, check_fills
from celluler_sim.errors import MechanismError
from celluler_sim.markets.provision_kernels import available_since, by_request, chain_releases, start_times
from celluler_sim.markets.rows import Rows
from celluler_sim.markets.window import UtilisationWindow
from celluler_sim.mechanisms.base import Allocation, Pricing, guarded

ROUNDS = 6  # of allocation in one clearing; a further one is needed only if a start came too late for a request
ROUND_SHARE = 0.01  # share of the free capacity that must have come back for a further round to be worth it
CRUMB = 1e-9  # share of a provider's capacity below which it counts as nothing


@dataclass(frozen=True)
class Offers(Frozen):
    """The standing offers of one market."""

    provider: Slots  # (n,) slot
    ask: Floats  #      (n,) PRANA per unit
    total: Floats  #    (n,) units/s, in use or not
    busy: Floats  #     (n,) units/s in use
    quality: Floats  #  (n,) [0, 1]
    kind: Slots  #      (n,)
    supply: Floats  #   (n, n_resources) free beside the capacity
    draining: float = 0.0  # units/s, mean over the tick of what providers that are not on offer any more still deliver

    @property
    def free(self) -> Floats:
        """Free capacity, (n,) units/s; what is lost in rounding counts as none."""
        free = self.total - self.busy
        return np.where(free > CRUMB * self.total, free, 0.0)


@dataclass(frozen=True)
class Started(Frozen):
    """What one clearing set going: jobs (rows of `Market.waiting`) and their fills."""

    row: Slots  #      (n_jobs,) row among the waiting requests
    start: Floats  #   (n_jobs,) s
    granted: Floats  # (n_jobs,) units/s
    price: Floats  #   (n_jobs,) PRANA per unit, mean over its fills
    job: Slots  #      (n_fills,) index into the above
    offer: Slots  #    (n_fills,) row of the offers
    quantity: Floats  # (n_fills,) units/s
    unit_price: Floats  # (n_fills,) PRANA per unit
    skim: Floats  #     (n_fills,) PRANA per unit of it that a proposer takes
    relaxed: bool


@dataclass(frozen=True)
class Quote(Frozen):
    """One quotation: a price per offer and the load it was based on."""

    price: Floats  # (n_offers,) PRANA per unit
    mean: float  #   PRANA per unit, weighted by capacity
    load: Load


class _Part(NamedTuple):
    """What one round of allocation set going."""

    row: Slots  #      (n_jobs,) row among the waiting requests
    start: Floats  #   (n_jobs,) s
    owner: Slots  #    (n_fills,) job of each fill, ascending
    offer: Slots  #    (n_fills,) row of the willing offers
    quantity: Floats  # (n_fills,) units/s
    price: Floats  #   (n_fills,) PRANA per unit
    skim: Floats  #    (n_fills,) PRANA per unit


class ResourceMarket:
    """One market with its rules and everything that is open in it."""

    def __init__(
        self, name: str, pricing: Pricing, allocation: Allocation, *, min_quality: float, split: bool, n_resources: int
    ) -> None:
        f, i = np.float64, np.int64
        self.name, self.pricing, self.allocation = name, pricing, allocation
        self.min_quality, self.split, self.n_resources = min_quality, split, n_resources
        request: dict[str, Any] = {
            "job": i, "transaction": i, "consumer": i, "account": i, "born": f, "submitted": f, "ready": f, "bid": f,
            "value": f, "amount": f, "work": f, "weight": f, "least": f, "deadline": f, "give_up": f,
            "kinds": np.uint64, "demand": (f, n_resources), "escrow_hi": i, "escrow_lo": i, "conduct": np.int8,
            "proposer": i,
        }  # fmt: skip
        gone = {"bid": -np.inf, "give_up": np.nan, "amount": 0.0}
        self.mempool = Rows(gone, **request)  # submitted, not yet ordered
        self.waiting = Rows(gone, **request)  # ordered, not yet served, in consensus order
        ended = {"end": np.inf, "granted": 0.0}
        self.running = Rows(ended, **request, start=f, end=f, granted=f, price=f, paid=f)
        self.fills = Rows(
            {"end": np.inf, "quantity": 0.0, "used": 0.0},
            fill=i,
            job=i,
            consumer=i,
            account=i,
            provider=i,
            quantity=f,
            price=f,
            work=f,
            start=f,
            end=f,
            due_hi=i,
            due_lo=i,
            skim=f,
            proposer=i,
            used=(f, n_resources),
        )
        self.window = UtilisationWindow(pricing.window_seconds)
        self.last_price = pricing.base_price
        self._released: dict[str, npt.NDArray[Any]] = self.fills.rows(np.empty(0, np.int64))
        self._busy_mean = 0.0
        self._utilisation = 0.0

    # ---- deliver ---------------------------------------------------------------------------------------------------

    def complete(self, now: float) -> tuple[dict[str, npt.NDArray[Any]], dict[str, npt.NDArray[Any]]]:
        """Take out what has ended by ``now`` (s): return (fills, jobs)."""
        ended = np.flatnonzero(self.fills["end"] <= now)
        fills = self.fills.take(ended[np.argsort(self.fills["end"][ended], kind="stable")])
        self._released = fills
        return fills, self.running.take(np.flatnonzero(self.running["end"] <= now))

    def busy(self, n_providers: int) -> Floats:
        """Return the capacity in use per provider, (n_providers,), units/s. Summed anew each time: nothing drifts."""
        return np.bincount(self.fills["provider"], self.fills["quantity"], minlength=n_providers).astype(np.float64)

    def earning(self, n_providers: int) -> Floats:
        """Return the rate at which each provider's running fills will pay, (n_providers,), PRANA/s."""
        rate = self.fills["quantity"] * self.fills["price"]
        return np.bincount(self.fills["provider"], rate, minlength=n_providers).astype(np.float64)

    def draining(self, listed: npt.NDArray[np.bool_], since: float, now: float) -> float:
        """Return the mean capacity in use over a tick at providers that are not ``listed``, (n_providers,), units/s."""
        if listed.all():
            return 0.0
        running, released = self.fills, self._released
        ended = np.maximum(released["end"] - since, 0.0) * released["quantity"] / (now - since)
        return float(
            running["quantity"][~listed[running["provider"]]].sum() + ended[~listed[released["provider"]]].sum()
        )

    def used(self, n_providers: int) -> Floats:
        """Return the further resources in use per provider, (n_providers, n_resources)."""
        columns = [np.bincount(self.fills["provider"], c, minlength=n_providers) for c in self.fills["used"].T]
        return np.array(columns, float).T if columns else np.zeros((n_providers, 0))

    # ---- clear -----------------------------------------------------------------------------------------------------

    def quote(self, offers: Offers, tick: int, since: float, now: float) -> Quote:
        """Ask the pricing rule for a price per offer and check what it returns."""
        capacity = float(offers.total.sum()) + offers.draining
        load = Load(
            time=now, elapsed=now - since, utilisation=min(1.0, self.window.mean(since) if since > 0 else 0.0),
            used=self._busy_mean, capacity=capacity, last_price=self.last_price,
        )  # fmt: skip
        rule = self.pricing
        price = guarded("pricing", rule, tick, lambda: np.asarray(rule.quote(load, offers.ask), float))
        if price.shape != offers.ask.shape:
            raise MechanismError(
                f"pricing={_name(rule)} must quote one price per offer, shape {offers.ask.shape}, "
                f"got shape {price.shape} at tick {tick}"
            )
        if len(price) and not (np.isfinite(price).all() and price.min() >= 0):
            bad = price[~(np.isfinite(price) & (price >= 0))][0]
            raise MechanismError(f"pricing={_name(rule)} must quote finite prices >= 0, got {bad} at tick {tick}")
        mean = _mean(price, offers.total, self.last_price)
        self.last_price = mean
        return Quote(price, mean, load)

    def clear(
        self, offers: Offers, quote: Quote, tick: int, since: float, now: float, rng: np.random.Generator
    ) -> Started:
        """Allocate free capacity to waiting requests; repeat where a start would come too late for a request."""
        willing = _willing(offers, quote)
        cheapest = quote.price[willing].min() if len(willing) else np.inf
        w = self.waiting
        open_rows = np.flatnonzero((w["bid"] >= cheapest) & (w["give_up"] >= since))
        idle, chain = self._availability(offers, willing)
        left, supply = offers.free[willing], offers.supply[willing].copy()
        parts: list[_Part] = []
        relaxed = False
        for _ in range(ROUNDS):
            if not (len(open_rows) and len(willing)):
                break
            book = self._book(open_rows, offers, willing, quote.price, left, supply, since, now)
            book = replace(book, available=available_since(idle, since, *chain))
            fills = self._allocate(book, tick, rng)
            relaxed |= fills.relaxed
            if not len(fills.quantity):
                break
            jobs, first, order = by_request(fills.request_row.astype(np.int64), book.n_requests)
            offer, quantity = fills.offer_row[order].astype(np.int64), fills.quantity[order]
            price = book.price[offer] if fills.price is None else fills.price[order]
            skim = np.zeros(len(offer)) if fills.skim is None else fills.skim[order]
            rows = open_rows[jobs]
            granted = np.add.reduceat(quantity, first[:-1])
            latest = np.minimum(w["give_up"][rows], w["deadline"][rows] - w["work"][rows] / granted)
            start = start_times(first, w["ready"][rows], latest, offer, quantity, idle, since, *chain)
            ok = ~np.isnan(start)
            fill_ok = np.repeat(ok, np.diff(first))
            owner = np.repeat(np.arange(len(rows)), np.diff(first))
            parts.append(
                _Part(rows[ok], start[ok], owner[fill_ok], *(c[fill_ok] for c in (offer, quantity, price, skim)))
            )
            if ok.all():
                break
            if np.sum(quantity[~fill_ok]) <= ROUND_SHARE * left.sum():
                break
            left = np.maximum(left - np.bincount(offer[fill_ok], quantity[fill_ok], minlength=len(willing)), 0.0)
            left[left <= CRUMB * offers.total[willing]] = 0.0
            if self.n_resources:
                share = quantity[fill_ok] / w["amount"][rows[owner[fill_ok]]]
                np.subtract.at(supply, offer[fill_ok], w["demand"][rows[owner[fill_ok]]] * share[:, None])
            soonest = available_since(idle, since, *chain)[left > 0].min(initial=np.inf)
            still = np.ones(len(open_rows), bool)
            still[jobs[ok | (latest < soonest)]] = False
            open_rows = open_rows[still]
        return _started(parts, willing, relaxed=relaxed)

    def _availability(self, offers: Offers, willing: Slots) -> tuple[Floats, tuple[Slots, Slots, Floats, Floats]]:
        """Return what each willing offer has had free all along, and what was freed when during the tick."""
        released = self._released
        row_of = np.full(int(offers.provider.max(initial=-1)) + 1, -1, np.int64)
        row_of[offers.provider[willing]] = np.arange(len(willing))
        known = released["provider"] < len(row_of)
        offer = row_of[released["provider"][known]]
        here = offer >= 0
        offer, freed, at = offer[here], released["quantity"][known][here], released["end"][known][here]
        idle = offers.free[willing] - np.bincount(offer, freed, minlength=len(willing))
        idle[idle <= CRUMB * offers.total[willing]] = 0.0
        head, following = chain_releases(offer, len(willing))
        return idle, (head, following, freed.copy(), at)

    def _book(
        self, rows: Slots, offers: Offers, willing: Slots, price: Floats, left: Floats, supply: Floats, since: float,
        now: float,
    ) -> Book:  # fmt: skip
        w = self.waiting
        amount, work = w["amount"][rows], w["work"][rows]
        begin = np.maximum(w["ready"][rows], since)
        by_deadline = work / np.maximum(w["deadline"][rows] - begin, 1e-9)
        minimum = np.minimum(amount, np.maximum(w["least"][rows], by_deadline))
        return Book(
            time=now, request_id=w["job"][rows], consumer=w["consumer"][rows], bid=w["bid"][rows], amount=amount,
            minimum=minimum, weight=w["weight"][rows], deadline=w["deadline"][rows], submitted=w["submitted"][rows],
            kinds=w["kinds"][rows], demand=w["demand"][rows], provider=offers.provider[willing],
            ask=offers.ask[willing], price=price[willing], capacity=left.copy(), sold=offers.busy[willing],
            quality=offers.quality[willing], kind=offers.kind[willing], supply=supply.copy(),
            available=np.full(len(willing), since), ready=w["ready"][rows], exposed=w["conduct"][rows],
            split=self.split,
        )  # fmt: skip

    def _allocate(self, book: Book, tick: int, rng: np.random.Generator) -> Fills:
        rule = self.allocation

        def answer() -> Fills:
            fills = rule.allocate(book, rng)
            if not isinstance(fills, Fills):
                raise MechanismError(f"allocation={_name(rule)} must return Fills, got {type(fills).__name__}")
            check_fills(f"allocation={_name(rule)}", book, fills)
            return fills

        return guarded("allocation", rule, tick, answer)

    # ---- after clearing --------------------------------------------------------------------------------------------

    def renege(self, now: float) -> dict[str, npt.NDArray[Any]]:
        """Take out the requests whose patience ended by ``now`` (s)."""
        return self.waiting.take(np.flatnonzero(self.waiting["give_up"] <= now))

    def observe(self, since: float, now: float, capacity: float, busy_mean: float) -> float:
        """Note a tick's mean load; return its utilisation, [0, 1]."""
        self._busy_mean = busy_mean
        self._utilisation = busy_mean / capacity if capacity > 0 else 0.0
        self.window.observe_mean(since, now, self._utilisation)
        return self._utilisation

    def whole_book(self, offers: Offers, quote: Quote, since: float, now: float) -> Book:
        """Return the book that a clearing starts from: all that waits, all willing offers, divisible at will."""
        willing = _willing(offers, quote)
        free, supply = offers.free[willing], offers.supply[willing]
        rows = np.flatnonzero(self.waiting["give_up"] >= since)
        return replace(self._book(rows, offers, willing, quote.price, free, supply, since, now), split=True)


def _willing(offers: Offers, quote: Quote) -> Slots:
    """Return the rows of the offers that have free capacity and accept the price."""
    return np.flatnonzero((offers.ask <= quote.price * (1 + 1e-12)) & (offers.free > 0))


def _mean(price: Floats, weight: Floats, otherwise: float) -> float:
    """Return the mean price by capacity; where all prices are one, exactly that one."""
    if not (len(price) and weight.sum() > 0):
        return otherwise
    return float(price[0]) if (price == price[0]).all() else float(np.average(price, weights=weight))


def _name(rule: object) -> str:
    return str(getattr(rule, "name", type(rule).__name__))


def _started(parts: list[_Part], willing: Slots, *, relaxed: bool) -> Started:
    """Put the rounds of one clearing together."""
    i, f = np.empty(0, np.int64), np.empty(0)
    parts = [_Part(i, f, i, i, f, f, f), *parts]
    before = np.cumsum([0, *(len(p.row) for p in parts)])
    row, start, _, offer, quantity, price, skim = (np.concatenate(column) for column in zip(*parts, strict=True))
    job = np.concatenate([_renumber(p.owner, int(n)) for p, n in zip(parts, before, strict=False)])
    granted = np.bincount(job, quantity, minlength=len(row)).astype(float)
    mean = np.bincount(job, quantity * price, minlength=len(row)) / np.where(granted > 0, granted, 1.0)
    return Started(row, start, granted, mean, job, willing[offer], quantity, price, skim, relaxed)


def _renumber(owner: Slots, offset: int) -> Slots:
    """Renumber the owners that are left 0, 1, 2, … from ``offset``; ``owner`` is ascending."""
    return offset + np.cumsum(np.diff(owner, prepend=owner[:1]) > 0).astype(np.int64)
