"""What a replicate costs beyond its simulation, whether all cores are busy, whether memory stays flat.

``python -m benchmarks.replicates [--quick]``: 1,000 replicates of 100 ticks with 100 agents (100 with ``--quick``).
Overhead is measured as a sum of its parts, since the difference of two totals would drown in a busy machine's noise:
what a run does besides simulating, in one process, and what handing runs to processes costs.
"""

from __future__ import annotations

import gc
import resource
import sys
import time
from dataclasses import replace
from typing import Any
from unittest import mock

from celluler_sim.economy import Economy
from celluler_sim.experiments.executors import Processes
from celluler_sim.experiments.replicates import run_replicates
from celluler_sim.experiments.schedule import stream
from celluler_sim.experiments.worlds import Job, config_text, run_jobs
from celluler_sim.scenario import Scenario, compose

SIZE = ["ticks=100", "agents.providers.count=10", "agents.consumers.count=90"]


def beside_simulating(scenario: Scenario, runs: int) -> tuple[float, float]:
    """Return seconds of CPU a run simulates, and seconds it does anything else, in this process."""
    spent = [0.0]

    def timed(name: str) -> Any:
        method = getattr(Economy, name)

        def call(*arguments: Any, **options: Any) -> Any:
            begun = time.process_time()
            try:
                return method(*arguments, **options)
            finally:
                spent[0] += time.process_time() - begun

        return mock.patch.object(Economy, name, call)

    config = config_text(scenario)
    run_jobs([Job(0, config, 0)])
    with timed("__init__"), timed("step"), timed("close"):
        begun = time.process_time()
        rows = run_jobs([Job(i, config, i) for i in range(runs)])
        whole = time.process_time() - begun
    assert all(row["outcome"] == "finished" for _, row in rows)
    return spent[0] / runs, (whole - spent[0]) / runs


def handing_over(scenario: Scenario, runs: int) -> dict[str, float]:
    """Return what a pool of processes costs a run beyond the runs' own time, and how busy it kept its processes."""
    rule = Processes()
    config = config_text(scenario)
    jobs = [Job(i, config, i) for i in range(runs)]
    begun = time.perf_counter()
    first, inside = 0.0, 0.0
    rows: dict[int, Any] = {}
    for some in stream(jobs, rule):
        inside += sum(row["duration_s"] for _, row in some) if first else 0.0  # of those after the first batch
        first = first or time.perf_counter()
        rows |= dict(some)
    end = time.perf_counter()
    assert len({row["seed"] for row in rows.values()}) == runs
    return {
        "start_s": first - begun,
        "idle_ms": 1000 * ((end - first) * rule.parallel - inside) / runs,
        "busy": inside / ((end - first) * rule.parallel),
        "runs_per_second": runs / (end - begun),
    }


def memory(scenario: Scenario, runs: int) -> tuple[float, float]:
    """Return resident memory in MB after a tenth of the runs and after all of them, in this process."""
    config = config_text(scenario)
    seen = []
    for i in range(runs):
        run_jobs([Job(i, config, i)])
        if i + 1 in (runs // 10, runs):
            gc.collect()
            seen.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return seen[0], seen[1]


def run(runs: int = 1000) -> None:
    """Measure and print."""
    scenario = compose("compute_congestion", SIZE)
    simulating, beside = beside_simulating(scenario, max(20, runs // 10))
    pool = handing_over(scenario, runs)
    early, late = memory(scenario, runs)
    print(f"{runs} replicates, 100 ticks, 100 agents")
    print(f"simulation          {1000 * simulating:8.1f} ms a run")
    print(f"beside simulating   {1000 * beside:8.1f} ms a run")
    print(f"handing over        {pool['idle_ms']:8.1f} ms a run; processes {100 * pool['busy']:.1f} % busy")
    print(f"overhead            {1000 * beside + pool['idle_ms']:8.1f} ms a run")
    print(f"start               {pool['start_s']:8.1f} s once; {pool['runs_per_second']:.1f} runs a second in all")
    print(f"memory              {early:8.1f} MB after {runs // 10} runs, {late:.1f} MB after {runs}")
    shown = run_replicates(replace(scenario, replicates=3))
    assert [row["seed"] for row in shown.rows] == [1, 1 + 2**32, 1 + 2**33]


if __name__ == "__main__":
    run(100 if "--quick" in sys.argv else 1000)
