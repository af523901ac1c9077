"""The runs of a sensitivity analysis on disk as they finish, so that one that was stopped goes on where it was.

``sensitivity.plan.json``  what the runs belong to: the scenario's hash, keys, ranges, method
``sensitivity.jsonl``      a row per run that has finished; what is whole survives ``kill -9``

Both go when the analysis is complete.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from celluler_sim.errors import ResultsError
from celluler_sim.experiments.journal import Journal, read_journal
from celluler_sim.experiments.worlds import Row
from celluler_sim.run_folder import claim_folder, plain, to_json, write_text
from celluler_sim.scenario import Scenario
from celluler_sim.trust import read_text, within

PLAN, JOURNAL, RESULT = "sensitivity.plan.json", "sensitivity.jsonl", "sensitivity.json"


class Kept:
    """The runs that have finished, by number; nothing is written where there is no folder."""

    def __init__(self, journal: Journal | None, rows: Mapping[int, Row], figures: Sequence[str]) -> None:
        self.rows = dict(rows)
        self._journal, self._figures = journal, tuple(figures)

    def add(self, rows: Sequence[tuple[int, Row]]) -> None:
        """Keep rows of runs, those that have finished also on disk."""
        self.rows |= dict(rows)
        if self._journal is not None:
            done = [(number, row) for number, row in rows if row["outcome"] == "finished"]
            self._journal.append({"run": n, "figures": {f: row.get(f) for f in self._figures}} for n, row in done)


def plan_of(scenario: Scenario) -> dict[str, Any]:
    """Return what the numbers of runs mean: those of another plan are others."""
    config = asdict(scenario.sensitivity)
    plan: dict[str, Any] = plain({"scenario": scenario.name, "config_sha256": scenario.config_hash, **config})
    return plan


def check(folder: Path, scenario: Scenario) -> None:
    """Refuse a folder that holds a finished analysis, or the beginning of another one.

    Raises
    ------
    ResultsError
        One line that says what it holds.
    """
    if (folder / RESULT).exists():
        raise ResultsError(f"results folder {folder} must not hold a finished analysis; choose another or remove it")
    if (folder / PLAN).exists() and _read(folder / PLAN) != plan_of(scenario):
        raise ResultsError(f"results folder {folder} must not hold another analysis; choose another or remove it")


@contextmanager
def kept(folder: Path | None, scenario: Scenario) -> Iterator[Kept]:
    """Give the runs that ``folder`` holds of the analysis of ``scenario``, and add further ones to them."""
    figures = scenario.sensitivity.figures
    if folder is None:
        yield Kept(None, {}, figures)
        return
    check(folder, scenario)
    claim_folder(folder, ())
    write_text(folder / PLAN, to_json(plan_of(scenario)))
    rows = {row["run"]: _row(row["figures"]) for row in read_journal(folder / JOURNAL) if _whole(row, figures)}
    with Journal(folder / JOURNAL) as journal:
        yield Kept(journal, rows, figures)


def forget(folder: Path) -> None:
    """Remove what is needed no more once the result is written."""
    for name in (JOURNAL, PLAN):
        with suppress(OSError):
            (folder / name).unlink(missing_ok=True)


def _row(figures: Mapping[str, Any]) -> Row:
    return {"outcome": "finished", "error": None, **figures}


def _whole(row: Mapping[str, Any], figures: Sequence[str]) -> bool:
    """Whether a row of the journal is one of a run, with a number or nothing for every figure."""
    run, values = row.get("run"), row.get("figures")
    if not isinstance(run, int) or not isinstance(values, dict) or set(values) != set(figures):
        return False
    return all(value is None or isinstance(value, int | float) for value in values.values())


def _read(path: Path) -> Any:
    place = within(path.parent, path)
    try:
        return json.loads(read_text(place))
    except (OSError, ValueError, RecursionError) as error:
        raise ResultsError(f"{path} must be the plan of an analysis, got {type(error).__name__}; remove it") from error
