"""With a fixed price, Poisson arrivals, exponential sizes and c servers the market is Erlang's queue."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from celluler_sim.analysis.queueing import erlang_b, mean_wait
from celluler_sim.economy import Economy
from celluler_sim.scenario import compose

REPLICATES, TICKS, WARM_UP_S, SERVICE_S = 30, 500, 5 * 1200.0, 1200.0
LOAD, SERVERS = 8.0, 10


def jobs(replicate: int, patience: float) -> tuple[np.ndarray, np.ndarray]:
    """Run one replicate; return the waits (s, NaN: lost) of the jobs born after the warm-up and resolved."""
    e = Economy(
        compose("erlang", [f"ticks={TICKS}", f"replicate={replicate}", f"workload.patience_seconds={patience}"])
    )
    for _ in range(TICKS):
        e.step()
    e.close()
    table = e.recorder.arrow("jobs").to_pandas()
    table = table[(table.born_s > WARM_UP_S) & (table.status != "waiting")]
    return table.wait_s.to_numpy(), table.status.to_numpy()


def interval(samples: list[float]) -> tuple[float, float]:
    """Return the 99 % interval of the mean over replicates."""
    half = stats.t.ppf(0.995, len(samples) - 1) * np.std(samples, ddof=1) / np.sqrt(len(samples))
    return float(np.mean(samples) - half), float(np.mean(samples) + half)


@pytest.mark.slow
def test_blocking_is_erlang_b():
    """Eight erlangs on ten servers lose 12.17 % of the jobs that do not wait."""
    low, high = interval([float(np.mean(jobs(r, 0.0)[1] == "reneged")) for r in range(REPLICATES)])
    assert low < erlang_b(LOAD, SERVERS) < high
    assert high - low < 0.06


@pytest.mark.slow
def test_waiting_is_erlang_c():
    """Eight erlangs on ten servers wait 0.2046 mean service times."""
    low, high = interval([float(np.mean(jobs(r, 1e9)[0])) / SERVICE_S for r in range(REPLICATES)])
    assert low < mean_wait(LOAD, SERVERS, mu=1.0) < high
    assert high - low < 0.3
