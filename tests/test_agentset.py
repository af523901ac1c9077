"""Every call of Mesa's AgentSet, on rows and on a plain Mesa model with the same agents: Mesa itself is the oracle."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mesa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mesa.agent import AgentSet

from celluler_sim.agentset import RowSet
from celluler_sim.population import CellAgent, Column, ColumnarModel

pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")

WEALTH = [3.0, 1.0, 2.0, 3.0, 0.5, 7.0, 2.0]


class Deeds:
    """What both kinds of agent can do."""

    def earn(self, amount: float = 1.0, times: int = 1) -> float:
        self.wealth += amount * times
        return self.wealth

    def leave_if_poor(self) -> None:
        if self.wealth < 2:
            self.remove()

    def rob_next(self) -> int:
        """Remove the agent with the next id: it must not be called any more."""
        for other in list(self.model.agents):
            if other.unique_id == self.unique_id + 1:
                other.remove()
        self.model.called.append(self.unique_id)
        return self.unique_id

    def note(self) -> None:
        self.model.called.append(self.unique_id)

    def found(self) -> None:
        """Bring in another agent: it must not be called in the same round."""
        self.model.called.append(self.unique_id)
        type(self)(self.model, wealth=9.0)


class PlainSeller(Deeds, mesa.Agent):
    def __init__(self, model, wealth=0.0, rank=0):
        super().__init__(model)
        self.wealth, self.rank, self.tag = wealth, rank, None


class PlainBuyer(Deeds, mesa.Agent):
    def __init__(self, model, wealth=0.0):
        super().__init__(model)
        self.wealth = wealth


class Visitor(Deeds, mesa.Agent):
    """An ordinary agent in either world."""

    def __init__(self, model, wealth=0.0):
        super().__init__(model)
        self.wealth = wealth


class RowSeller(Deeds, CellAgent):
    wealth = Column(float)
    rank = Column(np.int32)
    tag = Column(object, default=None)


class RowBuyer(Deeds, CellAgent):
    wealth = Column(float)


@dataclass
class World:
    """A model and its agent classes."""

    model: Any
    Seller: type
    Buyer: type
    Visitor: type = Visitor

    @property
    def agents(self) -> Any:
        return self.model.agents

    @property
    def fixed(self) -> Any:
        return self.model.agents.select(lambda _: True)

    @property
    def sellers(self) -> Any:
        return self.model.agents_by_type[self.Seller]


def world(model: Any, seller: type, buyer: type) -> World:
    """Sellers 1 to 4, buyers 5 and 6, an ordinary visitor 7, a seller 8; agent 3 has left."""
    model.called = []
    for i, wealth in enumerate(WEALTH[:4]):
        seller(model, wealth=wealth, rank=i % 2)
    for wealth in WEALTH[4:6]:
        buyer(model, wealth=wealth)
    Visitor(model, wealth=WEALTH[6])
    seller(model, wealth=4.0, rank=1)
    list(model.agents)[2].remove()
    return World(model, seller, buyer)


def plain() -> World:
    return world(mesa.Model(rng=7), PlainSeller, PlainBuyer)


def rows() -> World:
    return world(ColumnarModel(seed=7), RowSeller, RowBuyer)


def ids(agents: Any) -> list[int]:
    return [agent.unique_id for agent in agents]


def pick(w: World, unique_id: int) -> Any:
    return next(agent for agent in w.agents if agent.unique_id == unique_id)


def inplace(agents: Any, method: str, *args: Any, **kwargs: Any) -> Any:
    """Return what an in-place call returned (itself) and left behind."""
    answer = getattr(agents, method)(*args, inplace=True, **kwargs)
    return answer is agents, ids(agents)


def edited(agents: Any, *edits: Callable[[Any], Any]) -> list[int]:
    for edit in edits:
        edit(agents)
    return ids(agents)


def groups(found: Any, show: Callable[[Any], Any] = ids) -> list[tuple[Any, Any]]:
    return [(key, show(group)) for key, group in found]


CALLS: dict[str, Callable[[World], Any]] = {
    "order": lambda w: ids(w.agents),
    "len": lambda w: (len(w.agents), len(w.fixed), len(w.sellers)),
    "bool": lambda w: (bool(w.agents), bool(w.agents.select(at_most=0))),
    "types": lambda w: [w.model.agent_types.index(t) for t in (w.Seller, w.Buyer, w.Visitor)],
    "by type": lambda w: [ids(w.model.agents_by_type[t]) for t in (w.Seller, w.Buyer, w.Visitor)],
    "contains": lambda w: [agent in group for agent in w.agents for group in (w.agents, w.fixed, w.sellers)],
    "contains others": lambda w: [3 in w.agents, None in w.fixed, Visitor(mesa.Model()) in w.agents],
    "index": lambda w: [w.agents[i].unique_id for i in (0, 3, -1)],
    "slices": lambda w: [ids(w.fixed[s]) for s in (slice(2), slice(1, 6, 2), slice(None, None, -1), slice(9, 12))],
    "reversed": lambda w: ids(reversed(w.fixed)),
    "position": lambda w: [w.fixed.index(pick(w, 5)), w.fixed.index(pick(w, 5), 2), w.fixed.count(pick(w, 5))],
    "random": lambda w: w.agents.random is w.model.random and w.fixed.random is w.model.random,
    "copy": lambda w: ids(w.agents.select()),
    "select": lambda w: ids(w.agents.select(lambda a: a.wealth > 2)),
    "select type": lambda w: [ids(w.agents.select(agent_type=t)) for t in (w.Seller, w.Visitor, Deeds, mesa.Agent)],
    "select number": lambda w: [ids(w.agents.select(at_most=n)) for n in (0, 1, 2.5, 99, -1)],
    "select share": lambda w: [ids(w.agents.select(at_most=share)) for share in (0.0, 0.5, 0.99, 1.0)],
    "select all ways": lambda w: ids(w.agents.select(lambda a: a.wealth > 2, at_most=2, agent_type=w.Seller)),
    "select half": lambda w: ids(w.agents.select(lambda a: a.wealth > 2, at_most=0.5)),
    "select asks no further": lambda w: (
        ids(w.agents.select(lambda a: w.model.called.append(a.unique_id) or a.wealth < 4, at_most=2)),
        w.model.called,
    ),
    "select inplace": lambda w: inplace(w.fixed, "select", lambda a: a.wealth > 2),
    "select nothing inplace": lambda w: inplace(w.fixed, "select"),
    "shuffle": lambda w: (ids(w.agents.shuffle()), ids(w.fixed.shuffle())),
    "shuffle inplace": lambda w: inplace(w.fixed, "shuffle"),
    "sort": lambda w: [ids(w.agents.sort("wealth", ascending=up)) for up in (True, False)],
    "sort default": lambda w: ids(w.sellers.sort("rank")),
    "sort function": lambda w: [ids(w.agents.sort(lambda a: a.wealth % 2, ascending=up)) for up in (True, False)],
    "sort path": lambda w: ids(w.agents.sort("model.steps")),
    "sort inplace": lambda w: inplace(w.fixed, "sort", "wealth"),
    "do": lambda w: (w.agents.do("earn", 2, times=3) is w.agents, w.agents.get("wealth")),
    "do function": lambda w: w.fixed.do(lambda a, by: a.earn(by), by=0.5) and w.agents.get("wealth"),
    "do leaving": lambda w: (w.agents.do("leave_if_poor") and ids(w.agents), w.fixed.do("note") and w.model.called),
    "do removing the next": lambda w: (w.agents.do("rob_next") and w.model.called, ids(w.agents)),
    "do entering": lambda w: (w.sellers.do("found") and w.model.called, ids(w.agents), ids(w.sellers)),
    "do nothing defined": lambda w: (w.agents.do("step"), w.agents.do("advance")) and ids(w.agents),
    "shuffle_do": lambda w: (w.agents.shuffle_do("note") is w.agents, w.model.called, ids(w.agents)),
    "shuffle_do function": lambda w: (
        w.fixed.shuffle_do(lambda a, w: w.model.called.append(a.unique_id), w) and w.model.called
    ),
    "map": lambda w: w.agents.map("earn", 1.5),
    "map function": lambda w: w.agents.map(lambda a, plus: a.wealth + plus, plus=1),
    "agg": lambda w: [w.agents.agg("wealth", f) for f in (sum, min, max, len, statistics.median, sorted)],
    "agg numpy": lambda w: [w.agents.agg("wealth", f) for f in (np.mean, np.sum, np.max, np.median, np.std, np.size)],
    "agg ufunc": lambda w: [x.tolist() for x in (w.agents.agg("wealth", np.sqrt), w.sellers.agg("rank", np.negative))],
    "agg integers": lambda w: [w.sellers.agg("rank", f) for f in (np.mean, np.sum, sum)],
    "agg list method": lambda w: w.agents.agg("wealth", lambda values: values.count(4.0)),
    "agg several": lambda w: w.agents.agg("wealth", [min, max, np.mean]),
    "agg nobody": lambda w: w.agents.select(at_most=0).agg("wealth", sum),
    "get": lambda w: (w.agents.get("wealth"), w.sellers.get("rank"), w.sellers.get("tag"), w.agents.get("unique_id")),
    "get several": lambda w: (w.agents.get(["unique_id", "wealth"]), w.agents.get([]), w.sellers.get(["rank"])),
    "get types": lambda w: [type(x).__name__ for name in ("wealth", "rank") for x in w.sellers.get(name)],
    "get missing": lambda w: w.agents.get("rank", handle_missing="default", default_value=-1),
    "get missing list": lambda w: w.agents.get("rank", "default", [1, 2]),
    "get several missing": lambda w: w.agents.get(["wealth", "rank"], handle_missing="default"),
    "get attribute": lambda w: w.agents.get("pos"),
    "set": lambda w: (w.agents.set("wealth", 2.5) is w.agents, w.agents.get("wealth")),
    "set object": lambda w: w.sellers.set("tag", [1, 2]).get("tag"),
    "set other": lambda w: (w.agents.set("mood", "calm").get("mood"), w.agents.get("mood")),
    "groupby": lambda w: groups(w.agents.groupby("wealth")),
    "groupby function": lambda w: groups(w.agents.groupby(lambda a: a.wealth > 2)),
    "groupby list": lambda w: [(k, type(g).__name__, ids(g)) for k, g in w.agents.groupby("wealth", "list")],
    "groupby do": lambda w: w.agents.groupby("wealth").do("do", "earn", 1) and w.agents.get("wealth"),
    "groupby map": lambda w: w.agents.groupby("wealth").map(len),
    "groupby map name": lambda w: w.agents.groupby("wealth").map("get", "unique_id"),
    "groupby count": lambda w: w.sellers.groupby("rank").count(),
    "groupby agg": lambda w: w.sellers.groupby("rank").agg("wealth", sum),
    "groupby agg lists": lambda w: w.sellers.groupby("rank", "list").agg("wealth", np.mean),
    "groupby len": lambda w: len(w.agents.groupby("wealth")),
    "add": lambda w: edited(w.agents.select(at_most=2), lambda s: s.add(pick(w, 6)), lambda s: s.add(pick(w, 1))),
    "discard": lambda w: edited(w.fixed, lambda s: s.discard(pick(w, 6)), lambda s: s.discard(pick(w, 6))),
    "remove": lambda w: edited(w.fixed, lambda s: s.remove(pick(w, 7)), lambda s: s.remove(pick(w, 1))),
    "pop": lambda w: edited(w.fixed, lambda s: s.pop()),
    "clear": lambda w: edited(w.fixed, lambda s: s.clear()),
    "and": lambda w: ids(w.fixed & w.agents.select(at_most=3)),
    "or": lambda w: ids(w.agents.select(at_most=2) | w.fixed.sort("wealth")),
    "minus": lambda w: ids(w.fixed - w.sellers),
    "xor": lambda w: sorted(ids(w.agents.select(at_most=2) ^ w.fixed)),
    "in place or": lambda w: edited(w.agents.select(at_most=2), lambda s: s.__ior__(w.sellers)),
    "comparison": lambda w: (w.fixed == w.fixed.sort("wealth"), w.sellers < w.fixed, w.fixed <= w.sellers),
    "disjoint": lambda w: w.sellers.isdisjoint(w.agents.select(agent_type=w.Buyer)),
    "remove all": lambda w: (w.model.remove_all_agents(), len(w.agents), ids(w.sellers)),
}


@pytest.mark.parametrize("name", CALLS)
def test_same_as_mesa(name):
    """The same call on the same agents gives the same result on rows and on plain Mesa agents."""
    assert CALLS[name](rows()) == CALLS[name](plain())


ERRORS: dict[str, Callable[[World], Any]] = {
    "index": lambda w: w.agents[99],
    "index type": lambda w: w.agents["a"],
    "attribute": lambda w: w.agents.get("nothing"),
    "attribute of some": lambda w: w.agents.get("rank"),
    "attributes": lambda w: w.agents.get(["wealth", "nothing"]),
    "agg": lambda w: w.agents.agg("nothing", sum),
    "sort": lambda w: w.agents.sort("nothing"),
    "groupby": lambda w: w.agents.groupby("nothing"),
    "method": lambda w: w.agents.do("nothing"),
    "map": lambda w: w.agents.map("nothing"),
    "handle_missing": lambda w: w.agents.get("wealth", handle_missing="perhaps"),
    "remove": lambda w: w.agents.select(at_most=1).remove(pick(w, 8)),
    "position": lambda w: w.agents.select(at_most=1).index(pick(w, 8)),
    "pop": lambda w: w.agents.select(at_most=0).pop(),
    "agents": lambda w: setattr(w.model, "agents", []),
    "deregister": lambda w: (agent := pick(w, 8), agent.remove(), w.model.deregister_agent(agent)),
}


@pytest.mark.parametrize("name", ERRORS)
def test_same_errors_as_mesa(name):
    """What Mesa refuses is refused with the same type of exception."""
    with pytest.raises(Exception) as expected:  # noqa: PT011, Mesa decides which
        ERRORS[name](plain())
    with pytest.raises(Exception) as found:  # noqa: PT011
        ERRORS[name](rows())
    assert found.type is expected.type


def test_covers_the_whole_of_mesa():
    """Every public method of Mesa's AgentSet, here and in other 3.x versions, is one of RowSet's own or a set's."""
    public = {name for name in dir(AgentSet) if not name.startswith("_")} | {"to_list", "copy"}
    inherited = {"clear", "count", "isdisjoint", "pop"}  # written in terms of the others by collections.abc
    assert public - inherited <= set(vars(RowSet))


