"""Sweeps: many configurations, one folder each, one table of them all.

The folder of a sweep holds

``sweep.json``     the plan: every job with its overrides, varied values and worlds
``NUMBER_VALUES``  one folder a job: of a run, or of replicates
``sweep.parquet``  a row per job and replicate: every varied parameter, seed, duration, outcome, error, every figure
``sweep.html``     the same for reading, with ``figures/``
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from celluler_sim.conf.overrides import prepare
from celluler_sim.errors import ResultsError, ScenarioError
from celluler_sim.experiments.replicates import JOURNAL, read_rows, run_replicates, same_job
from celluler_sim.experiments.schedule import kept_open
from celluler_sim.experiments.sweep_plan import (
    RECORDS,
    Plan,
    PlannedJob,
    folder_name,
    paired_up,
    planned,
    record,
    records,
)
from celluler_sim.experiments.tables import to_arrow, write_table
from celluler_sim.experiments.worlds import LEADING, SPEED, Row
from celluler_sim.run_folder import MANIFEST, RunFolder, one_line
from celluler_sim.scenario import Scenario, compose
from celluler_sim.streams import world_number
from celluler_sim.trust import within

if TYPE_CHECKING:
    from celluler_sim.experiments.load import Sweep

TABLE, PAGE = "sweep.parquet", "sweep.html"


def complete(folder: Path, scenario: Scenario) -> bool:
    """Whether a folder holds this very job, finished."""
    from celluler_sim.results import load_run

    if not (folder / MANIFEST).is_file() or not same_job(folder, scenario):
        return False
    try:
        run = load_run(folder)
    except ResultsError:
        return False
    variants = scenario.variants if scenario.replicates == 1 else {}
    runs = [run, *(run.variants[name] for name in variants if name in run.variants)]
    return len(runs) == 1 + len(variants) and all(r.manifest.get("outcome") == "finished" for r in runs)


def make_room(folder: Path, scenario: Scenario) -> None:
    """Remove what a stopped run of this very job left, except replicates, which are gone on with."""
    if (folder / MANIFEST).is_file() and not (folder / JOURNAL).is_file() and same_job(folder, scenario):
        RunFolder(folder).discard()


def worlds_of(scenario: Scenario, job: PlannedJob) -> Scenario:
    """Return a job's scenario in the worlds that the plan gives it."""
    return replace(scenario, replicate=job.first)


def finish(folder: Path, plan: Plan) -> list[Row]:
    """Write the table, the page and the figures of a sweep; return the rows. Jobs are read from their folders."""
    noted = records(folder)
    rows = [row for job in plan.jobs for row in _rows(folder, job, noted.get(job.number, {}))]
    parameters = [p for p in dict.fromkeys(key for job in plan.jobs for key in job.parameters) if p not in LEADING]
    leading = ("job", "overrides", *parameters, "base_seed", *LEADING)
    write_table(folder / TABLE, to_arrow(rows, leading))
    from celluler_sim.experiments.sweep_page import write_sweep_page

    write_sweep_page(folder, plan.name, rows, parameters)
    shutil.rmtree(folder / RECORDS, ignore_errors=True)
    return rows


def failures(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the rows that did not finish."""
    return [row for row in rows if row["outcome"] != "finished"]


def _rows(sweep: Path, job: PlannedJob, noted: Mapping[str, Any]) -> list[Row]:
    """Return a job's rows: its replicates, its one run, or its failure."""
    head: Row = {"job": job.number, "overrides": job.text, **job.parameters, "base_seed": job.seed}
    rows = _read(within(sweep, sweep / str(noted["folder"])), job) if noted.get("folder") else []
    if not rows:
        why = noted.get("error") or "the job left no result"
        seed = world_number(job.seed, job.first)
        rows = [{"replicate": job.first, "seed": seed, "outcome": "failed", "error": why, "duration_s": None}]
    return [head | row for row in rows]


def _read(folder: Path, job: PlannedJob) -> list[Row]:
    from celluler_sim.results import load_run

    if not (folder / MANIFEST).is_file():
        return []
    if job.replicates > 1:
        return read_rows(folder)
    run = load_run(folder)
    head: Row = {"replicate": job.first, "seed": world_number(job.seed, job.first)}
    head |= {name: run.manifest.get(name) for name in ("outcome", "error", "duration_s")}
    return [head | {name: value for name, value in run.summary.items() if name not in SPEED}]


def sweep(
    scenario: str | Path = "compute_congestion",
    over: Mapping[str, Sequence[Any]] | None = None,
    overrides: Sequence[str] = (),
    *,
    folder: str | Path,
    replicates: int = 1,
    together: Sequence[str] = (),
    progress: Literal["auto"] | bool = False,
) -> Sweep:
    """Run every combination of values and return the sweep; what its folder holds complete is not run again.

    Parameters
    ----------
    scenario, overrides
        As of `celluler_sim.simulate`; they hold for every job.
    over
        Values by key: ``{"pricing": ["linear", "fixed"], "pricing.base_price": [80, 120]}``.
    folder
        Where to write.
    replicates
        Worlds of every job, distinct over the whole sweep unless ``worlds=common`` is among the overrides.
    together
        Keys whose values go pairwise instead of in every combination.
    progress
        Whether to show a progress bar for each job.

    Raises
    ------
    CellulerError
        One line; a job that fails while it runs is a row of the table instead.
    """
    from celluler_sim.experiments.load import load_sweep

    base = [f"scenario={scenario}", *overrides, f"replicates={replicates}"]
    varied = dict(over or {})
    words = [f"{key}={','.join(map(_word, values))}" for key, values in varied.items()]
    combinations = [
        [f"{k}={_word(v)}" for k, v in zip(varied, c, strict=True)] for c in itertools.product(*varied.values())
    ]
    sweeps = [o for o in prepare([*base, *words], Scenario).overrides if o.key_or_group in varied]
    chosen = [combinations[i] for i in paired_up(combinations, sweeps, together)]
    jobs = [(own, [*base, *own]) for own in chosen]
    plan = planned(jobs, [compose(None, given) for _, given in jobs], list(varied))
    home = Path(folder)
    home.mkdir(parents=True, exist_ok=True)
    plan.write(home)
    with kept_open():
        for job in plan.jobs:
            _run_quietly(home, job, progress=progress)
    finish(home, plan)
    return load_sweep(home)


def _word(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return "null" if value is None else str(value).lower()
    return str(value)


def _run_quietly(home: Path, job: PlannedJob, *, progress: Literal["auto"] | bool) -> None:
    """Run one job into its folder unless that is complete; an error becomes its record."""
    name = folder_name(job.number, ",".join(job.overrides))
    error = None
    try:
        scenario = worlds_of(compose(None, job.given), job)
        if not complete(home / name, scenario):
            make_room(home / name, scenario)
            run_into(scenario, home / name, progress=progress)
    except ScenarioError as exception:
        error = str(exception)
    except Exception as exception:  # noqa: BLE001 - the other jobs go on; the table says what happened
        error = one_line(exception)
    record(home, job.number, {"folder": name, "error": error})


def run_into(scenario: Scenario, folder: Path, *, progress: Literal["auto"] | bool = False) -> None:
    """Run one job into its folder: a run with its tables, or its replicates."""
    if scenario.replicates > 1:
        run_replicates(scenario, folder, page=False, progress=progress)
        return
    from celluler_sim.run import run_scenario

    run_scenario(scenario, folder, progress=progress)
