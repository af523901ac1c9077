"""The pools of one running economy: entry and exit, selling together, dividing the profit, changing company."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from celluler_sim.agents.pool_member import NOBODY, PoolMember, better, leaving
from celluler_sim.behaviours.pool_member import Standing
from celluler_sim.book import Floats, Slots
from celluler_sim.consensus.base import JOIN, LEAVE, REQUEST
from celluler_sim.errors import ScenarioError
from celluler_sim.institutions.base import Institution
from celluler_sim.institutions.pools_books import PoolBooks
from celluler_sim.institutions.pools_fleet import Fleet
from celluler_sim.institutions.pools_formation import Formation, Group, Move
from celluler_sim.institutions.pools_jobs import JobLog
from celluler_sim.institutions.pools_kernels import Holdings
from celluler_sim.institutions.pools_register import PoolError, Register, contributions, remaining
from celluler_sim.institutions.pools_word import Word
from celluler_sim.institutions.pools_worth import Division, divide, market_game
from celluler_sim.markets.rows import Rows
from celluler_sim.mechanisms.base import registered
from celluler_sim.mechanisms.games import CoalitionalGame
from celluler_sim.population import Population

if TYPE_CHECKING:
    from celluler_sim.economy import Economy, Tick
    from celluler_sim.institutions.pools import ResourcePools

Bools = npt.NDArray[np.bool_]
DAY = 86_400.0


class RunningPools(Institution):
    """All pools of one economy. The members are the providers there are at the start, slot by slot."""

    kinds: ClassVar[tuple[int, ...]] = (REQUEST, LEAVE, JOIN)  # who leaves and joins in one tick has left by then

    def __init__(self, economy: Economy, rule: ResourcePools) -> None:
        super().__init__(economy)
        self.rule, self.sharing = rule, economy.setup.mechanisms["sharing"]
        p, n = economy.providers, economy.providers.size
        amount = np.concatenate([p["capacity"][:, None], economy.supply[:n]], axis=1)
        self.strategies = [_strategy(name) for name in rule.behaviours]
        self.members = Population(economy, PoolMember)
        self.members.add(n, **self._traits(amount))
        self.members.remove(np.flatnonzero(p["quality"] < economy.market.min_quality))
        self.register = Register(self.members, amount, p["kind"].astype(np.int64), rule.min_contribution)
        self.fleet = Fleet(economy, self.members, self.register)
        self.jobs = JobLog(economy.market.n_resources)
        self.books = PoolBooks(economy, self.members, self.register, self.fleet)
        self.word = Word(self)
        self.said = Rows(number=np.int64, member=np.int64, pool=np.int64)  # what transactions not final yet say
        self.period, self._since = 0, 0.0
        self._moves: list[Move] = []  # decided, to be submitted
        self._settle_in()

    def _traits(self, amount: Floats) -> dict[str, Any]:
        """Return the columns of the members to be."""
        names, shares = self.economy.setup.workload.resources, np.array(list(self.rule.behaviours.values()))
        slots = np.arange(len(amount))
        uniform = self.economy.streams.draws("pools.behaviour").uniform(slots)
        further = {name.split("_")[0]: amount[:, 1 + k] for k, name in enumerate(names)}
        return {
            "account": self.economy.providers["account"],
            "capacity": amount[:, 0],
            **{name: further[name] for name in ("memory", "storage") if name in further},
            "behaviour": np.searchsorted(np.cumsum(shares)[:-1] / shares.sum(), uniform, side="right"),
        }

    def _settle_in(self) -> None:
        """Found the pools of the start; their machines are theirs from the first tick."""
        for name, who in {**self.rule.membership, **self._dealt()}.items():
            pool = self.register.pools[self.register.found(name, who)]
            self.fleet.open_row(pool, int(who[0]))
        self.fleet.move()

    def _dealt(self) -> dict[str, list[int]]:
        """Deal the members out over the initial pools in turn; who would bring too little, or only, stays alone."""
        slots, n = self.members.slots, self.rule.initial
        found = {}
        for k in range(n):
            who = slots[k::n]
            who = who[self.register.kind[who] == self.register.kind[who[:1]]]
            who = who[remaining(self.register.amount[who], self.rule.min_contribution)]
            if len(who) > 1:
                found[f"initial {k}"] = who.tolist()
        return found

    # ---- the hooks of a tick, in order -----------------------------------------------------------------------------

    def act(self, tick: Tick) -> None:
        """Submit what was decided at the last period's end."""
        moves, self._moves = self._moves, []
        pool_of = self.members["pool"]
        goes = [move for move in moves if pool_of[move.member] != NOBODY]
        comes = [move for move in moves if move.pool != NOBODY]
        for kind, said in ((LEAVE, goes), (JOIN, comes)):
            member = np.array([move.member for move in said], np.int64)
            pool = pool_of[member] if kind == LEAVE else np.array([move.pool for move in said], np.int64)
            validator = self.economy.providers["validator"][member].astype(np.int64)
            when = np.full(len(member), tick.start)
            number = self.economy.submit(kind, self.members["account"][member], validator, when)
            self.said.append(number=number, member=member, pool=pool)

    def ordered(self, kind: int, number: Slots, final: Floats, tick: Tick) -> None:  # noqa: ARG002 - order is enough
        """Note what the market is asked for; let members out and in, in consensus order."""
        if kind == REQUEST:
            size = self.economy.market.waiting.size
            self.jobs.arrive(self.economy.market.waiting.rows(slice(size - len(number), size)))
            return
        place = np.searchsorted(self.said["number"], number)
        said = self.said.take(place)
        for member, pool in zip(said["member"].tolist(), said["pool"].tolist(), strict=True):
            if kind == LEAVE:
                self._leave(member, pool, "leave", tick)
            else:
                self._join(member, pool, tick)

    def expired(self, number: Slots, tick: Tick) -> None:
        """Forget moves that were not final in time: their members stay where they are."""
        gone = self.said.take(np.flatnonzero(np.isin(self.said["number"], number) & self.said["alive"]))
        for member, pool in zip(gone["member"].tolist(), gone["pool"].tolist(), strict=True):
            self.books.move(tick.number, "expired", member, pool, accepted=False)

    def admits(self, provider: Slots, tick: Tick) -> Bools:  # noqa: ARG002 - whatever the time
        """Move machines first; then members whose machines are a pool's, or on their way, offer nothing themselves."""
        self.fleet.move()
        absent = self.fleet.absent()
        member = provider < len(absent)
        return ~(member & absent[np.where(member, provider, 0)])

    def fronts(self) -> Slots:
        """Return the providers as which pools sell, alive or not."""
        return np.array([pool.row for pool in self.register.pools if pool.row != NOBODY], np.int64)

    def clear(self, tick: Tick) -> None:  # noqa: ARG002 - the market's own clearing is over
        """Note the price, and who serves which job."""
        market = self.economy.market
        self.jobs.quote(market.last_price)
        fresh = np.flatnonzero(market.fills["alive"] & (market.fills["fill"] >= self.books.fills_seen))
        if len(fresh):
            fills = market.fills.rows(fresh)
            self.books.fills_seen = int(fills["fill"][-1]) + 1
            self.jobs.served(fills)

    def share(self, tick: Tick) -> None:
        """At a period's end: pay out, say who would be better off elsewhere, decide who goes where."""
        if tick.end < (self.period + 1) * self.rule.period_s * (1 - 1e-12):
            return
        self._close_down(tick)
        self.word.give(tick)
        found = self._divisions(tick)
        alone = self._worth_alone(tick)
        self.word.weigh(found, tick)
        self.books.pay(found, self.jobs, self._since, tick.end)
        self._take_stock(found, alone)
        self.books.record(self.period, found, alone, tick)
        self._decide(found, alone, tick)
        self.jobs.forget(tick.end)
        self.period, self._since = int(tick.end / self.rule.period_s * (1 + 1e-12)), tick.end

    # ---- entry, exit, expulsion ------------------------------------------------------------------------------------

    def _leave(self, member: int, pool: int, kind: str, tick: Tick) -> None:
        accepted = bool(self.members["pool"][member] == pool)
        if accepted:
            self.register.leave(member)
        self.books.move(tick.number, kind, member, pool, accepted=accepted)

    def _join(self, member: int, number: int, tick: Tick) -> None:
        refused = self.register.refusal(member, number) or bool(len(self.word.unwelcome(np.array([member]), tick)))
        self.books.move(tick.number, "join", member, number, accepted=not refused)
        if refused:
            return
        pool = self.register.pools[number]
        if pool.row == NOBODY:
            self.fleet.open_row(pool, member)
        for other in self.register.enter(member, number).tolist():
            self._leave(other, number, "expel", tick)
        pool.heirs = self.register.of(number)
        pool.claims = contributions(self.register.said[pool.heirs])

    def _close_down(self, tick: Tick) -> None:
        """Dissolve pools of fewer than two members or whose offer has been withdrawn; who left the market is out."""
        p, m = self.economy.providers, self.members
        own = np.arange(m.size)
        gone = m.active & ~self.fleet.absent() & ~(p["offering"][own] & p.active[own])
        m.remove(np.flatnonzero(gone))
        for member in self.word.unwelcome(np.flatnonzero(m["pool"] != NOBODY), tick).tolist():
            self._leave(member, int(m["pool"][member]), "expel", tick)
        for pool in self.register.alive():
            for member in self.register.below(pool.number).tolist():
                self._leave(member, pool.number, "expel", tick)
            who = self.register.of(pool.number)
            withdrawn = pool.row != NOBODY and not p["offering"][pool.row]
            if len(who) < 2 or withdrawn:
                for member in who.tolist():
                    self._leave(member, pool.number, "dissolve", tick)
                self.fleet.close_row(pool)

    # ---- what everybody is worth -----------------------------------------------------------------------------------

    def game(self, who: Slots, rows: Sequence[int], tick: Tick, held: Floats | None = None) -> CoalitionalGame:
        """Return the game of these members, had they had the jobs of these providers and those that nobody served.

        ``held`` is what each holds, (n, 1 + n_resources); what each says that it holds, where left out.
        """
        p = self.economy.providers
        jobs = self.jobs.offered(np.array(rows, np.int64), self._since, tick.end)
        amount = self.register.said[who] if held is None else held
        holdings = Holdings(amount, p["ask"][who], p["energy_cost"][who])
        return market_game(holdings, jobs, tick.end, rivals=self.rule.rivals == "rest")

    def appraise(self, who: Slots, rows: Sequence[int], tick: Tick, held: Floats | None = None) -> Division:
        """Return what each of these members would get of it; ``held`` as in `game`."""
        rng = self.economy.streams.at("pools.sharing", tick.number)
        return divide(who, self.game(who, rows, tick, held), self.sharing, rng, tick.number)

    def takings(self, row: int, tick: Tick) -> tuple[float, float]:
        """Return what a pool that sells as provider ``row`` has to share, PRANA, and the units of work it did."""
        cash = self.economy.ledger.balance(self.economy.providers["account"][[row]])
        return float(cash[0]), float(self.jobs.done(np.array([row]), self._since, tick.end)[0])

    def _divisions(self, tick: Tick) -> dict[int, Division]:
        """Return every pool's division, by number."""
        return {
            pool.number: self.appraise(self.register.of(pool.number), [pool.row], tick)
            for pool in self.register.alive()
        }

    def _worth_alone(self, tick: Tick) -> Floats:
        """Return what members that are alone could have earned, (n_members,) PRANA, NaN for the others."""
        found = np.full(self.members.size, np.nan)
        for member in self.register.alone().tolist():
            own = np.array([member])
            found[member] = self.game(own, [member], tick, self.register.amount[own]).grand
        return found

    def _take_stock(self, found: dict[int, Division], alone: Floats) -> None:
        """Note everybody's share and what it would have had alone, and count the periods in which that was better."""
        m = self.members
        m["share"], m["outside"] = np.nan_to_num(alone), np.nan_to_num(alone)
        for d in found.values():
            m["share"][d.who], m["outside"][d.who] = d.share, d.alone
        for member, worth in self.word.alone.items():  # whoever overstates knows better what it is worth alone
            m["outside"][member] = worth
        m["unhappy"] = np.where(better(m["outside"], m["share"], self.rule.gain), m["unhappy"] + 1, 0)

    # ---- who goes where --------------------------------------------------------------------------------------------

    def _decide(self, found: dict[int, Division], alone: Floats, tick: Tick) -> None:
        """Let members leave for good reason, and groups form; all of it is submitted in the next tick."""
        m, who = self.members, np.flatnonzero(self.members["pool"] != NOBODY)
        standing = Standing(m["share"][who], m["outside"][who], m["unhappy"][who], self.rule.patience_periods)
        goes = who[leaving(standing, m["behaviour"][who].astype(np.int64), self.strategies, tick.number)]
        self._moves = [Move(member, NOBODY) for member in goes.tolist()]
        if self.rule.formation == "none":
            return
        groups = [
            Group(number, d.who, self.register.pools[number].row, d.share, d.game)
            for number, d in found.items() if not np.isin(d.who, goes).any()
        ]  # fmt: skip
        groups += [Group(NOBODY, np.array([i]), i, alone[[i]]) for i in np.flatnonzero(np.isfinite(alone)).tolist()]
        formation = self._formation(tick)
        if self.rule.formation == "merge_and_split":
            self._moves += formation.merge_and_split(groups)
        else:
            self._moves += formation.best_replies(groups, self._reviewing(groups, tick))

    def _formation(self, tick: Tick) -> Formation:
        rng = self.economy.streams.at("pools.sharing", tick.number)
        return Formation(
            self.register, lambda who, rows: self.appraise(who, rows, tick),
            lambda game: divide(np.arange(game.n), game, self.sharing, rng, tick.number).share,
            self.rule.gain, self.rule.most_members, self.rule.min_contribution,
        )  # fmt: skip

    def _reviewing(self, groups: list[Group], tick: Tick) -> Slots:
        """Return the members that look around at this period's end, in random order."""
        settled = np.concatenate([np.empty(0, np.int64), *(group.who for group in groups)])
        moves = np.array([rule.moves for rule in self.strategies])[self.members["behaviour"][settled]]
        slots = np.sort(settled[moves])
        chance = -np.expm1(-self.rule.review_per_day * (tick.end - self._since) / DAY)
        uniform = self.economy.streams.draws("pools.review", tick.number).uniform(slots)
        return np.asarray(slots[np.argsort(uniform, kind="stable")][: int(np.sum(uniform < chance))])

    def resources(self, pool: int) -> tuple[Floats, Floats]:
        """Return a pool's total and allocated resources, (1 + n_resources,) each: compute, then the workload's."""
        row = np.array([self.register.pools[pool].row])
        return self.register.amount[self.register.of(pool)].sum(axis=0), self.fleet.in_use(row)[0]


def _strategy(name: str) -> Any:
    known = registered("pool_member_behaviour")
    if name not in known:
        raise ScenarioError(f"pools.behaviours must name some of {', '.join(known)}; got {name!r}")
    return known[name]()


__all__ = ["PoolError", "RunningPools", "contributions"]
