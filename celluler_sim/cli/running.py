"""``celluler-sim [key=value ...]``: one run, or with ``-m`` one for every combination of values."""

from __future__ import annotations

import os
import re
import shutil
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from celluler_sim.cli import VERBS
from celluler_sim.cli.messages import complain
from celluler_sim.conf import composition
from celluler_sim.conf.overrides import Request, prepare
from celluler_sim.config_build import did_you_mean, show
from celluler_sim.errors import ResultsError, ScenarioError
from celluler_sim.experiments.replicates import check_widths
from celluler_sim.experiments.schedule import kept_open
from celluler_sim.experiments.sweep import complete, make_room, worlds_of
from celluler_sim.experiments.sweep_plan import (
    PLAN,
    RECORDS,
    Plan,
    folder_name,
    paired_up,
    planned,
    read_plan,
    record,
    records,
)
from celluler_sim.run_folder import claim_folder, one_line, release_folders
from celluler_sim.scenario import Scenario, compose

SWEEP_FILE = "multirun.yaml"  # what Hydra writes into the folder of a sweep


@dataclass
class Session:
    """One call of the command line: what was composed before Hydra started, and how its jobs went."""

    scenarios: Mapping[tuple[str, ...], Scenario] = field(default_factory=dict)  # by the overrides of their job
    many: bool = False
    failed: int = 0
    folder: Path | None = None  # of the job that runs, or ran last
    made: list[Path] = field(default_factory=list)  # folders that were not there before, inmost first
    plan: Plan | None = None  # of a sweep
    sweep: Path = field(default_factory=Path)  # folder of a sweep


_session = Session()


def run(arguments: Sequence[str]) -> int:
    """Run what the arguments ask for; return the exit code.

    Every job is composed and checked before Hydra makes a folder, so that a mistake leaves nothing behind.
    """
    global _session  # noqa: PLW0603 - Hydra hands a job nothing but its configuration
    options = _parse(arguments)
    _session = Session(many=options.multirun or "hydra.mode=MULTIRUN" in options.overrides)
    if options.cfg == "job" and options.package is None:
        print(compose(None, options.overrides).to_yaml(), end="")
        return 0
    request = prepare(options.overrides, Scenario)
    if not (options.hydra_help or options.cfg or options.info or options.shell_completion):
        _check(request)
    request = prepare(options.overrides, Scenario)  # anew: each job composed has told Hydra of its own scenario only
    flags = [argument for argument in arguments if argument not in options.overrides]
    try:
        with (
            _hydra_arguments([*flags, *request.texts, *_folder_names(request)]),
            _pairwise(_session.plan),
            one_line_errors(),
            kept_open(),
        ):
            _job()
        _finish_sweep()
    finally:
        _tidy()
    return int(_session.failed > 0)


def interrupted() -> str:
    """Return where an interrupted run left what it had recorded."""
    folder = _session.folder
    return f"; what was recorded until then is in {_short(folder)}" if folder is not None and folder.is_dir() else ""


def _parse(arguments: Sequence[str]) -> Namespace:
    """Read the arguments as Hydra does, but with flags and settings in any order, and refuse in one line."""
    from hydra._internal.utils import get_args_parser

    def fail(message: str) -> NoReturn:
        raise ScenarioError(f"{message}; celluler-sim --help shows what there is")

    parser: ArgumentParser = get_args_parser()
    parser.error = fail  # type: ignore[method-assign]
    options = parser.parse_intermixed_args(list(arguments))
    modes = ("run", "multirun", "cfg", "info", "shell_completion")
    if len(chosen := [f"--{mode}".replace("_", "-") for mode in modes if getattr(options, mode)]) > 1:
        fail(f"{' and '.join(chosen)} exclude each other")
    for text in options.overrides:
        if "=" not in text and not text.startswith("~"):
            hint = did_you_mean(text, VERBS) or f"; write KEY=VALUE, or begin with one of {', '.join(VERBS)}"
            raise ScenarioError(f"{show(text)} is neither a setting nor a verb{hint}")
    return options


