"""Does a finding depend on what it must not depend on? ``python -m benchmarks.artefacts [replicates] [scenario]``.

On `compute_congestion` the mean price, utilisation and wait are compared between the baseline and a run with half
the tick, with agents relabelled, and with twice the population at equal load per provider; paired where worlds match.
"""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from scipy import stats

from celluler_sim.analysis.summary import summarise
from celluler_sim.economy import Economy
from celluler_sim.results import Run
from celluler_sim.scenario import compose

FIGURES = ("mean_price_prana", "mean_utilisation", "mean_wait_s")
CHANGES: dict[str, tuple[str, ...]] = {
    "baseline": (),
    "half the tick": ("tick_seconds=30", "ticks=2880"),
    "agents relabelled": (),
    "twice the population": ("agents.providers.count=200", "agents.consumers.count=1800"),
}


def relabel(e: Economy) -> None:
    """Give every agent another slot: its traits move, its account stays with the slot."""
    for name, population in (("provider", e.providers), ("consumer", e.consumers)):
        order = e.streams.at(f"relabel.{name}").permutation(population.size)
        for column in set(population.agent_class.columns) - {"account"}:
            population[column] = population[column][order]


def figures(job: tuple[str, str, int]) -> list[float]:
    """Run one replicate under one change and return its figures."""
    scenario, change, replicate = job
    quiet = ("record.transfers=false", "record.agents_every=0", "record.optimum_every=0")
    e = Economy(compose(scenario, [*CHANGES[change], *quiet, f"replicate={replicate}"]))
    if change == "agents relabelled":
        relabel(e)
    for _ in range(e.setup.ticks):
        e.step()
    e.close()
    run = Run(config=e.setup.to_mapping(), manifest={}, summary={}, source=e.recorder)
    summary = summarise(run.tables, run.config)
    return [float(summary[name] or 0.0) for name in FIGURES]


def compare(
    replicates: int, scenario: str = "compute_congestion", workers: int = 2
) -> dict[str, dict[str, np.ndarray]]:
    """Return per change and figure (relative difference of means, low, high) with 95 % intervals."""
    jobs = [(scenario, change, r) for r in range(replicates) for change in CHANGES]
    with ProcessPoolExecutor(workers) as pool:
        values = np.array(list(pool.map(figures, jobs))).reshape(replicates, len(CHANGES), len(FIGURES))
    base = values[:, 0]
    table: dict[str, dict[str, np.ndarray]] = {"baseline": {f: base[:, k] for k, f in enumerate(FIGURES)}}
    for c, change in enumerate(list(CHANGES)[1:], start=1):
        table[change] = {}
        for k, name in enumerate(FIGURES):
            difference = (values[:, c, k] - base[:, k]) / base[:, k].mean()
            half = stats.t.ppf(0.975, replicates - 1) * difference.std(ddof=1) / np.sqrt(replicates)
            table[change][name] = np.array([difference.mean(), difference.mean() - half, difference.mean() + half])
    return table


def main() -> None:
    """Print the table."""
    replicates = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    table = compare(replicates, *sys.argv[2:3])
    base = table.pop("baseline")
    print(f"{replicates} replicates; baseline " + ", ".join(f"{n} {base[n].mean():.4g}" for n in FIGURES))
    for change, row in table.items():
        for name, (mean, low, high) in row.items():
            print(f"{change:<22} {name:<18} {mean:+.2%} [{low:+.2%}, {high:+.2%}]")


if __name__ == "__main__":
    main()
