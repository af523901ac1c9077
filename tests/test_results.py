"""Results: a run's folder is complete or refused, and is read back whatever became of the run."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from celluler_sim import run_folder
from celluler_sim.errors import ResultsError
from celluler_sim.recorder import Recorder
from celluler_sim.results import Plots, Run, load_run
from celluler_sim.run_folder import Manifest, RunFolder, to_json, to_yaml, write_text
from celluler_sim.tables import TABLES
from tests.test_recorder import agents, consensus, transfers

CONFIG: dict[str, Any] = {
    "name": "demo",
    "seed": 7,
    "market": {"unit_size": 1.0e18, "split": True},
    "plugins": [],
    "note": "Größe: 1e3",
}
SUMMARY = {"price": 449.94, "wait_s": float("nan"), "jobs": np.int64(3), "surplus": np.float64("inf")}


def fill(recorder: Recorder, rows: int = 40) -> None:
    recorder.log("transfers", **transfers(0, rows))
    recorder.log("agents", **agents(0, np.arange(rows)[::-1]))
    recorder.log("consensus", **consensus(np.arange(3), submitted=np.array([5, 6, 7])))


def written(path: Path, rows: int = 40) -> Path:
    """Write a finished run."""
    run = RunFolder.create(path)
    run.start(CONFIG, seed=7, replicate=2, streams={"demand": 2**64 - 1})
    with run.recorder() as recorder:
        fill(recorder, rows)
    run.finish(SUMMARY, streams={"clear": 1})
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("results") / "demo")


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    """Copy a finished run that a test may damage."""
    return Path(shutil.copytree(finished, tmp_path / "copy"))


def in_memory(variants: dict[str, Run] | None = None) -> Run:
    recorder = Recorder(None)
    fill(recorder)
    recorder.finish()
    manifest = Manifest.begin(CONFIG, seed=7)
    return Run(config=CONFIG, manifest=manifest.end(), summary=SUMMARY, source=recorder, variants=variants)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def strict_json(path: Path) -> Any:
    """Parse JSON as its standard has it, without NaN."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{path} holds {name}")

    return json.loads(path.read_text(), parse_constant=refuse)


def test_a_finished_run_is_read_back(finished: Path) -> None:
    run = load_run(finished)
    assert run.folder == finished
    assert run.config == CONFIG
    assert list(run.config) == list(CONFIG)  # keys in the order in which the scenario was composed
    assert run.summary == {"price": 449.94, "wait_s": None, "jobs": 3, "surplus": None}
    assert list(run.tables) == list(TABLES)
    frame = run.tables["consensus"]
    assert frame["tick"].tolist() == [0, 1, 2]
    assert frame["submitted"].tolist() == [5, 6, 7]
    assert frame["latency_p95_s"].isna().all()


def test_the_manifest_says_how_the_run_came_about(finished: Path) -> None:
    manifest = strict_json(finished / "manifest.json")
    assert manifest["outcome"] == "finished"
    assert manifest["error"] is None
    assert (manifest["seed"], manifest["replicate"], manifest["scenario"]) == (7, 2, "demo")
    assert manifest["streams"] == {"clear": "0x0000000000000001", "demand": "0xffffffffffffffff"}
    assert manifest["config_sha256"] == hashlib.sha256((finished / "scenario.yaml").read_bytes()).hexdigest()
    assert manifest["versions"]["python"].startswith("3.")
    assert {"celluler-sim", "numpy", "pyarrow", "mesa"} <= manifest["versions"].keys()
    assert manifest["duration_s"] >= 0
    assert manifest["started"] <= manifest["finished"]


def test_no_figure_that_is_not_a_number_reaches_the_summary(finished: Path) -> None:
    assert strict_json(finished / "summary.json") == {"price": 449.94, "wait_s": None, "jobs": 3, "surplus": None}


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(summary=st.dictionaries(st.text(max_size=5), values, max_size=5))
def test_any_summary_is_strict_json(summary: dict[str, Any]) -> None:
    """What comes back is equal but for NaN and infinities, which are null."""

    def refuse(name: str) -> None:
        raise AssertionError(name)

    def finite(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: finite(v) for k, v in value.items()}
        if isinstance(value, list):
            return [finite(v) for v in value]
        return None if isinstance(value, float) and not np.isfinite(value) else value

    assert json.loads(to_json(summary), parse_constant=refuse) == finite(summary)


