"""The fitted generators against the published figures of each trace, and against the traces where they are present.

Figures are means over several generated records: one record of thirty days is itself a draw.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from celluler_sim.workloads.clients import client_facts, clients_from, llm_client_generator
from celluler_sim.workloads.cluster import (
    MIB_PER_GIB,
    PATIENCE,
    cluster_jobs,
    cluster_nodes,
    nodes_from,
    pods_from,
    trace_facts,
)
from celluler_sim.workloads.profiles import hour_of_day_profile
from celluler_sim.workloads.readers import (
    read_llm_client_rates,
    read_llm_client_tokens,
    read_llm_requests,
    read_nodes,
    read_pods,
)
from celluler_sim.workloads.serving import llm_request_generator, request_facts, requests_from
from tests.shared_data import shared

RECORDS = 12
DAY = 86400.0


def mean_of(records) -> dict[str, float]:
    """Return the mean of each figure over several records."""
    return {name: float(np.mean([facts[name] for facts in records])) for name in records[0]}


def variance_over_mean(times, width: float, seconds: float) -> float:
    n = np.bincount((times // width).astype(int), minlength=int(seconds // width))[: int(seconds // width)]
    return float(n.var() / n.mean())


@cache
def pods():
    return [cluster_jobs(np.random.default_rng(seed)) for seed in range(RECORDS)]


@cache
def requests():
    return [llm_request_generator(np.random.default_rng(seed)) for seed in range(RECORDS)]


def test_cluster_arrivals_match_the_published_figures():
    """Last 30 days: 10.2 pods an hour, gaps vary 1.64 times their mean, hourly counts vary 5.8 times theirs."""
    facts = mean_of([trace_facts(p) for p in pods()])
    assert_allclose(facts["arrivals_per_hour"], 10.2, rtol=0.1)
    assert_allclose(facts["interarrival_cv"], 1.64, rtol=0.08)
    ratios = {width: np.mean([variance_over_mean(p.created, width, 30 * DAY) for p in pods()]) for width in (60, 3600)}
    assert_allclose(ratios[3600], 5.8, rtol=0.2)
    assert_allclose(ratios[60], 1.37, rtol=0.1)


def test_cluster_arrivals_follow_the_published_hours():
    """The share of pods in each hour of the day is that of the trace."""
    share = np.mean([np.bincount((p.created // 3600).astype(int) % 24, minlength=24) / len(p) for p in pods()], axis=0)
    assert np.corrcoef(share, hour_of_day_profile("cluster"))[0, 1] > 0.95


def test_cluster_sizes_match_the_published_figures():
    """Run-time quantiles to 95 %, and the shares of pods by GPUs asked."""
    run, gpus = (np.concatenate([getattr(p, name) for p in pods()]) for name in ("run", "gpus"))
    published = {0.05: 50, 0.25: 175, 0.5: 616, 0.75: 2241, 0.9: 7764, 0.95: 18060}
    assert_allclose(np.quantile(run, list(published)), list(published.values()), rtol=0.12)
    shares = [(gpus == 0).mean(), ((gpus > 0) & (gpus < 1)).mean(), (gpus == 1).mean(), (gpus == 8).mean()]
    assert_allclose(shares, [0.133, 0.378, 0.480, 0.005], atol=0.01)
    assert_allclose(np.quantile(gpus[(gpus > 0) & (gpus < 1)], [0.1, 0.5, 0.9]), [0.258, 0.47, 0.81], rtol=0.25)


def test_cluster_nodes_are_those_of_the_trace():
    """1,523 nodes with 6,212 GPUs, 125,514 cores and 583.7 TiB, built from the shapes in the code."""
    nodes = cluster_nodes()
    assert [len(nodes), nodes.gpus.sum(), nodes.cores.sum()] == [1523, 6212, 125514]
    assert_allclose(nodes.memory.sum() / 1024, 583.7, atol=0.05)
    real = nodes_from(read_nodes(shared("data/gpu_cluster_2023")))
    for column in ("model", "gpus", "cores", "memory"):
        assert sorted(getattr(real, column)) == sorted(getattr(nodes, column))


def test_cluster_generator_against_the_trace():
    """Against the pods of the last 30 days: run times to the tail, cores and memory, and patience by product limit."""
    real = pods_from(read_pods(shared("data/gpu_cluster_2023")))
    real = real.since(real.created.max() - 30 * DAY)
    run, cores, memory = (np.concatenate([getattr(p, c) for p in pods()]) for c in ("run", "cores", "memory"))
    levels = [0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99]
    assert_allclose(np.quantile(run, levels), np.nanquantile(real.run, levels), rtol=0.12)
    assert_allclose(run.mean(), np.nanmean(real.run), rtol=0.15)
    assert_allclose([cores.mean(), memory.mean()], [real.cores.mean(), real.memory.mean()], rtol=0.1)
    wait = np.where(real.served, real.wait + 0.5, real.wait)
    estimate = stats.ecdf(stats.CensoredData.right_censored(wait, real.served)).sf
    for seconds in (18, 56, 127, 316, 1287):
        assert_allclose(PATIENCE.below(np.array(float(seconds))), 1 - estimate.evaluate(seconds), atol=0.02)
    assert MIB_PER_GIB == 1024


def test_request_generator_matches_the_published_figures():
    """5.53 requests a second with gaps that vary 1.09 times their mean; counts; tokens read and written."""
    facts = mean_of([request_facts(r, 70e9) for r in requests()])
    assert_allclose(facts["arrivals_per_second"], 5.53, rtol=0.1)
    assert_allclose(facts["interarrival_cv"], 1.094, atol=0.03)
    by_second = np.mean([variance_over_mean(r.time, 1, 3500) for r in requests()])
    by_minute = np.mean([variance_over_mean(r.time, 60, 3480) for r in requests()])
    assert_allclose(by_second, 1.39, rtol=0.1)
    assert_allclose(by_minute, 16.1, rtol=0.35)  # of the trace's whole minutes
    published = {"p05": (181, 41), "p25": (396, 85), "p50": (1020, 129), "p75": (1189, 395), "p95": (4083, 451)}
    for level, (context, generated) in {**published, "p99": (4142, 601), "mean": (1154.7, 211.1)}.items():
        assert_allclose(facts[f"context_{level}_tokens"], context, rtol=0.05)
        assert_allclose(facts[f"generated_{level}_tokens"], generated, rtol=0.05)
    context, generated = (np.concatenate([getattr(r, c) for r in requests()]) for c in ("context", "generated"))
    assert_allclose(stats.spearmanr(context, generated).statistic, 0.07, atol=0.015)


def test_request_generator_against_the_trace():
    """Every tenth of the tokens, and the variance over mean of counts from 1 second to 5 minutes."""
    real = requests_from(read_llm_requests(shared("data/llm_requests_2023")))
    assert_allclose(request_facts(real, 70e9)["interarrival_cv"], 1.094, atol=0.001)
    levels = np.arange(0.1, 1, 0.1)
    for column in ("context", "generated"):
        drawn = np.concatenate([getattr(r, column) for r in requests()])
        assert_allclose(np.quantile(drawn, levels), np.quantile(getattr(real, column), levels), rtol=0.06)
    for width in (1, 10, 60, 300):
        drawn = np.mean([variance_over_mean(r.time, width, 3500) for r in requests()])
        assert_allclose(drawn, variance_over_mean(real.time, width, 3500), rtol=0.4)


CLIENTS = {  # published figure: m-small, deepseek-r1, tolerance
    "clients": (43, 73, 0.0),
    "requests_per_second": (1174, 16.0, 0.01),
    "share_largest_client": (0.299, 0.286, 0.02),
    "share_largest_5": (0.770, 0.525, 0.03),
    "share_largest_10": (0.928, 0.677, 0.02),
    "gini": (0.84, 0.75, 0.01),
    "share_windows_active": (0.463, 0.296, 0.1),
    "cv_p05": (0.93, 0.72, 0.1),
    "cv_p25": (1.06, 0.92, 0.05),
    "cv_p50": (1.21, 1.03, 0.1),
    "cv_p75": (2.47, 1.66, 0.15),
    "cv_p95": (9.10, 5.81, 0.15),
    "share_cv_above_1": (0.90, 0.57, 0.08),
    "share_cv_above_1.5": (0.36, 0.27, 0.15),
    "hour_lowest": (0.66, 0.45, 0.35),
    "hour_highest": (1.46, 2.19, 0.25),
}


@cache
def generated_clients(model):
    return mean_of([client_facts(llm_client_generator(np.random.default_rng(seed), model)) for seed in range(RECORDS)])


@pytest.mark.parametrize("model", ["m-small", "deepseek-r1"])
@pytest.mark.parametrize("figure", CLIENTS)
def test_client_generator_matches_the_published_figures(model, figure):
    """How unequal clients are, how bursty, how often active, and how the total moves with the hours."""
    *published, tolerance = CLIENTS[figure]
    assert_allclose(generated_clients(model)[figure], published[model == "deepseek-r1"], rtol=tolerance)


@pytest.mark.parametrize(("model", "peak"), [("m-small", 3.3), ("deepseek-r1", 2.7)])
def test_client_generator_has_the_published_peak(model, peak):
    """The busiest ten minutes over the mean."""
    facts = generated_clients(model)
    assert_allclose(facts["requests_per_second_peak"] / facts["requests_per_second"], peak, rtol=0.25)


@pytest.mark.parametrize("model", ["m-small", "deepseek-r1"])
def test_client_generator_against_the_trace(model):
    """The traces' own figures are the published ones, and tokens by client agree with the generated ones."""
    folder = shared("data/llm_clients_2025")
    real = client_facts(clients_from(read_llm_client_rates(folder, model), read_llm_client_tokens(folder, model)))
    for figure, (*published, _) in CLIENTS.items():
        assert_allclose(real[figure], published[model == "deepseek-r1"], rtol=0.02)
    for side in ("context", "generated"):
        assert_allclose(generated_clients(model)[f"{side}_tokens_p50"], real[f"{side}_tokens_p50"], rtol=0.15)


def test_client_generator_takes_any_number_of_clients_and_days():
    """A hundred clients over two days are as unequal, and send as much in all."""
    clients = llm_client_generator(np.random.default_rng(0), "m-small", days=2, clients=100)
    facts = client_facts(clients)
    assert clients.rate.shape == (100, 288)
    assert_allclose([facts["requests_per_second"], facts["gini"]], [1174, 0.84], rtol=0.03)
    assert np.all(clients.rate.max(axis=1) > 0)
