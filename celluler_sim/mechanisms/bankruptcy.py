"""Dividing an estate that does not reach all claims: the rules of the Talmud and its readers.

Every rule takes an estate, a number >= 0, and claims, (n,) >= 0, that sum to at least the estate, and returns
awards, (n,), between 0 and the claims, that sum to the estate. Survey: Thomson (2003).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Floats
from celluler_sim.mechanisms.filling import max_min
from celluler_sim.mechanisms.game_forms import bankruptcy_game
from celluler_sim.mechanisms.games import GameError
from celluler_sim.mechanisms.shapley import exact_shapley


def _checked(estate: float, claims: npt.ArrayLike) -> Floats:
    """Return the claims, or raise `GameError` where there is nothing to divide by these rules."""
    c = np.asarray(claims, dtype=np.float64)
    sound = c.ndim == 1 and c.size and np.all(np.isfinite(c) & (c >= 0)) and 0 <= estate <= c.sum() * (1 + 1e-12)
    if not sound:
        raise GameError(f"bankruptcy must have claims >= 0 that reach the estate >= 0, got {estate:g}, {c.tolist()}")
    return c


def proportional(estate: float, claims: npt.ArrayLike) -> Floats:
    """Return the same part of every claim."""
    c = _checked(estate, claims)
    return c * (estate / c.sum()) if estate else np.zeros(c.shape)


def equal_awards(estate: float, claims: npt.ArrayLike) -> Floats:
    """Return constrained equal awards: the same for all, but nobody more than its claim."""
    return max_min(estate, _checked(estate, claims))


def equal_losses(estate: float, claims: npt.ArrayLike) -> Floats:
    """Return constrained equal losses: everybody loses the same, but nobody more than its claim."""
    c = _checked(estate, claims)
    return c - max_min(float(c.sum()) - estate, c)


def talmud(estate: float, claims: npt.ArrayLike) -> Floats:
    """Return the Talmud's division: equal awards of half claims up to half of all, equal losses of halves above.

    It is the only one under which any two claimants divide what they get together as the contested garment is divided,
    and the nucleolus of the bankruptcy game (Aumann and Maschler 1985).

    >>> talmud(200, [100, 200, 300])
    array([50., 75., 75.])
    """
    c = _checked(estate, claims)
    half = c / 2
    if estate <= half.sum():
        return max_min(estate, half)
    return c - max_min(float(c.sum()) - estate, half)


def piniles(estate: float, claims: npt.ArrayLike) -> Floats:
    """Return the reading of Piniles (1861): equal awards of half claims, then equal awards of the others."""
    half = _checked(estate, claims) / 2
    if estate <= half.sum():
        return max_min(estate, half)
    return half + max_min(estate - float(half.sum()), half)


def random_arrival(estate: float, claims: npt.ArrayLike) -> Floats:
    """Return the average over all orders in which claimants could come and be paid in full while money lasts.

    It is the Shapley value of the bankruptcy game (O'Neill 1982); <= 24 claimants.
    """
    return exact_shapley(bankruptcy_game(estate, _checked(estate, claims)))


def adjusted_proportional(estate: float, claims: npt.ArrayLike) -> Floats:
    """Return what nobody else claims, and the rest in proportion to what is then left of the claims.

    A claim counts for no more than the estate (Curiel, Maschler and Tijs 1987).
    """
    c = _checked(estate, claims)
    conceded = np.maximum(0.0, estate - (c.sum() - c))
    left = estate - float(conceded.sum())
    still = np.minimum(c - conceded, left)
    return np.asarray(conceded + (still * (left / still.sum()) if left > 0 else 0.0))


RULES: Mapping[str, Callable[[float, npt.ArrayLike], Floats]] = {
    "proportional": proportional,
    "constrained_equal_awards": equal_awards,
    "constrained_equal_losses": equal_losses,
    "talmud": talmud,
    "piniles": piniles,
    "random_arrival": random_arrival,
    "adjusted_proportional": adjusted_proportional,
}
