"""The same seed gives the same bytes; what is added or changed leaves everybody else's luck alone."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from celluler_sim.run import simulate
from celluler_sim.tables import TABLES
from tests.economies import economy, run

VARIANTS = "variants={best: ['allocation=welfare'], dominant: ['allocation=drf', 'pricing=posted']}"
FORKS = "consensus.faults=[{kind: equivocation, members: [0, 1], start_s: 30, end_s: 200}]"
WORLDS = [
    ("compute_congestion", ["ticks=12", "record.agents_every=5", "agents.consumers.jobs_per_day=200"]),
    ("price_cycle", ["ticks=6", "agents.providers.count=20", "agents.consumers.count=200", VARIANTS]),
    ("byzantine_validators", ["ticks=5", "consensus.epoch_seconds=120", FORKS, "variants={}"]),
]
AGAIN = """
import sys
from celluler_sim.run import simulate
from tests.test_determinism import WORLDS
for (name, overrides), folder in zip(WORLDS, sys.argv[1:], strict=True):
    simulate(name, overrides, seed=5, folder=folder)
"""


def hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every table of a run and its variants, by path."""
    files = sorted(folder.rglob("*.parquet"))
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_same_seed_same_bytes_in_one_process_and_in_two(tmp_path: Path):
    """Every table of three scenarios, variants and forks among them: twice here, once in another process, seed 6."""
    folders = [[str(tmp_path / f"{when}{k}") for k in range(len(WORLDS))] for when in ("here", "again", "there")]
    for now in folders[:2]:
        for (name, overrides), folder in zip(WORLDS, now, strict=True):
            simulate(name, overrides, seed=5, folder=folder)
    subprocess.run([sys.executable, "-c", AGAIN, *folders[2]], check=True, cwd=Path(__file__).parents[1])
    here, again, there = ([hashes(Path(folder)) for folder in now] for now in folders)
    assert here == again == there
    variants = [0, 2, 0]
    assert [len(found) for found in here] == [len(TABLES) * (1 + n) for n in variants]
    other = simulate(WORLDS[0][0], WORLDS[0][1], seed=6, folder=tmp_path / "other")
    assert other.folder is not None
    differing = {name for name, digest in hashes(other.folder).items() if digest != here[0][name]}
    assert {"jobs.parquet", "fills.parquet", "markets.parquet", "agents.parquet"} <= differing


# ---- one more agent ------------------------------------------------------------------------------------------------

BUSY = {
    "agents.consumers.jobs_per_day": 1500.0,
    "agents.consumers.value_median": 120.0,  # near the price: many think twice
    "agents.consumers.behaviours": {"elastic": 0.7, "strategic_timing": 0.3},
}
BORN = ("born", "amount", "work", "value", "give_up")


def first_tick(world):
    """Return the jobs born in the first tick by (consumer, moment): what they are and when they are looked at again."""
    kept = []
    bear, act = world.demand_side.bear, world.act

    def bearing(tick):
        bear(tick)
        kept.append(world.demand_side.held.alive())

    def acting(tick):
        act(tick)
        kept.append(world.demand_side.held.alive())

    world.demand_side.bear, world.act = bearing, acting
    world.step()
    jobs, postponed = kept
    born = {
        (int(consumer), moment): tuple(float(jobs[name][k]) for name in BORN)
        for k, (consumer, moment) in enumerate(zip(jobs["consumer"], jobs["born"].tolist(), strict=True))
    }
    again = dict(
        zip(
            zip(postponed["consumer"].tolist(), postponed["born"].tolist(), strict=True), postponed["when"], strict=True
        )
    )
    return born, again


def of_others(found, consumer):
    return {key: value for key, value in found.items() if key[0] != consumer}


@pytest.mark.parametrize(
    "workload", [{"name": "generated"}, {"name": "generated", "law": "exponential", "profile": "cluster"}]
)
def test_one_more_consumer_changes_no_other(workload):
    """The 41st consumer is there and has jobs; the other 40 have the traits, jobs and second thoughts they had."""
    before = economy({**BUSY, "workload": workload, "agents.consumers.count": 40})
    after = economy({**BUSY, "workload": workload, "agents.consumers.count": 41})
    for name in ("rate", "weight", "behaviour", "validator"):
        assert after.consumers[name][:40].tolist() == before.consumers[name].tolist()
    for name in ("kind", "capacity", "quality", "energy_cost", "capital_cost", "ask", "behaviour", "validator"):
        assert after.providers[name].tolist() == before.providers[name].tolist()
    (born, again), (born_after, again_after) = first_tick(before), first_tick(after)
    assert of_others(born_after, 40) == born
    assert {consumer for consumer, _ in born_after} - {consumer for consumer, _ in born} == {40}
    assert len(born) > 20
    assert of_others(again_after, 40) == again
    assert len(again) > 5


def test_one_more_provider_changes_no_other():
    """Neither the other providers' traits nor any job."""
    before, after = economy({**BUSY, "agents.providers.count": 8}), economy({**BUSY, "agents.providers.count": 9})
    for name in ("kind", "capacity", "quality", "energy_cost", "capital_cost", "ask", "behaviour", "validator"):
        assert after.providers[name][:8].tolist() == before.providers[name].tolist()
    assert first_tick(after) == first_tick(before)


# ---- common random numbers -----------------------------------------------------------------------------------------


def demand(changes):
    """Return every job's birth, size, value and patience over 20 ticks, and the prices quoted."""
    world, jobs = economy({**BUSY, **changes}), []
    bear = world.demand_side.bear

    def bearing(tick):
        before = world._n_jobs
        bear(tick)
        held = world.demand_side.held.alive()
        new = held["job"] >= before
        jobs.extend(zip(held["consumer"][new], *(held[name][new] for name in BORN), strict=True))

    world.demand_side.bear = bearing
    run(world, 20)
    return np.array(jobs, float), world.market.last_price


def test_another_rule_meets_the_same_demand():
    """Births, sizes, values and patience are those of the world, whatever the price and whoever is served."""
    jobs, price = demand({})
    for changes in (
        {"pricing": {"name": "linear", "base_price": 250.0}},
        {"pricing": {"name": "posted"}, "allocation": {"name": "first_come"}},
        {"agents.consumers.endowment_share": 1e-9, "agents.consumers.patience_s": 3600.0},
    ):
        others, other_price = demand(changes)
        np.testing.assert_array_equal(others, jobs)
        assert (other_price != price) == ("pricing" in changes) or "agents.consumers.endowment_share" in changes
    assert len(jobs) > 300


def test_another_replicate_is_another_world():
    """Same rules, other births; the same replicate of another seed differs as well."""
    jobs, _ = demand({})
    for changes in ({"replicate": 1}, {"seed": 2}):
        others, _ = demand(changes)
        assert not np.isin(others[:, 1], jobs[:, 1]).any()
    again, _ = demand({"replicate": 0})
    np.testing.assert_array_equal(again, jobs)
