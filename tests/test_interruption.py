"""Runs that are ended in the middle, through the real command line: what was written before is there."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from celluler_sim.results import load_run
from celluler_sim.tables import TABLES

ENDLESS = [
    "ticks=10000000",
    "agents.providers.count=5",
    "agents.consumers.count=40",
    "agents.consumers.jobs_per_day=100",
    "record.agents_every=7",
]


def hear_interrupts() -> None:
    """Undo what a shell does to its background jobs: they, and all they start, ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def endless(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Start a run that does not end by itself; return it and its folder as soon as the first batches are written."""
    process = subprocess.Popen(
        [sys.executable, "-m", "celluler_sim", *ENDLESS],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=hear_interrupts,  # noqa: PLW1509
    )  # fmt: skip
    try:
        while not (folders := written(tmp_path)):
            if process.poll() is not None:
                pytest.fail(f"the run ended by itself: {process.communicate()}")
            time.sleep(0.1)
        yield process, folders[0]
    finally:
        process.kill()
        process.communicate()


def written(home: Path) -> list[Path]:
    """Return the folders of runs that have written rows of the markets."""
    manifests = home.glob("results/compute_congestion/*/manifest.json")
    return [file.parent for file in manifests if rows_written(file.parent)]


def rows_written(folder: Path) -> int:
    stream = folder / "markets.arrows"
    return len(load_run(folder).tables["markets"]) if stream.exists() and stream.stat().st_size else 0


def snapshot(folder: Path) -> dict[str, tuple[list[str], int]]:
    """Return for each table its rows as text, as they are on the disk now."""
    tables = load_run(folder).tables
    return {
        name: ([str(row) for row in tables.arrow(name).to_pylist()], tables.arrow(name).num_rows) for name in tables
    }


def whole_ticks(folder: Path) -> int:
    """Return how many ticks a run's markets have, every one once and in order."""
    tables = load_run(folder).tables
    ticks = tables["markets"]["tick"].to_numpy()
    np.testing.assert_array_equal(ticks, np.arange(len(ticks)))
    assert set(tables["fills"]["tick"]) <= set(range(len(ticks) + 2))
    return len(ticks)


def test_kill_9_loses_nothing_that_was_written(endless):
    """All tables as they were on the disk before the kill are there after it, row by row, and more may have come."""
    process, folder = endless
    before = snapshot(folder)
    process.send_signal(signal.SIGKILL)
    out, err = process.communicate()
    assert (process.returncode, out, err) == (-signal.SIGKILL, "", "")
    after = snapshot(folder)
    assert set(before) == set(after) == set(TABLES)
    for name, (rows, n) in before.items():
        assert after[name][1] >= n
        assert not set(rows) - set(after[name][0])
    assert before["markets"][1] > 50
    assert len(before["transfers"][0]) > 0
    assert whole_ticks(folder) >= before["markets"][1]
    run = load_run(folder)
    assert run.manifest["outcome"] == "running"
    assert run.config["ticks"] == 10_000_000


def test_ctrl_c_is_one_line_and_leaves_a_readable_folder(endless):
    """Exit code 130; the folder says that it was interrupted and holds every tick up to then, in every table."""
    process, folder = endless
    home = folder.parents[2]
    before = rows_written(folder)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    message = f"celluler-sim: interrupted; what was recorded until then is in {folder.relative_to(home)}\n"
    assert (process.returncode, out, err) == (130, "", message)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["outcome"], manifest["error"]) == ("interrupted", "KeyboardInterrupt")
    assert manifest["duration_s"] > 0
    ticks = whole_ticks(folder)
    assert ticks >= before
    tables = load_run(folder).tables
    assert tables["consensus"]["tick"].tolist()[:ticks] == list(range(ticks))
    assert len(tables["transfers"]) == tables["transfers"]["transfer"].nunique()
