"""Sharing rules beside public libraries, in one run: ``python -m benchmarks.sharing [--quick]``.

Exact Shapley values beside coopgt and shapiq, and sampled ones beside every estimator of shapiq at equal time. A
library that is not installed is passed over with a word (``pip install celluler-sim[bench]``). Every value is checked.
Times are processor seconds: what else the machine does at the time changes nothing.
"""

from __future__ import annotations

import importlib
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from math import factorial
from types import ModuleType
from typing import Any

import numpy as np

from celluler_sim.mechanisms import coalitions, game_forms
from celluler_sim.mechanisms.games import CoalitionalGame
from celluler_sim.mechanisms.power import WeightedGame
from celluler_sim.mechanisms.shapley import exact_shapley, semivalue, shapley_weights
from celluler_sim.mechanisms.shapley_sampling import Plan, sample_values

Matrix = np.ndarray  # (m, n) boolean: who is in each coalition
VARIANTS = {
    "orders": Plan(antithetic=False),
    "antithetic": Plan(antithetic=True),
    "stratified": Plan(antithetic=False, stratified=True),
    "both": Plan(antithetic=True, stratified=True),
}
TOO_SLOW = ("SPEX", "ProxySPEX")  # of shapiq: 20 s and 2.6 s for 256 coalitions of 40 members, whatever the game


@dataclass(frozen=True)
class Contest:
    """One game for both sides: as a function of masks and of matrices, with its exact Shapley value."""

    name: str
    game: CoalitionalGame
    of_matrix: Callable[[Matrix], np.ndarray]
    exact: np.ndarray


def library(name: str) -> ModuleType | None:
    """Return a library, or None and a word about it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        print(f"{name}: passed over, {error}")
        return None


def seconds(call: Callable[[], Any], tries: int = 1) -> tuple[float, Any]:
    """Return the least time of some tries, and the last answer."""
    best, answer = float("inf"), None
    for _ in range(tries):
        begun = time.process_time()
        answer = call()
        best = min(best, time.process_time() - begun)
    return best, answer


# ---- exact ----------------------------------------------------------------------------------------------------------


def concave(n: int) -> Contest:
    """Return a pool whose worth is the root of its capacity, looked at coalition by coalition."""
    w = np.random.default_rng(n).random(n)
    game = CoalitionalGame(n, lambda masks: np.sqrt(coalitions.coalition_sums(masks, w)))
    return Contest(f"root of capacity, {n} members", game, lambda x: np.sqrt(x @ w), np.zeros(0))


def enumerated(game: CoalitionalGame) -> np.ndarray:
    """Return the Shapley value by looking at every coalition, whatever closed form there is."""
    return semivalue(game, shapley_weights(game.n))


def exact(members: int, most: int) -> None:
    """Print how long exact values take, ours and theirs."""
    power_of_dp = game_forms.weighted_voting(39, [7] * 5 + [1] * 10)
    assert np.allclose(enumerated(power_of_dp)[[0, -1]], [421 / 2145, 4 / 2145], rtol=1e-12)
    contest = concave(members)
    ours, value = seconds(lambda: enumerated(contest.game), tries=5)
    assert abs(value.sum() - contest.game.grand) < 1e-9
    print(f"exact, {members} members: {ours:.3f} s")
    if (shapiq := library("shapiq")) is not None:
        theirs, found = seconds(lambda: shapiq.ExactComputer(contest.of_matrix, members)("SV"))
        got = np.array([found[(i,)] for i in range(members)])
        assert np.allclose(got, value, atol=1e-6), np.abs(got - value).max()
        print(f"  shapiq ExactComputer: {theirs:.1f} s, {theirs / ours:.0f} times as long")
        assert theirs > 20 * ours or members < 20
    if (coopgt := library("coopgt.shapley_value")) is not None:
        _coopgt(coopgt)
    longest, value = seconds(lambda: enumerated(concave(most).game))
    assert abs(value.sum() - concave(most).game.grand) < 1e-9
    print(f"exact, {most} members: {longest:.2f} s")
    assert longest < 5 or most > 24


def _coopgt(coopgt: ModuleType, n: int = 8) -> None:
    """Time coopgt where it comes to an end: it goes through all n! orders."""
    contest = concave(n)
    table = contest.game.table
    worth = {
        tuple(i + 1 for i in range(n) if mask >> i & 1): float(table[mask]) for mask in range(1 << n)
    }  # fmt: skip
    ours, value = seconds(lambda: enumerated(contest.game), tries=5)
    theirs, found = seconds(lambda: coopgt.calculate(characteristic_function=worth))
    assert np.allclose(found, value, atol=1e-9)
    print(f"  coopgt, {n} members: {theirs:.2f} s against {ours:.5f} s, {theirs / ours:.0f} times as long")
    years = theirs * factorial(20) / factorial(n) / 3.15e7
    print(f"  coopgt, 20 members: it would take {years:.0e} years for 20! orders at that speed")


# ---- sampling at equal time -----------------------------------------------------------------------------------------


def contests() -> list[Contest]:
    """Return three games with known values: a vote by stakes, a runway, a pool whose jobs need several members."""
    rng = np.random.default_rng(7)
    stakes = rng.integers(1, 100, 40)
    quota = int(stakes.sum() * 0.67) + 1
    vote = game_forms.weighted_voting(quota, stakes)
    runway = np.sort(rng.gamma(2.0, 10.0, 50))
    shared = game_forms.airport(runway)
    return [
        Contest("vote of 40 stakes", vote, lambda x: (x @ stakes >= quota).astype(float), exact_shapley(vote)),
        Contest("runway of 50", shared, lambda x: (x * runway).max(axis=1), exact_shapley(shared)),
        _pool(rng.integers(5, 60, 30), rng),
    ]


def _pool(capacity: np.ndarray, rng: np.random.Generator) -> Contest:
    """Return a pool that is paid for every job its capacity reaches: the sum of votes, so the values add up."""
    jobs = [(int(d), float(d) ** 1.2) for d in rng.uniform(0.05, 0.9, 12) * capacity.sum()]
    sizes, pays = np.array([d for d, _ in jobs]), np.array([p for _, p in jobs])
    order = np.argsort(sizes)
    steps = np.concatenate(([0.0], np.cumsum(pays[order])))

    def paid(held: np.ndarray) -> np.ndarray:
        return steps[np.searchsorted(sizes[order], held, side="right")]

    exact = sum(pay * WeightedGame.of(size, capacity).shapley_shubik() for size, pay in jobs)
    game = CoalitionalGame(len(capacity), lambda masks: paid(coalitions.coalition_sums(masks, capacity)))
    return Contest("pool of 30, 12 jobs", game, lambda x: paid(x @ capacity), np.asarray(exact))


Estimate = Callable[[int, int], np.ndarray]  # (budget, seed) -> values


def at_equal_time(estimate: Estimate, exact: np.ndarray, limit: float, seeds: int) -> tuple[float, float]:
    """Return (root mean square error, seconds) at the largest budget that stays within ``limit`` seconds.

    Budgets rise by a quarter; each is timed on its own, and the first one twice, since it may compile.
    """
    budget, fitting, took = 256, 0, 0.0
    estimate(budget, 0)
    while True:
        spent, _ = seconds(lambda budget=budget: estimate(budget, 0))
        if spent > limit:
            break
        fitting, took = budget, spent
        budget = int(budget * (1.25 if spent > limit / 4 else 2.0))
    if not fitting:
        return float("inf"), 0.0
    errors = [estimate(fitting, seed) - exact for seed in range(1, seeds + 1)]
    return float(np.sqrt(np.mean(np.square(errors)))), took


def ours(contest: Contest, plan: Plan) -> Estimate:
    """Return our estimator, its budget counted in orders."""

    def estimate(budget: int, seed: int) -> np.ndarray:
        chosen = Plan(0.0, max(budget, 2 * plan.orders_per_unit(contest.game.n)), plan.antithetic, plan.stratified)
        return sample_values(contest.game, np.random.default_rng(seed), chosen).value

    return estimate


def theirs(contest: Contest, cls: Any, options: dict[str, Any]) -> Estimate:
    """Return an estimator of shapiq, its budget counted in coalitions."""
    n = contest.game.n

    def worth(rows: np.ndarray) -> np.ndarray:
        return contest.of_matrix(np.atleast_2d(rows))  # some of theirs ask for one coalition at a time

    def estimate(budget: int, seed: int) -> np.ndarray:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = cls(n=n, random_state=seed, **options).approximate(budget, worth)
        return np.array([found[(i,)] for i in range(n)])

    return estimate


def estimators(shapiq: ModuleType) -> dict[str, tuple[Any, dict[str, Any]]]:
    """Return shapiq's estimators of the Shapley value, those that can pair coalitions both ways."""
    found: dict[str, tuple[Any, dict[str, Any]]] = {}
    for cls in shapiq.approximator.SV_APPROXIMATORS:
        if cls.__name__ in TOO_SLOW:
            continue
        found[cls.__name__] = cls, {}
        if cls.__name__ in ("KernelSHAP", "kADDSHAP", "SVARM", "UnbiasedKernelSHAP"):
            found[f"{cls.__name__} paired"] = cls, {"pairing_trick": True}
    return found


