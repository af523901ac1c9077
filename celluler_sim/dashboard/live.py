"""A run that goes on in a thread while somebody watches it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from celluler_sim.dashboard.browse import new_folder
from celluler_sim.errors import CellulerError

if TYPE_CHECKING:
    from celluler_sim.economy import Economy
    from celluler_sim.scenario import Scenario

WATCHED = ("price_prana", "utilisation", "queue", "served", "providers")


class Stopped(KeyboardInterrupt):
    """Somebody stopped the run; its folder says that it was interrupted."""


@dataclass
class Curves:
    """What has been seen of a run so far, one entry a tick."""

    hour: list[float] = field(default_factory=list)  # h, end of the tick
    series: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in WATCHED})

    def __len__(self) -> int:
        """Return the number of ticks seen."""
        return len(self.hour)


class LiveRun:
    """One run in a thread of its own.

    Parameters
    ----------
    scenario
        What to run; its variants are left out.
    root
        The results folder; the run gets a folder of its own below it.
    title
        What the legend calls it.

    Examples
    --------
    >>> import tempfile
    >>> from celluler_sim.scenario import compose
    >>> run = LiveRun(compose("compute_congestion", ["ticks=3", "agents.consumers.count=9"]), Path(tempfile.mkdtemp()))
    >>> run.start().wait()
    >>> run.state, len(run.curves())
    ('finished', 3)
    """

    def __init__(self, scenario: Scenario, root: Path, title: str = "") -> None:
        self.scenario, self.title = replace(scenario, variants={}), title or scenario.name
        self.folder = new_folder(root, scenario.name)
        self.state = "waiting"  # then running, then finished, stopped or failed
        self.error = ""
        self._seen = Curves()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"run {self.title}", daemon=True)

    def start(self) -> LiveRun:
        """Begin."""
        self.state = "running"
        self._thread.start()
        return self

    def stop(self) -> None:
        """Ask the run to end after the tick it is in."""
        self._stop.set()

    def wait(self, seconds: float | None = None) -> None:
        """Wait for the end, or for some seconds."""
        self._thread.join(seconds)

    @property
    def running(self) -> bool:
        """Whether it still goes on."""
        return self._thread.is_alive()

    @property
    def progress(self) -> float:
        """Share of the ticks that are done."""
        return len(self._seen) / self.scenario.ticks

    def curves(self) -> Curves:
        """Return a copy of what has been seen so far."""
        with self._lock:
            return Curves(list(self._seen.hour), {name: list(values) for name, values in self._seen.series.items()})

    def _watch(self, economy: Economy) -> None:
        row, seen = economy.latest, self._seen
        asked = float(row["granted"]) + float(row["queue"])
        values = {**row, "served": float(row["granted"]) / asked if asked else 1.0}
        with self._lock:
            seen.hour.append(economy.steps * self.scenario.tick_seconds / 3600.0)
            for name in WATCHED:
                seen.series[name].append(float(values[name]))
        if self._stop.is_set():
            raise Stopped

    def _run(self) -> None:
        from celluler_sim.run import run_scenario

        try:
            run_scenario(self.scenario, self.folder, watch=self._watch).report()
            self.state = "finished"
        except Stopped:
            self.state = "stopped"
        except CellulerError as error:
            self.state, self.error = "failed", str(error)
        except Exception as error:  # noqa: BLE001 - a page must say what happened, whatever it was
            self.state, self.error = "failed", f"{type(error).__name__}: {error}"


def describe(overrides: Sequence[str]) -> str:
    """Return overrides as the title of a run, "as it is" where there are none."""
    return ", ".join(overrides) or "as it is"
