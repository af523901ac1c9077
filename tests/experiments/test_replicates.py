"""One scenario in many worlds."""

from __future__ import annotations

import ctypes
import json
import resource
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest

import celluler_sim
from celluler_sim.errors import CellulerError, ResultsError
from celluler_sim.experiments import worlds
from celluler_sim.experiments.replicates import AT_LEAST, JOURNAL, Enough, run_replicates
from celluler_sim.experiments.worlds import LEADING, Job, config_text, run_jobs
from celluler_sim.live_page import SCRIPT
from celluler_sim.results import load_run
from celluler_sim.scenario import compose
from tests.experiments.conftest import SMALL, Call

TIME = ["duration_s"]


def test_a_replicate_is_the_run_of_that_world(small: list[str]):
    """Its figures are those of `simulate` with the same number, and with its seed alone."""
    found = celluler_sim.replicate(overrides=[*small, "replicate=4"], replicates=2)
    row = found.rows[1]
    assert (row["replicate"], row["seed"]) == (5, 1 + 5 * 2**32)
    for world in (["replicate=5"], [f"seed={row['seed']}"]):
        summary = celluler_sim.simulate(overrides=[*small, *world]).summary
        figures = {name: value for name, value in row.items() if name not in LEADING}
        assert figures == {name: summary[name] for name in figures}
        assert summary.keys() - figures.keys() == {"simulation_seconds", "agent_steps_per_second"}


def test_worlds_differ_and_seeds_are_distinct(small: list[str]):
    table = celluler_sim.replicate(overrides=small, replicates=8).table
    assert table["seed"].nunique() == table["requested_work_units"].nunique() == 8
    assert list(table.columns[:5]) == list(LEADING)
    assert set(table["outcome"]) == {"finished"}


def test_a_replicate_without_a_figure_says_so(small: list[str]):
    """Nobody wants anything: the mean wait of no job is missing, not zero."""
    found = celluler_sim.replicate(overrides=[*small, "ticks=1", "agents.consumers.jobs_per_day=0"], replicates=2)
    assert found.table["mean_wait_s"].isna().all()
    assert "mean_wait_s" not in found.intervals


