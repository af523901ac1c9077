"""The same market as an ordinary Mesa model: one object an agent, `AgentSet.do`, Python integers for exact money.

It keeps the same books as the simulator: rows of jobs, fills, transactions, transfers and the market, as tuples.

Rules: `sliding_window` pricing without a cycle, `fair_share` allocation without share caps, elastic and truthful
consumers, providers that account for their profit and now and then revise their ask. Starts, patience and deadlines
are as in the simulator, but at the resolution of a tick.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from dataclasses import dataclass

import mesa


@dataclass
class Job:
    """One job."""

    consumer: PlainConsumer
    born: float
    amount: float
    work: float
    value: float
    give_up: float
    deadline: float
    submitted: float = 0.0
    escrow: int = 0  # units of 1e-18 PRANA
    due: int = 0


class PlainProvider(mesa.Agent):
    """Sells compute."""

    def __init__(self, model: PlainMarket, capacity: float, energy: float, capital: float) -> None:
        super().__init__(model)
        self.capacity, self.energy, self.capital = capacity, energy, capital
        self.ask = energy + capital
        self.busy = self.earning = self.profit = self.margin = self.losing = 0.0
        self.balance = 0  # units of 1e-18 PRANA

    def step(self) -> None:
        """Account for profit, revise the ask now and then."""
        dt = self.model.dt
        rate = self.earning - self.energy * self.busy - self.capital * self.capacity
        self.profit += rate * dt
        self.margin += (rate - self.margin) * self.model.day_weight
        self.losing = self.losing + dt if self.margin < 0 else 0.0
        if self.model.random.random() < self.model.reprice:
            self.ask = self.energy + self.capital


class PlainConsumer(mesa.Agent):
    """Buys compute."""

    def __init__(self, model: PlainMarket, rate: float, weight: float, balance: float, *, elastic: bool) -> None:
        super().__init__(model)
        self.rate, self.weight, self.balance, self.elastic = rate, weight, units(balance), elastic
        self.escrow = 0
        self.held: list[tuple[float, Job]] = []

    def step(self) -> None:
        """Want a job now and then; look again at those held back."""
        model = self.model
        if model.random.random() < -math.expm1(-self.rate * model.dt):
            self.held.append((model.now, self._job()))
        if self.held:
            self._look()

    def _job(self) -> Job:
        m, rng = self.model, self.model.random
        number = rng.choices((1, 2, 4, 8), (0.8, 0.12, 0.06, 0.02))[0]
        amount = number * 1e-3
        duration = m.mean_seconds * math.exp(m.sigma_duration * rng.gauss(0, 1) - m.sigma_duration**2 / 2)
        value = m.value_median * math.exp(m.sigma_value * rng.gauss(0, 1))
        born = m.now + rng.random() * m.dt
        give_up = born + rng.expovariate(1 / m.patience)
        return Job(self, born, amount, amount * duration, value, give_up, give_up + 3.0 * duration)

    def _look(self) -> None:
        m, still = self.model, []
        for when, job in self.held:
            if when >= m.now + m.dt:
                still.append((when, job))
            elif self.elastic and m.price > job.value:
                later = max(when, m.now) + m.random.expovariate(1 / m.postpone)
                if later <= job.give_up:
                    still.append((later, job))
            else:
                job.submitted, job.escrow = max(when, job.born), units(job.value * job.work * (1 + 1e-9))
                if self.balance >= job.escrow:
                    m.move("lock", self, self, job.escrow)
                    self.balance -= job.escrow
                    self.escrow += job.escrow
                    m.submitted.append(job)
        self.held = still


def units(prana: float) -> int:
    """Return an amount in units of 1e-18 PRANA."""
    return round(prana * 1e18)


class PlainMarket(mesa.Model):
    """A market of plain agents.

    Parameters
    ----------
    providers
        One (capacity, energy cost, capital cost) each: units/s, PRANA per unit, PRANA per unit.
    consumers
        One (jobs per second, weight, PRANA, elastic) each.
    """

    def __init__(self, providers: list[tuple], consumers: list[tuple], *, seed: int, **rules: float) -> None:
        super().__init__(seed=seed)
        self.dt, self.now = rules["dt"], 0.0
        self.base, self.window = rules["base_price"], rules["window_seconds"]
        self.mean_seconds, self.patience, self.postpone = rules["mean_seconds"], rules["patience"], rules["postpone"]
        self.value_median = rules["value_median"]
        self.sigma_duration = math.sqrt(math.log1p(rules["cv"] ** 2))
        self.sigma_value = math.sqrt(math.log1p(rules["value_cv"] ** 2))
        self.min_share = rules["min_share"]
        self.reprice = -math.expm1(math.log1p(-rules["reprice"]) * self.dt / 1800.0)
        self.day_weight = -math.expm1(-self.dt / 86400.0)
        self.price = self.base
        self.submitted: list[Job] = []
        self.waiting: list[Job] = []
        self.tables: dict[str, list[tuple]] = {name: [] for name in ("jobs", "fills", "transactions", "transfers")}
        self.running: list[tuple[float, int, Job, list[tuple[PlainProvider, float]], float]] = []
        self.loads: deque[float] = deque()
        self.load_sum, self.serial, self.served = 0.0, 0, 0
        self.prices: list[float] = []
        self.providers = [PlainProvider(self, *p) for p in providers]
        for rate, weight, balance, elastic in consumers:
            PlainConsumer(self, rate, weight, balance, elastic=elastic)
        self.capacity = sum(p.capacity for p in self.providers)

    def step(self) -> None:
        """Act, deliver, clear, learn."""
        self.agents_by_type[PlainConsumer].do("step")
        end = self.now + self.dt
        self.order()
        self.complete(end)
        self.quote()
        self.clear(end)
        busy = sum(p.busy for p in self.providers) / self.capacity
        self.loads.append(busy)
        self.load_sum += busy
        if len(self.loads) * self.dt > self.window:
            self.load_sum -= self.loads.popleft()
        self.agents_by_type[PlainProvider].do("step")
        self.prices.append(self.price)
        self.now = end

    def move(self, kind: str, source: mesa.Agent, target: mesa.Agent, amount: int) -> None:
        """Log one movement of money."""
        rows = self.tables["transfers"]
        rows.append((len(rows), self.steps, kind, source.unique_id, target.unique_id, amount, False))

    def leave(self, job: Job, status: str, start: float, end: float, grant: float, price: float) -> None:
        """Log one job that leaves."""
        self.tables["jobs"].append(
            (job.consumer.unique_id, status, job.born, job.submitted, start, end, start - job.born, job.work,
             job.amount, grant, job.value, price, price * job.work)
        )  # fmt: skip

    def order(self) -> None:
        """Bring what was submitted into the order of submission."""
        self.submitted.sort(key=lambda job: job.submitted)
        rows = self.tables["transactions"]
        for job in self.submitted:
            rows.append((len(rows), "request", job.consumer.unique_id, 0, job.submitted, job.submitted, job.submitted))
        self.waiting += self.submitted
        self.submitted = []

    def complete(self, end: float) -> None:
        """Pay for what has ended."""
        while self.running and self.running[0][0] <= end:
            ended, _, job, parts, price = heapq.heappop(self.running)
            grant = sum(q for _, q in parts)
            for provider, quantity in parts:
                provider.busy = max(0.0, provider.busy - quantity)
                provider.earning -= quantity * price
                due = units(price * job.work * quantity / grant)
                self.move("pay", job.consumer, provider, due)
                job.consumer.escrow -= due
                provider.balance += due
            self.leave(job, "finished", ended - job.work / grant, ended, grant, price)

    def quote(self) -> None:
        """Price = base (1 + u)^2, u the mean utilisation of the window."""
        u = self.load_sum / len(self.loads) if self.loads else 0.0
        self.price = self.base * (1 + min(u, 1.0)) ** 2

    def clear(self, end: float) -> None:
        """Share out what is free among those who would pay the price; the impatient leave."""
        stay, bids = [], []
        for job in self.waiting:
            (bids if job.value >= self.price and job.give_up >= self.now else stay).append(job)
        free = [p for p in sorted(self.providers, key=lambda p: p.ask) if p.capacity > p.busy and p.ask <= self.price]
        capacity = sum(p.capacity - p.busy for p in free)
        level, admitted = self.share(bids, capacity)
        chosen = {id(j) for j in admitted}
        at = 0
        for job in admitted:
            grant, parts = min(job.amount, level * job.consumer.weight), []
            need = grant
            while need > 1e-15 and at < len(free):
                part = min(need, free[at].capacity - free[at].busy)
                if part > 0:
                    free[at].busy += part
                    free[at].earning += part * self.price
                    parts.append((free[at], part))
                    need -= part
                if need > 1e-15:
                    at += 1
            self.start(job, grant, parts)
        stay += [j for j in bids if id(j) not in chosen]
        self.waiting = []
        for job in stay:
            if job.give_up > end:
                self.waiting.append(job)
            else:
                self.move("release", job.consumer, job.consumer, job.escrow)
                job.consumer.balance += job.escrow
                job.consumer.escrow -= job.escrow
                self.leave(job, "reneged", math.nan, job.give_up, 0.0, math.nan)

    def share(self, bids: list[Job], capacity: float) -> tuple[float, list[Job]]:
        """Max-min level and who is admitted: by deadline, as long as everybody admitted gets its minimum."""
        total = sum(j.amount for j in bids)
        if total <= capacity:
            return math.inf, bids
        admitted: list[Job] = []
        need = 0.0
        for job in sorted(bids, key=lambda j: j.deadline):
            low = max(need, self.minimum(job) / job.consumer.weight)
            if sum(min(j.amount, low * j.consumer.weight) for j in [*admitted, job]) <= capacity:
                admitted.append(job)
                need = low
        lo, hi = need, max((j.amount / j.consumer.weight for j in admitted), default=0.0)
        for _ in range(60):
            mid = (lo + hi) / 2
            short = sum(min(j.amount, mid * j.consumer.weight) for j in admitted) <= capacity
            lo, hi = (mid, hi) if short else (lo, mid)
        return lo, admitted

    def minimum(self, job: Job) -> float:
        """Least capacity that is of use."""
        left = max(job.deadline - max(job.born, self.now), 1e-9)
        return min(job.amount, max(self.min_share * job.amount, job.work / left))

    def start(self, job: Job, grant: float, parts: list[tuple[PlainProvider, float]]) -> None:
        """Set one job running."""
        self.serial += 1
        self.served += 1
        begin = max(job.born, self.now)
        due = 0
        for provider, quantity in parts:
            work = job.work * quantity / grant
            due += units(self.price * work)
            rows = self.tables["fills"]
            rows.append(
                (len(rows), self.steps, job.consumer.unique_id, provider.unique_id, quantity, self.price, work, begin,
                 begin + job.work / grant)
            )  # fmt: skip
        self.move("release", job.consumer, job.consumer, job.escrow - due)
        job.consumer.balance += job.escrow - due
        job.consumer.escrow -= job.escrow - due
        heapq.heappush(self.running, (begin + job.work / grant, self.serial, job, parts, self.price))
