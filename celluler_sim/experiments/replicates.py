"""Replicates: one scenario in many worlds, streamed to disk as they finish, summed up with intervals.

The folder of a job with replicates has no tables of single runs. It holds

``replicates.jsonl``    a row per replicate while the job goes on; what is whole survives ``kill -9``
``replicates.parquet``  the same at the end, ordered by number
``summary.json``        the mean of each figure, ``intervals.json`` with its 95 % interval
``replicates.html``     both for reading, with a picture
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from celluler_sim.analysis.figures import FIGURES
from celluler_sim.config_build import did_you_mean, show
from celluler_sim.errors import CellulerError, ResultsError, ScenarioError
from celluler_sim.experiments.journal import Journal, read_journal
from celluler_sim.experiments.schedule import stream
from celluler_sim.experiments.statistics import Interval, interval
from celluler_sim.experiments.tables import figures_in, rows_of, to_arrow, write_table
from celluler_sim.experiments.worlds import Job, Row, config_text
from celluler_sim.run_folder import MANIFEST, SCENARIO, SUMMARY, RunFolder, claim_folder, to_json, write_text
from celluler_sim.scenario import Scenario, compose
from celluler_sim.trust import load_yaml, read_text, within

if TYPE_CHECKING:
    import pandas as pd

JOURNAL, TABLE, INTERVALS, EACH = "replicates.jsonl", "replicates.parquet", "intervals.json", "replicates"
AT_LEAST = 10  # replicates before an interval may stop the rest: fewer say little of a variance


@dataclass(frozen=True)
class Replicates:
    """What came of one scenario in many worlds."""

    scenario: Scenario
    rows: list[Row] = field(repr=False)  # ordered by number
    folder: Path | None = None

    @property
    def table(self) -> pd.DataFrame:
        """One row per replicate: its number, seed, outcome, error, duration and every figure."""
        frame: pd.DataFrame = to_arrow(self.rows).to_pandas()
        return frame

    @property
    def intervals(self) -> dict[str, Interval]:
        """Each figure's mean and 95 % interval over the replicates that have it."""
        return intervals_of(self.rows)

    @property
    def failed(self) -> list[Row]:
        """The rows of replicates that failed."""
        return [row for row in self.rows if row["outcome"] != "finished"]


def intervals_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Interval]:
    """Return mean and interval of every figure in rows; one without a value in any row is left out."""
    named = {name: _column(rows, name) for name in figures_in(rows)}
    return {name: interval(values) for name, values in named.items() if any(map(math.isfinite, values))}


