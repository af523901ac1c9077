"""Buffers of the columns that a recorder fills: numbers, strings as codes, exact amounts as words.

Values are checked when they come, and copied into preallocated arrays; a full buffer becomes one Arrow array.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from celluler_sim import table_files as files
from celluler_sim.tables import TableColumn

Column = npt.NDArray[Any]

WHOLE = frozenset({int, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32})
TRUTH = frozenset({bool, np.bool_})
SCALARS = {"b": TRUTH, "i": WHOLE | TRUTH, "f": WHOLE | {float, np.float32, np.float64}}


@dataclass(frozen=True, slots=True)
class Coded:
    """A column of strings as codes into a short list of categories."""

    codes: npt.NDArray[np.integer]  # (n,) rows of `categories`
    categories: tuple[str, ...]


class _Numbers:
    """The buffer of a numeric or boolean column."""

    def __init__(self, table: str, column: TableColumn, capacity: int) -> None:
        self.name, self.label = column.name, f"{table}.{column.name}"
        self.dtype = np.dtype(column.dtype)
        self.scalars = SCALARS[self.dtype.kind]
        self.whole = self.dtype.kind == "i"
        self.least, self.most = (int(np.iinfo(self.dtype).min), int(np.iinfo(self.dtype).max)) if self.whole else (0, 0)
        self.buffer = np.empty(capacity, self.dtype)

    def ready(self, value: Any) -> Any:
        """Return a column or scalar that fits the buffer without loss; raise `TypeError` for anything else.

        Raises `OverflowError` for a whole number that the column's type cannot hold.
        """
        if isinstance(value, np.ndarray) and value.ndim == 1:
            if value.dtype == self.dtype or np.can_cast(value.dtype, self.dtype, "safe"):
                return value
        elif type(value) in self.scalars:
            if self.whole and not self.least <= value <= self.most:
                raise OverflowError(f"{self.label} must fit {self.dtype}, got {value}")
            return value
        raise TypeError(f"{self.label} must be one number or a 1-d array that casts to {self.dtype}, {_got(value)}")

    def arrow(self, rows: int, *, copy: bool) -> pa.Array:
        """Return the first ``rows`` entries; without ``copy`` they are only good until the buffer is written again."""
        return pa.array(self.buffer[:rows].copy() if copy else self.buffer[:rows])


class _Strings:
    """The buffer of a string column: codes into the strings met so far."""

    def __init__(self, table: str, column: TableColumn, capacity: int) -> None:
        self.name, self.label = column.name, f"{table}.{column.name}"
        self.vocabulary: dict[str, int] = {}
        self.translations: dict[tuple[str, ...], npt.NDArray[np.int32]] = {}
        self.buffer = np.empty(capacity, np.int32)

    def ready(self, value: Any) -> Any:
        """Return the code of one string, or the codes of a `Coded` column."""
        if isinstance(value, str):
            return self.vocabulary.setdefault(value, len(self.vocabulary))
        if not isinstance(value, Coded):
            raise TypeError(f"{self.label} must be one string or Coded(codes, categories), {_got(value)}")
        translation = self.translations.get(value.categories)
        if translation is None:
            translation = np.array([self.ready(category) for category in value.categories], np.int32)
            self.translations[value.categories] = translation
        codes = value.codes
        if codes.ndim != 1 or codes.dtype.kind not in "iu":
            raise TypeError(f"{self.label} must have a 1-d array of whole numbers as codes, {_got(codes)}")
        n = len(translation)
        if len(codes) and (codes.min() < 0 or codes.max() >= n):
            outside = codes[(codes < 0) | (codes >= n)][0]
            raise ValueError(f"{self.label} must have codes from 0 to {n - 1}, got {outside}")
        return translation[codes]

    def arrow(self, rows: int, *, copy: bool) -> pa.Array:
        """Return the first ``rows`` strings."""
        del copy  # taking strings by their codes makes new ones anyway
        return pa.array(list(self.vocabulary), pa.string()).take(pa.array(self.buffer[:rows]))


class _Decimals:
    """The buffer of an exact column: the two 64-bit words of each Arrow decimal."""

    TYPE = files.ARROW_TYPES["decimal"]

    def __init__(self, table: str, column: TableColumn, capacity: int) -> None:
        self.name, self.label = column.name, f"{table}.{column.name}"
        self.buffer = np.empty((capacity, 2), np.uint64)

    def ready(self, value: Any) -> Any:
        """Return the words, (n, 2), of anything that has ``to_decimal128()``."""
        if not hasattr(value, "to_decimal128"):
            raise TypeError(f"{self.label} must be exact amounts with a to_decimal128 method, {_got(value)}")
        exact = value.to_decimal128()
        if exact.type != self.TYPE or exact.null_count:
            raise TypeError(f"{self.label} must be {self.TYPE} without nulls, got {exact.type}")
        if not len(exact):
            return self.buffer[:0]
        words = np.frombuffer(exact.buffers()[1], np.uint64).reshape(-1, 2)
        return words[exact.offset : exact.offset + len(exact)]

    def arrow(self, rows: int, *, copy: bool) -> pa.Array:
        """Return the first ``rows`` amounts; see `_Numbers.arrow`."""
        words = self.buffer[:rows].copy() if copy else self.buffer[:rows]
        return pa.Array.from_buffers(self.TYPE, rows, [None, pa.py_buffer(words)])


Buffer = _Numbers | _Strings | _Decimals


def _got(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"got an array of {value.dtype} of shape {value.shape}"
    return f"got {type(value).__name__} {str(value)[:40]!r}"


def buffer_of(table: str, column: TableColumn, capacity: int) -> Buffer:
    """Return an empty buffer for one column of a table."""
    if column.dtype == "string":
        return _Strings(table, column, capacity)
    if column.dtype == "decimal":
        return _Decimals(table, column, capacity)
    return _Numbers(table, column, capacity)
