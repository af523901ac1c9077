"""Record whole columns while a run goes on, cheaply, so that nothing acknowledged is lost when it is killed.

`Recorder.log` copies columns into preallocated buffers and returns. When a buffer is full, or some seconds have
passed, what has been buffered becomes one Arrow record batch: kept in memory, or appended to a stream file and
handed to the operating system. `Recorder.finish` turns every stream into one Parquet file.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa

from celluler_sim import table_files as files
from celluler_sim.column_buffers import Buffer, Coded, buffer_of
from celluler_sim.errors import ResultsError
from celluler_sim.run_folder import (
    PARQUET_SUFFIX,
    STREAM_SUFFIX,
    TABLE_FILES,
    claim_folder,
    release_folders,
    unwritable,
)
from celluler_sim.tables import TABLES, Table

__all__ = ["Coded", "Recorder"]


class _Tail:
    """Writes the rest of a stream whose schema and first batches are in the file already."""

    END = b"\xff\xff\xff\xff\0\0\0\0"

    def __init__(self, file: Any) -> None:
        self.file = file

    def write_batch(self, batch: pa.RecordBatch) -> None:
        """Append one batch."""
        self.file.write(batch.serialize())

    def close(self) -> None:
        """Write the end mark."""
        self.file.write(self.END)


class _Sink:
    """One table being recorded: its buffers, and the file or list its batches go to.

    With a ``mark``, of rows and bytes, the stream is there already: it is cut back to the mark and goes on.
    """

    def __init__(self, table: Table, capacity: int, path: Path | None, mark: tuple[int, int] | None = None) -> None:
        self.table, self.capacity = table, capacity
        self.schema = files.schema_of(table)
        self.names = frozenset(column.name for column in table.columns)
        self.buffers: list[Buffer] = []  # made when the first row arrives
        self.rows = 0  #    in the buffers
        self.singles: list[list[Any]] = []  # rows of scalars that came after them
        self.written = 0  # in batches
        self.batches: list[pa.RecordBatch] = []
        self.file: Any = None
        self.writer: Any = None
        if path is not None and mark is not None:
            self.written, size = mark
            os.truncate(path, size)
            self.file = pa.OSFile(str(path), "ab")
            self.writer = _Tail(self.file)
        elif path is not None:
            self.file = pa.OSFile(str(path), "wb")  # unbuffered: a write goes to the system
            self.writer = pa.ipc.new_stream(self.file, self.schema)
            # the schema is written with the first batch: be readable from the start
            self.writer.write_batch(pa.RecordBatch.from_pylist([], self.schema))

    def ready(self, columns: Mapping[str, Any]) -> tuple[list[Any], int | None]:
        """Return the columns in the table's order, checked, and how many rows they make; None if all are scalars."""
        if columns.keys() != self.names:
            raise TypeError(self._names_message(columns))
        if not self.buffers:
            self.buffers = [buffer_of(self.table.name, column, self.capacity) for column in self.table.columns]
        values = [buffer.ready(columns[buffer.name]) for buffer in self.buffers]
        lengths = {len(value) for value in values if isinstance(value, np.ndarray)}
        if len(lengths) > 1:
            raise ValueError(self._lengths_message(values))
        return values, lengths.pop() if lengths else None

    def _names_message(self, columns: Mapping[str, Any]) -> str:
        order = [column.name for column in self.table.columns]
        if missing := [name for name in order if name not in columns]:
            return f"table {self.table.name} needs column {missing[0]!r}; its columns are {order}"
        unknown = min(columns.keys() - self.names)
        return f"table {self.table.name} has no column {unknown!r}; its columns are {order}"

    def _lengths_message(self, values: list[Any]) -> str:
        pairs = zip(self.buffers, values, strict=True)
        lengths = {buffer.name: len(value) for buffer, value in pairs if isinstance(value, np.ndarray)}
        return f"table {self.table.name} needs columns of one length, got {lengths}"

    def note(self, values: list[Any]) -> None:
        """Take one row of scalars."""
        self.singles.append(values)
        if self.rows + len(self.singles) == self.capacity:
            self.settle()

    def settle(self) -> None:
        """Copy the rows of scalars into the buffers, column by column."""
        if not self.singles:
            return
        end = self.rows + len(self.singles)
        for buffer, column in zip(self.buffers, zip(*self.singles, strict=True), strict=True):
            buffer.buffer[self.rows : end] = column
        self.rows = end
        self.singles = []

    def fill(self, values: list[Any], start: int, stop: int) -> int:
        """Copy rows ``start`` to ``stop`` into the buffers as far as they fit; return where to go on."""
        self.settle()
        stop = min(stop, start + self.capacity - self.rows)
        end = self.rows + stop - start
        for buffer, value in zip(self.buffers, values, strict=True):
            buffer.buffer[self.rows : end] = value[start:stop] if isinstance(value, np.ndarray) else value
        self.rows = end
        return stop

    def flush(self) -> None:
        """Make one batch of what is buffered, and write or keep it."""
        self.settle()
        if not self.rows:
            return
        kept = self.writer is None
        columns = [buffer.arrow(self.rows, copy=kept) for buffer in self.buffers]
        batch = pa.RecordBatch.from_arrays(columns, schema=self.schema)
        if self.writer is None:
            self.batches.append(batch)
        else:
            self.writer.write_batch(batch)
        self.written += self.rows
        self.rows = 0

    def close(self) -> None:
        """Close the stream file, if there is one, and let go of the buffers."""
        if self.file is not None and not self.file.closed:
            try:
                if self.writer is not None:
                    self.writer.close()
            finally:
                self.file.close()
        self.writer = self.file = None
        self.buffers = []


