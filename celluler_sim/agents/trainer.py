"""Trainers sell models: they buy compute in the resource market and data from its owners, and say how good they are."""

from __future__ import annotations

import numpy as np

from celluler_sim.agents.drawing import lognormal, pick
from celluler_sim.agents.training_config import TrainerConfig
from celluler_sim.book import Floats, Slots
from celluler_sim.cellagent import CellAgent
from celluler_sim.column import Column
from celluler_sim.population import Population
from celluler_sim.streams import Streams


class Trainer(CellAgent):
    """A cell that trains models."""

    account = Column(np.int64, doc="account number in the ledger")
    buyer = Column(np.int64, doc="its slot among the resource market's consumers")
    validator = Column(np.int32, doc="validator it is attached to")
    overstatement = Column(np.float64, doc="by how much its claims exceed the truth")
    latency = Column(np.float64, unit="ms", doc="latency of its models, median")
    running = Column(np.int64, doc="orders it works on")
    sold = Column(np.int64, doc="models that were accepted")
    caught = Column(np.int64, doc="models whose claim was refused for good")
    earned = Column(np.float64, unit="PRANA", doc="received for models, after data and penalties")
    spent = Column(np.float64, unit="PRANA", doc="paid for compute and validation")

    @property
    def profit(self) -> float:
        """Earned less spent, PRANA."""
        return float(self.earned - self.spent)


def trainer_columns(config: TrainerConfig, streams: Streams, n_validators: int) -> dict[str, Floats | Slots]:
    """Return the columns of a scenario's trainers; agent i gets the i-th draw."""
    slots = np.arange(config.count)
    cheats = pick(streams, "trainer.overstating", slots, [1 - config.overstating, config.overstating]) == 1
    return {
        "validator": (streams.draws("trainer.validator").uniform(slots) * n_validators).astype(np.int64),
        "overstatement": np.where(cheats, config.overstatement, 0.0),
        "latency": config.latency_ms * lognormal(streams, "trainer.latency", slots, config.latency_cv),
    }


def chosen_trainer(trainers: Population[Trainer], config: TrainerConfig, wanted: float, uniform: Floats) -> int | None:
    """Return the slot of the trainer that a consumer takes, or None where all are busy.

    1. A trainer's record is the Beta posterior of its claims standing: 1 + sold successes, 1 + caught failures.
    2. The consumer draws a chance from each posterior (``uniform``, (n_trainers,)): who is little known gets tried.
    3. It takes the largest chance times quality promised; of equals the lowest slot.

    References
    ----------
    Thompson (1933), On the likelihood that one unknown probability exceeds another.
    """
    from scipy.special import betaincinv

    free = np.flatnonzero(trainers.active & (trainers["running"] < config.orders))
    if not len(free):
        return None
    chance = betaincinv(1.0 + trainers["sold"][free], 1.0 + trainers["caught"][free], uniform[free])
    promised = np.minimum(wanted + trainers["overstatement"][free], 1.0)
    return int(free[np.argmax(chance * promised)])


def planned_accelerators(hours_of: Floats, seconds: Floats, deadline_s: float) -> int | None:
    """Return which machine to rent: the fewest accelerator-hours among those that finish in time, or None.

    ``hours_of`` and ``seconds`` are (n_sizes,), accelerator-hours and time on each machine size.
    """
    in_time = np.flatnonzero(seconds <= deadline_s)
    return int(in_time[np.argmin(hours_of[in_time])]) if len(in_time) else None
