"""Consumers' traits, and the value and patience of their jobs: distributions and identities."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from celluler_sim.agents.config import ConsumerConfig
from celluler_sim.agents.consumer import ConsumerMaker, appraise, decide, job_draws
from celluler_sim.behaviours.consumer import Elastic, Outlook, Truthful, Wants
from celluler_sim.book import ANY_KIND
from celluler_sim.errors import ScenarioError
from celluler_sim.streams import Streams
from celluler_sim.workloads.base import Jobs

N = 20_000


def maker(seed=1, **config):
    return ConsumerMaker(ConsumerConfig(**config), Streams(seed), 5)


def jobs(n, *, value=np.nan, patience=np.nan, consumers=100):
    rng = np.random.default_rng(0)
    return Jobs(
        rng.integers(consumers, size=n), np.sort(rng.random(n) * 60), np.ones(n), np.ones(n), np.full(n, patience),
        np.full(n, value), np.full(n, ANY_KIND), np.zeros((n, 0)),
    )  # fmt: skip


def test_traits_have_the_configured_means():
    """12 jobs a day and weight 1 on average, with coefficients of variation 1 and 0.5; three in four are elastic."""
    made = maker(jobs_per_day=12.0, behaviours={"elastic": 3.0, "truthful": 1.0}).make(N)
    assert_allclose(made["rate"].mean() * 86_400, 12.0, rtol=0.03)
    assert_allclose(made["rate"].std() / made["rate"].mean(), 1.0, rtol=0.06)
    assert_allclose(made["weight"].mean(), 1.0, rtol=0.02)
    assert_allclose(made["weight"].std(), 0.5, rtol=0.05)
    assert_allclose(np.bincount(made["behaviour"]) / N, [0.75, 0.25], atol=0.02)
    assert stats.chisquare(np.bincount(made["validator"], minlength=5)).pvalue > 1e-4


def test_endowments_sum_to_their_share():
    """0.6 of the supply, unequal by the configured spread; without spread all hold the same."""
    held = maker(endowment_share=0.6).endowments(N, 1e9)
    assert_allclose(held.sum(), 6e8)
    assert_allclose(held.std() / held.mean(), 0.5, rtol=0.05)
    assert_allclose(maker(endowment_share=0.6, endowment_cv=0.0).endowments(4, 1e9), [1.5e8] * 4)
    for seed in range(50):  # all PRANA is never more than all PRANA
        assert sum(map(float, maker(seed, endowment_share=1.0).endowments(7, 1e9))) <= 1e9


@pytest.mark.parametrize("name", ["rate", "weight", "behaviour", "validator"])
def test_one_more_consumer_leaves_the_others_as_they_are(name):
    """The first 1,000 of 1,001 are those of 1,000."""
    assert maker().make(1001)[name][:1000].tolist() == maker().make(1000)[name].tolist()


def test_value_and_patience_have_their_laws():
    """Lognormal around the median, exponential with its mean, independent of each other."""
    config = ConsumerConfig(value_median=220.0, value_cv=0.7, patience_s=3600.0)
    value, patience = appraise(jobs(N), config, Streams(1))
    sigma = np.sqrt(np.log(1 + 0.7**2))
    assert stats.kstest(np.log(value / 220.0) / sigma, "norm").pvalue > 1e-4
    assert stats.kstest(patience / 3600.0, "expon").pvalue > 1e-4
    assert abs(stats.spearmanr(value, patience).statistic) < 5 / np.sqrt(N)


def test_what_the_workload_says_stands():
    """A trace's own value and patience are taken; without spread all values are the median."""
    value, patience = appraise(jobs(5, value=7.0, patience=3.0), ConsumerConfig(), Streams(1))
    assert (value.tolist(), patience.tolist()) == ([7.0] * 5, [3.0] * 5)
    assert_allclose(appraise(jobs(5), ConsumerConfig(value_cv=0.0, value_median=9.0), Streams(1))[0], 9.0)


def test_a_job_keeps_its_luck_whoever_is_born_beside_it():
    """A draw depends on the consumer and the moment of birth: half of the jobs draw what they drew among all."""
    batch = jobs(200)
    whole = job_draws(Streams(1), "x", batch.consumer, batch.born, 3)
    half = job_draws(Streams(1), "x", batch.consumer[::2], batch.born[::2], 3)
    assert half.tolist() == whole[::2].tolist()
    assert len(set(whole.tolist())) == 200
    assert not set(whole.tolist()) & set(job_draws(Streams(1), "x", batch.consumer, batch.born, 4).tolist())
    many = jobs(N)
    assert stats.kstest(job_draws(Streams(1), "y", many.consumer, many.born), "uniform").pvalue > 1e-4


def test_every_consumer_decides_by_its_own_strategy():
    """Of two jobs worth 50 at a price of 100 the elastic consumer's waits, the truthful one's does not."""
    pair = Wants(np.array([1.0, 1.0]), np.array([50.0, 50.0]), np.ones(2), np.full(2, 9e9))
    view = Outlook(100.0, np.ones_like, 3600.0, 10.0)
    done = decide(pair, np.array([1, 0]), [Elastic(), Truthful()], view, np.array([0.5, np.exp(-1.0)]))
    assert done.again.tolist() == [False, True]
    assert_allclose(done.when, [1.0, 11.0])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"count": 0}, "agents.consumers.count must be >= 1, got 0"),
        ({"min_share": 0.0}, "agents.consumers.min_share must be > 0 and <= 1, got 0"),
        ({"deadline_stretch": 0.5}, "agents.consumers.deadline_stretch must be >= 1, got 0.5"),
        ({"patience_s": float("nan")}, "agents.consumers.patience_s must be >= 0, got nan"),
        ({"behaviours": {}}, "agents.consumers.behaviours must give a positive share to at least one entry"),
        ({"behaviours": {"elastic": -1.0}}, "agents.consumers.behaviours.elastic must be >= 0, got -1"),
    ],
)
def test_ranges(config, message):
    with pytest.raises(ScenarioError, match=f"^{message}"):
        ConsumerConfig(**config)
