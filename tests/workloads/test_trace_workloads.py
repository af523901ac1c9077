"""Replays of traces: small ones by hand, the published ones whole."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from celluler_sim.agents.consumer import job_draws
from celluler_sim.errors import ScenarioError, TraceError
from celluler_sim.streams import Streams
from celluler_sim.workloads import GpuCluster, LlmClients, LlmRequests
from celluler_sim.workloads.clients import clients_from
from celluler_sim.workloads.cluster import patience_beyond
from celluler_sim.workloads.llm_clients import _tokens
from celluler_sim.workloads.readers import read_llm_client_rates, read_llm_client_tokens
from tests.shared_data import shared
from tests.workloads.small_traces import NODES, PODS, RATES, REQUESTS, TOKENS, write

STREAMS = Streams(5)
NOBODY = np.zeros(0)


@pytest.fixture
def cluster(tmp_path):
    """Return the folder of the small cluster."""
    return write(tmp_path, nodes=NODES, pods=PODS)


def replay(workload, unit_size: float = 1e18, dt: float = 3600.0):
    """Prepare a workload and return all its jobs, joined over ticks of ``dt`` seconds."""
    workload.prepare(STREAMS, unit_size)
    n = int(np.ceil(workload.duration() / dt))
    parts = [workload.arrivals(STREAMS, k, k * dt, (k + 1) * dt, NOBODY) for k in range(n)]
    return {name: np.concatenate([getattr(p, name) for p in parts]) for name in parts[0].__dataclass_fields__}


def test_pods_become_jobs_by_hand(cluster):
    """Half a G2 and 4 cores: 0.5 * 1.25e14 + 4 * 5e10 FLOP/s, for two days. A pod without a GPU asks its cores' FLOP/s.

    Pod 3 never ran and gets the median run time, that of pods 0, 1, 2, 4: (200 + 400) / 2 s; it gave up after 60 s.
    """
    jobs = replay(GpuCluster(path=str(cluster), whole=True))
    assert_allclose(jobs["born"], [0, 86400, 90000, 100000, 110000])
    assert_allclose(jobs["amount"][:3] * 1e18, [6.27e13, 2.504e14, 5e10])
    assert_allclose(jobs["work"] / jobs["amount"], [172800, 100, 200, 300, 400])
    assert jobs["patience"][3] == 60
    assert np.all(jobs["patience"][[0, 1, 2, 4]] >= [0, 20, 100, 0])
    assert_allclose(jobs["demand"][:3], [[4, 4], [8, 8], [1, 1]])
    assert np.isnan(jobs["value"]).all()


def test_patience_is_drawn_above_what_was_waited_already():
    """Who has waited 1,287 s, as 70 % would not have, waits 3,244 s with the draw 0.36: 0.7 + 0.36 * 0.3 = 0.808."""
    assert_allclose(patience_beyond(np.array([1287.0, 1287.0]), np.array([0.0, 0.36])), [1287, 3244])
    assert_allclose(patience_beyond(np.array([1e6, 0.0]), np.array([0.5, 0.808])), [1e6, 3244])


def test_pods_that_name_models_accept_only_those_at_the_slowest_ones_flops(cluster):
    """Kinds are G2, T4 and CPU: pod 3 takes T4 alone, pod 4 either at a T4's 6.513e13 FLOP/s, pod 2 anything."""
    workload = GpuCluster(path=str(cluster), whole=True)
    jobs = replay(workload)
    assert workload.machines().hardware == ("G2", "T4", "CPU")
    assert [int(k) & 0b111 for k in jobs["kinds"]] == [0b011, 0b011, 0b111, 0b010, 0b011]
    assert_allclose(jobs["amount"][3:] * 1e18, [6.513e13 + 2e11] * 2)