printable = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn", "Co"]), max_size=8)


@given(
    config=st.dictionaries(printable, printable | st.integers() | st.floats(allow_nan=False) | st.none(), max_size=5)
)
@example(config={"a": "1e18", "b": "no", "c": "2026-01-01", "d": 1.0e18, "e": float("inf"), "f": "!!python/none"})
def test_any_configuration_is_read_back_equal(config: dict[str, Any]) -> None:
    assert yaml.safe_load(to_yaml(config)) == config


def test_tables_are_sorted_and_typed(finished: Path) -> None:
    """Agents were logged from slot 39 down to 0; consumers (odd slots) sort before providers."""
    tables = load_run(finished).tables
    assert tables["agents"]["slot"].tolist() == [*range(1, 40, 2), *range(0, 40, 2)]
    assert isinstance(tables["agents"]["type"].dtype, pd.StringDtype)
    assert tables["agents"]["active"].dtype == np.bool_
    paid = tables["transfers"]["amount_prana"]
    assert paid.tolist() == [Decimal(u).scaleb(-18) for u in transfers(0, 40)["amount_prana"].units]
    assert tables.units("agents")["ask_prana"] == "PRANA/unit"
    assert tables.units("agents")["slot"] == ""
    assert tables.arrow("agents").num_rows == 40


def test_a_frame_may_be_altered_without_harm(finished: Path) -> None:
    tables = load_run(finished).tables
    frame = tables["consensus"]
    frame["tick"] = 99
    frame.loc[0, "submitted"] = 99
    assert tables["consensus"]["tick"].tolist() == [0, 1, 2]
    assert tables["consensus"]["submitted"].tolist() == [5, 6, 7]


def test_a_table_that_is_not_there(finished: Path) -> None:
    tables = load_run(finished).tables
    assert "agents" in tables
    assert "agent" not in tables
    assert tables.get("agent") is None
    with pytest.raises(KeyError, match="no table 'agent'"):
        tables["agent"]


def test_a_run_still_going_on_can_be_read(tmp_path: Path) -> None:
    """The first look sees what was flushed, the second what came since, the third the finished tables."""
    folder = RunFolder.create(tmp_path / "run")
    folder.start(CONFIG, seed=1)
    recorder = folder.recorder(flush_seconds=1e9)
    recorder.log("consensus", **consensus(np.array([1, 0])))
    recorder.flush()
    run = load_run(folder.path)
    assert run.manifest["outcome"] == "running"
    assert run.summary == {}
    assert run.tables["consensus"]["tick"].tolist() == [0, 1]
    assert run.tables.units("agents")["earned_prana"] == "PRANA"
    assert len(run.tables["agents"]) == 0
    recorder.log("consensus", **consensus(2))
    recorder.flush()
    assert run.tables["consensus"]["tick"].tolist() == [0, 1, 2]
    recorder.log("consensus", **consensus(3))
    recorder.finish()
    assert run.tables["consensus"]["tick"].tolist() == [0, 1, 2, 3]


KILLED = """
import itertools, sys
from pathlib import Path
from celluler_sim.run_folder import RunFolder
from tests.test_recorder import transfers
folder = RunFolder.create(Path(sys.argv[1]))
folder.start({"name": "killed"}, seed=3)
recorder = folder.recorder(batch_rows=64, flush_seconds=1e9)
for n in itertools.count():
    recorder.log("transfers", **transfers(n * 50, 50))
    print(recorder.rows["transfers"], flush=True)
"""


def test_kill_9_and_load_run(tmp_path: Path) -> None:
    """Every acknowledged batch is in the frame, and saving it makes a whole run folder of it."""
    path = tmp_path / "run"
    writer = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]
    )
    assert writer.stdout is not None
    acknowledged = [int(writer.stdout.readline()) for _ in range(60)][-1]
    os.kill(writer.pid, signal.SIGKILL)
    writer.communicate()
    run = load_run(path)
    assert run.manifest["outcome"] == "running"
    frame = run.tables["transfers"]
    assert len(frame) >= acknowledged > 2000
    assert frame["transfer"].tolist() == list(range(len(frame)))
    assert len(frame) % 64 == 0
    saved = load_run(run.save(tmp_path / "saved"))
    pd.testing.assert_frame_equal(saved.tables["transfers"], frame)


