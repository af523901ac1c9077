"""What the members of a pool would have earned in every other company, and how a sharing rule divides it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Floats, Frozen, Masks, Slots
from celluler_sim.institutions.pools_kernels import Holdings, OfferedJobs, serve, table
from celluler_sim.institutions.pools_register import contributions
from celluler_sim.mechanisms.base import guarded
from celluler_sim.mechanisms.coalitions import subset_sums
from celluler_sim.mechanisms.games import CoalitionalGame
from celluler_sim.mechanisms.shares import Shares
from celluler_sim.mechanisms.sharing import Sharing

Bools = npt.NDArray[np.bool_]
TABLED = 12  # most members of whose pool every coalition is looked at
NOISE = 1e-9  # share of the worth of all below which a difference is rounding


@dataclass(frozen=True, eq=False)
class Division(Frozen):
    """One pool's game and what its sharing rule makes of it; all PRANA, over the period."""

    game: CoalitionalGame
    who: Slots  #     (n,) members
    brought: Floats  # (n,) contributions
    worth: float  #   of all together
    alone: Floats  #  (n,) worth of each alone
    share: Floats  #  (n,) sums to `worth` where anybody gets something
    error: Floats  #  (n,) standard errors of the shares, 0 where exact
    excess: float  #  most by which a coalition is worth more than its members' shares; NaN above `TABLED` members
    blocked: Bools  # (n,) in a coalition that is worth more than its members' shares


def market_game(holdings: Holdings, jobs: OfferedJobs, until: float, *, rivals: bool) -> CoalitionalGame:
    """Return the game of members who could have served these jobs in every company.

    Parameters
    ----------
    holdings
        What each member brings.
    jobs, until
        What was there to be served, and when the period ended, s.
    rivals
        Whether the members outside a coalition sell together beside it, or not at all.
    """
    n = len(holdings.ask)
    if n <= TABLED:
        worths = table(n, rivals, holdings, jobs, until)

        def looked_up(masks: Masks) -> Floats:
            return np.asarray(worths[masks.astype(np.int64)])

        return CoalitionalGame(n, looked_up, contribution=contributions(holdings.amount))
    everyone = np.uint64((1 << n) - 1)

    def played(masks: Masks) -> Floats:
        return np.asarray(serve(np.array(masks), everyone, rivals, holdings, jobs, until)[0])

    return CoalitionalGame(n, played, contribution=contributions(holdings.amount))


def divide(who: Slots, game: CoalitionalGame, rule: Sharing, rng: np.random.Generator, tick: int) -> Division:
    """Divide the worth of all by a rule, and hold it against what every coalition could have had."""
    found: Shares = guarded("sharing", rule, tick, lambda: rule.shares(game, rng))
    positive = np.maximum(found.value, 0.0)  # a pool charges nobody
    whole = float(positive.sum())
    share = game.grand * (positive / whole if whole > 0 else np.full(game.n, 1 / game.n))
    error = found.standard_error * (game.grand / whole if whole > 0 else 0.0)
    brought: Any = game.contribution
    excess, blocked = _stability(game, share)
    return Division(game, who, brought, game.grand, game.alone, share, error, excess, blocked)


def _stability(game: CoalitionalGame, share: Floats) -> tuple[float, Bools]:
    """Return the largest excess of a coalition, and who is in one with an excess above rounding, (n,).

    The shares are in the core if and only if no coalition's worth exceeds what its members get together.
    """
    noise = NOISE * max(1.0, abs(game.grand))
    if game.n > TABLED:
        return float("nan"), np.asarray(game.alone > share + noise)
    excess = game.table - subset_sums(share)
    inner = excess[1:-1]
    blocking = np.flatnonzero(excess > noise)
    blocked = (blocking[:, None] >> np.arange(game.n) & 1).any(axis=0)
    return float(inner.max()) if len(inner) else 0.0, np.asarray(blocked)
