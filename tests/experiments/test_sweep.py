"""Sweeps: one table of many jobs, complete whatever happened on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest

import celluler_sim
from celluler_sim.conf.overrides import prepare
from celluler_sim.errors import CellulerError, ResultsError, ScenarioError
from celluler_sim.experiments.sweep_plan import paired_up, planned, read_plan, values_of
from celluler_sim.live_page import SCRIPT
from celluler_sim.scenario import Scenario, compose
from tests.experiments.conftest import SMALL, Call

GRID = ["pricing=linear,fixed", "pricing.base_price=80,120"]
TIME = ["duration_s"]


def jobs_of(n: int) -> list[tuple[list[str], list[str]]]:
    return [([f"seed={i}"], [f"seed={i}"]) for i in range(n)]


def test_forty_jobs_of_twenty_five_replicates_are_a_thousand_worlds(small: list[str]):
    """By construction: what a job's worlds are is settled before anything runs."""
    scenario = compose(None, [*small, "replicates=25"])
    plan = planned(jobs_of(40), [scenario] * 40, ["pricing"])
    worlds = {(job.seed, job.first + i) for job in plan.jobs for i in range(25)}
    assert len(worlds) == 1000
    common = planned(jobs_of(40), [compose(None, [*small, "replicates=25", "worlds=common"])] * 40, ["pricing"])
    assert {job.first for job in common.jobs} == {0}
    single = planned(jobs_of(40), [compose(None, small)] * 40, ["pricing"])
    assert {job.first for job in single.jobs} == {0}, "a job without replicates is the run as it was asked for"


@pytest.mark.usefixtures("pictures")
def test_one_table(call: Call):
    outcome = call("-m", *GRID, *SMALL, "replicates=3", "hydra.sweep.dir=out")
    assert outcome.code == 0, outcome.err
    assert "sweep: out/sweep.parquet, out/sweep.html" in outcome.out
    table = pd.read_parquet("out/sweep.parquet")
    assert list(table.columns[:10]) == [
        "job", "overrides", "pricing", "pricing.base_price", "base_seed", "replicate", "seed", "outcome", "error",
        "duration_s",
    ]  # fmt: skip
    assert len(table) == table["seed"].nunique() == 12
    assert table.groupby(["pricing", "pricing.base_price"]).size().tolist() == [3] * 4
    row = table.iloc[7]
    again = celluler_sim.simulate(
        overrides=[*SMALL, f"pricing={row['pricing']}", f"pricing.base_price={row['pricing.base_price']}"],
        seed=row["seed"],
    )
    assert again.summary["welfare_prana"] == row["welfare_prana"]
    assert sorted(path.name for path in Path("out").iterdir() if path.is_file()) == [
        "multirun.yaml", SCRIPT, "sweep.html", "sweep.json", "sweep.parquet",
    ]  # fmt: skip
    assert {path.name for path in Path("out/figures").iterdir()} >= {
        "mean_price_prana-lines.png",
        "mean_price_prana-map.png",
    }
    assert f'<script src="{SCRIPT}" defer>' in Path("out/sweep.html").read_text()


def test_a_sweep_of_runs_keeps_their_tables(call: Call):
    assert call("-m", "seed=3,4", *SMALL, "hydra.sweep.dir=out").code == 0
    table = pd.read_parquet("out/sweep.parquet")
    assert table["seed"].tolist() == [3, 4]
    sweep = celluler_sim.load_sweep("out")
    assert sweep.run(1).summary["mean_price_prana"] == table["mean_price_prana"][1]
    assert len(sweep.run(1).tables["markets"]) == 10


