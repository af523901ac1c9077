"""The files of a table: an Arrow stream while the run goes on, a Parquet file sorted by the table's key at its end.

The bytes of the Parquet file depend on the rows and on the order in which they were logged, not on how they came
in batches: rows are regrouped to a fixed size before they are encoded, and no time or host enters the file.
"""

from __future__ import annotations

import bisect
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from celluler_sim.errors import ResultsError
from celluler_sim.run_folder import unwritable
from celluler_sim.tables import Table, TableColumn

ROWS_PER_GROUP = 1 << 17  # rows of a Parquet row group
ROWS_PER_RUN = 1 << 18  #   rows that are sorted in memory at once
ROWS_PER_BLOCK = 1 << 14  # rows that the merge reads at once from each sorted run
BLOCKS_AT_ONCE = 8  #       blocks the merge takes in before it gives rows out

ARROW_TYPES: dict[str, pa.DataType] = {
    "int64": pa.int64(),
    "int32": pa.int32(),
    "int8": pa.int8(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "string": pa.string(),
    "decimal": pa.decimal128(38, 18),
}

Key = tuple[str, ...]
Batches = Iterable[pa.RecordBatch]


@cache
def schema_of(table: Table) -> pa.Schema:
    """Return the Arrow schema of ``table``: no nulls, unit and meaning in every field's metadata."""
    about = {"table": table.name, "meaning": table.meaning, "key": " ".join(table.key)}
    return pa.schema([_field(column) for column in table.columns], metadata=about)


def _field(column: TableColumn) -> pa.Field:
    about = {"unit": column.unit, "meaning": column.meaning}
    return pa.field(column.name, ARROW_TYPES[column.dtype], nullable=False, metadata=about)


def key_of(schema: pa.Schema) -> Key:
    """Return the columns by which the table is sorted, as its schema states them."""
    stated = (schema.metadata or {}).get(b"key", b"").decode("utf-8", "replace").split()
    return tuple(name for name in stated if name in schema.names)


def stream_schema(path: Path) -> pa.Schema:
    """Return the schema of an Arrow stream file, which is there from the moment the file is."""
    with pa.OSFile(str(path)) as file:
        return pa.ipc.open_stream(file).schema


def read_stream(path: Path) -> Iterator[pa.RecordBatch]:
    """Yield every whole record batch of an Arrow stream file; a tail cut off by a killed writer ends it quietly."""
    with pa.OSFile(str(path)) as file:
        try:
            reader = pa.ipc.open_stream(file)
            while True:
                batch = reader.read_next_batch()
                batch.validate(full=True)  # a foreign file must not lead reads astray
                yield batch
        except (StopIteration, pa.ArrowException, OSError):
            return


def sorted_table(table: pa.Table) -> pa.Table:
    """Return ``table`` in one chunk a column, sorted by its key; equal keys stay in logged order."""
    if not table.num_rows:
        return table
    table = table.combine_chunks()
    key = key_of(table.schema)
    return table if is_sorted(table.to_batches(), key) else table.sort_by([(name, "ascending") for name in key])


def write_parquet(path: Path, schema: pa.Schema, batches: Callable[[], Batches], rows: int) -> None:
    """Write the ``rows`` rows that ``batches()`` yields to ``path``, sorted by the key, with bounded memory.

    1. Look whether the rows are in order already; if so stream them through.
    2. Otherwise sort `ROWS_PER_RUN` rows at a time, keep them in a scratch file beside ``path``, and merge.
    3. Regroup to `ROWS_PER_GROUP` rows, encode, and rename into place when complete.

    Raises `ResultsError` where the disk refuses or rows are missing; ``path`` never holds a part of a table.
    """
    partial = path.with_name(path.name + ".partial")
    scratch = path.with_name(path.name + ".sorting")
    key = key_of(schema)
    try:
        for leftover in (partial, scratch):
            leftover.unlink(missing_ok=True)  # a link there must not be written through
        source = batches() if is_sorted(batches(), key) else _external_sort(batches(), schema, key, scratch)
        _refuse_loss(path, rows, _encode(partial, schema, source))
        os.replace(partial, path)  # noqa: PTH105
    except ResultsError:
        raise
    except (OSError, pa.ArrowException) as error:
        raise unwritable(path.parent, error) from error
    finally:
        for leftover in (partial, scratch):
            with suppress(OSError):
                leftover.unlink(missing_ok=True)


def _refuse_loss(path: Path, logged: int, written: int) -> None:
    if written != logged:
        raise ResultsError(f"table file {path} must hold the {logged} rows logged, got {written}; its stream is kept")


def _encode(path: Path, schema: pa.Schema, batches: Batches) -> int:
    strings = [field.name for field in schema if pa.types.is_string(field.type)]
    rows = 0
    with pq.ParquetWriter(
        path, schema, compression="zstd", compression_level=1, use_dictionary=strings, write_page_checksum=True
    ) as writer:
        for group in regroup(batches, schema, ROWS_PER_GROUP):
            writer.write_table(group, row_group_size=ROWS_PER_GROUP)
            rows += group.num_rows
    return rows


def regroup(batches: Batches, schema: pa.Schema, size: int) -> Iterator[pa.Table]:
    """Yield the same rows in tables of exactly ``size`` rows, the last one perhaps shorter, one chunk a column."""
    held: list[pa.RecordBatch] = []
    rows = 0
    for whole in batches:
        batch = whole
        while rows + batch.num_rows >= size:
            head = batch.slice(0, size - rows)
            yield pa.Table.from_batches([*held, head], schema).combine_chunks()
            batch = batch.slice(size - rows)
            held, rows = [], 0
        if batch.num_rows:
            held.append(batch)
            rows += batch.num_rows
    if rows:
        yield pa.Table.from_batches(held, schema).combine_chunks()


def is_sorted(batches: Batches, key: Key) -> bool:
    """Return whether the rows never descend in ``key``, within batches and from one to the next."""
    last: tuple[object, ...] | None = None
    for batch in batches:
        if not key or not batch.num_rows:
            continue
        if (last is not None and _key_at(batch, 0, key) < last) or _descends(batch, key):
            return False
        last = _key_at(batch, batch.num_rows - 1, key)
    return True


def _key_at(rows: pa.RecordBatch | pa.Table, row: int, key: Key) -> tuple[object, ...]:
    return tuple(rows[name][row].as_py() for name in key)


def _descends(batch: pa.RecordBatch, key: Key) -> bool:
    """Return whether any row is smaller than the one before it, comparing the key's columns from left to right."""
    pairs = batch.num_rows - 1
    tied = np.ones(pairs, np.bool_)
    for name in key:
        before, after = batch[name].slice(0, pairs), batch[name].slice(1)
        if np.any(tied & pc.greater(before, after).to_numpy(zero_copy_only=False)):
            return True
        tied &= pc.equal(before, after).to_numpy(zero_copy_only=False)
    return False


def _external_sort(batches: Batches, schema: pa.Schema, key: Key, scratch: Path) -> Iterator[pa.RecordBatch]:
    """Yield the rows sorted by ``key``, stable, holding a bounded number of them in memory.

    Sorted runs go to ``scratch`` in blocks. The merge reads blocks by their first key: all that is smaller than
    the first key of the next block can be given out, since every block still to come starts there or later.
    """
    row = "__row"  # logged order, the last part of the key: makes every key unique and the sort stable
    order = (*key, row)
    blocks = _spill_runs(regroup(batches, schema, ROWS_PER_RUN), order, scratch)
    with pa.OSFile(str(scratch)) as file:
        runs = pa.ipc.open_file(file)
        pool = pa.Table.from_batches([], runs.schema)
        for start in range(0, len(blocks), BLOCKS_AT_ONCE):
            stop = start + BLOCKS_AT_ONCE
            loaded = [runs.get_batch(number) for _, number in blocks[start:stop]]
            pool = pa.concat_tables([pool, pa.Table.from_batches(loaded)]).sort_by([(n, "ascending") for n in order])
            ready = _rows_below(pool, order, blocks[stop][0]) if stop < len(blocks) else pool.num_rows
            yield from pool.slice(0, ready).drop_columns([row]).combine_chunks().to_batches()
            pool = pool.slice(ready)


def _spill_runs(runs: Iterable[pa.Table], order: Key, scratch: Path) -> list[tuple[tuple[object, ...], int]]:
    """Write each run, sorted, to ``scratch``; return (first key, number) of every block, sorted."""
    firsts: list[tuple[object, ...]] = []
    writer = None
    logged = 0
    with pa.OSFile(str(scratch), "wb") as file:
        for run in runs:
            numbered = run.append_column(order[-1], pa.array(np.arange(logged, logged + run.num_rows)))
            logged += run.num_rows
            writer = writer or pa.ipc.new_file(file, numbered.schema)
            ascending = numbered.sort_by([(name, "ascending") for name in order]).combine_chunks()
            for block in ascending.to_batches(max_chunksize=ROWS_PER_BLOCK):
                firsts.append(_key_at(block, 0, order))
                writer.write_batch(block)
        if writer is not None:
            writer.close()
    return sorted(zip(firsts, itertools.count(), strict=False))


def _rows_below(ascending: pa.Table, key: Key, bound: tuple[object, ...]) -> int:
    """Return how many leading rows of a sorted table have a key below ``bound``."""
    return bisect.bisect_left(range(ascending.num_rows), bound, key=lambda row: _key_at(ascending, row, key))
