"""Sharing among the members of a coalition: Shapley, Banzhaf and Owen values, core, nucleolus, bankruptcy."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from celluler_sim.book import Floats
from celluler_sim.mechanisms import bankruptcy, coalitions, game_forms, solutions
from celluler_sim.mechanisms import game_properties as properties
from celluler_sim.mechanisms.games import CoalitionalGame, GameError
from celluler_sim.mechanisms.owen import exact_owen
from celluler_sim.mechanisms.power import WeightedGame
from celluler_sim.mechanisms.projection import project
from celluler_sim.mechanisms.shapley import exact_banzhaf, exact_shapley, last_marginal_shares, shapley_weights
from celluler_sim.mechanisms.shapley_sampling import Plan, sample_values
from celluler_sim.mechanisms.simple_games import SimpleGame
from celluler_sim.validation.areas.game_inputs import first, game_of, is_cost, players_from_zero, quota_of, table_game
from celluler_sim.validation.registry import Answers, Question, Unsupported, checks

Figures = Mapping[str, Callable[[], Any]]


def _asked(question: Question, figures: Figures) -> Answers:
    """Compute the figures that are wanted, and no others; an exact rational asks for the figure itself."""
    names = {name if name in figures else name.removesuffix("_fraction") for name in question.wanted}
    found = {name: figures[name]() for name in figures if name in names}
    if not found:
        raise Unsupported(f"asks for {', '.join(sorted(question.wanted))}, none of which is known")
    return found


@checks("shapley", "shapley-trap", "core", "nucleolus", "owen-value")
def coalitional(question: Question) -> Answers:
    """Answer with any figure of any game."""
    game = game_of(question)
    return _asked(question, {**_values(question, game), **_stability(question, game)})


def _values(question: Question, game: CoalitionalGame) -> Figures:
    """Return values and indices, the shortcut among them."""

    def shapley() -> Floats:
        return exact_shapley(game)

    def shortcut() -> Floats | None:
        return last_marginal_shares(game)

    def owen() -> Floats:
        unions = players_from_zero(question["unions"])
        return exact_owen(replace(game, unions=unions))

    def banzhaf() -> Floats:
        return exact_banzhaf(game)

    def of_one(pick: Callable[[Any], Any]) -> Callable[[], float]:
        return lambda: float(shapley()[int(pick(np.asarray(question["weights"])))])

    return {
        "shapley": shapley,
        "shapley_value": shapley,
        "shapley_shubik": shapley,
        "shapley_without_unions": shapley,
        "sum": lambda: float(shapley().sum()),
        "v_grand": lambda: game.grand,
        "last_marginals": lambda: game.last_marginals,
        "normalised_marginal": shortcut,
        "are_equal": lambda: (x := shortcut()) is not None and bool(np.allclose(x, shapley(), rtol=1e-9, atol=1e-12)),
        "permanent": of_one(np.argmax),
        "non_permanent": of_one(np.argmin),
        "owen": owen,
        "owen_value": owen,
        "union_totals": lambda: [float(owen()[u].sum()) for u in players_from_zero(question["unions"])],
        "banzhaf": banzhaf,
        "banzhaf_value": banzhaf,
        "banzhaf_normalised": lambda: banzhaf() / banzhaf().sum(),
        "equal": lambda: np.full(game.n, game.grand / game.n),
    }


def _stability(question: Question, game: CoalitionalGame) -> Figures:
    """Return core, least core and nucleolus; of a cost game, those of the savings with the signs turned back."""
    sign = -1.0 if is_cost(question) else 1.0
    gain = game if sign > 0 else game_forms.total([game], [-1.0])
    given = first(question, "allocation", "x", "imputation", "payoff", "payoffs", "division")

    def in_core(x: Any) -> bool:
        return properties.in_core(gain, sign * np.asarray(x, dtype=np.float64), _slack(gain))

    def objection() -> properties.Objection:
        return properties.strongest_objection(gain, sign * np.asarray(given, dtype=np.float64))

    def nonempty() -> bool:
        return solutions.least_core_epsilon(gain) <= _slack(gain)

    def nucleolus() -> Floats:
        return sign * solutions.nucleolus(gain) + 0.0

    return {
        "nucleolus": nucleolus,
        "in_core": lambda: in_core(exact_shapley(game) if given is None else given),
        "shapley_in_core": lambda: in_core(exact_shapley(game)),
        "nucleolus_in_core": lambda: in_core(nucleolus()),
        "equal_split_in_core": lambda: in_core(np.full(game.n, game.grand / game.n)),
        "least_core_epsilon": lambda: solutions.least_core_epsilon(gain),
        "core_nonempty": nonempty,
        "core_empty": lambda: not nonempty(),
        "balanced": nonempty,
        "max_excess": lambda: objection().excess,
        "blocking_coalition": lambda: [i + 1 for i in objection().members],
        "convex": lambda: properties.is_convex(gain),
        "superadditive": lambda: properties.is_superadditive(gain),
        "monotone": lambda: properties.is_monotone(game),
    }


def _slack(game: CoalitionalGame) -> float:
    return 1e-9 * max(float(np.abs(game.table).max()), 1e-300)


@checks("shapley-axioms")
def axioms(question: Question) -> Answers:
    """Answer with the values of named games and of their sums, and with who is symmetric or null in each."""
    games = {name: table_game(table) for name, table in question.inputs.items() if isinstance(table, Mapping)}
    figures: dict[str, Callable[[], Any]] = {}
    for name, game in games.items():
        figures[f"phi_{name}"] = partial(exact_shapley, game)
        figures[f"{name}_symmetric_players"] = partial(_symmetric_players, game)
        figures[f"{name}_null_players"] = partial(_null_players, game)
        for other, more in games.items():
            figures[f"phi_{name}_plus_{other}"] = partial(exact_shapley, game_forms.total([game, more]))
    return _asked(question, figures)


def _symmetric_players(game: CoalitionalGame) -> list[int] | list[list[int]]:
    """Return who adds the same as somebody else to every coalition, from 1; group by group where there are several."""
    table, groups = game.table, []
    masks = np.arange(len(table))

    def alike(i: int, j: int) -> bool:
        neither = masks[(masks >> i & 1 == 0) & (masks >> j & 1 == 0)]
        return bool(np.allclose(table[neither | 1 << i], table[neither | 1 << j], rtol=1e-12, atol=1e-12))

    left = list(range(game.n))
    while left:
        group = [j for j in left if alike(left[0], j)]
        left = [j for j in left if j not in group]
        if len(group) > 1:
            groups.append([j + 1 for j in group])
    return groups[0] if len(groups) == 1 else groups


def _null_players(game: CoalitionalGame) -> list[int]:
    """Return who adds nothing to any coalition, from 1."""
    by_member = [game.table.reshape(-1, 2, 1 << i) for i in range(game.n)]
    return [i + 1 for i, by in enumerate(by_member) if np.allclose(by[:, 1], by[:, 0], rtol=1e-12, atol=1e-12)]


@checks("shapley-sampling")
def sampling(question: Question) -> Answers:
    """Answer with the exact distribution of one player's marginal in a random order, and what sampling makes of it."""
    game = game_of(question)
    player = int(question.get("player", 1)) - int(question.get("player", 1) > 0)
    chance, marginal, size = _marginal_distribution(game, player)
    mean = float(chance @ marginal)
    variance = float(chance @ (marginal - mean) ** 2)
    width = float(marginal.max() - marginal.min())

    def error(m: float) -> float:
        return math.sqrt(variance / m)

    def hoeffding() -> int:
        bound = width**2 * math.log(2 / question["delta"]) / (2 * question["eps"] ** 2)
        return math.ceil(float(bound))

    def estimate() -> float:
        blocks = max(int(question.get("samples_per_stratum", 1)), 2)
        plan = Plan(max_orders=blocks * game.n, antithetic=False, stratified=True)
        return float(sample_values(game, np.random.default_rng(0), plan).value[player])

    return _asked(question, {
        "p": lambda: mean,
        "exact": lambda: mean,
        "shapley": lambda: mean,
        "variance": lambda: variance,
        "plain_variance_per_order": lambda: variance,
        "standard_deviation": lambda: math.sqrt(variance),
        "standard_error": lambda: error(question["m"]),
        "standard_error_at_4m": lambda: error(4 * question["m"]),
        "hoeffding_n": hoeffding,
        "stratum_means": lambda: [
            float(chance[size == s] @ marginal[size == s] * game.n) for s in range(game.n)
        ],
        "estimate": estimate,
    })  # fmt: skip


