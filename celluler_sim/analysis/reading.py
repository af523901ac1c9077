"""Read a run's tables as arrays: a table or column that is missing reads as one without rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]
Slots = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Texts = npt.NDArray[np.object_]
Tables = Mapping[str, "pd.DataFrame"]

SERVED = ("finished", "running")


class RunLike(Protocol):
    """What the analysis reads of a run; `celluler_sim.results.Run` is one."""

    @property
    def config(self) -> Mapping[str, Any]:
        """The composed configuration."""
        ...

    @property
    def manifest(self) -> Mapping[str, Any]:
        """Versions, seed, duration, outcome."""
        ...

    @property
    def summary(self) -> Mapping[str, Any]:
        """Figures by name, see `celluler_sim.analysis.summary.FIGURES`."""
        ...

    @property
    def tables(self) -> Tables:
        """Tables by name, see `celluler_sim.tables`."""
        ...

    @property
    def variants(self) -> Mapping[str, Any]:
        """Runs of the same world under other rules, by name."""
        ...

    @property
    def folder(self) -> Path | None:
        """Where the run is on disk."""
        ...


def _values(tables: Tables, table: str, column: str) -> npt.NDArray[Any]:
    frame = tables.get(table)
    if frame is None or column not in frame.columns:
        return np.empty(0)
    return np.asarray(frame[column])


def floats(tables: Tables, table: str, column: str) -> Floats:
    """Return one column as floats, (n_rows,); empty where there is none."""
    return _values(tables, table, column).astype(np.float64)


def slots(tables: Tables, table: str, column: str) -> Slots:
    """Return one column as whole numbers, (n_rows,); empty where there is none."""
    return _values(tables, table, column).astype(np.int64)


def texts(tables: Tables, table: str, column: str) -> Texts:
    """Return one column as strings, (n_rows,); empty where there is none."""
    return _values(tables, table, column).astype(object)


def flags(tables: Tables, table: str, column: str, *names: str) -> Bools:
    """Return in which rows a column of strings is one of ``names``, (n_rows,); empty where there is none.

    Compared inside pandas, since turning a million strings into Python objects takes a good part of a second.
    """
    frame = tables.get(table)
    if frame is None or column not in frame.columns:
        return np.zeros(0, dtype=np.bool_)
    return np.asarray(frame[column].isin(names), dtype=np.bool_)


def setting(config: Mapping[str, Any], path: str) -> Any:
    """Return one entry of a nested configuration by its dotted path, None where it is missing.

    >>> setting({"allocation": {"max_share": 0.2}}, "allocation.max_share")
    0.2
    """
    value: Any = config
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def n_providers(tables: Tables, config: Mapping[str, Any]) -> int:
    """Return how many providers there ever were, those without a sale included.

    The largest of: the slots seen in `agents` and `fills`, the providers active in the first tick, and, where no
    tick was recorded, the configured count.
    """
    seen = slots(tables, "agents", "slot")[flags(tables, "agents", "type", "provider")]
    sold = slots(tables, "fills", "provider")
    ticks, active = slots(tables, "markets", "tick"), slots(tables, "markets", "providers")
    first = int(active[ticks == ticks[0]].sum()) if len(ticks) else int(setting(config, "agents.providers.count") or 0)
    return max(int(seen.max(initial=-1)) + 1, int(sold.max(initial=-1)) + 1, first)


def revenue_by_provider(tables: Tables, config: Mapping[str, Any]) -> Floats:
    """Return what each provider was paid for jobs that finished, (n_providers,), PRANA."""
    finished = slots(tables, "jobs", "job")[flags(tables, "jobs", "status", "finished")]
    paid = np.isin(slots(tables, "fills", "job"), finished)
    due = floats(tables, "fills", "price_prana") * floats(tables, "fills", "work")
    return _by_slot(slots(tables, "fills", "provider")[paid], due[paid], n_providers(tables, config))


def work_by_provider(tables: Tables, config: Mapping[str, Any]) -> Floats:
    """Return the work each provider sold, delivered or not yet, (n_providers,), units."""
    work = floats(tables, "fills", "work")
    return _by_slot(slots(tables, "fills", "provider"), work, n_providers(tables, config))


def spending_by_consumer(tables: Tables) -> Floats:
    """Return what each consumer with a job paid, (n_consumers_with_jobs,), PRANA."""
    consumer = slots(tables, "jobs", "consumer")
    paid = floats(tables, "jobs", "paid_prana")
    return _by_slot(consumer, paid, 0)[np.unique(consumer)]


def _by_slot(slot: Slots, amount: Floats, n: int) -> Floats:
    return np.bincount(slot, amount, minlength=n).astype(np.float64)
