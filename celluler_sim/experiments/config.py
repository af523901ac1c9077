"""What a scenario may say about the experiments that are made with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from celluler_sim.errors import ScenarioError, require


@dataclass(frozen=True, kw_only=True)
class SensitivityConfig:
    """Which keys are varied over which ranges, to see which of them a figure depends on."""

    method: Literal["sobol", "morris", "pawn"] = (
        "sobol"  # variance decomposition, elementary effects, or whole distributions
    )
    keys: dict[str, tuple[float, float]] = field(default_factory=dict)  # numeric keys with the ends of their ranges
    samples: int = 64  # base samples N: sobol runs N (k + 2) points for k keys, morris N (k + 1), pawn N
    figures: tuple[str, ...] = (
        "mean_price_prana",
        "mean_utilisation",
        "mean_wait_s",
        "served_share",
        "welfare_prana",
    )  # looked at
    replicates: int = 1  # worlds at every point, the same ones everywhere; the mean over them is analysed
    levels: int = 4  # of morris: grid levels of each range, even
    slices: int = 10  # of pawn: parts that each range is cut into
    second_order: bool = False  # of sobol: indices of pairs as well, for N (2k + 2) points

    def __post_init__(self) -> None:
        """Check ranges."""
        require("sensitivity.samples", self.samples, at_least=2)
        require("sensitivity.replicates", self.replicates, at_least=1)
        require("sensitivity.levels", self.levels, at_least=2)
        require("sensitivity.slices", self.slices, at_least=2)
        if self.levels % 2:
            raise ScenarioError(f"sensitivity.levels must be even, got {self.levels}")
        for name, (low, high) in self.keys.items():
            if not low < high:
                raise ScenarioError(
                    f"sensitivity.keys.{name} must be a range [low, high] with low < high, got [{low}, {high}]"
                )
