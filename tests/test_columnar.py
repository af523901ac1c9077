"""Mesa's model API over rows and ordinary agents."""

from __future__ import annotations

import copy
import gc
import pickle
import warnings
import weakref
from typing import Any

import mesa
import numpy as np
import pytest

from celluler_sim.population import ColumnarModel, Population
from tests.town import Guest, Shop, Town

MESA_OBSERVABLE = hasattr(mesa.Model, "scenario")  # Mesa 3.5: models emit signals and know a scenario


@pytest.fixture
def town() -> Town:
    return Town(seed=1)


@pytest.mark.parametrize("seed", [{"seed": 7}, {"rng": 7}, {"seed": np.int64(7)}])
def test_seed_without_warnings(seed):
    """Either name gives the numbers that Mesa gives, on every version."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = ColumnarModel(**seed)
    oracle = mesa.Model(rng=7)
    assert (model.random.random(), model.rng.random()) == (oracle.random.random(), oracle.rng.random())
    assert model._seed == 7
    with pytest.raises(ValueError, match="pass seed or rng, not both"):
        ColumnarModel(seed=1, rng=2)
    generators = np.random.default_rng(3), np.random.default_rng(3)
    assert ColumnarModel(rng=generators[0]).random.random() == mesa.Model(rng=generators[1]).random.random()


def test_a_model_is_not_kept_alive():
    """Neither by ordinary agents (Mesa 3.3 does that to plain models), nor by rows, sets or objects."""
    town = Town()
    town.step()
    Guest(town).remove()
    shop = town.agents[0]
    town.agents.select(lambda _: True).do(hash)
    dead = weakref.ref(town)
    del shop, town
    gc.collect()
    assert dead() is None


def test_datacollector_by_hand(town):
    """Reporters by attribute and by function, over two steps with a shop leaving between them."""
    town.step()
    town.shops.remove(0)
    town.step()
    collected = town.datacollector
    assert collected.get_model_vars_dataframe().to_dict("list") == {"shops": [3, 2], "prices": [6.0, 5.0]}
    agents = collected.get_agent_vars_dataframe()
    assert agents["id"].tolist() == [1, 2, 3, 4, 5, 2, 3, 4, 5]
    assert agents["twice"].fillna(-1).tolist() == [2, 4, 6, -1, 1, 4, 6, -1, 1]
    assert agents.index.get_level_values("AgentID").tolist() == agents["id"].tolist()
    shops = collected.get_agenttype_vars_dataframe(Shop)
    assert shops["stock"].tolist() == [4, 4, 4, 3, 3]
    assert shops["worth"].tolist() == [4, 8, 12, 6, 9]


def test_batch_run():
    """Mesa's batch runner runs it: one row per agent and parameter."""
    found = mesa.batch_run(Town, {"n": [2, 4]}, number_processes=1, max_steps=3, display_progress=False)
    shops = {row["n"]: row["shops"] for row in found}
    assert shops == {2: 2, 4: 4}


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])  # noqa: S301
def test_copies_and_pickles(duplicate):
    """A copied model is whole and its own: rows, ids, sets, kept attributes, ordinary agents."""
    model = ColumnarModel(seed=1)
    shops = Population(model, Shop)
    shops.add(3, price=[1, 2, 3])
    Guest(model, price=4)
    shops.agent(1).mood = "glad"
    model.chosen = model.agents.select(lambda a: a.price > 1)
    shops.remove(0)
    twin = duplicate(model)
    twin.shops = twin.population(Shop)
    assert twin.agents.get(["unique_id", "price"]) == [[2, 2.0], [3, 3.0], [4, 4]]
    assert twin.chosen.get("unique_id") == [2, 3, 4]
    assert twin.shops.agent(1).mood == "glad"
    twin.shops.agent(2).price = 9.0
    assert (twin.shops["price"][2], shops["price"][2]) == (9.0, 3.0)
    twin.shops.add(1)
    Guest(twin)
    assert twin.agents.get("unique_id") == [2, 3, 4, 5, 6]
    assert twin.agents[0].model is twin
    assert len(model.agents) == 3
    assert twin.random.random() == model.random.random()


@pytest.mark.skipif(not MESA_OBSERVABLE, reason="this version of Mesa has no signals on models")
def test_observers_hear_of_rows(town):
    """Mesa 3.5's signals name every agent that comes or goes, rows as well as ordinary ones."""
    from mesa.experimental.mesa_signals import ModelSignals

    heard: list[tuple[str, int]] = []

    def hear(signal: Any) -> None:
        heard.append((signal.signal_type.name, signal.additional_kwargs["args"][0].unique_id))

    for kind in ModelSignals:
        town.observe("agents", kind, hear)
    town.shops.add(2)
    Guest(town).remove()
    town.shops.remove([0, 3])
    came, went = "AGENT_ADDED", "AGENT_REMOVED"
    assert heard == [(came, 6), (came, 7), (came, 8), (went, 8), (went, 1), (went, 6)]
    met: list[Any] = []
    town.observe(
        "agents", ModelSignals.AGENT_ADDED, keep := lambda signal: met.append(signal.additional_kwargs["args"])
    )
    assert keep
    assert Shop(town) is met[0][0]
