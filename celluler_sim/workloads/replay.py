"""What the trace workloads share: finding the data, slicing arrivals by time, naming figures."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from celluler_sim.book import ANY_KIND, Floats, Masks, Slots
from celluler_sim.errors import ScenarioError, TraceError
from celluler_sim.streams import mix64
from celluler_sim.workloads.base import Jobs

DATA_VARIABLE = "CELLULER_DATA"
"""Environment variable that names the folder with the traces' folders."""

SOURCES = ("trace", "fitted")


def data_folder(path: str | None, trace: str) -> Path:
    """Return where a trace's files are: ``path``, or the trace's folder in `DATA_VARIABLE`, or that folder itself.

    Raises
    ------
    TraceError
        If neither is given or the folder does not exist; it says what to set.
    """
    if path is not None:
        return Path(path)
    base = os.environ.get(DATA_VARIABLE)
    remedy = f"set workload.path to its files, or {DATA_VARIABLE} to the folder that holds {trace}/"
    if not base:
        raise TraceError(f"workload.path must name the trace {trace}, got nothing: {remedy}, or workload.source=fitted")
    inside = Path(base).expanduser() / trace
    if inside.is_dir():
        return inside
    if not inside.parent.is_dir():
        raise TraceError(f"{DATA_VARIABLE} must name a folder, got {base}: {remedy}")
    return inside.parent


def one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise `ScenarioError` unless ``value`` is among ``choices``."""
    if value not in choices:
        raise ScenarioError(f"workload.{name} must be one of {', '.join(choices)}, got {value!r}")


def between(jobs: Jobs, start: float, end: float) -> Jobs:
    """Return the jobs born in [start, end), without copying."""
    first, last = np.searchsorted(jobs.born, (start, end))
    rows = slice(int(first), int(last))
    return Jobs(**{name: getattr(jobs, name)[rows] for name in jobs.__dataclass_fields__})


def spread_over(number: Slots, n_consumers: int) -> Slots:
    """Return a consumer slot for each row number of a trace that names nobody: by hash, the same in every run."""
    return (mix64(0, number) % np.uint64(n_consumers)).astype(np.int64)


def told_apart(born: Floats, consumer: Slots) -> Floats:
    """Return times of birth, ascending, that no two jobs of one consumer share: each further one is a rounding later.

    What a job draws depends on its consumer and its moment; twins would draw alike.

    >>> import numpy as np
    >>> np.diff(told_apart(np.array([1.0, 1.0, 1.0, 2.0]), np.array([7, 7, 8, 7]))) > 0
    array([ True, False,  True])
    """
    order = np.lexsort((born, consumer))
    fresh = np.ones(len(order), bool)
    fresh[1:] = (np.diff(born[order]) != 0) | (np.diff(consumer[order]) != 0)
    first = np.maximum.accumulate(np.where(fresh, np.arange(len(order)), 0))
    twin = np.empty(len(order), np.int64)
    twin[order] = np.arange(len(order)) - first
    return np.maximum.accumulate(born + twin * np.spacing(born))


def unconstrained(n: int, n_resources: int = 0) -> tuple[Masks, Floats]:
    """Return the ``kinds`` and ``demand`` of ``n`` jobs for which any hardware will do."""
    return np.full(n, ANY_KIND), np.zeros((n, n_resources))


def figures(name: str, values: Floats, probabilities: tuple[float, ...], unit: str = "") -> dict[str, float]:
    """Return mean and quantiles under names such as ``wait_p50_s``."""
    tail = f"_{unit}" if unit else ""
    if not len(values):
        return {f"{name}_mean{tail}": float("nan")}
    at = np.quantile(values, probabilities)
    quantiles = {f"{name}_p{100 * p:02g}{tail}": float(q) for p, q in zip(probabilities, at, strict=True)}
    return {f"{name}_mean{tail}": float(values.mean()), **quantiles}


def arrival_figures(times: Floats, seconds: float, per: float, unit: str) -> Mapping[str, float]:
    """Return the rate of arrivals and the coefficient of variation of the times between them.

    ``per`` is the number of seconds in ``unit``: 3600 and ``hour``, say.
    """
    gaps = np.diff(times)
    cv = float(gaps.std() / gaps.mean()) if len(gaps) and gaps.mean() > 0 else float("nan")
    rate = len(times) / seconds * per if seconds > 0 else float("nan")
    return {f"arrivals_per_{unit}": rate, "interarrival_cv": cv}
