"""What providers ask, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from celluler_sim.agents.provider import asks
from celluler_sim.behaviours.provider import Markup, Truthful
from celluler_sim.errors import MechanismError

COST = np.array([30.0, 40.0, 50.0])


def test_truthful_and_markup():
    """Unit cost, or a fifth more."""
    assert Truthful().ask(COST, np.full(3, 0.2)).tolist() == [30.0, 40.0, 50.0]
    assert Markup().ask(COST, np.full(3, 0.5)).tolist() == [45.0, 60.0, 75.0]


def test_each_provider_by_its_own_strategy():
    """The first and the last add half, the second is truthful; a strategy that nobody follows is no trouble."""
    rules = [Markup(), Truthful(), Markup()]
    assert asks(COST, 0.5, np.array([0, 1, 0]), rules).tolist() == [45.0, 40.0, 75.0]


@pytest.mark.parametrize("answer", [np.nan, -1.0, np.inf, np.ones(2)])
def test_an_ask_must_be_a_price(answer):
    """NaN, less than nothing, infinity and a price too few are refused with rule and tick."""

    class Odd:
        name = "odd"

        def ask(self, unit_cost, markup):
            return answer if np.ndim(answer) else unit_cost * answer

    with pytest.raises(
        MechanismError, match=r"^provider_behaviour=odd must ask 3 finite prices >= 0, got .* at tick 9$"
    ):
        asks(COST, 0.2, np.zeros(3, int), [Odd()], 9)
