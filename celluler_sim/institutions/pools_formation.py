"""How pools form and change: members that look around one by one, or groups that merge and split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from celluler_sim.agents.pool_member import NOBODY, better
from celluler_sim.book import Floats, Slots
from celluler_sim.institutions.pools_register import Register, remaining
from celluler_sim.institutions.pools_worth import TABLED, Division
from celluler_sim.mechanisms.coalitions import sizes
from celluler_sim.mechanisms.games import CoalitionalGame


class Group(NamedTuple):
    """A pool, or a member that is alone."""

    pool: int  #      number, -1 for one that is alone
    who: Slots  #     (n,) members, ascending
    row: int  #       provider as which it sells
    share: Floats  #  (n,) PRANA, what each gets now
    game: CoalitionalGame | None = None  # of a pool: worths of all its coalitions


class Move(NamedTuple):
    """One member goes from where it is into a pool (-1: alone)."""

    member: int
    pool: int


Bools = npt.NDArray[np.bool_]
Appraise = Callable[[Slots, Sequence[int]], Division]  # (members, providers whose jobs there were) -> what each gets
Share = Callable[[CoalitionalGame], Floats]  # what the sharing rule gives each member, PRANA


@dataclass(frozen=True)
class Formation:
    """What both ways of forming pools need to know."""

    register: Register
    appraise: Appraise
    shares: Share
    gain: float  #      share by which something else must be better to be preferred
    most: int  #        members of a pool
    minimum: float  #   contribution

    def together(self, who: Slots) -> bool:
        """Whether these could form a pool: not too many, of one hardware, each bringing enough."""
        amount, kind = self.register.said[who], self.register.kind[who]
        return bool(len(who) <= self.most and (kind == kind[0]).all() and remaining(amount, self.minimum).all())

    def best_replies(self, groups: list[Group], reviewing: Slots) -> list[Move]:
        """Return the moves of members that look, one after another, at every group they might join.

        A member moves to the group that would pay it most, if that is better than what it has by ``gain`` and nobody
        who stays there would get less: individual stability (Bogomolnaia and Jackson 2002). A member that brings too
        little beside the newcomer would have to go and is not asked. A group takes part in one move a period.
        """
        moves: list[Move] = []
        taken: set[int] = set()
        home = {int(i): g for g, group in enumerate(groups) for i in group.who}
        for member in reviewing.tolist():
            here = home[member]
            offers = [(k, group) for k, group in enumerate(groups) if k != here and k not in taken]
            best, at = self._best_offer(groups[here], member, offers)
            if here in taken or best <= 0:
                continue
            moves += self._admission(groups[at], member)
            taken |= {at, here}
        return moves

    def _best_offer(self, here: Group, member: int, offers: list[tuple[int, Group]]) -> tuple[float, int]:
        """Return (by how much the best offer is better, PRANA; its index), gains of 0 where none is."""
        now = float(here.share[np.searchsorted(here.who, member)])
        best, at = 0.0, -1
        for k, group in offers:
            got = self._welcome(group, member, here)
            if bool(better(np.array(got), np.array(now), self.gain)) and got - now > best:
                best, at = got - now, k
        return best, at

    def _welcome(self, group: Group, member: int, here: Group) -> float:
        """Return what a group would pay a member, PRANA, -inf if it would not have it."""
        who = np.sort(np.append(group.who, member))
        if (self.register.kind[who] != self.register.kind[member]).any():
            return -np.inf
        who = who[remaining(self.register.said[who], self.minimum)]
        if member not in who or len(who) > self.most or len(who) < 2:
            return -np.inf
        rows = [group.row] + ([here.row] if here.pool == NOBODY else [])
        found = self.appraise(who, rows)
        before = group.share[np.searchsorted(group.who, who[who != member])]
        after = found.share[who != member]
        if better(before, after, 0.0).any():
            return -np.inf
        return float(found.share[who == member][0])

    def _admission(self, group: Group, member: int) -> list[Move]:
        if group.pool != NOBODY:
            return [Move(member, group.pool)]
        number = self.register.plan()
        return [Move(int(group.who[0]), number), Move(member, number)]

    def merge_and_split(self, groups: list[Group]) -> list[Move]:
        """Return the moves of groups that merge or split because nobody in them loses and somebody gains.

        1. Every two groups that could form a pool are appraised together; those in which nobody would get less, and
           all together get more by ``gain``, merge, the largest gain first (Apt and Witzel 2009, Pareto order).
        2. A pool splits in two if in both parts nobody would get less and all together get more by ``gain``.
        """
        mergers = [(gain, pair) for pair in combinations(range(len(groups)), 2) if (gain := self._merger(groups, pair))]
        moves: list[Move] = []
        taken: set[int] = set()
        for _, (a, b) in sorted(mergers, key=lambda entry: -entry[0]):
            if not {a, b} & taken:
                taken |= {a, b}
                moves += self._merge(groups[a], groups[b])
        for k, group in enumerate(groups):
            if k not in taken and group.pool != NOBODY:
                moves += self._split(group)
        return moves

    def _merger(self, groups: list[Group], pair: tuple[int, int]) -> float:
        """Return what two groups would gain by merging, PRANA, 0 if somebody would lose or it is not worth it."""
        a, b = (groups[k] for k in pair)
        who = np.concatenate([a.who, b.who])
        if not self.together(who):
            return 0.0
        order = np.argsort(who)
        before = np.concatenate([a.share, b.share])[order]
        found = self.appraise(who[order], [a.row, b.row])
        total = np.array([found.share.sum()]), np.array([before.sum()])
        if better(before, found.share, 0.0).any() or not better(*total, self.gain).all():
            return 0.0
        return float(total[0][0] - total[1][0])

    def _merge(self, a: Group, b: Group) -> list[Move]:
        """Return the moves into the larger pool, or into a new one."""
        if a.pool == NOBODY and b.pool == NOBODY:
            number = self.register.plan()
            return [Move(int(i), number) for i in np.concatenate([a.who, b.who])]
        into, other = (a, b) if (a.pool != NOBODY and (len(a.who) >= len(b.who) or b.pool == NOBODY)) else (b, a)
        return [Move(int(i), into.pool) for i in other.who]

    def _split(self, group: Group) -> list[Move]:
        """Return the moves of the part that goes, if the pool splits; the smallest there is."""
        n, game = len(group.who), group.game
        if game is None or n > TABLED:
            return []
        worth, every = game.table, np.arange(1 << n)
        apart = worth + worth[::-1]  # of a coalition and of all others
        size = sizes(every.astype(np.uint64))
        enough = better(apart, np.full(len(apart), game.grand), self.gain) & (size >= 1) & (2 * size <= n)
        for mask in sorted(every[enough].tolist(), key=lambda mask: (size[mask], mask)):
            goes = (mask >> np.arange(n) & 1).astype(np.bool_)
            if self._both_agree(group, game, goes):
                number = NOBODY if size[mask] == 1 else self.register.plan()
                return [Move(int(i), number) for i in group.who[goes]]
        return []

    def _both_agree(self, group: Group, game: CoalitionalGame, goes: Bools) -> bool:
        """Whether nobody would get less if these left, each part dividing what it is worth beside the other."""
        for part in (goes, ~goes):
            if not self.together(group.who[part]):
                return False
            after = self.shares(game.restricted(np.flatnonzero(part).tolist()))
            if better(group.share[part], after, 0.0).any():
                return False
        return True
