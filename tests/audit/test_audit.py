"""The audit finds planted faults, passes sound rules, and says how to see for oneself."""

from __future__ import annotations

import json
import shlex

import numpy as np
import pytest

from celluler_sim.analysis.figures import FIGURES
from celluler_sim.audit.auditing import _slopes, audit
from celluler_sim.audit.conditions import conditions, settings, words
from celluler_sim.audit.config import Claim
from celluler_sim.audit.page import as_text, save
from celluler_sim.cli.auditing import run
from celluler_sim.dashboard.page import scenarios as scenario_names
from celluler_sim.errors import ScenarioError
from celluler_sim.mechanisms.base import register
from celluler_sim.scenario import compose
from tests.audit import planted

SMALL = """
ticks: 60
tick_seconds: 60
record: {agents_every: 0, optimum_every: 0, transfers: false}
agents:
  providers: {count: 6, entry_per_day: 0, accelerators_cv: 0.1}
  consumers: {count: 60, jobs_per_day: 40, jobs_cv: 0.2, value_median: 200, patience_s: 1200}
defaults: [override /consensus: fifo]
"""
PLANTED = "plugins=[tests.audit.planted]"
WAIT = """
claims:
  they_wait:
    statement: jobs wait for less than ten hours
    metric: mean_wait_s
    test: less_than
    value: 36000
"""
RENEGED = """
claims:
  some_go_unserved:
    statement: fewer than all jobs give up
    metric: reneged_share
    test: less_than
    value: 0.99
    tolerance: 0.04
"""


@pytest.fixture(autouse=True)
def planted_rules():
    """Rules with planted faults are known during a test."""
    register("consumer_behaviour", "stale")(planted.Stale)
    register("consumer_behaviour", "per_tick")(planted.PerTick)
    register("allocation", "by_number")(planted.ByNumber)
    register("workload", "sorted_machines")(planted.SortedMachines)


def scenario(tmp_path, text: str):
    """Write a scenario and return its path."""
    path = tmp_path / "small.yaml"
    path.write_text(SMALL + text)
    return path


def verdicts(path, change: str, *overrides: str, replicates: int = 10) -> set[str]:
    """Return the verdicts on a scenario's claims under one change; the same world again must make no difference."""
    found = audit(path, [PLANTED, *overrides], replicates=replicates, changes=["repeat", change], executor="serial")
    assert {v.verdict for v in found.verdicts if v.change == "repeat"} == {"robust"}
    return {v.verdict for v in found.verdicts if v.change == change}


@pytest.mark.slow
@pytest.mark.parametrize(("behaviour", "caught"), [("stale", True), ("elastic", False)])
def test_a_stale_state_is_caught_by_another_order_of_acting(tmp_path, behaviour, caught):
    """Decisions by an old price, kept for as long as the same job is looked at first, depend on who that is."""
    cycle = (
        "pricing.cycle=sawtooth", "pricing.window_seconds=1800", "agents.consumers.postpone_s=1",
        "agents.consumers.value_median=150", "agents.consumers.value_cv=0.1", "agents.providers.count=40",
    )  # fmt: skip
    path = scenario(tmp_path, RENEGED)
    found = verdicts(path, "order", f"agents.consumers.behaviours={{{behaviour}: 1.0}}", *cycle)
    assert bool(found & {"shifted", "fragile"}) is caught, found


@pytest.mark.slow
@pytest.mark.parametrize(("allocation", "caught"), [("by_number", True), ("first_come", False)])
def test_ties_broken_by_number_are_caught_by_other_numbers(tmp_path, allocation, caught):
    """Where the thriftiest machines come first in a list, serving from the lowest number looks like serving cheaply."""
    claim = """
claims:
  providers_gain:
    statement: providers make a profit
    metric: provider_surplus_prana
    test: greater_than
    value: 0
"""
    path = scenario(tmp_path, claim)
    rules = ("workload=sorted_machines", "pricing=fixed", "pricing.base_price=100", f"allocation={allocation}")
    load = ("workload.jobs_per_second=0.004", "agents.consumers.value_median=3000", "workload.amount=0.001")
    found = verdicts(path, "labels", *rules, *load)
    assert bool(found & {"shifted", "fragile"}) is caught, found


@pytest.mark.slow
@pytest.mark.parametrize(("behaviour", "caught"), [("per_tick", True), ("elastic", False)])
def test_a_probability_per_tick_is_caught_by_half_the_tick(tmp_path, behaviour, caught):
    """Jobs submitted with a probability of a twentieth a tick wait half as long when ticks are half as long."""
    more = ("ticks=180", "agents.consumers.count=120", "agents.providers.count=40")
    chosen = f"agents.consumers.behaviours={{{behaviour}: 1.0}}"
    found = verdicts(scenario(tmp_path, RENEGED), "tick", chosen, *more)
    assert bool(found & {"shifted", "fragile"}) is caught, found


