"""Runs that are stopped and continued: what comes out is what would have come out, byte for byte."""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from celluler_sim import load_run, replicate, resume, simulate
from celluler_sim.__main__ import main
from celluler_sim.checkpoint import state, store
from celluler_sim.errors import ResultsError, ScenarioError
from celluler_sim.experiments.journal import Journal
from celluler_sim.recorder import Recorder
from celluler_sim.results import Run
from celluler_sim.run import run_scenario
from celluler_sim.scenario import Scenario, compose
from celluler_sim.tables import TABLES

SMALL = [
    "ticks=40", "agents.providers.count=6", "agents.consumers.count=60", "agents.consumers.jobs_per_day=400",
    "record.agents_every=7",
]  # fmt: skip
FAULTS = (
    "consensus.faults=[{kind: crash, members: [1], start_s: 300, end_s: 900},"
    "{kind: partition, groups: [[0,1,2,3],[4,5,6]], start_s: 600, end_s: 1200},"
    "{kind: equivocation, members: [2], start_s: 0, end_s: 1800}]"
)
HASHGRAPH = ["consensus=hashgraph", "consensus.validators=7", FAULTS]
EVERY = "checkpoint_every=6"


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Return every table of a run and its variants."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.parquet"))}


@functools.cache
def composed(*more: str) -> Scenario:
    """Return a small scenario, composed once."""
    return compose("compute_congestion", [*SMALL, *more])


def run(folder: Path, *more: str, every: int = 0) -> Run:
    """Run a small scenario with checkpoints every so many ticks."""
    return run_scenario(replace(composed(*more), checkpoint_every=every), folder)


def stop_at(monkeypatch, write: int) -> None:
    """Interrupt the run when it has written so many checkpoints."""
    real, written = store.write, []

    def counted(*args, **kwargs):
        path = real(*args, **kwargs)
        written.append(path)
        if len(written) == write:
            monkeypatch.setattr(store, "write", real)
            raise KeyboardInterrupt
        return path

    monkeypatch.setattr(store, "write", counted)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "run"
    run(folder)
    return folder


@pytest.mark.parametrize(
    "more",
    [
        [],
        ["consensus=leader", "consensus.conduct=sandwiching", "allocation=order_book", "pricing=posted"],
        ["pricing=eip1559", "agents.providers.entry_per_day=20", "agents.providers.exit_after_s=600"],
        ["workload=llm_clients", "workload.source=fitted", "workload.clients=40", "workload.days=1"],
        ["workload=gpu_cluster", "workload.source=fitted", "workload.last_days=1"],
    ],
    ids=["plain", "leader", "entry", "clients", "cluster"],
)
def test_resumed_tables_are_byte_identical(tmp_path, monkeypatch, more):
    """Interrupted at the second checkpoint and continued: every table equals that of a run that went through."""
    run(tmp_path / "whole", *more)
    stop_at(monkeypatch, 2)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", *more, every=6)
    assert load_run(tmp_path / "cut").manifest["outcome"] == "interrupted"
    resumed = resume(tmp_path / "cut")
    assert bytes_of(tmp_path / "cut") == bytes_of(tmp_path / "whole")
    assert len(bytes_of(tmp_path / "cut")) == len(TABLES)
    assert resumed.manifest["outcome"] == "finished"
    assert resumed.manifest["resumed"] == [{"at_tick": 12}]
    whole = load_run(tmp_path / "whole")
    assert resumed.manifest["streams"] == whole.manifest["streams"]
    speed = ("simulation_seconds", "agent_steps_per_second")
    figures = [{k: v for k, v in found.summary.items() if k not in speed} for found in (resumed, whole)]
    assert figures[0] == figures[1]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pool_formation", "governance_vote", "fraud_wave", "ai_training"])
def test_institutions_go_on_too(tmp_path, monkeypatch, name):
    """Pools, votes, fraud and its detection, training orders: shipped scenarios, cut short and stopped halfway."""
    scenario = replace(compose(name), ticks=24, variants={})
    run_scenario(scenario, tmp_path / "whole")
    stop_at(monkeypatch, 2)
    with pytest.raises(KeyboardInterrupt):
        run_scenario(replace(scenario, checkpoint_every=8), tmp_path / "cut")
    assert resume(tmp_path / "cut").manifest["resumed"] == [{"at_tick": 16}]
    assert bytes_of(tmp_path / "cut") == bytes_of(tmp_path / "whole")


