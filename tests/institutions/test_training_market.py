"""The training market's parts: prices and data's worth by hand, plans, trainers' records, bad input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from celluler_sim.agents.data_provider import SHARDS, coverage, data_columns
from celluler_sim.agents.trainer import Trainer, chosen_trainer, planned_accelerators
from celluler_sim.agents.training_config import DataProviderConfig, TrainerConfig
from celluler_sim.columnar import ColumnarModel
from celluler_sim.errors import ScenarioError
from celluler_sim.institutions.training import TrainingMarket
from celluler_sim.institutions.training_data import DataWorth, share_data_worth
from celluler_sim.institutions.training_orders import plan_training
from celluler_sim.institutions.training_prices import ModelPrices
from celluler_sim.mechanisms.coalitions import masks_of
from celluler_sim.mechanisms.sharing import Shapley
from celluler_sim.population import Population
from celluler_sim.scenario import compose
from celluler_sim.streams import Streams
from celluler_sim.workloads.training_fitted import TASKS, task
from celluler_sim.workloads.training_laws import LearningCurve, PowerLaw, ScalingLaw


def shard_matrix(shards):
    """Return which parts each set has, (n, SHARDS)."""
    return (shards[:, None] >> np.arange(SHARDS, dtype=np.uint64)) & np.uint64(1) == 1


def test_price_by_hand():
    """2 hours at 1,000: all met 1.2 * 1.1 = 2,640; latency twice as agreed 0.8 of it; half the quality 1.1 not 1.2."""
    rule = ModelPrices()
    assert_allclose(rule.price(2.0, 0.8, [0.8, 0.9, 0.4], 1.0, 1.0), [2640.0, 2640.0, 2420.0])
    assert_allclose(rule.price(2.0, 0.8, [0.8], 2.0, 1.0), [2112.0])
    assert_allclose(rule.price(2.0, 0.8, [0.8], 1.0, 2.0), [2520.0])  # twice the energy: half of the premium


@settings(max_examples=40)
@given(st.floats(0.05, 1), st.floats(0, 1), st.floats(0, 1), st.sampled_from(["product", "mean", "additive_premiums"]))
def test_a_better_model_is_never_cheaper(wanted, a, b, reading):
    """The price rises with the quality up to the one ordered and is flat beyond it."""
    low, high = ModelPrices(reading=reading).price(1.0, wanted, sorted([a, b]), 1.2, 0.9)
    assert low <= high
    assert ModelPrices(reading=reading).price(1.0, wanted, [1.0], 1.2, 0.9)[0] >= high


def test_learning_curve_by_hand_and_backwards():
    """A floor of 0.1 and 0.2 / x: error 0.3 at 1, 0.5 at a half; a quarter of the data doubles the excess."""
    curve = LearningCurve(0.1, 0.2, 1.0, 0.0, 0.5)
    assert_allclose(curve.error(np.array([1.0, 0.5])), [0.3, 0.5])
    assert_allclose(curve.error(np.array([1.0]), 0.25), [0.5])
    assert_allclose(curve.training(np.array([0.3, 0.5])), [1.0, 0.5])
    assert np.isinf(curve.training(np.array([0.1, 0.05]))).all()


@settings(max_examples=60)
@given(st.sampled_from(sorted(TASKS)), st.floats(0.05, 3), st.floats(0.05, 1))
def test_training_and_quality_are_inverse(name, x, data):
    """Training to a quality gives that quality, for every task and share of data."""
    kind = TASKS[name]
    quality = kind.quality(np.array([x]), data)
    if 0 < quality[0] < 1:
        assert_allclose(kind.quality(kind.training(quality, data), data), quality, rtol=1e-9)


def test_scaling_and_power_by_hand():
    """Slope -1, no curvature: 16 machines take half; 1,000 W on 8 for an hour are 8 kWh."""
    law = ScalingLaw(100.0, -1.0, 0.0)
    assert_allclose(law.time(np.array([8.0, 16.0])), [100.0, 50.0])
    assert_allclose(law.accelerator_hours(np.array([8.0, 16.0])), 800 / 3600)
    assert_allclose(PowerLaw(1000.0, 0.0).energy(np.array(8.0), np.array(3600.0)), 8.0)


@pytest.mark.parametrize("name", sorted(TASKS))
def test_more_machines_are_never_slower_and_never_cheaper(name):
    """Over the sizes that trainers rent, time falls and accelerator-hours rise from 8 on."""
    kind = task(name)
    sizes = np.array([n for n in (4.0, 8.0, 16.0, 32.0, 64.0) if n <= kind.most_accelerators])
    assert (np.diff(kind.scaling.time(sizes)) < 0).all()
    assert (np.diff(kind.scaling.accelerator_hours(sizes[1:])) > 0).all()


def test_plan_takes_the_cheapest_machine_that_is_in_time():
    """Hours 2, 3, 5 and times 90, 40, 20: by 100 s the first, by 50 s the second, by 10 s none."""
    hours, seconds = np.array([2.0, 3.0, 5.0]), np.array([90.0, 40.0, 20.0])
    assert [planned_accelerators(hours, seconds, d) for d in (100.0, 50.0, 10.0)] == [0, 1, None]


def test_plans_say_why_there_is_none():
    """A quality above the curve's ceiling, or more training than allowed: quality; no time: deadline."""
    kind = task("resnet")
    given_ = {"most_accelerators": 64, "most_training": 3.0, "unit_size": 1e18}
    assert plan_training(task("bert"), 0.9, 1.0, deadline_s=1e6, **given_) == "quality"
    assert plan_training(kind, kind.target, 0.01, deadline_s=1e6, **given_) == "quality"
    assert plan_training(kind, kind.target, 1.0, deadline_s=1.0, **given_) == "deadline"
    plan = plan_training(kind, kind.target, 1.0, deadline_s=1e6, **given_)
    assert_allclose(plan.training, 1.0, rtol=1e-6)
    assert_allclose(plan.work, plan.amount * plan.seconds)
    assert_allclose(plan.amount, plan.accelerators * 9.894e-4)


