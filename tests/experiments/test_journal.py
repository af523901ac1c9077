"""Rows survive whatever happens to the process that writes them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from celluler_sim.errors import ResultsError
from celluler_sim.experiments.journal import Journal, read_journal

ROWS = [{"replicate": i, "x": 0.1 * i, "error": None, "text": 'a "b"\n'} for i in range(4)]


def test_rows_come_back_as_they_were(tmp_path: Path):
    with Journal(tmp_path / "rows") as journal:
        journal.append(ROWS)
        journal.append([{"x": float("nan")}])
    assert read_journal(tmp_path / "rows") == [*ROWS, {"x": None}]
    assert read_journal(tmp_path / "none") == []


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 400))
def test_wherever_it_is_cut_the_whole_rows_are_kept_and_it_goes_on(tmp_path: Path, length: int):
    """A writer killed after any number of bytes loses the row it was writing and no other."""
    path = tmp_path / "rows"
    path.unlink(missing_ok=True)
    with Journal(path) as journal:
        journal.append(ROWS)
    content = path.read_bytes()[:length]
    path.write_bytes(content)
    kept = content.count(b"\n")
    assert read_journal(path) == ROWS[:kept]
    with Journal(path) as journal:
        journal.append(ROWS[kept:])
    assert read_journal(path) == ROWS


def test_what_is_no_row_ends_it(tmp_path: Path):
    (tmp_path / "rows").write_bytes(b'{"x": 1}\n[2]\n{"x": 3}\n')
    assert read_journal(tmp_path / "rows") == [{"x": 1}]


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path):
    with pytest.raises(ResultsError, match="must be a folder that can be written"):
        Journal(tmp_path / "no" / "rows")
