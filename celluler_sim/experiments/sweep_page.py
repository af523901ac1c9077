"""The page and the figures of a sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from celluler_sim.analysis.figures import FIGURES
from celluler_sim.experiments.page import Part, save_pictures, shown, table, write_page
from celluler_sim.experiments.pictures import axis_label, column, drawable, heat_picture, lines_picture
from celluler_sim.experiments.statistics import interval

if TYPE_CHECKING:
    from celluler_sim.analysis.picture import Picture

Rows = Sequence[Mapping[str, Any]]
MAX_JOBS = 500  # rows of the page's table


def write_sweep_page(folder: Path, name: str, rows: Rows, parameters: Sequence[str]) -> Path:
    """Write ``figures/*.png`` and ``sweep.html`` and return the path of the latter."""
    done = [row for row in rows if row["outcome"] == "finished"]
    pictures = _pictures(done, parameters)
    images = save_pictures(folder, pictures)
    failed = [row for row in rows if row["outcome"] != "finished"]
    parts = [
        Part("In pictures", pictures=[(drawn, _caption(key)) for key, drawn in images.items()]),
        Part("Jobs", _jobs_table(rows, parameters)),
        Part(
            "Failures",
            table(("job", "overrides", "error"), [(r["job"], r["overrides"], r["error"]) for r in failed])
            if failed
            else "",
        ),
    ]
    jobs = len({row["job"] for row in rows})
    about = (
        f"{jobs} jobs, {len(rows)} rows; varied: {', '.join(parameters) or 'nothing'}. All rows are in sweep.parquet."
    )
    warning = f"{len(failed)} of {len(rows)} rows failed." if failed else ""
    return write_page(folder / "sweep.html", f"Sweep of {name}", about, parts, warning)


def _caption(key: str) -> str:
    name, _, kind = key.partition("-")
    if kind == "map":
        return f"{FIGURES[name].label}, mean over worlds, for each pair of values: the lighter, the more."
    return (
        f"{FIGURES[name].label}: mean over worlds with its 95 % interval. Points whose intervals are far apart differ; "
        "where intervals overlap, celluler-sim compare looks at the difference within each world and sees more."
    )


def numeric(rows: Rows, parameter: str) -> bool:
    """Whether all values of a parameter are numbers."""
    return all(isinstance(row.get(parameter), int | float) and not isinstance(row.get(parameter), bool) for row in rows)


def _pictures(rows: Rows, parameters: Sequence[str]) -> dict[str, Picture]:
    """Return lines for every key figure, and a map where two parameters vary."""
    vary = [p for p in parameters if len({row.get(p) for row in rows}) > 1]
    if not vary or not rows:
        return {}
    ordered = sorted(vary, key=lambda p: (not numeric(rows, p), -len({row.get(p) for row in rows})))
    along, groups = ordered[0], [p for p in vary if p != ordered[0]]
    found: dict[str, Picture] = {}
    for name in drawable(rows):
        found[f"{name}-lines"] = lines_picture(rows, name, along, groups, texts=not numeric(rows, along))
        if len(vary) == 2:
            found[f"{name}-map"] = heat_picture(rows, name, along, groups[0])
    return found


def _jobs_table(rows: Rows, parameters: Sequence[str]) -> str:
    """Return the table of jobs: their parameters, how many worlds, and the means of the key figures."""
    names = drawable(rows)
    lines = []
    for job in list(dict.fromkeys(row["job"] for row in rows))[:MAX_JOBS]:
        mine = [row for row in rows if row["job"] == job]
        ok = [row for row in mine if row["outcome"] == "finished"]
        cells = [shown(name, interval(column(ok, name)).mean) if ok else "" for name in names]
        lines.append((job, *(mine[0].get(p) for p in parameters), f"{len(ok)} of {len(mine)}", *cells))
    return table(("job", *parameters, "finished", *map(axis_label, names)), lines)
