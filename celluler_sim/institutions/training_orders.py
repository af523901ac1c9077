"""Orders of models: how they are born, what training one would take, and the columns that go with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from celluler_sim.agents.model_consumer import ModelConsumer
from celluler_sim.agents.trainer import planned_accelerators
from celluler_sim.agents.training_config import ModelConsumerConfig
from celluler_sim.book import Floats, Slots
from celluler_sim.markets.rows import Rows
from celluler_sim.population import Population
from celluler_sim.streams import Streams, mix64
from celluler_sim.workloads.arrival_kernels import births
from celluler_sim.workloads.training_fitted import H100_FLOPS, Task

Columns = dict[str, npt.NDArray[Any]]
SENT, OPEN, TRAINING = range(3)  # stages of an order: not final yet, waiting for a trainer, being trained
SMALLEST = 4  # accelerators
LATER = (
    "place", "retry", "started", "accelerators", "work", "planned", "data", "latency", "energy", "agreed_hi",
    "agreed_lo", "bond_hi", "bond_lo", "fees_hi", "fees_lo",
)  # fmt: skip
"""Columns of an order that are 0 until it is provisioned."""


def order_rows() -> Rows:
    """Return the columns of orders that are not closed; money in exact limbs."""
    f, i = np.float64, np.int64
    return Rows(
        {"stage": -1, "job": -1, "number": -1},
        training=i, number=i, stage=np.int8, place=i, consumer=i, task=i, born=f, give_up=f, retry=f, wanted=f, hours=f,
        value=f,
        trainer=i, job=i, started=f, accelerators=i, work=f, planned=f, data=f, latency=f, energy=f, agreed_hi=i,
        agreed_lo=i, bond_hi=i, bond_lo=i, fees_hi=i, fees_lo=i,
    )  # fmt: skip


def luck(streams: Streams, name: str, consumer: Slots, born: Floats, width: int, tick: int = 0) -> Floats:
    """Return ``width`` uniforms per order that depend on the order alone: on its consumer and when it was born."""
    identity = (mix64(0, consumer) ^ born.view(np.uint64)).view(np.int64)
    slots = identity[:, None] + np.arange(width)
    return streams.draws(name, tick).uniform(slots.ravel()).reshape(slots.shape)


def born_orders(
    config: ModelConsumerConfig, consumers: Population[ModelConsumer], tasks: Sequence[Task], shares: Floats,
    streams: Streams, tick: int, start: float, end: float,
) -> Columns:  # fmt: skip
    """Return the orders born in [start, end), by time: Poisson, at each consumer's own rate.

    The quality wanted is what a uniform amount of training gives on all data; the value is lognormal.
    """
    from scipy.special import ndtri

    rate = consumers["rate"] * consumers.active
    slots, nth = births(streams.key("model.orders", tick), rate, end - start)
    place = slots + (nth << 40)
    born = start + (end - start) * streams.draws("model.birth", tick).uniform(place)
    order = np.argsort(born, kind="stable")
    slots, born = slots[order], born[order]
    u = luck(streams, "model.order", slots, born, 4)
    which = np.searchsorted(np.cumsum(shares)[:-1], u[:, 0], side="right")
    training = config.training_low + (config.training_high - config.training_low) * u[:, 1]
    sigma = np.sqrt(np.log1p(config.value_cv**2))
    hours = np.array([t.hours for t in tasks])[which] * training
    wanted = np.array([float(tasks[k].quality(x)) for k, x in zip(which.tolist(), training, strict=True)])
    return {
        "consumer": slots,
        "born": born,
        "task": which,
        "wanted": wanted,
        "hours": hours,
        "value": config.value_median * hours * np.exp(sigma * ndtri(u[:, 2])),
        "give_up": born - np.log(u[:, 3]) * config.patience_s,
    }


@dataclass(frozen=True)
class Plan:
    """What training a model to a quality would take."""

    training: float  # share of the task's, 1: to its target
    accelerators: int
    seconds: float
    amount: float  # units/s
    work: float  #   units
    energy: float  # kWh


def plan_training(
    task: Task, aim: float, data: float, *, most_accelerators: int, most_training: float, deadline_s: float,
    unit_size: float,
) -> Plan | str:  # fmt: skip
    """Return the cheapest plan that reaches the quality ``aim`` on this data in time, or why there is none.

    1. The learning curve says how much training the quality takes with this share of the data.
    2. Each machine of 4, 8, 16 ... accelerators takes a time by the scaling law; larger ones are faster and dearer.
    3. Of those that finish before the deadline, the one with the fewest accelerator-hours is taken.
    """
    training = float(task.training(np.array(aim), data))
    if not training <= most_training:
        return "quality"
    training = max(training, 1e-3)
    largest = min(most_accelerators, task.most_accelerators)
    sizes = 2.0 ** np.arange(np.log2(SMALLEST), np.log2(largest) + 1e-9)
    seconds = task.scaling.time(sizes) * training
    if (best := planned_accelerators(sizes * seconds, seconds, deadline_s)) is None:
        return "deadline"
    n, length = float(sizes[best]), float(seconds[best])
    amount = n * H100_FLOPS / unit_size
    energy = float(task.power.energy(np.array(n), np.array(length)))
    return Plan(training, int(n), length, amount, amount * length, energy)
