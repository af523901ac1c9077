"""The Shapley value (and those of Owen and Banzhaf) by sampling, with standard errors.

One random order of the members gives each of them one marginal contribution, and these sum to the worth of all, so
every estimate is unbiased and shares out exactly the worth of all (Castro, Gómez and Tejada 2009). Two variants lower
the variance, and can be combined:

* antithetic: each order is taken with its reverse, in which whoever came early comes late (Mitchell, Cooper, Frank and
  Holmes 2022). A synergy of two members is then split exactly.
* stratified: each order is taken with all its n rotations, in which everybody stands at every place exactly once
  (after Maleki, Tran-Thanh, Hines, Rahwan and Rogers 2013; here each order still shares out everything).

Orders taken together depend on one another; their mean is one *unit*. Units are independent, so the standard error is
that of their mean, and Student's t with units - 1 degrees of freedom gives the interval.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Floats
from celluler_sim.mechanisms import coalitions
from celluler_sim.mechanisms.games import CoalitionalGame
from celluler_sim.mechanisms.shares import Shares

Orders = npt.NDArray[np.int64]
Draw = Callable[[np.random.Generator, int], Floats]  # (rng, units) -> (units, n) one estimate a unit

BATCH = 1 << 19  # coalitions evaluated in one call, at most
PILOT_ORDERS, PILOT_UNITS = 128, 16  # at least so many are drawn before the number still needed is first foretold
MARGIN = 1.05  # by which the number foretold is raised: most runs then stop at the second look


@dataclass(frozen=True)
class Plan:
    """How to sample, and when to stop."""

    tolerance: float = 0.0  # stop once every standard error is at most this share of the sum of the shares' sizes
    max_orders: int = 100_000  # stop in any case, at least two units
    antithetic: bool = True
    stratified: bool = False

    def orders_per_unit(self, n: int) -> int:
        """Return how many orders are taken together."""
        return (n if self.stratified else 1) * (2 if self.antithetic else 1)


def random_orders(game: CoalitionalGame, rng: np.random.Generator, count: int, *, unions: bool = False) -> Orders:
    """Return ``count`` random orders of the members, (count, n); with ``unions`` each union stays together."""
    key = rng.random((count, game.n))
    if not unions or game.unions is None:
        return np.argsort(key, axis=1)
    union_of = np.empty(game.n, np.int64)
    for k, union in enumerate(game.unions):
        union_of[list(union)] = k
    place = np.argsort(np.argsort(rng.random((count, len(game.unions))), axis=1), axis=1)
    return np.argsort(place[:, union_of] + key, axis=1)


def marginals(game: CoalitionalGame, orders: Orders) -> Floats:
    """Return each member's marginal contribution in each order, (m, n), by member."""
    m, n = orders.shape
    worth = np.zeros((m, n + 1))
    worth[:, n] = game.grand
    if n > 1:
        worth[:, 1:n] = game.evaluate(_prefixes(orders)).reshape(m, n - 1)
    found = np.empty((m, n))
    np.put_along_axis(found, orders, np.diff(worth, axis=1), axis=1)
    return found


