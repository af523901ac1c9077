"""Trust: reputations, penalties, and how well fraud is found."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from celluler_sim.analysis import detection
from celluler_sim.book import Floats
from celluler_sim.mechanisms.eigentrust import dense, eigentrust
from celluler_sim.mechanisms.penalties import Additive, Multiplicative, Penalty, Points
from celluler_sim.mechanisms.reputation import Beta, CountingRule, Exponential, Ratings
from celluler_sim.validation.registry import Answers, Question, Unsupported, checks

OUTCOMES: Mapping[str, float] = {
    "good": 1.0, "positive": 1.0, "success": 1.0, "bad": 0.0, "negative": 0.0, "failure": 0.0,
}  # fmt: skip


def one_of(question: Question, *names: str, default: Any = None) -> Any:
    """Return the input that goes by any of these names."""
    return next((question[name] for name in names if question.has(name)), default)


@checks("reputation")
def reputation(question: Question) -> Answers:
    """Answer with Beta counts, EigenTrust, exponential smoothing, or the readings of a penalty."""
    kinds: tuple[tuple[tuple[str, ...], Callable[[Question], Answers]], ...] = (
        (("local_trust", "C", "trust_matrix"), _eigentrust),
        (("penalty_points", "points", "penalty"), _penalties),
        (("alpha",), _smoothing),
        (("r", "s", "events", "good", "bad"), _beta),
    )
    for names, answer in kinds:
        if one_of(question, *names) is not None:
            return answer(question)
    raise Unsupported(f"no reputation has inputs {', '.join(sorted(question.inputs)) or 'none'}")


def _outcomes(events: list[Any]) -> list[float]:
    return [OUTCOMES[event] if isinstance(event, str) else float(event) for event in events]


def _path(rule: CountingRule, outcomes: list[float]) -> list[float]:
    """Return the first metric after each outcome."""
    standing, path = rule.start(1), []
    for outcome in outcomes:
        standing = rule.update(standing, Ratings.of([0], [outcome]))
        path.append(float(standing.metrics[0, 0]))
    return path


def _beta(question: Question) -> Answers:
    prior = one_of(question, "prior", default=[1.0, 1.0])
    a, b = (
        one_of(question, "prior_a", "prior_good", "a0", default=prior[0]),
        one_of(question, "prior_b", "prior_bad", "b0", default=prior[1]),
    )
    rule = Beta(
        forgetting=one_of(question, "lambda", "forgetting", "forgetting_factor", default=1.0), prior_good=a, prior_bad=b
    )
    answers: dict[str, Any] = {}
    good, bad = one_of(question, "r", "good"), one_of(question, "s", "bad")
    if good is not None or bad is not None:
        counts = np.array([good or 0.0]), np.array([bad or 0.0])
        variance = float(rule.variance(*counts)[0])
        answers |= {
            "expected": rule.estimate(*counts)[0], "variance": variance, "std": math.sqrt(variance),
            "standard_deviation": math.sqrt(variance),
        }  # fmt: skip
    if question.has("events"):
        outcomes = _outcomes(question["events"])
        end = rule.update(rule.start(1), Ratings.of([0] * len(outcomes), outcomes))
        r, s, expected = end.good[0, 0], end.bad[0, 0], end.metrics[0, 0]
        answers |= {"r_forgotten": r, "s_forgotten": s, "expected_forgotten": expected, "path": _path(rule, outcomes)}
        answers |= {"variance_forgotten": rule.variance(end.good, end.bad)[0, 0]}
        answers = {"expected": expected, "r": r, "s": s} | answers
    return answers


def _eigentrust(question: Question) -> Answers:
    matrix = np.array(one_of(question, "local_trust", "C", "trust_matrix"), dtype=np.float64)
    pretrusted = one_of(question, "pretrusted", "p", "pre_trusted", default=[1.0] * len(matrix))
    if len(pretrusted) != len(matrix):  # the pre-trusted are named by their places
        pretrusted = [float(i in pretrusted) for i in range(len(matrix))]
    restart = one_of(question, "a", "restart", "alpha", "damping", default=0.15)
    trust: Floats = eigentrust(dense(matrix), np.array(pretrusted, dtype=np.float64), restart, tolerance=1e-14)
    return {"trust": trust, "sum": trust.sum(), "ranking": np.argsort(-trust, kind="stable")}


def _smoothing(question: Question) -> Answers:
    alpha, start = question["alpha"], one_of(question, "R0", "r0", "initial", "start", default=0.5)
    rule = Exponential(alpha=alpha, initial=start)
    answers: dict[str, Any] = {}
    outcomes = one_of(question, "x", "events", "outcomes")
    if outcomes is not None:
        answers["path"] = _path(rule, _outcomes(outcomes))
        answers["final"] = answers["path"][-1] if answers["path"] else start
    if (n := question.get("n")) is not None:
        answers["after_n_perfect"] = _path(rule, [1.0] * n)[-1] if n else start
        answers["after_n_bad"] = _path(rule, [0.0] * n)[-1] if n else start
    for name in question.wanted:
        if found := re.fullmatch(r"steps_([0-9.]+)_to_([0-9.]+)", name):
            answers[name] = _steps(alpha, *found.groups())
    return answers


def _steps(alpha: float, start: str, goal: str) -> int | None:
    """Return after how many perfect outcomes a score is at least the goal, in exact decimals; None: never."""
    keep, left, allowed = 1 - Fraction(str(alpha)), 1 - Fraction(start), 1 - Fraction(goal)
    steps = 0
    while left > allowed:
        if allowed <= 0 or keep == 1:
            return None if keep else steps + 1
        left, steps = left * keep, steps + 1
    return steps


def _penalties(question: Question) -> Answers:
    """Answer with every reading after one penalty and after n; points beyond what a score can lose leave 0."""
    score, points = question["score"], one_of(question, "penalty_points", "points", "penalty")
    n = question.get("n", 1)
    scales = {int(found[1]) for name in question.wanted if (found := re.fullmatch(r"points_of_(\d+)", name))}

    def after(rule: Penalty, severity: float) -> list[float]:
        now, path = np.array([float(score)]), []
        for _ in range(max(n, 1)):
            now = np.clip(rule.punished(now, np.array([severity])), 0.0, 1.0)
            path.append(float(now[0]))
        return [path[0], path[-1]]

    readings = {f"points_of_{scale}": after(Points(scale=scale), points) for scale in scales | {100}}
    return readings | {
        "literal_clamped": after(Additive(), points),
        "additive": after(Additive(), points),
        "multiplicative": after(Multiplicative(), min(points / 100, 1.0)),
    }


@checks("fraud-detection")
def fraud_detection(question: Question) -> Answers:
    """Answer with the figures of a confusion matrix, of scores against labels, or of Bayes' rule."""
    answers: dict[str, Any] = {}
    truth = one_of(question, "labels", "truth", "y_true", "actual", "is_fraud")
    scores = one_of(question, "scores", "score", "y_score")
    flagged = one_of(question, "flags", "flagged", "predicted", "predictions", "y_pred")
    if flagged is None and scores is not None and question.has("threshold"):
        flagged = np.asarray(scores) >= question["threshold"]
    if question.has("tp", "fp", "fn", "tn"):
        counts = {name: int(question[name]) for name in ("tp", "fp", "fn", "tn")}
        answers |= _figures(detection.Confusion(**counts))
    elif truth is not None and flagged is not None:
        answers |= _figures(detection.confusion(np.asarray(truth) > 0, np.asarray(flagged) > 0))
    if truth is not None and scores is not None:
        curve = detection.curve(np.asarray(truth) > 0, scores)
        answers |= {"auc": curve.auc, "roc_auc": curve.auc, "average_precision": curve.average_precision}
    if question.has("prevalence"):
        answers |= _posterior(question, answers)
    if not answers:
        raise Unsupported(f"no detector has inputs {', '.join(sorted(question.inputs)) or 'none'}")
    return answers


