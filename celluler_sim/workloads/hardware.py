"""What computing hardware can do and what a unit of work on it costs.

Figures are data-sheet peaks: dense BF16 tensor FLOP/s where the chip has tensor cores, board power, price at release.
Sources: Epoch AI, Data on Machine Learning Hardware (2024, CC-BY 4.0), and asked rental prices of 14 GPU clouds,
October and November 2025 (gpu-price-tracker by Mazurek, MIT). What neither states is an assumption and says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from celluler_sim.book import Floats, Slots
from celluler_sim.errors import ScenarioError, require

EPOCH = "Epoch AI 2024"
_BY_RENT = f"{EPOCH}; price assumed: the H100 SXM5's, scaled by the median rent"
_SECONDS_PER_YEAR = 365.25 * 86400.0
_JOULES_PER_KWH = 3.6e6


@dataclass(frozen=True)
class Hardware:
    """One kind of hardware."""

    name: str
    flops: float  # FLOP/s, dense, at peak
    watts: float  # W, whole board
    price_usd: float  # US dollars, at release
    rent_usd_per_hour: float  # US dollars an hour, median asked (NaN: not listed)
    source: str  # of the figures, assumptions included
    epoch_name: str = ""  # the row of Epoch AI's table that the figures are from


_H100_PRICE = 33_600.0
_H100_RENT = 2.69


def _by_rent(rent: float) -> float:
    """Return a price for a chip without a published one: dearer to rent, dearer to buy, in proportion."""
    return round(_H100_PRICE * rent / _H100_RENT, -2)


_ALL = (
    Hardware("A100_PCIe", 3.12e14, 300, _by_rent(1.64), 1.64, _BY_RENT, "NVIDIA A100 PCIe"),
    Hardware("A100_SXM4", 3.12e14, 400, 15_000, 1.75, f"{EPOCH}; price of the 40 GB board", "NVIDIA A100 SXM4 40 GB"),
    Hardware("H100_PCIe", 7.56e14, 350, _by_rent(2.39), 2.39, _BY_RENT, "NVIDIA H100 PCIe"),
    Hardware("H100_SXM5", 9.894e14, 700, _H100_PRICE, _H100_RENT, EPOCH, "NVIDIA H100 SXM5 80GB"),
    Hardware("H200", 9.895e14, 700, _by_rent(3.59), 3.59, _BY_RENT, "NVIDIA H200 SXM"),
    Hardware("B200", 2.25e15, 1_000, _by_rent(5.69), 5.69, _BY_RENT, "NVIDIA B200"),
    Hardware("GH200", 9.895e14, 700, _by_rent(1.99), 1.99, _BY_RENT, "NVIDIA GH200"),
    Hardware("V100M16", 1.25e14, 300, 11_500, math.nan, EPOCH, "NVIDIA Tesla V100 SXM2"),
    Hardware("V100M32", 1.25e14, 300, 11_458, math.nan, EPOCH, "NVIDIA Tesla V100 SXM2 32 GB"),
    Hardware("P100", 1.87e13, 250, 5_699, math.nan, f"{EPOCH}; FP16, it has no tensor cores", "NVIDIA P100"),
    Hardware("T4", 6.513e13, 70, 2_300, math.nan, f"{EPOCH}; FP16 tensor; price assumed", "NVIDIA Tesla T4"),
    Hardware("A10", 1.25e14, 150, 2_800, math.nan, f"{EPOCH}; FLOP/s: NVIDIA's data sheet", "NVIDIA A10 PCIe"),
    Hardware("G2", 1.25e14, 150, 2_800, math.nan, "undisclosed model of gpu_cluster_2023; assumed to be like the A10"),
    Hardware("G3", 3.12e14, 400, 15_000, math.nan, "undisclosed model of gpu_cluster_2023; assumed like the A100"),
    Hardware("CPU", 5.0e10, 5, 100, math.nan, "one core of a server processor; all figures assumed"),
)
HARDWARE: dict[str, Hardware] = {kind.name: kind for kind in _ALL}
"""Every known kind by its name; G2 and G3 are models that the publisher of the cluster trace does not disclose."""

REPRICE_SHARE = 0.0028
REPRICE_SECONDS = 1800.0
"""Of the readings half an hour apart, 0.28 % saw a provider change its price (71 of 25,463): asks are sticky."""

RENT_PER_EFLOP_USD = (0.56, 1.56)
"""US dollars for 1e18 FLOP at peak, at the median asked rent: from the cheapest kind (GH200) to the dearest (A100)."""


def reprice_rate() -> float:
    """Return how often a provider re-prices, per second: the Poisson rate that gives the observed share.

    >>> round(1 / reprice_rate() / 86400, 1)  # days between two re-pricings
    7.4
    """
    return -math.log1p(-REPRICE_SHARE) / REPRICE_SECONDS


class UnitCost(NamedTuple):
    """What one unit of work costs its provider, PRANA."""

    energy: Floats  # (n,) PRANA per unit
    capital: Floats  # (n,) PRANA per unit, straight-line over the lifetime at full use

    @property
    def total(self) -> Floats:
        """Return energy and capital together, PRANA per unit, (n,)."""
        return self.energy + self.capital


def unit_cost(
    kind: str | Sequence[str] | Slots,
    *,
    unit_size: float = 1e18,
    usd_per_prana: float = 0.01,
    electricity_usd_per_kwh: float = 0.10,
    pue: float = 1.3,
    lifetime_years: float = 4.0,
) -> UnitCost:
    """Return the energy and the capital in one unit of work on each kind of hardware.

    A unit takes ``unit_size / flops`` seconds, in which the board draws ``watts * pue`` and wears off
    ``price / lifetime`` of itself.

    Parameters
    ----------
    kind
        A name, names, or (n,) indices into `HARDWARE`'s order.
    unit_size
        FLOP in a unit.
    usd_per_prana
        Exchange rate, US dollars.
    electricity_usd_per_kwh
        US dollars.
    pue
        Power usage effectiveness: power of the data centre over that of its computers, >= 1.
    lifetime_years
        Years after which the board is worth nothing.

    Raises
    ------
    ScenarioError
        If a parameter is out of range or a kind is unknown.

    Examples
    --------
    An H100 draws 700 W for 1,011 s: 0.197 kWh for 1e18 FLOP, at 0.10 dollars 0.0197 dollars.

    >>> round(float(unit_cost("H100_SXM5", usd_per_prana=1.0, pue=1.0).energy[0]), 4)
    0.0197
    """
    require("unit_size", unit_size, above=0, unit="FLOP")
    require("usd_per_prana", usd_per_prana, above=0, unit="US dollars")
    require("electricity_usd_per_kwh", electricity_usd_per_kwh, at_least=0, unit="US dollars")
    require("pue", pue, at_least=1)
    require("lifetime_years", lifetime_years, above=0, unit="years")
    chosen = _chosen(kind)
    seconds = unit_size / np.array([k.flops for k in chosen])
    watts = np.array([k.watts for k in chosen]) * pue
    dollars = np.array([k.price_usd for k in chosen])
    energy = seconds * watts / _JOULES_PER_KWH * electricity_usd_per_kwh
    capital = seconds * dollars / (lifetime_years * _SECONDS_PER_YEAR)
    return UnitCost(energy / usd_per_prana, capital / usd_per_prana)


def hardware(name: str) -> Hardware:
    """Return one kind by name; an unknown one raises `ScenarioError` with the names there are."""
    if name not in HARDWARE:
        raise ScenarioError(f"hardware must be one of {', '.join(HARDWARE)}, got {name!r}")
    return HARDWARE[name]


def _chosen(kind: str | Sequence[str] | Slots) -> list[Hardware]:
    if isinstance(kind, str):
        return [hardware(kind)]
    if isinstance(kind, np.ndarray) and kind.dtype.kind in "iu":
        if len(kind) and not 0 <= kind.min() <= kind.max() < len(_ALL):
            raise ScenarioError(f"a kind of hardware must be from 0 to {len(_ALL) - 1}, got {kind.min()}, {kind.max()}")
        return [_ALL[k] for k in kind]
    return [hardware(str(name)) for name in kind]
