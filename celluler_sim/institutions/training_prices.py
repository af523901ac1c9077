"""What a model costs: the training that was ordered, at the base price, times what its qualities deserve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Floats
from celluler_sim.errors import ScenarioError, require
from celluler_sim.mechanisms.performance import Performance, Quality
from celluler_sim.mechanisms.pricing import READINGS, Reading


@dataclass(frozen=True, kw_only=True)
class ModelPrices:
    """The rule `performance` for models: per accelerator-hour ordered, with the quality ordered as the target."""

    base_price: float = 1_000.0  # PRANA per accelerator-hour that the quality ordered takes on 8 H100 with all data
    accuracy_multiplier: float = 1.2  # on the price where the quality ordered is reached
    latency_multiplier: float = 0.8  # on the price where latency is twice what was agreed, or worse
    energy_multiplier: float = 1.1  # on the price where the training takes no more energy than on the reference machine
    reading: Reading = "product"  # how the multipliers make one factor

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("base_price", "accuracy_multiplier", "latency_multiplier", "energy_multiplier"):
            require(f"training.prices.{name}", getattr(self, name), above=0)
        if self.reading not in READINGS:
            raise ScenarioError(f"training.prices.reading must be one of {', '.join(READINGS)}, got {self.reading!r}")

    def price(
        self, hours: float, wanted: float, quality: npt.ArrayLike, latency: float, energy: float
    ) -> Floats:  # fmt: skip
        """Return the price of one order at each quality that it may come to, shape of ``quality``, PRANA.

        Parameters
        ----------
        hours
            Accelerator-hours that the quality ordered takes on the reference machine with all data.
        wanted
            The quality ordered.
        latency
            The model's latency over the one agreed.
        energy
            The energy of its training over the reference machine's for as much training.
        """
        rule = Performance(
            base_price=self.base_price, accuracy_multiplier=self.accuracy_multiplier,
            latency_multiplier=self.latency_multiplier, energy_multiplier=self.energy_multiplier,
            accuracy_target=wanted, latency_target_ms=1.0, energy_target=1.0, reading=self.reading,
        )  # fmt: skip
        q = np.asarray(quality, dtype=np.float64)
        m = q.size
        achieved = Quality(
            accuracy=q.ravel(), latency_ms=np.full(m, latency), energy_efficiency=np.full(m, 1.0 / max(energy, 1e-9))
        )
        return hours * rule.prices(achieved).reshape(q.shape)