def test_the_command_line(tmp_path, capsys):
    """A table with a verdict per change, files, exit code 1 for a claim that does not hold, as JSON too."""
    path = scenario(tmp_path, WAIT.replace("value: 36000", "value: -1000"))
    words = [
        str(path),
        "ticks=20",
        "--replicates",
        "3",
        "--change",
        "streams",
        "--executor",
        "serial",
        "--out",
        str(tmp_path / "a"),
    ]
    assert run(words) == 1
    said = capsys.readouterr().out
    assert "they_wait" in said
    assert "does not hold" in said
    assert (tmp_path / "a" / "audit.html").read_text().startswith("<!doctype html>")
    assert run([*words[:-1], str(tmp_path / "b"), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["verdicts"][0]["verdict"] == "does not hold"


def test_the_commands_repeat_the_very_run(tmp_path):
    """What the audit says to run composes to the scenario that it ran."""
    path = scenario(tmp_path, WAIT)
    found = audit(
        path, [PLANTED, "agents.consumers.behaviours={per_tick: 1.0}", "ticks=30"], replicates=5, changes=["tick"],
        executor="serial",
    )  # fmt: skip
    (verdict,) = found.verdicts
    words = shlex.split(verdict.command)
    assert words[:3] == ["python", "-m", "celluler_sim"]
    again = compose(None, words[3:])
    assert (again.tick_seconds, again.ticks) == (30.0, 60)
    assert "fragile" not in as_text(found) or verdict.verdict == "fragile"
    assert (save(found, tmp_path / "c") / "audit.json").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "makes claims, got none"),
        (WAIT.replace("mean_wait_s", "mean_weight"), r"claims.they_wait.metric must be a figure of the summary"),
        (WAIT.replace("    value: 36000\n", ""), "claims.they_wait.value is required by test less_than"),
        (WAIT.replace("less_than", "smaller"), "claims.they_wait.test must be one of greater_than"),
        (WAIT + "    variant: linear\n", "claims.they_wait must name one of"),
        (WAIT + "    skip: {weather: rains}\n", "skip must name some of repeat"),
        (WAIT + "audit: {replicates: 1}\n", "audit.replicates must be"),
    ],
)
def test_mistakes_are_one_line(tmp_path, text, message):
    """Each names the key, the rule and what was given."""
    with pytest.raises(ScenarioError, match=message) as refused:
        audit(scenario(tmp_path, text), replicates=3, executor="serial")
    assert "\n" not in str(refused.value)
    with pytest.raises(ScenarioError, match="changes must be some of repeat"):
        audit(scenario(tmp_path, WAIT), changes=["weather"])


def test_every_shipped_scenario_makes_three_claims_or_more():
    """And each names figures that there are."""
    for name in scenario_names():
        claims = compose(name).claims
        assert len(claims) >= 3, name
        assert {claim.metric for claim in claims.values()} <= set(FIGURES), name


def test_whole_numbers_under_where_can_be_set():
    """Validators are whole numbers, and what claims are said for is read as numbers with a fraction."""
    setup = compose("validator_scale")
    claims = {name: claim for name, claim in setup.claims.items() if claim.where}
    asked = [s.scenario("validator_scale", ()).consensus for s in settings(claims, conditions(setup, [])[:1])]
    assert [consensus.n_validators for consensus in asked] == [4, 16, 64]


def test_values_of_a_point_are_written_as_one_writes_them():
    """A key that takes whole numbers only takes no 4.0."""
    assert words((("a", 4.0), ("b", 0.25), ("c", True), ("d", "x"))) == ("a=4", "b=0.25", "c=true", "d=x")


def test_slopes_by_hand_and_world_by_world():
    """Figures 1, 3, 8 at 0, 1, 2 rise by 3.5 a step; one world's slope does not depend on how many others there are."""
    claim = Claim(statement="rises", metric="mean_wait_s", test="increasing", over="k", where={"k": (0.0, 1.0, 2.0)})

    def slopes(figures):
        return _slopes(claim, {(("k", k),): row for k, row in zip((0.0, 1.0, 2.0), figures, strict=True)})

    assert slopes(np.array([[1.0], [3.0], [8.0]])) == pytest.approx([3.5])
    figures = np.random.default_rng(5).normal(size=(3, 40))
    assert np.array_equal(slopes(figures)[:3], slopes(figures[:, :3]))
