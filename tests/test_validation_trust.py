"""The areas of trust and governance answer questions beyond the open cases, in several spellings; figures by hand."""

from typing import Any

import pytest

from celluler_sim.validation.cases import Tolerance
from celluler_sim.validation.compare import differences
from celluler_sim.validation.registry import Question, Unsupported, check_for

CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    # 3 good, no bad: 4/5, variance of Beta(4, 1) = 4 / (25 * 6)
    ("reputation", {"r": 3, "s": 0}, {"expected": 0.8, "variance": 4 / 150}),
    # bad, then good, at forgetting 1/2: r = 1, s = 1/2, so 2 / 3.5; no forgetting where none is given: 2/4
    ("reputation", {"lambda": 0.5, "events": [0, 1]},
     {"r_forgotten": 1, "s_forgotten": 0.5, "expected_forgotten": 4 / 7}),
    ("reputation", {"events": ["good", "bad"]}, {"expected": 0.5, "path": [2 / 3, 0.5]}),
    ("reputation", {"r": 1, "s": 1, "prior": [2, 1]}, {"expected": 0.6}),
    # alpha 1/2 from 0: after three perfect outcomes 7/8; 0 to 0.9 takes four (15/16), 0 to 0.75 exactly two
    ("reputation", {"alpha": 0.5, "R0": 0, "n": 3, "x": [1, 0]},
     {"path": [0.5, 0.25], "after_n_perfect": 0.875, "steps_0_to_0.9": 4, "steps_0_to_0.75": 2}),
    ("reputation", {"alpha": 1.0, "R0": 0.3, "x": [0.2]}, {"path": [0.2], "steps_0_to_0.9": 1}),
    # agent 1 trusts nobody, so as the pre-trusted (0) do: t1 = t0/2 and t0 + t1 = 1
    ("reputation", {"local_trust": [[0, 2], [0, 0]], "pretrusted": [1, 0], "a": 0.5}, {"trust": [2 / 3, 1 / 3]}),
    ("reputation", {"local_trust": [[0, 2], [1, 0]], "pretrusted": [0], "a": 0.5}, {"trust": [2 / 3, 1 / 3]}),
    # 25 points at 0.4, twice: 0.15 then 0; a quarter off each time; every literal point leaves nothing
    ("reputation", {"score": 0.4, "penalty_points": 25, "n": 2},
     {"points_of_100": [0.15, 0], "multiplicative": [0.3, 0.225], "literal_clamped": [0, 0], "points_of_50": [0, 0]}),
    ("deterrence", {"g": 20, "fine": 80, "p": 0.5, "n": 2},
     {"p_min_gain_kept": 0.25, "p_min_gain_forfeited": 0.2, "profit_gain_kept": -20, "profit_gain_forfeited": -30,
      "fine_min_gain_kept": 40, "fine_min_gain_forfeited": 20, "caught_at_least_once": 0.75,
      "deterred_gain_kept": True}),
    ("deterrence", {"g": 20, "fine": 80}, {"p_min_gain_kept": 0.25, "p_min_gain_forfeited": 0.2}),
    ("deterrence", {"g": 6, "fine": 2, "audit_cost": 1, "undetected_loss": 10},
     {"audit_probability": 0.75, "cheat_probability": 0.1}),
    ("cartel", {"n": [5, 10]},
     {"bertrand": [0.8, 0.9], "cournot": [36 / 56, 121 / 161], "cournot_fraction": ["9/14", "121/161"]}),
    ("cartel", {"n": 2}, {"bertrand": 0.5, "cournot": 9 / 17, "rotation": (5**0.5 - 1) / 2}),
    ("cartel", {"n": [2], "delta": 0.5}, {"bertrand_sustainable": [True], "cournot_sustainable": [False]}),
    # 40 against 100, competition 10: 60/90; found in half of the periods and fined 60: 60 / (0.5 * 70) > 1
    ("cartel", {"pi_collude": 40, "pi_deviate": 100, "pi_nash": 10, "delta": 0.7},
     {"delta": 2 / 3, "sustainable": True}),
    ("cartel", {"pi_collude": 40, "pi_deviate": 100, "rho": 0.5, "fine": 60},
     {"delta_with_detection": 60 / 35, "delta_without_detection": 0.6, "sustainable": False}),
    ("fraud-detection", {"tp": 1, "fp": 1, "fn": 1, "tn": 7},
     {"precision": 0.5, "recall": 0.5, "f1": 0.5, "false_positive_rate": 0.125, "accuracy": 0.8, "mcc": 6 / 16}),
    ("fraud-detection", {"tp": 0, "fp": 0, "fn": 2, "tn": 8}, {"precision": 0, "recall": 0, "f1": 0, "mcc": 0}),
    ("fraud-detection", {"prevalence": 0.5, "tpr": 0.8, "fpr": 0.2}, {"ppv": 0.8, "flagged_honest_share": 0.2}),
    ("fraud-detection", {"labels": [0, 1, 1, 0], "scores": [0.1, 0.9, 0.4, 0.4], "threshold": 0.4},
     {"auc": 3.5 / 4, "precision": 2 / 3, "recall": 1}),
    ("governance", {"stakes": [2, 2, 1], "votes": ["yes", "no", "absent"], "quorum": 0.8, "threshold": 0.5},
     {"turnout": 0.8, "yes_of_cast": 0.5, "yes_of_total": 0.4, "passes_QP": False, "passes_QY": False}),
    ("governance", {"stakes": [0.1, 0.2, 0.7], "votes": [True, True, False], "quorum": 0.3, "threshold": 0.3},
     {"turnout": 1, "yes_of_cast": 0.3, "passes_QP": False, "passes_QY": True}),
    ("governance", {"stakes": [1, 1, 1], "votes": ["abstain", "absent", "abstain"]},
     {"turnout": 0, "yes_of_cast": 0, "passes_QP": False}),
    # the third votes for the first two: all three stakes yes
    ("governance", {"stakes": [1, 1, 2], "votes": [None, None, "yes"], "delegates": [1, 2, None], "quorum": 1},
     {"turnout": 1, "yes": 4, "weights": [0, 0, 4], "passes_QP": True}),
    ("governance", {"budget": 50, "votes": [7, 1]},
     {"max_votes_one_issue": 7, "cost": 50, "affordable": True, "votes_split_2": 10}),
    ("governance", {"contributions": [9, 9]}, {"qf_total": 36, "qf_match": 18}),
    # 50 + 49 + 1 with 51 to win: the first is in every win; 3 of 5 swings
    ("governance", {"stakes": [50, 49, 1], "quota": 51},
     {"swings": [3, 1, 1], "banzhaf": [0.75, 0.25, 0.25], "banzhaf_normalised": [0.6, 0.2, 0.2], "nakamoto_half": 2}),
]  # fmt: skip


