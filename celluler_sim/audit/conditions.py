"""The conditions of an audit: the baseline, and the changes that a finding must survive, as overrides."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from celluler_sim.audit.config import Claim
from celluler_sim.scenario import Scenario, compose

BASE = "base"  # the scenario itself, beside its variants
BASELINE = "baseline"
FRESH = 1_000_003  # replicates are numbered from here on where random streams are to be fresh
Point = tuple[tuple[str, Any], ...]  # keys and values of the configuration, sorted by key


@dataclass(frozen=True)
class Condition:
    """One way to run a scenario."""

    name: str  # as shown: "order: activation"
    change: str  # of `CHANGES`; empty for the baseline
    overrides: tuple[str, ...] = ()
    first: int = 0  # number of its first replicate


def conditions(setup: Scenario, wanted: Sequence[str]) -> list[Condition]:
    """Return the baseline and what the changes wanted consist of; those that the scenario skips are left out."""
    half = (f"tick_seconds={setup.tick_seconds / 2}", f"ticks={setup.ticks * 2}")
    doubled = tuple(f"{key}={round(2 * number(setup, key))}" for key in setup.audit.population if number(setup, key))
    found = [
        Condition("repeat", "repeat"),
        Condition("order: activation", "order", ("disturb.activation=1",)),
        Condition("order: arrival", "order", ("disturb.arrival=1",)),
        Condition("labels", "labels", ("disturb.labels=1",)),
        Condition("streams", "streams", (), FRESH),
        Condition("half the tick", "tick", half),
        Condition("twice the population", "population", doubled),
    ]
    return [Condition(BASELINE, "")] + [
        c
        for c in found
        if c.change in wanted and c.change not in setup.audit.skip and (c.overrides or c.change in FREE)
    ]


FREE = ("repeat", "streams")  # changes that need no override


def points(claim: Claim) -> list[Point]:
    """Return the configurations that a claim speaks of: every combination of the values in its ``where``."""
    keys = sorted(claim.where)
    return [tuple(zip(keys, values, strict=True)) for values in itertools.product(*(claim.where[k] for k in keys))]


def number(scenario: Scenario, key: str) -> float:
    """Return the number under a key of the configuration, 0 where there is none."""
    found: Any = scenario.to_mapping()
    for part in key.split("."):
        found = found.get(part, 0) if isinstance(found, Mapping) else 0
    return float(found)


def words(point: Point) -> tuple[str, ...]:
    """Return the overrides that set a point."""
    return tuple(f"{key}={_word(value)}" for key, value in point)


def _word(value: float | bool | str) -> str:
    """Return a value as one writes it; a whole number without its point, since a key may take no other."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


@dataclass(frozen=True)
class Setting:
    """One configuration of an audit: a condition, a point, a variant."""

    condition: Condition
    point: Point
    variant: str

    def overrides(self, given: Sequence[str]) -> list[str]:
        """Return all overrides, without the variant's own."""
        return [*given, *words(self.point), *self.condition.overrides]

    def scenario(self, name: str | Path, given: Sequence[str]) -> Scenario:
        """Compose it."""
        base = compose(name, self.overrides(given))
        return base if self.variant == BASE else base.variant(self.variant)


def settings(claims: Mapping[str, Claim], conditions: Sequence[Condition]) -> Iterator[Setting]:
    """Yield every configuration that some claim needs, once."""
    needed = dict.fromkeys(
        (point, variant)
        for claim in claims.values()
        for point in points(claim)
        for variant in (claim.variant or BASE, claim.minus)
        if variant
    )
    for condition in conditions:
        for point, variant in needed:
            if any(condition.change not in c.skip for c in claims.values()):
                yield Setting(condition, point, variant)
