"""Coalitional games as cases write them: tables, gloves, runways, votes, pools, estates."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from celluler_sim.book import Floats, Masks
from celluler_sim.mechanisms import coalitions, game_forms
from celluler_sim.mechanisms.games import CoalitionalGame
from celluler_sim.validation.registry import Question, Unsupported

TABLES = ("v", "worth", "worths", "table", "values", "characteristic_function", "game")
COST_TABLES = ("c", "cost", "cost_table", "cost_function")
EMPTY = ("", "∅", "{}", "()", "[]", "empty")


def first(question: Question, *names: str) -> Any:
    """Return the first of these inputs that is given, or None."""
    return next((question[name] for name in names if question.has(name)), None)


def is_cost(question: Question) -> bool:
    """Return whether the worths are costs, which coalitions want to be small."""
    return question.has("costs") or any(isinstance(question.get(name), Mapping) for name in COST_TABLES)


def game_of(question: Question) -> CoalitionalGame:
    """Return the game that a question's inputs describe, whichever way; `Unsupported` where none is recognised."""
    for build in (_tabled, _sized, _gloves, _vote, _estate, _threshold, _runway, _dividends, _graph, _pool):
        if (game := build(question)) is not None:
            return game
    raise Unsupported(f"no game has inputs {', '.join(sorted(question.inputs))}")


def table_game(table: Any) -> CoalitionalGame:
    """Return the game of a table: a list by mask, or an object from coalitions, written in any usual way, to worths."""
    if not isinstance(table, Mapping):
        return game_forms.from_table(table)
    tokens = {key: _tokens(str(key)) for key in table}
    glued = all(len(t) <= 1 for t in tokens.values()) and len(table) > 2
    if glued and max(len(str(key)) for key in table) > 1:
        tokens = {key: [] if str(key) in EMPTY else list(str(key)) for key in table}
    names = sorted({name for t in tokens.values() for name in t}, key=lambda name: (len(name), name))
    number = {name: i for i, name in enumerate(names)}
    by_members = {frozenset(number[name] for name in t): table[key] for key, t in tokens.items()}
    if len(by_members.keys() - {frozenset()}) != (1 << len(names)) - 1:
        raise Unsupported(f"a table of {len(names)} players needs every coalition, got {len(by_members)}")
    return game_forms.from_table(by_members)


def _tokens(key: str) -> list[str]:
    return [] if key.strip() in EMPTY else re.findall(r"[^\s,;|+&{}()\[\]'\"]+", key)


def players_from_zero(groups: Sequence[Sequence[int]]) -> list[list[int]]:
    """Return groups of players counted from 0: cases count from 1 unless they mention a player 0."""
    shift = 0 if any(0 in group for group in groups) else 1
    return [[int(i) - shift for i in group] for group in groups]


def _tabled(question: Question) -> CoalitionalGame | None:
    for name in (*TABLES, *COST_TABLES):
        table = question.get(name)
        if isinstance(table, Mapping):
            return table_game(table)
        if name in TABLES and isinstance(table, list) and len(table) > 2 and not len(table) & (len(table) - 1):
            return table_game(table)
    return None


def _sized(question: Question) -> CoalitionalGame | None:
    by_size = first(question, "worth_by_size", "v_by_size", "by_size")
    if by_size is None:
        return None
    n = int(first(question, "players", "n") or len(by_size) - 1)
    if len(by_size) == n:  # the empty coalition is left out
        by_size = [0.0, *by_size]
    return game_forms.symmetric(by_size)


def _gloves(question: Question) -> CoalitionalGame | None:
    left, right = first(question, "left_owners", "left", "L"), first(question, "right_owners", "right", "R")
    if left is None or right is None:
        return None
    return game_forms.glove(int(left), int(right), float(first(question, "pair_worth", "worth", "pair_value") or 1.0))


def quota_of(question: Question) -> float:
    """Return the weight that wins: as given, or a fraction of all weights."""
    quota, fraction = first(question, "quota", "q"), first(question, "quota_fraction", "threshold_fraction")
    if quota is None:
        quota = float(fraction) * float(np.sum(question["weights"]))
    return float(quota)


