"""Export runs and sweeps: CSV, and the shape that users of cadCAD expect.

cadCAD (BlockScience) describes a simulation as rows of state variables labelled ``simulation, subset, run, substep,
timestep``: a subset is a combination of parameters, a run one repetition of it, a timestep counts from 1 here since a
run has no row before its first tick.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from celluler_sim.errors import ResultsError, ScenarioError
from celluler_sim.experiments.load import load_sweep
from celluler_sim.experiments.replicates import EACH
from celluler_sim.experiments.sweep_plan import PLAN
from celluler_sim.results import Run, load_run
from celluler_sim.run_folder import MANIFEST, claim_folder, unwritable

if TYPE_CHECKING:
    import pandas as pd

FORMATS = ("csv", "cadcad")
LABELS = ["simulation", "subset", "run", "substep", "timestep"]


def export(folder: Path | str, to: str, out: Path | str | None = None) -> list[Path]:
    """Write a run or a sweep in another format and return the files.

    Parameters
    ----------
    folder
        Of a run, of a job with replicates, or of a sweep.
    to
        ``csv``: every table of a run, or the one table of a sweep; ``cadcad``: one row per tick of every run.
    out
        Where to write; ``csv`` or ``cadcad`` in the folder itself if not given.

    Raises
    ------
    ScenarioError
        An unknown format.
    ResultsError
        The folder holds neither, or no tables of single runs where cadCAD's shape needs them.
    """
    if to not in FORMATS:
        raise ScenarioError(f"--to must be one of {', '.join(FORMATS)}, got {to!r}")
    home = Path(folder)
    target = Path(out) if out is not None else home / to
    sweep = (home / PLAN).is_file()
    if to == "csv":
        return _sweep_csv(home, target) if sweep else load_run(home).to_csv(target)
    frame = cadcad(home)
    return [_write(frame, target, "cadcad.csv")]


def _sweep_csv(home: Path, target: Path) -> list[Path]:
    found = load_sweep(home)
    return [_write(found.table, target, "sweep.csv"), _write(found.tidy(), target, "sweep_tidy.csv")]


def _write(frame: pd.DataFrame, target: Path, name: str) -> Path:
    claim_folder(target, ())
    try:
        frame.to_csv(target / name, index=False)
    except OSError as error:
        raise unwritable(target, error) from error
    return target / name


def cadcad(folder: Path | str) -> pd.DataFrame:
    """Return the `markets` table of every run of a folder in cadCAD's shape.

    One row per tick: ``simulation`` 0, ``subset`` the job's number, ``run`` from 1, ``substep`` 1, ``timestep`` the
    tick from 1, then the state variables; where there are several markets, each with the market's name before it. A
    sweep's varied parameters stand at the end.
    """
    import pandas as pd

    parts = [_labelled(run, subset, number, parameters) for subset, number, run, parameters in _runs(Path(folder))]
    if not parts:
        remedy = "run again with replicate_tables=true"
        raise ResultsError(
            f"results folder {folder} must hold tables of single runs for cadcad, got replicates without; {remedy}"
        )
    return pd.concat(parts, ignore_index=True)


def _runs(folder: Path) -> Iterator[tuple[int, int, Run, dict[str, Any]]]:
    """Yield (subset, run, the run, varied parameters) for every run with tables below a folder."""
    if (folder / PLAN).is_file():
        sweep = load_sweep(folder)
        for job in sweep.jobs:
            try:
                found = sweep.run(job.number)
            except ResultsError:  # a job that failed
                continue
            yield from ((job.number, number, run, job.parameters) for number, run in _each(found))
        return
    yield from ((0, number, run, {}) for number, run in _each(load_run(folder)))


def _each(run: Run) -> Iterator[tuple[int, Run]]:
    """Yield a run, or the runs of its replicates, numbered from 1."""
    if "markets" in run.tables:
        yield 1, run
    elif run.folder is not None:
        paths = sorted((run.folder / EACH).glob(f"*/{MANIFEST}"), key=lambda path: int(path.parent.name))
        yield from ((number, load_run(path.parent)) for number, path in enumerate(paths, start=1))


def _labelled(run: Run, subset: int, number: int, parameters: dict[str, Any]) -> pd.DataFrame:
    markets = run.tables["markets"]
    names = list(dict.fromkeys(markets["market"]))
    states = [
        markets[markets["market"] == name]
        .drop(columns=["market"])
        .set_index("tick")
        .add_prefix(f"{name}." if len(names) > 1 else "")
        for name in names
    ]
    joined = states[0].join(states[1:]) if len(states) > 1 else states[0]
    labels = {"simulation": 0, "subset": subset, "run": number, "substep": 1, "timestep": joined.index + 1}
    frame: pd.DataFrame = joined.reset_index(drop=True)
    for place, (name, value) in enumerate(labels.items()):
        frame.insert(place, name, value)
    for name, value in parameters.items():
        frame[name] = value
    return frame