def test_data_worth_by_hand():
    """Sets of half, the same half, and the other half; price 100 * data: 25, 25 and 50 of the 100."""
    half = np.uint64(2**32 - 1)
    worth = DataWorth(np.array([half, half, ~half]), 1e-9, lambda data: 100.0 * np.asarray(data))
    whole, shares = share_data_worth(worth, Shapley(), np.random.default_rng(1))
    assert_allclose(whole, 100.0)
    assert_allclose(shares.value, [25.0, 25.0, 50.0])
    assert_allclose(coverage(worth.sets, np.array([0b011, 0b101, 0], np.uint64)), [0.5, 1.0, 0.0])


def test_coverage_is_the_union_set_by_set():
    """Over 70 random sets, coalitions of two words: as counted in Python's own sets."""
    rng = np.random.default_rng(5)
    shards = rng.integers(0, 2**63, 70, dtype=np.uint64) & rng.integers(0, 2**63, 70, dtype=np.uint64)
    who = rng.random((20, 70)) < 0.05
    parts = [{k for k in range(SHARDS) if int(s) >> k & 1} for s in shards]
    expected = [len(set().union(*(parts[i] for i in np.flatnonzero(row)))) / SHARDS for row in who]
    assert_allclose(coverage(shards, masks_of(who)), expected)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([1, 3, 12, 40, 70]), st.floats(0.01, 1.0))
def test_data_never_adds_less_than_nothing(seed, n, public):
    """Whatever the sets, shares are not negative, and sum to what all of them add."""
    config = DataProviderConfig(count=n, copies=0.3)
    columns = data_columns(config, Streams(seed), [1.0], 3)
    sets = shard_matrix(columns["shards"])
    assert (sets.any(axis=1)).all()
    copy = columns["copy_of"]
    assert all((sets[i] == sets[copy[i]]).all() for i in np.flatnonzero(copy >= 0))
    kind = task("resnet")
    worth = DataWorth(columns["shards"], public, lambda data: kind.quality(np.ones(np.shape(data)), data))
    whole, shares = share_data_worth(worth, Shapley(tolerance=0.05), np.random.default_rng(seed))
    assert whole >= 0
    assert (shares.value >= -1e-9).all()
    assert_allclose(shares.value.sum(), whole, atol=1e-9)


def test_a_trainer_with_a_bad_record_is_seldom_taken():
    """After 20 refusals against 20 sales elsewhere, the one that was caught gets less than 1 % of 2,000 orders."""
    trainers = Population(ColumnarModel(seed=1), Trainer)
    trainers.add(2, sold=[0, 20], caught=[20, 0], overstatement=[0.05, 0.0])
    uniform = np.random.default_rng(3).random((2000, 2))
    chosen = [chosen_trainer(trainers, TrainerConfig(), 0.7, u) for u in uniform]
    assert chosen.count(0) < 20
    trainers["running"][:] = 4
    assert chosen_trainer(trainers, TrainerConfig(), 0.7, uniform[0]) is None


BAD = {
    "training.folds=3": "unknown key training.folds",
    "training.validation.folds=1": "training.validation.folds must be >= 2",
    "training.validation.folds=12": "training.validators must be >= 22",
    "training.validation.significance=0": "training.validation.significance must be > 0",
    "training.validation.test=chi": "training.validation.test must be one of t, normal",
    "training.tasks={bertt: 1}": "training.tasks must name some of",
    "training.tasks={bert: 0}": "training.tasks must give a positive share",
    "training.trainers.overstatement=1": "training.trainers.overstatement must be >= 0 and < 1",
    "training.trainers.count=0": "training.trainers.count must be >= 1",
    "training.consumers.training_low=2": "training.consumers.training_high must be >= training_low (2), got 1",
    "training.data_providers.copies=1.5": "training.data_providers.copies must be >= 0 and <= 1",
    "training.public_data=0": "training.public_data must be > 0 and <= 1",
    "training.prices.reading=sum": "training.prices.reading must be one of",
    "training.pays=luck": "training.pays must be one of score, claim",
    "training=markt": "training must be one of market, none",
}


@pytest.mark.parametrize("override", BAD)
def test_bad_input_is_one_line_that_names_the_key(override):
    """What cannot be is refused before anything runs, by key, rule and value."""
    with pytest.raises(ScenarioError) as refusal:
        compose("ai_training", [override])
    assert BAD[override] in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_defaults_are_the_seeds():
    """Base 1000, accuracy 1.2, latency 0.8, energy efficiency 1.1, paid by the mean of the folds."""
    rule = TrainingMarket()
    prices = rule.prices
    figures = prices.base_price, prices.accuracy_multiplier, prices.latency_multiplier, prices.energy_multiplier
    assert figures == (1000.0, 1.2, 0.8, 1.1)
    assert rule.pays == "score"