@pytest.mark.parametrize(("area", "inputs", "expected"), CASES, ids=[f"{c[0]}-{i}" for i, c in enumerate(CASES)])
def test_further_questions(area: str, inputs: dict[str, Any], expected: dict[str, Any]):
    check = check_for(area)
    assert check is not None
    answers = check(Question(inputs, frozenset(expected)))
    assert [str(d) for d in differences(expected, answers, Tolerance("abs", 1e-9))] == []


@pytest.mark.parametrize(
    ("area", "inputs", "message"),
    [
        ("reputation", {"colour": 1}, "no reputation has inputs colour"),
        ("deterrence", {"colour": 1}, "no deterrence has inputs colour"),
        ("cartel", {"colour": 1}, "no ring has inputs colour"),
        ("cartel", {"pi_collude": 1, "pi_deviate": 2, "pi_nash": 1, "rho": 0.1}, "must be 0"),
        ("fraud-detection", {"colour": 1}, "no detector has inputs colour"),
        ("fraud-detection", {"prevalence": 0.1}, "needs prevalence, tpr and fpr"),
        ("governance", {"colour": 1}, "no vote has inputs colour"),
        ("governance", {"stakes": [1], "votes": ["perhaps"]}, "a vote of 'perhaps'"),
        ("governance", {"stakes": [1]}, "needs a quota or a quorum"),
    ],
)
def test_unknown_questions_are_unsupported(area: str, inputs: dict[str, Any], message: str):
    check = check_for(area)
    assert check is not None
    with pytest.raises(Unsupported, match=message):
        check(Question(inputs, frozenset()))
