"""A stand-in for a `Run`: a small congested market with a surge at noon, in the tables that a run writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from celluler_sim.analysis.summary import summarise
from celluler_sim.tables import TABLES

PATIENCE = 1800.0  # s, mean
PRICES = {
    "sliding_window": lambda u: 100 * (1 + u) ** 2,
    "linear": lambda u: 100 * (1 + u),
    "fixed": lambda u: 100 + 0 * u,
}
DTYPES = {"int64": "int64", "float64": "float64", "bool": "bool", "string": "str", "decimal": "object"}


@dataclass
class FakeRun:
    """What the plots and the report read of a run."""

    config: Mapping[str, Any]
    manifest: Mapping[str, Any]
    summary: Mapping[str, float | None]
    tables: Mapping[str, pd.DataFrame]
    folder: Path | None = None
    variants: dict[str, FakeRun] = field(default_factory=dict)


def empty_tables() -> dict[str, pd.DataFrame]:
    """Return every table with its columns and no row."""
    return {
        name: pd.DataFrame({c.name: pd.Series([], dtype=DTYPES.get(c.dtype, c.dtype)) for c in table.columns})
        for name, table in TABLES.items()
    }


def frame(table: str, rows: list[dict[str, Any]] | dict[str, Any]) -> pd.DataFrame:
    """Return a table; columns left out are NaN, 0 or empty by type."""
    given = pd.DataFrame(rows)
    neutral = {"int64": 0, "float64": np.nan, "bool": False, "string": "m", "decimal": 0}
    return pd.DataFrame(
        {c.name: given[c.name] if c.name in given else neutral[c.dtype] for c in TABLES[table].columns},
        index=given.index,
    )


def hand_made() -> dict[str, pd.DataFrame]:
    """Return three ticks of a minute, three providers, three consumers and six jobs, small enough for paper."""
    markets = {
        "tick": [0, 1, 2], "time_s": [60.0, 120.0, 180.0], "price_prana": [100.0, 200.0, 300.0],
        "utilisation": [0.0, 0.5, 0.75], "window_utilisation": [0.0, 0.25, 0.5], "capacity": [10.0, 10.0, 20.0],
        "busy": [0.0, 5.0, 15.0], "providers": [2, 2, 3], "queue": [0, 2, 1], "demand": [5.0, 8.0, 2.0],
        "submitted": [2, 3, 1], "ordered": [2, 3, 1], "granted": [1, 2, 0], "finished": [0, 1, 0],
        "reneged": [0, 0, 1], "postponed": [0, 0, 4], "sold_work": [10.0, 30.0, 0.0],
        "consumer_surplus_prana": [100.0, 50.0, 0.0], "provider_surplus_prana": [20.0, 30.0, 0.0],
        "revenue_prana": [0.0, 1000.0, 0.0], "gain_prana": [6.0, 3.0, 0.0], "optimum_prana": [8.0, np.nan, 4.0],
        "relaxed": [True, False, False],
    }  # fmt: skip
    jobs = {
        "job": [0, 1, 2, 3, 4, 5], "consumer": [0, 0, 1, 1, 2, 2],
        "status": ["finished", "running", "running", "reneged", "refused", "waiting"],
        "born_s": [0.0, 0.0, 60.0, 60.0, 70.0, 130.0], "submitted_s": [10.0, 10.0, 60.0, 60.0, 70.0, 130.0],
        "started_s": [60.0, 120.0, 120.0, np.nan, np.nan, np.nan],
        "finished_s": [110.0, np.nan, np.nan, 150.0, 70.0, np.nan],
        "wait_s": [60.0, 120.0, 60.0, np.nan, np.nan, np.nan], "work": [10.0, 10.0, 20.0, 20.0, 5.0, 1.0],
        "amount": [0.2, 1.0, 1.0, 4.0, 1.0, 1.0], "granted": [0.2, 1.0, 1.0, np.nan, np.nan, np.nan],
        "value_prana": [150.0, 260.0, 240.0, 90.0, 80.0, 70.0],
        "price_prana": [100.0, 200.0, 250.0, np.nan, np.nan, np.nan],
        "paid_prana": [1000.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    }  # fmt: skip
    fills = {
        "fill": [0, 1, 2], "tick": [0, 1, 1], "job": [0, 1, 2], "consumer": [0, 0, 1], "provider": [0, 0, 1],
        "quantity": [0.2, 1.0, 1.0], "price_prana": [100.0, 200.0, 250.0], "work": [10.0, 10.0, 20.0],
        "start_s": [60.0, 120.0, 120.0], "end_s": [110.0, 130.0, 140.0],
    }  # fmt: skip
    agents = [{"tick": 0, "type": "provider", "slot": p, "ask_prana": 50.0, "capacity": 5.0} for p in range(3)]
    agents += [{"tick": 0, "type": "consumer", "slot": c} for c in range(3)]
    book = {
        "tick": [1] * 5, "side": ["offer", "offer", "request", "request", "request"], "row": [0, 1, 0, 1, 2],
        "price_prana": [90.0, 50.0, 80.0, 260.0, 200.0], "quantity": [5.0, 4.0, 2.0, 3.0, 1.0],
    }  # fmt: skip
    given = {"markets": markets, "jobs": jobs, "fills": fills, "agents": agents, "book": book}
    return {**empty_tables(), **{name: frame(name, rows) for name, rows in given.items()}}


@dataclass
class _Market:
    """The state of the small market while its day is simulated."""

    pricing: str
    seed: int
    dt: float
    rows: dict[str, list[dict[str, Any]]] = field(
        default_factory=lambda: {"markets": [], "fills": [], "agents": [], "book": []}
    )

    def day(self, ticks: int, providers: int, consumers: int, load: float) -> dict[str, pd.DataFrame]:
        """Simulate and return the tables."""
        rng = np.random.default_rng(self.seed)
        self.capacity = np.exp(rng.normal(2.0, 0.8, providers))
        self.cost = np.exp(rng.normal(np.log(60.0), 0.35, providers))
        self.busy, self.earned = np.zeros(providers), np.zeros(providers)
        self.spent = np.zeros(consumers)
        self.jobs: list[dict[str, Any]] = []
        self.queue: list[int] = []
        self.ends: list[tuple[float, int]] = []
        self.window, self.peak = 0.0, -1.0
        for tick in range(ticks):
            self.tick(tick, rng, consumers, load)
        tables = {**empty_tables(), **{name: frame(name, rows) for name, rows in self.rows.items() if rows}}
        if self.jobs:
            tables["jobs"] = frame("jobs", self.jobs)
        return tables

    def tick(self, tick: int, rng: np.random.Generator, consumers: int, load: float) -> None:
        """Let jobs be born, finish, give up and start."""
        now = (tick + 1) * self.dt
        row: dict[str, Any] = {"tick": tick, "time_s": now, "providers": len(self.capacity), "market": "compute"}
        row |= self.finish(now) | self.arrive(now, rng, consumers, load)
        total = self.capacity.sum()
        u = self.busy.sum() / total
        self.window += (u - self.window) * min(1.0, self.dt / 3600)
        price = float(PRICES[self.pricing](self.window))
        row |= {"price_prana": price, "utilisation": u, "window_utilisation": self.window, "capacity": total}
        row |= {"busy": self.busy.sum(), "demand": sum(self.jobs[j]["amount"] for j in self.queue)}
        if row["demand"] + row["busy"] > self.peak:
            self.peak = row["demand"] + row["busy"]
            self.rows["book"] = self.book(tick)
        row |= self.clear(tick, now, price, rng) | {"queue": len(self.queue), "postponed": 0, "expired": 0}
        self.rows["markets"].append(row)
        if tick % 60 == 0:
            self.sample(tick, price)

    def finish(self, now: float) -> dict[str, Any]:
        """Free what has ended and let the impatient go."""
        done = [f for end, f in self.ends if end <= now]
        self.ends = [(end, f) for end, f in self.ends if end > now]
        revenue, left = 0.0, set()
        for f in done:
            fill = self.rows["fills"][f]
            paid = fill["price_prana"] * fill["work"]
            self.busy[fill["provider"]] -= fill["quantity"]
            self.earned[fill["provider"]] += paid
            self.spent[fill["consumer"]] += paid
            revenue += paid
            job = self.jobs[fill["job"]]
            job |= {"status": "finished", "finished_s": fill["end_s"]}
            left.add(fill["job"])
        gone = [j for j in self.queue if self.jobs[j]["born_s"] + self.jobs[j]["patience"] <= now]
        for j in gone:
            self.jobs[j] |= {"status": "reneged", "finished_s": self.jobs[j]["born_s"] + self.jobs[j]["patience"]}
        self.queue = [j for j in self.queue if self.jobs[j]["status"] == "waiting"]
        return {"revenue_prana": revenue, "finished": len(left), "reneged": len(gone)}

    def arrive(self, now: float, rng: np.random.Generator, consumers: int, load: float) -> dict[str, Any]:
        """Let jobs be born at a rate that follows the time of day and doubles at noon."""
        hour = now / 3600 % 24
        rate = load * (0.75 - 0.35 * np.cos(2 * np.pi * (hour - 3) / 24) + 1.3 * np.exp(-((hour - 12) ** 2) / 1.2))
        n = rng.poisson(rate * self.dt)
        for _ in range(n):
            amount, value = float(np.exp(rng.normal(1.3, 0.7))), float(np.exp(rng.normal(np.log(330.0), 0.4)))
            born = now - self.dt * rng.random()
            status = "refused" if rng.random() < 0.004 else "waiting"
            self.jobs.append({
                "job": len(self.jobs), "consumer": int(rng.integers(consumers)), "status": status, "born_s": born,
                "submitted_s": born, "started_s": np.nan, "finished_s": born if status == "refused" else np.nan,
                "wait_s": np.nan, "work": amount * float(rng.exponential(2400.0)), "amount": amount, "granted": 0.0,
                "value_prana": value, "price_prana": np.nan, "paid_prana": 0.0, "market": "compute",
                "patience": float(rng.exponential(PATIENCE)),
            })  # fmt: skip
            if status == "waiting":
                self.queue.append(len(self.jobs) - 1)
        refused = sum(j["status"] == "refused" for j in self.jobs[len(self.jobs) - n :])
        return {"submitted": n, "ordered": n, "refused": refused}

    def clear(self, tick: int, now: float, price: float, rng: np.random.Generator) -> dict[str, Any]:
        """Serve the queue in its order from providers in random order."""
        granted, cs, ps, work = 0, 0.0, 0.0, 0.0
        for j in list(self.queue):
            job, free = self.jobs[j], self.capacity - self.busy
            if job["value_prana"] < price or free.sum() < job["amount"]:
                continue
            self.queue.remove(j)
            order = rng.permutation(len(free))
            order = order[free[order] > 1e-9]
            take = np.diff(np.minimum(np.concatenate([[0.0], np.cumsum(free[order])]), job["amount"]))
            seconds = job["work"] / job["amount"]
            for p, q in zip(order[take > 0], take[take > 0], strict=True):
                self.busy[p] += q
                self.ends.append((now + seconds, len(self.rows["fills"])))
                self.rows["fills"].append({
                    "fill": len(self.rows["fills"]), "tick": tick, "market": "compute", "job": j,
                    "consumer": job["consumer"], "provider": int(p), "quantity": q, "price_prana": price,
                    "work": q * seconds, "start_s": now, "end_s": now + seconds,
                })  # fmt: skip
                ps += (price - self.cost[p]) * q * seconds
            job |= {"status": "running", "started_s": now, "wait_s": now - job["born_s"], "granted": job["amount"]}
            job |= {"price_prana": price, "paid_prana": price * job["work"]}
            granted, work, cs = granted + 1, work + job["work"], cs + (job["value_prana"] - price) * job["work"]
        gain = (cs + ps) / self.dt
        return {
            "granted": granted, "sold_work": work, "consumer_surplus_prana": cs, "provider_surplus_prana": ps,
            "gain_prana": gain, "optimum_prana": gain * 1.07 if tick % 10 == 0 else np.nan, "relaxed": tick % 97 == 0,
        }  # fmt: skip

    def book(self, tick: int) -> list[dict[str, Any]]:
        """Return both sides of this clearing: jobs that run or wait, and whole capacities."""
        present = [j for j in self.jobs if j["status"] in ("waiting", "running")]
        sides = {
            "offer": list(zip(self.cost, self.capacity, strict=True)),
            "request": [(j["value_prana"], j["amount"]) for j in present],
        }
        both = {"tick": tick, "market": "compute"}
        return [
            both | {"side": side, "row": i, "price_prana": price, "quantity": quantity}
            for side, rows in sides.items()
            for i, (price, quantity) in enumerate(rows)
        ]

    def sample(self, tick: int, price: float) -> None:
        """Record every agent."""
        both = {"tick": tick, "behaviour": "truthful", "active": True, "balance_prana": 1e6, "escrow_prana": 0.0}
        for p in range(len(self.capacity)):
            own = {"ask_prana": self.cost[p], "capacity": self.capacity[p], "busy": self.busy[p]}
            own |= {"earned_prana": self.earned[p], "surplus_prana": self.earned[p] * (1 - self.cost[p] / price)}
            self.rows["agents"].append(both | {"type": "provider", "slot": p} | own)
        for c in range(len(self.spent)):
            own = {"earned_prana": self.spent[c], "surplus_prana": self.spent[c] * 0.3}
            self.rows["agents"].append(both | {"type": "consumer", "slot": c} | own)


def fake_run(
    ticks: int = 288,
    dt: float = 300.0,
    *,
    pricing: str = "sliding_window",
    load: float = 0.06,
    providers: int = 40,
    consumers: int = 120,
    seed: int = 1,
    variants: tuple[str, ...] = (),
    facts: Mapping[str, float] | None = None,
    folder: Path | None = None,
) -> FakeRun:
    """Return one simulated day (by default) of the stand-in market; ``load`` is in jobs per second."""
    config: dict[str, Any] = {
        "name": "compute_congestion",
        "description": "One day of a compute market with a surge of demand at noon",
        "seed": seed, "replicate": 0, "ticks": ticks, "tick_seconds": dt,
        "market": {"name": "compute", "unit": "FLOP-seconds", "unit_size": 1e18},
        "pricing": {"name": pricing, "base_price": 100, "window_seconds": 3600, "cycle": "none"},
        "allocation": {"name": "fair_share", "max_share": 0.2, "min_share": 0.01},
        "consensus": {"name": "fifo"}, "workload": {"name": "generated"},
        "agents": {"providers": {"count": providers}, "consumers": {"count": consumers}},
        "variants": {name: [f"pricing={name}"] for name in variants},
    }  # fmt: skip
    manifest = {
        "celluler_sim": "0.1.0", "versions": {"python": "3.11.7", "mesa": "3.3.1", "numpy": "2.4.6"}, "seed": seed,
        "config_sha256": "9f2c51d0a7", "started": "2025-01-01T12:00:00+00:00", "duration_s": 3.21,
        "outcome": "finished", "overrides": [f"pricing={pricing}"],
    }  # fmt: skip
    tables = _Market(pricing, seed, dt).day(ticks, providers, consumers, load)
    run = FakeRun(config, manifest, summarise(tables, config, facts), tables, folder)
    for name in variants:
        run.variants[name] = fake_run(
            ticks, dt, pricing=name, load=load, providers=providers, consumers=consumers, seed=seed
        )
    return run