def test_nodes_become_providers_by_hand(cluster):
    """A G2 node has 8 * 1.25e14 + 96 * 5e10 FLOP/s; at half the nodes one G2, one T4 and one without a GPU remain."""
    workload = GpuCluster(path=str(cluster), whole=True, node_scale=0.5)
    workload.prepare(STREAMS, 1e15)
    machines = workload.machines()
    assert_allclose(machines.capacity, [1.6e-3, 1.0048, 0.13546])
    assert [machines.hardware[k] for k in machines.kind] == ["CPU", "G2", "T4"]
    assert_allclose(machines.supply, [[32, 64], [96, 384], [104, 512]])
    assert workload.resources == ("cores", "memory_gib")
    without = GpuCluster(path=str(cluster), whole=True, cpu_nodes=False, node_scale=1.0)
    without.prepare(STREAMS, 1e15)
    assert len(without.machines().capacity) == 3


def test_the_last_days_start_with_what_is_still_running(cluster):
    """The last quarter day begins at 88,400 s: pod 0 still runs for 84,400 s then, pod 1 has ended."""
    begin = 110_000 - 21_600
    jobs = replay(GpuCluster(path=str(cluster), last_days=0.25))
    assert_allclose(jobs["born"], [0, 90_000 - begin, 100_000 - begin, 110_000 - begin])
    assert_allclose((jobs["work"] / jobs["amount"])[0], 172_800 - begin)
    fresh = replay(GpuCluster(path=str(cluster), last_days=0.25, carry_over=False))
    assert_allclose(fresh["born"], jobs["born"][1:])


def test_scales_divide_times(cluster):
    """Arrivals twice as fast leave run times; all times ten times as fast leave capacity in use."""
    usual = replay(GpuCluster(path=str(cluster), whole=True))
    faster = replay(GpuCluster(path=str(cluster), whole=True, arrival_scale=2.0))
    assert_allclose(faster["born"], usual["born"] / 2)
    assert_allclose(faster["work"], usual["work"])
    squeezed = replay(GpuCluster(path=str(cluster), whole=True, time_scale=10.0))
    for name in ("born", "work", "patience"):
        assert_allclose(squeezed[name], usual[name] / 10)
    assert_allclose(squeezed["amount"], usual["amount"])


def test_consumers_of_pods_do_not_depend_on_what_is_replayed(cluster):
    """A pod belongs to the same consumer in every replay, and to one that exists."""
    whole = replay(GpuCluster(path=str(cluster), whole=True, consumers=3))
    late = replay(GpuCluster(path=str(cluster), last_days=0.25, carry_over=False, consumers=3))
    assert_array_equal(late["consumer"], whole["consumer"][2:])
    assert whole["consumer"].max() < 3
    assert np.all(np.isinf(replay(GpuCluster(path=str(cluster), whole=True, patience="unlimited"))["patience"]))


def test_a_model_that_nobody_has_stated_is_refused_by_line(cluster):
    """A node or a pod with an unknown GPU model."""
    write(cluster, nodes=NODES.replace("T4", "Z9"))
    with pytest.raises(TraceError, match=r"nodes.csv: line 5, column model: must be one of .* got 'Z9'"):
        replay(GpuCluster(path=str(cluster)))
    write(cluster, nodes=NODES, pods=PODS.replace("G2|T4", "G2|Z9"))
    with pytest.raises(TraceError, match=r"pods.csv: line 6, column gpu_spec: must be one of .* got 'Z9'"):
        replay(GpuCluster(path=str(cluster)))