def test_checkpoints_do_not_change_a_run(tmp_path, uninterrupted):
    """Tables and figures are those of a run without; two checkpoints are kept, and no stream is left."""
    found = run(tmp_path / "run", every=6)
    assert bytes_of(tmp_path / "run") == bytes_of(uninterrupted)
    assert [path.name for path in sorted((tmp_path / "run" / "checkpoints").iterdir())] == [
        "tick-000000030.ckpt", "tick-000000036.ckpt",
    ]  # fmt: skip
    assert not list((tmp_path / "run").glob("*.arrows"))
    assert not (tmp_path / "run" / ".lock").exists()
    assert found.config["checkpoint_every"] == 6


def test_a_finished_run_is_only_read(uninterrupted):
    before = {path: path.stat().st_mtime_ns for path in uninterrupted.rglob("*")}
    assert resume(uninterrupted).manifest["outcome"] == "finished"
    assert {path: path.stat().st_mtime_ns for path in uninterrupted.rglob("*")} == before


def test_without_a_checkpoint_a_run_begins_anew(tmp_path, uninterrupted, monkeypatch):
    """Stopped without any: the same tables, from the start, in the same folder."""

    def watch(economy):
        if economy.steps == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_scenario(composed(), tmp_path / "cut", watch=watch)
    assert "resumed" not in resume(tmp_path / "cut").manifest
    assert bytes_of(tmp_path / "cut") == bytes_of(uninterrupted)


def cut(tmp_path, monkeypatch) -> Path:
    """Return a run that was stopped at its third checkpoint, and begin to write beyond it."""
    stop_at(monkeypatch, 3)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", every=6)
    return tmp_path / "cut"


def test_a_damaged_checkpoint_is_passed_over(tmp_path, uninterrupted, monkeypatch):
    """The newest has a wrong byte in its last block, the one before it is taken; then that is damaged too."""
    folder = cut(tmp_path, monkeypatch)
    newest = folder / "checkpoints" / "tick-000000018.ckpt"
    content = bytearray(newest.read_bytes())
    content[-1] ^= 1
    newest.write_bytes(content)
    again = Path(shutil.copytree(folder, tmp_path / "again"))
    assert resume(folder).manifest["resumed"] == [{"at_tick": 12}]
    assert bytes_of(folder) == bytes_of(uninterrupted)
    (again / "checkpoints" / "tick-000000012.ckpt").write_bytes(b"")
    assert "resumed" not in resume(again).manifest
    assert bytes_of(again) == bytes_of(uninterrupted)


def test_a_stream_shorter_than_the_checkpoint_says(tmp_path, uninterrupted, monkeypatch):
    """A power cut took the end of a table: the checkpoint that it still covers is taken, or the start."""
    folder = cut(tmp_path, monkeypatch)
    stream = folder / "markets.arrows"
    [earlier] = [c for c in store.checkpoints(folder, load_run(folder).config) if c.tick == 12]
    os.truncate(stream, earlier.marks["markets"][1] + 5)
    assert resume(folder).manifest["resumed"] == [{"at_tick": 12}]
    assert bytes_of(folder) == bytes_of(uninterrupted)


def test_killed_while_tables_were_put_in_order(tmp_path, uninterrupted, monkeypatch):
    """Some Parquet files are there, one is half written, the manifest still says running."""
    folder = tmp_path / "cut"
    real = Recorder.release
    monkeypatch.setattr(Recorder, "release", lambda _: None)
    run(folder, every=6)
    monkeypatch.setattr(Recorder, "release", real)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "outcome": "running"}))
    (folder / "summary.json").unlink()
    (folder / "jobs.parquet").unlink()
    (folder / "fills.parquet").write_bytes(b"PAR1")
    (folder / "jobs.parquet.partial").write_bytes(b"PAR1")
    assert resume(folder).manifest["resumed"] == [{"at_tick": 36}]
    assert bytes_of(folder) == bytes_of(uninterrupted)
    assert not list(folder.glob("*.partial"))


