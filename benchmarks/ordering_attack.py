"""What is fair ordering worth to consumers? ``python -m benchmarks.ordering_attack [replicates]``.

Every replicate of `ordering_attack` is one world, run under every order rule; differences are paired within worlds.
"""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from celluler_sim.analysis.ordering import Interval, consumer_surplus, extracted_by_fill, interval
from celluler_sim.economy import Economy
from celluler_sim.results import Run
from celluler_sim.scenario import compose

RULES: dict[str, tuple[str, ...]] = {
    "fifo": ("consensus=fifo",),
    "hashgraph": ("consensus=hashgraph",),
    "leader honest": ("consensus=leader",),
    "leader front_running": ("consensus=leader", "consensus.conduct=front_running"),
    "leader sandwiching": ("consensus=leader", "consensus.conduct=sandwiching"),
    "leader censoring": ("consensus=leader", "consensus.conduct=censoring"),
}
GREEDY = ("leader front_running", "leader sandwiching")
QUIET = ("record.transfers=false", "record.agents_every=0", "record.optimum_every=0")


def outcome(job: tuple[str, int, tuple[str, ...]]) -> tuple[float, float]:
    """Run one world under one order rule; return (consumer surplus, extracted by position), PRANA."""
    rule, replicate, more = job
    e = Economy(compose("ordering_attack", [*RULES[rule], *QUIET, *more, f"replicate={replicate}"]))
    for _ in range(e.setup.ticks):
        e.step()
    e.close()
    tables = Run(config={}, manifest={}, summary={}, source=e.recorder).tables
    return consumer_surplus(tables), float(extracted_by_fill(tables).sum())


def outcomes(
    replicates: int, rules: tuple[str, ...] = tuple(RULES), more: tuple[str, ...] = (), workers: int = 2
) -> dict[str, np.ndarray]:
    """Return by rule (replicates, 2): consumer surplus and what was extracted, PRANA; rows are worlds."""
    jobs = [(rule, r, more) for r in range(replicates) for rule in rules]
    if workers == 1:
        values = list(map(outcome, jobs))
    else:
        with ProcessPoolExecutor(workers) as pool:
            values = list(pool.map(outcome, jobs, chunksize=len(rules)))
    table = np.array(values).reshape(replicates, len(rules), 2)
    return {rule: table[:, k] for k, rule in enumerate(rules)}


def loss(found: dict[str, np.ndarray], rule: str, against: str) -> Interval:
    """Return by how much less consumers gain under one rule than under another in the same world, PRANA."""
    return interval(found[against][:, 0] - found[rule][:, 0])


def main() -> None:
    """Print the table; fail unless both ways of greed cost consumers more than the hashgraph does."""
    replicates = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    found = outcomes(replicates)
    surplus = found["fifo"][:, 0].mean()
    print(f"{replicates} worlds; consumers gain {surplus:,.0f} PRANA under fifo. PRANA a world, 95 % intervals:")
    print(f"{'order rule':<22} {'lost by consumers, against fifo':>38} {'extracted by position':>38}")
    for rule, values in found.items():
        print(f"{rule:<22} {_shown(loss(found, rule, 'fifo')):>38} {_shown(interval(values[:, 1])):>38}")
    for rule in GREEDY:
        more = loss(found, rule, "hashgraph")
        print(f"{rule} costs consumers {_shown(more)} more than hashgraph")
        assert more.low > 0, (rule, more)


def _shown(x: Interval) -> str:
    return f"{x.mean:,.0f} [{x.low:,.0f}, {x.high:,.0f}]"


if __name__ == "__main__":
    main()
