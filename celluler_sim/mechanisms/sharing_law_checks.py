"""Try to break the laws that a sharing rule claims.

Each check takes a rule and a `Play` and returns what went wrong, or None. It first takes the game into the domain of
its law (superadditive, convex, with a null player ...). A rule from outside can be tried the same way:
``broken_claims(MyRule(), play)`` for games of one's own choosing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from celluler_sim.book import Floats
from celluler_sim.mechanisms import coalitions
from celluler_sim.mechanisms.base import claims_of
from celluler_sim.mechanisms.game_properties import strongest_objection
from celluler_sim.mechanisms.games import CoalitionalGame
from celluler_sim.mechanisms.laws import Law
from celluler_sim.mechanisms.shares import Shares

ROUNDING = 1e-6  # of the largest worth: what arithmetic and solvers may add


@dataclass(frozen=True)
class Play:
    """A game of n members and what to vary it with."""

    worth: Floats  #        (2**n,) by mask, the first 0
    other: Floats  #        (2**n,) another game, the first 0
    contribution: Floats  # (n,) >= 0
    unions: Sequence[Sequence[int]] | None = None

    @property
    def n(self) -> int:
        """Number of members."""
        return len(self.contribution)


Check = Callable[[Any, Play], str | None]


def pareto_efficient(rule: Any, play: Play) -> str | None:
    """Check the sum of the shares. Domain: all games."""
    found = _shares(rule, play, play.worth).value
    if abs(found.sum() - play.worth[-1]) > _slack(play.worth):
        return f"{found.tolist()} sums to {found.sum():g}, not to {play.worth[-1]:g}"
    return None


def symmetric(rule: Any, play: Play) -> str | None:
    """Check two members made alike: in worth, in what they brought, in one union. Domain: two members or more."""
    if play.n < 2:
        return None
    masks = np.arange(len(play.worth))
    swapped = (masks & ~3) | (masks & 1) << 1 | (masks & 2) >> 1
    brought = np.concatenate((np.full(2, play.contribution[0]), play.contribution[2:]))
    others = [[i for i in union if i > 1] for union in play.unions or []]
    unions = [[0, 1], *(union for union in others if union)] if play.unions else None
    alike = Play((play.worth + play.worth[swapped]) / 2, play.other, brought, unions)
    found = _shares(rule, alike, alike.worth).value
    if abs(found[0] - found[1]) > _slack(alike.worth):
        return f"equals get {found[0]:g} and {found[1]:g}"
    return None


def null_player(rule: Any, play: Play) -> str | None:
    """Check that the last member, once it adds nothing, gets nothing. Domain: all games."""
    half = play.worth[: len(play.worth) // 2]
    found = _shares(rule, play, np.concatenate((half, half))).value[-1]
    if abs(found) > _slack(half):
        return f"a member who adds nothing gets {found:g}"
    return None


def additive(rule: Any, play: Play) -> str | None:
    """Check the shares of the sum of two games. Domain: all games among the same members."""
    one, two = (_shares(rule, play, worth).value for worth in (play.worth, play.other))
    both = _shares(rule, play, play.worth + play.other).value
    if np.abs(one + two - both).max() > _slack(play.worth, play.other):
        return f"{one.tolist()} and {two.tolist()} became {both.tolist()}"
    return None


def strongly_monotone(rule: Any, play: Play) -> str | None:
    """Check that raising some marginals of the first member takes nothing from it (Young 1985). Domain: all games."""
    raised = play.worth.copy()
    raised[1::2] += np.abs(play.other[1::2])
    before, after = (_shares(rule, play, worth).value[0] for worth in (play.worth, raised))
    if after < before - _slack(play.worth, raised):
        return f"with larger marginals the first member gets {after:g} instead of {before:g}"
    return None


def aggregate_monotone(rule: Any, play: Play) -> str | None:
    """Check that raising only the worth of all takes nothing from anybody. Domain: all games worth something."""
    base = play.worth.copy()
    base[-1] = abs(base[-1])
    raised = base.copy()
    raised[-1] += abs(play.other[-1])
    before, after = (_shares(rule, play, worth).value for worth in (base, raised))
    if np.any(after < before - _slack(base, raised)):
        return f"with more to share {before.tolist()} became {after.tolist()}"
    return None


def participation(rule: Any, play: Play) -> str | None:
    """Check everybody against its worth alone. Domain: superadditive games (the cover of the one drawn)."""
    worth = _superadditive(play.worth)
    found, alone = _shares(rule, play, worth).value, worth[1 << np.arange(play.n)]
    if np.any(found < alone - _slack(worth)):
        return f"{found.tolist()} leaves somebody below {alone.tolist()}"
    return None


def in_core_if_convex(rule: Any, play: Play) -> str | None:
    """Check every coalition against its worth. Domain: convex games (the one drawn, with k times size squared)."""
    size = coalitions.sizes(np.arange(len(play.worth), dtype=np.uint64))
    return _objection(rule, play, play.worth + _lacking(play.worth, play.n) / 2 * size**2)


def in_core_if_nonempty(rule: Any, play: Play) -> str | None:
    """Check every coalition against its worth. Domain: games with a core (worths are cut so that one division fits)."""
    given = coalitions.subset_sums(play.contribution)
    worth = np.minimum(play.worth, given)
    worth[-1] = given[-1]
    return _objection(rule, play, worth)


SHARING_LAW_CHECKS: dict[Law, Check] = {
    Law.PARETO_EFFICIENT: pareto_efficient,
    Law.SYMMETRIC: symmetric,
    Law.NULL_PLAYER: null_player,
    Law.ADDITIVE: additive,
    Law.STRONGLY_MONOTONE: strongly_monotone,
    Law.AGGREGATE_MONOTONE: aggregate_monotone,
    Law.PARTICIPATION: participation,
    Law.IN_CORE_IF_CONVEX: in_core_if_convex,
    Law.IN_CORE_IF_NONEMPTY: in_core_if_nonempty,
}


def broken_claims(rule: Any, play: Play) -> list[str]:
    """Return one sentence per claimed law that the play breaks, and per claim that no check knows."""
    found = []
    for law in sorted(claims_of(rule), key=lambda law: law.name):
        check = SHARING_LAW_CHECKS.get(law)
        complaint = check(rule, play) if check else "is no law of sharing rules"
        if complaint:
            found.append(f"{type(rule).__name__} claims {law.name}: {complaint}")
    return found


def _game(play: Play, worth: Floats) -> CoalitionalGame:
    return CoalitionalGame(
        play.n, lambda masks: worth[masks.astype(np.int64)], contribution=play.contribution, unions=play.unions
    )


def _shares(rule: Any, play: Play, worth: Floats) -> Shares:
    """Return the rule's shares of a table of worths; whatever it draws it draws from the same generator."""
    answer: Shares = rule.shares(_game(play, worth), np.random.default_rng(0))
    return answer


