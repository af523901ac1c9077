"""Tables that somebody else may have written: plain columns only, and never more memory than a stated limit.

A Parquet file of a megabyte can claim a thousand million rows, or unpack to a terabyte of text; an Arrow stream can
hold compressed buffers. Neither is what this package writes: sizes are looked at before anything is unpacked, texts
stay in their dictionaries until their length is known, and compressed streams are refused.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

MOST_BYTES = 4 * 2**30
"""Bytes that a table may take in memory, 4 GiB; the environment variable `CELLULER_MOST_TABLE_BYTES` sets another."""

_RECORD_BATCH = 3  # number of that kind of message in the Arrow format
_VARIABLE = "CELLULER_MOST_TABLE_BYTES"
_PLAIN = (
    pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_string, pa.types.is_large_string,
    pa.types.is_decimal, pa.types.is_timestamp, pa.types.is_date,
)  # fmt: skip


def most_bytes() -> int:
    """Return how many bytes a table may take in memory."""
    told = os.environ.get(_VARIABLE, "")
    return int(told) if told.isdigit() else MOST_BYTES


def check_size(n_bytes: int, what: str = "bytes") -> None:
    """Raise `ValueError` for a table that would take too much memory."""
    if n_bytes > most_bytes():
        raise ValueError(f"{n_bytes} {what} in memory, more than {most_bytes()}; {_VARIABLE} allows more")


def check_plain(schema: pa.Schema) -> None:
    """Raise `ValueError` for a column that is not of a plain type."""
    for field in schema:
        if not any(is_kind(field.type) for is_kind in _PLAIN):
            raise ValueError(f"column {field.name[:40]!r} of type {str(field.type)[:60]}")


def check_parquet(path: Path) -> pa.Schema:
    """Return the schema of a Parquet table that may be read; `ValueError` or an Arrow exception where it may not.

    1. Columns must be plain.
    2. Rows times the width of the columns, and what the footer says of the unpacked size, must be within the limit.
    3. Texts are read as dictionaries; written out they must be within the limit too.
    """
    with pq.ParquetFile(path) as file:
        schema, about = file.schema_arrow, file.metadata
    check_plain(schema)
    least = about.num_rows * sum(_width(field.type) for field in schema)
    check_size(least)
    check_size(sum(max(about.row_group(i).total_byte_size, 0) for i in range(about.num_row_groups)))
    if texts := _texts(schema):
        with pq.ParquetFile(path, page_checksum_verification=True, read_dictionary=texts) as file:
            table = file.read(texts)
        check_size(least + sum(_written_out(column) for column in table.columns))
    return schema


def read_parquet(path: Path) -> pa.Table:
    """Return a Parquet table, one chunk a column; refuses what `check_parquet` refuses, and what is damaged."""
    schema = check_parquet(path)
    with pq.ParquetFile(path, page_checksum_verification=True, read_dictionary=_texts(schema)) as file:
        table = file.read().cast(schema).combine_chunks()
    table.validate(full=True)
    return table


def _texts(schema: pa.Schema) -> list[str]:
    """Return the names of the columns of texts."""
    return [field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)]


def _width(kind: pa.DataType) -> int:
    """Return the bytes that a row takes at least."""
    return 4 if pa.types.is_string(kind) or pa.types.is_large_string(kind) else max(1, kind.bit_width // 8)


def _written_out(column: pa.ChunkedArray) -> int:
    """Return the most bytes that a column of dictionaries takes when its texts are written out."""
    total = 0
    for chunk in column.chunks:
        words = chunk.dictionary if isinstance(chunk, pa.DictionaryArray) else chunk
        longest = pc.max(pc.binary_length(words)).as_py() if len(words) else 0
        total += len(chunk) * (longest or 0)
    return total


def read_arrow_stream(path: Path) -> pa.Table:
    """Return the whole batches of an Arrow stream; a tail cut off by a killed writer ends it quietly.

    `ValueError` or an Arrow exception where it is none, or not plain, or too large.
    """
    check_size(path.stat().st_size)
    file = pa.BufferReader(path.read_bytes())
    schema = pa.ipc.open_stream(file).schema
    check_plain(schema)
    return pa.Table.from_batches(_batches(file, schema), schema)


def _batches(file: pa.NativeFile, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield the batches of a stream, whose buffers are parts of the file: nothing is unpacked."""
    total = 0
    file.seek(0)
    while (message := _next_message(file)) is not None:
        if message.type == "schema":
            continue
        if compressed(message.metadata.to_pybytes()):
            raise ValueError("compressed batches, which this package does not write")
        try:
            batch = pa.ipc.read_record_batch(message, schema)
            batch.validate(full=True)  # a foreign file must not lead reads astray
        except (pa.ArrowException, OSError):
            return
        total += batch.nbytes
        check_size(total)
        yield batch


def _next_message(file: pa.NativeFile) -> pa.Message | None:
    """Return the next whole message, None at the end, or where the rest was cut off."""
    try:
        return pa.ipc.read_message(file)
    except (EOFError, pa.ArrowException, OSError):
        return None


def compressed(message: bytes) -> bool:
    """Whether the metadata of an Arrow message says that its batch's buffers are compressed.

    The metadata is a flatbuffer: the table `Message` has the table `RecordBatch` in its third field, which has its
    compression in its fourth. `ValueError` where it is none.
    """
    try:
        root = struct.unpack_from("<I", message, 0)[0]
        kind, header = _field(message, root, 1), _field(message, root, 2)
        if not (kind and header and message[kind] == _RECORD_BATCH):
            raise ValueError("a message that is no batch of rows")
        batch = header + struct.unpack_from("<I", message, header)[0]
        return _field(message, batch, 3) != 0
    except (struct.error, IndexError) as error:
        raise ValueError("a message that is cut off") from error


def _field(message: bytes, table: int, number: int) -> int:
    """Return where a field of a flatbuffer's table stands, 0 where it is absent."""
    vtable = table - struct.unpack_from("<i", message, table)[0]
    size = struct.unpack_from("<H", message, vtable)[0]
    offset = struct.unpack_from("<H", message, vtable + 4 + 2 * number)[0] if 4 + 2 * number < size else 0
    return table + offset if offset else 0
