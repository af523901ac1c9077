"""Deterrence and cartels: when cheating does not pay."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from celluler_sim.analysis import cartel
from celluler_sim.analysis.deterrence import Fraud, InspectionGame, caught_at_least_once
from celluler_sim.validation.areas.trust import one_of
from celluler_sim.validation.registry import Answers, Question, Unsupported, checks


@checks("deterrence")
def deterrence(question: Question) -> Answers:
    """Answer with Becker's thresholds in both readings, or with the equilibrium of the inspection game."""
    gain, fine = one_of(question, "g", "gain"), one_of(question, "fine", "Fn", "F", "penalty")
    p, n = one_of(question, "p", "audit_probability", "detection_probability"), question.get("n")
    answers: dict[str, Any] = {}
    if p is not None and n is not None:
        answers["caught_at_least_once"] = caught_at_least_once(p, n)
    cost, loss = one_of(question, "audit_cost", "k"), one_of(question, "undetected_loss", "D")
    if None not in (gain, fine, cost, loss):
        game = InspectionGame(gain, fine, cost, loss)
        answers |= {"audit_probability": game.audit_probability, "cheat_probability": game.cheat_probability}
    if gain is not None:
        answers |= _becker(gain, fine, p)
    if not answers:
        raise Unsupported(f"no deterrence has inputs {', '.join(sorted(question.inputs)) or 'none'}")
    return answers


def _becker(gain: float, fine: float | None, p: float | None) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    for reading, name in (("kept", "gain_kept"), ("forfeited", "gain_forfeited")):
        if p is not None:
            answers[f"fine_min_{name}"] = Fraud(gain, 0.0).fine_needed(p, reading)  # type: ignore[arg-type]
        if fine is not None:
            answers[f"p_min_{name}"] = Fraud(gain, fine).threshold(reading)  # type: ignore[arg-type]
        if p is not None and fine is not None:
            answers[f"profit_{name}"] = Fraud(gain, fine).profit(p, reading)  # type: ignore[arg-type]
            answers[f"deterred_{name}"] = Fraud(gain, fine).deterred(p, reading)  # type: ignore[arg-type]
    return answers


@checks("cartel")
def cartels(question: Question) -> Answers:
    """Answer with critical discount factors: of rings of n, of three given profits, or of a ring that is watched."""
    collude = one_of(question, "pi_collude", "pi_coll", "pi_c", "pc", "collude")
    deviate = one_of(question, "pi_deviate", "pi_dev", "pi_d", "pd", "deviate")
    if collude is not None and deviate is not None:
        return _given(question, collude, deviate)
    if not question.has("n"):
        raise Unsupported(f"no ring has inputs {', '.join(sorted(question.inputs)) or 'none'}")
    forms: dict[str, Callable[[int], cartel.Stage]] = {"bertrand": cartel.bertrand, "cournot": cartel.cournot}
    answers: dict[str, Any] = {}
    for name, stage in forms.items():
        answers |= _by_size(question, name, lambda n, stage=stage: cartel.critical_discount(stage(n)))  # type: ignore[misc]
    return answers | _by_size(question, "rotation", cartel.rotation_discount)


def _by_size(question: Question, name: str, critical: Callable[[int], Fraction | float]) -> dict[str, Any]:
    """Return a ring's critical discount factor for each n, as a float and exactly, and whether a given one does."""
    sizes, delta = question["n"], one_of(question, "delta", "discount", "discount_factor")
    found = [critical(n) for n in (sizes if isinstance(sizes, list) else [sizes])]
    holds = [None if delta is None else Fraction(str(delta)) >= each for each in found]
    columns: dict[str, list[Any]] = {
        name: [float(each) for each in found],
        f"{name}_fraction": [str(each) for each in found],
        f"{name}_sustainable": holds,
    }
    return dict(columns) if isinstance(sizes, list) else {key: column[0] for key, column in columns.items()}


def _given(question: Question, collude: float, deviate: float) -> Answers:
    delta, rho = one_of(question, "delta", "discount", "discount_factor"), one_of(question, "rho", "p", "detection")
    compete = one_of(question, "pi_nash", "pi_compete", "pi_n", "pn", "pi_punish", "compete")
    if rho is None:
        exact = [Fraction(str(x)) for x in (collude, deviate, compete or 0)]
        critical = cartel.critical_discount(cartel.Stage(*exact))
        names = ("delta", "critical_delta", "delta_critical", "critical_discount", "delta_without_detection")
        answers: dict[str, Any] = dict.fromkeys(names, critical)
        return answers | {"sustainable": critical < 1 if delta is None else Fraction(str(delta)) >= critical}
    if compete:
        raise Unsupported("a watched ring whose competition pays; profits after a deviation must be 0")
    ring = cartel.WatchedCartel(collude, deviate, rho, one_of(question, "fine", "Fn", "F", default=0.0))
    answers = {
        "delta_with_detection": ring.critical_discount,
        "delta_without_detection": cartel.WatchedCartel(collude, deviate, 0.0, 0.0).critical_discount,
        "sustainable": ring.sustainable if delta is None else ring.holds(delta),
    }
    if delta is not None:
        answers |= {"value": ring.value(delta), "deterring_fine": ring.deterring_fine(delta)}
    return answers
