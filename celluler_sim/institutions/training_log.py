"""Writes the training market down: rows of `trainings`, `datasets` and `agents`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from celluler_sim.book import Floats, Slots
from celluler_sim.institutions.base import Columns
from celluler_sim.ledger import UNITS
from celluler_sim.mechanisms.shares import Shares
from celluler_sim.population import Population
from celluler_sim.recorder import Coded

if TYPE_CHECKING:
    from celluler_sim.institutions.training_market import TrainingInstitution

STATUSES = ("accepted", "refused", "failed", "reneged", "expired", "waiting", "training")


class TrainingLog:
    """The tables of one training market, as it fills them."""

    def __init__(self, market: TrainingInstitution) -> None:
        self.market = market

    def closed(self, orders: Columns, status: str | list[str], ended: Floats, **facts: Any) -> None:
        """Log orders that are closed (or still open at the end); facts that are not known yet are NaN or 0."""
        n = len(orders["training"])
        if not n:
            return
        m = self.market
        nan, zero = np.full(n, np.nan), np.zeros(n)
        codes = np.array([STATUSES.index(s) for s in ([status] * n if isinstance(status, str) else status)])
        taken = orders["trainer"] >= 0
        lies = np.where(taken, m.trainers["overstatement"][np.maximum(orders["trainer"], 0)], np.nan)
        m.economy.recorder.log(
            "trainings", training=orders["training"], consumer=orders["consumer"], trainer=orders["trainer"],
            task=Coded(orders["task"], tuple(t.name for t in m.tasks)), status=Coded(codes, STATUSES),
            submitted_s=orders["born"], started_s=np.where(taken, orders["started"], np.nan), ended_s=ended,
            accelerators=orders["accelerators"], work=orders["work"], wanted=orders["wanted"],
            claimed=facts.get("claimed", nan), quality=facts.get("quality", nan), score=facts.get("score", nan),
            spread=facts.get("spread", nan), overstatement=facts.get("overstatement", lies),
            disputed=facts.get("disputed", np.zeros(n, np.bool_)), training_done=facts.get("training_done", nan),
            data=np.where(taken, orders["data"], np.nan), latency_ms=np.where(taken, orders["latency"], np.nan),
            energy_kwh=np.where(taken, orders["energy"], 0.0), value_prana=orders["value"],
            agreed_prana=orders["agreed_hi"] + orders["agreed_lo"] / UNITS, paid_prana=facts.get("paid", zero),
            data_prana=facts.get("data_paid", zero), compute_prana=facts.get("compute", zero),
            fees_prana=facts.get("fees_paid", zero), penalty_prana=facts.get("penalty", zero),
        )  # fmt: skip

    def datasets(self, training: int, task: str, sets: Slots, shares: Shares, paid: Floats) -> None:
        """Log what each data set's owner got for one model."""
        data = self.market.data
        size = np.bitwise_count(data["shards"][sets]).astype(np.float64) / 64
        self.market.economy.recorder.log(
            "datasets", training=training, dataset=sets, task=task, size=size, copy_of=data["copy_of"][sets],
            share_prana=shares.value, error_prana=shares.standard_error, paid_prana=paid,
        )  # fmt: skip

    def agents(self, tick: int) -> None:
        """Log every trainer, data provider and model consumer."""
        m = self.market
        t, d, c = m.trainers, m.data, m.consumers
        lying, copied = (t["overstatement"] > 0).astype(np.int64), (d["copy_of"] >= 0).astype(np.int64)
        self._rows(tick, "trainer", t, lying, ("honest", "overstating"), t["earned"], t["earned"] - t["spent"])
        self._rows(tick, "data_provider", d, copied, ("own", "copy"), d["earned"], d["margin"] * 86_400.0)
        plain = np.zeros(c.size, np.int64)
        self._rows(tick, "model_consumer", c, plain, ("truthful",), c["spent"], c["surplus"])

    def _rows(
        self, tick: int, kind: str, who: Population[Any], code: Slots, names: tuple[str, ...], earned: Floats,
        surplus: Floats,
    ) -> None:  # fmt: skip
        if not who.size:
            return
        economy, nan = self.market.economy, np.full(who.size, np.nan)
        account = who["account"]
        busy = who["running"].astype(np.float64) if kind == "trainer" else nan
        economy.recorder.log(
            "agents", tick=tick, type=kind, slot=np.arange(who.size), behaviour=Coded(code, names),
            active=who["offering"].copy() if kind == "data_provider" else who.active.copy(),
            balance_prana=economy.ledger.balance(account), escrow_prana=economy.ledger.escrow(account), ask_prana=nan,
            capacity=nan, busy=busy, earned_prana=earned.copy(), surplus_prana=surplus.copy(),
        )  # fmt: skip
