"""Tables of experiments: a row per replicate, and what its columns are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from celluler_sim.analysis.figures import FIGURES, trace_unit
from celluler_sim.experiments.worlds import LEADING, Row

if TYPE_CHECKING:
    import pyarrow as pa

ABOUT = {  # columns that are no figures: unit, meaning
    "job": ("", "number of the job in the sweep"),
    "overrides": ("", "by which the job was composed"),
    "base_seed": ("", "the key `seed` of the job"),
    "replicate": ("", "number of the random world below the job's seed"),
    "seed": ("", "seed that gives this world by itself, with replicate=0: the key `seed` plus 2^32 times `replicate`"),
    "outcome": ("", "finished or failed"),
    "error": ("", "why it failed, one line"),
    "duration_s": ("s", "computing time"),
}
DTYPES = {
    "job": "int64",
    "replicate": "int64",
    "seed": "int64",
    "base_seed": "int64",
    "duration_s": "float64",
} | dict.fromkeys(("outcome", "error", "overrides"), "string")


def describe(column: str) -> tuple[str, str]:
    """Return unit and meaning of a column: of a figure, of what leads a row, or of a parameter (its key).

    >>> describe("mean_wait_s")[0], describe("pricing.base_price")
    ('s', ('', 'parameter'))
    """
    if column in FIGURES:
        return FIGURES[column].unit, FIGURES[column].meaning
    if column.startswith("trace_"):
        return trace_unit(column, None), "as the workload states it"
    return ABOUT.get(column, ("", "parameter"))


def to_arrow(rows: Sequence[Mapping[str, Any]], leading: Iterable[str] = LEADING) -> pa.Table:
    """Return rows as one table: the leading columns, then every figure in the summary's order; missing is null."""
    import pyarrow as pa

    lead = list(leading)
    names = dict.fromkeys([*lead, *figures_in(rows, lead)])
    fields = [_field(pa, name, [row.get(name) for row in rows]) for name in names]
    arrays = [pa.array([_value(row.get(f.name), f.type) for row in rows], f.type) for f in fields]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def figures_in(rows: Sequence[Mapping[str, Any]], leading: Iterable[str] = LEADING) -> list[str]:
    """Return the names of the figures that rows have, those of the summary first and in its order."""
    found = dict.fromkeys(name for row in rows for name in row)
    for name in leading:
        found.pop(name, None)
    return [name for name in FIGURES if name in found] + [name for name in found if name not in FIGURES]


def _field(pa: Any, name: str, values: Sequence[Any]) -> Any:
    unit, meaning = describe(name)
    return pa.field(name, _type(pa, name, values), metadata={"unit": unit, "meaning": meaning})


def _type(pa: Any, name: str, values: Sequence[Any]) -> Any:
    """Return a column's type: figures are floats; parameters are whatever all their values fit."""
    if name in DTYPES:
        return pa.type_for_alias(DTYPES[name])
    known = [value for value in values if value is not None]
    if describe(name)[1] != "parameter":
        return pa.float64()
    if known and all(isinstance(value, bool) for value in known):
        return pa.bool_()
    if known and all(isinstance(value, int) and not isinstance(value, bool) for value in known):
        return pa.int64()
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in known):
        return pa.float64()
    return pa.string()


def _value(value: Any, kind: Any) -> Any:
    return str(value) if value is not None and str(kind) == "string" else value


def write_table(path: Path, table: pa.Table) -> None:
    """Write a Parquet file, whole or not at all."""
    import os

    import pyarrow.parquet as pq

    from celluler_sim.run_folder import unwritable

    partial = path.with_name(f"{path.name}.partial")
    try:
        pq.write_table(table, partial)
        os.replace(partial, path)  # noqa: PTH105
    except OSError as error:
        raise unwritable(path.parent, error) from error


def rows_of(table: pa.Table) -> list[Row]:
    """Return a table as rows."""
    rows: list[Row] = table.to_pylist()
    return rows
