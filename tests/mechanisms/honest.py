"""Honest populations: evidence, bids and trades of agents who cheat nobody, and rings to set beside them."""

from __future__ import annotations

import numpy as np

from celluler_sim.mechanisms.bids import Bids, Dealings, Trades
from celluler_sim.mechanisms.trust_law_checks import Population
from celluler_sim.mechanisms.verification import Evidence

AGENTS = 20


def evidence(rng: np.random.Generator, rows: int = 300) -> Evidence:
    """Return deliveries that keep what was promised: three agents a job, few wrong or failed."""
    agent = np.concatenate([rng.permutation(AGENTS)[:3] for _ in range(rows // 3)])
    job = np.repeat(np.arange(rows // 3), 3)
    claimed = rng.lognormal(0.0, 1.0, rows)
    slipped = rng.random(rows) < 0.001
    answer = np.where(slipped, 10**9 + np.arange(rows), job)
    return Evidence.of(agent, job=job, claimed=claimed, answer=answer, failed=rng.random(rows) < 0.01)


def bids(rng: np.random.Generator, auctions: int = 150, ring: tuple[int, ...] = (), bidders: int = 12) -> Bids:
    """Return bids at independent lognormal costs; a ring of bidders takes turns, and the rest of it covers.

    In every auction in which all of the ring take part the one whose turn it is bids 1, the others 1.06 to 1.08, and
    nobody outside is cheaper: so it wins.
    """
    rows: list[tuple[int, int, float]] = []
    turn = 0
    for auction in range(auctions):
        together = bool(ring) and auction % 2 == 0
        others = rng.permutation(np.setdiff1d(np.arange(bidders), ring if together else ()))
        cost = np.exp(0.1 * rng.standard_normal(bidders))
        if together:
            rows += [(auction, m, 1.0 if m == ring[turn % len(ring)] else 1.06 + 0.02 * rng.random()) for m in ring]
            rows += [(auction, int(m), 1.05 + 0.05 * rng.random()) for m in others[:2]]
            turn += 1
        else:
            rows += [(auction, int(m), float(cost[m])) for m in others[: rng.integers(3, 7)]]
    number, bidder, amount = zip(*rows, strict=True)
    return Bids.of(number, bidder, amount)


def trades(rng: np.random.Generator, sales: int = 150, ring: int = 0) -> Trades:
    """Return sales to buyers at random; a ring sells ``ring`` times more between sellers 0, 1 and buyers 12, 13."""
    seller, buyer = rng.integers(0, 12, sales), rng.integers(12, 30, sales)
    washed = rng.integers(0, 2, ring), 12 + rng.integers(0, 2, ring)
    return Trades.of(np.concatenate([seller, washed[0]]), np.concatenate([buyer, washed[1]]))


def population(replicates: int, seed: int = 0) -> Population:
    """Return independent replicates of honest agents."""
    rngs = [np.random.default_rng([seed, i]) for i in range(replicates)]
    order = np.random.default_rng(seed).permutation(AGENTS)
    return Population([evidence(r) for r in rngs], [Dealings(bids(r), trades(r)) for r in rngs], order)
