"""What became of resource pools: who is in, who would be better off elsewhere, what pooling adds."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from celluler_sim.analysis.reading import Bools, Floats, Slots, Tables, flags, floats, slots

NOISE = 1e-9  # share of a pool's worth below which an excess is rounding


class Course(NamedTuple):
    """Membership and stability, period by period."""

    time_s: Floats  #  (n_periods,) s, end of the period
    pooled: Floats  #  (n_periods,) share of the members that are in a pool
    better: Floats  #  (n_periods,) share of those that would do better alone (NaN: nobody is in one)
    blocking: Floats  # (n_periods,) share of those that could do better with some others of their pool (NaN: likewise)


def course(tables: Tables, period_s: float) -> Course:
    """Return membership and stability over time; no rows where there are no pools."""
    period, pool = slots(tables, "pool_members", "period"), slots(tables, "pool_members", "pool")
    numbers, row = np.unique(period, return_inverse=True)
    inside = (pool >= 0).astype(np.float64)
    members, pooled = np.bincount(row).astype(np.float64), np.bincount(row, inside)

    def among_pooled(name: str) -> Floats:
        found = np.bincount(row, inside * floats(tables, "pool_members", name), minlength=len(members))
        return np.asarray(np.divide(found, pooled, out=np.full(len(members), np.nan), where=pooled > 0))

    share = pooled / members if len(members) else np.empty(0)
    return Course(
        np.asarray((numbers + 1.0) * period_s, np.float64),
        share,
        among_pooled("better_outside"),
        among_pooled("blocking"),
    )


class FirstShares(NamedTuple):
    """The first period's shares of one pool, when all rules still face the same members."""

    member: Slots  #      (n,) slot
    contribution: Floats  # (n,)
    share: Floats  #      (n,) of the pool's worth
    error: Floats  #      (n,) 95 % interval to either side, 0 where the rule is exact
    outside: Floats  #    (n,) worth alone, as a share of the pool's


def first_shares(tables: Tables) -> FirstShares | None:
    """Return the shares in the first pool of the first period that had one; None where none ever was."""
    period, pool = slots(tables, "pool_members", "period"), slots(tables, "pool_members", "pool")
    if not (pool >= 0).any():
        return None
    first = period == period[pool >= 0].min()
    mine = first & (pool == pool[first & (pool >= 0)].min())
    share = floats(tables, "pool_members", "share_prana")[mine]
    worth = float(share.sum()) or 1.0
    return FirstShares(
        slots(tables, "pool_members", "member")[mine], floats(tables, "pool_members", "contribution")[mine],
        share / worth, 1.96 * floats(tables, "pool_members", "standard_error_prana")[mine] / worth,
        floats(tables, "pool_members", "outside_prana")[mine] / worth,
    )  # fmt: skip


def pool_figures(tables: Tables) -> dict[str, float | None]:
    """Return the summary's figures of pools; None where there are none."""
    pool = slots(tables, "pool_members", "pool")
    inside = pool >= 0
    n = float(inside.sum())
    worth, alone = (float(floats(tables, "pools", name).sum()) for name in ("worth_prana", "alone_prana"))
    stable = floats(tables, "pools", "excess_prana") <= NOISE * np.maximum(floats(tables, "pools", "worth_prana"), 1.0)
    left = flags(tables, "pool_moves", "kind", "leave", "expel")
    accepted = floats(tables, "pool_moves", "accepted") > 0
    return {
        "pool_membership_share": n / len(pool) if len(pool) else None,
        "pool_better_outside_share": _mean_inside(tables, "better_outside", n, inside),
        "pool_blocking_share": _mean_inside(tables, "blocking", n, inside),
        "pool_core_share": float(stable.mean()) if len(stable) else None,
        "pool_synergy": worth / alone if alone > 0 else None,
        "pool_exits": float((left & accepted).sum()) if len(pool) else None,
        "pool_paid_prana": float(floats(tables, "pool_members", "paid_prana").sum()) if len(pool) else None,
    }


def _mean_inside(tables: Tables, name: str, n: float, inside: Bools) -> float | None:
    return float(floats(tables, "pool_members", name)[inside].sum()) / n if n else None