def test_a_changed_configuration_is_refused(tmp_path, monkeypatch):
    """The checkpoint is of other rules than scenario.yaml says now."""
    folder = cut(tmp_path, monkeypatch)
    text = (folder / "scenario.yaml").read_text()
    (folder / "scenario.yaml").write_text(text.replace("base_price: 100.0", "base_price: 90.0"))
    with pytest.raises(ResultsError, match=r"must be of the configuration in scenario\.yaml, got another"):
        resume(folder)


def test_another_version_is_refused(tmp_path, monkeypatch):
    folder = cut(tmp_path, monkeypatch)
    monkeypatch.setattr(store, "versions", lambda: {"celluler-sim": "9.9"})
    with pytest.raises(ResultsError, match="must be of this version"):
        resume(folder)


def test_variants_go_on_too(tmp_path, monkeypatch):
    """Stopped in the first of two variants: it is continued, the second is run, the main run stays as it is."""
    variants = "variants={steep: ['pricing.base_price=150'], flat: ['pricing=fixed']}"
    simulate("compute_congestion", [*SMALL, "pricing.base_price=80", variants], folder=tmp_path / "whole")
    stop_at(monkeypatch, 8)  # six of the main run
    with pytest.raises(KeyboardInterrupt):
        simulate("compute_congestion", [*SMALL, "pricing.base_price=80", variants, EVERY], folder=tmp_path / "cut")
    assert not (tmp_path / "cut" / "variants" / "flat").exists()
    found = resume(tmp_path / "cut")
    assert {name: variant.manifest["outcome"] for name, variant in found.variants.items()} == {
        "steep": "finished", "flat": "finished",
    }  # fmt: skip
    assert found.variants["steep"].manifest["resumed"] == [{"at_tick": 12}]
    assert bytes_of(tmp_path / "cut") == bytes_of(tmp_path / "whole")
    assert len(bytes_of(tmp_path / "cut")) == 3 * len(TABLES)


def test_replicates_go_on_too(tmp_path, monkeypatch):
    """A job of four replicates, interrupted when the first were in its journal: the table is that of all four."""
    more = [*SMALL, "executor=serial", "ticks=5"]
    replicate("compute_congestion", more, replicates=4, folder=tmp_path / "whole")
    real = Journal.append

    def once(self, rows):
        real(self, rows)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "append", once)
        with pytest.raises(KeyboardInterrupt):
            replicate("compute_congestion", more, replicates=4, folder=tmp_path / "cut")
    assert resume(tmp_path / "cut").manifest["outcome"] == "finished"
    tables = [load_run(tmp_path / name).tables["replicates"].drop(columns="duration_s") for name in ("whole", "cut")]
    assert tables[0].equals(tables[1])
    assert len(tables[0]) == 4


# ---- kill -9 -------------------------------------------------------------------------------------------------------


def killed(folder: Path, arguments: list[str], ready) -> None:
    """Start a run in a process of its own and kill it, as the kernel would, when it is far enough."""
    code = "import sys; from celluler_sim import simulate; simulate(sys.argv[1], sys.argv[3:], folder=sys.argv[2])"
    process = subprocess.Popen([sys.executable, "-c", code, arguments[0], str(folder), *arguments[1:]])
    try:
        while not ready(folder):
            assert process.poll() is None, "the run ended before it could be killed"
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    assert json.loads((folder / "manifest.json").read_text())["outcome"] == "running"


def second_checkpoint(folder: Path) -> bool:
    return len(list((folder / "checkpoints").glob("tick-*.ckpt"))) == 2


@pytest.mark.slow
def test_kill_9_and_resume_with_a_faulty_hashgraph(tmp_path):
    """A process killed for good: ``celluler-sim resume`` brings every table to the byte where it would have been."""
    arguments = ["compute_congestion", *SMALL, *HASHGRAPH, "ticks=80", "checkpoint_every=10"]
    killed(tmp_path / "cut", arguments, second_checkpoint)
    plain = [text for text in arguments[1:] if not text.startswith("checkpoint_every")]
    run(tmp_path / "whole", *plain[len(SMALL) :])
    assert main(["resume", str(tmp_path / "cut")]) == 0
    assert bytes_of(tmp_path / "cut") == bytes_of(tmp_path / "whole")
    found = load_run(tmp_path / "cut")
    assert found.manifest["resumed"][0]["at_tick"] > 0
    assert found.manifest["outcome"] == "finished"