def _marginal_distribution(game: CoalitionalGame, player: int) -> tuple[Floats, Floats, Any]:
    """Return (chance, marginal, size) of every coalition of the others that may be there before a player."""
    by = game.table.reshape(-1, 2, 1 << player)
    size = coalitions.sizes(np.arange(1 << (game.n - 1), dtype=np.uint64))
    return shapley_weights(game.n)[size], (by[:, 1] - by[:, 0]).ravel(), size


@checks("shapley-constrained")
def constrained(question: Question) -> Answers:
    """Answer with the nearest shares within floor and cap, beside clipping and rescaling, which can break both."""
    value = first(question, "shapley", "shares", "values", "x")
    x = exact_shapley(game_of(question)) if value is None else np.asarray(value, dtype=np.float64)
    total = float(question.get("total", x.sum()))
    low, high = (_bound(question, name, total, without) for name, without in (("floor", -np.inf), ("cap", np.inf)))

    def feasible() -> bool:
        lo, hi = np.broadcast_to(low, x.shape), np.broadcast_to(high, x.shape)
        return bool(lo.sum() <= total * (1 + 1e-12) and hi.sum() >= total * (1 - 1e-12) and (lo <= hi).all())

    def clip_rescale() -> Floats:
        clipped = np.clip(x, low, high)
        return np.asarray(clipped * (total / clipped.sum()))

    def projected() -> Floats | None:
        return project(x, total, low, high) if feasible() else None

    return _asked(question, {
        "projected": projected,
        "sum": lambda: float(np.sum(project(x, total, low, high))),
        "clip_rescale": clip_rescale,
        "feasible": feasible,
        "clip_rescale_within_bounds": lambda: bool(np.all((clip_rescale() >= low) & (clip_rescale() <= high))),
        "clip_rescale_breaks_bounds": lambda: bool(np.any((clip_rescale() < low) | (clip_rescale() > high))),
    })  # fmt: skip


