"""Populations: rows that come, stay in their slot, and go."""

from __future__ import annotations

import tracemalloc
from typing import Any

import mesa
import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from celluler_sim.population import ColumnarModel, Population
from tests.town import Guest, Mill, Shop, Town


@pytest.fixture
def town() -> Town:
    return Town(seed=1)


def test_add_by_hand(town):
    """Two more shops: scalars go to all, sequences one each, what is left out takes its default."""
    assert town.shops.add(2, price=[8, 9], stock=1).tolist() == [3, 4]
    assert town.shops["price"].tolist() == [1, 2, 3, 8, 9]
    assert town.shops["stock"].tolist() == [5, 5, 5, 1, 1]
    assert town.shops["open"].all()
    assert town.shops.add(0).tolist() == []
    assert (town.shops.size, len(town.shops)) == (5, 5)


@pytest.mark.parametrize(
    ("n", "columns", "message"),
    [
        (2, {"cost": 1}, r"Shop has no column 'cost'; it has \['grade', 'kinds', 'note', 'open', 'price', 'stock'\]"),
        (2, {"price": [1, 2, 3]}, r"Shop\.price must be a scalar or of shape \(2,\), got shape \(3,\)"),
        (2, {"price": np.ones((2, 1))}, r"Shop\.price must be a scalar or of shape \(2,\), got shape \(2, 1\)"),
        (2, {"price": [[1], [2, 3]]}, r"Shop\.price must be a scalar or of shape|must be float64"),
        (-1, {}, "n must be >= 0 agents, got -1"),
        (1.5, {}, "integer"),
    ],
)
def test_add_refuses(town, n, columns, message):
    """One line naming what is wrong; the population stays as it was."""
    with pytest.raises((TypeError, ValueError), match=message):
        town.shops.add(n, stock=3, **columns)
    assert (town.shops.size, len(town.shops), town.shops["stock"].tolist()) == (3, 3, [5, 5, 5])


def test_columns_are_live_views(town):
    """Writing through population["price"] is seen by agents, operators work in place, a whole column can be set."""
    town.shops["price"] *= 10
    town.shops["stock"][:] += 1
    town.shops["grade"] = [1, 2, 3]
    shop = town.shops.agent(2)
    assert (shop.price, shop.stock, shop.grade) == (30.0, 6, 3.0)
    with pytest.raises(ValueError, match="shape"):
        town.shops["grade"] = [1, 2]
    with pytest.raises(KeyError, match="Shop has no column 'cost'; it has"):
        town.shops["cost"]
    with pytest.raises(ValueError, match="read-only"):
        town.shops.active[0] = False


def test_agents_follow_their_row_through_growth(town):
    """Growing moves the columns; agents made before read and write the new ones."""
    shop = town.shops.agent(0)
    for _ in range(12):
        town.shops.add(50)
    shop.price = 77.0
    assert town.shops["price"][0] == 77.0
    assert town.shops.agent(602).price == 2.0


def test_a_row_keeps_its_slot_and_no_slot_is_used_twice(town):
    """After agent 1 left, the next is slot 3; slot 1 stays readable and inactive."""
    leaver = town.shops.agent(1)
    leaver.remove()
    assert town.shops.add(1).tolist() == [3]
    assert (leaver.active, leaver.price, town.shops.agent(1).price) == (False, 2.0, 2.0)
    assert town.shops.active.tolist() == [True, False, True, True]
    assert town.shops.slots.tolist() == [0, 2, 3]
    assert (len(town.shops), town.shops.size, leaver in town.agents, leaver in town.shops) == (3, 4, False, False)
    leaver.remove()  # twice does nothing, as in Mesa
    with pytest.raises(ValueError, match="Shop 2 cannot return"):
        town.register_agent(leaver)


def test_remove_by_slots_and_by_mask(town):
    """Repeated slots count once; those who have left are passed over; a mask chooses rows."""
    town.shops.add(3)
    town.shops.remove([1, 1, 4])
    assert len(town.shops) == 4
    town.shops.remove(town.shops["price"] == 2.0)
    assert (len(town.shops), town.shops.slots.tolist()) == (2, [0, 2])
    town.shops.remove(2)
    town.shops.remove([])
    assert town.shops.slots.tolist() == [0]


@pytest.mark.parametrize("slots", [[3], [-1], [0.5], [[0]], [True, False]])
def test_slots_out_of_range_are_refused(town, slots):
    """No wrapping round, no silent nothing."""
    for attempt in (town.shops.remove, town.shops.subset):
        with pytest.raises(IndexError, match="slots must be"):
            attempt(slots)
    assert len(town.shops) == 3


def test_agent_of_a_slot(town):
    """One object a row while it lives; no wrapping round."""
    assert town.shops.agent(2) is town.shops.agent(np.int64(2))
    assert type(town.shops.agent(np.int64(2)).slot) is int
    for slot in (3, -1):
        with pytest.raises(IndexError, match=r"slot must be in \[0, 3\)"):
            town.shops.agent(slot)


