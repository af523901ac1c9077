"""Model consumers order models: of a task, to a quality, for a value, and with limited patience."""

from __future__ import annotations

import numpy as np

from celluler_sim.agents.drawing import lognormal
from celluler_sim.agents.training_config import ModelConsumerConfig
from celluler_sim.book import Floats, Slots
from celluler_sim.cellagent import CellAgent
from celluler_sim.column import Column
from celluler_sim.streams import Streams


class ModelConsumer(CellAgent):
    """A cell that buys models."""

    account = Column(np.int64, doc="account number in the ledger")
    rate = Column(np.float64, unit="orders/s", doc="how often it orders a model")
    validator = Column(np.int32, doc="validator it is attached to")
    bought = Column(np.int64, doc="models accepted")
    spent = Column(np.float64, unit="PRANA", doc="paid for models")
    surplus = Column(np.float64, unit="PRANA", doc="value less price of models accepted")


def consumer_columns(config: ModelConsumerConfig, streams: Streams, n_validators: int) -> dict[str, Floats | Slots]:
    """Return the columns of a scenario's model consumers; agent i gets the i-th draw."""
    slots = np.arange(config.count)
    spread = lognormal(streams, "model.rate", slots, config.orders_cv) / np.sqrt(1 + config.orders_cv**2)  # mean 1
    return {
        "rate": config.orders_per_day / 86_400.0 * spread,
        "validator": (streams.draws("model.validator").uniform(slots) * n_validators).astype(np.int64),
    }
