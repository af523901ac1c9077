"""What the page asks for: scenario, rules and numbers, turned into overrides as on the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from celluler_sim.audit.conditions import number
from celluler_sim.errors import require

if TYPE_CHECKING:
    from celluler_sim.scenario import Scenario

AS_IT_IS = "as in the scenario"
GROUPS = ("pricing", "allocation", "consensus")


@dataclass(frozen=True)
class Slider:
    """One number that the page lets people move."""

    key: str
    label: str
    low: float
    high: float
    step: float
    whole: bool = False

    def start(self, scenario: Scenario) -> float:
        """Return the scenario's own value, kept within the slider."""
        return min(max(number(scenario, self.key), self.low), self.high)

    def override(self, value: float) -> str:
        """Return the override that sets the key; `ScenarioError` beyond the slider's ends."""
        require(self.key, value, at_least=self.low, at_most=self.high)
        return f"{self.key}={round(value) if self.whole else value}"


SLIDERS = (
    Slider("ticks", "ticks", 10, 5_000, 10, whole=True),
    Slider("agents.providers.count", "providers", 5, 1_000, 5, whole=True),
    Slider("agents.consumers.count", "consumers", 10, 10_000, 10, whole=True),
    Slider("pricing.base_price", "base price, PRANA per unit", 5, 500, 5),
    Slider("agents.consumers.value_median", "median value, PRANA per unit", 20, 1_000, 10),
    Slider("agents.consumers.patience_s", "mean patience, s", 60, 14_400, 60),
    Slider("seed", "seed", 1, 1_000, 1, whole=True),
)


def overrides(
    scenario: Scenario, rules: Mapping[str, str], numbers: Mapping[str, float], *, base_price: bool = True
) -> list[str]:
    """Return what differs from the scenario: rules chosen, numbers moved.

    Parameters
    ----------
    rules
        Option by family; `AS_IT_IS` leaves the scenario's own.
    numbers
        Value by key of `SLIDERS`.
    base_price
        Whether the pricing rule has a base price to set.
    """
    changed = [f"{family}={option}" for family, option in rules.items() if option != AS_IT_IS]
    for slider in SLIDERS:
        value = numbers.get(slider.key)
        if value is None or value == slider.start(scenario) or (slider.key == "pricing.base_price" and not base_price):
            continue
        changed.append(slider.override(value))
    return changed
