"""Where does cheating stop to pay, do rings hold? ``python -m benchmarks.deterrence [--market|--pools] [replicates]``.

Sweeps the audit probability over learning cheats and locates where their share falls through one half, with a 95 %
interval over replicates, beside Becker's threshold for the gain kept and forfeited; and looks for the discount factor
from which rings of 2, 3 and 4 hold, by bisection, beside theory. With ``--market`` the cheats are providers of whole
economies, about a second a point, and with ``--pools`` members that overstate what they bring to their pool, about
two; without, a laboratory has the same conduct, checks, money and learning alone.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Literal, get_args

import numpy as np

from celluler_sim.analysis.cartel import auction, critical_discount, rotation_discount
from celluler_sim.analysis.deterrence import READINGS, Fraud, Reading, crossing
from celluler_sim.conf.choices import import_mechanisms
from celluler_sim.institutions.trust_field import FieldSweep, MarketSweep, PoolSweep
from celluler_sim.institutions.trust_laboratory import RingTrial, Sweep

Learning = Literal["reinforcement", "replicator"]


def laboratory(learning: Learning, reading: Reading, multiple: float) -> Sweep:
    """Return a sweep without a market."""
    return Sweep(learning=learning, reading=reading, fine_multiple=multiple, agents=200, ticks=200)


def market(learning: Learning, reading: Reading, multiple: float) -> MarketSweep:
    """Return a sweep over whole economies."""
    return MarketSweep(learning=learning, reading=reading, fine_multiple=multiple)


def pools(learning: Learning, reading: Reading, multiple: float) -> PoolSweep:
    """Return a sweep over whole economies with pools."""
    return PoolSweep(learning=learning, reading=reading, fine_multiple=multiple)


def sweeps(
    make: Callable[[Learning, Reading, float], Sweep | FieldSweep], replicates: int, points: int,
    learnings: tuple[Learning, ...] = get_args(Learning), multiples: tuple[float, ...] = (1.5, 3.0),
) -> None:  # fmt: skip
    """Print the rows of the table of thresholds."""
    for learning in learnings:
        for reading in READINGS:
            for multiple in multiples:
                theory = Fraud(gain=1.0, fine=multiple).threshold(reading)
                p = theory + np.linspace(-0.15, 0.15, points)
                shares = make(learning, reading, multiple).shares(p, replicates)
                at = crossing(p, shares)
                print(
                    f"| `{learning}` | {reading} | {multiple:g} | {theory:.3f} | {at.at:.3f} "
                    f"({at.low:.3f} to {at.high:.3f}) | {shares[:, 0].mean():.2f} | {shares[:, -1].mean():.2f} |",
                    flush=True,
                )


def ring_threshold(size: int, turns: Literal["lot", "rotation"], steps: int = 20) -> float:
    """Return the least discount factor at which a ring holds, found by bisection."""
    low, high = 0.0, 0.999
    for _ in range(steps):
        middle = (low + high) / 2
        held = RingTrial(size=size, discount=middle, turns=turns).broken() < 0
        low, high = (low, middle) if held else (middle, high)
    return high


def main() -> None:
    """Print both tables; with ``--market`` or ``--pools`` the first alone."""
    import_mechanisms()
    where = {word for word in sys.argv[1:] if word.startswith("--")}
    given = [word for word in sys.argv[1:] if word not in where]
    replicates = int(given[0]) if given else 6
    print("| learning | gain | fine over gain | theory | share falls through 1/2 at | at -0.15 | at +0.15 |")
    print("|---|---|---|---|---|---|---|")
    if "--market" in where:
        sweeps(market, replicates, 5)
        return
    if "--pools" in where:  # a dozen liars are too few to learn from each other
        sweeps(pools, replicates, 5, ("reinforcement",), (3.0,))
        return
    sweeps(laboratory, replicates, 7)
    print("\n| ring of | turns | theory | holds from |\n|---|---|---|---|")
    for size in (2, 3, 4):
        print(
            f"| {size} | by lot | {float(critical_discount(auction(size))):.4f} | {ring_threshold(size, 'lot'):.4f} |"
        )
        print(f"| {size} | in turn | {rotation_discount(size):.4f} | {ring_threshold(size, 'rotation'):.4f} |")


if __name__ == "__main__":
    main()
