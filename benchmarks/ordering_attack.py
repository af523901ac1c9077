"""What is fair ordering worth to consumers? ``python -m benchmarks.ordering_attack [replicates]``.

Every replicate of `ordering_attack` is one world, run under every order rule; differences are paired within worlds.
"""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from celluler_sim.analysis.ordering import Interval, bought_at_own_bid, consumer_surplus, extracted_by_fill, interval
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
CONSUMERS, EXTRACTED, PROVIDERS, OWN_BID = range(4)  # columns of an outcome
QUIET = ("record.transfers=false", "record.agents_every=0", "record.optimum_every=0")


def outcome(job: tuple[str, int, tuple[str, ...]]) -> tuple[float, ...]:
    """Run one world under one order rule.

    Returns what consumers gain, what is extracted, what providers gain (PRANA), and the share of work bought at the
    buyer's own bid.
    """
    rule, replicate, more = job
    e = Economy(compose("ordering_attack", [*RULES[rule], *QUIET, *more, f"replicate={replicate}"]))
    for _ in range(e.setup.ticks):
        e.step()
    e.close()
    tables = Run(config={}, manifest={}, summary={}, source=e.recorder).tables
    providers = float(tables["markets"]["provider_surplus_prana"].sum())
    return consumer_surplus(tables), float(extracted_by_fill(tables).sum()), providers, bought_at_own_bid(tables)


def outcomes(
    replicates: int, rules: tuple[str, ...] = tuple(RULES), more: tuple[str, ...] = (), workers: int = 2
) -> dict[str, np.ndarray]:
    """Return by rule (replicates, 4): what `outcome` returns; rows are worlds."""
    jobs = [(rule, r, more) for r in range(replicates) for rule in rules]
    if workers == 1:
        values = list(map(outcome, jobs))
    else:
        with ProcessPoolExecutor(workers) as pool:
            values = list(pool.map(outcome, jobs, chunksize=len(rules)))
    table = np.array(values).reshape(replicates, len(rules), 4)
    return {rule: table[:, k] for k, rule in enumerate(rules)}


def loss(found: dict[str, np.ndarray], rule: str, against: str, column: int = CONSUMERS) -> Interval:
    """Return by how much less consumers (or another column) have under one rule than another, in the same world."""
    return interval(found[against][:, column] - found[rule][:, column])


def main() -> None:
    """Print the table; fail unless both ways of greed cost consumers more than the hashgraph does."""
    replicates = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    found = outcomes(replicates)
    surplus = found["fifo"][:, 0].mean()
    print(f"{replicates} worlds; consumers gain {surplus:,.0f} PRANA under fifo. PRANA a world, 95 % intervals:")
    heads = ("lost by consumers, against fifo", "lost by providers, against fifo", "extracted by position")
    print(f"{'order rule':<22}", *(f"{head:>34}" for head in heads), f"{'work at own bid':>24}")
    for rule, values in found.items():
        lost = [_shown(loss(found, rule, "fifo", column)) for column in (CONSUMERS, PROVIDERS)]
        taken, own = _shown(interval(values[:, EXTRACTED])), interval(100 * values[:, OWN_BID])
        cells = (f"{cell:>34}" for cell in (*lost, taken))
        print(f"{rule:<22}", *cells, f"{f'{own.mean:.1f} [{own.low:.1f}, {own.high:.1f}] %':>24}")
    for rule in GREEDY:
        more = loss(found, rule, "hashgraph")
        print(f"{rule} costs consumers {_shown(more)} more than hashgraph")
        assert more.low > 0, (rule, more)


def _shown(x: Interval) -> str:
    return f"{x.mean:,.0f} [{x.low:,.0f}, {x.high:,.0f}]"


if __name__ == "__main__":
    main()