def _figures(counts: detection.Confusion) -> dict[str, Any]:
    """Return the figures of a confusion matrix; a figure that is 0/0 is 0, as scikit-learn has it."""
    figures = {
        "tp": counts.tp, "fp": counts.fp, "fn": counts.fn, "tn": counts.tn, "precision": counts.precision,
        "recall": counts.recall, "true_positive_rate": counts.recall, "sensitivity": counts.recall, "f1": counts.f1,
        "f2": counts.f_beta(2.0), "f0.5": counts.f_beta(0.5), "false_positive_rate": counts.false_alarm_rate,
        "false_alarm_rate": counts.false_alarm_rate, "false_negative_rate": 1 - counts.recall,
        "specificity": counts.specificity, "true_negative_rate": counts.specificity, "accuracy": counts.accuracy,
        "balanced_accuracy": counts.balanced_accuracy, "mcc": counts.mcc, "prevalence": counts.prevalence,
        "npv": counts.negative_predictive_value, "false_discovery_rate": 1 - counts.precision,
        "youden_j": counts.recall + counts.specificity - 1,
    }  # fmt: skip
    return {name: 0.0 if math.isnan(value) else value for name, value in figures.items()}


def _posterior(question: Question, counted: Mapping[str, Any]) -> Answers:
    """Answer with the chance that an accused agent cheats."""
    tpr = one_of(question, "tpr", "recall", "sensitivity", default=counted.get("recall"))
    fpr = one_of(question, "fpr", "false_positive_rate", default=counted.get("false_positive_rate"))
    if fpr is None and question.has("specificity"):
        fpr = 1 - question["specificity"]
    if tpr is None or fpr is None:
        raise Unsupported("Bayes' rule needs prevalence, tpr and fpr")
    ppv, npv = detection.predictive_values(question["prevalence"], tpr, fpr)
    return {"ppv": ppv, "posterior": ppv, "npv": npv, "flagged_honest_share": 1 - ppv}
