"""The economy as a whole: what random worlds obey, the figures of one worked by hand, and Mesa's API on it."""

from __future__ import annotations

import mesa
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from numpy.testing import assert_allclose

from celluler_sim.agents.consumer import Consumer
from celluler_sim.agents.provider import Provider
from celluler_sim.economy import Economy
from celluler_sim.results import Tables
from tests.economies import economy, run, tables, worlds
from tests.test_money import check_books, check_tables

# ---- what every world obeys ----------------------------------------------------------------------------------------


def check_capacity(world: Economy, rows: Tables) -> None:
    """No provider ever delivers more than its capacity, at any moment between two ticks."""
    fills = rows["fills"]
    for provider, mine in fills.groupby("provider"):
        moments = np.concatenate([mine["start_s"], mine["end_s"]])
        change = np.concatenate([mine["quantity"], -mine["quantity"]])
        order = np.lexsort((change, moments))  # at one moment, what ends makes room for what begins
        busy = np.cumsum(change[order])
        assert busy.max() <= world.providers["capacity"][provider] * (1 + 1e-6)
        assert world.providers["quality"][provider] >= world.setup.market.min_quality


def check_jobs(world: Economy, rows: Tables) -> None:
    """Every job born is written down once, and what it got is what it asked for."""
    jobs, setup = rows["jobs"], world.setup.agents.consumers
    assert jobs["job"].tolist() == list(range(len(jobs)))
    begun = jobs[jobs["started_s"].notna()]
    assert set(begun["status"]) <= {"finished", "running"}
    assert set(jobs["status"][jobs["started_s"].isna()]) <= {"reneged", "refused", "expired", "waiting"}
    assert (begun["started_s"] >= begun["submitted_s"]).all()
    assert (begun["submitted_s"] >= begun["born_s"]).all()
    assert (begun["granted"] <= begun["amount"] * (1 + 1e-6)).all()
    assert (begun["granted"] >= begun["amount"] * setup.min_share * (1 - 1e-6)).all()
    assert (begun["price_prana"] <= begun["value_prana"] * (1 + 1e-8)).all()
    assert_allclose(begun["paid_prana"], begun["price_prana"] * begun["work"])
    done = jobs[jobs["status"] == "finished"]
    assert_allclose(done["finished_s"] - done["started_s"], done["work"] / done["granted"], rtol=1e-6, atol=1e-6)
    per_job = rows["fills"].groupby("job")[["quantity", "work"]].sum()
    assert per_job.index.tolist() == begun["job"].tolist()
    assert_allclose(per_job["quantity"], begun["granted"])
    assert_allclose(per_job["work"], begun["work"])


def check_counts(world: Economy, rows: Tables) -> None:
    """The market's counters add up to what the tables of jobs, fills and transactions hold."""
    m, jobs, transactions = rows["markets"], rows["jobs"], rows["transactions"]
    status = jobs["status"].value_counts().to_dict()
    for counter in ("finished", "reneged", "expired", "refused"):
        if counter != "expired":  # offers expire as well
            assert m[counter].sum() == status.get(counter, 0)
    assert m["granted"].sum() == jobs["started_s"].notna().sum()
    assert m["submitted"].sum() == jobs["submitted_s"].notna().sum()
    requests = transactions[transactions["kind"] == "request"]
    assert m["ordered"].sum() == (requests["order"] >= 0).sum()
    assert status.get("expired", 0) == (requests["order"] < 0).sum()
    assert sorted(transactions["order"][transactions["order"] >= 0]) == list(range((transactions["order"] >= 0).sum()))
    assert m["utilisation"].between(0, 1 + 1e-9).all()
    assert m["window_utilisation"].between(0, 1).all()
    assert m["queue"].iloc[-1] == len(world.market.waiting)


def test_random_worlds_obey_the_rules_of_the_market():
    """Capacity, patience, prices and counters, in twelve random worlds of 60 ticks."""

    @settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(worlds())
    def play(drawn):
        changes, consensus = drawn
        world = run(economy(changes, **({"consensus": consensus} if consensus else {})), 60)
        rows = tables(world)
        check_capacity(world, rows)
        check_jobs(world, rows)
        check_counts(world, rows)

    play()