def test_cluster_facts_are_the_published_ones():
    """The figures of the last 30 days, computed from the trace, are those its readers published."""
    folder = str(shared("data/gpu_cluster_2023"))
    workload = GpuCluster(path=folder)
    jobs, facts = replay(workload), workload.facts()
    published = {
        "pods": 7355, "arrivals_per_hour": 10.2, "interarrival_cv": 1.64, "gpus_in_use_mean": 36.7,
        "gpus_in_use_peak": 65.6, "nodes": 1523, "gpus": 6212,
    }  # fmt: skip
    for name, value in published.items():
        assert_allclose(facts[name], value, rtol=0.005)
    assert len(jobs["born"]) == facts["replayed_pods"] == 7355 + facts["replayed_carried_over"]
    assert 40 <= facts["replayed_gpus"] <= 70
    whole = GpuCluster(path=folder, whole=True, gpuspec=True)
    jobs, facts = replay(whole, dt=1e6), whole.facts()
    assert len(jobs["born"]) == facts["pods"] == 8152
    assert np.mean(jobs["kinds"] != jobs["kinds"][0]) > 0.3
    for level, value in {"p50": 2, "p75": 35, "p90": 106, "p95": 241, "p99": 890, "mean": 61}.items():
        assert_allclose(facts[f"wait_{level}_s"], value, atol=0.5)
    for level, value in {"p05": 50, "p50": 616, "p95": 18060, "p99": 114300, "mean": 28949}.items():
        assert_allclose(facts[f"run_{level}_s"], value, rtol=0.001)
    assert_allclose([facts["share_never_scheduled"], facts["share_no_wait"]], [0.11, 0.28], atol=0.003)
    assert_allclose(facts["gpu_hours"], 51471, rtol=1e-4)


def test_requests_become_jobs_by_hand(tmp_path):
    """400 tokens read at 4,000 a second and 40 written at 40: 1.1 s and 2 * 70e9 * 440 FLOP. None: one token."""
    path = write(tmp_path, requests=REQUESTS) / "requests.csv"
    jobs = replay(LlmRequests(path=str(path)), unit_size=1e12, dt=1.0)
    assert_allclose(jobs["born"], [0, 2, 2, 10])
    assert_allclose(jobs["work"], [61.6, 123.2, 0.14, 616])
    assert_allclose(jobs["work"] / jobs["amount"], [1.1, 2.2, 1 / 4000, 11])
    assert_allclose(replay(LlmRequests(path=str(path), arrival_scale=2.0))["born"], [0, 1, 1, 5])


def test_request_facts_are_the_published_ones():
    """19,366 requests in 3,501.7 s, 5.53 a second, CV 1.094, and 3.7e18 FLOP at 70e9 parameters; all are replayed."""
    workload = LlmRequests(path=str(shared("data/llm_requests_2023")))
    jobs, facts = replay(workload, unit_size=1e15, dt=1.0), workload.facts()
    assert len(jobs["born"]) == facts["requests"] == 19366
    published = {"span_s": 3501.7, "arrivals_per_second": 5.53, "interarrival_cv": 1.094, "flop": 3.703e18}
    for name, value in {**published, "context_mean_tokens": 1154.7, "generated_mean_tokens": 211.1}.items():
        assert_allclose(facts[name], value, rtol=0.001)
    assert_allclose(jobs["work"].sum(), 3703, rtol=1e-3)
    assert_allclose(facts["replayed_work"], jobs["work"].sum())


def small_clients(tmp_path, **fields):
    write(tmp_path, m__small_client_rates=RATES, m__small_client_tokens=TOKENS)
    return LlmClients(path=str(tmp_path), scale=fields.pop("scale", 1.0), **fields)


def test_clients_become_consumers_by_hand(tmp_path):
    """Client 0 asks 2, then 4 times a second, client 3 only in the second window; tokens are 100 and 20 for both."""
    workload = small_clients(tmp_path)
    jobs = replay(workload, unit_size=1e12, dt=60.0)
    assert workload.n_consumers() == 2
    assert workload.duration() == 1200
    late = jobs["born"] >= 600
    assert not np.any(jobs["consumer"][~late])
    expected = np.array([1200, 2400, 600])
    counts = [np.sum(~late), np.sum(late & (jobs["consumer"] == 0)), np.sum(jobs["consumer"] == 1)]
    assert np.all(np.abs(counts - expected) < 4 * np.array([1, 2, 1.5]) * np.sqrt(expected))
    assert_allclose(jobs["work"], 2 * 70e9 * 120 / 1e12)
    assert_allclose(jobs["work"] / jobs["amount"], 100 / 4000 + 20 / 40)


def test_requests_of_clients_do_not_depend_on_the_tick(tmp_path):
    """Cut into seconds, minutes or pieces longer than a window, the same requests come."""
    workload = small_clients(tmp_path)
    minutes = replay(workload, dt=60.0)
    for dt in (1.0, 7.0, 600.0, 1100.0):
        other = replay(workload, dt=dt)
        assert_array_equal(other["born"], minutes["born"])
        assert_array_equal(other["work"], minutes["work"])


