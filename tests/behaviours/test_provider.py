"""What providers ask, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from celluler_sim.agents.config import ProviderConfig
from celluler_sim.agents.provider import asks, revised_markup
from celluler_sim.behaviours.provider import Markup, Truthful
from celluler_sim.economy import Economy
from celluler_sim.errors import MechanismError
from celluler_sim.scenario import compose

COST = np.array([30.0, 40.0, 50.0])


def test_truthful_and_markup():
    """Unit cost, or a fifth more."""
    assert Truthful().ask(COST, np.full(3, 0.2)).tolist() == [30.0, 40.0, 50.0]
    assert Markup().ask(COST, np.full(3, 0.5)).tolist() == [45.0, 60.0, 75.0]


def test_each_provider_by_its_own_strategy():
    """The first and the last add half, the second is truthful; a strategy that nobody follows is no trouble."""
    rules = [Markup(), Truthful(), Markup()]
    assert asks(COST, np.full(3, 0.5), np.array([0, 1, 0]), rules).tolist() == [45.0, 40.0, 75.0]


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
        asks(COST, np.full(3, 0.2), np.zeros(3, int), [Odd()], 9)


def test_a_mark_up_follows_own_use():
    """At response 2 and a target of a half: full use multiplies by e, half leaves it, none divides by e."""
    config = ProviderConfig(markup_response=2.0, target_use=0.5)
    assert revised_markup(np.full(3, 0.1), np.array([1.0, 0.5, 0.0]), config) == pytest.approx(
        [0.1 * np.e, 0.1, 0.1 / np.e]
    )


def test_asks_move_only_where_mark_ups_follow_use():
    """In an idle market revised asks of mark-up sellers fall below cost plus a fifth; without response they stay."""

    def asked(response: float) -> np.ndarray:
        economy = Economy(
            compose(
                "compute_congestion",
                ["ticks=30", "agents.providers.count=20", "agents.consumers.count=1", "consensus=fifo",
                 "agents.providers.behaviours={markup: 1.0}", f"agents.providers.markup_response={response}",
                 "agents.providers.reprice_per_half_hour=0.99"],
            )
        )  # fmt: skip
        for _ in range(30):
            economy.step()
        p = economy.providers
        return p["ask"] / (p["energy_cost"] + p["capital_cost"])

    assert asked(0.0) == pytest.approx(1.2)
    assert (asked(1.0)[:20] < 1.2).mean() > 0.5
