"""Mechanism families, their protocols, and the registry that makes a rule selectable by name.

A mechanism is a frozen dataclass: its fields are its YAML keys, `__post_init__` checks their ranges, and its
one method is pure. ``@register("pricing", "linear")`` makes it selectable as ``pricing=linear``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeVar, runtime_checkable

import numpy as np

from celluler_sim.book import Book, Fills, Floats, Load
from celluler_sim.errors import CellulerError, MechanismError, ScenarioError
from celluler_sim.mechanisms.laws import Law

T = TypeVar("T", bound=type)
Answer = TypeVar("Answer")

_REGISTRY: dict[str, dict[str, type]] = {}


@runtime_checkable
class Pricing(Protocol):
    """Decide what each offer costs, before anything is allocated."""

    claims: ClassVar[frozenset[Law]]

    @property
    def base_price(self) -> float:
        """PRANA per unit, the price before the first quote."""
        ...

    @property
    def window_seconds(self) -> float:
        """Seconds over which utilisation is averaged."""
        ...

    def quote(self, load: Load, ask: Floats) -> Floats:
        """Return PRANA per unit for each offer, (n_offers,). ``ask`` is (n_offers,)."""
        ...

    def time_factor(self, time: Floats) -> Floats:
        """Return the publicly known factor by which the clock alone moves the price, shape of ``time`` (s)."""
        ...


@runtime_checkable
class Allocation(Protocol):
    """Decide who gets how much from whom."""

    claims: ClassVar[frozenset[Law]]

    def allocate(self, book: Book, rng: np.random.Generator) -> Fills:
        """Return the fills; pairs whose price exceeds the bid or whose kinds differ must not be matched."""
        ...


@dataclass(frozen=True)
class When:
    """The condition on a mechanism's parameters under which it claims one more law (its ``claims_when``)."""

    condition: str  # as the table of mechanisms shows it: "cycle is none"
    holds: Callable[[Any], bool]  # of an instance


def claims_of(mechanism: Any) -> frozenset[Law]:
    """Return the laws an instance claims: its class's ``claims`` and those its parameters add by ``claims_when``."""
    further: dict[Law, When] = getattr(mechanism, "claims_when", {})
    return frozenset(mechanism.claims) | {law for law, when in further.items() if when.holds(mechanism)}


def guarded(family: str, rule: object, tick: int, call: Callable[[], Answer]) -> Answer:
    """Return ``call()``, which asks a rule and checks its answer; what goes wrong names the rule and the tick.

    Raises
    ------
    MechanismError
        Whatever the rule raised, on one line, or what the check found. Other errors of this package pass as they are.
    """
    try:
        return call()
    except MechanismError as error:
        raise MechanismError(f"{error} at tick {tick}") from None
    except CellulerError:
        raise
    except Exception as error:
        name, said = getattr(rule, "name", type(rule).__name__), " ".join(str(error).split())
        raise MechanismError(
            f"{family}={name} must not raise, got {type(error).__name__}: {said} at tick {tick}"
        ) from error


def register(family: str, name: str) -> Callable[[T], T]:
    """Make a frozen dataclass selectable as ``family=name``; a name taken twice is refused."""

    def enter(cls: T) -> T:
        taken = _REGISTRY.setdefault(family, {})
        if name in taken and taken[name].__qualname__ != cls.__qualname__:
            raise ScenarioError(
                f"{family}={name} is registered twice, by {taken[name].__module__} and {cls.__module__}"
            )
        taken[name] = cls
        cls.name = name  # type: ignore[attr-defined]
        return cls

    return enter


def registered(family: str) -> dict[str, Any]:
    """Return the classes of one family by name, sorted by name."""
    return dict(sorted(_REGISTRY.get(family, {}).items()))


def families() -> list[str]:
    """Return the names of all families that have a mechanism."""
    return sorted(_REGISTRY)


def summary_line(cls: type) -> str:
    """Return the first line of a mechanism's docstring, for lists."""
    return (cls.__doc__ or "").strip().split("\n")[0]
