"""What lies in the results folder, and nothing outside it."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from pathlib import Path

from celluler_sim.errors import ResultsError

MARKS = {"manifest.json": "run", "sweep.parquet": "sweep"}
DEPTH = 4  # folders below the results folder that are searched


def new_folder(root: Path, name: str) -> Path:
    """Return a folder that is not there yet, below ``root``, by name and moment."""
    moment = datetime.now(UTC).astimezone().strftime("%Y-%m-%d_%H-%M-%S-%f")
    return root / name / moment


def inside(root: Path, name: str) -> Path:
    """Return the folder that ``name`` says below ``root``.

    Raises
    ------
    ResultsError
        It lies elsewhere, by ``..``, as an absolute path or through a link.
    """
    top = root.resolve()
    path = (top / name).resolve()
    if not path.is_relative_to(top):
        raise ResultsError(f"a run must lie inside the results folder, got {name!r}; copy it there")
    return path


def found(root: Path, kind: str) -> list[str]:
    """Return the folders below ``root`` that hold a ``run`` or a ``sweep``, newest first, as relative names.

    Links are not followed; variants and jobs of a sweep are listed under their own names.
    """
    mark = next(file for file, what in MARKS.items() if what == kind)
    levels = itertools.chain.from_iterable(root.glob(f"{'*/' * depth}{mark}") for depth in range(1, DEPTH + 1))
    files = [path for path in levels if _below(root, path)]
    files.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    return [path.parent.relative_to(root).as_posix() for path in files]


def _below(root: Path, path: Path) -> bool:
    try:
        return path.is_file() and inside(root, path.relative_to(root).as_posix()) == root.resolve() / path.relative_to(
            root
        )
    except ResultsError:
        return False