def test_isinstance_and_to_list():
    """What comes back is a Mesa AgentSet; to_list and copy exist on every Mesa version."""
    w = rows()
    assert isinstance(w.agents, AgentSet)
    assert isinstance(w.fixed.groupby("wealth").groups[3.0], AgentSet)
    assert ids(w.agents.to_list()) == ids(w.agents.copy()) == [1, 2, 4, 5, 6, 7, 8]


def test_columns_need_no_objects():
    """len, get, agg, set, sort, shuffle, select by type or number, groupby make no agent object."""
    model = ColumnarModel(seed=1)
    sellers = model.population(RowSeller)
    sellers.add(5, wealth=[1, 2, 3, 4, 5])
    model.population(RowBuyer).add(3)
    agents = model.agents
    agents.sort("wealth").shuffle().select(agent_type=Deeds).select(at_most=0.5).set("wealth", 1.0)
    agents.get(["unique_id", "wealth"])
    agents.get("rank", "default")
    agents.agg("wealth", [sum, np.mean])
    agents.groupby("wealth").agg("wealth", len)
    assert len(agents) == 8
    assert not any(population._views for population in model.populations.values())


def test_numpy_functions_get_arrays_others_lists():
    """A NumPy function is given the column, any other what Mesa would give it."""
    agents = rows().sellers
    assert agents.agg("wealth", type) is list
    assert agents.agg("rank", np.asarray).dtype == np.int64
    assert agents.agg("rank", lambda v: type(v[0])) is int