def _objection(rule: Any, play: Play, worth: Floats) -> str | None:
    """Return who could do better alone, or that not all is shared."""
    found = _shares(rule, play, worth).value
    if abs(found.sum() - worth[-1]) > _slack(worth):
        return f"{found.tolist()} sums to {found.sum():g}, not to {worth[-1]:g}"
    if play.n > 1:
        excess, who = strongest_objection(_game(play, worth), found)
        if excess > _slack(worth):
            return f"members {list(who)} get {excess:g} less than their worth from {found.tolist()}"
    return None


def _slack(*worth: Floats) -> float:
    return ROUNDING * max(1e-9, *(float(np.abs(w).max()) for w in worth))


def _superadditive(worth: Floats) -> Floats:
    """Return the superadditive cover: the most that a coalition's parts can be worth."""
    cover = worth.copy()
    for whole in range(1, len(cover)):
        part = (whole - 1) & whole
        while part > whole ^ part:
            cover[whole] = max(cover[whole], cover[part] + cover[whole ^ part])
            part = (part - 1) & whole
    return cover


def _lacking(worth: Floats, n: int) -> float:
    """Return by how much a member's marginal falls, at most, when another one joins; 0 in a convex game."""
    most = 0.0
    for j in range(1, n):
        for i in range(j):
            by = worth.reshape(-1, 2, 1 << (j - i - 1), 2, 1 << i)
            most = max(most, float((by[:, 0, :, 1] + by[:, 1, :, 0] - by[:, 0, :, 0] - by[:, 1, :, 1]).max()))
    return most
