"""Try to break the laws that a pricing rule claims.

Each check takes a rule and a `Situation` and returns what went wrong, or None. A rule from outside can be tried the
same way: ``broken_claims(MyRule(), situation)`` for situations of one's own choosing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from celluler_sim.book import Floats, Load
from celluler_sim.mechanisms.base import Pricing, claims_of
from celluler_sim.mechanisms.laws import Law

ROUNDING = 1e-9  # relative; what float arithmetic may add to a price
SLOWLY = 0.01  # largest share by which a continuous price moves in a second


@dataclass(frozen=True)
class Situation:
    """One market at one moment, and how to vary it."""

    load: Load
    ask: Floats  # (n_offers,) PRANA per unit
    bid: Floats  # (n_requests,) PRANA per unit
    busier: float  # share of the idle capacity that is in use as well in the busier market, [0, 1]
    later: float  #  s by which the clock is moved
    scale: float  #  > 0, by which money, or quantity, is multiplied


Check = Callable[[Any, Situation], str | None]


def individually_rational(rule: Pricing, s: Situation) -> str | None:
    """Check that what was quoted is a price, is what is paid, and leaves no willing pair worse off.

    A side is willing if the quote suits it. It can still lose if the price is no number, or is another one when asked
    for again (then the trade is not at the price that was agreed to).
    """
    seen, paid = rule.quote(s.load, s.ask), rule.quote(s.load, s.ask)
    if seen.shape != s.ask.shape or not np.all(np.isfinite(seen) & (seen >= 0)):
        return f"quoted {seen.tolist()} for {len(s.ask)} offers, not one finite price >= 0 each"
    willing = (s.bid[:, None] >= seen) & (seen >= s.ask)
    loses = willing & ((s.bid[:, None] < paid) | (paid < s.ask))
    return f"quoted {seen.tolist()}, then took {paid.tolist()}" if loses.any() or (seen != paid).any() else None


def homogeneous(rule: Pricing, s: Situation) -> str | None:
    """Check that scaling all money scales the quote, and scaling all capacity leaves it as it is.

    A rule's money is its ``base_price`` and the fields whose metadata give a unit in PRANA.
    """
    k, quote = s.scale, rule.quote(s.load, s.ask)
    money = {
        f.name: k * getattr(rule, f.name)
        for f in fields(rule)  # type: ignore[arg-type]
        if f.name == "base_price" or str(f.metadata.get("unit", "")).startswith("PRANA")
    }
    dearer: Pricing = replace(rule, **money)  # type: ignore[type-var]
    scaled = dearer.quote(replace(s.load, last_price=k * s.load.last_price), k * s.ask)
    if not np.allclose(scaled, k * quote, rtol=ROUNDING, atol=0):
        return f"{k:g} times the money turned {quote.tolist()} into {scaled.tolist()}"
    larger = rule.quote(replace(s.load, used=k * s.load.used, capacity=k * s.load.capacity), s.ask)
    if not np.allclose(larger, quote, rtol=ROUNDING, atol=0):
        return f"{k:g} times the capacity turned {quote.tolist()} into {larger.tolist()}"
    return None


def monotone_in_load(rule: Pricing, s: Situation) -> str | None:
    """Check that no price is lower in a busier market, whether now, over the window, or both."""
    quote = rule.quote(s.load, s.ask)
    used = s.load.used + s.busier * (s.load.capacity - s.load.used)
    utilisation = s.load.utilisation + s.busier * (1 - s.load.utilisation)
    for change in ({"used": used}, {"utilisation": utilisation}, {"used": used, "utilisation": utilisation}):
        busier = rule.quote(replace(s.load, **change), s.ask)
        if np.any(busier < quote * (1 - ROUNDING)):
            return f"with {change} instead of {s.load} the price fell from {quote.tolist()} to {busier.tolist()}"
    return None


def continuous_in_time(rule: Pricing, s: Situation) -> str | None:
    """Check the second in which the rule's own `time_factor` moves most within one window, and that it tells the truth.

    The second quote is made one second after the first and knows it as the last price.
    """
    times = s.load.time + np.arange(int(rule.window_seconds) + 2.0)
    factor = rule.time_factor(times)
    steepest = int(np.argmax(np.abs(np.diff(factor)) / np.abs(factor[:-1])))
    first = replace(s.load, time=float(times[steepest]))
    before = rule.quote(first, s.ask)
    last = float(np.mean(before)) if len(before) else first.last_price
    after = rule.quote(replace(first, time=first.time + 1.0, elapsed=1.0, last_price=last), s.ask)
    if np.any(np.abs(after - before) > SLOWLY * np.abs(before)):
        return f"from {first.time:g} s a second moved the price from {before.tolist()} to {after.tolist()}"
    earlier, later = s.load.time, s.load.time + s.later
    told = rule.time_factor(np.array([earlier, later]))
    seen = [rule.quote(replace(s.load, time=time), s.ask) for time in (earlier, later)]
    if not np.allclose(seen[0] * told[1], seen[1] * told[0], rtol=ROUNDING, atol=0):
        return f"time_factor told {told.tolist()} for prices {seen[0].tolist()} and {seen[1].tolist()}"
    return None


def stationary(rule: Pricing, s: Situation) -> str | None:
    """Check that the same load at another time of day costs the same."""
    now, later = rule.quote(s.load, s.ask), rule.quote(replace(s.load, time=s.load.time + s.later), s.ask)
    if not np.allclose(now, later, rtol=ROUNDING, atol=0):
        return f"{s.later:g} s later the price was {later.tolist()} instead of {now.tolist()}"
    return None


def bounded(rule: Any, s: Situation) -> str | None:
    """Check the quote against the rule's own `price_bounds`."""
    quote, (low, high) = rule.quote(s.load, s.ask), rule.price_bounds()
    if np.any((quote < low * (1 - ROUNDING)) | (quote > high * (1 + ROUNDING))):
        return f"quoted {quote.tolist()} outside [{low:g}, {high:g}]"
    return None


PRICING_LAW_CHECKS: dict[Law, Check] = {
    Law.INDIVIDUALLY_RATIONAL: individually_rational,
    Law.HOMOGENEOUS: homogeneous,
    Law.MONOTONE_IN_LOAD: monotone_in_load,
    Law.CONTINUOUS_IN_TIME: continuous_in_time,
    Law.STATIONARY: stationary,
    Law.BOUNDED: bounded,
}


def broken_claims(rule: Pricing, situation: Situation) -> list[str]:
    """Return one sentence per claimed law that the situation breaks, and per claim that no check knows."""
    found = []
    for law in sorted(claims_of(rule), key=lambda law: law.name):
        check = PRICING_LAW_CHECKS.get(law)
        complaint = check(rule, situation) if check else "is no law of pricing rules"
        if complaint:
            found.append(f"{type(rule).__name__} claims {law.name}: {complaint}")
    return found
