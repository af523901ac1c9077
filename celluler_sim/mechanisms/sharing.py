"""Rules that share out what a pool has earned together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np

from celluler_sim.book import Floats
from celluler_sim.errors import ScenarioError, require
from celluler_sim.mechanisms.base import When, register
from celluler_sim.mechanisms.games import TABLE_MEMBERS, CoalitionalGame
from celluler_sim.mechanisms.laws import Law
from celluler_sim.mechanisms.owen import exact_owen, owen_bits
from celluler_sim.mechanisms.projection import bounds, project
from celluler_sim.mechanisms.shapley import exact_banzhaf, exact_shapley, last_marginal_shares
from celluler_sim.mechanisms.shapley_sampling import Plan, sample_banzhaf, sample_values
from celluler_sim.mechanisms.shares import Shares
from celluler_sim.mechanisms.solutions import least_core, nucleolus

METHODS = ("auto", "exact", "sampling")


@runtime_checkable
class Sharing(Protocol):
    """Decide what each member of a pool gets of what all have earned together."""

    claims: ClassVar[frozenset[Law]]

    def shares(self, game: CoalitionalGame, rng: np.random.Generator) -> Shares:
        """Return one share a member, in the unit of the game's worth."""
        ...


def _free(rule: Any) -> bool:
    """Return whether a rule has neither floor nor cap."""
    return rule.floor is None and rule.cap is None


def _unbounded(*laws: Law) -> dict[Law, When]:
    """Return claims that hold where neither floor nor cap is set."""
    return {law: When("floor and cap are null", _free) for law in laws}


@dataclass(frozen=True, kw_only=True)
class SharingRule(ABC):
    """What all sharing rules have in common: floor and cap, kept by moving to the nearest division within them."""

    floor: float | None = None  # least share of the whole that a member gets; null: none
    cap: float | None = None  # largest share of the whole that a member gets; null: none

    claims: ClassVar[frozenset[Law]] = frozenset({Law.PARETO_EFFICIENT, Law.SYMMETRIC})
    claims_when: ClassVar[Mapping[Law, When]] = {}

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.floor is not None:
            require("sharing.floor", self.floor, at_least=0, at_most=1)
        if self.cap is not None:
            require("sharing.cap", self.cap, at_least=0 if self.floor is None else self.floor, at_most=1)

    @abstractmethod
    def divide(self, game: CoalitionalGame, rng: np.random.Generator) -> Shares:
        """Return the shares before floor and cap."""

    def shares(self, game: CoalitionalGame, rng: np.random.Generator) -> Shares:
        """Return one share a member, in the unit of the game's worth; they sum to the worth of all.

        With a floor or a cap they are the nearest division (Euclidean) that keeps to both; standard errors are left as
        they were, since moving to the nearest point of a convex set brings no two divisions further apart.
        """
        found = self.divide(game, rng)
        if self.floor is None and self.cap is None:
            return found
        low, high, relaxed = bounds(game.grand, game.n, self.floor, self.cap)
        return replace(found, value=project(found.value, game.grand, low, high), relaxed=relaxed)


@dataclass(frozen=True, kw_only=True)
class SampledRule(SharingRule, ABC):
    """A rule that is exact for small games and sampled for large ones."""

    method: Literal["auto", "exact", "sampling"] = "auto"  # auto: exact to 24 members or by closed form, else sampling
    tolerance: float = 0.005  # largest standard error at which sampling stops, as a share of what is shared out
    max_samples: int = 100_000  # orders of the members after which sampling stops in any case
    antithetic: bool = True  # take each sampled order with its reverse
    stratified: bool = False  # take each sampled order with its rotations: everybody at every place

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        if self.method not in METHODS:
            raise ScenarioError(f"sharing.method must be one of {', '.join(METHODS)}, got {self.method!r}")
        require("sharing.tolerance", self.tolerance, at_least=0, unit="of what is shared out")
        require("sharing.max_samples", self.max_samples, at_least=2, unit="orders")

    @property
    def plan(self) -> Plan:
        """How the rule samples."""
        return Plan(self.tolerance, self.max_samples, self.antithetic, self.stratified)

    def exactly(self, *, possible: bool) -> bool:
        """Return whether to compute exactly, given whether that is possible at reasonable cost."""
        return self.method == "exact" or (self.method == "auto" and possible)


