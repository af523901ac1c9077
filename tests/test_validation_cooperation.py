"""Cooperative games as other cases may write them: every way of giving a game, and figures beyond the open set's."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from celluler_sim.validation import validate
from tests.shared_data import shared

AREAS = {
    "shapley", "shapley-trap", "shapley-axioms", "shapley-sampling", "shapley-constrained", "owen-value", "bankruptcy",
    "core", "nucleolus", "banzhaf",
}  # fmt: skip

THREE = {"1": 0, "2": 0, "3": 0, "1,2": 60, "1,3": 40, "2,3": 20, "1,2,3": 100}
OTHERS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "letters": ("shapley", {"v": {"A": 1, "B": 0, "A,B": 3}}, {"shapley": [2, 1], "v_grand": 3}),
    "letters in one word": ("shapley", {"v": {"A": 0, "B": 0, "C": 0, "AB": 0, "AC": 1, "BC": 1, "ABC": 1}},
        {"shapley_fraction": ["1/6", "1/6", "2/3"]}),
    "digits in one word": ("shapley", {"v": {"1": 0, "2": 0, "3": 0, "12": 0, "13": 1, "23": 1, "123": 1}},
        {"shapley_fraction": ["1/6", "1/6", "2/3"]}),
    "braces and an empty set": ("shapley", {"v": {"{}": 0, "{1}": 1, "{2}": 0, "{1, 2}": 3}}, {"shapley": [2, 1]}),
    "by mask": ("shapley", {"v": [0, 1, 0, 3]}, {"shapley": [2, 1]}),
    "dividends": ("shapley", {"dividends": {"1": 2, "1,3": 4, "1,2,3": 9}}, {"shapley": [7, 3, 5]}),
    "graph": ("shapley", {"edges": [[1, 2, 4], [2, 3, 6]]}, {"shapley": [2, 5, 3]}),
    "additive": ("shapley", {"additive": [1, 2]}, {"shapley": [1, 2]}),
    "cubic pool": ("shapley", {"r": [1, 1], "power": 3}, {"shapley": [4, 4], "in_core": True}),
    "by size": ("shapley", {"worth_by_size": [0, 1, 4]}, {"shapley": [2, 2]}),
    "vote for a payment": ("shapley", {"quota": 2, "weights": [1, 1, 1], "payment": 9}, {"shapley": [3, 3, 3]}),
    "trap of a pair": ("shapley-trap", {"v": {"1": 2, "2": 0, "1,2": 4}},
        {"shapley": [3, 1], "last_marginals": [4, 2], "normalised_marginal": [8 / 3, 4 / 3], "are_equal": False}),
    "trap that is none": ("shapley-trap", {"v": {"1": 1, "2": 2, "1,2": 3}},
        {"normalised_marginal": [1, 2], "are_equal": True}),
    "axioms of other games": ("shapley-axioms",
        {"a": {"1": 1, "2": 1, "1,2": 4}, "b": {"1": 0, "2": 3, "1,2": 3}},
        {"phi_a": [2, 2], "phi_b": [0, 3], "phi_a_plus_b": [2, 5], "a_symmetric_players": [1, 2],
         "b_null_players": [1]}),
    "owen, players from 0": ("owen-value", {"v": THREE, "unions": [[0], [1, 2]]},
        {"owen": [40, 35, 25], "shapley_without_unions": [130 / 3, 100 / 3, 70 / 3], "union_totals": [40, 60]}),
    "sampling a left glove": ("shapley-sampling",
        {"left_owners": 2, "right_owners": 1, "player": 1, "m": 500, "eps": 0.05, "delta": 0.1},
        {"p": 1 / 6, "standard_error": (5 / 36 / 500) ** 0.5, "hoeffding_n": 600, "stratum_means": [0, 0.5, 0]}),
    "bounds as amounts": ("shapley-constrained", {"shapley": [7, 2, 1], "floor": 2, "cap": 5},
        {"projected": [5, 2.9999999999999996, 2], "sum": 10, "feasible": True}),
    "bounds without room": ("shapley-constrained", {"shapley": [7, 3], "cap_fraction": 0.4},
        {"feasible": False, "projected": None}),
    "estate by further rules": ("bankruptcy", {"estate": 300, "claims": [100, 200, 300]},
        {"cea": [100, 100, 100], "cel": [0, 100, 200], "talmud": [50, 100, 150], "random_arrival": [50, 100, 150],
         "convex": True}),
    "a division's core": ("core", {"v": THREE, "allocation": [30, 30, 40]},
        {"in_core": True, "max_excess": 0, "blocking_coalition": [1, 2], "superadditive": True}),
    "core of a runway": ("core", {"costs": [2, 5]}, {"core_nonempty": True, "equal_split_in_core": False}),
    "nucleolus of a runway": ("nucleolus", {"costs": [2, 5]}, {"nucleolus": [1, 4], "shapley": [1, 4]}),
    "strict majority": ("banzhaf", {"quota": 2, "weights": [2, 1, 1], "strict": True},
        {"swings": [3, 1, 1], "total_swings": 5, "veto_players": [1], "dummies": [], "winning_coalitions": 3,
         "minimal_winning_coalitions": 2, "deegan_packel": [0.5, 0.25, 0.25], "holler": [0.5, 0.25, 0.25]}),
    "quota as a fraction": ("banzhaf", {"quota_fraction": 0.67, "weights": [40, 30, 20, 10]}, {"swings": [5, 3, 1, 1]}),
    "two majorities at once": ("banzhaf", {"quota": [2, 5], "weights": [[1, 1, 1], [5, 1, 1]]},
        {"swings": [3, 1, 1], "normalised": [0.6, 0.2, 0.2]}),
}  # fmt: skip


def validated(path: Path, area: str, inputs: dict[str, Any], expected: dict[str, Any]) -> str:
    case = {"id": "x", "area": area, "inputs": inputs, "expected": expected}
    path.write_text(json.dumps([case | {"tolerance": {"type": "abs", "value": 1e-6}}]))
    return str(validate(path).results[0])


@pytest.mark.parametrize("name", OTHERS)
def test_other_cases_of_the_same_areas_pass(name: str, tmp_path: Path):
    assert validated(tmp_path / "cases.json", *OTHERS[name]).startswith("passed")


@pytest.mark.parametrize(
    ("area", "inputs", "expected", "said"),
    [
        ("shapley", {"matrix": [[1]]}, {"shapley": [1]}, "no game has inputs matrix"),
        ("core", {"v": {"1": 1, "2": 2, "1,2": 3}}, {"kernel": [1, 2]}, "none of which is known"),
        ("shapley", {"v": {"1": 1, "1,2": 3}}, {"shapley": [2, 1]}, "needs every coalition"),
    ],
)
def test_what_is_not_known_is_called_unsupported(area: str, inputs: Any, expected: Any, said: str, tmp_path: Path):
    result = validated(tmp_path / "cases.json", area, inputs, expected)
    assert result.startswith("unsupported")
    assert said in result


def shifted(value: Any) -> Any:
    """Return another figure."""
    if isinstance(value, bool) or value is None:
        return 0.5 if value is None else not value
    return f"1{value}" if isinstance(value, str) else value * 1.01 + 1


def with_one_figure_shifted(entry: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the case once for each figure expected, with only that one shifted."""
    found = []
    for key, value in entry["expected"].items():
        for place in range(len(value)) if isinstance(value, list) else [None]:
            other = copy.deepcopy(entry) | {"id": f"{entry['id']} {key} {place}"}
            if place is None:
                other["expected"][key] = shifted(value)
            else:
                other["expected"][key][place] = shifted(value[place])
            found.append(other)
    return found


def test_every_open_case_passes_and_every_figure_counts(tmp_path: Path):
    """All cases of these areas pass; with any one figure shifted, none does."""
    entries = [e for e in json.loads(shared("validation/cases.json").read_text()) if e["area"] in AREAS]
    assert {e["area"] for e in entries} == AREAS
    wrong = [case for entry in entries for case in with_one_figure_shifted(entry)]
    for name, cases, status in (("open.json", entries, "passed"), ("shifted.json", wrong, "failed")):
        (tmp_path / name).write_text(json.dumps(cases))
        assert [str(r) for r in validate(tmp_path / name).results if r.status != status] == []