def test_subset_is_an_agentset_of_rows(town):
    """By slots in their order, or where a mask is true; those who have left are not in it."""
    assert town.shops.subset([2, 0]).get("price") == [3.0, 1.0]
    assert town.shops.subset(town.shops["price"] > 1).get("price") == [2.0, 3.0]
    town.shops.remove(2)
    assert town.shops.subset([2, 0]).get("price") == [1.0]


def test_one_population_of_a_class(town):
    """A second one, one of something else, or rows in a plain Mesa model are refused."""
    assert town.population(Shop) is town.shops is town.populations[Shop]
    with pytest.raises(ValueError, match=r"Shop must have one population in a model: take model\.population\(Shop\)"):
        Population(town, Shop)
    with pytest.raises(TypeError, match="must be a subclass of CellAgent, got <class 'int'>"):
        Population(town, int)
    with pytest.raises(
        TypeError, match=r"model of a Shop must be a celluler_sim\.population\.ColumnarModel, got Model"
    ):
        Shop(mesa.Model())


def test_memory_is_the_columns_and_one_byte():
    """100,000 rows of 31 bytes take 32 each, before and after leaving, as long as no object is asked for."""
    model = ColumnarModel(seed=1)
    shops = Population(model, Shop)
    tracemalloc.start()
    shops.add(100_000)
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    width = sum(column.dtype.itemsize for column in Shop.columns.values())
    assert width == 31
    assert held < (width + 1) * 100_000 + 20_000
    assert shops.nbytes == (width + 1) * 100_000
    assert (len(model.agents), model.agents.agg("stock", sum)) == (100_000, 500_000)
    assert not shops._views


def test_adding_one_by_one_moves_rows_seldom(town):
    """Growth is by half, so 1,000 single additions move the columns fewer than 20 times."""
    moves, address = 0, None
    for _ in range(1000):
        town.shops.add(1)
        new = town.shops["price"].__array_interface__["data"][0]
        moves, address = moves + (new != address), new
    assert moves < 20
    assert len(town.shops._first_ids) == 2  # ids 1-3, then 6 onwards


class ListModel(RuleBasedStateMachine):
    """Random comings and goings against the simplest model of them: a list of (id, kind, price)."""

    def __init__(self) -> None:
        super().__init__()
        self.model = ColumnarModel(seed=1)
        self.shops = Population(self.model, Shop)
        self.mills = Population(self.model, Mill)
        self.truth: list[list[Any]] = []
        self.ids = 0
        self.saved: tuple[Any, list[int]] | None = None

    def enter(self, kind: str, *prices: float) -> None:
        for price in prices:
            self.ids += 1
            self.truth.append([self.ids, kind, price])

    @rule(prices=st.lists(st.integers(0, 9).map(float), max_size=5))
    def add_shops(self, prices):
        self.shops.add(len(prices), price=prices)
        self.enter("Shop", *prices)

    @rule(n=st.integers(0, 3))
    def add_mills(self, n):
        self.mills.add(n)
        self.enter("Mill", *[0.0] * n)

    @rule(price=st.integers(0, 9).map(float))
    def add_single(self, price):
        Shop(self.model, price=price)
        Guest(self.model, price=price)
        self.enter("Shop", price)
        self.enter("Guest", price)

    @rule(data=st.data())
    @precondition(lambda self: self.truth)
    def remove_one(self, data):
        i = data.draw(st.integers(0, len(self.truth) - 1))
        self.model.agents[i].remove()
        del self.truth[i]

    @rule(price=st.integers(0, 9))
    def remove_many(self, price):
        self.shops.remove(self.shops["price"] == price)
        self.truth = [row for row in self.truth if not (row[1] == "Shop" and row[2] == price)]

    @rule(price=st.integers(0, 9))
    def reprice(self, price):
        self.model.agents.select(agent_type=Shop).set("price", float(price))
        for row in self.truth:
            row[2] = float(price) if row[1] == "Shop" else row[2]

    @rule()
    def save(self):
        self.saved = self.model.agents.shuffle(), [row[0] for row in self.truth]

    @invariant()
    def same(self):
        ids = [row[0] for row in self.truth]
        assert self.model.agents.get("unique_id") == [a.unique_id for a in self.model.agents] == ids
        assert [type(a).__name__ for a in self.model.agents] == [row[1] for row in self.truth]
        assert self.model.agents.get("price", "default", 0.0) == [row[2] for row in self.truth]
        assert len(self.model.agents) == len(self.truth)
        for population, kind in ((self.shops, "Shop"), (self.mills, "Mill")):
            assert population.agents.get("unique_id") == [row[0] for row in self.truth if row[1] == kind]
            assert len(population) == len(population.agents) == np.count_nonzero(population.active)

    @invariant()
    def a_fixed_set_only_loses(self):
        if self.saved is not None:
            found, ids = self.saved
            assert sorted(found.get("unique_id")) == [i for i in ids if any(row[0] == i for row in self.truth)]


ListModel.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestListModel = ListModel.TestCase