def _vote(question: Question) -> CoalitionalGame | None:
    weights = first(question, "weights", "stakes")
    if weights is None or not question.inputs.keys() & {"quota", "q", "quota_fraction", "threshold_fraction"}:
        return None
    payment = float(first(question, "payment", "pay", "reward", "prize") or 1.0)
    strict = bool(first(question, "strict", "strict_majority"))
    if isinstance(first(question, "quota", "q"), list):
        rules = zip(first(question, "quota", "q"), weights, strict=True)
        return _all_needed([game_forms.weighted_voting(q, w, strict=strict) for q, w in rules], payment)
    return game_forms.weighted_voting(quota_of(question), weights, payment, strict=strict)


def _all_needed(votes: list[CoalitionalGame], payment: float) -> CoalitionalGame:
    """Return the vote in which a coalition must win every one of several votes."""

    def worth(masks: Masks) -> Floats:
        return np.asarray(payment * np.prod([vote.evaluate(masks) for vote in votes], axis=0))

    return CoalitionalGame(votes[0].n, worth)


def _estate(question: Question) -> CoalitionalGame | None:
    claims, estate = question.get("claims"), first(question, "estate", "E", "amount")
    return None if claims is None or estate is None else game_forms.bankruptcy_game(estate, claims)


def _threshold(question: Question) -> CoalitionalGame | None:
    capacity = first(question, "capacity", "capacities", "r")
    demand = first(question, "D", "demand", "threshold", "required")
    if capacity is None or demand is None:
        return None
    return game_forms.weighted_voting(demand, capacity, float(first(question, "payment", "pay", "reward") or 1.0))


def _runway(question: Question) -> CoalitionalGame | None:
    costs = first(question, "costs", "runway_costs")
    return None if costs is None else game_forms.airport(costs)


def _dividends(question: Question) -> CoalitionalGame | None:
    """Return the game whose coalitions add a dividend (Harsanyi) each to every coalition that holds them."""
    dividends = first(question, "dividends", "unanimity", "harsanyi_dividends")
    if not isinstance(dividends, Mapping):
        return None
    groups = players_from_zero([[int(t) for t in _tokens(str(key))] for key in dividends])
    n = int(first(question, "players", "n") or max(map(max, groups)) + 1)
    needed = [coalitions.mask(group, n)[0] for group in groups]

    def worth(masks: Masks) -> Floats:
        parts = zip(needed, dividends.values(), strict=True)
        return np.asarray(np.sum([np.where((masks & need) == need, float(d), 0.0) for need, d in parts], axis=0))

    return CoalitionalGame(n, worth)


def _graph(question: Question) -> CoalitionalGame | None:
    """Return the game of a graph: a coalition is worth the weights of the edges within it."""
    edges = question.get("edges")
    if edges is None:
        return None
    ends = players_from_zero([edge[:2] for edge in edges])
    n = int(first(question, "players", "n", "nodes") or max(map(max, ends)) + 1)
    pairs, own = np.zeros((n, n)), np.zeros(n)
    for (i, j), edge in zip(ends, edges, strict=True):
        weight = float(edge[2]) if len(edge) > 2 else 1.0
        if i == j:
            own[i] += weight
        else:
            pairs[[i, j], [j, i]] += weight
    return game_forms.synergy(own, pairs)


def _pool(question: Question) -> CoalitionalGame | None:
    """Return a pool of resources r: added up, with the synergy k r_i r_j of each pair, or raised to a power."""
    r = first(question, "r", "resources", "additive", "singletons", "standalone")
    if r is None:
        return None
    x, k = np.asarray(r, dtype=np.float64), first(question, "k", "synergy")
    power = first(question, "power", "exponent", "alpha", "p")
    if k is not None:
        return game_forms.synergy(x, float(k) * (np.outer(x, x) - np.diag(x * x)))
    if power is None and not question.has("r"):
        return game_forms.additive(x)
    scale, degree = float(question.get("scale", 1.0)), 2.0 if power is None else float(power)
    return CoalitionalGame(len(x), _raised(x, degree, scale), contribution=x)


def _raised(x: Floats, degree: float, scale: float) -> Callable[[Masks], Floats]:
    return lambda masks: scale * coalitions.coalition_sums(masks, x) ** degree