def test_nan_sorts_as_the_largest():
    """NaN comes last ascending and first descending, ties keep their order."""
    model = ColumnarModel()
    agents = model.population(RowBuyer).subset(model.population(RowBuyer).add(4, wealth=[2, math.nan, 1, 2]))
    assert ids(agents.sort("wealth", ascending=True)) == [3, 1, 4, 2]
    assert ids(agents.sort("wealth")) == [2, 1, 4, 3]


def test_live_sets_take_in_newcomers_fixed_sets_do_not():
    """model.agents and agents_by_type follow the model; a selection stays what it was, less those who left."""
    w = rows()
    live, fixed, sellers = w.agents, w.fixed, w.sellers
    RowSeller(w.model)
    pick(w, 1).remove()
    assert ids(live) == [2, 4, 5, 6, 7, 8, 9]
    assert ids(fixed) == [2, 4, 5, 6, 7, 8]
    assert ids(sellers) == [2, 4, 8, 9]


@pytest.mark.parametrize("edit", ["shuffle", "sort", "discard", "select"])
def test_reordered_live_set_goes_on_following(edit):
    """As in Mesa, model.agents changed in place keeps its order and still takes in newcomers at the end."""

    def change(w: World) -> list[int]:
        calls = {
            "shuffle": lambda a: a.shuffle(inplace=True),
            "sort": lambda a: a.sort("wealth", inplace=True),
            "discard": lambda a: a.discard(pick(w, 5)),
            "select": lambda a: a.select(at_most=3, inplace=True),
        }
        calls[edit](w.agents)
        w.Buyer(w.model, wealth=6.0)
        pick(w, 2).remove()
        assert (pick(w, 9) in w.agents, len(w.agents)) == (True, len(list(w.agents)))
        return ids(w.agents)

    assert change(rows()) == change(plain())


