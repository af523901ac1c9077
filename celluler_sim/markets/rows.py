"""Columns of equal length for things that come, live for some ticks and go: cost follows what happens, not history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Columns = dict[str, Array]  # of one length
SLACK = 256  # dead rows that are not worth closing up


class Rows:
    """Open requests, running jobs, running fills.

    Rows are appended at the end and keep their order. A row that is taken out is dead: its columns hold the blanks
    given here, chosen such that no condition picks it, until more rows are dead than alive and all are closed up.

    Parameters
    ----------
    blank
        What dead rows hold, by column; 0 elsewhere.
    **dtypes
        Type of each column, or (type, width) of a column of vectors.

    Examples
    --------
    >>> import numpy as np
    >>> r = Rows(blank={"end": np.inf}, job=np.int64, end=np.float64)
    >>> r.append(job=np.array([7, 8, 9]), end=np.array([1.0, 5.0, 2.0]))
    >>> r.take(np.flatnonzero(r["end"] <= 2))["job"].tolist(), r.alive()["job"].tolist(), len(r)
    ([7, 9], [8], 1)
    """

    def __init__(self, blank: Mapping[str, float] | None = None, **dtypes: Any) -> None:
        self.size = 0  # rows in use, dead ones among them
        self._dead = 0
        self._blank = dict(blank or {})
        self._columns: dict[str, Array] = {"alive": np.zeros(16, np.bool_)}
        for name, dtype in dtypes.items():
            kind, width = dtype if isinstance(dtype, tuple) else (dtype, None)
            self._columns[name] = np.empty((16,) if width is None else (16, width), kind)
        self._none = {name: column[:0].copy() for name, column in self._columns.items() if name != "alive"}

    def __len__(self) -> int:
        """Return the number of rows that are alive."""
        return self.size - self._dead

    def __getitem__(self, name: str) -> Array:
        """Return a live view of one column, (size, ...), dead rows included; do not keep it."""
        return self._columns[name][: self.size]

    def append(self, **values: Any) -> None:
        """Add rows at the end; every column must be given, scalars are repeated, at least one is an array."""
        n = len(next(v for v in values.values() if isinstance(v, np.ndarray)))
        if not n:
            return
        if self._dead > SLACK and self._dead > len(self):
            self._close_up()
        end = self.size + n
        if end > len(self._columns["alive"]):
            self._grow(end)
        self._columns["alive"][self.size : end] = True
        for name, column in self._columns.items():
            if name != "alive":
                column[self.size : end] = values[name]
        self.size = end

    def rows(self, index: Array | slice) -> dict[str, Array]:
        """Return copies of some rows, live views of a slice."""
        if isinstance(index, np.ndarray) and not len(index):
            return dict(self._none)
        return {name: column[: self.size][index] for name, column in self._columns.items() if name != "alive"}

    def alive(self) -> dict[str, Array]:
        """Return copies of all rows that are alive."""
        return self.rows(np.flatnonzero(self["alive"]))

    def take(self, index: Array) -> dict[str, Array]:
        """Remove rows, named by number, and return them in the order named."""
        taken = self.rows(index)
        self.drop(index)
        return taken

    def drop(self, index: Array) -> None:
        """Remove rows, named by number; numbers of other rows stay until the next `append`."""
        if not len(index):
            return
        self._columns["alive"][index] = False
        for name, value in self._blank.items():
            self._columns[name][index] = value
        self._dead += len(index)
        if not len(self):
            self.size = self._dead = 0

    def _close_up(self) -> None:
        keep = np.flatnonzero(self["alive"])
        for column in self._columns.values():
            column[: len(keep)] = column[keep]
        self.size, self._dead = len(keep), 0

    def _grow(self, size: int) -> None:
        for name, column in self._columns.items():
            larger = np.empty((max(size, 2 * len(column)), *column.shape[1:]), column.dtype)
            larger[: self.size] = column[: self.size]
            self._columns[name] = larger


def pick(columns: Mapping[str, Array], rows: Array) -> Columns:
    """Return some rows of columns: a mask or row numbers."""
    return {name: column[rows] for name, column in columns.items()}
