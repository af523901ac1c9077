"""Agent-steps per second beside a plain Mesa model of the same market, with the same rules and the same agents."""

from __future__ import annotations

import time

import numpy as np

from benchmarks.plain_mesa import PlainMarket
from celluler_sim.economy import Economy
from celluler_sim.scenario import compose

OVERRIDES = (
    "workload.surge_factor=1", "allocation.max_share=1", "allocation.min_share=0", "agents.providers.entry_per_day=0",
    "agents.consumers.min_share=1", "workload.device_flops=1e15", "record.optimum_every=0",
)  # fmt: skip


def economy(agents: int, *more: str, seed: int = 1) -> Economy:
    """Build the market at a size."""
    sizes = [f"agents.consumers.count={agents * 9 // 10}", f"agents.providers.count={agents // 10}", f"seed={seed}"]
    return Economy(compose("compute_congestion", [*OVERRIDES, *sizes, *more]))


def plain(e: Economy, seed: int = 1) -> PlainMarket:
    """Build the plain model with the very agents of an economy."""
    p, c, s = e.providers, e.consumers, e.setup
    good = p["quality"] >= s.market.min_quality
    providers = [tuple(row) for row in np.stack([p[k][good] for k in ("capacity", "energy_cost", "capital_cost")], 1)]
    elastic = c["behaviour"] == list(s.agents.consumers.behaviours).index("elastic")
    balance = e.ledger.balance(c["account"])
    consumers = list(zip(c["rate"].tolist(), c["weight"].tolist(), balance.tolist(), elastic.tolist(), strict=True))
    workload, agents = s.workload, s.agents.consumers
    return PlainMarket(
        providers, consumers, seed=seed, dt=s.tick_seconds, base_price=s.pricing.base_price,
        window_seconds=s.pricing.window_seconds, mean_seconds=workload.mean_seconds, cv=workload.cv,
        patience=agents.patience_s, postpone=agents.postpone_s, value_median=agents.value_median,
        value_cv=agents.value_cv, min_share=agents.min_share, reprice=s.agents.providers.reprice_per_half_hour,
    )  # fmt: skip


def mean_price(e: Economy) -> float:
    """Return the mean price over the ticks so far."""
    return float(np.mean(e.recorder.arrow("markets")["price_prana"].to_numpy()))


def agree(agents: int = 3_000, ticks: int = 400, seeds: int = 3) -> tuple[float, float]:
    """Run both to a comparable length and return their mean prices; assert that they agree within 3 %."""
    ours, theirs = [], []
    for seed in range(1, seeds + 1):
        e = economy(agents, seed=seed)
        m = plain(e, seed)
        for _ in range(ticks):
            e.step()
            m.step()
        ours.append(mean_price(e))
        theirs.append(float(np.mean(m.prices)))
    a, b = float(np.mean(ours)), float(np.mean(theirs))
    assert abs(a / b - 1) < 0.03, (a, b)
    return a, b


def seconds_per_tick(model: Economy | PlainMarket, warm: int, ticks: int) -> float:
    """Return processor seconds per tick, after ``warm`` ticks."""
    for _ in range(warm):
        model.step()
    begun = time.process_time()
    for _ in range(ticks):
        model.step()
    return (time.process_time() - begun) / ticks


def run(agents: int = 100_000, ticks: int = 30) -> None:
    """Print the comparison."""
    a, b = agree()
    print(f"mean price: celluler_sim {a:.2f}, plain Mesa {b:.2f} PRANA per unit ({a / b - 1:+.1%})")
    e = economy(agents)
    theirs = seconds_per_tick(plain(e), warm=5, ticks=max(3, ticks // 6))
    ours = seconds_per_tick(e, warm=30, ticks=ticks)
    rate = agents / ours
    print(f"{agents:,} agents: celluler_sim {ours * 1e3:.2f} ms, plain Mesa {theirs * 1e3:.1f} ms a tick")
    print(f"ratio {theirs / ours:.0f}, {rate / 1e6:.1f} million agent-steps/s on one core")
