"""Where does cheating stop to pay, and do rings hold? ``python -m benchmarks.deterrence [replicates]``.

Sweeps the audit probability over learning cheats and locates where their share falls through one half, with a 95 %
interval over replicates, beside Becker's threshold for the gain kept and forfeited; and looks for the discount factor
from which rings of 2, 3 and 4 hold, by bisection, beside theory.
"""

from __future__ import annotations

import sys
from typing import Literal, get_args

import numpy as np

from celluler_sim.analysis.cartel import auction, critical_discount, rotation_discount
from celluler_sim.analysis.deterrence import READINGS, Fraud, crossing
from celluler_sim.conf.choices import import_mechanisms
from celluler_sim.institutions.trust_laboratory import RingTrial, Sweep

Learning = Literal["reinforcement", "replicator"]


def sweeps(replicates: int, agents: int = 200, ticks: int = 200) -> list[str]:
    """Return the rows of the table of thresholds."""
    rows = []
    for learning in get_args(Learning):
        for reading in READINGS:
            for multiple in (1.5, 3.0):
                sweep = Sweep(
                    learning=learning, reading=reading, fine_multiple=multiple, agents=agents, ticks=ticks
                )  # fmt: skip
                theory = Fraud(gain=sweep.depth, fine=multiple * sweep.depth).threshold(reading)
                p = theory + np.linspace(-0.15, 0.15, 7)
                shares = sweep.shares(p, replicates)
                at = crossing(p, shares)
                rows.append(
                    f"| `{learning}` | {reading} | {multiple:g} | {theory:.3f} | {at.at:.3f} "
                    f"({at.low:.3f} to {at.high:.3f}) | {shares[:, 0].mean():.2f} | {shares[:, -1].mean():.2f} |"
                )
    return rows


def ring_threshold(size: int, turns: Literal["lot", "rotation"], steps: int = 20) -> float:
    """Return the least discount factor at which a ring holds, found by bisection."""
    low, high = 0.0, 0.999
    for _ in range(steps):
        middle = (low + high) / 2
        held = RingTrial(size=size, discount=middle, turns=turns).broken() < 0
        low, high = (low, middle) if held else (middle, high)
    return high


def main() -> None:
    """Print both tables."""
    import_mechanisms()
    replicates = int(sys.argv[1]) if len(sys.argv) > 1 else 6
    print("| learning | gain | fine over gain | theory | share falls through 1/2 at | at -0.15 | at +0.15 |")
    print("|---|---|---|---|---|---|---|")
    print("\n".join(sweeps(replicates)))
    print("\n| ring of | turns | theory | holds from |\n|---|---|---|---|")
    for size in (2, 3, 4):
        print(
            f"| {size} | by lot | {float(critical_discount(auction(size))):.4f} | {ring_threshold(size, 'lot'):.4f} |"
        )
        print(f"| {size} | in turn | {rotation_discount(size):.4f} | {ring_threshold(size, 'rotation'):.4f} |")


if __name__ == "__main__":
    main()
