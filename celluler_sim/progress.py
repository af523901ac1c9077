"""A bar that shows how far the simulated time has come."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

if TYPE_CHECKING:
    from tqdm import tqdm

DAY = 86_400.0
REDRAW_SECONDS = 0.1  # of real time between two pictures of the bar


def wanted(setting: Literal["auto"] | bool) -> bool:
    """Return whether to show a bar: as the scenario says, and where it says auto, on a terminal only."""
    return sys.stderr.isatty() if setting == "auto" else bool(setting)


def simulated_time(seconds: float) -> str:
    """Return a moment of the simulation as people say it.

    >>> simulated_time(86_400 + 13 * 3600 + 20 * 60)
    'day 2 13:20'
    """
    minutes = int(seconds // 60)
    return f"day {minutes // 1440 + 1} {minutes // 60 % 24:02d}:{minutes % 60:02d}"


class Progress:
    """Shows ticks done, simulated time and the time left; says nothing where it is not enabled.

    Parameters
    ----------
    total_ticks
        Length of the run.
    tick_seconds
        Length of a tick, s.
    enabled
        True, False, or ``"auto"``: where standard error is a terminal.

    >>> with Progress(10, 60.0, enabled=False) as bar:
    ...     bar.advance()
    >>> bar.done
    1
    """

    def __init__(self, total_ticks: int, tick_seconds: float, enabled: Literal["auto"] | bool = "auto") -> None:
        self.total, self.tick_seconds, self.done = total_ticks, tick_seconds, 0
        self._enabled = wanted(enabled)
        self._bar: tqdm[Any] | None = None
        self._next_draw = 0.0

    def __enter__(self) -> Self:
        """Show the bar."""
        if self._enabled:
            from tqdm import tqdm

            bar: tqdm[Any] = tqdm(total=self.total, unit="tick", file=sys.stderr, leave=False, delay=1e-9)
            self._bar = bar
            self._draw()
        return self

    def advance(self, ticks: int = 1) -> None:
        """Count ticks done; the bar is drawn anew at most ten times a second."""
        self.done += ticks
        if self._bar is not None and time.perf_counter() >= self._next_draw:
            self._draw()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._draw()
            self._bar.close()
            self._bar = None

    def _draw(self) -> None:
        assert self._bar is not None  # noqa: S101 - only called while there is a bar
        self._bar.set_description_str(simulated_time(self.done * self.tick_seconds), refresh=False)
        self._bar.n = self.done
        self._bar.refresh()
        self._next_draw = time.perf_counter() + REDRAW_SECONDS
