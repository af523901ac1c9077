"""What hardware does and costs, by hand and against the published table."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from celluler_sim.errors import ScenarioError
from celluler_sim.workloads.hardware import (
    HARDWARE,
    RENT_PER_EFLOP_USD,
    REPRICE_SECONDS,
    REPRICE_SHARE,
    hardware,
    reprice_rate,
    unit_cost,
)
from celluler_sim.workloads.readers import read_gpu_prices, read_hardware
from tests.shared_data import shared

EPOCH_FLOPS = ("Tensor-FP16/BF16 performance (FLOP/s)", "FP16 (half precision) performance (FLOP/s)")


def test_unit_cost_by_hand():
    """A V100 does 1e18 FLOP in 8,000 s; at 300 W and a PUE of 1.5 that is 1 kWh, at 0.10 dollars 10 PRANA of a cent.

    Over 8,000 s of a life of 8,000 hours a board of 11,500 dollars loses 1/3600 of itself: 3.1944 dollars.
    """
    cost = unit_cost(
        "V100M16", usd_per_prana=0.01, electricity_usd_per_kwh=0.10, pue=1.5, lifetime_years=8000 / (365.25 * 24)
    )
    assert_allclose(cost.energy, [10.0])
    assert_allclose(cost.capital, [319.444444], rtol=1e-6)
    assert_allclose(cost.total, [329.444444], rtol=1e-6)


def test_kinds_by_name_names_and_number_agree():
    """The same kinds, asked for in three ways."""
    names = list(HARDWARE)
    by_number = unit_cost(np.arange(len(names)))
    assert_allclose(unit_cost(names).total, by_number.total)
    assert_allclose(unit_cost(names[3]).total, by_number.total[3:4])


@given(st.floats(1e12, 1e21), st.floats(1e-4, 10), st.floats(1, 3))
def test_cost_is_proportional_to_the_unit_and_the_exchange_rate(unit, prana, pue):
    """A unit twice as large costs twice as much; a token worth half as much, twice as many; power costs by PUE."""
    names = list(HARDWARE)
    one = unit_cost(names, unit_size=unit, usd_per_prana=prana, pue=pue)
    assert_allclose(unit_cost(names, unit_size=2 * unit, usd_per_prana=prana, pue=pue).total, 2 * one.total)
    assert_allclose(unit_cost(names, unit_size=unit, usd_per_prana=prana / 2, pue=pue).total, 2 * one.total)
    assert_allclose(unit_cost(names, unit_size=unit, usd_per_prana=prana, pue=1).energy * pue, one.energy)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"kind": "H1000"}, "'H1000'"),
        ({"kind": np.array([99])}, "from 0 to"),
        ({"usd_per_prana": 0}, "usd_per_prana must be > 0"),
        ({"pue": 0.9}, "pue must be >= 1"),
        ({"lifetime_years": -1}, "lifetime_years must be > 0"),
        ({"electricity_usd_per_kwh": float("nan")}, "electricity_usd_per_kwh"),
    ],
)
def test_what_cannot_be_is_refused(change, says):
    """Unknown kinds and figures out of range are one line."""
    with pytest.raises(ScenarioError, match=says):
        unit_cost(**{"kind": "H200", **change})


def test_repricing_over_half_an_hour_is_the_observed_share():
    """At the rate returned, 0.28 % of providers re-price within half an hour."""
    assert_allclose(-np.expm1(-reprice_rate() * REPRICE_SECONDS), REPRICE_SHARE)


def test_rent_per_unit_of_work_spans_the_stated_range():
    """Renting 1e18 FLOP at peak costs 0.56 dollars on the cheapest kind listed and 1.56 on the dearest."""
    dollars = [k.rent_usd_per_hour / (k.flops * 3600 / 1e18) for k in HARDWARE.values() if k.rent_usd_per_hour > 0]
    assert_allclose([min(dollars), max(dollars)], RENT_PER_EFLOP_USD, atol=0.005)


@pytest.mark.parametrize("name", [k.name for k in HARDWARE.values() if k.epoch_name])
def test_figures_are_those_of_the_published_table(name):
    """FLOP/s, W and price are those of Epoch AI's row, wherever it states them."""
    kind = hardware(name)
    table = read_hardware(shared("data/gpu_market")).set_index("Hardware name")
    row = table.loc[kind.epoch_name]
    stated = [row[column] for column in EPOCH_FLOPS if np.isfinite(row[column])]
    if name != "A10":  # the table lacks its tensor cores
        assert_allclose(kind.flops, stated[0], rtol=1e-3)
    assert_allclose(kind.watts, row["TDP (W)"])
    if np.isfinite(row["Release price (USD)"]):
        assert_allclose(kind.price_usd, row["Release price (USD)"])
    else:
        assert "assumed" in kind.source


def test_rents_are_the_medians_of_the_market():
    """The median asked price of each listed kind, in the marketplace's readings."""
    prices = read_gpu_prices(shared("data/gpu_market"))
    listed = {
        "A100_PCIe": ("A100_80GB", "PCIe"), "A100_SXM4": ("A100_80GB", "SXM4"), "H100_PCIe": ("H100_80GB", "PCIe"),
        "H100_SXM5": ("H100_80GB", "SXM5"), "H200": ("H200_141GB", ""), "B200": ("B200_180GB", ""),
        "GH200": ("GH200_96GB", ""),
    }  # fmt: skip
    for name, (gpu, socket) in listed.items():
        rows = prices[(prices["gpu_type"] == gpu) & (prices["socket_type"] == socket)]
        assert_allclose(hardware(name).rent_usd_per_hour, rows["price_median"].median(), atol=0.005)
