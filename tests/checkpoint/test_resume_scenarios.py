"""Shipped scenarios that replay a trace or scale consensus: stopped halfway, they go on to the same bytes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from celluler_sim import load_run, resume
from celluler_sim.run import run_scenario
from celluler_sim.scenario import Scenario, compose
from tests.checkpoint.test_resume import bytes_of, stop_at
from tests.shared_data import shared


def stopped_and_continued(scenario: Scenario, tmp_path, monkeypatch, every: int) -> None:
    """Run a scenario through, and another time with a stop at its second checkpoint; compare every table."""
    run_scenario(scenario, tmp_path / "whole")
    stop_at(monkeypatch, 2)
    with pytest.raises(KeyboardInterrupt):
        run_scenario(replace(scenario, checkpoint_every=every), tmp_path / "cut")
    assert load_run(tmp_path / "cut").manifest["outcome"] == "interrupted"
    found = resume(tmp_path / "cut")
    assert found.manifest["resumed"] == [{"at_tick": 2 * every}]
    assert bytes_of(tmp_path / "cut") == bytes_of(tmp_path / "whole")
    assert len(found.tables["jobs"]) > 0, "nothing happened: nothing has been shown"


@pytest.mark.parametrize(
    ("name", "trace", "ticks", "every"),
    [
        pytest.param("gpu_cluster", "gpu_cluster_2023", 36, 12, marks=pytest.mark.slow),
        ("llm_serving", "llm_requests_2023", 60, 20),
    ],
)
def test_a_trace_goes_on_where_it_was(name, trace, ticks, every, tmp_path, monkeypatch):
    """Hours into the trace of a cluster, 40 s into that of a service: no pod or request is lost, none comes twice."""
    monkeypatch.setenv("CELLULER_DATA", str(shared(f"data/{trace}").parent))
    stopped_and_continued(replace(compose(name), ticks=ticks), tmp_path, monkeypatch, every)


@pytest.mark.parametrize("validators", [4, 64])
def test_validators_go_on_where_they_were(validators, tmp_path, monkeypatch):
    """The hashgraph of few and of many, with events, rounds and votes under way."""
    scenario = compose("validator_scale", [f"consensus.validators={validators}", "ticks=6"])
    stopped_and_continued(replace(scenario, variants={}), tmp_path, monkeypatch, 2)
