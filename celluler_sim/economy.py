"""The Mesa model: `Economy.step` reads as the table of contents of one tick."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from celluler_sim.agents import consumer as consumers_
from celluler_sim.agents import provider as providers_
from celluler_sim.agents.consumer import Consumer, ConsumerMaker
from celluler_sim.agents.provider import Provider, ProviderMaker
from celluler_sim.behaviours.consumer import Outlook, Wants
from celluler_sim.book import Floats, Slots
from celluler_sim.columnar import ColumnarModel
from celluler_sim.consensus.base import OFFER, REQUEST, WITHDRAW, Ordered, Transactions
from celluler_sim.errors import InvariantError
from celluler_sim.institutions.base import FAMILIES, Institution
from celluler_sim.ledger import SUPPLY_PRANA, Amounts, Ledger, split_groups
from celluler_sim.logbook import Logbook
from celluler_sim.markets.resource import Offers, Quote, ResourceMarket, Started
from celluler_sim.markets.rows import Rows
from celluler_sim.mechanisms.welfare import optimal_gain
from celluler_sim.population import Population
from celluler_sim.recorder import Recorder
from celluler_sim.streams import Streams, world_number

if TYPE_CHECKING:
    from celluler_sim.scenario import Scenario

Columns = dict[str, npt.NDArray[Any]]
DAY = 86_400.0
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
        self._make_providers()
        self._make_consumers()
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
        f, i, n_resources = np.float64, np.int64, self.market.n_resources
        self.held = Rows(
            {"when": np.inf},
            job=i,
            consumer=i,
            born=f,
            when=f,
            value=f,
            amount=f,
            work=f,
            deadline=f,
            give_up=f,
            kinds=np.uint64,
            demand=(f, n_resources),
        )
        self.sent = Rows(number=i, kind=np.int8, sender=i, validator=i, submitted=f)  # not final yet
        self.orders = Rows(number=i, provider=i, ask=f)  # what offers and withdrawals among them say
        self._n_jobs = self._n_fills = self._n_transactions = self._n_ordered = self._n_entrants = 0
        self._payments: list[tuple[Slots, Slots, Amounts]] = []
        self._refunds: list[tuple[Slots, Amounts]] = []
        self._row: dict[str, float | int | bool] = {}
        self._peak = (-1.0, 0, {})  # type: tuple[float, int, dict[str, tuple[Floats, Floats]]]
        self._day_price = self.setup.pricing.base_price
        self._day_utilisation = 0.5
        self._latencies: Floats = np.empty(0)

    def _make_validators(self) -> None:
        """Open an account for every validator and lock its stake."""
        stakes = getattr(self.setup.consensus, "stakes", None)
        stake = np.zeros(self.setup.consensus.n_validators) if stakes is None else np.asarray(stakes(), float)
        locked = Amounts.from_prana(stake)
        self.validators = self.ledger.open_accounts(len(stake), locked)
        self.ledger.stake(self.validators, locked)

    def _make_providers(self) -> None:
        setup, machines = self.setup, self.setup.workload.machines()
        self.provider_rules = providers_.behaviours(setup.agents.providers)
        self.provider_maker = ProviderMaker(
            setup.agents.providers, self.streams, setup.market.unit_size, setup.consensus.n_validators, machines
        )
        self.providers = Population(self, Provider)
        n = setup.agents.providers.count if machines is None else len(machines.capacity)
        self.supply = np.zeros((n, 0)) if machines is None else machines.supply.copy()  # (n, n_resources)
        self._add_providers(np.arange(n), "provider", offering=True)

    def _add_providers(self, serial: Slots, family: str, *, offering: bool) -> Slots:
        traits = self.provider_maker.make(serial, family)
        cost = traits.energy_cost + traits.capital_cost
        markup, tick = np.full(len(serial), self.setup.agents.providers.markup), max(self.steps - 1, 0)
        ask = providers_.asks(cost, markup, traits.behaviour, self.provider_rules, tick)
        return self.providers.add(
            len(serial), account=self.ledger.open_accounts(len(serial)), kind=traits.kind, capacity=traits.capacity,
            quality=traits.quality, energy_cost=traits.energy_cost, capital_cost=traits.capital_cost, ask=ask,
            markup=markup, use=self.setup.agents.providers.target_use,
            behaviour=traits.behaviour, validator=traits.validator, offering=offering,
        )  # fmt: skip

    def _make_consumers(self) -> None:
        setup = self.setup
        self.consumer_rules = consumers_.behaviours(setup.agents.consumers)
        given = setup.workload.n_consumers()
        n = setup.agents.consumers.count if given is None else given
        maker = ConsumerMaker(setup.agents.consumers, self.streams, setup.consensus.n_validators)
        endowment = Amounts.from_prana(maker.endowments(n, SUPPLY_PRANA))
        self.consumers = Population(self, Consumer)
        self.consumers.add(n, account=self.ledger.open_accounts(n, endowment), **maker.make(n))

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
        self._bear_jobs(tick)
        rows = np.flatnonzero(self.held["when"] < tick.end)
        if activation := self.setup.disturb.activation:
            rows = self.streams.at(f"disturb.activation.{activation}", tick.number).permutation(rows)
        jobs = self.held.take(rows)
        now = np.maximum(jobs["when"], tick.start)
        pricing = self.setup.pricing
        outlook = Outlook(
            self.market.last_price, pricing.time_factor, pricing.window_seconds, self.setup.agents.consumers.postpone_s
        )
        job = jobs["consumer"], jobs["born"]
        uniform = consumers_.job_draws(self.streams, "consumer.decision", *job, tick.number)
        behaviour = self.consumers["behaviour"][jobs["consumer"]]
        wants = Wants(now, jobs["value"], jobs["work"], jobs["give_up"])
        decision = consumers_.decide(wants, behaviour, self.consumer_rules, outlook, uniform, tick.number)
        jobs["when"], jobs["bid"] = decision.when, decision.bid
        later = decision.again | (decision.when >= tick.end)
        walk = later & (decision.when > jobs["give_up"])
        self._leave(_pick(jobs, walk), "reneged", tick)
        hold = _pick(jobs, later & ~walk)
        del hold["bid"]
        self.held.append(**hold)
        self._submit_requests(_pick(jobs, ~later), tick)
        self._row["postponed"] = len(self.held)
        for institution in self.institutions:
            institution.act(tick)

    def _bear_jobs(self, tick: Tick) -> None:
        rate = self.consumers["rate"] * self.consumers.active
        born = self.setup.workload.arrivals(self.streams, tick.number, tick.start, tick.end, rate)
        value, patience = consumers_.appraise(born, self.setup.agents.consumers, self.streams)
        give_up = born.born + patience
        n = len(born)
        self.held.append(
            job=self._n_jobs + np.arange(n), consumer=born.consumer, born=born.born, when=born.born, value=value,
            amount=born.amount, work=born.work, give_up=give_up, kinds=born.kinds, demand=born.demand,
            deadline=give_up + self.setup.agents.consumers.deadline_stretch * born.work / born.amount,
        )  # fmt: skip
        self._n_jobs += n

    def _submit_requests(self, jobs: Columns, tick: Tick) -> None:
        jobs = _pick(jobs, np.argsort(jobs["when"], kind="stable"))
        account = self.consumers["account"][jobs["consumer"]]
        most = jobs["bid"] * jobs["work"] * (1 + ESCROW_MARGIN)
        escrow = Amounts.from_prana(np.minimum(most, SUPPLY_PRANA))
        beyond = most > SUPPLY_PRANA  # nobody can hold that much
        refused = np.empty(len(account), bool)
        refused[beyond] = True
        refused[~beyond] = self.ledger.lock(account[~beyond], escrow[~beyond])
        self._leave(_pick(jobs, refused), "refused", tick)
        ok = np.flatnonzero(~refused)
        jobs, n = _pick(jobs, ok), len(ok)
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
        places = np.searchsorted(self.orders["number"], ordered.number[says])
        said = self.orders.rows(places)
        self.orders.drop(places)
        offers = kind[says] == OFFER
        self.providers["ask"][said["provider"][offers]] = said["ask"][offers]
        self.providers["offering"][said["provider"]] = offers
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
        self.orders.drop(np.flatnonzero(np.isin(self.orders["number"], gone)))
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
                due, back, lost = self._withhold(fills, jobs, due, share)
                paid, worth, jobs["paid"] = paid * share, worth - jobs["value"] * lost, jobs["paid"] - back
        self._payments.append((fills["account"], self.providers["account"][provider], self._skim(fills, due)))
        np.add.at(self.providers["earned"], provider, paid)
        consumer = jobs["consumer"]
        spent = jobs["paid"]
        np.add.at(self.consumers["spent"], consumer, spent)
        np.add.at(self.consumers["surplus"], consumer, worth - spent)
        self.log.jobs(self.market.name, "finished", jobs)
        self._row["finished"], self._row["revenue_prana"] = len(consumer), float(paid.sum())

    def _withhold(self, fills: Columns, jobs: Columns, due: Amounts, share: Floats) -> tuple[Amounts, Floats, Floats]:
        """Give consumers back what was not earned: return what is still due, and per job the PRANA and work missing."""
        parts = split_groups(due, np.stack([share, 1 - share], axis=1).ravel(), 2 * np.arange(len(share)))
        self._refunds.append((fills["account"], parts[1::2]))
        job = np.searchsorted(jobs["job"], fills["job"], sorter=(by := np.argsort(jobs["job"], kind="stable")))
        missing = (1 - share) * fills["work"]
        back = np.zeros(len(by))
        lost = back.copy()
        np.add.at(back, by[job], missing * fills["price"])
        np.add.at(lost, by[job], missing)
        return parts[::2], back, lost

    def _skim(self, fills: Columns, due: Amounts) -> Amounts:
        """Let proposers have what they took; return what is left for the providers."""
        rows = np.flatnonzero(fills["skim"] > 0)
        if not len(rows):
            return due
        shares = np.stack([fills["skim"][rows], fills["price"][rows] - fills["skim"][rows]], axis=1)
        parts = split_groups(due[rows], shares.ravel(), 2 * np.arange(len(rows)))
        skim = parts[::2]
        self._payments.append((fills["account"][rows], self.validators[fills["proposer"][rows]], skim))
        hi, lo = due.hi.copy(), due.lo.copy()
        hi[rows], lo[rows] = parts.hi[1::2], parts.lo[1::2]
        return Amounts(hi, lo)

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
        self._refunds.append((jobs["account"], Amounts(jobs["escrow_hi"], jobs["escrow_lo"]) - due_in_all))
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
        market, before = self.market, (self._n_fills, len(self._refunds))
        market.waiting.append(**job, job=np.array([self._n_jobs]))
        row = np.array([market.waiting.size - 1])
        try:
            fills = self._start(replace(started, row=row), offers, tick)
        except Exception:
            for rows in (market.waiting, market.running, market.fills):
                rows.drop(np.flatnonzero(rows["alive"] & (rows["job"] == self._n_jobs)))
            self._n_fills = before[0]
            del self._refunds[before[1] :]
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
        refused = [self.ledger.pay_escrow(*payment, "pay") for payment in self._payments]
        refused += [self.ledger.release(*refund) for refund in self._refunds]
        if any(r.any() for r in refused):
            raise InvariantError(f"tick {tick.number}: what is due must be in escrow, got a payment the ledger refused")
        self._payments.clear()
        self._refunds.clear()

    def learn(self, tick: Tick) -> None:
        """Let providers account for profit, revise asks, leave and enter; it shows once it is ordered."""
        p, config = self.providers, self.setup.agents.providers
        p["busy"][:] = self.market.busy(p.size)
        p["earning"][:] = self.market.earning(p.size)
        providers_.account_profit(p, tick.seconds)
        weight = -np.expm1(-tick.seconds / DAY)
        self._day_price += (self.market.last_price - self._day_price) * weight
        self._day_utilisation += (float(self._row["utilisation"]) - self._day_utilisation) * weight
        self._revise_asks(tick)
        leaving = np.flatnonzero(p.active & p["offering"] & (p["losing_s"] > config.exit_after_s))
        p["losing_s"][leaving] = 0.0
        self._send_offers(WITHDRAW, leaving, p["ask"][leaving], tick)
        drained = np.flatnonzero(p.active & ~p["offering"] & (p["busy"] == 0))
        if len(drained):
            p.remove(np.setdiff1d(drained, self.orders.alive()["provider"]))
        if self.setup.workload.machines() is None:
            self._enter(tick)
        for institution in self.institutions:
            institution.learn(tick)

    def _revise_asks(self, tick: Tick) -> None:
        p, config = self.providers, self.setup.agents.providers
        slots = providers_.repricing(p, config, self.streams, tick.number, tick.seconds)
        slots = slots[p["offering"][slots]]  # who is leaving does not come back by revising an ask
        if not len(slots):
            return
        cost = p["energy_cost"][slots] + p["capital_cost"][slots]
        p["markup"][slots] = providers_.revised_markup(p["markup"][slots], p["use"][slots], config)
        ask = providers_.asks(cost, p["markup"][slots], p["behaviour"][slots], self.provider_rules, tick.number)
        changed = ask != p["ask"][slots]
        self._send_offers(OFFER, slots[changed], ask[changed], tick)

    def _enter(self, tick: Tick) -> None:
        """Would-be providers look at yesterday's price and utilisation and enter if a unit would pay its cost."""
        config = self.setup.agents.providers
        n = providers_.candidates(config, self.streams, tick.number, tick.seconds, config.count)
        serial = self._n_entrants + np.arange(n)
        self._n_entrants += n
        if not n:
            return
        traits = self.provider_maker.make(serial, "entrant")
        earns = (self._day_price - traits.energy_cost) * self._day_utilisation
        serial = serial[earns > traits.capital_cost * (1 + config.hurdle)]
        if len(serial):
            slots = self._add_providers(serial, "entrant", offering=False)
            self._send_offers(OFFER, slots, self.providers["ask"][slots], tick)

    def _send_offers(self, kind: int, slots: Slots, ask: Floats, tick: Tick) -> None:
        if not len(slots):
            return
        p = self.providers
        validator = p["validator"][slots].astype(np.int64)
        number = self.submit(kind, p["account"][slots], validator, np.full(len(slots), tick.end))
        self.orders.append(number=number, provider=slots, ask=ask)

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
        for rows in (self.market.waiting, self.market.mempool, self.held):
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
            self._refunds.append((jobs["account"], Amounts(jobs["escrow_hi"], jobs["escrow_lo"])))


def _pick(columns: Columns, rows: npt.NDArray[Any]) -> Columns:
    return {name: column[rows] for name, column in columns.items()}


def _quantiles(values: Floats, *q: float) -> list[float]:
    """Return quantiles by linear interpolation, as `numpy.quantile` does, at a tenth of its cost for a few values."""
    if not len(values):
        return [float("nan")] * len(q)
    values = np.sort(values)
    return np.interp(np.array(q) * (len(values) - 1), np.arange(len(values)), values).tolist()  # type: ignore[no-any-return]
