"""The command line: what it prints, what it leaves behind, how it refuses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from hydra.core.global_hydra import GlobalHydra

from celluler_sim.__main__ import main
from celluler_sim.cli import running
from celluler_sim.conf import files
from celluler_sim.errors import TraceError
from celluler_sim.mechanisms.base import registered
from celluler_sim.scenario import Scenario

ONE_OF = "pricing must be one of eip1559, fixed, linear, performance, posted, sliding_window"
HEAVY = ("mesa", "pandas", "matplotlib", "numba", "scipy", "pyarrow", "networkx")


class Outcome(NamedTuple):
    """What one call of the command line did."""

    code: int
    out: str
    err: str


Call = Callable[..., Outcome]


class Runs(list[tuple[Scenario, Path]]):
    """Stands in for simulating: notes what it was asked for, and fails where a test says so."""

    failures: dict[int, BaseException]  # by seed

    def simulate(self, scenario: Scenario, folder: Path) -> None:
        """Write one file, as a run would."""
        self.append((scenario, folder))
        if scenario.seed in self.failures:
            raise self.failures[scenario.seed]
        (folder / "table").write_text("rows")


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    """Replace the simulation."""
    recorded = Runs()
    recorded.failures = {}
    monkeypatch.setattr(running, "simulate", recorded.simulate)
    monkeypatch.setattr(running, "_finish_sweep", lambda: None)  # there is nothing to put into a table
    return recorded


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Call the command line in an empty folder, with scenarios of its own, one of them broken."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "compute_congestion.yaml").write_text("description: nothing but defaults")
    (folder / "broken.yaml").write_text("ticks: [1")
    (folder / "contest.yaml").write_text("variants: {fixed: [pricing=fixed]}")
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("CELLULER_SCENARIOS", str(folder))
    monkeypatch.setattr(files, "directories", lambda: [folder])
    monkeypatch.chdir(tmp_path / "home")

    def run(*arguments: str) -> Outcome:
        argv, environment = list(sys.argv), dict(os.environ)
        code = main(arguments)
        assert (sys.argv, dict(os.environ)) == (argv, environment)
        assert not GlobalHydra.instance().is_initialized()
        return Outcome(code, *capsys.readouterr())

    return run


def left() -> list[str]:
    """Return every file and folder below the current one."""
    return sorted(str(path) for path in Path().rglob("*"))


def one_line(outcome: Outcome) -> str:
    """Return the only line of an error."""
    assert outcome.code == 1
    assert outcome.err.count("\n") == 1
    assert outcome.err.startswith("celluler-sim: ")
    assert left() == []
    return outcome.err.removeprefix("celluler-sim: ").strip()


def test_one_run(call: Call, runs: Runs):
    assert call("pricing=linear", "seed=3").code == 0
    [(scenario, folder)] = runs
    assert (scenario.seed, type(scenario.pricing)) == (3, registered("pricing")["linear"])
    assert folder.parent == Path("results/compute_congestion").absolute()
    assert left() == ["results", "results/compute_congestion", *sorted(map(str, folder_files(folder)))]


def folder_files(folder: Path) -> list[Path]:
    """Return a run's folder and its one file, as seen from here."""
    return [folder.relative_to(Path.cwd()), (folder / "table").relative_to(Path.cwd())]


def test_two_runs_never_share_a_folder(call: Call, runs: Runs):
    assert [call().code, call().code] == [0, 0]
    assert runs[0][1] != runs[1][1]


def test_flags_and_settings_in_any_order(call: Call, runs: Runs):
    assert call("seed=3", "--run", "ticks=5").code == 0
    assert (runs[0][0].seed, runs[0][0].ticks) == (3, 5)