def _check(request: Request) -> None:
    """Compose every job with its variants and make sure that results can be written, before anything starts."""
    scenarios = {}
    folder = ""
    jobs = _jobs(request) if _session.many else [(tuple(request.task_texts), request.given)]
    for key, texts in jobs:
        with one_line_errors():
            composed = composition.compose(texts, Scenario)
        scenarios[key] = Scenario.composed(composed.mapping, texts)
        for name in scenarios[key].variants:
            scenarios[key].variant(name)
        check_widths(scenarios[key].until_width)
        folder = folder or (composed.sweep_folder if _session.many else composed.folder)
    _session.scenarios = scenarios
    _session.made = claim_folder(Path(folder).parent, ())
    if _session.many:
        varied = [o.key_or_group for o in request.sweeps]
        _session.plan = planned(jobs, [scenarios[key] for key, _ in jobs], varied)
        _session.sweep = Path(folder).absolute()
        _session.made = [*claim_folder(_session.sweep, ()), *_session.made]
        _session.plan.write(_session.sweep)


def _jobs(request: Request) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Return the jobs of a sweep; where some keys go together, those of the combinations that remain."""
    jobs = composition.jobs(request)
    together = [o.value() for o in request.overrides if o.key_or_group == "together"]
    keys = [str(key) for key in together[-1]] if together and isinstance(together[-1], list) else []
    return [jobs[i] for i in paired_up([key for key, _ in jobs], request.sweeps, keys)]


@contextmanager
def _pairwise(plan: Plan | None) -> Iterator[None]:
    """Let Hydra run the jobs of the plan and no others: its own sweeper knows nothing but every combination."""
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    split = BasicSweeper.split_arguments

    def chosen(*arguments: Any, **options: Any) -> list[list[list[str]]]:
        wanted = {job.overrides for job in plan.jobs} if plan is not None else set()
        return [[job for job in batch if tuple(job) in wanted] for batch in split(*arguments, **options)]

    if plan is not None:
        BasicSweeper.split_arguments = staticmethod(chosen)
    try:
        yield
    finally:
        BasicSweeper.split_arguments = staticmethod(split)


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Say how a launcher is installed that is not; other errors of Hydra become one line as well."""
    try:
        with composition.one_line_errors():
            yield
    except ScenarioError as error:
        missing = re.search(r"Could not find 'hydra/launcher/(joblib|submitit)\w*'", str(error))
        if missing is None:
            raise
        remedy = f"pip install hydra-{missing[1]}-launcher, or leave it out"
        raise ScenarioError(f"hydra/launcher={missing[1]} is not installed: {remedy}") from error


@contextmanager
def _hydra_arguments(arguments: Sequence[str]) -> Iterator[None]:
    """Let Hydra see these arguments, and let it raise instead of printing."""
    before, sys.argv = sys.argv, ["celluler-sim", *arguments]
    environment = os.environ.get("HYDRA_FULL_ERROR")
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        sys.argv = before
        os.environ.pop("HYDRA_FULL_ERROR")
        if environment is not None:
            os.environ["HYDRA_FULL_ERROR"] = environment


@hydra.main(version_base="1.3", config_path="pkg://celluler_sim.conf", config_name="config")
def _job(config: DictConfig) -> None:  # noqa: ARG001 - composed and checked already, see `_check`
    """Run one job. What goes wrong is reported and counted here: a raise would end the jobs after it."""
    settings = HydraConfig.get()
    overrides = tuple(settings.overrides.task)
    folder = _session.folder = Path(settings.runtime.output_dir)
    if settings.mode == RunMode.MULTIRUN:
        _job_of_sweep(Path(settings.sweep.dir), int(settings.job.num), folder)
        return
    try:
        simulate(_session.scenarios.get(overrides) or compose(None, overrides), folder)
    except Exception as error:  # noqa: BLE001 - whatever it is, the user gets one line
        complain(error)
        _session.failed += 1
    finally:
        with suppress(OSError):  # not empty: what was recorded stays
            folder.rmdir()


