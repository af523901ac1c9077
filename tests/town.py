"""Agent classes and a small model for the tests of populations."""

from __future__ import annotations

import math

import mesa
import numpy as np

from celluler_sim.population import CellAgent, Column, ColumnarModel, Population


class Shop(CellAgent):
    price = Column(float, default=2.0, unit="PRANA", doc="price of a loaf")
    stock = Column(np.int16, default=5)
    open = Column(bool, default=True)
    grade = Column(np.float32)
    kinds = Column(np.uint64)
    note = Column(object, default=None)

    def step(self) -> None:
        self.stock -= 1

    @property
    def worth(self) -> float:
        return self.price * self.stock


class Mill(CellAgent):
    flour = Column(float)


class Guest(mesa.Agent):
    def __init__(self, model, price=0.0):
        super().__init__(model)
        self.price = price


class Town(ColumnarModel):
    """Three shops, a mill and a guest; a step runs the shops."""

    def __init__(self, n: int = 3, seed: int | None = None) -> None:
        super().__init__(seed=seed)
        self.shops = Population(self, Shop)
        self.shops.add(n, price=np.arange(n) + 1.0)
        self.population(Mill).add(1, flour=9.0)
        Guest(self, price=0.5)
        self.datacollector = mesa.DataCollector(
            model_reporters={"shops": lambda m: len(m.shops), "prices": lambda m: m.shops.agents.agg("price", sum)},
            agent_reporters={"id": "unique_id", "twice": lambda a: 2 * getattr(a, "price", math.nan)},
            agenttype_reporters={Shop: {"stock": "stock", "worth": lambda a: a.worth}},
        )

    def step(self) -> None:
        self.agents_by_type[Shop].do("step")
        self.datacollector.collect(self)
