"""Every registered sharing rule keeps the laws it claims; and each check notices a rule that does not."""

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args, get_origin, get_type_hints

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from celluler_sim.mechanisms import sharing
from celluler_sim.mechanisms.base import claims_of, registered
from celluler_sim.mechanisms.games import CoalitionalGame
from celluler_sim.mechanisms.laws import Law
from celluler_sim.mechanisms.shares import Shares
from celluler_sim.mechanisms.sharing_law_checks import SHARING_LAW_CHECKS, Play, broken_claims

patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be busy
RULES = {n: c for n, c in registered("sharing").items() if c.__module__.startswith("celluler_sim.")}
SOLVED = {"least_core", "nucleolus"}


@st.composite
def rules(draw: st.DrawFn, cls: type) -> Any:
    """Return an instance: choices, switches, floor and cap drawn; few orders where it samples."""
    chosen: dict[str, Any] = {}
    for name, hint in get_type_hints(cls).items():
        if get_origin(hint) is Literal:
            chosen[name] = draw(st.sampled_from(get_args(hint)))
        elif hint is bool:
            chosen[name] = draw(st.booleans())
        elif name == "max_samples":
            chosen[name] = 40
    if draw(st.integers(0, 3)) == 0:
        chosen["floor"], chosen["cap"] = draw(st.sampled_from([(0.0, None), (None, 0.5), (0.1, 0.6), (0.0, 0.3)]))
    return cls(**chosen)


@st.composite
def plays(draw: st.DrawFn) -> Play:
    """Return a game of one to five members; few different worths, so that ties are common, or any."""
    n = draw(st.integers(1, 5))
    worth = st.one_of(st.integers(-2, 6).map(float), st.floats(-50.0, 100.0).map(lambda x: round(x, 3)))
    tables = [np.array([0.0, *draw(st.lists(worth, min_size=2**n - 1, max_size=2**n - 1))]) for _ in range(2)]
    brought = np.array(draw(st.lists(st.integers(0, 5), min_size=n, max_size=n)), dtype=np.float64)
    cut = draw(st.integers(0, n))
    unions = draw(st.sampled_from([None, [u for u in (range(cut), range(cut, n)) if len(u)]]))
    return Play(tables[0], tables[1], brought, unions)


def try_to_break(name: str, data: st.DataObject, play: Play) -> None:
    assert broken_claims(data.draw(rules(RULES[name])), play) == []


@pytest.mark.parametrize("name", sorted(RULES.keys() - SOLVED))
@settings(patient, max_examples=60)
@given(data=st.data(), play=plays())
def test_every_claim_holds(name: str, data: st.DataObject, play: Play):
    try_to_break(name, data, play)


@pytest.mark.parametrize("name", sorted(SOLVED))
@settings(patient, max_examples=20)
@given(data=st.data(), play=plays())
def test_every_claim_of_rules_by_linear_programs_holds(name: str, data: st.DataObject, play: Play):
    try_to_break(name, data, play)


def test_every_rule_claims_something_that_can_be_checked():
    for cls in RULES.values():
        assert claims_of(cls())
        assert (cls.claims | set(cls.claims_when)) <= set(SHARING_LAW_CHECKS)


def test_claims_follow_the_parameters():
    exact, bounded, sampled = (sharing.Shapley(**k) for k in ({}, {"cap": 0.5}, {"method": "sampling"}))
    assert claims_of(exact) - claims_of(bounded) >= {Law.NULL_PLAYER, Law.ADDITIVE, Law.IN_CORE_IF_CONVEX}
    assert Law.SYMMETRIC not in claims_of(sampled)
    assert Law.NULL_PLAYER in claims_of(sampled)
    assert Law.ADDITIVE in claims_of(sharing.Banzhaf(normalised=False)) - claims_of(sharing.Banzhaf())


# ---- the checks have teeth ------------------------------------------------------------------------------------------

MAJORITY = np.array([0, 0, 0, 1, 0, 1, 1, 1.0])
GLOVE = np.array([0, 0, 0, 0, 0, 1, 1, 1.0])  # members 0 and 1 left, 2 right
STEEP = np.array([0, 1, 2, 9, 3, 9, 9, 40.0])


def play(worth: np.ndarray, other: np.ndarray | None = None) -> Play:
    return Play(worth, worth if other is None else other, np.array([1.0, 2.0, 3.0]))


@dataclass(frozen=True, kw_only=True)
class Lopsided:
    """A deliberately bad rule: everything times ``part`` to one member."""

    to: int
    part: float = 1.0
    claims: ClassVar[frozenset[Law]] = frozenset(SHARING_LAW_CHECKS)

    def shares(self, game: CoalitionalGame, rng: np.random.Generator) -> Shares:
        return Shares.exact(self.part * game.grand * (np.arange(game.n) == self.to))


BREAKERS: dict[Law, tuple[Any, Play]] = {
    Law.PARETO_EFFICIENT: (Lopsided(to=0, part=0.9), play(GLOVE)),
    Law.SYMMETRIC: (Lopsided(to=0), play(MAJORITY)),
    Law.NULL_PLAYER: (sharing.Equal(), play(MAJORITY)),
    Law.ADDITIVE: (sharing.Nucleolus(), play(GLOVE, STEEP)),
    Law.STRONGLY_MONOTONE: (Lopsided(to=0, part=-1.0), play(GLOVE)),
    Law.AGGREGATE_MONOTONE: (Lopsided(to=0, part=-1.0), play(GLOVE)),
    Law.PARTICIPATION: (sharing.Equal(), play(np.array([0, 9, 0, 9, 0, 9, 0, 9.0]))),
    Law.IN_CORE_IF_CONVEX: (Lopsided(to=0), play(STEEP)),
    Law.IN_CORE_IF_NONEMPTY: (sharing.Shapley(), Play(GLOVE, GLOVE, np.array([0.0, 0.0, 1.0]))),
}


def test_every_law_of_sharing_has_a_breaker():
    assert BREAKERS.keys() == SHARING_LAW_CHECKS.keys()


@pytest.mark.parametrize("law", BREAKERS, ids=lambda law: law.name)
def test_each_check_catches_a_rule_that_breaks_the_law(law: Law):
    rule, game = BREAKERS[law]
    assert SHARING_LAW_CHECKS[law](rule, game)


def test_broken_claims_of_a_rule_from_outside_are_named():
    """All to the third of a majority of three: null or not it gets all, and the first two do better alone."""
    broken = broken_claims(Lopsided(to=2), play(MAJORITY))
    assert [line.split()[2] for line in broken] == ["IN_CORE_IF_CONVEX:", "IN_CORE_IF_NONEMPTY:", "NULL_PLAYER:"]
    assert "a member who adds nothing gets 1" in broken[2]


def test_a_law_of_another_family_is_no_law_of_sharing_rules():
    boastful = type("Boastful", (Lopsided,), {"claims": frozenset({Law.ENVY_FREE})})
    assert broken_claims(boastful(to=0), play(GLOVE)) == ["Boastful claims ENVY_FREE: is no law of sharing rules"]


def test_rules_are_frozen_and_leave_the_game_alone():
    table = STEEP.copy()
    for cls in RULES.values():
        assert dataclasses.is_dataclass(cls)
        game = CoalitionalGame(3, lambda m: table[m.astype(int)])
        assert not cls().shares(game, np.random.default_rng(0)).value.flags.writeable
    assert np.array_equal(table, STEEP)
