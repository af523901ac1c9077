"""Data providers offer data sets that trainers learn from; a set may overlap with others, or be a copy of one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from celluler_sim.agents.drawing import lognormal, pick
from celluler_sim.agents.training_config import DataProviderConfig
from celluler_sim.book import Floats, Masks, Slots
from celluler_sim.cellagent import CellAgent
from celluler_sim.column import Column
from celluler_sim.population import Population
from celluler_sim.streams import Streams

SHARDS = 64  # a task's full data in parts of equal size; a data set is a set of them, kept as a bitmask
DAY = 86_400.0
BLOCK = 8  # sets to a table of unions


class DataProvider(CellAgent):
    """A cell that owns a data set."""

    account = Column(np.int64, doc="account number in the ledger")
    validator = Column(np.int32, doc="validator it is attached to")
    task = Column(np.int64, doc="task its data is for, index into the scenario's tasks")
    shards = Column(np.uint64, doc="parts of the task's data it has, one bit each")
    copy_of = Column(np.int64, default=-1, doc="slot of the provider whose set it copies, -1: its own data")
    cost = Column(np.float64, unit="PRANA/s", doc="what keeping the set costs")
    offering = Column(np.bool_, doc="its set has been ordered and not withdrawn")
    earned = Column(np.float64, unit="PRANA", doc="received for its data")
    credited = Column(np.float64, unit="PRANA", doc="of that, received since the last look")
    margin = Column(np.float64, unit="PRANA/s", doc="exponential mean of income less cost over a day")
    losing_s = Column(np.float64, unit="s", doc="how long that mean has been negative")

    @property
    def size(self) -> float:
        """Share of the task's full data that it has."""
        return int(self.shards).bit_count() / SHARDS


def data_columns(
    config: DataProviderConfig, streams: Streams, task_shares: list[float], n_validators: int
) -> dict[str, Floats | Slots | npt.NDArray[np.uint64]]:
    """Return the columns of a scenario's data providers; agent i gets the i-th draw.

    A set is a run of shards around the circle of its task's data, so sets overlap as chance has it. A copy takes the
    shards of an earlier provider of data of its own; where there is none before it, it has data of its own.
    """
    slots = np.arange(config.count)
    task = pick(streams, "data.task", slots, task_shares)
    size = np.minimum(config.size_median * lognormal(streams, "data.size", slots, config.size_cv), 1.0)
    length = np.maximum(np.round(size * SHARDS), 1).astype(np.int64)
    first = (streams.draws("data.place").uniform(slots) * SHARDS).astype(np.int64)
    has = (np.arange(SHARDS) - first[:, None]) % SHARDS < length[:, None]
    copies = streams.draws("data.copy").uniform(slots) < config.copies
    source = streams.draws("data.source").uniform(slots)
    copy_of = np.full(config.count, -1)
    for i in np.flatnonzero(copies):
        known = np.flatnonzero(~copies[:i] & (task[:i] == task[i]))
        if len(known):
            copy_of[i] = known[int(source[i] * len(known))]
    copied = copy_of >= 0
    has[copied] = has[copy_of[copied]]
    cost = config.cost_prana_per_day / DAY * has.mean(axis=1) * np.where(copied, config.copy_cost, 1.0)
    return {
        "validator": (streams.draws("data.validator").uniform(slots) * n_validators).astype(np.int64),
        "task": task,
        "shards": np.packbits(has, axis=1, bitorder="little").view("<u8")[:, 0].astype(np.uint64),
        "copy_of": copy_of,
        "cost": cost,
    }


def coverage(shards: Masks, masks: Masks) -> Floats:
    """Return the share of the data that each coalition of sets covers, (m,): what several have counts once.

    ``shards`` is (n,), ``masks`` (m,) or (m, words): which sets are in each coalition. Eight sets at a time are looked
    up in a table of their 256 unions.
    """
    members = np.ascontiguousarray(masks, dtype="<u8").view(np.uint8).reshape(len(masks), -1)
    union = np.zeros(len(masks), np.uint64)
    for first in range(0, len(shards), BLOCK):
        table = np.zeros(1, np.uint64)
        for own in shards[first : first + BLOCK]:
            table = np.concatenate([table, table | own])
        union |= table[members[:, first // BLOCK]]
    return np.asarray(np.bitwise_count(union) / SHARDS)


def account_data_profit(providers: Population[DataProvider], seconds: float) -> None:
    """Note each data provider's profit over ``seconds`` and how long its daily mean has been a loss."""
    p = providers
    rate = p["credited"] / seconds - p["cost"]
    p["credited"][:] = 0.0
    p["margin"][:] += (rate - p["margin"]) * -np.expm1(-seconds / DAY)
    p["losing_s"][:] = np.where(p["offering"] & (p["margin"] < 0), p["losing_s"] + seconds, 0.0)