def sampling(limit: float, seeds: int) -> None:
    """Print every estimator's error on three games at equal time; ours must be no worse than the best of theirs."""
    shapiq = library("shapiq")
    for contest in contests():
        assert abs(contest.exact.sum() - contest.game.grand) < 1e-6 * contest.game.grand
        scale = float(np.abs(contest.exact).mean())
        mine = {
            name: at_equal_time(ours(contest, plan), contest.exact, limit, seeds) for name, plan in VARIANTS.items()
        }
        default = mine["antithetic"][0]
        print(f"sampling, {contest.name}, {limit:g} s each; error over the mean share:")
        _show({f"ours, {name}": figures for name, figures in mine.items()}, scale)
        if shapiq is None:
            continue
        other: dict[str, tuple[float, float]] = {}
        for name, (cls, options) in estimators(shapiq).items():
            try:
                other[name] = at_equal_time(theirs(contest, cls, options), contest.exact, limit, seeds)
            except Exception as error:  # noqa: BLE001 - an estimator that cannot do a game is passed over with a word
                print(f"  {name}: passed over, {type(error).__name__}: {str(error)[:80]}")
        _show(other, scale)
        best = min(error for error, _ in other.values())
        print(f"  ours (antithetic) over the best of theirs: {default / best:.3f}")
        assert default <= best, (contest.name, default, best)


def _show(figures: dict[str, tuple[float, float]], scale: float) -> None:
    for name, (error, took) in sorted(figures.items(), key=lambda item: item[1][0]):
        print(f"  {name:<28} {error / scale:.2e}  ({took:.2f} s)")


def run(*, quick: bool = False) -> None:
    """Run both."""
    exact(members=14 if quick else 20, most=20 if quick else 24)
    sampling(limit=0.1 if quick else 0.25, seeds=2 if quick else 5)


if __name__ == "__main__":
    run(quick="--quick" in sys.argv)