_EXACT = When("floor and cap are null, method is not sampling", lambda r: _free(r) and r.method != "sampling")
_NOT_SAMPLED = When("method is not sampling", lambda r: r.method != "sampling")


@register("sharing", "shapley")
@dataclass(frozen=True, kw_only=True)
class Shapley(SampledRule):
    """The Shapley value: everybody's marginal contribution, averaged over all orders of arrival.

    References
    ----------
    Shapley (1953), A value for n-person games.
    """

    claims: ClassVar[frozenset[Law]] = frozenset({Law.PARETO_EFFICIENT})
    claims_when: ClassVar[Mapping[Law, When]] = {
        Law.SYMMETRIC: _NOT_SAMPLED,
        **_unbounded(Law.NULL_PLAYER, Law.PARTICIPATION, Law.IN_CORE_IF_CONVEX),
        **dict.fromkeys((Law.ADDITIVE, Law.STRONGLY_MONOTONE, Law.AGGREGATE_MONOTONE), _EXACT),
    }

    def divide(self, game: CoalitionalGame, rng: np.random.Generator) -> Shares:
        """Return the Shapley value, exactly or sampled."""
        if self.exactly(possible=game.n <= TABLE_MEMBERS or game.shapley_value is not None):
            return Shares.exact(exact_shapley(game))
        return sample_values(game, rng, self.plan)


@register("sharing", "owen")
@dataclass(frozen=True, kw_only=True)
class Owen(SampledRule):
    """The Owen value: the Shapley value over those orders in which each of the game's unions arrives together.

    Without unions it is the Shapley value.

    References
    ----------
    Owen (1977), Values of games with a priori unions.
    """

    claims: ClassVar[frozenset[Law]] = frozenset({Law.PARETO_EFFICIENT})
    claims_when: ClassVar[Mapping[Law, When]] = {
        Law.SYMMETRIC: _NOT_SAMPLED,
        **_unbounded(Law.NULL_PLAYER, Law.PARTICIPATION, Law.IN_CORE_IF_CONVEX),
        **dict.fromkeys((Law.ADDITIVE, Law.STRONGLY_MONOTONE, Law.AGGREGATE_MONOTONE), _EXACT),
    }

    def divide(self, game: CoalitionalGame, rng: np.random.Generator) -> Shares:
        """Return the Owen value, exactly or sampled."""
        if self.exactly(possible=owen_bits(game) <= TABLE_MEMBERS):
            return Shares.exact(exact_owen(game))
        return sample_values(game, rng, self.plan, unions=True)


def _scaled(value: Shares, grand: float) -> Shares:
    """Return values multiplied so that they sum to ``grand``; equal shares, not defined, where they sum to 0."""
    whole = float(value.value.sum())
    if abs(whole) <= 1e-12 * max(1.0, float(np.abs(value.value).max())):
        return _equal(grand, len(value.value), defined=False)
    factor = grand / whole
    return replace(value, value=value.value * factor, standard_error=value.standard_error * abs(factor))


def _equal(grand: float, n: int, *, defined: bool = True) -> Shares:
    """Return the same for all."""
    return Shares.exact(np.full(n, grand / n), defined=defined)


@register("sharing", "banzhaf")
@dataclass(frozen=True, kw_only=True)
class Banzhaf(SampledRule):
    """The Banzhaf value: the marginal contribution averaged over all coalitions of the others, scaled to the whole.

    Unscaled (`normalised` is false) the values need not sum to what there is to share. There are no strata.

    References
    ----------
    Banzhaf (1965), Weighted voting doesn't work. Dubey and Shapley (1979), Mathematical properties of the Banzhaf
    power index.
    """

    normalised: bool = True  # whether to scale the values so that they sum to what is shared out

    claims: ClassVar[frozenset[Law]] = frozenset()
    claims_when: ClassVar[Mapping[Law, When]] = {
        Law.PARETO_EFFICIENT: When(
            "normalised, or floor or cap is set", lambda rule: rule.normalised or not _free(rule)
        ),
        Law.SYMMETRIC: _NOT_SAMPLED,
        Law.NULL_PLAYER: When("floor and cap are null, not normalised", lambda r: _free(r) and not r.normalised),
        Law.STRONGLY_MONOTONE: When("floor and cap are null, not normalised", lambda r: _free(r) and not r.normalised),
        Law.ADDITIVE: When(
            "floor and cap are null, not normalised, method is not sampling",
            lambda rule: _EXACT.holds(rule) and not rule.normalised,
        ),
    }

    def divide(self, game: CoalitionalGame, rng: np.random.Generator) -> Shares:
        """Return the Banzhaf value, exactly or sampled, scaled or not."""
        if self.exactly(possible=game.n <= TABLE_MEMBERS or game.banzhaf_value is not None):
            found = Shares.exact(exact_banzhaf(game))
        else:
            found = sample_banzhaf(game, rng, self.plan)
        return _scaled(found, game.grand) if self.normalised else found