def test_a_failure_is_a_row_and_the_others_go_on(small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "moody.py").write_text(MOODY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    scenario = compose(None, [*small, "plugins=[moody]", "pricing=moody", "replicates=6"])
    found = run_replicates(scenario, tmp_path / "out")
    assert 0 < len(found.failed) < 6
    assert {row["error"] for row in found.failed} == {
        "pricing=moody must not raise, got RuntimeError: not today at tick 3"
    }
    run = load_run(tmp_path / "out")
    assert run.manifest["outcome"] == "failed"
    assert run.manifest["error"].startswith(f"{len(found.failed)} of 6 replicates failed; number ")
    assert run.tables["replicates"]["error"].count() == len(found.failed)


MOODY = '''
"""A price that refuses to be named in some worlds."""
from dataclasses import dataclass
from celluler_sim.mechanisms.base import register
from celluler_sim.mechanisms.pricing import UniformPrice

@register("pricing", "moody")
@dataclass(frozen=True, kw_only=True)
class Moody(UniformPrice):
    """Moody."""
    def price(self, load):
        if load.time > 200 and int(load.capacity * 1e9) % 2:
            raise RuntimeError("not today")
        return self.base_price
'''


@pytest.mark.usefixtures("pictures")
def test_the_folder_of_a_job(small: list[str], tmp_path: Path):
    found = celluler_sim.replicate(overrides=small, replicates=3, folder=tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        "scenario.yaml", "manifest.json", "summary.json", "intervals.json", "replicates.parquet", "replicates.html",
        "figures",
        SCRIPT,
    }  # fmt: skip
    run = load_run(tmp_path / "out")
    pd.testing.assert_frame_equal(run.tables["replicates"], found.table, check_dtype=False)
    assert run.summary["mean_price_prana"] == found.table["mean_price_prana"].mean()
    assert run.tables.units("replicates")["mean_wait_s"] == "s"
    spread = json.loads((tmp_path / "out/intervals.json").read_text())["mean_price_prana"]
    assert spread["low"] < spread["mean"] < spread["high"]
    with pytest.raises(ResultsError, match="must not hold another run"):
        celluler_sim.replicate(overrides=[*small, "ticks=9"], replicates=3, folder=tmp_path / "out")


def test_what_was_stopped_goes_on(small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A job that ends in the middle keeps its rows; the same job again runs the others only, to the same table."""
    scenario = compose(None, [*small, "replicates=6"])
    whole = run_replicates(scenario).table.drop(columns=TIME)
    real = celluler_sim.experiments.schedule.run_jobs
    ran: list[int] = []

    def stopping(jobs: tuple[Job, ...]) -> object:
        ran.extend(job.replicate for job in jobs)
        if len(ran) == 4:
            raise KeyboardInterrupt
        return real(jobs)

    monkeypatch.setattr("celluler_sim.experiments.schedule.run_jobs", stopping)
    with pytest.raises(KeyboardInterrupt):
        run_replicates(scenario, tmp_path / "out")
    assert load_run(tmp_path / "out").manifest["outcome"] == "interrupted"
    assert (tmp_path / "out" / JOURNAL).read_text().count("\n") == 3
    with (tmp_path / "out" / JOURNAL).open("a") as journal:
        journal.write('{"replicate": 3, "outc')  # as a kill leaves it
    again = run_replicates(scenario, tmp_path / "out").table.drop(columns=TIME)
    pd.testing.assert_frame_equal(again, whole)
    assert ran == [0, 1, 2, 3, 3, 4, 5]


def test_enough_by_hand():
    """Twelve values 0, 1, 0, 1 …: after n of them the width is 2 t(n-1) sd / sqrt n; 0.75 is first met at n = 11."""
    rows = {i: {"replicate": i, "x": float(i % 2)} for i in range(12)}
    assert Enough({"x": 0.75}).reached(rows, range(100)) == 10
    assert Enough({"x": 0.01}).reached(rows, range(100)) is None
    assert Enough({}).reached(rows, range(100)) is None
    gap = {i: row for i, row in rows.items() if i != 4}
    assert Enough({"x": 0.75}).reached(gap, range(100)) is None, "what finished later must not be looked at first"


def test_an_early_stop_does_not_depend_on_who_finished_first(small: list[str]):
    found = celluler_sim.replicate(overrides=[*small, "until_width.mean_price_prana=1000"], replicates=40)
    assert len(found.rows) == AT_LEAST
    assert found.intervals["mean_price_prana"].width <= 1000


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "until_width.mean_prize_prana=1",
            "until_width must name figures of the summary, got 'mean_prize_prana'; did you",
        ),
        ("until_width.mean_wait_s=0", "until_width.mean_wait_s must be > 0, got 0"),
        ("replicates=0", "replicates must be >= 1, got 0"),
        ("executor=clouds", "executor must be one of dask, processes, serial; got 'clouds'"),
        ("executor.workers=-1", "unknown key executor.workers"),
        ("worlds=parallel", "worlds must be one of distinct, common, got 'parallel'"),
    ],
)
def test_mistakes_are_one_line(override: str, message: str, call: Call):
    arguments = [*[s for s in SMALL if not override.startswith(s.split("=")[0] + "=")], override]
    outcome = call(*arguments, *([] if "replicates" in override else ["replicates=2"]))
    assert (outcome.code, outcome.err.count("\n")) == (1, 1), outcome.err
    assert message in outcome.err
    assert list(Path().iterdir()) == []


def test_tables_of_replicates_where_asked_for(small: list[str], tmp_path: Path):
    celluler_sim.replicate(overrides=[*small, "replicate_tables=true"], replicates=2, folder=tmp_path / "out")
    one = load_run(tmp_path / "out/replicates/1")
    assert one.manifest["replicate"] == 1
    assert len(one.tables["markets"]) == 10


def test_memory_holds_no_economies(small: list[str]):
    """Mesa 3.3 keeps every model whose agents it numbers; of ours, none outlives its figures."""
    import gc

    from celluler_sim.economy import Economy

    config = config_text(compose(None, small))
    run_jobs([Job(i, config, i) for i in range(5)])
    gc.collect()
    assert not [thing for thing in gc.get_objects() if isinstance(thing, Economy)]


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["processes", "dask"])
def test_every_executor_gives_the_same_table(executor: str, small: list[str]):
    if executor == "dask" and find_spec("distributed") is None:
        pytest.skip("dask[distributed] is not installed: pip install 'celluler-sim[dask]'")
    tables = []
    for name in ("serial", executor):
        own = [text for text in small if not text.startswith("executor")] + [f"executor={name}"]
        own += [] if name == "serial" else ["executor.workers=2"]
        tables.append(celluler_sim.replicate(overrides=own, replicates=12).table.drop(columns=TIME))
    pd.testing.assert_frame_equal(*tables)


def test_an_executor_that_is_not_installed_is_one_line(small: list[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    own = [text for text in small if not text.startswith("executor")]
    with pytest.raises(CellulerError, match="executor=dask needs the package distributed, which is not installed: pip"):
        celluler_sim.replicate(overrides=[*own, "executor=dask"], replicates=2)


@pytest.mark.skipif(worlds._malloc_trim() is None, reason="the C library cannot be asked for memory back")
def test_memory_that_runs_have_freed_goes_back(monkeypatch: pytest.MonkeyPatch):
    """A batch that leaves a hole of 60 MB below one block that stays: the hole is the system's again afterwards."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype = libc.memset.restype = ctypes.c_void_p
    libc.malloc.argtypes, libc.free.argtypes = [ctypes.c_size_t], [ctypes.c_void_p]
    libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
    stays = []

    def leave_a_hole(job: worlds.Job) -> worlds.Row:
        blocks = [libc.malloc(60_000) for _ in range(1000)]
        for block in blocks:
            libc.memset(block, 1, 60_000)
        stays.append(blocks.pop())
        for block in blocks:
            libc.free(block)
        return {"outcome": "finished"}

    def resident() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6  # MB

    monkeypatch.setattr(worlds, "_run", leave_a_hole)
    before = resident()
    worlds.run_jobs([worlds.Job(0, "", 0)])
    assert resident() - before < 20
    libc.free(stays[0])
