"""Rows on disk as they come: one JSON object a line, so that whatever was whole when a process died can be read."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from celluler_sim.errors import ResultsError
from celluler_sim.run_folder import plain, unwritable
from celluler_sim.trust import within

Row = dict[str, Any]
MOST_ROW = 1 << 20  # bytes of a row, some 100 times a usual one: 1 MiB
MOST_BYTES = 1 << 30  # of a journal, some 200,000 rows: 1 GiB


class Journal:
    """Appends rows to a file; when `append` returns, they survive ``kill -9``.

    A tail cut off by a killed writer is removed when the file is opened again. A link that leads out of the folder is
    refused.
    """

    def __init__(self, path: Path) -> None:
        self.path = within(path.parent, path)
        _mend(path)
        try:
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise unwritable(path.parent, error) from error

    def append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write rows: numbers, texts, booleans and None; NaN and infinities become None."""
        lines = [json.dumps(plain(row), allow_nan=False) + "\n" for row in rows]
        try:
            self._file.write("".join(lines).encode())
        except OSError as error:
            raise unwritable(self.path.parent, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._file.close()


def _mend(path: Path) -> None:
    """Cut the file after its last whole line."""
    try:
        with path.open("rb") as file:
            size = end = file.seek(0, os.SEEK_END)
            whole = 0
            while end and not whole:  # backwards, block by block
                start = max(0, end - MOST_ROW)
                file.seek(start)
                whole = file.read(end - start).rfind(b"\n") + 1
                whole, end = (whole and start + whole), start
    except FileNotFoundError:
        return
    except OSError as error:
        raise unwritable(path.parent, error) from error
    if whole < size:
        os.truncate(path, whole)


def read_journal(path: Path) -> list[Row]:
    """Return the whole rows of a journal, none where there is no file; what is no row ends it.

    Raises `ResultsError` where it has more than `MOST_BYTES`, or leads out of its folder.
    """
    if not path.is_file():
        return []
    if path.stat().st_size > MOST_BYTES:
        raise ResultsError(f"{path} must have at most {MOST_BYTES} bytes, got {path.stat().st_size}; remove it")
    rows: list[Row] = []
    with within(path.parent, path).open("rb") as file:
        while (line := file.readline(MOST_ROW)).endswith(b"\n"):
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                break
            if not isinstance(row, dict):
                break
            rows.append(row)
    return rows
