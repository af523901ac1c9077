"""Writes down what happened: turns the market's columns into rows of the run's tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Floats
from celluler_sim.consensus.base import KINDS, Ordered
from celluler_sim.ledger import Ledger
from celluler_sim.population import Population
from celluler_sim.recorder import Coded, Recorder

Columns = dict[str, npt.NDArray[Any]]


class Logbook:
    """One run's tables, as the economy fills them."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self._n_transfers = 0

    def jobs(self, market: str, status: str, jobs: Columns) -> None:
        """Log jobs that leave the market (or are still in it at the end) with ``status``."""
        n = len(jobs["job"])
        if not n:
            return
        nan = np.full(n, np.nan)
        start = jobs.get("start", nan)
        self.recorder.log(
            "jobs", job=jobs["job"], consumer=jobs["consumer"], market=market, status=status, born_s=jobs["born"],
            submitted_s=jobs.get("submitted", nan), started_s=start, finished_s=jobs.get("end", nan),
            wait_s=start - jobs["born"], work=jobs["work"], amount=jobs["amount"],
            granted=jobs.get("granted", np.zeros(n)), value_prana=jobs["value"], price_prana=jobs.get("price", nan),
            paid_prana=jobs.get("paid", np.zeros(n)),
        )  # fmt: skip

    def fills(self, tick: int, market: str, fills: Columns) -> None:
        """Log the fills that one clearing made."""
        if not len(fills["fill"]):
            return
        self.recorder.log(
            "fills",
            fill=fills["fill"],
            tick=tick,
            market=market,
            job=fills["job"],
            consumer=fills["consumer"],
            provider=fills["provider"],
            quantity=fills["quantity"],
            price_prana=fills["price"],
            skim_prana=fills["skim"],
            proposer=fills["proposer"],
            work=fills["work"],
            start_s=fills["start"],
            end_s=fills["end"],
        )

    def transactions(self, sent: Columns, ordered: Ordered | None, place: int) -> None:
        """Log transactions that became final, in order from ``place``, or that expired (``ordered`` is None)."""
        n = len(sent["number"])
        if not n:
            return
        nan = np.full(n, np.nan)
        self.recorder.log(
            "transactions",
            transaction=sent["number"],
            kind=Coded(sent["kind"], KINDS),
            sender=sent["sender"],
            validator=sent["validator"],
            submitted_s=sent["submitted"],
            consensus_s=nan if ordered is None else ordered.consensus,
            final_s=nan if ordered is None else ordered.final,
            order=np.full(n, -1) if ordered is None else place + np.arange(n),
        )

    def drain(self, tick: int, ledger: Ledger) -> None:
        """Log what the ledger has carried out since the last call."""
        for batch in ledger.drain():
            n = len(batch.source)
            if not n:
                continue
            self.recorder.log(
                "transfers", transfer=self._n_transfers + np.arange(n), tick=tick, kind=batch.kind,
                source=batch.source, target=batch.target, amount_prana=batch.amounts, refused=batch.refused,
            )  # fmt: skip
            self._n_transfers += n

    def agents(self, tick: int, kind: str, population: Population[Any], ledger: Ledger, names: list[str]) -> None:
        """Log every row of one population."""
        slots = np.arange(population.size)
        nan = np.full(population.size, np.nan)
        account = population["account"]
        provider = kind == "provider"
        self.recorder.log(
            "agents", tick=tick, type=kind, slot=slots, behaviour=Coded(population["behaviour"].copy(), tuple(names)),
            active=population.active.copy(), balance_prana=ledger.balance(account), escrow_prana=ledger.escrow(account),
            ask_prana=population["ask"].copy() if provider else nan,
            capacity=population["capacity"].copy() if provider else nan,
            busy=population["busy"].copy() if provider else nan,
            earned_prana=population["earned" if provider else "spent"].copy(),
            surplus_prana=population["profit" if provider else "surplus"].copy(),
        )  # fmt: skip

    def book(self, tick: int, market: str, sides: dict[str, tuple[Floats, Floats]]) -> None:
        """Log the two sides of one clearing, each as (price, quantity)."""
        for side, (price, quantity) in sides.items():
            if len(price):
                self.recorder.log(
                    "book", tick=tick, market=market, side=side, row=np.arange(len(price)), price_prana=price,
                    quantity=quantity,
                )  # fmt: skip
