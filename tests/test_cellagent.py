"""Agents as views of rows."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import mesa
import numpy as np
import pandas as pd
import pytest

from celluler_sim.population import CellAgent, Column
from tests.town import Guest, Mill, Shop, Town


@pytest.fixture
def town() -> Town:
    return Town(seed=1)


def test_an_agent_is_a_mesa_agent(town):
    """All that a Mesa agent has."""
    shop = town.agents[1]
    assert isinstance(shop, mesa.Agent)
    assert (shop.unique_id, shop.slot, shop.pos, shop.active) == (2, 1, None, True)
    assert shop.model is town
    assert shop.population is town.shops
    assert (shop.random, shop.rng) == (town.random, town.rng)
    assert shop.worth == 10.0
    assert shop is town.agents[1] is town.agents_by_type[Shop][1]
    assert shop == town.shops.agent(1) != town.shops.agent(0)
    assert len({shop, town.shops.agent(1), town.shops.agent(0)}) == 2
    with pytest.raises(AttributeError, match="nothing"):
        shop.nothing  # noqa: B018


def test_ids_count_over_rows_and_ordinary_agents(town):
    """From 1, in order of entry, whoever enters."""
    Guest(town)
    town.shops.add(2)
    Mill(town)
    assert town.agents.get("unique_id") == list(range(1, 10))
    assert [a.unique_id for a in town.agents] == list(range(1, 10))
    assert [type(a).__name__ for a in town.agents] == ["Shop"] * 3 + ["Mill", "Guest", "Guest", "Shop", "Shop", "Mill"]
    assert town.agent_id_counter == 10


def test_views_are_made_when_asked_for_and_freed():
    """Going through all agents leaves none behind; one that is held stays the same one."""
    town = Town(100)
    held = town.shops.agent(7)
    assert sum(1 for _ in town.agents) == 102
    assert list(town.shops._views) == [7]
    assert [a for a in town.agents if a is held] == [held]


def test_other_attributes_stay_with_the_agent(town):
    """What is not a column is an ordinary attribute, kept until the agent leaves."""
    assert town.agents.get("worth", "default") == [5.0, 10.0, 15.0, None, None]
    town.shops.agents.do(lambda a: setattr(a, "mood", f"m{a.slot}"))
    gc.collect()
    assert town.shops.agents.get("mood") == ["m0", "m1", "m2"]
    assert town.agents.get("mood", "default") == ["m0", "m1", "m2", None, None]
    gone = weakref.ref(town.shops.agent(1))
    town.shops.remove(1)
    gc.collect()
    assert gone() is None


def test_init_of_a_subclass_runs_once_per_agent(town):
    """`Baker(model, 3)` and create_agents call it, in Mesa's way; a view made later does not."""

    class Baker(CellAgent):
        bread = Column(np.int64)
        born: Any

        def __init__(self, model, bread, mood="calm"):
            self.mood = mood  # no column: an attribute of the object, here set before there is a row
            super().__init__(model)
            self.bread = bread

    baker = Baker(town, 3)
    made = Baker.create_agents(town, 2, [4, 5], mood="glad")
    assert made.get(["bread", "mood"]) == [[4, "glad"], [5, "glad"]]
    assert Baker.create_agents(town, 2, bread=(6, 7)).get("mood") == ["calm", "calm"]
    assert (baker.bread, baker.mood, town.population(Baker)["bread"].tolist()) == (3, "calm", [3, 4, 5, 6, 7])


def test_create_agents_deals_out_sequences_as_mesa_does(town):
    """Lists, tuples, arrays and Series of length n are dealt out, anything else is given to all."""
    made = Shop.create_agents(town, 2, price=[1, 2], stock=pd.Series([3, 4]), note=("a", "b"), grade=0.5)
    assert made.get(["price", "stock", "note", "grade"]) == [[1.0, 3, "a", 0.5], [2.0, 4, "b", 0.5]]
    assert Shop.create_agents(town, 2, note=[1, 2, 3]).get("note") == [[1, 2, 3], [1, 2, 3]]
    assert Shop(town, note=["one"]).note == ["one"]
    assert len(town.shops._views) == 0
    if hasattr(mesa.Agent, "from_dataframe"):
        made = Shop.from_dataframe(town, pd.DataFrame({"price": [6.0, 7.0]}), stock=1)
        assert made.get(["price", "stock"]) == [[6.0, 1], [7.0, 1]]


def test_remove_of_a_subclass_is_called(town):
    """agent.remove and remove_all_agents call it, population.remove does not."""

    class Fragile(CellAgent):
        def remove(self) -> None:
            self.model.broken.append(self.slot)
            super().remove()

    town.broken = []
    Fragile.create_agents(town, 3)
    town.population(Fragile).agent(1).remove()
    town.population(Fragile).remove(0)
    town.remove_all_agents()
    assert (town.broken, len(town.agents), len(town.shops)) == ([1, 2], 0, 0)
    assert len(town.agents_by_type[Guest]) == 0
    assert Shop(town).unique_id == 9
