"""Every error this package raises on purpose: one line with name, rule, value and remedy."""

from __future__ import annotations

import math


class CellulerError(Exception):
    """Base class: catch this to catch them all. The message is one line meant for the user."""


class ScenarioError(CellulerError, ValueError):
    """A scenario asks for something impossible; the message names the key."""


class TraceError(CellulerError, ValueError):
    """A trace file is missing, damaged or of another format; the message names file, line and column."""


class MechanismError(CellulerError, RuntimeError):
    """A mechanism raised or returned something that is no answer; the message names the rule and the tick."""


class ResultsError(CellulerError, OSError):
    """A results folder cannot be read or written."""


class InvariantError(CellulerError, AssertionError):
    """The simulation broke one of its own laws (money, capacity, order); the message names tick and difference."""


def require(
    name: str,
    value: float,
    *,
    above: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
    unit: str = "",
) -> None:
    """Raise `ScenarioError` unless ``value`` is finite and within the bounds given.

    >>> require("pricing.base_price", 100.0, above=0, unit="PRANA per unit")
    >>> require("pricing.base_price", -5, above=0, unit="PRANA per unit")
    Traceback (most recent call last):
    ...
    celluler_sim.errors.ScenarioError: pricing.base_price must be > 0 PRANA per unit, got -5
    """
    bounds = [
        (above, ">", value > above if above is not None else True),
        (at_least, ">=", value >= at_least if at_least is not None else True),
        (at_most, "<=", value <= at_most if at_most is not None else True),
        (below, "<", value < below if below is not None else True),
    ]
    if math.isfinite(value) and all(ok for _, _, ok in bounds):
        return
    rule = " and ".join(f"{sign} {bound:g}" for bound, sign, _ in bounds if bound is not None) or "a finite number"
    raise ScenarioError(f"{name} must be {rule}{' ' + unit if unit else ''}, got {_shown(value)}")


def _shown(value: float) -> str:
    return str(value).removesuffix(".0")