def test_only_agents_of_the_model_can_be_added():
    """Neither one of another model nor one that has left."""
    w, other = rows(), rows()
    gone = pick(w, 8)
    gone.remove()
    for agent in (pick(other, 1), pick(other, 7), gone):
        with pytest.raises(ValueError, match="only agents that are in the model"):
            w.fixed.add(agent)
        assert agent not in w.agents
        assert agent not in w.fixed


def test_plain_agentset_of_rows_keeps_them():
    """A user's own AgentSet holds weakly; its rows stay as long as they are in the model."""
    w = rows()
    mine = AgentSet([agent for agent in w.sellers if agent.wealth > 2], random=w.model.random)
    assert ids(mine) == [1, 4, 8]
    w.sellers.select(lambda a: a.wealth > 3).do("remove")
    assert ids(mine) == [1, 4]


def test_empty_population_and_empty_model():
    """Nobody there: every call answers without an error."""
    model = ColumnarModel(seed=1)
    assert (len(model.agents), list(model.agents), model.agents.get("x"), model.agents_by_type) == (0, [], [], {})
    sellers = model.population(RowBuyer)
    assert (len(sellers), list(sellers.agents.shuffle().sort("x")), model.agent_types) == (0, [], [RowBuyer])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 9).map(round), st.integers(0, 3)), max_size=30), st.integers(0, 99))
def test_any_values(values, seed):
    """Sorting, grouping, shuffling and selecting any values gives Mesa's order."""

    def run(model: Any, seller: type) -> list[Any]:
        for wealth, rank in values:
            seller(model, wealth=float(wealth), rank=rank)
        agents = model.agents
        return [
            *(ids(agents.sort(key, ascending=up)) for key in ("wealth", "rank") for up in (True, False)),
            ids(agents.shuffle().sort("rank").select(at_most=0.7)),
            groups(agents.groupby("rank"), lambda group: group.agg("wealth", sum)),
        ]

    assert run(ColumnarModel(rng=seed), RowSeller) == run(mesa.Model(rng=seed), PlainSeller)