@register("sharing", "normalised_marginal")
@dataclass(frozen=True, kw_only=True)
class NormalisedMarginal(SharingRule):
    """The seed's shortcut: shares in proportion to what the absence of one member would cost; not the Shapley value.

    Where nobody alone is missed (a majority of three) it divides 0 by 0; then all get the same, and the answer says
    that the rule is not defined.
    """

    def divide(self, game: CoalitionalGame, rng: np.random.Generator) -> Shares:  # noqa: ARG002 - exact
        """Return the normalised last marginal contributions."""
        found = last_marginal_shares(game)
        return _equal(game.grand, game.n, defined=False) if found is None else Shares.exact(found)


@register("sharing", "equal")
@dataclass(frozen=True, kw_only=True)
class Equal(SharingRule):
    """The same for everybody."""

    claims: ClassVar[frozenset[Law]] = frozenset(
        {Law.PARETO_EFFICIENT, Law.SYMMETRIC, Law.ADDITIVE, Law.AGGREGATE_MONOTONE}
    )

    def divide(self, game: CoalitionalGame, rng: np.random.Generator) -> Shares:  # noqa: ARG002 - exact
        """Return equal shares."""
        return _equal(game.grand, game.n)


@register("sharing", "proportional")
@dataclass(frozen=True, kw_only=True)
class Proportional(SharingRule):
    """In proportion to what each brought; to what each earns alone in a game that does not say what was brought.

    Where nobody brought anything, or somebody's own worth is negative, all get the same, and the answer says that the
    rule is not defined.
    """

    claims_when: ClassVar[Mapping[Law, When]] = _unbounded(Law.AGGREGATE_MONOTONE)

    def divide(self, game: CoalitionalGame, rng: np.random.Generator) -> Shares:  # noqa: ARG002 - exact
        """Return the proportional shares."""
        brought: Floats = game.alone if game.contribution is None else game.contribution
        if brought.min() < 0 or brought.sum() <= 0:
            return _equal(game.grand, game.n, defined=False)
        return Shares.exact(game.grand * (brought / brought.sum()))


@register("sharing", "nucleolus")
@dataclass(frozen=True, kw_only=True)
class Nucleolus(SharingRule):
    """The division that makes the worst-treated coalition's complaint smallest, then the next; to 20 members.

    References
    ----------
    Schmeidler (1969), The nucleolus of a characteristic function game.
    """

    claims_when: ClassVar[Mapping[Law, When]] = _unbounded(
        Law.NULL_PLAYER, Law.PARTICIPATION, Law.IN_CORE_IF_CONVEX, Law.IN_CORE_IF_NONEMPTY
    )

    def divide(self, game: CoalitionalGame, rng: np.random.Generator) -> Shares:  # noqa: ARG002 - exact
        """Return the nucleolus."""
        return Shares.exact(nucleolus(game))


@register("sharing", "least_core")
@dataclass(frozen=True, kw_only=True)
class LeastCore(SharingRule):
    """A division that makes the worst-treated coalition's complaint smallest, the most equal one; to 20 members.

    References
    ----------
    Maschler, Peleg and Shapley (1979), Geometric properties of the kernel, nucleolus, and related solution concepts.
    """

    claims_when: ClassVar[Mapping[Law, When]] = _unbounded(Law.IN_CORE_IF_CONVEX, Law.IN_CORE_IF_NONEMPTY)

    def divide(self, game: CoalitionalGame, rng: np.random.Generator) -> Shares:  # noqa: ARG002 - exact
        """Return the most equal division of the least core."""
        return Shares.exact(least_core(game))
