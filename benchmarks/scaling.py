"""How time, memory and construction grow with the number of agents."""

from __future__ import annotations

import time

from benchmarks.against_mesa import seconds_per_tick
from celluler_sim.economy import Economy
from celluler_sim.scenario import compose


def scenario(agents: int, *more: str) -> Economy:
    """Build `compute_congestion` as shipped, at another size."""
    sizes = [f"agents.consumers.count={agents * 9 // 10}", f"agents.providers.count={agents // 10}"]
    return Economy(compose("compute_congestion", [*sizes, *more]))


def construction(agents: int, tries: int = 5) -> tuple[float, float]:
    """Return (least processor seconds to build an economy, bytes per agent of columns and ledger)."""
    best, size = float("inf"), 0.0
    setup = scenario(agents).setup  # composing it takes the same for any number of agents
    for _ in range(tries):
        begun = time.process_time()
        e = Economy(setup)
        best = min(best, time.process_time() - begun)
        size = (e.providers.nbytes + e.consumers.nbytes + e.ledger.nbytes) / agents
    assert len(e.agents) == agents // 10 + agents * 9 // 10
    return best, size


def run(sizes: tuple[int, ...] = (10_000, 100_000, 1_000_000)) -> None:
    """Print one line a size and the ratio between the ends."""
    per_agent: dict[int, float] = {}
    scenario(1_000).step()  # compiles
    for agents in sizes:
        built, held = construction(agents)
        e = scenario(agents)
        tick = seconds_per_tick(e, warm=20, ticks=30)
        per_agent[agents] = tick / agents
        assert e.ledger.total() == e.ledger.supply
        print(
            f"{agents:>9,} agents: built in {built:.3f} s, {held:.0f} bytes an agent, {tick * 1e3:.2f} ms a tick, "
            f"{agents / tick / 1e6:.1f} million agent-steps/s"
        )
    ratio = per_agent[sizes[-1]] / per_agent[sizes[0]]
    print(f"time per agent at {sizes[-1]:,} over that at {sizes[0]:,}: {ratio:.2f}")
