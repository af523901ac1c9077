"""How the error of sampled Shapley values falls with the number of orders, beside the line that theory draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from celluler_sim.analysis import drawing as d
from celluler_sim.book import Floats

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from celluler_sim.mechanisms.games import CoalitionalGame

WAYS = {"plain": (False, False), "antithetic": (True, False), "stratified": (False, True)}


class Convergence(NamedTuple):
    """Root mean square error over members and repetitions, by way of sampling."""

    orders: list[int]
    error: dict[str, Floats]  # (n_orders,) by way
    theory: Floats  # (n_orders,) of plain sampling: sigma / sqrt(orders)


def convergence(game: CoalitionalGame, orders: Sequence[int], *, repetitions: int = 30, seed: int = 1) -> Convergence:
    """Sample a game's Shapley value with each number of orders and compare with the exact one.

    Parameters
    ----------
    game
        With a worth that can be tabled, so that the exact value is known.
    orders
        Numbers of orders; each way takes the next larger multiple of what it takes together.
    repetitions
        Independent samples behind each mean square.

    Returns
    -------
    Convergence
        ``theory`` has sigma^2, the variance of one order's marginal, mean over members, from 4,096 orders of its own
        (Castro, Gómez and Tejada 2009): the error of m independent orders is sigma / sqrt(m).
    """
    from celluler_sim.mechanisms.shapley import exact_shapley
    from celluler_sim.mechanisms.shapley_sampling import Plan, marginals, random_orders, sample_values

    exact = exact_shapley(game)
    rng = np.random.default_rng([seed, 0])
    sigma2 = marginals(game, random_orders(game, rng, 4_096)).var(axis=0).mean()
    error: dict[str, Floats] = {}
    for number, (way, (antithetic, stratified)) in enumerate(WAYS.items(), 1):
        rows = []
        for m in orders:
            plan = Plan(max_orders=m, antithetic=antithetic, stratified=stratified)
            draws = [
                sample_values(game, np.random.default_rng([seed, number, m, k]), plan).value for k in range(repetitions)
            ]
            rows.append(np.sqrt(np.mean((np.array(draws) - exact) ** 2)))
        error[way] = np.array(rows)
    return Convergence(list(orders), error, np.sqrt(sigma2 / np.array(orders, float)))


def draw(found: Convergence) -> Figure:
    """Draw error against orders, both on logarithmic axes."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7.0, 4.2), constrained_layout=True)
    for (way, error), colour in zip(found.error.items(), d.PALETTE, strict=False):
        axes.loglog(found.orders, error, marker="o", color=colour, label=way)
    axes.loglog(found.orders, found.theory, color=d.INK, linestyle="--", label="theory: sigma / sqrt(orders)")
    axes.set_xlabel("orders of the members sampled")
    axes.set_ylabel("root mean square error, worth")
    axes.grid(visible=True, which="major", color=d.GRID)
    axes.legend(frameon=False)
    return figure
