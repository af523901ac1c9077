"""Rows survive whatever happens to the process that writes them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from celluler_sim.errors import ResultsError
from celluler_sim.experiments import journal as journal_module
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


def test_a_row_too_long_ends_it_and_a_journal_too_long_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Sizes are limited: 40 bytes a row and 100 in all here, 1 MiB and 1 GiB else."""
    monkeypatch.setattr(journal_module, "MOST_ROW", 40)
    monkeypatch.setattr(journal_module, "MOST_BYTES", 100)
    path = tmp_path / "rows"
    path.write_bytes(b'{"x": 1}\n{"x": "' + b"y" * 50 + b'"}\n{"x": 3}\n')
    assert read_journal(path) == [{"x": 1}]
    path.write_bytes(b'{"x": 1}\n' * 12)
    with pytest.raises(ResultsError, match="must have at most 100 bytes, got 108"):
        read_journal(path)


def test_a_tail_longer_than_a_row_is_cut_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The last whole line is found however far back it ends; without one nothing is left."""
    monkeypatch.setattr(journal_module, "MOST_ROW", 16)
    for head in (b'{"x": 1}\n', b""):
        (tmp_path / "rows").write_bytes(head + b"z" * 100)
        Journal(tmp_path / "rows").__exit__(None, None, None)
        assert (tmp_path / "rows").read_bytes() == head


def test_a_journal_that_leads_elsewhere_is_neither_read_nor_written(tmp_path: Path):
    """Somebody's folder must not make us append to a file of ours."""
    (tmp_path / "mine").write_text("mine\n")
    (tmp_path / "sent").mkdir()
    (tmp_path / "sent" / "rows").symlink_to(tmp_path / "mine")
    for use in (Journal, read_journal):
        with pytest.raises(ResultsError, match="must stay within"):
            use(tmp_path / "sent" / "rows")
    assert (tmp_path / "mine").read_text() == "mine\n"
