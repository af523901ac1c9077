"""Consumers who time their orders gain under a saw-tooth price and not without a cycle (paired, same worlds)."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from celluler_sim.economy import Economy
from celluler_sim.scenario import compose

SMALL = (
    "ticks=360", "agents.providers.count=40", "agents.consumers.count=360",
    "record.transfers=false", "record.agents_every=0", "record.optimum_every=0",
)  # fmt: skip
SHARES = "agents.consumers.behaviours={truthful:0.7,strategic_timing:0.3}"


def surplus_of_the_strategic(cycle: str, replicate: int, *, strategic: bool) -> float:
    """Return the mean surplus of the consumers drawn as strategic, who act so or, in the same world, truthfully."""
    e = Economy(compose("price_cycle", [*SMALL, SHARES, f"pricing.cycle={cycle}", f"replicate={replicate}"]))
    chosen = e.consumers["behaviour"] == 1
    if not strategic:
        e.consumers["behaviour"][:] = 0
    for _ in range(e.setup.ticks):
        e.step()
    return float(e.consumers["surplus"][chosen].mean())


def gains(cycle: str, replicates: int) -> np.ndarray:
    """Return the gain from timing per replicate, PRANA per consumer."""
    pairs = [[surplus_of_the_strategic(cycle, r, strategic=s) for s in (True, False)] for r in range(replicates)]
    return np.subtract(*np.array(pairs).T)


@pytest.mark.slow
def test_timing_pays_under_the_saw_tooth():
    """The 95 % interval of the paired gain over 30 replicates lies above 0."""
    gain = gains("sawtooth", 30)
    half = stats.t.ppf(0.975, len(gain) - 1) * gain.std(ddof=1) / np.sqrt(len(gain))
    assert gain.mean() - half > 0


def test_timing_changes_nothing_without_a_cycle():
    """With no cycle there is nothing to wait for: the strategic act as the truthful do, to the last bit."""
    assert np.all(gains("none", 3) == 0)
