"""The pages of what a run leaves behind: its tables and its figures."""

from __future__ import annotations

from celluler_sim.analysis.figures import FIGURES, SECTIONS, TRACE_PAIRS
from celluler_sim.docs.markdown import code, page, table
from celluler_sim.tables import TABLES

OF_TABLES = (
    'A run\'s folder holds one Parquet file for each of these. `run.tables["markets"]` is a pandas data frame, '
    '`run.tables.units("markets")` gives the units of its columns, and `run.to_csv(FOLDER)` writes all tables as CSV. '
    "Rows are sorted by the key. Times are seconds from the start of the simulation; a *slot* is an agent's number "
    "among those of its type."
)
OF_FIGURES = (
    "`summary.json` in a run's folder, `run.summary` in Python. A figure that has no meaning in a run (the mean wait "
    "of no job, say) is null. Shares are fractions in the file and per cent on the terminal."
)
OF_TRACES = (
    "What a trace, or a generator fitted to one, says of itself is in the summary as `trace_NAME`. Those below have a "
    "figure of the run to be held against; the report shows both side by side."
)


def tables_page() -> str:
    """Return the page of the tables."""
    parts = []
    for name, one in TABLES.items():
        rows = [(code(c.name), c.dtype, c.unit, c.meaning) for c in one.columns]
        meaning = f"{one.meaning[:1].upper()}{one.meaning[1:]}. Key: {', '.join(map(code, one.key))}."
        parts += [f"## {name}", meaning, table(["column", "type", "unit", "meaning"], rows)]
    return page("Tables", OF_TABLES, *parts)


def summary_page() -> str:
    """Return the page of the figures that sum up a run."""
    parts = []
    for heading, names in SECTIONS.items():
        rows = [(code(n), FIGURES[n].label, FIGURES[n].unit, FIGURES[n].meaning) for n in names]
        parts += [f"## {heading}", table(["name", "on the terminal", "unit", "meaning"], rows)]
    pairs = [(code(f"trace_{fact}"), code(figure)) for fact, figure in TRACE_PAIRS.items()]
    parts += ["## Workload", OF_TRACES, table(["of the workload", "of the run"], pairs)]
    return page("Figures of a run", OF_FIGURES, *parts)