def test_scale_keeps_burstiness(tmp_path):
    """A hundredth of the requests of a client with CV 2: the gaps still vary twice their mean."""
    lots = RATES.replace("0,0,2,1,Gamma", "0,0,2000,2,Gamma")
    write(tmp_path, m__small_client_rates=lots, m__small_client_tokens=TOKENS)
    workload = LlmClients(path=str(tmp_path), scale=0.01)
    workload.prepare(STREAMS, 1e12)
    gaps = np.diff(workload.arrivals(STREAMS, 0, 0.0, 600.0, NOBODY).born)
    assert_allclose(len(gaps), 12_000, rtol=0.1)
    assert_allclose(gaps.std() / gaps.mean(), 2.0, rtol=0.1)


def test_gaps_in_token_figures_are_filled(tmp_path):
    """A client without figures takes the median client's, a window without its client's mean."""
    write(tmp_path, m__small_client_rates=RATES, m__small_client_tokens=TOKENS)
    clients = clients_from(read_llm_client_rates(tmp_path), read_llm_client_tokens(tmp_path))
    assert_allclose(clients.context, [[100], [100]])
    assert_allclose(clients.generated_spread, 0)
    assert_array_equal(clients.weibull, [[False, False], [False, True]])


def test_tokens_vary_around_their_mean():
    """Lognormal tokens: mean 1,000 and, with a spread of 1 in the log, median 1,000 / e^0.5; without, all the same."""
    normal = np.random.default_rng(0).standard_normal(200_000)
    drawn = _tokens(normal, np.full(200_000, 1000.0), np.ones(200_000))
    assert_allclose([drawn.mean(), np.median(drawn)], [1000, 606.5], rtol=0.02)
    assert_allclose(_tokens(normal[:9], np.full(9, 7.0), np.zeros(9)), 7)


def test_windows_must_follow_each_other(tmp_path):
    """A record with a hole between windows is refused."""
    write(tmp_path, m__small_client_rates=RATES.replace(",600,", ",1200,"), m__small_client_tokens=TOKENS)
    with pytest.raises(TraceError, match="steps of 600 s"):
        replay(LlmClients(path=str(tmp_path)))


def test_client_replay_has_the_traces_rates():
    """Over a day of deepseek-r1 the busiest clients ask as often as the trace says, all together 16 a second."""
    workload = LlmClients(path=str(shared("data/llm_clients_2025")), model="deepseek-r1", scale=1.0)
    jobs = replay(workload, dt=600.0)
    facts = workload.facts()
    assert workload.n_consumers() == facts["clients"] == 73
    assert_allclose(len(jobs["born"]) / 86400, 16.0, rtol=0.03)
    share = np.sort(np.bincount(jobs["consumer"]) / len(jobs["consumer"]))[::-1]
    assert_allclose([share[0], share[:10].sum()], [0.286, 0.677], rtol=0.06)


WORKLOADS = {GpuCluster: "gpu_cluster_2023", LlmRequests: "llm_requests_2023", LlmClients: "llm_clients_2025"}


@pytest.mark.parametrize(("cls", "trace"), WORKLOADS.items())
def test_without_a_path_the_environment_or_a_clear_line_decides(cls, trace, tmp_path, monkeypatch):
    """The line says which key to set, which variable, and how to do without data."""
    monkeypatch.delenv("CELLULER_DATA", raising=False)
    with pytest.raises(TraceError, match=r"workload.path.*CELLULER_DATA.*workload.source=fitted") as caught:
        cls().prepare(STREAMS, 1e18)
    assert "\n" not in str(caught.value)
    monkeypatch.setenv("CELLULER_DATA", str(tmp_path / "missing"))
    with pytest.raises(TraceError, match="CELLULER_DATA must name a folder"):
        cls().prepare(STREAMS, 1e18)
    inside = tmp_path / trace
    inside.mkdir()
    texts = {"nodes": NODES, "pods": PODS, "AzureLLMInferenceTrace_conv": REQUESTS}
    write(inside, **texts, m__small_client_rates=RATES, m__small_client_tokens=TOKENS)
    for folder in (tmp_path, inside):
        monkeypatch.setenv("CELLULER_DATA", str(folder))
        workload = cls()
        workload.prepare(STREAMS, 1e18)
        assert workload.duration() > 0


