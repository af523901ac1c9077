"""What a scenario may say of its own conclusions (``claims``), of their audit, and of what disturbs a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from celluler_sim.errors import ScenarioError, require

Test = Literal["greater_than", "less_than", "between", "increasing", "decreasing"]
CHANGES = {
    "repeat": "the same world again: every figure must come out the same",
    "order": "agents act, and their transactions arrive, in another order",
    "labels": "every agent gets another number",
    "streams": "fresh random streams",
    "tick": "ticks of half the length, twice as many",
    "population": "twice the population at equal load",
}  # what a finding must survive, by the name under which claims skip it


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One conclusion of a scenario: a figure of its summary, and what is said of it."""

    statement: str  # the conclusion in words
    metric: str  # a figure of the summary, mean over replicates
    test: Test  # what is said of it; increasing and decreasing: over the values of a key
    value: float | None = None  # for greater_than and less_than
    within: tuple[float, float] | None = None  # for between
    variant: str = ""  # of which variant; of the scenario itself if empty
    minus: str = ""  # variant whose figure in the same world is subtracted; `base` is the scenario itself
    over: str = ""  # key over whose values the figure is increasing or decreasing
    where: dict[str, tuple[float | bool | str, ...]] = field(default_factory=dict)  # values of keys it is said for
    tolerance: float | None = None  # how far a change may move the figure; a tenth of it if not given
    skip: dict[str, str] = field(default_factory=dict)  # change: why the conclusion may depend on it

    def __post_init__(self) -> None:
        """Check that what the test needs is there."""
        if self.test in ("greater_than", "less_than") and self.value is None:
            raise ScenarioError(f"value is required by test {self.test}: give it a number")
        if self.test == "between" and (self.within is None or self.within[0] >= self.within[1]):
            raise ScenarioError(f"within must be [low, high] with low < high for test between, got {self.within}")
        if self.test in ("increasing", "decreasing") and len(self.where.get(self.over, ())) < 2:
            raise ScenarioError(f"over must name a key with at least two values in where, got {self.over!r}")
        if self.tolerance is not None:
            require("tolerance", self.tolerance, above=0)
        known_changes("skip", self.skip)


@dataclass(frozen=True, kw_only=True)
class AuditRules:
    """How a scenario is audited."""

    replicates: int = 20  # worlds per condition
    overrides: tuple[str, ...] = ()  # a smaller or shorter run that carries the same conclusions
    population: tuple[str, ...] = ("agents.providers.count", "agents.consumers.count")  # keys that double it
    skip: dict[str, str] = field(default_factory=dict)  # change: why this scenario cannot be put to it

    def __post_init__(self) -> None:
        """Check ranges and names."""
        require("replicates", self.replicates, at_least=3)
        known_changes("skip", self.skip)


@dataclass(frozen=True, kw_only=True)
class Disturbance:
    """Changes that no conclusion may depend on; each number names one such change, 0 leaves things as they are."""

    labels: int = 0  # agents' numbers are dealt anew
    activation: int = 0  # agents decide in another order within each tick
    arrival: int = 0  # cells are attached to other validators, so that transactions arrive by other ways

    def __post_init__(self) -> None:
        """Check ranges."""
        for name in ("labels", "activation", "arrival"):
            require(name, getattr(self, name), at_least=0)


def known_changes(key: str, skip: dict[str, str]) -> None:
    """Refuse the name of a change that there is not."""
    for name in skip:
        if name not in CHANGES:
            raise ScenarioError(f"{key} must name some of {', '.join(CHANGES)}; got {name}")
