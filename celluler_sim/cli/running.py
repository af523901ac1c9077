"""``celluler-sim [key=value ...]``: one run, or with ``-m`` one for every combination of values."""

from __future__ import annotations

import os
import re
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from celluler_sim.cli import VERBS
from celluler_sim.cli.messages import complain
from celluler_sim.conf import composition
from celluler_sim.conf.overrides import Request, prepare
from celluler_sim.config_build import did_you_mean, show
from celluler_sim.errors import ScenarioError
from celluler_sim.run_folder import claim_folder, release_folders
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
        with _hydra_arguments([*flags, *request.texts, *_folder_names(request)]), composition.one_line_errors():
            _job()
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
    for key, texts in composition.jobs(request) if _session.many else [(tuple(request.task_texts), request.given)]:
        composed = composition.compose(texts, Scenario)
        scenarios[key] = Scenario.composed(composed.mapping, texts)
        for name in scenarios[key].variants:
            scenarios[key].variant(name)
        folder = folder or (composed.sweep_folder if _session.many else composed.folder)
    _session.scenarios = scenarios
    _session.made = claim_folder(Path(folder).parent, ())


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
    _session.folder = Path(settings.runtime.output_dir)
    about = ""
    try:
        scenario = _session.scenarios.get(overrides) or compose(None, overrides)
        if _session.many:
            asked = [text.lstrip("+") for text in scenario.source.overrides if not text.startswith("hydra")]
            about = f"[{settings.job.num}] {' '.join(asked)}"
            print(about)
        simulate(scenario, _session.folder)
    except Exception as error:
        if not settings.launcher._target_.endswith("BasicLauncher"):
            raise  # in another process: nobody would see the count
        complain(error, f"{about}: " if about else "")
        _session.failed += 1
    finally:
        with suppress(OSError):  # not empty: what was recorded stays
            _session.folder.rmdir()


def simulate(scenario: Scenario, folder: Path) -> None:
    """Run a scenario into a folder, print its figures, write its report."""
    from celluler_sim.analysis.figures import format_table
    from celluler_sim.progress import wanted
    from celluler_sim.report import write_report
    from celluler_sim.run import run_scenario

    result = run_scenario(scenario, folder, progress=wanted(scenario.progress))
    print(format_table(result.summary))
    print(f"report: {_short(write_report(result))}")


def _tidy() -> None:
    """Remove what a failure left: folders that are empty, or hold nothing but Hydra's note about the sweep."""
    if _session.many and _session.folder is not None:
        sweep = _session.folder.parent
        with suppress(OSError):
            if [path.name for path in sweep.iterdir()] == [SWEEP_FILE]:
                (sweep / SWEEP_FILE).unlink()
                sweep.rmdir()
    release_folders(_session.made)


def _folder_names(request: Request) -> list[str]:
    """Return what makes Hydra name the folders of a sweep after the keys that vary, and no others."""
    varied = {o.key_or_group for o in request.sweeps}
    constant = sorted({o.key_or_group for o in request.overrides} - varied)
    names = ",".join(key for key in constant if re.fullmatch(r"[\w.]+", key))
    return [f"hydra.job.config.override_dirname.exclude_keys=[{names}]"] if _session.many else []


def _folder(number: int, overrides: str) -> str:
    """Return the name of one job's folder in a sweep: its number and what is special about it."""
    plain = re.sub(r"(^|,)\++", r"\1", overrides).replace("/", "_")
    slug = re.sub(r"[^\w.=,-]", "", plain)[:100]
    return f"{number}_{slug}" if slug else str(number)


def _short(path: Path) -> Path:
    """Return a path as seen from the current folder, where it is below it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


OmegaConf.register_new_resolver("celluler.folder", _folder, replace=True)
