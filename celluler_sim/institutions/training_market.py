"""The training market at work: its agents, its orders, and what happens to them in the phases of a tick."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from celluler_sim.agents.data_provider import DataProvider, account_data_profit, coverage, data_columns
from celluler_sim.agents.model_consumer import ModelConsumer, consumer_columns
from celluler_sim.agents.trainer import Trainer, chosen_trainer, trainer_columns
from celluler_sim.book import Floats, Slots
from celluler_sim.consensus.base import DATASET, TRAINING
from celluler_sim.institutions import training_orders as orders_
from celluler_sim.institutions.base import Columns, Institution
from celluler_sim.institutions.training_log import TrainingLog
from celluler_sim.institutions.training_settling import Settling
from celluler_sim.ledger import Amounts
from celluler_sim.markets.provisioning import Leg, Provision, Provisioning, Purchase
from celluler_sim.markets.rows import Rows
from celluler_sim.mechanisms import coalitions
from celluler_sim.population import Population
from celluler_sim.workloads.training_fitted import Task, task

if TYPE_CHECKING:
    from celluler_sim.economy import Economy, Tick
    from celluler_sim.institutions.training import TrainingMarket


class TrainingInstitution(Institution):
    """The training market of one economy."""

    kinds: ClassVar[tuple[int, ...]] = (TRAINING, DATASET)

    def __init__(self, economy: Economy, rule: TrainingMarket) -> None:
        super().__init__(economy)
        self.rule, self.streams, self.ledger = rule, economy.streams, economy.ledger
        self.tasks: list[Task] = [task(name) for name in rule.tasks]
        self.shares = np.array(list(rule.tasks.values())) / sum(rule.tasks.values())
        self.orders = orders_.order_rows()
        self.said = Rows(number=np.int64, provider=np.int64, offering=np.bool_)  # of data sets, not final yet
        self.ended: list[Columns] = []  # jobs of the resource market that ended in this tick
        self.sets: dict[int, Slots] = {}  # data sets that each running training uses
        self._n_orders = self._n_ordered = 0
        self._make_agents()
        self.provisioning, self.log, self.settling = Provisioning(economy), TrainingLog(self), Settling(self)

    # ---- agents ----------------------------------------------------------------------------------------------------

    def _make_agents(self) -> None:
        rule, economy = self.rule, self.economy
        n_validators = economy.setup.consensus.n_validators
        self.validators = self.ledger.open_accounts(rule.validators)
        self.trainers: Population[Trainer] = Population(economy, Trainer)
        n = rule.trainers.count
        accounts = self._accounts(n, rule.trainers.endowment_prana)
        columns = trainer_columns(rule.trainers, self.streams, n_validators)
        buyer = economy.consumers.add(
            n, account=accounts, rate=0.0, weight=1.0, behaviour=0, validator=columns["validator"]
        )
        self.trainers.add(n, account=accounts, buyer=buyer, **columns)
        self.data: Population[DataProvider] = Population(economy, DataProvider)
        n = rule.data_providers.count
        data = data_columns(rule.data_providers, self.streams, self.shares.tolist(), n_validators)
        self.data.add(n, account=self._accounts(n, 0.0), **data)
        self.consumers: Population[ModelConsumer] = Population(economy, ModelConsumer)
        n = rule.consumers.count
        wants = consumer_columns(rule.consumers, self.streams, n_validators)
        self.consumers.add(n, account=self._accounts(n, rule.consumers.endowment_prana), **wants)

    def _accounts(self, n: int, prana: float) -> Slots:
        return self.ledger.open_accounts(n, Amounts.from_prana(np.full(n, prana)))

    # ---- act and order ---------------------------------------------------------------------------------------------

    def act(self, tick: Tick) -> None:
        """Offer data and order models."""
        if tick.number == 0:
            self._say(np.arange(self.data.size), tick.start, offering=True)
        born = orders_.born_orders(
            self.rule.consumers, self.consumers, self.tasks, self.shares, self.streams, tick.number, tick.start,
            tick.end,
        )  # fmt: skip
        if n := len(born["born"]):
            number = self._submit(TRAINING, self.consumers, born["consumer"], born["born"])
            later: dict[str, Any] = dict.fromkeys(orders_.LATER, 0)
            training = self._n_orders + np.arange(n)
            self.orders.append(
                **born, **later, training=training, number=number, stage=orders_.SENT, trainer=-1, job=-1
            )
            self._n_orders += n

    def _say(self, slots: Slots, when: float, *, offering: bool) -> None:
        """Submit that data providers offer or withdraw; it counts once it is ordered."""
        if len(slots):
            number = self._submit(DATASET, self.data, slots, np.full(len(slots), when))
            self.said.append(number=number, provider=slots, offering=offering)

    def _submit(self, kind: int, who: Population[Any], slots: Slots, when: Floats) -> Slots:
        validator = who["validator"][slots].astype(np.int64)
        return self.economy.submit(kind, who["account"][slots], validator, when)

    def ordered(self, kind: int, number: Slots, final: Floats, tick: Tick) -> None:  # noqa: ARG002 - the order counts
        """Take in orders and offers of data, in consensus order."""
        if kind == TRAINING:
            rows = _rows(self.orders, number)
            self.orders["stage"][rows] = orders_.OPEN
            self.orders["place"][rows] = self._n_ordered + np.arange(len(rows))
            self._n_ordered += len(rows)
        else:
            said = self.said.take(_rows(self.said, number))
            self.data["offering"][said["provider"]] = said["offering"]

    def expired(self, number: Slots, tick: Tick) -> None:
        """Forget what was not final in time."""
        self.said.drop(_rows(self.said, number))
        gone = self.orders.take(_rows(self.orders, number))
        self.log.closed(gone, "expired", np.full(len(gone["training"]), tick.end))

    def delivered(self, fills: Columns, jobs: Columns, tick: Tick) -> None:  # noqa: ARG002
        """Note which jobs have ended; what was paid for them is known after every institution has spoken."""
        self.ended.append(jobs)

    # ---- clear -----------------------------------------------------------------------------------------------------

    def clear(self, tick: Tick) -> None:
        """Let orders meet trainers, in consensus order; what nobody has taken in time is given up."""
        o = self.orders
        leaving = o.take(np.flatnonzero((o["stage"] == orders_.OPEN) & (o["give_up"] <= tick.end)))
        self.log.closed(leaving, "reneged", leaving["give_up"])
        rows = np.flatnonzero((o["stage"] == orders_.OPEN) & (o["retry"] <= tick.end))
        for row in rows[np.argsort(o["place"][rows], kind="stable")].tolist():
            slot = self._choose(row, tick)
            if slot is None:
                return
            if not self._take_order(row, slot, tick):
                o["retry"][row] = tick.end + self.rule.retry_s

    def _choose(self, row: int, tick: Tick) -> int | None:
        """Return the trainer that an order's consumer takes in this tick."""
        o, n = self.orders, self.trainers.size
        who = o["consumer"][row : row + 1], o["born"][row : row + 1]
        uniform = orders_.luck(self.streams, "training.choice", *who, n, tick.number)[0]
        return chosen_trainer(self.trainers, self.rule.trainers, float(o["wanted"][row]), uniform)

    def _take_order(self, row: int, slot: int, tick: Tick) -> bool:
        """Let a trainer plan one order and provision it; return whether it went through."""
        o, rule, trainer = self.orders.rows(np.array([row])), self.rule, self.trainers
        order = int(o["training"][0])
        sets = np.flatnonzero(self.data.active & self.data["offering"] & (self.data["task"] == o["task"][0]))
        share = self._data_share(sets)
        plan = orders_.plan_training(
            self.tasks[int(o["task"][0])], float(o["wanted"][0] - trainer["overstatement"][slot]), share,
            most_accelerators=rule.trainers.accelerators, most_training=rule.most_training,
            deadline_s=rule.consumers.deadline_s, unit_size=self.economy.setup.market.unit_size,
        )  # fmt: skip
        if isinstance(plan, str):
            self.provisioning.log(order, slot, Provision("check", plan), 0.0, 0.0, tick)
            return False
        latency = float(trainer["latency"][slot]) * self._latency_luck(o)
        due, terms = self._terms(o, slot, plan, latency, with_data=bool(len(sets)))
        purchase = Purchase(
            order, slot, int(trainer["buyer"][slot]), int(trainer["account"][slot]), plan.amount, plan.work,
            due / plan.work,
        )  # fmt: skip
        found = self.provisioning.provision(purchase, terms, tick)
        if found.done:
            self._begin(row, slot, plan, found, {"data": share, "latency": latency, "started": tick.end, "due": due})
            self.sets[order] = sets
        return found.done

    def _terms(
        self, o: Columns, slot: int, plan: orders_.Plan, latency: float, *, with_data: bool
    ) -> tuple[float, Any]:  # fmt: skip
        """Return the price of an order as it is wanted, PRANA, and what the parties say once the cost is known."""
        rule, kind = self.rule, self.tasks[int(o["task"][0])]
        wanted, value = float(o["wanted"][0]), float(o["value"][0])
        ratios = latency / rule.consumers.latency_ms, plan.energy / (kind.energy * plan.training)
        bare = min(float(kind.quality(np.array(plan.training), rule.public_data)), wanted)
        due, low = rule.prices.price(float(o["hours"][0]), wanted, [wanted, bare], *ratios).tolist()
        data = rule.data_share * (due - low) if with_data else 0.0
        fees, bond = self.fees, rule.bond_share * due
        consumer, account = int(self.consumers["account"][o["consumer"][0]]), int(self.trainers["account"][slot])

        def terms(compute: float) -> Sequence[Leg] | str:
            if due > value:
                return "value"
            if due < (compute + data) * (1 + rule.trainers.margin) + fees:
                return "margin"
            return [Leg(consumer, due), Leg(account, bond), Leg(account, fees)]

        return due, terms

    @property
    def fees(self) -> float:
        """Most that validating one model can cost, PRANA."""
        return self.rule.fee_prana * (self.rule.validation.folds + self.rule.validation.appeal_folds)

    def _begin(self, row: int, slot: int, plan: orders_.Plan, found: Provision, facts: dict[str, float]) -> None:
        """Note that an order is being trained, and exactly what was reserved for it."""
        o, due = self.orders, facts.pop("due")
        facts |= {
            "stage": orders_.TRAINING, "trainer": slot, "job": found.job, "accelerators": plan.accelerators,
            "work": plan.work, "planned": plan.training, "energy": plan.energy,
        }  # fmt: skip
        for name, prana in (("agreed", due), ("bond", self.rule.bond_share * due), ("fees", self.fees)):
            exact = Amounts.from_prana(prana)
            facts |= {f"{name}_hi": int(exact.hi[0]), f"{name}_lo": int(exact.lo[0])}
        for name, fact in facts.items():
            o[name][row] = fact
        self.trainers["running"][slot] += 1

    def _data_share(self, sets: Slots) -> float:
        """Return the share of a task's full data that these sets and the public make up."""
        covered = coverage(self.data["shards"][sets], coalitions.mask(range(len(sets)), len(sets)))[0]
        return float(self.rule.public_data + (1 - self.rule.public_data) * covered)

    def _latency_luck(self, o: Columns) -> float:
        from scipy.special import ndtri

        u = orders_.luck(self.streams, "training.latency", o["consumer"], o["born"], 1)
        return float(np.exp(np.sqrt(np.log1p(self.rule.trainers.latency_cv**2)) * ndtri(u[0, 0])))

    # ---- judge, learn, record --------------------------------------------------------------------------------------

    def judge(self, tick: Tick) -> None:
        """Let models whose training has ended be claimed, validated, accepted or refused, and paid."""
        ended, self.ended = self.ended, []
        none = np.empty(0)
        jobs = {name: np.concatenate([none, *(e[name] for e in ended)]) for name in ("job", "paid", "price", "work")}
        rows = np.flatnonzero((self.orders["stage"] == orders_.TRAINING) & np.isin(self.orders["job"], jobs["job"]))
        if not len(rows):
            return
        done = self.orders.take(rows)
        place = np.argsort(jobs["job"], kind="stable")
        place = place[np.searchsorted(jobs["job"][place], done["job"])]
        compute, due = jobs["paid"][place], (jobs["price"] * jobs["work"])[place]
        np.add.at(self.trainers["running"], done["trainer"], -1)
        np.add.at(self.trainers["spent"], done["trainer"], compute)
        self.settling.settle(done, compute, np.where(due > 0, compute / np.where(due > 0, due, 1.0), 1.0), tick)

    def learn(self, tick: Tick) -> None:
        """Let data providers withdraw that have lost money for too long."""
        p = self.data
        account_data_profit(p, tick.seconds)
        leaving = np.flatnonzero(p["offering"] & (p["losing_s"] > self.rule.data_providers.exit_after_s))
        p["losing_s"][leaving] = 0.0
        self._say(leaving, tick.end, offering=False)

    def record(self, tick: Tick) -> None:
        """Sample the agents."""
        every = self.economy.setup.record.agents_every
        if every and tick.number % every == 0:
            self.log.agents(tick.number)

    def close(self) -> None:
        """Write down the orders that are still open."""
        rest = self.orders.alive()
        status = ["training" if stage == orders_.TRAINING else "waiting" for stage in rest["stage"]]
        self.log.closed(rest, status, np.full(len(status), np.nan))


def _rows(rows: Rows, number: Slots) -> Slots:
    """Return where the transactions of these numbers are, in the order of the numbers; those not there are left out."""
    order = np.argsort(rows["number"], kind="stable")
    place = np.searchsorted(rows["number"][order], number)
    inside = place < len(order)
    found = order[place[inside]]
    return np.asarray(found[(rows["number"][found] == number[inside]) & rows["alive"][found]])
