"""Members of resource pools: providers as seen from the pool, with what they bring and what they get."""

from __future__ import annotations

import numpy as np

from celluler_sim.behaviours.pool_member import Bools, PoolMemberBehaviour, Standing
from celluler_sim.book import Floats, Slots
from celluler_sim.cellagent import CellAgent
from celluler_sim.column import Column
from celluler_sim.errors import MechanismError
from celluler_sim.mechanisms.base import guarded

NOBODY = -1  # the pool of those who are in none


class PoolMember(CellAgent):
    """A provider's part in pools. Its slot is its provider's, whose machines go where it goes."""

    account = Column(np.int64, doc="account number in the ledger, its provider's")
    capacity = Column(np.float64, unit="units/s", doc="compute of its machines")
    memory = Column(np.float64, unit="GiB", doc="memory of its machines (0 where the workload has none)")
    storage = Column(np.float64, unit="TiB", doc="storage of its machines (0 where the workload has none)")
    pool = Column(np.int32, default=NOBODY, doc="number of its pool, -1: alone")
    place = Column(np.int32, default=NOBODY, doc="number of the pool its machines work for, -1: its own offer")
    behaviour = Column(np.int8, doc="strategy, index into the pools' list")
    share = Column(np.float64, unit="PRANA", doc="its share in the last period's worth")
    outside = Column(np.float64, unit="PRANA", doc="what it could have earned alone in that period")
    unhappy = Column(np.int32, doc="periods in a row in which alone would have been better")
    paid = Column(np.float64, unit="PRANA", doc="received from pools so far")


def leaving(
    standing: Standing, behaviour: Slots, rules: list[PoolMemberBehaviour], tick: int
) -> Bools:  # fmt: skip
    """Return who leaves under its own strategy, (n,); `MechanismError` where a strategy's answer is none."""
    leaves = np.zeros(len(behaviour), np.bool_)
    for code, rule in enumerate(rules):
        mine = behaviour == code
        part = Standing(standing.share[mine], standing.outside[mine], standing.unhappy[mine], standing.patience)
        leaves[mine] = _answer(rule, part, tick)
    return leaves


def _answer(rule: PoolMemberBehaviour, standing: Standing, tick: int) -> Bools:
    def answer() -> Bools:
        leaves = np.asarray(rule.leaves(standing))
        if leaves.shape != standing.share.shape or leaves.dtype != np.bool_:
            name = getattr(rule, "name", type(rule).__name__)
            n = len(standing.share)
            raise MechanismError(f"pool_member_behaviour={name} must say true or false of {n} members, got {leaves}")
        return leaves

    return guarded("pool_member_behaviour", rule, tick, answer)


def better(outside: Floats, share: Floats, gain: float) -> Bools:
    """Return whether ``outside`` beats ``share`` by more than the share ``gain`` of it (and by more than rounding)."""
    return np.asarray(outside > share + gain * np.abs(share) + 1e-9 * np.maximum(np.abs(share), 1e-9))
