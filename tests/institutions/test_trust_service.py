"""The load at which a job was served, which sets how late its answer came."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from celluler_sim.institutions.trust import StandardTrust
from celluler_sim.institutions.trust_service import ServiceBook, sum_before


def test_sums_by_hand():
    """Provider 3 has 2 units from 10 s and 5 more from 20 s; provider 7 has 1 from 15 s."""
    who, at, quantity = np.array([7, 3, 3]), np.array([15.0, 20.0, 10.0]), np.array([1.0, 5.0, 2.0])
    provider, when = np.array([3, 3, 3, 7, 9]), np.array([5.0, 20.0, 25.0, 15.0, 99.0])
    assert sum_before(who, at, quantity, provider, when, side="right").tolist() == [0.0, 7.0, 7.0, 1.0, 0.0]
    assert sum_before(who, at, quantity, provider, when, side="left").tolist() == [0.0, 2.0, 7.0, 0.0, 0.0]


def test_what_has_ended_is_no_load():
    """Of 10 units 2 run on; 5 ended at 540 s, when 3 more ran until 700 s: those met a load of 10, these of 5."""
    one = np.zeros(1, np.int64)
    runs_on = {"provider": one, "quantity": np.array([2.0]), "start": np.array([100.0]), "end": np.array([5000.0])}
    ended = {
        "provider": np.zeros(2, np.int64), "quantity": np.array([5.0, 3.0]), "start": np.array([480.0, 300.0]),
        "end": np.array([540.0, 700.0]),
    }  # fmt: skip
    economy = SimpleNamespace(
        market=SimpleNamespace(fills=runs_on, _released=ended), providers={"capacity": np.array([20.0])},
        setup=SimpleNamespace(tick_seconds=600.0), steps=2,
    )  # fmt: skip
    book = ServiceBook(economy, StandardTrust(servers=1.0, service_ms=100.0))  # type: ignore[arg-type]
    assert book.latency(ended["provider"], ended["end"]) == pytest.approx([200.0, 100.0 / 0.75])