class Recorder:
    """Append-only tables of one run, in a folder or in memory.

    Parameters
    ----------
    folder
        Where the tables go, one Arrow stream each; made if missing. None keeps everything in memory.
    batch_rows
        Rows of a table that are buffered before they are written.
    flush_seconds
        What was logged longer ago than this is written at the next `log`, whatever its table. A batch that has been
        written is acknowledged: it survives ``kill -9``.
    marks
        Where the tables of this folder are to go on, by table: what `mark` returned. None: there are none yet.
    keep
        Whether the streams stay beside the finished tables until `release`.

    Raises
    ------
    ResultsError
        The folder cannot be written or holds tables already; nothing is left behind.

    Examples
    --------
    >>> recorder = Recorder(None)
    >>> recorder.log("consensus", tick=np.arange(3), submitted=5, ordered=5, pending=0, expired=0,
    ...              latency_p50_s=0.0, latency_p95_s=0.0, events=0, rounds=0, coins=0, forks=0)
    >>> recorder.finish()
    >>> recorder.arrow("consensus")["tick"].to_pylist()
    [0, 1, 2]
    """

    def __init__(
        self,
        folder: Path | None,
        batch_rows: int = 50_000,
        flush_seconds: float = 2.0,
        *,
        marks: Mapping[str, tuple[int, int]] | None = None,
        keep: bool = False,
    ) -> None:
        if batch_rows < 1:
            raise ValueError(f"batch_rows must be >= 1, got {batch_rows}")
        self.folder = None if folder is None else Path(folder)
        self.flush_seconds = flush_seconds
        self.keep = keep
        self._sinks: dict[str, _Sink] = {}
        self._open = True
        self._due = time.monotonic() + flush_seconds
        made = [] if self.folder is None or marks is not None else claim_folder(self.folder, TABLE_FILES)
        if marks is not None and marks.keys() != TABLES.keys():
            odd = min(marks.keys() ^ TABLES.keys())
            raise ResultsError(f"tables of {folder} must be those of this version, got a difference in {odd!r}")
        try:
            for name, table in TABLES.items():
                mark = None if marks is None else marks[name]
                self._sinks[name] = _Sink(table, batch_rows, self._path(name, STREAM_SUFFIX), mark)
        except OSError as error:
            if marks is not None:  # what was there stays
                self._close()
                raise unwritable(self.folder or "", error) from error
            self._drop()
            release_folders(made)
            raise unwritable(self.folder or "", error) from error

    def _path(self, name: str, suffix: str) -> Path | None:
        return None if self.folder is None else self.folder / f"{name}{suffix}"

    def _drop(self) -> None:
        """Close and remove the streams that were opened before another could not be."""
        self._close()
        for name in self._sinks:
            if (path := self._path(name, STREAM_SUFFIX)) is not None:
                path.unlink(missing_ok=True)

    def log(self, table: str, /, **columns: Any) -> None:
        """Append rows to ``table``: every column of its schema, 1-d arrays of one length, scalars broadcast.

        Numbers and booleans come as NumPy arrays or scalars that cast without loss, strings as one string or
        `Coded`, exact amounts as an object with ``to_decimal128()``. Arrays are copied: the caller may reuse them.

        Raises
        ------
        TypeError
            The table is unknown, a column is missing, unknown or of a type that does not fit; nothing is recorded.
        ValueError
            Columns differ in length or a code has no category, or the recorder is closed.
        ResultsError
            The disk refused a batch.
        """
        sink = self._sinks.get(table)
        if sink is None:
            raise TypeError(f"there is no table {table!r}; the tables are {sorted(self._sinks)}")
        if not self._open:
            raise ValueError(f"recorder must be open to log {table!r}, got one that has been finished or aborted")
        values, n = sink.ready(columns)
        if n is None:
            sink.note(values)
            n = 0
        start = 0
        while start < n:
            start = sink.fill(values, start, n)
            if sink.rows == sink.capacity:
                self._flush(sink)
        if sink.rows == sink.capacity:
            self._flush(sink)
        if self.folder is not None and time.monotonic() >= self._due:
            self.flush()

    def _flush(self, sink: _Sink) -> None:
        try:
            sink.flush()
        except OSError as error:
            self._close()  # a batch cut in two must stay the last one of its stream
            raise unwritable(self.folder or "", error) from error

    def _close(self) -> None:
        self._open = False
        for sink in self._sinks.values():
            with suppress(OSError):  # the end mark of a stream may be missing, its batches are there
                sink.close()

    def flush(self) -> None:
        """Write everything logged so far; when this returns, all of it survives ``kill -9``."""
        for sink in self._sinks.values():
            self._flush(sink)
        self._due = time.monotonic() + self.flush_seconds

    def mark(self) -> dict[str, tuple[int, int]]:
        """Write everything logged so far; return how far each table has come: rows, and bytes of its stream."""
        self.flush()
        return {
            name: (sink.written, 0 if sink.file is None else sink.file.tell()) for name, sink in self._sinks.items()
        }

    @property
    def rows(self) -> dict[str, int]:
        """Rows acknowledged, by table: in batches that have been written (or kept, without a folder)."""
        return {name: sink.written for name, sink in self._sinks.items()}

    def schema(self, name: str) -> pa.Schema:
        """Return the Arrow schema of one table."""
        return self._sinks[name].schema

    def logged(self, name: str) -> int:
        """Return the rows of one table logged so far, acknowledged or not."""
        sink = self._sinks[name]
        return sink.written + sink.rows + len(sink.singles)

    def finish(self) -> None:
        """Close every table and put it in order: one Parquet file each, sorted by its key, the streams removed.

        Raises `ResultsError` where the disk refuses; the streams not yet turned into Parquet then stay readable.
        """
        self.abort()
        for name, sink in self._sinks.items():
            path, stream = self._path(name, PARQUET_SUFFIX), self._path(name, STREAM_SUFFIX)
            if path is None or stream is None:
                sink.batches = files.sorted_table(self._gather(sink)).to_batches()
            elif stream.exists():
                files.write_parquet(path, sink.schema, functools.partial(files.read_stream, stream), sink.written)
                if not self.keep:
                    stream.unlink()

    def release(self) -> None:
        """Remove the streams that `finish` has kept."""
        for name in self._sinks:
            if (stream := self._path(name, STREAM_SUFFIX)) is not None:
                stream.unlink(missing_ok=True)

    def abort(self) -> None:
        """Write what is buffered and close every table as it is; the streams stay and can be read."""
        if not self._open:
            return
        try:
            self.flush()
        finally:
            self._close()

    @staticmethod
    def _gather(sink: _Sink) -> pa.Table:
        return pa.Table.from_batches(sink.batches, sink.schema)

    def arrow(self, name: str) -> pa.Table:
        """Return a table kept in memory, sorted by its key, as far as it has been logged.

        Raises `KeyError` for an unknown table and `ValueError` where the tables are in a folder.
        """
        if self.folder is not None:
            raise ValueError(f"tables of this recorder are in {self.folder}; read them with load_run")
        sink = self._sinks[name]
        sink.flush()
        return files.sorted_table(self._gather(sink))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if kind is None:
            self.finish()
        else:
            self.abort()