@pytest.mark.slow
def test_killed_again_and_again(tmp_path):
    """Killed in the middle, resumed in a process that is killed as well, resumed to the end."""
    arguments = ["compute_congestion", *SMALL, "ticks=160", "checkpoint_every=8"]
    killed(tmp_path / "cut", arguments, second_checkpoint)
    code = "import sys; from celluler_sim import resume; resume(sys.argv[1])"
    held = {path.name for path in (tmp_path / "cut" / "checkpoints").iterdir()}
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "cut")])
    try:
        while {path.name for path in (tmp_path / "cut" / "checkpoints").glob("tick-*.ckpt")} & held:
            assert process.poll() is None
            time.sleep(0.005)
    finally:
        process.kill()
        process.wait()
    assert len(resume(tmp_path / "cut").manifest["resumed"]) == 2
    run(tmp_path / "whole", "ticks=160")
    assert bytes_of(tmp_path / "cut") == bytes_of(tmp_path / "whole")


def test_a_run_that_goes_on_is_left_alone(tmp_path):
    """While another process works in the folder, resume says so and touches nothing."""
    folder = tmp_path / "run"
    code = "import sys; from celluler_sim import simulate; simulate(sys.argv[1], sys.argv[3:], folder=sys.argv[2])"
    arguments = ["compute_congestion", str(folder), *SMALL, "ticks=1000000", "checkpoint_every=5"]
    process = subprocess.Popen([sys.executable, "-c", code, *arguments])
    try:
        while not second_checkpoint(folder):
            assert process.poll() is None
            time.sleep(0.01)
        with pytest.raises(ResultsError, match="must be idle, got one whose run goes on"):
            resume(folder)
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


# ---- the command line ----------------------------------------------------------------------------------------------


def refused(capsys, *arguments: str) -> str:
    code = main(list(arguments))
    out, err = capsys.readouterr()
    assert (code, out, err.count("\n")) == (1, "", 1)
    return err.removeprefix("celluler-sim: ").strip()


def test_what_resume_says(tmp_path, capsys, uninterrupted):
    """A folder that holds no run, none at all, a flag; help; and figures of a run that had ended."""
    (tmp_path / "empty").mkdir()
    assert "must hold a run" in refused(capsys, "resume", str(tmp_path / "empty"))
    assert "must exist" in refused(capsys, "resume", str(tmp_path / "nowhere"))
    assert "usage: celluler-sim resume FOLDER" in refused(capsys, "resume", str(uninterrupted), "--fast")
    assert main(["resume", "--help"]) == 0
    assert "checkpoint_every=TICKS" in capsys.readouterr().out


def test_checkpoint_every_is_checked():
    with pytest.raises(ScenarioError, match="checkpoint_every must be >= 0, got -1"):
        compose("compute_congestion", ["checkpoint_every=-1"])


def test_every_attribute_of_every_rule_can_be_stored(tmp_path):
    """Each consensus, institution and workload that needs no file, a few ticks on: the line names what cannot."""
    from celluler_sim.conf import choices
    from celluler_sim.economy import Economy
    from celluler_sim.errors import CellulerError
    from celluler_sim.institutions.base import FAMILIES
    from celluler_sim.mechanisms.base import registered

    stored = 0
    for family in ("consensus", "workload", *FAMILIES):
        for name in registered(family):
            more = [f"{family}={name}"]
            if "source" in choices.rule_keys(choices.rule(family, name)):
                more.append(f"{family}.source=fitted")
            if family == "pools":
                more.append("market.split=false")
            try:
                scenario = composed(*more)
                economy = Economy(scenario)
            except CellulerError:
                continue  # it needs a trace, or another rule beside it
            for _ in range(4):
                economy.step()
            assert state.save(tmp_path / "a.ckpt", economy, scenario, {}) > 1000, more
            stored += 1
    assert stored >= 9