def _prefixes(orders: Orders) -> npt.NDArray[np.uint64]:
    """Return the first 1, 2 ... n - 1 members of each order, (m * (n - 1),) or (m * (n - 1), words)."""
    m, n = orders.shape
    bit = np.uint64(1) << (orders[:, :-1] % coalitions.WORD).astype(np.uint64)
    if n <= coalitions.WORD:
        return np.cumsum(bit, axis=1, dtype=np.uint64).ravel()
    words = coalitions.words(n)
    spread = np.zeros((m, n - 1, words), np.uint64)
    np.put_along_axis(spread, orders[:, :-1, None] // coalitions.WORD, bit[:, :, None], axis=2)
    return np.cumsum(spread, axis=1, dtype=np.uint64).reshape(m * (n - 1), words)


def sample_values(
    game: CoalitionalGame, rng: np.random.Generator, plan: Plan, *, unions: bool = False
) -> Shares:  # fmt: skip
    """Return the sampled Shapley value, or with ``unions`` the sampled Owen value (random orders of the unions)."""
    together = plan.orders_per_unit(game.n)

    def draw(rng: np.random.Generator, units: int) -> Floats:
        orders = random_orders(game, rng, units, unions=unions)
        if plan.stratified:
            turned = (np.arange(game.n)[:, None] + np.arange(game.n)) % game.n
            orders = orders[:, turned].reshape(-1, game.n)
        found = marginals(game, orders)
        if plan.antithetic:
            found = (found + marginals(game, orders[:, ::-1])) / 2
        return np.asarray(found.reshape(units, -1, game.n).mean(axis=1))

    return run(draw, rng, plan, together, together * max(game.n - 1, 1))


def sample_banzhaf(game: CoalitionalGame, rng: np.random.Generator, plan: Plan) -> Shares:
    """Return the sampled Banzhaf value, not normalised: everybody's marginal to random coalitions of the others.

    Antithetic: a coalition is taken with its complement. There are no strata.
    """

    def draw(rng: np.random.Generator, units: int) -> Floats:
        there = rng.random((units, game.n)) < 0.5
        found = _toggled(game, there)
        return (found + _toggled(game, ~there)) / 2 if plan.antithetic else found

    together = 2 if plan.antithetic else 1
    return run(draw, rng, plan, together, together * (game.n + 1))


def _toggled(game: CoalitionalGame, there: npt.NDArray[np.bool_]) -> Floats:
    """Return v(S with i) - v(S without i) for each coalition S, (m, n) boolean, and member i, (m, n)."""
    m, n = there.shape
    other = there[:, None, :] ^ np.eye(n, dtype=np.bool_)
    toggled = game.evaluate(coalitions.masks_of(other.reshape(m * n, n))).reshape(m, n)
    change = toggled - game.evaluate(coalitions.masks_of(there))[:, None]
    return np.where(there, -change, change)


def run(
    draw: Draw, rng: np.random.Generator, plan: Plan, orders_per_unit: int, coalitions_per_unit: int
) -> Shares:  # fmt: skip
    """Draw units until every standard error is small enough, or ``max_orders`` are used up.

    1. Draw a pilot of 128 orders, at least 16 units.
    2. From the largest standard error foretell how many units are needed in all; draw those; repeat until it fits.

    The few looks keep the stopping rule from picking moments at which the error happens to look small.
    """
    most = max(plan.max_orders // orders_per_unit, 2)
    batch = max(1, BATCH // coalitions_per_unit)
    wanted, tally = min(max(PILOT_UNITS, PILOT_ORDERS // orders_per_unit), most), _Tally()
    while True:
        while tally.units < wanted:
            tally.add(draw(rng, min(batch, wanted - tally.units)))
        error = tally.standard_error()
        largest, allowed = float(error.max()), plan.tolerance * float(np.abs(tally.mean).sum())
        if tally.units >= most or largest <= allowed:
            return Shares(tally.mean, error, tally.units * orders_per_unit, tally.units - 1)
        needed = MARGIN * tally.units * (largest / allowed) ** 2 if allowed else most
        wanted = max(tally.units + 1, int(min(needed, most)))


class _Tally:
    """Mean and variance of the units so far, batch by batch (Chan, Golub and LeVeque 1983)."""

    def __init__(self) -> None:
        self.units = 0
        self.mean: Floats = np.zeros(1)
        self._squares: Floats = np.zeros(1)  # sums of squared differences from the mean
        self._low: Floats = np.full(1, np.inf)
        self._high: Floats = np.full(1, -np.inf)

    def add(self, units: Floats) -> None:
        """Take in more units, (k, n)."""
        k, mean = len(units), units.mean(axis=0)
        away = mean - self.mean
        whole = self.units + k
        self._squares = self._squares + ((units - mean) ** 2).sum(axis=0) + away**2 * (self.units * k / whole)
        self.mean = self.mean + away * (k / whole)
        self.units = whole
        self._low, self._high = np.minimum(self._low, units.min(axis=0)), np.maximum(self._high, units.max(axis=0))

    def standard_error(self) -> Floats:
        """Return the standard error of each mean, (n,).

        A member whose units never varied is not certain, only unvaried: it is given the standard error of one who
        differs once in k + 2 units by as much as anybody was seen to differ (Laplace's rule of succession).
        """
        k, spread = self.units, self._high - self._low
        error = np.sqrt(self._squares / ((k - 1) * k))
        rare = 1 / (k + 2)
        floor = float(spread.max()) * np.sqrt(rare * (1 - rare) / k)
        unvaried = spread <= 1e-12 * max(float(np.abs(self.mean).max()), float(spread.max()))
        return np.where(unvaried, floor if not unvaried.all() else 0.0, error)
