"""The progress bar."""

from __future__ import annotations

import io
import sys

import pytest

from celluler_sim import progress
from celluler_sim.progress import Progress, simulated_time, wanted


class Terminal(io.StringIO):
    """Standard error that is a terminal."""

    def isatty(self) -> bool:
        """Return true."""
        return True


def test_simulated_time():
    """A day has 86,400 s and the first is day 1."""
    assert simulated_time(0) == "day 1 00:00"
    assert simulated_time(86_399) == "day 1 23:59"
    assert simulated_time(2 * 86_400 + 3_660) == "day 3 01:01"


def test_silent_unless_on_a_terminal(monkeypatch: pytest.MonkeyPatch):
    for stream, shown in ((io.StringIO(), False), (Terminal(), True)):
        monkeypatch.setattr(sys, "stderr", stream)
        assert [wanted(setting) for setting in ("auto", True, False)] == [shown, True, False]
        with Progress(3, 60.0) as bar:
            bar.advance()
        assert bool(stream.getvalue()) is shown


def test_shows_simulated_time_and_ends_at_the_last_tick(monkeypatch: pytest.MonkeyPatch):
    """1,440 ticks of a minute are a day; the bar is drawn at once and at the end."""
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(progress, "REDRAW_SECONDS", 1e9)
    with Progress(1440, 60.0, enabled=True) as bar:
        for _ in range(1440):
            bar.advance()
    text = sys.stderr.getvalue()  # type: ignore[attr-defined]
    assert "day 1 00:00" in text
    assert "day 2 00:00" in text
    assert "1440/1440" in text
    assert text.count("day 1 12:00") == 0, "between these it was not asked to draw"
