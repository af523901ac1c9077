"""One state under several policies."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from celluler_sim import branch, load_run, resume
from celluler_sim.__main__ import main
from celluler_sim.checkpoint import store
from celluler_sim.errors import ResultsError, ScenarioError
from celluler_sim.run import run_scenario
from celluler_sim.scenario import compose
from tests.checkpoint.test_resume import bytes_of, refused, stop_at
from tests.checkpoint.test_resume import run as run_small


@pytest.fixture(scope="module")
def trunk(tmp_path_factory) -> Path:
    """Return a finished run of 40 ticks with checkpoints at 24 and 36."""
    folder = tmp_path_factory.mktemp("trunk") / "run"
    run_small(folder, every=12)
    return folder


@pytest.mark.parametrize("at", [0, 24, 30])
def test_an_unchanged_branch_is_the_rest_of_the_run(trunk, tmp_path, at):
    """From the start, from a checkpoint or between two: every row from the tick on is that of the run itself."""
    [(name, run)] = branch(trunk, at, to=tmp_path).items()
    assert (name, run.folder) == ("unchanged", tmp_path / f"{at}_unchanged")
    whole = load_run(trunk).tables
    for table in ("markets", "fills", "transfers", "consensus"):
        rest = whole[table][whole[table]["tick"] >= at].reset_index(drop=True)
        assert run.tables[table].equals(rest), table
        assert len(rest) > 0 or table == "fills"
    if at == 0:
        assert bytes_of(run.folder) == bytes_of(trunk)


def test_policies_part_from_one_state(trunk, tmp_path):
    """Two prices from one tick on: both begin there, each charges its own, and both say where they are from."""
    runs = branch(trunk, 30, ["pricing=linear,fixed", "pricing.base_price=120"], to=tmp_path)
    assert list(runs) == ["pricing=linear pricing.base_price=120", "pricing=fixed pricing.base_price=120"]
    linear, fixed = runs.values()
    first = [run.tables["markets"].iloc[0] for run in (linear, fixed)]
    assert first[0]["demand"] == pytest.approx(first[1]["demand"], rel=0.5)
    assert first[0]["tick"] == first[1]["tick"] == 30
    assert set(fixed.tables["markets"]["price_prana"]) == {120.0}
    assert (linear.tables["markets"]["price_prana"] >= 120.0).all()
    assert linear.config["pricing"]["name"] == "linear"
    origin = linear.manifest["branch"]
    assert (origin["folder"], origin["at_tick"]) == (str(trunk), 30)
    assert origin["overrides"] == ["pricing=linear", "pricing.base_price=120"]
    assert origin["config_sha256"] == load_run(trunk).manifest["config_sha256"]
    assert linear.summary["n_ticks"] == 10
    jobs = len(linear.tables["jobs"])
    assert linear.summary["arrivals_per_hour"] == pytest.approx(jobs * 6)  # ten minutes


def test_policies_by_name_and_a_longer_run(trunk, tmp_path):
    runs = branch(trunk, 36, {"as it is": [], "longer": ["ticks=50", "market.min_quality=0"]}, to=tmp_path)
    assert [len(run.tables["markets"]) for run in runs.values()] == [4, 14]
    assert runs["longer"].folder == tmp_path / "36_longer"
    assert len(set(runs["longer"].tables["fills"]["provider"])) > 0


def test_the_state_is_the_same_whatever_the_checkpoint(trunk, tmp_path):
    """Without any checkpoint, from the start: the branch is the same to the byte."""
    bare = tmp_path / "bare"
    run_small(bare)
    one = branch(trunk, 30, ["pricing=linear", "checkpoint_every=0"], to=tmp_path / "a")
    other = branch(bare, 30, ["pricing=linear"], to=tmp_path / "b")
    [a], [b] = one.values(), other.values()
    assert bytes_of(a.folder) == bytes_of(b.folder)


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("agents.providers.count=5", "agents.providers.count"),
        ("agents.consumers.count=5", "agents.consumers.count"),
        ("tick_seconds=30", "tick_seconds"),
        ("seed=4", "seed"),
        ("replicate=4", "replicate"),
        ("workload=poisson", "workload.name"),
        ("consensus=leader", "consensus.name"),
        ("consensus.timeout_seconds=5", "consensus.timeout_seconds"),
        ("market.unit_size=5", "market.unit_size"),
        ("pools=resource", "pools.name"),
    ],
)
def test_what_the_state_was_made_from_may_not_change(trunk, tmp_path, override, key):
    """One line that names the key and says what may change; nothing is left behind."""
    with pytest.raises(ScenarioError) as error:
        branch(trunk, 30, [override], to=tmp_path / "new")
    message = str(error.value)
    assert message.startswith(f"{key} must not change in the middle of a run, got ")
    assert "what may change: pricing, allocation, " in message
    assert "\n" not in message
    assert not (tmp_path / "new").exists()


def test_other_mistakes(trunk, tmp_path):
    """A tick that is none of the run's, an end before the beginning, a key that is none, a folder that is taken."""
    for at in (-1, 41):
        with pytest.raises(ScenarioError, match=f"at must be >= 0 and <= 40, the ticks of the run, got {at}"):
            branch(trunk, at)
    with pytest.raises(ScenarioError, match="ticks must be > 30, where the branch begins, got 30"):
        branch(trunk, 30, ["ticks=30"])
    with pytest.raises(ScenarioError, match=r"unknown key pricing\.bse_price; did you mean pricing\.base_price"):
        branch(trunk, 30, ["pricing.bse_price=3"])
    branch(trunk, 39, to=tmp_path)
    with pytest.raises(ResultsError, match="must not hold a run"):
        branch(trunk, 39, to=tmp_path)