@pytest.mark.parametrize("cls", WORKLOADS)
def test_fitted_source_needs_no_data(cls, monkeypatch):
    """Each workload runs from its generator alone, the same for the same seed, and another for another."""
    monkeypatch.delenv("CELLULER_DATA", raising=False)
    short = {GpuCluster: {"last_days": 2.0}, LlmRequests: {"seconds": 300.0}, LlmClients: {"days": 0.1, "scale": 0.001}}
    first, again = (replay(cls(source="fitted", **short[cls])) for _ in range(2))
    assert len(first["born"]) > 50
    for name, column in first.items():
        assert_array_equal(column, again[name])
    workload = cls(source="fitted", **short[cls])
    workload.prepare(Streams(6), 1e18)
    other = workload.arrivals(Streams(6), 0, 0.0, workload.duration(), NOBODY)
    assert not np.array_equal(other.born, first["born"])


@pytest.mark.parametrize("cls", WORKLOADS)
def test_unprepared_workloads_say_so(cls):
    """Asking for jobs before `prepare` is one line, not a stack of attributes."""
    with pytest.raises(ScenarioError, match="must be prepared"):
        cls().arrivals(STREAMS, 0, 0.0, 1.0, NOBODY)


@pytest.mark.parametrize(
    ("cls", "fields", "says"),
    [
        (GpuCluster, {"node_scale": 0.0}, "workload.node_scale must be > 0 and <= 1"),
        (GpuCluster, {"node_scale": 2.0}, "workload.node_scale"),
        (GpuCluster, {"time_scale": -1.0}, "workload.time_scale"),
        (GpuCluster, {"arrival_scale": 0.0}, "workload.arrival_scale"),
        (GpuCluster, {"last_days": 0.0}, "workload.last_days"),
        (GpuCluster, {"consumers": 0}, "workload.consumers"),
        (GpuCluster, {"reference": "H1"}, "workload.reference"),
        (GpuCluster, {"patience": "none"}, "workload.patience"),
        (GpuCluster, {"source": "net"}, "workload.source"),
        (LlmRequests, {"parameters": 0.0}, "workload.parameters"),
        (LlmRequests, {"tokens_per_second": 0.0}, "workload.tokens_per_second"),
        (LlmRequests, {"seconds": -1.0}, "workload.seconds"),
        (LlmRequests, {"arrival_scale": float("inf")}, "workload.arrival_scale"),
        (LlmClients, {"model": "gpt"}, "workload.model"),
        (LlmClients, {"scale": 0.0}, "workload.scale"),
        (LlmClients, {"clients": 0}, "workload.clients"),
        (LlmClients, {"days": 0.0}, "workload.days"),
        (LlmClients, {"prefill_tokens_per_second": -1.0}, "workload.prefill_tokens_per_second"),
    ],
)
def test_ranges_are_checked(cls, fields, says):
    """One line that names the key."""
    with pytest.raises(ScenarioError, match=says):
        cls(**fields)


def test_twins_draw_apart(tmp_path):
    """Three requests of one consumer at one moment are three jobs with values and patience of their own."""
    lines = REQUESTS.splitlines()
    path = write(tmp_path, requests="\n".join([lines[0], *[lines[1]] * 3, *lines[2:]]) + "\n") / "requests.csv"
    jobs = replay(LlmRequests(path=str(path), consumers=1), dt=1.0)
    twins = job_draws(STREAMS, "consumer.value", jobs["consumer"], jobs["born"])[:3]
    assert len(set(twins.tolist())) == 3
    assert_allclose(jobs["born"][:3], 0.0, atol=1e-9)
