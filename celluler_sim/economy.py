"""The Mesa model: `Economy.step` reads as the table of contents of one tick."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from celluler_sim.agents.demand import DemandSide
from celluler_sim.agents.supply import SupplySide
from celluler_sim.book import Floats, Slots
from celluler_sim.columnar import ColumnarModel
from celluler_sim.consensus.base import OFFER, REQUEST, WITHDRAW, Ordered, Transactions
from celluler_sim.institutions.base import FAMILIES, Institution
from celluler_sim.ledger import SUPPLY_PRANA, Amounts, Ledger, split_groups
from celluler_sim.logbook import Logbook
from celluler_sim.markets.resource import Offers, Quote, ResourceMarket, Started
from celluler_sim.markets.rows import Columns, Rows, pick
from celluler_sim.markets.settlement import Settlement
from celluler_sim.mechanisms.welfare import optimal_gain
from celluler_sim.recorder import Recorder
from celluler_sim.streams import Streams, world_number

if TYPE_CHECKING:
    from celluler_sim.scenario import Scenario

ESCROW_MARGIN = 1e-9  # share by which an escrow exceeds the bid: amounts due are rounded, an escrow must cover them


@dataclass(frozen=True)
class Tick:
    """One tick: [start, end) in s."""

    number: int
    start: float
    end: float

    @property
    def seconds(self) -> float:
        """Length of the tick, s."""
        return self.end - self.start


class Economy(ColumnarModel):
    """Providers and consumers that meet in a market whose transactions come in consensus order.

    Parameters
    ----------
    setup
        The scenario: what to run.
    recorder
        Where tables go; in memory if none is given.

    Examples
    --------
    >>> from celluler_sim.agents.provider import Provider
    >>> from celluler_sim.scenario import compose
    >>> economy = Economy(compose("compute_congestion", ["ticks=3"]))
    >>> economy.step()
    >>> len(economy.agents_by_type[Provider]) == economy.setup.agents.providers.count
    True
    """

    def __init__(self, setup: Scenario, recorder: Recorder | None = None) -> None:
        super().__init__(seed=world_number(setup.seed, setup.replicate))
        self.setup = setup
        self.streams = Streams(setup.seed, setup.replicate)
        self.record_to(recorder if recorder is not None else Recorder(None))
        self.ledger = Ledger()
        self.ledger.journal = [] if setup.record.transfers else None
        self.network = setup.consensus.open(self.streams)
        setup.workload.prepare(self.streams, setup.market.unit_size)
        self.market = ResourceMarket(
            setup.market.name, setup.pricing, setup.allocation, min_quality=setup.market.min_quality,
            split=setup.market.split, n_resources=len(setup.workload.resources),
        )  # fmt: skip
        self._open_books()
        self._make_validators()
        machines = setup.workload.machines()
        self.supply_side = SupplySide(self)
        self.demand_side = DemandSide(self)
        self.providers, self.consumers = self.supply_side.providers, self.demand_side.consumers
        n = self.providers.size
        self.supply = np.zeros((n, 0)) if machines is None else machines.supply.copy()  # (n, n_resources)
        self._disturb()
        self.institutions: list[Institution] = []  # each finds those before it, in the order of `FAMILIES`
        for family in FAMILIES:
            if (institution := setup.mechanisms[family].open(self)) is not None:
                self.institutions.append(institution)

    def record_to(self, recorder: Recorder) -> None:
        """Write tables to another recorder from now on."""
        self.recorder = recorder
        self.log = Logbook(recorder)

    @property
    def latest(self) -> dict[str, float | int | bool]:
        """The last tick's row of the table ``markets``."""
        return dict(self._row)

    # ---- construction ----------------------------------------------------------------------------------------------

    def _open_books(self) -> None:
        f, i = np.float64, np.int64
        self.sent = Rows(number=i, kind=np.int8, sender=i, validator=i, submitted=f)  # not final yet
        self._n_jobs = self._n_fills = self._n_transactions = self._n_ordered = 0
        self.due = Settlement()
        self._row: dict[str, float | int | bool] = {}
        self._peak = (-1.0, 0, {})  # type: tuple[float, int, dict[str, tuple[Floats, Floats]]]
        self._latencies: Floats = np.empty(0)

    def _make_validators(self) -> None:
        """Open an account for every validator and lock its stake."""
        stakes = getattr(self.setup.consensus, "stakes", None)
        stake = np.zeros(self.setup.consensus.n_validators) if stakes is None else np.asarray(stakes(), float)
        locked = Amounts.from_prana(stake)
        self.validators = self.ledger.open_accounts(len(stake), locked)
        self.ledger.stake(self.validators, locked)

    def _disturb(self) -> None:
        """Deal agents' numbers or validators anew: what an audit asks for, and no conclusion may depend on."""
        disturb = self.setup.disturb
        for kind, population in (("provider", self.providers), ("consumer", self.consumers)):
            if disturb.labels:
                order = self.streams.at(f"disturb.labels.{disturb.labels}.{kind}").permutation(population.size)
                for column in set(population.agent_class.columns) - {"account"}:
                    population[column] = population[column][order]
                if kind == "provider":
                    self.supply = self.supply[order]
            if disturb.arrival:
                rng = self.streams.at(f"disturb.arrival.{disturb.arrival}.{kind}")
                population["validator"] = rng.permutation(population["validator"])

    # ---- one tick --------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """Run one tick."""
        number = self.steps - 1
        tick = Tick(number, number * self.setup.tick_seconds, (number + 1) * self.setup.tick_seconds)
        self._row = {}
        self.act(tick)
        self.order(tick)
        self.deliver(tick)
        self.clear(tick)
        for institution in self.institutions:
            institution.clear(tick)
        self.settle(tick)
        for institution in self.institutions:
            institution.judge(tick)
        for institution in self.institutions:
            institution.share(tick)
        for institution in self.institutions:
            institution.govern(tick)
        self.learn(tick)
        self.record(tick)

    def act(self, tick: Tick) -> None:
        """Jobs are born; every consumer with a job on its mind decides; requests are submitted, their escrow locked."""
        self.demand_side.bear(tick)
        ready, given_up = self.demand_side.decide(tick)
        self._leave(given_up, "reneged", tick)
        self._submit_requests(ready, tick)
        self._row["postponed"] = len(self.demand_side.held)
        for institution in self.institutions:
            institution.act(tick)

    def number_jobs(self, n: int) -> Slots:
        """Return the numbers of ``n`` new jobs, (n,)."""
        self._n_jobs += n
        return np.arange(self._n_jobs - n, self._n_jobs)

    def _submit_requests(self, jobs: Columns, tick: Tick) -> None:
        jobs = pick(jobs, np.argsort(jobs["when"], kind="stable"))
        account = self.consumers["account"][jobs["consumer"]]
        most = jobs["bid"] * jobs["work"] * (1 + ESCROW_MARGIN)
        escrow = Amounts.from_prana(np.minimum(most, SUPPLY_PRANA))
        beyond = most > SUPPLY_PRANA  # nobody can hold that much
        refused = np.empty(len(account), bool)
        refused[beyond] = True
        refused[~beyond] = self.ledger.lock(account[~beyond], escrow[~beyond])
        self._leave(pick(jobs, refused), "refused", tick)
        ok = np.flatnonzero(~refused)
        jobs, n = pick(jobs, ok), len(ok)
        submitted = jobs.pop("when")
        consumer = jobs["consumer"]
        validator = self.consumers["validator"][consumer].astype(np.int64)
        number = self.submit(REQUEST, account[ok], validator, submitted, jobs["bid"])
        self.market.mempool.append(
            **jobs, transaction=number, account=account[ok], submitted=submitted, ready=np.full(n, np.nan),
            weight=self.consumers["weight"][consumer], least=jobs["amount"] * self.setup.agents.consumers.min_share,
            escrow_hi=escrow.hi[ok], escrow_lo=escrow.lo[ok], conduct=0, proposer=-1,
        )  # fmt: skip
        self._row["submitted"], self._row["refused"] = n, int(refused.sum())

    def submit(self, kind: int, sender: Slots, validator: Slots, submitted: Floats, bid: Floats | None = None) -> Slots:
        """Hand transactions of one kind (of `consensus.base.KINDS`) to their validators and return their numbers.

        Parameters
        ----------
        sender, validator, submitted
            Account, validator and moment (s) of each, (n,).
        bid
            What each says to whoever may read it, (n,) PRANA per unit.
        """
        n = len(sender)
        if not n:
            return np.empty(0, np.int64)
        number = self._n_transactions + np.arange(n)
        self._n_transactions += n
        batch = Transactions(number, np.full(n, kind, np.int8), sender, validator, submitted, bid)
        self.network.submit(batch)
        self.sent.append(number=number, kind=batch.kind, sender=sender, validator=validator, submitted=submitted)
        return number

    def order(self, tick: Tick) -> None:
        """Consensus brings what was submitted into one order; the market takes in what is final."""
        if tick.end > self.network.next_epoch:
            self.network.weigh(self.ledger.staked(self.validators))
        ordered = self.network.advance(tick.end)
        place = np.searchsorted(self.sent["number"], ordered.number)
        sent = self.sent.rows(place)
        self.log.transactions(sent, ordered, self._n_ordered)
        self._n_ordered += len(place)
        self._latencies = ordered.final - sent["submitted"]
        self.sent.drop(place)
        self._take_in(ordered, sent["kind"], tick)
        self._expire(tick)
        self._row["ordered"] = int(np.sum(sent["kind"] == REQUEST))
        self._row["all_ordered"] = len(place)

    def _take_in(self, ordered: Ordered, kind: npt.NDArray[np.int8], tick: Tick) -> None:
        requests = kind == REQUEST
        pool = self.market.mempool
        rows = np.searchsorted(pool["transaction"], ordered.number[requests])
        arrived = pool.rows(rows)
        arrived["ready"] = ordered.final[requests]
        if ordered.conduct is not None and ordered.proposer is not None:
            arrived["conduct"], arrived["proposer"] = ordered.conduct[requests], ordered.proposer[requests]
        pool.drop(rows)
        self.market.waiting.append(**arrived)
        says = (kind == OFFER) | (kind == WITHDRAW)
        self.supply_side.take_in(kind[says], ordered.number[says])
        for institution in self.institutions:
            for own in institution.kinds:
                if (rows := np.flatnonzero(kind == own)).size:
                    institution.ordered(own, ordered.number[rows], ordered.final[rows], tick)

    def _expire(self, tick: Tick) -> None:
        """Give up on transactions that the network has not brought to finality in time; escrow returns."""
        gone = self.network.expire(tick.end)
        self._row["expired"] = len(gone)
        if not len(gone):
            return
        place = np.searchsorted(self.sent["number"], gone)
        self.log.transactions(self.sent.rows(place), None, 0)
        self.sent.drop(place)
        self.supply_side.forget(gone)
        jobs = self.market.mempool.take(np.flatnonzero(np.isin(self.market.mempool["transaction"], gone)))
        self._refund_whole(jobs)
        self._leave(jobs, "expired", tick)
        for institution in self.institutions:
            institution.expired(gone, tick)

    def deliver(self, tick: Tick) -> None:
        """Service that has ended is paid for, and its capacity is free again, from the very moment it ended."""
        fills, jobs = self.market.complete(tick.end)
        due = Amounts(fills["due_hi"], fills["due_lo"])
        provider, worth = fills["provider"], jobs["value"] * jobs["work"]
        paid = (fills["price"] - fills["skim"]) * fills["work"]
        for institution in self.institutions:
            if (share := institution.delivered(fills, jobs, tick)) is not None:
                due, back, lost = self.due.withhold(fills, jobs, due, share)
                paid, worth, jobs["paid"] = paid * share, worth - jobs["value"] * lost, jobs["paid"] - back
        due = self.due.skim(fills, due, self.validators)
        self.due.pay(fills["account"], self.providers["account"][provider], due)
        np.add.at(self.providers["earned"], provider, paid)
        consumer = jobs["consumer"]
        spent = jobs["paid"]
        np.add.at(self.consumers["spent"], consumer, spent)
        np.add.at(self.consumers["surplus"], consumer, worth - spent)
        self.log.jobs(self.market.name, "finished", jobs)
        self._row["finished"], self._row["revenue_prana"] = len(consumer), float(paid.sum())

    def clear(self, tick: Tick) -> None:
        """Quote, allocate, reserve; those whose patience has ended leave."""
        market, offers = self.market, self._offers(tick)
        quote = market.quote(offers, tick.number, tick.start, tick.end)
        self._standing = offers, quote
        self._note_book(tick, offers, quote)
        optimum = self._optimum(tick, offers, quote)
        before = market.fills["quantity"].sum() * tick.seconds
        rng = self.streams.at("allocation", tick.number)
        started = market.clear(offers, quote, tick.number, tick.start, tick.end, rng)
        fills = self._start(started, offers, tick)
        released = market._released  # noqa: SLF001 - what ended in this tick was busy until it ended
        before += np.sum(released["quantity"] * np.maximum(released["end"] - tick.start, 0.0))
        new = np.sum(fills["quantity"] * (np.minimum(fills["end"], tick.end) - fills["start"]))
        gone = market.renege(tick.end)
        self._refund_whole(gone)
        self._leave(gone, "reneged", tick)
        self._row["utilisation"] = market.observe(
            tick.start, tick.end, quote.load.capacity, float(before + new) / tick.seconds
        )
        fresh = len(started.row)
        begun = market.running.rows(slice(market.running.size - fresh, None))
        surplus = (begun["value"] - begun["price"]) * begun["work"]
        costs = self.providers["energy_cost"] + self.providers["capital_cost"]
        margin = (fills["price"] - fills["skim"] - costs[fills["provider"]]) * fills["work"]
        gain = np.sum(begun["bid"] * started.granted) - np.sum(offers.ask[started.offer] * started.quantity)
        self._row |= {
            "price_prana": quote.mean,
            "window_utilisation": quote.load.utilisation,
            "capacity": quote.load.capacity,
            "busy": float(before + new) / tick.seconds,
            "providers": len(self.providers),
            "queue": len(market.waiting),
            "granted": fresh,
            "sold_work": float(fills["work"].sum()),
            "consumer_surplus_prana": float(surplus.sum()),
            "provider_surplus_prana": float(margin.sum()),
            "skimmed_prana": float(np.sum(fills["skim"] * fills["work"])),
            "gain_prana": float(gain),
            "optimum_prana": optimum,
            "relaxed": started.relaxed,
        }

    def _offers(self, tick: Tick) -> Offers:
        p, market = self.providers, self.market
        p["busy"][:] = market.busy(p.size)
        listed = p["offering"] & p.active & (p["quality"] >= market.min_quality)
        slots = np.flatnonzero(listed)
        for institution in self.institutions:
            if (admitted := institution.admits(slots, tick)) is not None:
                listed[slots[~admitted]] = False
                slots = slots[admitted]
        supply = (
            (self.supply - market.used(len(self.supply)))[slots] if market.n_resources else np.zeros((len(slots), 0))
        )
        return Offers(
            provider=slots, ask=p["ask"][slots], total=p["capacity"][slots], busy=p["busy"][slots],
            quality=p["quality"][slots], kind=p["kind"][slots].astype(np.int64), supply=supply,
            draining=market.draining(listed, tick.start, tick.end),
        )  # fmt: skip

    def _optimum(self, tick: Tick, offers: Offers, quote: Quote) -> float:
        """Return the largest gain from trade per second that this clearing allows, PRANA/s, now and then."""
        every = self.setup.record.optimum_every
        if not every or tick.number % every:
            return float("nan")
        if not len(self.market.waiting):
            return 0.0
        return optimal_gain(self.market.whole_book(offers, quote, tick.start, tick.end))

    def _note_book(self, tick: Tick, offers: Offers, quote: Quote) -> None:
        """Remember supply and demand at the busiest clearing."""
        r, w = self.market.running, self.market.waiting
        wanted = float(r["granted"].sum() + (w["amount"] * w["alive"]).sum())
        self._row["demand"] = wanted
        load = wanted / max(quote.load.capacity, 1e-300)
        if load > self._peak[0] * 1.01:
            held, open_ = r.alive(), w.alive()
            price = np.concatenate([held["bid"], open_["bid"]])
            quantity = np.concatenate([held["granted"], open_["amount"]])
            self._peak = load, tick.number, {"request": (price, quantity), "offer": (offers.ask, offers.total)}

    def _start(self, started: Started, offers: Offers, tick: Tick) -> Columns:
        """Set the jobs of one clearing running: fix the amounts due, return what escrow they leave over."""
        market, n = self.market, len(started.row)
        jobs = market.waiting.rows(started.row)
        market.waiting.drop(started.row)
        duration = jobs["work"] / started.granted
        work = jobs["work"][started.job] * started.quantity / started.granted[started.job]
        end, paid = started.start + duration, started.price * jobs["work"]
        due_in_all = Amounts.from_prana(paid)  # rounded once; its parts sum to it
        self.due.refund(jobs["account"], Amounts(jobs["escrow_hi"], jobs["escrow_lo"]) - due_in_all)
        free_of_charge = (started.price == 0)[started.job]
        weight = started.quantity * np.where(free_of_charge, 1.0, started.unit_price)
        due = split_groups(due_in_all, weight, np.searchsorted(started.job, np.arange(n)))
        market.running.append(
            **jobs, start=started.start, end=end, granted=started.granted, price=started.price, paid=paid
        )
        share = started.quantity / jobs["amount"][started.job]
        fills: Columns = {
            "fill": self._n_fills + np.arange(len(work)),
            "job": jobs["job"][started.job],
            "consumer": jobs["consumer"][started.job],
            "account": jobs["account"][started.job],
            "provider": offers.provider[started.offer],
            "quantity": started.quantity,
            "price": started.unit_price,
            "work": work,
            "start": started.start[started.job],
            "end": end[started.job],
            "due_hi": due.hi,
            "due_lo": due.lo,
            "skim": started.skim,
            "proposer": jobs["proposer"][started.job],
            "used": jobs["demand"][started.job] * share[:, None],
        }
        self._n_fills += len(work)
        market.fills.append(**fills)
        self.log.fills(tick.number, market.name, fills)
        return fills

    def standing(self) -> tuple[Offers, Quote]:
        """Return the offers and the quote of this tick's clearing, with what is still free after it."""
        offers, quote = self._standing
        slots, market = offers.provider, self.market
        left = (self.supply - market.used(len(self.supply)))[slots] if market.n_resources else offers.supply
        return replace(offers, busy=market.busy(self.providers.size)[slots], supply=left), quote

    def start_now(self, job: Columns, started: Started, offers: Offers, tick: Tick) -> int:
        """Set one job running beside the clearing, at the end of the tick, and return its number.

        Parameters
        ----------
        job
            One row of `ResourceMarket.waiting` but its number; its escrow must be locked.
        started, offers
            Its fills, as rows of what `standing` offers.

        Whatever goes wrong leaves the market as it was.
        """
        market, before = self.market, (self._n_fills, self.due.n_refunds)
        market.waiting.append(**job, job=np.array([self._n_jobs]))
        row = np.array([market.waiting.size - 1])
        try:
            fills = self._start(replace(started, row=row), offers, tick)
        except Exception:
            for rows in (market.waiting, market.running, market.fills):
                rows.drop(np.flatnonzero(rows["alive"] & (rows["job"] == self._n_jobs)))
            self._n_fills = before[0]
            self.due.forget_refunds(before[1])
            raise
        self._n_jobs += 1
        work, price = fills["work"], fills["price"]
        cost = (self.providers["energy_cost"] + self.providers["capital_cost"])[fills["provider"]]
        for key, more in (
            ("granted", 1),
            ("sold_work", float(work.sum())),
            ("consumer_surplus_prana", float(job["value"][0] * work.sum() - price @ work)),
            ("provider_surplus_prana", float((price - cost) @ work)),
        ):
            self._row[key] += more
        return self._n_jobs - 1

    def settle(self, tick: Tick) -> None:
        """Have the ledger execute what the market decided."""
        self.due.carry_out(self.ledger, tick.number)

    def learn(self, tick: Tick) -> None:
        """Let providers account for profit, revise asks, leave and enter; it shows once it is ordered."""
        self.supply_side.learn(tick, float(self._row["utilisation"]))
        for institution in self.institutions:
            institution.learn(tick)

    def record(self, tick: Tick) -> None:
        """Count every PRANA, and write the tick down."""
        self.ledger.check(tick.number)
        self.log.drain(tick.number, self.ledger)
        for institution in self.institutions:
            institution.record(tick)
        row = self._row
        median, late = _quantiles(self._latencies, 0.5, 0.95)
        stats = self.network.stats
        self.recorder.log(
            "consensus", tick=tick.number, submitted=row["submitted"], ordered=row.pop("all_ordered"),
            pending=self.network.pending(), expired=row["expired"], latency_p50_s=median,
            latency_p95_s=late, events=stats.events, rounds=stats.rounds, coins=stats.coins, forks=stats.forks,
        )  # fmt: skip
        row.setdefault("reneged", 0)
        self.recorder.log("markets", tick=tick.number, time_s=tick.end, market=self.market.name, **row)
        every = self.setup.record.agents_every
        if every and tick.number % every == 0:
            agents, log = self.setup.agents, self.log
            log.agents(tick.number, "provider", self.providers, self.ledger, list(agents.providers.behaviours))
            log.agents(tick.number, "consumer", self.consumers, self.ledger, list(agents.consumers.behaviours))

    def close(self) -> None:
        """Write down what is still open: jobs waiting and running, and the busiest book. Call once, at the end."""
        _, tick, sides = self._peak
        self.log.book(tick, self.market.name, sides)
        running = self.market.running.alive()
        running["end"] = np.full(len(self.market.running), np.nan)
        self.log.jobs(self.market.name, "running", running)
        for rows in (self.market.waiting, self.market.mempool, self.demand_side.held):
            self.log.jobs(self.market.name, "waiting", rows.alive())
        for institution in self.institutions:
            institution.close()

    # ---- leaving ---------------------------------------------------------------------------------------------------

    def _leave(self, jobs: Columns, status: str, tick: Tick) -> None:
        """Log jobs that leave unserved, at the moment their patience ended or at the end of the tick."""
        n = len(jobs["job"])
        if not n:
            return
        jobs = {**jobs, "end": np.minimum(jobs["give_up"], tick.end)}
        self.log.jobs(self.market.name, status, jobs)
        if status == "reneged":
            self._row["reneged"] = int(self._row.get("reneged", 0)) + n

    def _refund_whole(self, jobs: Columns) -> None:
        if len(jobs["job"]):
            self.due.refund(jobs["account"], Amounts(jobs["escrow_hi"], jobs["escrow_lo"]))


def _quantiles(values: Floats, *q: float) -> list[float]:
    """Return quantiles by linear interpolation, as `numpy.quantile` does, at a tenth of its cost for a few values."""
    if not len(values):
        return [float("nan")] * len(q)
    values = np.sort(values)
    return np.interp(np.array(q) * (len(values) - 1), np.arange(len(values)), values).tolist()  # type: ignore[no-any-return]