def _job_of_sweep(sweep: Path, number: int, folder: Path) -> None:
    """Run one job of a sweep, here or in another process, unless its folder is complete; note what became of it."""
    plan = _session.plan or read_plan(sweep)
    job = plan.jobs[number]
    error = None
    try:
        print(f"[{number}] {job.text}", flush=True)
        scenario = worlds_of(_session.scenarios.get(job.overrides) or compose(None, job.given), job)
        if complete(folder, scenario):
            print("complete already")
        else:
            make_room(folder, scenario)
            simulate(scenario, folder)
    except Exception as exception:  # noqa: BLE001 - a raise would end the jobs after it
        error = one_line(exception)
        if _session.plan is not None:  # in another process nobody would see it
            complain(exception, f"[{number}] {job.text}: ")
        _session.failed += 1
    finally:
        with suppress(OSError):
            folder.rmdir()
    record(sweep, number, {"folder": folder.name if folder.is_dir() else "", "error": error})


def _finish_sweep() -> None:
    """Put the rows of all jobs into one table; count what failed."""
    plan, sweep = _session.plan, _session.sweep
    if plan is None:
        return
    noted = records(sweep)
    if not noted or not any(entry["folder"] for entry in noted.values()):
        _session.failed += not all(entry["error"] is None for entry in noted.values())
        return
    from celluler_sim.experiments.sweep import PAGE, TABLE, failures, finish

    failed = failures(finish(sweep, plan))
    _session.failed = max(_session.failed, len(failed))
    print(
        f"sweep: {_short(sweep / TABLE)}, {_short(sweep / PAGE)}" + (f"; {len(failed)} rows failed" if failed else "")
    )


def simulate(scenario: Scenario, folder: Path) -> None:
    """Run a scenario into a folder, print its figures, write its report; with replicates, means and intervals."""
    if scenario.replicates > 1:
        _replicate(scenario, folder)
        return
    from celluler_sim.analysis.figures import format_table
    from celluler_sim.live_page import share
    from celluler_sim.progress import wanted
    from celluler_sim.report import write_report
    from celluler_sim.run import run_scenario

    result = run_scenario(scenario, folder, progress=wanted(scenario.progress))
    share(scenario.results_dir, folder)
    if HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN:
        share(folder.parent, folder)
    print(format_table(result.summary))
    if scenario.plugins:
        print(f"plugins: {', '.join(scenario.plugins)} (imported: their code has been run)")
    print(f"report: {_short(write_report(result))}")


def _replicate(scenario: Scenario, folder: Path) -> None:
    """Run a scenario's replicates into a folder and print their means with intervals."""
    from celluler_sim.experiments.page import interval_rows
    from celluler_sim.experiments.replicates import run_replicates
    from celluler_sim.progress import wanted

    found = run_replicates(scenario, folder, page=not _session.many, progress=wanted(scenario.progress))
    head = ("", "mean", "low", "high", "sd", "worlds")
    for first, *rest in [head, *interval_rows(found.intervals)]:
        print(f"  {first:<30}" + "".join(f"{cell:>22}" for cell in rest).rstrip())
    print(f"replicates: {_short(folder if _session.many else folder / 'replicates.html')}")
    if found.failed:
        row, n = found.failed[0], len(found.failed)
        raise ResultsError(f"{n} of {len(found.rows)} replicates failed; number {row['replicate']}: {row['error']}")


def _tidy() -> None:
    """Remove what a failure left: folders that are empty, or hold nothing but Hydra's note about the sweep."""
    if _session.plan is not None:
        sweep = _session.sweep
        with suppress(OSError):
            if {path.name for path in sweep.iterdir()} <= {SWEEP_FILE, PLAN, RECORDS}:
                shutil.rmtree(sweep)
    release_folders(_session.made)


def _folder_names(request: Request) -> list[str]:
    """Return what makes Hydra name the folders of a sweep after the keys that vary, and no others."""
    varied = {o.key_or_group for o in request.sweeps}
    constant = sorted({o.key_or_group for o in request.overrides} - varied)
    names = ",".join(key for key in constant if re.fullmatch(r"[\w.]+", key))
    if not _session.many:
        return []
    folders = [f"hydra.sweep.dir={_quoted(_session.sweep)}"] if _session.plan is not None else []
    return [f"hydra.job.config.override_dirname.exclude_keys=[{names}]", *folders]


def _quoted(path: Path) -> str:
    """Return a path as a value of an override."""
    text = str(path).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"


def _short(path: Path) -> Path:
    """Return a path as seen from the current folder, where it is below it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


OmegaConf.register_new_resolver("celluler.folder", folder_name, replace=True)
