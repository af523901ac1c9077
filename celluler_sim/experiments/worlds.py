"""One replicate after another, cheaply: the same scenario in other random worlds, only its figures kept.

What runs in another process is here, and nothing else: `run_jobs` takes plain values and returns plain values.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from celluler_sim.run_folder import one_line, plain
from celluler_sim.scenario import Scenario
from celluler_sim.streams import world_number

if TYPE_CHECKING:
    import pyarrow as pa

    from celluler_sim.recorder import Recorder

Row = dict[str, Any]
LEADING = ("replicate", "seed", "outcome", "error", "duration_s")  # columns of a row before its figures
SPEED = ("simulation_seconds", "agent_steps_per_second")  # figures of this machine, not of the market


@dataclass(frozen=True)
class Job:
    """One configuration in one world."""

    number: int  # place in the caller's list
    config: str  # the scenario's plain mapping as JSON
    replicate: int
    folder: str = ""  # where its tables go; nowhere if empty


def config_text(scenario: Scenario) -> str:
    """Return a scenario as text for `Job`: without variants, and without what its figures do not depend on."""
    alone = replace(scenario, variants={}, replicate=0, replicates=1, until_width={}, progress=False)
    return json.dumps(alone.to_mapping())


def run_jobs(jobs: Sequence[Job]) -> list[tuple[int, Row]]:
    """Run jobs one after another and return (number, row) of each. An error becomes its row's one line."""
    rows = [(job.number, _run(job)) for job in jobs]
    _give_back()
    return rows


def _give_back() -> None:
    """Return the memory that the runs have freed to the system, where the C library can be asked to (glibc).

    Nothing is held, but blocks of a run's lifetime leave holes between those that stay, and the heap creeps up by some
    50 KB a run. Asking takes 1.5 ms, once a batch.
    """
    if (trim := _malloc_trim()) is not None:
        trim(0)


@cache
def _malloc_trim() -> Any:
    """Return glibc's ``malloc_trim``, None elsewhere."""
    import ctypes
    import sys

    return getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None


def _run(job: Job) -> Row:
    begun = time.perf_counter()
    figures: Mapping[str, Any] = {}
    error = None
    seed = None
    try:
        scenario, config = _scenario(job.config)
        scenario = replace(scenario, replicate=job.replicate)
        seed = world_number(scenario.seed, scenario.replicate)
        figures = _with_tables(scenario, Path(job.folder)) if job.folder else figures_of(scenario, config)
    except Exception as exception:  # noqa: BLE001 - the other replicates go on; the row says what happened
        error = one_line(exception)
    row = {
        "replicate": job.replicate,
        "seed": seed,
        "outcome": "finished" if error is None else "failed",
        "error": error,
        "duration_s": round(time.perf_counter() - begun, 4),
    }
    kept: Row = plain({name: value for name, value in figures.items() if name not in SPEED})
    return row | kept


@lru_cache(maxsize=64)
def _scenario(config: str) -> tuple[Scenario, Mapping[str, Any]]:
    scenario = Scenario.from_mapping(json.loads(config))
    return scenario, scenario.to_mapping()


def figures_of(scenario: Scenario, config: Mapping[str, Any]) -> dict[str, float | None]:
    """Run a scenario in memory and return its summary's figures, those of speed excepted.

    ``config`` is its plain mapping, but for the number of the replicate.
    """
    from celluler_sim.analysis.summary import summarise
    from celluler_sim.economy import Economy
    from celluler_sim.recorder import Recorder

    unread = replace(scenario.record, transfers=False)  # no figure needs every movement of money
    economy = Economy(replace(scenario, record=unread), Recorder(None, batch_rows=4096))
    for _ in range(scenario.ticks):
        economy.step()
    economy.close()
    tables: Any = Columns(economy.recorder)  # of which the summary reads columns only
    return summarise(tables, config, economy.setup.workload.facts())


def _with_tables(scenario: Scenario, folder: Path) -> dict[str, Any]:
    """Run a scenario into a folder of its own and return its figures."""
    from celluler_sim.run import run_scenario

    return run_scenario(scenario, folder).summary


class Columns(Mapping[str, "Frame"]):
    """The tables in a recorder as the summary reads them: NumPy columns, without a data frame in between."""

    def __init__(self, recorder: Recorder) -> None:
        from celluler_sim.tables import TABLES

        self._recorder, self._names = recorder, list(TABLES)
        self._frames: dict[str, Frame] = {}

    def __getitem__(self, name: str) -> Frame:
        if name not in self._frames:
            self._frames[name] = Frame(self._recorder.arrow(name))
        return self._frames[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class Frame:
    """One table: numeric columns as arrays, texts as `Words`."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        self.columns: list[str] = table.column_names
        self._read: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        import pyarrow as pa

        if name not in self._read:
            column = self._table.column(name)
            self._read[name] = Words(column) if pa.types.is_string(column.type) else column.to_numpy()
        return self._read[name]

    def __len__(self) -> int:
        return int(self._table.num_rows)


class Words:
    """A column of texts: which of few different ones stands in each row."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        coded = column.combine_chunks().dictionary_encode()
        self._words: list[str] = coded.dictionary.to_pylist()
        self._codes = coded.indices.to_numpy()

    def isin(self, names: Sequence[str]) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return in which rows the text is one of ``names``, (n_rows,)."""
        return np.asarray(np.array([word in names for word in self._words], np.bool_)[self._codes])

    def __array__(self, dtype: Any = None, *, copy: bool | None = None) -> np.ndarray[Any, Any]:
        return np.asarray(np.array(self._words, dtype=dtype or object)[self._codes])