def _column(rows: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    return [math.nan if row.get(name) is None else float(row[name]) for row in rows]


def replicate(
    scenario: str | Path = "compute_congestion",
    overrides: Sequence[str] = (),
    *,
    replicates: int,
    folder: str | Path | None = None,
    progress: Literal["auto"] | bool = False,
) -> Replicates:
    """Run a scenario in ``replicates`` worlds and return their figures.

    Parameters
    ----------
    scenario, overrides
        As of `celluler_sim.simulate`; ``executor=serial`` runs them in this process.
    replicates
        How many; ``until_width.FIGURE=WIDTH`` among the overrides may stop earlier.
    folder
        Where to write; nothing is written if not given.
    progress
        Whether to show a progress bar.

    Examples
    --------
    >>> found = replicate("compute_congestion", ["ticks=2", "executor=serial"], replicates=3)
    >>> len(found.table), found.intervals["n_ticks"].mean
    (3, 2.0)
    """
    composed = compose(scenario, [*overrides, f"replicates={replicates}"])
    return run_replicates(composed, None if folder is None else Path(folder), progress=progress)


def run_replicates(
    scenario: Scenario,
    folder: Path | None = None,
    *,
    page: bool = True,
    progress: Literal["auto"] | bool = False,
) -> Replicates:
    """Run a scenario's replicates; what its folder holds of them already is not run again.

    ``page`` says whether to write the page and its picture: a sweep has one of its own.

    Raises
    ------
    ResultsError
        The folder cannot be written, or holds a run of another configuration.
    """
    check_widths(scenario.until_width)
    if folder is None:
        return Replicates(scenario, _run(scenario, None, [], None, progress=progress))
    home = _home(scenario, folder)
    try:
        done = read_journal(folder / JOURNAL)
        with Journal(folder / JOURNAL) as journal:
            rows = _run(scenario, folder, done, journal, progress=progress)
        found = Replicates(scenario, rows, folder)
        _finish(found, home, page=page)
    except BaseException as error:
        home.fail(error)
        raise
    return found


def check_widths(until_width: Mapping[str, float]) -> None:
    """Refuse a figure that no summary has."""
    for name in until_width:
        if name not in FIGURES and not name.startswith("trace_"):
            hint = did_you_mean(name, FIGURES) or "; docs/reference/summary.md has their names"
            raise ScenarioError(f"until_width must name figures of the summary, got {show(name)}{hint}")


def _home(scenario: Scenario, folder: Path) -> RunFolder:
    """Return the folder, new or with the beginning of the very same job."""
    if (folder / MANIFEST).is_file():
        if not same_job(folder, scenario) or not (folder / JOURNAL).is_file():
            raise ResultsError(f"results folder {folder} must not hold another run; choose another or remove it")
        home = RunFolder(folder)
    else:
        home = RunFolder(folder, claim_folder(folder, ()))
    home.start(scenario.to_mapping(), seed=scenario.seed, replicate=scenario.replicate)
    return home


def same_job(folder: Path, scenario: Scenario) -> bool:
    """Whether a folder was begun with the configuration of ``scenario``, where and how it runs aside."""
    import yaml  # type: ignore[import-untyped]

    try:
        mapping = load_yaml(read_text(within(folder, folder / SCENARIO)))
        if not isinstance(mapping, dict) or mapping.get("plugins") != list(scenario.plugins):
            return False  # before it is built: a folder must not have modules imported that nobody named here
        return Scenario.from_mapping(mapping).config_hash == scenario.config_hash
    except (OSError, ValueError, RecursionError, yaml.YAMLError, CellulerError):
        return False


def _run(
    scenario: Scenario,
    folder: Path | None,
    done: Sequence[Row],
    journal: Journal | None,
    *,
    progress: Literal["auto"] | bool,
) -> list[Row]:
    """Return the rows of all replicates in order, up to the one at which the intervals asked for are reached."""
    numbers = range(scenario.replicate, scenario.replicate + scenario.replicates)
    rows = {
        row["replicate"]: row for row in done if row.get("replicate") in numbers and row.get("outcome") == "finished"
    }
    config = config_text(scenario)
    keep = folder is not None and scenario.replicate_tables
    jobs = [Job(i, config, i, str(_own(folder, i)) if keep and folder else "") for i in numbers if i not in rows]
    enough = Enough(scenario.until_width)
    stop = enough.reached(rows, numbers)
    with bar(len(numbers), progress, len(rows)) as advance:
        for some in stream([] if stop else jobs, scenario.executor):
            new = dict(some)
            rows |= new
            if journal is not None:
                journal.append(new.values())
            advance(len(new))
            stop = enough.reached(rows, numbers)
            if stop:
                break
    return [rows[i] for i in numbers if i in rows and (stop is None or i <= stop)]


def _own(folder: Path, number: int) -> Path:
    """Return the folder of one replicate's tables, empty."""
    own = folder / EACH / str(number)
    if own.exists():  # of a run that was killed
        RunFolder(own, [own]).discard()
    return own


class Enough:
    """Says at which replicate all intervals asked for are narrow enough.

    Replicates are looked at in the order of their numbers, never in that in which they finish: where a job stops does
    not depend on the executor. Stopping by a look at the data makes the interval cover a little less often than 95 %.
    """

    def __init__(self, until_width: Mapping[str, float]) -> None:
        self.widths = dict(until_width)
        self._seen = 0

    def reached(self, rows: Mapping[int, Row], numbers: Sequence[int]) -> int | None:
        """Return the number of the first replicate at which it is enough, None where it is not yet."""
        if not self.widths:
            return None
        prefix: list[Row] = []
        for i in numbers:
            if i not in rows:
                return None
            prefix.append(rows[i])
            if len(prefix) >= max(AT_LEAST, self._seen + 1):
                self._seen = len(prefix)
                if all(interval(_column(prefix, name)).width <= width for name, width in self.widths.items()):
                    return i
        return None


@contextmanager
def bar(total: int, progress: Literal["auto"] | bool, done: int = 0, unit: str = "run") -> Iterator[Any]:
    """Show how many are done; gives a function that counts further ones."""
    from celluler_sim.progress import wanted

    if not wanted(progress):
        yield lambda _n: None
        return
    from tqdm import tqdm

    with tqdm(total=total, initial=done, unit=unit, file=sys.stderr, leave=False) as shown:
        yield shown.update


def _finish(found: Replicates, home: RunFolder, *, page: bool) -> None:
    """Turn the journal into the table, write means, intervals and the page, then the manifest."""
    from celluler_sim.experiments.page import write_replicates_page
    from celluler_sim.live_page import share

    write_table(home.path / TABLE, to_arrow(found.rows))
    intervals = found.intervals
    write_text(home.path / INTERVALS, to_json({name: i._asdict() for name, i in intervals.items()}))
    if page:
        share(found.scenario.results_dir, home.path)
        write_replicates_page(found)
    write_text(home.path / SUMMARY, to_json({name: i.mean for name, i in intervals.items()}))
    if found.failed:
        first = found.failed[0]
        n, total = len(found.failed), len(found.rows)
        home.fail(ResultsError(f"{n} of {total} replicates failed; number {first['replicate']}: {first['error']}"))
        return
    home.finish({name: i.mean for name, i in intervals.items()})
    with suppress(OSError):
        (home.path / JOURNAL).unlink()


def read_rows(folder: Path) -> list[Row]:
    """Return the rows of a job with replicates, finished or not; none where it is no such job."""
    if (folder / TABLE).is_file():
        from celluler_sim.results import load_run

        return rows_of(load_run(folder).tables.arrow(EACH))
    return read_journal(folder / JOURNAL)
