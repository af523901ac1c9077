"""Rings in a running economy: agreed asks, turns, the question whether to go on; and the screens that look for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from celluler_sim.behaviours.fraud_ring import RingConfig, agreed_asks, designated, ring_of, worth_keeping
from celluler_sim.book import Floats, Slots
from celluler_sim.consensus.base import OFFER
from celluler_sim.institutions.trust_conduct import Conduct
from celluler_sim.mechanisms.base import guarded
from celluler_sim.mechanisms.bids import Bids, Dealings, Trades
from celluler_sim.mechanisms.verification import Verdicts

if TYPE_CHECKING:
    from celluler_sim.economy import Economy, Tick
    from celluler_sim.institutions.trust_purse import Purse


class Sales:
    """What each provider sold in a period: work and profit, from the fills that clearings made."""

    def __init__(self, economy: Economy) -> None:
        self.economy, self._seen = economy, 0
        self.work: Floats = np.zeros(0)  # (n_providers,) units since the period began
        self.profit: Floats = np.zeros(0)  # (n_providers,) PRANA since the period began

    def start(self) -> None:
        """Begin a period."""
        self.work, self.profit = np.zeros((2, self.economy.providers.size))

    def note(self) -> tuple[Slots, Slots]:
        """Count this tick's fills, and return who sold to whom, (n,) each: the largest part of each job."""
        p, market = self.economy.providers, self.economy.market
        fresh = market.fills.rows(np.flatnonzero(market.fills["alive"] & (market.fills["fill"] >= self._seen)))
        n = p.size
        if len(self.work) < n:
            self.work, self.profit = (np.pad(c, (0, n - len(c))) for c in (self.work, self.profit))
        if len(fresh["fill"]):
            self._seen = int(fresh["fill"][-1]) + 1
            who = fresh["provider"]
            margin = (fresh["price"] - p["energy_cost"][who]) * fresh["work"]
            np.add.at(self.work, who, fresh["work"])
            np.add.at(self.profit, who, margin)
        order = np.lexsort((-fresh["work"], fresh["job"]))
        largest = order[np.unique(fresh["job"][order], return_index=True)[1]]
        return fresh["provider"][largest], fresh["consumer"][largest]


class Rings:
    """The rings of one economy: they compete at first, so that they know what competition brings, and then agree."""

    def __init__(self, economy: Economy, conduct: Conduct, config: RingConfig) -> None:
        self.economy, self.config, self.period = economy, config, 0
        kind = conduct.names.index("ring") if "ring" in conduct.names else None
        members = np.flatnonzero(conduct.fraud == kind) if kind is not None else np.zeros(0, np.int64)
        self.rings = ring_of(members, config.size)
        self.competed, self.agreed = np.zeros((2, len(self.rings)))  # PRANA of all members, summed over periods
        self.broken = np.full(len(self.rings), -1)  # period in which each ring broke, -1: it holds
        self.sales = Sales(economy)
        self.sales.start()

    @property
    def holds(self) -> list[bool]:
        """Whether each ring keeps to its agreement."""
        return [bool(b < 0) for b in self.broken]

    def act(self, tick: Tick) -> None:
        """At the start of a period: look back, decide, announce asks."""
        c = self.config
        if not self.rings or tick.start < self.period * c.period_s * (1 - 1e-12):
            return
        for k, members in enumerate(self.rings):
            if self.period:
                self._look_back(k, members)
            self._announce(k, members, tick)
        self.sales.start()
        self.period += 1

    def _look_back(self, k: int, members: Slots) -> None:
        """Take in the period that has ended, and undercut if that is worth more."""
        c, profit = self.config, float(self.sales.profit[members].sum())
        if self.period <= c.patience:
            self.competed[k] += profit
        elif self.broken[k] < 0:
            self.agreed[k] += profit
            periods = self.period - c.patience
            compete = self.competed[k] / c.patience / c.size
            if periods >= c.patience and not worth_keeping(
                self.agreed[k] / periods, compete, c.size, c.discount, c.turns
            ):
                self.broken[k] = self.period
        self.economy.recorder.log(
            "rings", period=self.period - 1, ring=np.array([k]), members=len(members), profit_prana=profit,
            agreed=self.period > c.patience and (self.broken[k] < 0 or self.broken[k] == self.period),
            holds=bool(self.broken[k] < 0),
        )  # fmt: skip

    def _announce(self, k: int, members: Slots, tick: Tick) -> None:
        """Submit the members' asks: agreed upon, or, before and after the ring, what a unit costs."""
        p, c = self.economy.providers, self.config
        cost = p["energy_cost"][members] + p["capital_cost"][members]
        ask = cost
        if self.period >= c.patience and self.broken[k] < 0:
            uniform = float(self.economy.streams.draws("trust.rings", self.period).uniform(np.array([k]))[0])
            winner = designated(len(members), self.period, c.turns, uniform)
            ask = agreed_asks(cost, winner, c.markup, c.cover)
        moved = p["offering"][members] & p.active[members] & (ask != p["ask"][members])
        self.economy.supply_side.send(OFFER, members[moved], ask[moved], tick)


