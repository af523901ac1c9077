"""What every workload promises, tested on each that is registered."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import FrozenInstanceError, fields

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from celluler_sim.mechanisms.base import registered
from celluler_sim.streams import Streams
from celluler_sim.workloads import Jobs

DATA_FREE = {
    "gpu_cluster": {"source": "fitted", "last_days": 1.0},
    "llm_requests": {"source": "fitted", "seconds": 200.0},
    "llm_clients": {"source": "fitted", "days": 0.05, "scale": 0.001},
}
NAMES = sorted(registered("workload"))


def ready(name: str, streams: Streams):
    workload = registered("workload")[name](**DATA_FREE.get(name, {}))
    workload.prepare(streams, 1e18)
    return workload


def test_the_four_of_this_package_are_registered():
    """Importing the package makes them selectable by name."""
    assert {"generated", "gpu_cluster", "llm_requests", "llm_clients"} <= set(NAMES)


def test_importing_the_package_imports_no_heavy_library():
    """Help must be quick: Pandas, Numba and SciPy wait for a run."""
    heavy = "('pandas', 'numba', 'scipy', 'mesa', 'matplotlib')"
    code = f"import sys, celluler_sim.workloads as w; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", NAMES)
class TestEveryWorkload:
    """The promises of `celluler_sim.workloads.base.Workload`."""

    def test_jobs_are_a_valid_batch(self, name):
        """Sorted by birth within the tick, of positive size, for consumers that exist, with columns of one length."""
        streams = Streams(3)
        workload = ready(name, streams)
        n_consumers = workload.n_consumers() or 40
        rate, total = np.full(n_consumers, 0.02), 0
        for tick in range(30):
            jobs = workload.arrivals(streams, tick, tick * 60.0, tick * 60.0 + 60, rate)
            total += len(jobs)
            assert {len(getattr(jobs, f.name)) for f in fields(Jobs)} == {len(jobs)}
            assert np.all(np.diff(jobs.born) >= 0)
            assert np.all((jobs.born >= tick * 60) & (jobs.born < tick * 60 + 60))
            assert np.all((jobs.amount > 0) & (jobs.work > 0))
            assert np.all(np.isfinite(jobs.amount) & np.isfinite(jobs.work))
            assert np.all((jobs.consumer >= 0) & (jobs.consumer < n_consumers))
            assert not np.any(jobs.patience < 0)
            assert np.all(jobs.kinds > 0)
            assert jobs.demand.shape == (len(jobs), len(workload.resources))
        assert total > 0

    def test_the_same_seed_gives_the_same_jobs_in_any_order_of_asking(self, name):
        """Two instances agree bit for bit, also when one is asked for its ticks backwards."""
        rate = np.full(40, 0.02)
        streams = Streams(9)
        first, second = ready(name, streams), ready(name, Streams(9))
        forwards = [first.arrivals(streams, k, 60.0 * k, 60.0 * k + 60, rate) for k in range(25)]
        backwards = [second.arrivals(Streams(9), k, 60.0 * k, 60.0 * k + 60, rate) for k in reversed(range(25))][::-1]
        for one, other in zip(forwards, backwards, strict=True):
            for f in fields(Jobs):
                assert_array_equal(getattr(one, f.name), getattr(other, f.name))

    def test_machines_are_valid_providers(self, name):
        """Where a workload brings providers: positive capacity, kinds that exist, a column for every resource."""
        workload = ready(name, Streams(1))
        machines = workload.machines()
        if machines is None:
            return
        n = len(machines.capacity)
        assert np.all(machines.capacity > 0)
        assert 0 < len(machines.hardware) <= 64
        assert np.all((machines.kind >= 0) & (machines.kind < len(machines.hardware)))
        assert machines.supply.shape == (n, len(workload.resources))

    def test_facts_are_numbers_and_the_configuration_is_frozen(self, name):
        """Figures for the report are floats; fields cannot be changed."""
        workload = ready(name, Streams(1))
        assert all(isinstance(value, float) for value in workload.facts().values())
        with pytest.raises(FrozenInstanceError):
            workload.path = "elsewhere"

    def test_every_field_and_class_is_documented(self, name):
        """A line for lists, and a default for every key."""
        cls = registered("workload")[name]
        assert cls.__doc__.strip()
        assert cls() is not None
