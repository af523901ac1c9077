"""Rows on disk as they come: one JSON object a line, so that whatever was whole when a process died can be read."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from celluler_sim.run_folder import plain, unwritable

Row = dict[str, Any]


class Journal:
    """Appends rows to a file; when `append` returns, they survive ``kill -9``.

    A tail cut off by a killed writer is removed when the file is opened again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
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
        content = path.read_bytes()
    except FileNotFoundError:
        return
    except OSError as error:
        raise unwritable(path.parent, error) from error
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)


def read_journal(path: Path) -> list[Row]:
    """Return the whole rows of a journal, none where there is no file; what is no row ends it."""
    if not path.is_file():
        return []
    rows: list[Row] = []
    for line in path.read_bytes().split(b"\n")[:-1]:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            break
        if not isinstance(row, dict):
            break
        rows.append(row)
    return rows