class Screening:
    """Auctions as the market sees them, period by period: who asked what for which hardware, and who asked least.

    Whoever asks least is first in line and wins; who *sells* most is not asked, for where capacity is short everybody
    sells what it has, whatever the asks, and the largest seller would win every time.
    """

    def __init__(self, economy: Economy, period_s: float, every: int) -> None:
        self.economy, self.period_s, self.every = economy, period_s, every
        self.sales = Sales(economy)
        self.sales.start()
        self.period = 0
        self._bids: list[tuple[Slots, Slots, Floats, npt.NDArray[np.bool_]]] = []
        self._trades: list[tuple[Slots, Slots, Slots]] = []  # seller; consumer or, behind those, invented name; tick

    def note(self, tick: Tick, washes: tuple[Slots, Slots], purse: Purse) -> Verdicts:
        """Take in a tick, and at the end of some periods say who is suspect; each auction is looked at once.

        ``washes`` are trades beside the market: sellers, and the numbers of names that bought. What ``purse`` cannot
        pay for is not looked at.
        """
        for seller, buyer in (self.sales.note(), (washes[0], self.economy.consumers.size + washes[1])):
            self._trades.append((seller, buyer, np.full(len(seller), tick.number)))
        if tick.end < (self.period + 1) * self.period_s * (1 - 1e-12):
            return Verdicts.nobody()
        self._close_period()
        if self.period % self.every:
            return Verdicts.nobody()
        dealings = self._dealings()
        rule = self.economy.setup.mechanisms["screens"]
        unpaid = purse.affordable(float(getattr(rule, "cost", 0.0))) == 0
        found = Verdicts.nobody() if unpaid else self._screened(dealings, tick)
        purse.pay_screen(found.cost, tick, unpaid=unpaid)
        return found

    def _close_period(self) -> None:
        p, market = self.economy.providers, self.economy.market
        slots = np.flatnonzero(p.active & p["offering"] & (p["quality"] >= market.min_quality) & (p["ask"] > 0))
        kind = p["kind"][slots].astype(np.int64)
        won = np.zeros(len(slots), np.bool_)
        ask, sold = p["ask"][slots], self.sales.work[slots]
        for k in np.unique(kind):
            mine = np.flatnonzero(kind == k)
            won[mine[np.lexsort((-sold[mine], ask[mine]))[0]]] = sold[mine].any()  # of equal asks, who sold most
        self._bids.append((self.period * 64 + kind, slots, ask, won))
        self.sales.start()
        self.period += 1

    def _dealings(self) -> Dealings:
        """Return all bids and trades since the last look, and forget them; nodes are providers first, then buyers."""
        auction, bidder, amount, won = (np.concatenate(c) for c in zip(*self._bids, strict=True))
        seller, buyer, when = (np.concatenate(c) for c in zip(*self._trades, strict=True))
        self._bids, self._trades = [], []
        trades = Trades.of(seller, self.economy.providers.size + buyer, when)
        return Dealings(Bids.of(auction, bidder, amount, won), trades)

    def _screened(self, dealings: Dealings, tick: Tick) -> Verdicts:
        rule, rng = self.economy.setup.mechanisms["screens"], self.economy.streams.at("trust.screens", tick.number)
        found = guarded("screens", rule, tick.number, lambda: rule.screen(dealings, rng))
        mine = found.agent < self.economy.providers.size
        return Verdicts(found.agent[mine], found.score[mine], found.seen[mine], found.threshold, found.cost)
