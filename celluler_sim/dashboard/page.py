"""What the page says: its texts, lists and tables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from celluler_sim.analysis.figures import FIGURES
from celluler_sim.conf import choices, files
from celluler_sim.errors import ResultsError

if TYPE_CHECKING:
    import pandas as pd

    from celluler_sim.dashboard.live import LiveRun
    from celluler_sim.results import Run

RESULTS_VARIABLE = "CELLULER_SIM_DASHBOARD_RESULTS"
INTRODUCTION = (
    "Choose a scenario and its rules, move a slider, press **Run** and watch. "
    "**Pin** a run to keep its lines behind the next one's: with one seed both live in the same random world."
)


def results_folder() -> Path:
    """Return the folder that the dashboard was started on."""
    return Path(os.environ.get(RESULTS_VARIABLE, "results")).resolve()


def scenarios() -> list[str]:
    """Return the names of the scenarios that can be read."""
    return [name for name, scenario in files.find(choices.families()).items() if not scenario.error]


def status(run: LiveRun) -> str:
    """Return one line about a run, as Markdown."""
    line = f"**{run.title}**: {run.state}, {run.progress:.0%} of {run.scenario.ticks:,} ticks"
    if run.error:
        return f"{line}. {run.error}"
    return line + (f"; kept in `{run.folder.name}`" if not run.running else "")


def figures(runs: Mapping[str, Run]) -> pd.DataFrame:
    """Return the summaries of runs side by side, one row a figure."""
    import pandas as pd

    rows = [
        {"figure": info.label, "unit": info.unit, **{name: run.summary.get(key) for name, run in runs.items()}}
        for key, info in FIGURES.items()
        if any(run.summary.get(key) is not None for run in runs.values())
    ]
    return pd.DataFrame(rows)


def sweep(folder: Path) -> pd.DataFrame:
    """Return the table of a sweep; `ResultsError` where it cannot be read."""
    import pyarrow as pa

    from celluler_sim.foreign_tables import read_parquet
    from celluler_sim.trust import within

    path = within(folder, folder / "sweep.parquet")
    try:
        table: pd.DataFrame = read_parquet(path).to_pandas()
    except (OSError, ValueError, pa.ArrowException) as error:
        raise ResultsError(
            f"{path} must be the table of a sweep, got {type(error).__name__}; run the sweep again"
        ) from error
    return table