def test_sweep(call: Call, runs: Runs):
    outcome = call("-m", "pricing=linear,fixed", "seed=1,2", "results_dir=out", "ticks=9")
    assert outcome.code == 0
    assert [(s.mechanisms["pricing"].name, s.seed, s.ticks) for s, _ in runs] == [
        ("linear", 1, 9), ("linear", 2, 9), ("fixed", 1, 9), ("fixed", 2, 9),
    ]  # fmt: skip
    names = [folder.name for _, folder in runs]
    assert names == [
        "0_seed=1,pricing=linear",
        "1_seed=2,pricing=linear",
        "2_seed=1,pricing=fixed",
        "3_seed=2,pricing=fixed",
    ]
    assert {folder.parent.parent for _, folder in runs} == {Path("out/sweeps").absolute()}
    assert "[2] pricing=fixed seed=1" in outcome.out


def test_sweep_over_scenarios_and_globs(call: Call, runs: Runs):
    Path("own.yaml").write_text("ticks: 4")
    outcome = call("-m", "scenario=./own.yaml,contest", "pricing=glob(*)")
    assert outcome.code == 0
    assert "[0] scenario=own.yaml pricing=eip1559" in outcome.out.splitlines()
    assert [s.name for s, _ in runs] == ["own"] * len(registered("pricing")) + ["contest"] * len(registered("pricing"))
    assert {s.mechanisms["pricing"].name for s, _ in runs} == set(registered("pricing"))


def test_a_failing_job_is_reported_and_the_others_run(call: Call, runs: Runs):
    runs.failures = {2: TraceError("workload.path must exist, got nowhere.csv"), 3: KeyError("slot")}
    outcome = call("-m", "seed=1,2,3,4")
    assert outcome.code == 1
    assert outcome.err.splitlines() == [
        "celluler-sim: [1] seed=2: workload.path must exist, got nowhere.csv",
        "celluler-sim: [2] seed=3: unexpected KeyError: 'slot'; CELLULER_DEBUG=1 shows where",
    ]
    assert [s.seed for s, _ in runs] == [1, 2, 3, 4]
    assert [folder.is_dir() for _, folder in runs] == [True, False, False, True]


