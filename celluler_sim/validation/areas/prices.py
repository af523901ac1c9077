"""Prices: the seed's rules in every reading, and EIP-1559."""

from __future__ import annotations

import re
from itertools import accumulate, islice

import numpy as np

from celluler_sim.book import Floats, Load
from celluler_sim.markets.window import sample_mean, time_weighted
from celluler_sim.mechanisms.base import Pricing
from celluler_sim.mechanisms.pricing import (
    READINGS,
    Eip1559,
    Linear,
    SlidingWindow,
    next_base_fee,
    performance_multiplier,
)
from celluler_sim.validation.registry import Answers, Question, Unsupported, checks


def _price(rule: Pricing, u: float, time: float = 0.0) -> float:
    """Return what one offer costs at utilisation ``u`` and ``time`` (s)."""
    load = Load(time=time, elapsed=60.0, utilisation=u, used=u, capacity=1.0, last_price=rule.base_price)
    return float(rule.quote(load, np.zeros(1))[0])


def _prices(rule: Pricing, u: Floats) -> Floats:
    return np.array([_price(rule, float(each)) for each in u])


@checks("price-sliding-window", "window-utilisation")
def sliding_window(question: Question) -> Answers:
    """Answer with the seed's cyclic price, its jump, or the utilisation of a window."""
    if question.has("observations"):
        return _window(question)
    rule = SlidingWindow(
        base_price=question.get("base", 100.0), window_seconds=question.get("window_s", 3600.0), cycle="sawtooth"
    )
    if question.has("rows"):
        rows = question["rows"]
        factors = rule.time_factor(np.array([time for _, time in rows], dtype=np.float64))
        return {"prices": [_price(rule, u, time) for u, time in rows], "time_factors": factors}
    if not question.has("u", "t_before", "t_after"):
        raise Unsupported(f"no price has inputs {', '.join(sorted(question.inputs))}")
    before, after = (_price(rule, question["u"], question[name]) for name in ("t_before", "t_after"))
    grid = np.arange(0.0, rule.window_seconds)
    return {
        "price_before": before,
        "price_after": after,
        "ratio_after_to_before": after / before,
        "window_average_1s_grid": np.mean([_price(rule, question["u"], time) for time in grid]),
    }


def _window(question: Question) -> Answers:
    """Answer with both readings of a window's utilisation and the quadratic factor of each."""
    rule = SlidingWindow(base_price=1.0)
    answers: dict[str, float] = {}
    for name, reading in (("sample_mean", sample_mean), ("time_weighted", time_weighted)):
        if question.wants(name, f"factor_{name}"):
            u = reading(
                [(t, u) for t, u in question["observations"]], question["now"], question.get("window_s", 3600.0)
            )
            answers |= {name: u, f"factor_{name}": _price(rule, u)}
    return answers


@checks("price-linear")
def linear(question: Question) -> Answers:
    """Answer with the linear rule in both readings, beside the quadratic one."""
    u = np.array(question["u"], dtype=np.float64)
    base, factor = question.get("base", 100.0), question.get("utilization_factor", 0.1)
    rules: dict[str, Linear | SlidingWindow] = {
        "quadratic": SlidingWindow(base_price=base),
        "linear": Linear(base_price=base, utilization_factor=factor),
        "literal": Linear(base_price=base, utilization_factor=factor, literal=True),
    }
    prices = {name: _prices(rule, u) for name, rule in rules.items()}
    elasticities = {f"elasticity_{name}": u * rule.slope(u) / prices[name] for name, rule in rules.items()}
    return {
        **prices,
        **elasticities,
        "per_10_percent_reading": prices["linear"],
        "literal_reading": prices["literal"],
        "slope_at_0": {name: rule.slope(np.zeros(1))[0] for name, rule in rules.items()},
    }


@checks("price-performance")
def performance(question: Question) -> Answers:
    """Answer with the base price under every reading of the quality multipliers."""
    base, multipliers, weights = question.get("base", 1000.0), question["multipliers"], question.get("weights")
    return {reading: base * performance_multiplier(multipliers, weights, reading) for reading in READINGS}


@checks("eip1559")
def eip1559(question: Question) -> Answers:
    """Answer with the base fee after a block, along a path of blocks, or where it converges."""
    elasticity, denominator = question.get("elasticity", 2), question.get("denominator", 8)
    if question.has("rows"):
        fees = [next_base_fee(fee, used, limit, elasticity, denominator) for fee, used, limit in question["rows"]]
        return {"next_base_fee": fees}
    if question.has("gas_used"):
        limit = question["gas_limit"]

        def after_block(fee: int, used: int) -> int:
            return next_base_fee(fee, used, limit, elasticity, denominator)

        return {"path": list(accumulate(question["gas_used"], after_block, initial=question["start"]))}
    return _convergence(question)


def _convergence(question: Question) -> Answers:
    """Answer with the path of the real-valued fee under usage q(p) = limit * max(0, 1 - p/pmax)."""
    p_max, target, d = question["pmax"], question["target"], question.get("d", 8)
    rule = Eip1559(base_price=question["start"], max_change_denominator=d, floor=0.0)
    limit = rule.elasticity * target

    def after_block(price: float, _: int) -> float:
        used = limit * max(0.0, 1.0 - price / p_max)
        load = Load(0.0, rule.block_seconds, used / limit, used, limit, price)
        return float(rule.quote(load, np.zeros(1))[0])

    blocks = {int(found[1]) for name in question.wanted if (found := re.fullmatch(r"after_(\d+)", name))}
    path = list(accumulate(range(max(blocks | {5})), after_block, initial=float(rule.base_price)))
    # q = target at p* = pmax (1 - 1/e); there p q'(p)/target = -(e - 1), so an error shrinks by 1 - (e - 1)/d
    return {
        "fixed_point": p_max * (1 - 1 / rule.elasticity),
        "local_contraction": 1 - (rule.elasticity - 1) / d,
        "first_prices": list(islice(path, 1, 6)),
        **{f"after_{block}": path[block] for block in blocks},
    }
