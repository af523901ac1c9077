"""Columns: cells as Python scalars, descriptions, and what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from celluler_sim.population import CellAgent, Column, ColumnarModel
from tests.town import Shop, Town


@pytest.fixture
def town() -> Town:
    return Town(seed=1)


def test_a_cell_is_a_python_scalar_of_the_column(town):
    """agent.price is population["price"][slot], in both directions."""
    shop = town.shops.agent(1)
    assert (shop.price, shop.stock, shop.open, shop.grade, shop.kinds, shop.note) == (2.0, 5, True, 0.0, 0, None)
    assert [type(x) for x in (shop.price, shop.stock, shop.open, shop.grade)] == [float, int, bool, float]
    shop.price, shop.open, shop.note, shop.kinds = 7, False, [1], 2**63
    assert (town.shops["price"][1], town.shops["open"][1], town.shops["note"][1]) == (7.0, False, [1])
    assert town.shops["kinds"][1] == 2**63
    town.shops["stock"][1] = 9
    assert shop.stock == 9


def test_the_class_has_the_description():
    """Class access gives the descriptor with its name, dtype, unit and meaning."""
    assert isinstance(Shop.price, Column)
    assert (Shop.price.name, Shop.price.dtype, Shop.price.default) == ("price", np.float64, 2.0)
    assert (Shop.price.unit, Shop.price.__doc__) == ("PRANA", "price of a loaf")
    assert list(Shop.columns) == ["price", "stock", "open", "grade", "kinds", "note"]


def test_subclasses_inherit_and_redefine_columns():
    """A subclass is a type of its own, with its own population, its base's columns and its own."""

    class Chain(Shop):
        price = Column(np.float32, default=1.0)
        branches = Column(np.int32)
        grade = 3.0

    model = ColumnarModel()
    chain = Chain(model, branches=2)
    Shop(model)
    assert (chain.price, chain.branches, chain.stock, chain.grade) == (1.0, 2, 5, 3.0)
    assert model.population(Chain)["price"].dtype == np.float32
    assert "grade" not in Chain.columns
    assert [len(model.agents_by_type[t]) for t in (Chain, Shop)] == [1, 1]
    assert len(model.agents.select(agent_type=Shop)) == 2


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("price", "dear", TypeError),
        ("price", None, TypeError),
        ("price", [1.0], TypeError),
        ("stock", 1.5, TypeError),
        ("stock", math.nan, TypeError),
        ("stock", 40_000, ValueError),
        ("kinds", -1, ValueError),
        ("open", "no", TypeError),
    ],
)
def test_a_wrong_value_is_refused_everywhere(town, name, value, error):
    """By a cell, a new row, a whole column and AgentSet.set, naming the column; nothing is changed."""
    before = town.shops[name].copy()
    for attempt in (
        lambda: setattr(town.shops.agent(0), name, value),
        lambda: town.shops.add(2, **{name: value}),
        lambda: Shop(town, **{name: value}),
        lambda: town.shops.__setitem__(name, value),
        lambda: town.shops.agents.set(name, value),
    ):
        with pytest.raises((TypeError, ValueError), match=rf"Shop\.{name} must "):
            attempt()
    with pytest.raises(error):
        setattr(town.shops.agent(0), name, value)
    assert (town.shops.size, len(town.agents)) == (3, 5)
    assert_array_equal(town.shops[name], before)


def test_nan_and_narrow_integers_are_fine(town):
    """NaN is a float; integers may come in any integer type that holds the value."""
    town.shops.agent(0).price = math.nan
    assert math.isnan(town.shops["price"][0])
    town.shops.add(2, stock=np.array([1, 2], np.uint64), price=[math.inf, 3], open=np.array([0, 1]))
    assert town.shops["stock"][3:].tolist() == [1, 2]


@pytest.mark.parametrize(("dtype", "default"), [("U8", ""), ("M8[s]", 0), (np.float16, 0), (complex, 0), (">f8", 0)])
def test_columns_that_cannot_be_stored(dtype, default):
    """Only what reads back as a Python bool, int or float, or an object, can be a column."""
    with pytest.raises(TypeError, match="a Column must be bool, integer"):
        Column(dtype, default=default)


def test_bad_declarations():
    """A default that does not fit, and a name that Mesa needs, are refused where they are declared."""
    with pytest.raises(TypeError, match="Column default must be int64, got nan"):
        Column(np.int64, default=math.nan)
    with pytest.raises(TypeError, match=r"Bad\.unique_id must have another name"):
        type("Bad", (CellAgent,), {"unique_id": Column(int)})