def test_a_run_that_failed_says_why_on_one_line(tmp_path: Path) -> None:
    ends: dict[str, tuple[BaseException, str]] = {
        "failed": (ValueError("price fell\nbelow 0"), "ValueError: price fell below 0"),
        "interrupted": (KeyboardInterrupt(), "KeyboardInterrupt"),
    }
    for outcome, (error, text) in ends.items():
        folder = RunFolder.create(tmp_path / outcome)
        folder.start(CONFIG, seed=1)
        folder.fail(error)
        manifest = load_run(folder.path).manifest
        assert (manifest["outcome"], manifest["error"]) == (outcome, text)


def unwritable_paths(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "file").write_text("mine")
    yield tmp_path / "file"
    yield tmp_path / "file" / "below" / "run"
    yield tmp_path / "new" / ("x" * 300)
    yield Path("/proc/results/run")


def test_a_folder_that_cannot_be_written_is_refused_before_anything(tmp_path: Path) -> None:
    """A file, below a file, a name too long below a new folder, a system folder: one line, nothing left behind."""
    for path in unwritable_paths(tmp_path):
        with pytest.raises(
            ResultsError, match=r"must be a folder that can be written, got .*; choose another"
        ) as caught:
            RunFolder.create(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
        assert [left.name for left in tmp_path.iterdir()] == ["file"]
        with pytest.raises(ResultsError):
            in_memory().save(path)
        assert [left.name for left in tmp_path.iterdir()] == ["file"]


def test_a_folder_that_holds_a_run_is_not_overwritten(copy: Path) -> None:
    before = contents(copy)
    with pytest.raises(ResultsError, match=r"must not hold a run, got manifest.json"):
        RunFolder.create(copy)
    with pytest.raises(ResultsError, match="must not hold a run"):
        in_memory().save(copy)
    assert contents(copy) == before


def test_a_folder_with_other_files_is_taken(tmp_path: Path) -> None:
    (tmp_path / ".hydra").mkdir()
    (tmp_path / "demo.log").write_text("")
    assert load_run(written(tmp_path)).manifest["outcome"] == "finished"


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "manifest.json"
    write_text(path, "old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(run_folder.os, "replace", full)
        with pytest.raises(ResultsError, match=r"got No space left on device; .* make room"):
            write_text(path, "new")
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["manifest.json"]


def test_a_save_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk fills up when all but the manifest is there."""
    run = in_memory(variants={"linear": in_memory()})
    replace = os.replace

    def full(source: Path, target: Path) -> None:
        if target == tmp_path / "a" / "b" / "manifest.json":
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(run_folder.os, "replace", full)
    with pytest.raises(ResultsError, match="No space left"):
        run.save(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []


def test_a_run_in_memory_and_on_disk_are_the_same_bytes(finished: Path, tmp_path: Path) -> None:
    run = in_memory()
    saved = contents(run.save(tmp_path / "saved"))
    varying = {"manifest.json"}
    assert saved.keys() == contents(finished).keys()
    for name in saved.keys() - varying:
        assert saved[name] == contents(finished)[name], name
    again = contents(load_run(tmp_path / "saved").save(tmp_path / "again"))
    assert again == saved


def test_a_run_in_memory_reads_like_one_on_disk(finished: Path) -> None:
    memory, disk = in_memory(), load_run(finished)
    assert memory.folder is None
    assert memory.summary == disk.summary
    assert memory.config == disk.config
    assert list(memory.tables) == list(disk.tables)
    for name in TABLES:
        pd.testing.assert_frame_equal(memory.tables[name], disk.tables[name])
        assert memory.tables.units(name) == disk.tables.units(name)


def test_a_run_in_memory_travels_between_processes() -> None:
    """Workers of a process pool hand their runs back pickled."""
    run = in_memory(variants={"linear": in_memory()})
    back = pickle.loads(pickle.dumps(run))  # noqa: S301
    pd.testing.assert_frame_equal(back.variants["linear"].tables["agents"], run.tables["agents"])


def test_a_run_without_tables() -> None:
    run = Run(config={}, manifest={}, summary={})
    assert list(run.tables) == []
    assert repr(run) == "<Run ?: no manifest; in memory>"


def test_variants_are_runs_of_their_own(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run")
    run.start(CONFIG, seed=1)
    run.recorder().finish()
    variant = run.variant("linear")
    variant.start({**CONFIG, "pricing": "linear"}, seed=1)
    with variant.recorder() as recorder:
        fill(recorder)
    variant.finish({"price": 3.0})
    run.finish({"price": 2.0})
    (run.path / "variants" / "notes").mkdir()
    loaded = load_run(run.path)
    assert list(loaded.variants) == ["linear"]
    assert loaded.variants["linear"].config["pricing"] == "linear"
    assert loaded.variants["linear"].summary["price"] == 3.0
    assert len(loaded.variants["linear"].tables["agents"]) == 40
    saved = load_run(loaded.save(tmp_path / "saved"))
    assert saved.variants["linear"].summary == {"price": 3.0}
    for name in ("", "..", "a/b"):
        with pytest.raises(ResultsError, match="must be a plain file name"):
            run.variant(name)


def test_to_csv_by_hand(tmp_path: Path) -> None:
    recorder = Recorder(None)
    recorder.log("consensus", **consensus(np.array([1, 0]), submitted=np.array([6, 5])))
    run = Run(config=CONFIG, manifest={}, summary={}, source=recorder)
    paths = run.to_csv(tmp_path / "csv")
    assert [path.name for path in paths] == [f"{name}.csv" for name in TABLES]
    assert (tmp_path / "csv" / "consensus.csv").read_text().splitlines() == [
        ",".join(f'"{column.name}"' for column in TABLES["consensus"].columns),
        "0,5,0,0,0,0,nan,0,0,0,0",
        "1,6,0,0,0,0,nan,0,0,0,0",
    ]
    exact = in_memory().to_csv(tmp_path / "more")[list(TABLES).index("transfers")]
    units = transfers(0, 40)["amount_prana"].units
    assert [Decimal(x) for x in pd.read_csv(exact, dtype=str)["amount_prana"]] == [
        Decimal(u).scaleb(-18) for u in units
    ]
    with pytest.raises(ResultsError, match="must not hold a run, got"):
        run.to_csv(tmp_path / "csv")


def test_missing_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"nowhere must exist, got nothing there; check the path"):
        load_run(tmp_path / "nowhere")
    with pytest.raises(ResultsError, match=r"must hold a run, got no manifest.json; name the folder of one run"):
        load_run(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="must hold a run"):
        load_run(tmp_path / "file")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGE: dict[str, tuple[str, Callable[[Path], object]]] = {
    "half a manifest": ("manifest.json", cut),
    "an empty manifest": ("manifest.json", lambda path: path.write_text("")),
    "a manifest that is a list": ("manifest.json", lambda path: path.write_text("[1]")),
    "a manifest that is no text": ("manifest.json", lambda path: path.write_bytes(b"\xff\xfe\x00")),
    "a manifest nested too deep": ("manifest.json", lambda path: path.write_text("[" * 100_000)),
    "half a summary": ("summary.json", cut),
    "no scenario": ("scenario.yaml", Path.unlink),
    "a scenario that is no YAML": ("scenario.yaml", lambda path: path.write_text("a: [1")),
    "a scenario that is a number": ("scenario.yaml", lambda path: path.write_text("3")),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damaged_files_are_named(copy: Path, case: str) -> None:
    name, damage = DAMAGE[case]
    damage(copy / name)
    with pytest.raises(ResultsError, match=f"{name} must be a file of a run, got .*; run the scenario again") as caught:
        load_run(copy)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "damage",
    [
        cut,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"PAR1" * 9),
        lambda path: (path.unlink(), path.mkdir()),
    ],
    ids=["half", "empty", "garbage", "folder"],
)
def test_a_damaged_table_is_named_when_it_is_asked_for(copy: Path, damage: Callable[[Path], object]) -> None:
    damage(copy / "transfers.parquet")
    run = load_run(copy)
    assert len(run.tables["agents"]) == 40
    for ask in (run.tables.arrow, run.tables.units, run.tables.__getitem__):
        with pytest.raises(ResultsError, match=r"transfers.parquet must be a file of a run, got") as caught:
            ask("transfers")
        assert "\n" not in str(caught.value)


def test_a_stream_that_is_none_is_named(copy: Path) -> None:
    (copy / "transfers.parquet").unlink()
    for garbage in (b"no stream at all", b"\xff\xff\xff\xff\x10\x00\x00\x00"):
        (copy / "transfers.arrows").write_bytes(garbage)
        with pytest.raises(ResultsError, match=r"transfers.arrows must be a file of a run, got"):
            load_run(copy).tables["transfers"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_flipped_byte_is_noticed(finished: Path, tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    """Whatever byte among the values is altered, the checksums tell; in the footer at worst a name may differ."""
    whole = (finished / "transfers.parquet").read_bytes()
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    place = data.draw(st.integers(0, footer - 1) | st.integers(footer, len(whole) - 1))
    other = data.draw(st.integers(1, 255))
    folder = tmp_path_factory.mktemp("flip")
    for name in ("manifest.json", "scenario.yaml"):
        shutil.copy(finished / name, folder)
    altered = whole[:place] + bytes([whole[place] ^ other]) + whole[place + 1 :]
    (folder / "transfers.parquet").write_bytes(altered)
    try:
        table = load_run(folder).tables.arrow("transfers")
    except ResultsError:
        return
    if place < footer:
        assert table.to_pylist() == load_run(finished).tables.arrow("transfers").to_pylist()


def test_a_foreign_folder_executes_nothing(copy: Path, tmp_path: Path) -> None:
    """A tag that would create a file through a full YAML loader is refused, and a pickle lies there unread."""
    trap = tmp_path / "executed"
    (copy / "scenario.yaml").write_text(f"name: !!python/object/apply:os.mkdir ['{trap}']\n")
    (copy / "tables.pkl").write_bytes(b"cos\nmkdir\n(V%s\ntR." % str(trap).encode())
    with pytest.raises(ResultsError, match=r"scenario.yaml must be a file of a run, got YAML must be plain, got a tag"):
        load_run(copy)
    assert not trap.exists()


def test_variants_that_point_to_themselves_end(copy: Path) -> None:
    (copy / "variants").mkdir()
    (copy / "variants" / "me").symlink_to(copy)
    assert list(load_run(copy).variants["me"].variants) == []


def plots_module() -> ModuleType:
    """Return a module that exports one plot, and other things that are none."""
    module = ModuleType("celluler_sim.analysis.plots")
    code = """
__all__ = ["price", "axes", "CAPTIONS"]
CAPTIONS = {}
def price(run, window=1):
    'Draw the price.'
    return ('price', run, window)
def axes(figure): ...
def helper(run): ...
"""
    exec(code, module.__dict__)  # noqa: S102
    return module


def test_plots_are_the_functions_that_take_a_run(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "celluler_sim.analysis.plots", plots_module())
    run = load_run(finished)
    assert dir(run.plot) == ["price"]
    assert run.plot.price(window=3) == ("price", run, 3)
    assert run.plot.price.__doc__ == "Draw the price."
    for name in ("prices", "axes", "helper", "CAPTIONS", "_hidden"):
        with pytest.raises(AttributeError, match=name):
            getattr(run.plot, name)
    assert isinstance(pickle.loads(pickle.dumps(Plots(run))), Plots)  # noqa: S301


def test_report_is_written_by_the_report_module(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("celluler_sim.report")
    module.__dict__["write_report"] = lambda run, folder: (folder or run.folder) / "report.html"
    monkeypatch.setitem(sys.modules, "celluler_sim.report", module)
    assert load_run(finished).report() == finished / "report.html"
    assert load_run(finished).report(Path("elsewhere")) == Path("elsewhere/report.html")


def test_the_shipped_plots_are_found(finished: Path) -> None:
    assert {"price", "utilisation", "lorenz"} <= set(dir(load_run(finished).plot))


def test_what_a_notebook_shows(finished: Path) -> None:
    run = load_run(finished)
    assert repr(run).startswith("<Run demo: outcome=finished, seed=7, replicate=2, started=")
    assert repr(run).endswith(f"; {finished}>")
    shown = run._repr_html_()
    assert "<th style='text-align:left'>price</th><td>449.94</td>" in shown
    assert "<th style='text-align:left'>wait_s</th><td>–</td>" in shown
    foreign = Run(config={"name": "<script>"}, manifest={}, summary={"<b>": "<img src=x>"})
    assert not any(tag in foreign._repr_html_() for tag in ("<script>", "<b>", "<img"))
