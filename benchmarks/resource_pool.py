"""Who stays in a pool, and what is served, under which sharing rule? ``python -m benchmarks.resource_pool [worlds]``.

Every replicate of `resource_pool` is one world, run under every rule; differences are paired within worlds. The first
period has the same members and the same jobs under all rules, so its shares are those of one and the same games.
"""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
from scipy.stats import spearmanr

from celluler_sim.analysis.ordering import Interval, interval
from celluler_sim.analysis.pools import pool_figures
from celluler_sim.economy import Economy
from celluler_sim.mechanisms.sharing import NormalisedMarginal, Shapley
from celluler_sim.results import Run
from celluler_sim.scenario import compose

if TYPE_CHECKING:
    from celluler_sim.institutions.pools_running import RunningPools

RULES = ("shapley", "equal", "proportional", "normalised_marginal")
QUIET = ("record.transfers=false", "record.agents_every=0", "record.optimum_every=0")
FIGURES = (
    "pool_membership_share", "served_capacity_share", "pool_exits", "pool_better_outside_share",
    "pool_blocking_share", "first_underpaid_share",
)  # fmt: skip
NOISE = 1e-9  # of the worth of all: differences below are rounding


def outcome(job: tuple[str, int, tuple[str, ...]]) -> np.ndarray:
    """Run one world under one rule; return its figures, (n_figures,) as `FIGURES`."""
    rule, replicate, more = job
    e = Economy(compose("resource_pool", [f"sharing={rule}", *QUIET, *more, f"replicate={replicate}"]))
    for _ in range(e.setup.ticks):
        e.step()
    e.close()
    tables = Run(config={}, manifest={}, summary={}, source=e.recorder).tables
    markets, members = tables["markets"], tables["pool_members"]
    first = members[(members["period"] == 0) & (members["pool"] >= 0)]
    capacity = float(cast("RunningPools", e.institutions[0]).register.amount[:, 0].sum())
    found = pool_figures(tables) | {
        "served_capacity_share": float(markets["busy"].mean()) / capacity,
        "first_underpaid_share": float(first["better_outside"].mean()) if len(first) else np.nan,
    }
    return np.array([np.nan if found[f] is None else found[f] for f in FIGURES])


def outcomes(
    replicates: int, rules: tuple[str, ...] = RULES, more: tuple[str, ...] = (), workers: int = 2
) -> dict[str, list[np.ndarray]]:
    """Return by rule one outcome a world."""
    jobs = [(rule, r, more) for r in range(replicates) for rule in rules]
    if workers == 1:
        found = list(map(outcome, jobs))
    else:
        with ProcessPoolExecutor(workers) as pool:
            found = list(pool.map(outcome, jobs, chunksize=len(rules)))
    return {rule: found[k :: len(rules)] for k, rule in enumerate(rules)}


def figure(found: dict[str, list[np.ndarray]], rule: str, name: str) -> np.ndarray:
    """Return one figure under one rule, (replicates,)."""
    return np.array([one[FIGURES.index(name)] for one in found[rule]])


class Shortcut(NamedTuple):
    """What the seed's shortcut does to the members of the first period's games."""

    scaled_down: float  # share of the members whose pool's last marginals sum to more than there is
    underpaid_there: float  #    share of these members that get less than their worth alone
    underpaid_elsewhere: float  # the same of the others
    scaled_below: float  # share of the underpaid that add at least their worth alone, but are scaled below it
    against_self_sufficient: (
        float  # rank correlation, in pools scaled down, of share and worth alone over Shapley value
    )


def shortcut(replicates: int, more: tuple[str, ...] = ()) -> Shortcut:
    """Look at every pool's first game: who is underpaid by v(N) m_i / sum of m, and by which of its two steps."""
    rows = np.concatenate([_members_of_first_games(r, more) for r in range(replicates)])
    alone, marginal, share, fair, scale = rows.T
    underpaid, down = alone > share + NOISE, scale < 1
    some = down & (fair > 0)
    return Shortcut(
        float(down.mean()),
        float(underpaid[down].mean()), float(underpaid[~down].mean()),
        float((marginal >= alone - NOISE)[underpaid].mean()),
        float(spearmanr(share[some] / fair[some], alone[some] / fair[some]).statistic),
    )  # fmt: skip


def _members_of_first_games(replicate: int, more: tuple[str, ...]) -> np.ndarray:
    """Return (n_members, 5): worth alone, last marginal, shortcut and Shapley value over v(N); and v(N) / sum of m."""
    e = Economy(compose("resource_pool", [*QUIET, *more, f"replicate={replicate}"]))
    pools, games = cast("RunningPools", e.institutions[0]), []
    pools.books.record = lambda period, found, alone, tick: games.extend(d.game for d in found.values())  # type: ignore[method-assign]  # noqa: ARG005
    while not games:
        e.step()
    rng, rows = np.random.default_rng(0), [np.empty((0, 5))]
    for g in games:
        if g.grand > 0:
            short, fair = (rule.shares(g, rng).value for rule in (NormalisedMarginal(), Shapley()))
            whole = g.last_marginals.sum()
            scale = np.full(g.n, g.grand / whole if whole > NOISE * g.grand else np.inf)
            rows.append(np.column_stack([*(np.stack([g.alone, g.last_marginals, short, fair]) / g.grand), scale]))
    return np.concatenate(rows)


def main() -> None:
    """Print the tables; fail unless what the documentation says of the rules holds."""
    replicates = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    found = outcomes(replicates, more=tuple(sys.argv[2:]))
    for name in FIGURES:
        print(f"\n{name}: {replicates} worlds, 95 % intervals")
        for rule in RULES:
            own = figure(found, rule, name)
            paired = interval(own - figure(found, "shapley", name))
            print(f"  {rule:<22} {_shown(interval(own)):>28}   less shapley {_shown(paired):>28}")
    print("\nthe shortcut in the first period's games:", shortcut(replicates, tuple(sys.argv[2:])))
    _assert_as_documented(found)


def _assert_as_documented(found: dict[str, list[np.ndarray]]) -> None:
    """Fail unless fewer stay and less is served under every other rule than under the Shapley value."""
    for rule in RULES[1:]:
        for name in ("pool_membership_share", "served_capacity_share"):
            less = interval(figure(found, rule, name) - figure(found, "shapley", name))
            assert less.high < 0 or len(found[rule]) < 30, (rule, name, less)


def _shown(x: Interval) -> str:
    return f"{x.mean:.3f} [{x.low:.3f}, {x.high:.3f}]"


if __name__ == "__main__":
    main()