def test_a_sweep_that_fails_whole_leaves_nothing(call: Call, runs: Runs):
    runs.failures = dict.fromkeys((1, 2), TraceError("no trace"))
    assert call("-m", "seed=1,2").code == 1
    assert left() == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["unknown=1"], "unknown key unknown; a scenario has name"),
        (["+unknown=1"], "unknown key unknown; a scenario has name"),
        (["tick=1"], "unknown key tick; did you mean ticks?"),
        (["pricing=foo"], f"{ONE_OF}; got 'foo'"),
        (["pricing="], f"{ONE_OF}; got ''"),
        (["pricing=fixed", "pricing.base_price=cheap"], "pricing.base_price must be a number, got 'cheap'"),
        (["pricing.base_price=-5"], "pricing.base_price must be > 0 PRANA per unit, got -5"),
        (["pricing.base_price=nan"], "pricing.base_price must be a finite number, got nan"),
        (["ticks=0"], "ticks must be >= 1, got 0"),
        (["seed=${tickz}"], "seed: Interpolation key 'tickz' not found"),
        (["scenario=broken"], "scenario broken cannot be used: "),
        (["scenario=contst"], "scenario must be one of those that `celluler-sim list` shows, got 'contst'; did"),
        (["scenario=contest", "variants.fixed=[pricing=foo]"], "'variants.fixed=[pricing=foo]' cannot be read"),
        (["variants={odd: ['ticks=0']}"], "variants.odd: ticks must be >= 1, got 0"),
        (["foo bar"], "'foo bar' is neither a setting nor a verb; write KEY=VALUE, or begin with one of "),
        (["lst"], "'lst' is neither a setting nor a verb; did you mean list?"),
        (["a=b=c"], "'a=b=c' cannot be read: write KEY=VALUE"),
        (["pricing=linear,fixed"], "pricing=linear,fixed gives several values: add -m"),
        (["-m", "pricing=linear,foo"], "pricing must be one of eip1559, fixed, linear"),
        (["-m", "pricing.base_price=100,-5"], "pricing.base_price must be > 0 PRANA per unit, got -5"),
        (["-m", "seed=1,2", "ticks=0"], "ticks must be >= 1, got 0"),
        (["-m", "scenario=compute_congestion,broken"], "scenario broken cannot be used: "),
        (["--cfg", "job", "+unknown=1"], "unknown key unknown"),
        (["--cfg"], "argument --cfg/-c: expected one argument; celluler-sim --help shows"),
        (["--foo"], "unrecognized arguments: --foo; celluler-sim --help shows what there is"),
        (["--run", "-m"], "--run and --multirun exclude each other"),
        (["hydra/launcher=foo"], "In 'hydra/config': Could not find 'hydra/launcher/foo'"),
        (["list", "prizing"], "list must be followed by one of scenario, pricing"),
        (["list", "a", "b"], "usage: celluler-sim list [scenario | FAMILY]; got a b"),
        (["report"], "usage: celluler-sim report FOLDER; got nothing"),
        (["report", "nowhere"], "results folder nowhere must exist"),
        (["validate", "--fast"], "usage: celluler-sim validate FILE; got --fast"),
        (["validate", "nowhere.json"], "nowhere.json must be a readable file of cases"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line_and_leave_nothing(call: Call, runs: Runs, arguments: Sequence[str], message: str):
    assert one_line(call(*arguments)).startswith(message)
    assert runs == []


def test_a_missing_trace_leaves_nothing(call: Call, runs: Runs):
    """What a job refuses after it was started is one line too, and its empty folder goes."""
    runs.failures = {1: TraceError("workload.path must exist, got nowhere.csv; check the path")}
    assert one_line(call()) == "workload.path must exist, got nowhere.csv; check the path"


def test_what_a_failed_run_recorded_stays(call: Call, monkeypatch: pytest.MonkeyPatch):
    def simulate(_: Scenario, folder: Path) -> None:
        (folder / "table").write_text("rows")
        raise TraceError("line 7")

    monkeypatch.setattr(running, "simulate", simulate)
    assert call().code == 1
    assert len(list(Path("results").rglob("table"))) == 1


@pytest.mark.parametrize("mode", [[], ["-m"]])
def test_results_that_cannot_be_written(call: Call, runs: Runs, mode: list[str]):
    Path("taken").write_text("a file where a folder should be")
    outcome = call(*mode, "results_dir=taken/results")
    assert (outcome.code, outcome.err.count("\n")) == (1, 1)
    assert "must be a folder that can be written" in outcome.err
    assert (left(), runs) == (["taken"], [])


def test_a_bug_is_one_line_and_shows_its_traceback_on_demand(call: Call, runs: Runs, monkeypatch: pytest.MonkeyPatch):
    runs.failures = {1: ZeroDivisionError("division by zero")}
    assert one_line(call()) == "unexpected ZeroDivisionError: division by zero; CELLULER_DEBUG=1 shows where"
    monkeypatch.setenv("CELLULER_DEBUG", "1")
    outcome = call()
    assert "Traceback" in outcome.err
    assert outcome.err.splitlines()[-1].startswith("celluler-sim: unexpected ZeroDivisionError")


def test_a_full_disk_is_no_bug(call: Call, runs: Runs):
    runs.failures = {1: OSError(28, "No space left on device", "markets.arrows")}
    assert one_line(call()) == "markets.arrows: No space left on device"


def test_help_fits_a_screen(call: Call):
    outcome = call("--help")
    assert (outcome.code, outcome.err) == (0, "")
    assert len(outcome.out.splitlines()) <= 40
    assert max(map(len, outcome.out.splitlines())) <= 120
    assert "pricing: eip1559, fixed, linear, performance, posted, sliding_window" in outcome.out
    assert "scenario: compute_congestion, contest\n" in outcome.out, "a broken scenario cannot be chosen"
    assert "$" not in outcome.out


def test_hydra_tells_the_same_help(call: Call):
    """``--help`` does not start Hydra, but its template is Hydra's own."""
    assert "celluler-sim simulates" in call("--cfg", "hydra", "--package", "hydra.help").out + call("--help").out


def test_version(call: Call):
    assert call("--version").out.startswith("celluler-sim 0.")


def test_list(call: Call):
    outcome = call("list")
    assert (outcome.code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    assert "  compute_congestion  nothing but defaults" in lines
    assert any(line.startswith("  broken              BROKEN: ") for line in lines)
    for family in ("pricing", "allocation", "consensus", "workload", "consumer_behaviour"):
        for name in registered(family):
            assert any(line.split()[:1] == [name] and len(line.split()) > 2 for line in lines), name


def test_list_one_family(call: Call):
    out = call("list", "pricing").out
    assert "pricing=sliding_window" in out
    assert "  pricing.window_seconds = 3600  (a number)" in out
    assert "consensus" not in out
    assert "contest" in call("list", "scenarios").out


def test_verbs_have_help(call: Call):
    assert call("report", "--help").out.startswith("celluler-sim report FOLDER")


def test_configuration_is_shown_as_it_would_run(call: Call, runs: Runs):
    outcome = call("--cfg", "job", "pricing=linear", "seed=${ticks}")
    assert "seed: 1440" in outcome.out
    assert "name: linear" in outcome.out
    assert (left(), runs) == ([], [])
    assert call("--cfg", "job", "-p", "pricing", "pricing=linear").out.splitlines()[1] == "name: linear"


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run another Python in the current folder."""
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["--cfg", "job"], ["--version"]])
def test_what_only_looks_imports_no_heavy_library(tmp_path: Path, arguments: list[str]):
    script = (
        "import sys; from celluler_sim.__main__ import main; code = main(sys.argv[1:]);"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr); sys.exit(code)"
    )
    done = python("-c", script, *arguments)
    assert (done.returncode, done.stderr.strip()) == (0, "[]")


def test_module_and_console_script_agree():
    """Both call `main` and end with its code."""
    module = python("-m", "celluler_sim", "ticks=0")
    assert (module.returncode, module.stderr) == (1, "celluler-sim: ticks must be >= 1, got 0\n")
    script = Path(sys.executable).with_name("celluler-sim")
    if not script.exists():
        pytest.skip("the package is not installed with its console script")
    done = subprocess.run([script, "ticks=0"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (module.returncode, module.stderr)


def test_a_closed_pipe_is_no_error():
    """As in ``celluler-sim list | true``: nobody reads, nothing is said."""
    process = subprocess.Popen(
        [sys.executable, "-m", "celluler_sim", "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == ""
    process.wait(timeout=60)


def test_interrupted_before_anything_was_recorded(call: Call, runs: Runs):
    runs.failures = {1: KeyboardInterrupt()}
    assert call() == Outcome(130, "", "celluler-sim: interrupted\n")
    assert left() == []


def hear_interrupts() -> None:
    """Undo what a shell does to its background jobs: they, and all they start, ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_interrupt(tmp_path: Path):
    """Ctrl-C in mid-run: one line that says where the tables are, exit code 130, the folder stays."""
    script = (
        "import sys, time, celluler_sim.cli.running as running\n"
        "def simulate(scenario, folder):\n"
        "    (folder / 'table').write_text('rows')\n"
        "    print('started', flush=True)\n"
        "    time.sleep(60)\n"
        "running.simulate = simulate\n"
        "from celluler_sim.__main__ import main\n"
        "sys.exit(main([]))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=hear_interrupts,  # noqa: PLW1509
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    [table] = (tmp_path / "results").rglob("table")
    folder = table.parent.relative_to(tmp_path)
    assert err == f"celluler-sim: interrupted; what was recorded until then is in {folder}\n"
    assert process.returncode == 130