def test_a_branch_can_be_resumed(trunk, tmp_path, monkeypatch):
    """Stopped right at its beginning, where its own first checkpoint is: it ends as if it had not been."""
    [whole] = branch(trunk, 24, ["pricing=linear", "checkpoint_every=5"], to=tmp_path / "a").values()
    stop_at(monkeypatch, 1)
    with pytest.raises(KeyboardInterrupt):
        branch(trunk, 24, ["pricing=linear", "checkpoint_every=5"], to=tmp_path / "b")
    [cut] = (tmp_path / "b").iterdir()
    assert resume(cut).manifest["resumed"] == [{"at_tick": 24}]
    assert bytes_of(cut) == bytes_of(whole.folder)
    assert load_run(cut).manifest["branch"]["at_tick"] == 24


def test_a_stopped_run_can_be_branched(tmp_path, monkeypatch):
    """From the middle of a run that never ended, beyond where it had come."""
    stop_at(monkeypatch, 2)
    with pytest.raises(KeyboardInterrupt):
        run_small(tmp_path / "cut", every=5)
    before = {path: path.read_bytes() for path in (tmp_path / "cut").rglob("*") if path.is_file()}
    [run] = branch(tmp_path / "cut", 20, to=tmp_path / "new").values()
    assert len(run.tables["markets"]) == 20
    assert {path: path.read_bytes() for path in (tmp_path / "cut").rglob("*") if path.is_file()} == before


@pytest.mark.slow
def test_what_governance_has_changed_stays_changed(tmp_path):
    """A vote fixed the price at tick 48: a branch at 52 keeps it under another allocation, and drops it where told."""
    scenario = replace(compose("governance_vote"), ticks=56, variants={})
    run_scenario(scenario, tmp_path / "run")
    whole = load_run(tmp_path / "run").tables["markets"]
    policies = {"unchanged": [], "queue": ["allocation=first_come"], "linear": ["pricing=linear"]}
    runs = branch(tmp_path / "run", 52, policies, to=tmp_path)
    assert runs["unchanged"].tables["markets"].equals(whole[whole["tick"] >= 52].reset_index(drop=True))
    assert whole["price_prana"].iloc[46] != 100.0
    for name in ("unchanged", "queue"):
        assert set(runs[name].tables["markets"]["price_prana"]) == {100.0}
    assert (runs["linear"].tables["markets"]["price_prana"] > 100.0).all()


@pytest.mark.slow
def test_policies_against_fraud_part_from_one_state(tmp_path):
    """The same market with and without verification, and with another fine: the trust rule's own keys may change."""
    run_scenario(replace(compose("fraud_wave"), ticks=40, variants={}), tmp_path / "run")
    policies = {"as it is": [], "blind": ["verification=none"], "dear": ["trust.fine_multiple=9"]}
    runs = branch(tmp_path / "run", 30, policies, to=tmp_path)
    caught = {name: len(found.tables["penalties"]) for name, found in runs.items()}
    assert caught["blind"] == 0 < caught["as it is"]
    assert runs["dear"].config["trust"]["fine_multiple"] == 9.0
    with pytest.raises(ScenarioError, match=r"trust\.bond_prana must not change .* trust\.fine_multiple"):
        branch(tmp_path / "run", 30, ["trust.bond_prana=1"], to=tmp_path / "other")


def test_the_command_line(trunk, tmp_path, capsys, monkeypatch):
    """Branches for both prices with their figures and reports; mistakes are one line."""
    monkeypatch.setattr("celluler_sim.report.write_report", lambda run: run.folder / "report.html")
    assert main(["branch", str(trunk), "--at", "36", "pricing=linear,fixed", "--to", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert out.count("report: ") == 2
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["36_pricing=fixed", "36_pricing=linear"]
    manifest = json.loads((tmp_path / "out" / names[0] / "manifest.json").read_text())
    assert manifest["branch"]["overrides"] == ["pricing=fixed"]
    assert refused(capsys, "branch", str(trunk)) == "--at must be a number of ticks, got nothing"
    assert refused(capsys, "branch", str(trunk), "--at=soon").startswith("--at must be a number of ticks, got 'soon'")
    assert refused(capsys, "branch", str(trunk), "--at").startswith("--at must be followed by a value")
    assert "usage: celluler-sim branch FOLDER --at TICK" in refused(capsys, "branch", "--at", "3")
    assert main(["branch", "--help"]) == 0


def test_checkpoints_of_a_branch_begin_where_it_begins(trunk, tmp_path):
    [run] = branch(trunk, 30, ["checkpoint_every=4"], to=tmp_path).values()
    assert [c.tick for c in store.checkpoints(run.folder, run.config)] == [40, 36]