def test_a_job_that_fails_is_a_row(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A trace that is not there is found when the job runs; the other job finishes; the exit code says so."""
    monkeypatch.setenv("CELLULER_DATA", str(tmp_path))
    outcome = call("-m", "workload=generated,gpu_cluster", *SMALL, "hydra.sweep.dir=traces")
    assert outcome.code == 1
    assert outcome.err.count("\n") == 1
    table = pd.read_parquet("traces/sweep.parquet")
    assert table["outcome"].tolist() == ["finished", "failed"]
    assert table["error"][1]
    assert "\n" not in table["error"][1]
    assert table["mean_price_prana"].notna().tolist() == [True, False]
    assert "Failures" in Path("traces/sweep.html").read_text()


def test_running_it_again_runs_nothing(call: Call):
    first = call("-m", GRID[0], *SMALL, "replicates=2", "hydra.sweep.dir=out")
    before = pd.read_parquet("out/sweep.parquet")
    again = call("-m", GRID[0], *SMALL, "replicates=2", "hydra.sweep.dir=out")
    assert (first.code, again.code) == (0, 0)
    assert again.out.count("complete already") == 2
    pd.testing.assert_frame_equal(pd.read_parquet("out/sweep.parquet"), before)
    other = call("-m", GRID[0], *SMALL, "replicates=3", "hydra.sweep.dir=out")
    assert other.code == 1
    assert "out must not hold another sweep; choose another hydra.sweep.dir or remove it" in other.err


@pytest.mark.slow
def test_kill_9_in_the_middle_and_again(tmp_path: Path):
    """Killed while its second job runs, then run again: nothing is lost, and the table is that of an unbroken sweep."""
    own = [text for text in SMALL if not text.startswith("ticks")]
    command = [sys.executable, "-m", "celluler_sim", "-m", "pricing=linear,fixed", *own, "ticks=40", "replicates=25"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [*command, "hydra.sweep.dir=out"],
        cwd=tmp_path,
        env=environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
    )
    second = tmp_path / "out/1_pricing=fixed/replicates.jsonl"
    for _ in range(1200):
        if second.exists() and second.read_bytes().count(b"\n") >= 3:
            break
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = second.read_bytes().count(b"\n")
    assert 3 <= kept < 25
    assert not (tmp_path / "out/sweep.parquet").exists()
    done = subprocess.run(
        [*command, "hydra.sweep.dir=out"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("complete already") == 1
    broken = pd.read_parquet(tmp_path / "out/sweep.parquet")
    over = {"pricing": ["linear", "fixed"]}
    whole = celluler_sim.sweep(over=over, overrides=[*own, "ticks=40"], replicates=25, folder=tmp_path / "whole").table
    apart = ["overrides", *TIME]
    pd.testing.assert_frame_equal(broken.drop(columns=apart), whole.drop(columns=apart))


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_launchers_give_the_same_table(launcher: str, call: Call, monkeypatch: pytest.MonkeyPatch):
    plugin = launcher.partition("_")[0]
    if find_spec(f"hydra_plugins.hydra_{plugin}_launcher") is None:
        pytest.skip(f"hydra-{plugin}-launcher is not installed: pip install 'celluler-sim[{plugin}]'")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    assert call("-m", "seed=1,2", *SMALL, "replicates=2", "hydra.sweep.dir=basic").code == 0
    outcome = call("-m", "seed=1,2", *SMALL, "replicates=2", "hydra.sweep.dir=out", f"hydra/launcher={launcher}")
    assert outcome.code == 0, outcome.err
    one, other = (
        pd.read_parquet(f"{name}/sweep.parquet").drop(columns=["overrides", *TIME]) for name in ("basic", "out")
    )
    pd.testing.assert_frame_equal(one, other)


def test_pairwise(call: Call):
    """Linear goes with 80 and fixed with 120: two jobs instead of four."""
    outcome = call("-m", *GRID, "together=[pricing,pricing.base_price]", *SMALL, "replicates=2", "hydra.sweep.dir=out")
    assert outcome.code == 0, outcome.err
    table = pd.read_parquet("out/sweep.parquet")
    pairs = list(zip(table["pricing"], table["pricing.base_price"], table["seed"], strict=True))
    assert [pair[:2] for pair in pairs] == [("linear", 80)] * 2 + [("fixed", 120)] * 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pricing=linear,fixed", "seed=1,2,3", "together=[pricing,seed]"],
         "together must name keys with equally many values, got unequal lists: pricing has 2, seed has 3"),
        (["pricing=linear,fixed", "together=[pricing,sed]"], "together must name keys that vary, got 'sed'"),
        (["prizing=linear,fixed"], "unknown key prizing; did you mean pricing?"),
        (["pricing.bas_price=1,2"], "unknown key pricing.bas_price; did you mean pricing.base_price?"),
        (["seed=1,2", "hydra/launcher=joblib"], "hydra/launcher=joblib is not installed: pip install hydra"),
        (["scenario=compute_congestoin,erlang"], "got 'compute_congestoin'; did you mean compute_congestion?"),
        (["seed=1,2", "until_width.mean_wait=3"], "until_width must name figures of the summary, got 'mean_wait'"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(arguments: list[str], message: str, call: Call, monkeypatch: pytest.MonkeyPatch):
    if "launcher" in message:
        hide_launchers(monkeypatch)
    outcome = call("-m", *arguments, *SMALL)
    assert (outcome.code, outcome.err.count("\n")) == (1, 1), outcome.err
    assert message in outcome.err
    assert list(Path().iterdir()) == []


def hide_launchers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make Hydra say what it says where the plugin is missing."""
    from hydra.errors import MissingConfigException

    from celluler_sim.conf import composition

    def missing(*_: object, **__: object) -> None:
        raise ScenarioError("In 'hydra/config': Could not find 'hydra/launcher/joblib'")

    assert issubclass(MissingConfigException, Exception)
    monkeypatch.setattr(composition, "compose", missing)


def test_a_folder_that_holds_no_sweep(tmp_path: Path):
    with pytest.raises(ResultsError, match=r"must hold a sweep, got no sweep\.json; name the folder of one sweep"):
        celluler_sim.load_sweep(tmp_path)
    with pytest.raises(ResultsError, match="must exist, got nothing there"):
        celluler_sim.load_sweep(tmp_path / "nowhere")
    (tmp_path / "sweep.json").write_text('{"name": "x", "jobs": [3]}')
    with pytest.raises(ResultsError, match="must be the plan of a sweep, got TypeError"):
        read_plan(tmp_path)


def test_values_by_hand():
    assert values_of(["++seed=3", "pricing=linear", "++a.b=0.5", "++x=true", "++y='1,2'"]) == {
        "seed": 3, "pricing": "linear", "a.b": 0.5, "x": True, "y": "1,2",
    }  # fmt: skip


def test_paired_up_by_hand():
    """Of (a, 1), (a, 2), (b, 1), (b, 2) the pairs are the first and the last."""
    sweeps = prepare(["name=a,b", "seed=1,2"], Scenario).overrides
    jobs = [[f"name={n}", f"seed={s}"] for n in "ab" for s in (1, 2)]
    assert paired_up(jobs, sweeps, ["name", "seed"]) == [0, 3]
    assert paired_up(jobs, sweeps, []) == [0, 1, 2, 3]


def test_the_sweep_in_python(small: list[str], tmp_path: Path):
    over = {"pricing": ["linear", "fixed"], "pricing.base_price": [80, 120]}
    sweep = celluler_sim.sweep(over=over, overrides=small, replicates=3, folder=tmp_path / "out")
    assert (len(sweep), len(sweep.jobs), sweep.parameters) == (12, 4, ["pricing", "pricing.base_price"])
    assert sweep.units["mean_wait_s"] == "s"
    linear = sweep.frame(["pricing", "mean_price_prana"], {"pricing": "linear"})
    assert (list(linear.columns), len(linear)) == (["pricing", "mean_price_prana"], 6)
    with pytest.raises(KeyError, match="no column 'prize'"):
        sweep.frame(["prize"])
    tidy = sweep.tidy()
    price = tidy[tidy["figure"] == "mean_price_prana"]
    assert (len(price), set(price["unit"])) == (12, {"PRANA/unit"})
    means = sweep.intervals("mean_price_prana").set_index(["pricing", "pricing.base_price"])["mean"]
    assert means["fixed", 80] == 80
    assert sweep.run(3).summary["mean_price_prana"] == means["fixed", 120] == 120


@pytest.mark.skipif(find_spec("duckdb") is None, reason="duckdb is not installed")
def test_sql(small: list[str], tmp_path: Path):
    sweep = celluler_sim.sweep(over={"seed": [1, 2]}, overrides=small, folder=tmp_path / "it's")
    assert sweep.sql("SELECT count(*) FROM sweep").fetchall() == [(2,)]
    assert sweep.sql("SELECT sweep_job, count(*) FROM markets GROUP BY 1 ORDER BY 1").fetchall() == [(0, 10), (1, 10)]


def test_sql_without_duckdb_is_one_line(small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    sweep = celluler_sim.sweep(over={"seed": [1]}, overrides=small, folder=tmp_path / "out")
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(CellulerError, match="needs the package duckdb, which is not installed: pip install duckdb"):
        sweep.sql("SELECT 1")


def test_an_unfinished_sweep_says_how_to_go_on(tmp_path: Path):
    (tmp_path / "sweep.json").write_text(json.dumps({"name": "x", "jobs": []}))
    with pytest.raises(ResultsError, match=r"must have been finished, got no sweep\.parquet; run the same sweep again"):
        celluler_sim.load_sweep(tmp_path)