def _bound(question: Question, name: str, total: float, without: float) -> Any:
    """Return a floor or cap, one number or (n,): as a fraction of the total or as an amount."""
    fraction = first(question, f"{name}_fraction", f"{name}_fractions", f"{name}_share")
    amount = first(question, name, f"{name}s")
    if fraction is None:
        return np.asarray(without if amount is None else amount, dtype=np.float64)
    return np.asarray(fraction, dtype=np.float64) * total


@checks("bankruptcy")
def estates(question: Question) -> Answers:
    """Answer with every division of an estate, and with the figures of the bankruptcy game."""
    estate, claims = float(first(question, "estate", "E", "amount")), question["claims"]
    also = {
        "cea": "constrained_equal_awards", "equal_awards": "constrained_equal_awards", "apt": "adjusted_proportional",
        "cel": "constrained_equal_losses", "equal_losses": "constrained_equal_losses",
        "contested_garment": "talmud", "cg_consistent": "talmud", "aumann_maschler": "talmud",
    }  # fmt: skip
    named = {name: name for name in bankruptcy.RULES} | also
    rules = {name: partial(bankruptcy.RULES[rule], estate, claims) for name, rule in named.items()}
    try:
        game = game_of(question)
    except GameError as error:
        raise Unsupported(str(error)) from None
    return _asked(question, {**_values(question, game), **_stability(question, game), **rules})


@checks("banzhaf")
def power(question: Question) -> Answers:
    """Answer with swings and indices of a vote, by dynamic programming where weights decide, else by its table."""
    game = game_of(question)
    weighted = _weighted(question)
    simple = SimpleGame(game)

    def swings() -> list[int]:
        return weighted.swings() if weighted else simple.swings()

    def absolute() -> Floats:
        return np.array([count / 2 ** (game.n - 1) for count in swings()])

    def normalised() -> Floats | None:
        found = swings()
        return np.array([count / sum(found) for count in found]) if sum(found) else None

    def shapley_shubik() -> Floats:
        return weighted.shapley_shubik() if weighted else exact_shapley(game)

    return _asked(question, {
        "swings": swings,
        "total_swings": lambda: sum(swings()),
        "absolute": absolute,
        "banzhaf": absolute,
        "penrose": absolute,
        "normalised": normalised,
        "normalized": normalised,
        "shapley_shubik": shapley_shubik,
        "shapley": shapley_shubik,
        "dummies": lambda: [i + 1 for i, count in enumerate(swings()) if not count],
        "winning_coalitions": simple.winning,
        "minimal_winning_coalitions": lambda: len(simple.minimal()),
        "veto_players": lambda: [i + 1 for i in simple.vetoers()],
        "coleman_act": simple.power_to_act,
        "power_to_act": simple.power_to_act,
        "coleman_prevent": lambda: np.array(swings()) / max(simple.winning(), 1),
        "coleman_initiate": lambda: np.array(swings()) / max(2**game.n - simple.winning(), 1),
        "deegan_packel": simple.deegan_packel,
        "holler": simple.holler,
        "public_good": simple.holler,
        "johnston": simple.johnston,
    })  # fmt: skip


def _weighted(question: Question) -> WeightedGame | None:
    """Return the vote by weights, None where it is another game."""
    weights = first(question, "weights", "stakes")
    plain = isinstance(weights, list) and not any(isinstance(w, list) for w in weights)
    if not plain or not any(re.match(r"q(uota.*)?$|threshold_fraction$", name) for name in question.inputs):
        return None
    return WeightedGame.of(quota_of(question), weights, strict=bool(first(question, "strict", "strict_majority")))
