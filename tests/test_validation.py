"""The `validate` verb: reading cases, comparing answers, and the project's own answers to cases from outside."""

import copy
import io
import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from celluler_sim.errors import ScenarioError
from celluler_sim.validation import Report, print_report, validate
from celluler_sim.validation.cases import Tolerance, read_cases
from celluler_sim.validation.compare import differences
from celluler_sim.validation.registry import Question, checks
from tests.shared_data import shared

WIRED = {
    "max-min", "proportional-share", "drf", "milp-welfare", "price-sliding-window", "price-linear",
    "price-performance", "eip1559", "metrics", "conservation", "queueing",
    "reputation", "deterrence", "cartel", "fraud-detection", "governance",
}  # fmt: skip


def case(**changes: Any) -> dict[str, Any]:
    """Return a case that passes: 10 among demands of 2 and 20 is 2 and 8."""
    plain = {
        "id": "two",
        "area": "max-min",
        "inputs": {"capacity": 10, "demands": [2, 20]},
        "expected": {"max_min": [2.0, 8.0]},
        "tolerance": {"type": "abs", "value": 1e-9},
    }
    return plain | changes


@pytest.fixture
def run(tmp_path: Path) -> Any:
    """Return a function that validates cases given as objects."""

    def validated(*entries: dict[str, Any]) -> Report:
        path = tmp_path / "cases.json"
        path.write_text(json.dumps(entries))
        return validate(path)

    return validated


# ---- the project's own answers ---------------------------------------------------------------------------------------


def test_open_cases_pass_in_every_wired_area():
    """Nothing fails; what is not wired yet says so and nothing else does."""
    results = validate(shared("validation/cases.json")).results
    assert [str(r) for r in results if r.status == "failed"] == []
    assert {r.area for r in results if r.status == "passed"} >= WIRED
    assert not [str(r) for r in results if r.area in WIRED and r.status == "unsupported"]


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every figure in nested JSON."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, (*path, key))
    else:
        yield path


def test_every_expected_figure_counts(run: Any):
    """Shift one figure of one open case at a time, and exactly that case fails."""
    shifted = []
    for entry in json.loads(shared("validation/cases.json").read_text()):
        for path in leaves(entry["expected"]) if entry["area"] in WIRED else ():
            other = copy.deepcopy(entry) | {"id": f"{entry['id']} {path}"}
            *way, last = path
            place = other["expected"]
            for key in way:
                place = place[key]
            place[last] = str(Fraction(place[last]) + 1) if isinstance(place[last], str) else place[last] * 1.01 + 1
            shifted.append(other)
    assert [str(r) for r in run(*shifted).results if r.status != "failed"] == []


OTHER_NUMBERS = {
    "max-min weighted": ("max-min", {"capacity": 12, "demands": [1, 9, 9], "weights": [1, 2, 3]},
        {"max_min": [1, 4.4, 6.6], "sum": 12}),
    "max-min naive": ("max-min", {"capacity": 9, "demands": [1, 5, 6]},
        {"naive_capped_equal_share": [1, 3, 3], "naive_unallocated": 2}),
    "proportional without caps": ("proportional-share", {"capacity": 10, "weights": [1, 4]}, {"proportional": [2, 8]}),
    "proportional with two caps": ("proportional-share", {"capacity": 10, "weights": [1, 1, 2], "caps": [1, 2, 99]},
        {"proportional_capped_redistributed": [1, 2, 7]}),
    "drf without weights": ("drf", {"capacity": [12, 12], "demand_per_task": [[1, 2], [2, 1]]},
        {"tasks": [4, 4], "dominant_shares": [2 / 3, 2 / 3], "used": [12, 12], "ceei_tasks": [4, 4],
         "asset_fairness_tasks": [4, 4]}),
    "drf weighted": ("drf", {"capacity": [12], "demand_per_task": [[1], [2]], "weights": [1, 2]},
        {"tasks": [4, 4], "dominant_shares": [1 / 3, 2 / 3], "used": [12]}),
    "knapsack": ("milp-welfare", {"capacity": 5, "jobs": [[3, 9], [2, 4], [4, 10]]},
        {"optimal_value": 13, "jobs": [0, 1], "greedy_by_density_value": 13, "lp_relaxation": 14,
         "vcg_payments": {"0": 6, "1": 1}}),
    "assignment": ("milp-welfare", {"values": [[5, 3], [4, 1]]},
        {"assignment": [1, 0], "welfare": 7, "vcg_payments": [0, 2]}),
    "cycle with another base": ("price-sliding-window", {"base": 10, "window_s": 100, "rows": [[1, 50], [0, 175]]},
        {"prices": [60, 17.5], "time_factors": [1.5, 1.75]}),
    "jump in a short window": ("price-sliding-window",
        {"base": 10, "window_s": 4, "u": 1, "t_before": 7, "t_after": 8},
        {"price_before": 70, "price_after": 40, "ratio_after_to_before": 4 / 7, "window_average_1s_grid": 55}),
    "window": ("price-sliding-window", {"observations": [[0, 0], [10, 1]], "now": 12, "window_s": 4},
        {"sample_mean": 1, "time_weighted": 0.5, "factor_sample_mean": 4, "factor_time_weighted": 2.25}),
    "window without a sample": ("price-sliding-window", {"observations": [[0, 0.5]], "now": 12, "window_s": 4},
        {"time_weighted": 0.5}),
    "linear with a factor of 0.2": ("price-linear", {"base": 50, "utilization_factor": 0.2, "u": [0.5]},
        {"per_10_percent_reading": [100], "literal_reading": [55]}),
    "linear elasticities": ("price-linear", {"base": 10, "u": [1]},
        {"elasticity_quadratic": [1], "elasticity_linear": [0.5], "slope_at_0": {"linear": 10}}),
    "performance without weights": ("price-performance", {"base": 10, "multipliers": [2, 0.5]},
        {"product": 10, "mean": 12.5, "additive_premiums": 15, "weighted_geometric": 10}),
    "one block": ("eip1559", {"rows": [[800, 0, 100]]}, {"next_base_fee": [700]}),
    "one block of another chain": ("eip1559", {"rows": [[800, 100, 100]], "elasticity": 5, "denominator": 4},
        {"next_base_fee": [1600]}),
    "a path": ("eip1559", {"start": 800, "gas_limit": 100, "gas_used": [0, 50, 100]}, {"path": [800, 700, 700, 787]}),
    "where it goes": ("eip1559", {"start": 10.0, "pmax": 40.0, "target": 1000.0, "d": 4},
        {"fixed_point": 20, "local_contraction": 0.75, "after_1": 11.25, "after_900": 20}),
    "holdings": ("metrics", {"x": [1, 3]},
        {"gini": 0.25, "hhi": 0.625, "hhi_10000": 6250, "jain": 0.8, "effective_number": 1.6, "nakamoto_half": 1}),
    "one distribution": ("metrics", {"alpha": 3}, {"pareto": 0.2}),
    "erlang": ("queueing", {"a": 1, "c": 2, "mu": 2.0},
        {"erlang_b": 0.2, "carried_load": 0.8, "erlang_c": 1 / 3, "mean_wait": 1 / 6, "mean_wait_given_wait": 0.5,
         "mean_time_in_system": 2 / 3, "mean_queue_length": 1 / 3}),
    "erlang by rates": ("queueing", {"lambda": 2, "c": 2, "mu": 2.0}, {"erlang_b": 0.2}),
    "single server": ("queueing", {"lambda": 1.0, "mu": 2.0},
        {"Lq": 0.5, "p0": 0.5, "p2": 0.125, "md1_Wq": 0.25, "W_p5": 0.0512932943875505}),
    "split": ("conservation", {"total_units": "10", "weights": [1, 2]}, {"parts": ["3", "7"], "floors_lost": 1}),
    "split with fee": ("conservation", {"amount_units": "999", "fee_bps": 100, "weights": [1, 1]},
        {"fee": "9", "parts": ["495", "495"], "sum": "999"}),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHER_NUMBERS)
def test_other_numbers_and_fewer_inputs(run: Any, name: str):
    """Cases made up here and worked by hand: nothing depends on the open set's numbers or on optional inputs."""
    area, inputs, expected = OTHER_NUMBERS[name]
    report = run(case(area=area, inputs=inputs, expected=expected))
    assert [str(r) for r in report.results] == [f"passed      {area}/two"]


# ---- what becomes of a case ------------------------------------------------------------------------------------------


def test_report_says_what_differs(run: Any):
    """One passes, one fails with both numbers, one asks what nobody answers."""
    report = run(
        case(), case(id="wrong", expected={"max_min": [2.0, 9.5]}), case(id="new", area="astrology", inputs={})
    )
    out = io.StringIO()
    print_report(report, out)
    assert out.getvalue().splitlines() == [
        "passed      max-min/two",
        "failed      max-min/wrong: max_min[1]: expected 9.5, got 8, tolerance abs 1e-09",
        "unsupported astrology/new: no mechanism answers this area",
        "1 passed, 1 failed, 1 unsupported",
    ]
    assert report.exit_code == 1


def test_nothing_failed_is_success(run: Any, capsys: pytest.CaptureFixture[str]):
    report = run(case(), case(id="new", area="astrology"))
    print_report(report)
    assert report.exit_code == 0
    assert capsys.readouterr().out.endswith("\n1 passed, 0 failed, 1 unsupported\n")


def test_inputs_of_another_kind_are_unsupported(run: Any):
    """An area that is wired can still be asked something new."""
    strange = [case(id=area, area=area, inputs={"moon": 1}) for area in sorted(WIRED)]
    assert {r.status for r in run(*strange).results} == {"unsupported"}


def test_a_check_that_raises_fails_its_case_only(run: Any):
    report = run(case(inputs={"capacity": -1, "demands": [1]}), case(id="good"))
    assert [r.status for r in report.results] == ["failed", "passed"]
    assert report.results[0].detail == "expected an answer, got ValueError: capacity must be finite and >= 0, got -1"


def test_a_figure_without_an_answer_fails(run: Any):
    (result,) = run(case(expected={"max_min": [2, 8], "envy": 0.5})).results
    assert result.detail == "envy: expected 0.5, got no answer, tolerance abs 1e-09"


def test_a_check_never_sees_the_expected_values(run: Any):
    """It is told the names of the figures only."""
    seen: list[Question] = []

    @checks("curiosity")
    def curious(question: Question) -> dict[str, Any]:
        seen.append(question)
        return {"answer": 42}

    assert run(case(area="curiosity", inputs={"q": 6}, expected={"answer": 42})).exit_code == 0
    assert seen == [Question({"q": 6}, frozenset({"answer"}))]


# ---- comparing -------------------------------------------------------------------------------------------------------

EXACT, ABS, REL = Tolerance("exact"), Tolerance("abs", 0.01), Tolerance("rel", 0.01)
BANDS = Tolerance("range", note="expected gives [low, high] bounds, inclusive")
MIXED = Tolerance("mixed", note="bound rel 1e-3; regret is a [low, high] band; growth gives upper bounds")
NOTED = Tolerance("abs", 0.01, "least is a lower bound; first to 1e-12 relative")


@pytest.mark.parametrize(
    ("expected", "answer", "tolerance", "agrees"),
    [
        (1, 1, EXACT, True),
        (1, 1.0, EXACT, True),
        (1, 1 + 1e-15, EXACT, False),
        ("123456789012345678901", 123456789012345678901, EXACT, True),
        ("123456789012345678901", 123456789012345678902, EXACT, False),
        (2**60 + 1, float(2**60), EXACT, False),
        ("won", "won", EXACT, True),
        ("won", "lost", ABS, False),
        (1.0, 1.0099, ABS, True),
        (1.0, 1.0101, ABS, False),
        (-200.0, -201.9, REL, True),
        (-200.0, -202.1, REL, False),
        (0.0, 1e-300, REL, False),
        (1.0, float("nan"), ABS, False),
        (1.0, None, ABS, False),
        (None, None, ABS, True),
        (None, 0.0, ABS, False),
        (True, True, ABS, True),
        (True, 1, EXACT, False),
        (1, True, EXACT, False),
        (False, np.bool_(False), EXACT, True),  # noqa: FBT003 - NumPy's own boolean
        ("inf", np.inf, ABS, True),
        ("inf", 1e300, ABS, False),
        ("4/3", Fraction(4, 3), EXACT, True),
        ("4/3", 4 / 3, EXACT, False),
        ("4/3", 4 / 3, ABS, True),
        ("4/3", 1.5, ABS, False),
        ([1, [2, 3]], np.array([1, 2]), ABS, False),
        ([1.0, 2.0], np.array([1, 2]), ABS, True),
        ([1.0, 2.0], (1.0,), ABS, False),
        ([1.0], 1.0, ABS, False),
        ({"0": 60, "a": [1]}, {0: 60, "a": (1,)}, ABS, True),
        ({"0": 60}, {"1": 60}, ABS, False),
        ({"0": 60}, [60], ABS, False),
        ([0.9, 1.0], 0.95, BANDS, True),
        ([0.9, 1.0], 1.0, BANDS, True),
        ([0.9, 1.0], 0.89, BANDS, False),
        ([0.9, 1.0], [0.9, 1.0], BANDS, True),
        ([0.9, 1.0], 0.95, ABS, False),
        (160, 160, BANDS, True),
        (160, 159, BANDS, False),
    ],
)
def test_agreement(expected: Any, answer: Any, tolerance: Tolerance, agrees: bool):
    assert (differences({"x": expected}, {"x": answer}, tolerance) == []) == agrees


@pytest.mark.parametrize(
    ("key", "expected", "answer", "tolerance", "agrees"),
    [
        ("share_upper", 0.85, 0.5, BANDS, True),
        ("share_upper", 0.85, 0.9, BANDS, False),
        ("volume_min", 0.85, 0.9, BANDS, True),
        ("volume_min", 0.85, 0.8, BANDS, False),
        ("volume_min", 0.85, 0.9, ABS, False),
        ("bound", 1000, 1000.9, MIXED, True),
        ("bound", 1000, 1001.1, MIXED, False),
        ("regret", [10, 20], 15, MIXED, True),
        ("regret", [10, 20], 21, MIXED, False),
        ("growth", {"a": 1.9}, {"a": 1.0}, MIXED, True),
        ("growth", {"a": 1.9}, {"a": 2.0}, MIXED, False),
        ("least", 0.5, 0.9, NOTED, True),
        ("least", 0.5, 0.4, NOTED, False),
        ("first", [1.0], [1.001], NOTED, False),
        ("second", [1.0], [1.001], NOTED, True),
    ],
)
def test_notes_name_bands_and_bounds(key: str, expected: Any, answer: Any, tolerance: Tolerance, agrees: bool):
    assert (differences({key: expected}, {key: answer}, tolerance) == []) == agrees


def test_words_are_for_people_only_where_nothing_answers():
    """A behaviour told in words needs no answer in a case about numbers; an exact word does."""
    words = {"behaviour": "closed orbits: x1*x2*x3 constant"}
    assert differences(words, {}, ABS) == []
    assert differences(words, {}, EXACT) != []
    assert differences(words, {"behaviour": "spiral"}, ABS) != []
    assert differences({"winner": "b2"}, {}, ABS) != []


def test_a_fraction_is_held_against_the_number_it_is_exact_for():
    expected = {"share_fraction": ["1/6", "2/3"]}
    assert differences(expected, {"share": [1 / 6, 2 / 3]}, ABS) == []
    assert differences(expected, {"share": [1 / 6, 1 / 2]}, ABS) != []
    assert differences(expected, {}, ABS) != []


# ---- reading ---------------------------------------------------------------------------------------------------------


def without(key: str) -> dict[str, Any]:
    """Return a case that lacks one key."""
    return {name: value for name, value in case().items() if name != key}


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"id": "x"}, "must hold a JSON list of cases, got an object; put the cases into [ ]"),
        ([3], "case 0 (from 0) must be an object, got a number; write it as { }"),
        ([case(), without("id")], "case 1 (from 0) must have 'id', got none; add it"),
        ([without("area")], "case 'two' must have 'area', got none; add it"),
        ([without("inputs")], "case 'two' must have 'inputs', got none; add it"),
        ([without("expected")], "case 'two' must have 'expected', got none; add it"),
        ([without("tolerance")], "case 'two' must have 'tolerance', got none; add it"),
        ([case(expected={})], "case 'two': 'expected' must be an object with content, got an empty one; correct it"),
        ([case(inputs=[1])], "case 'two': 'inputs' must be an object with content, got a list; correct it"),
        ([case(area=7)], "case 'two': 'area' must be a string with content, got a number; correct it"),
        ([case(), case()], "case 'two' must have an id of its own, got it twice; rename one"),
        (
            [case(tolerance={"type": "close"})],
            "case 'two': tolerance type must be one of exact, abs, rel, range, mixed, got 'close'; choose one",
        ),
        ([case(tolerance={"type": "abs"})], "case 'two': tolerance value must be a number >= 0, got none; give one"),
        (
            [case(tolerance={"type": "rel", "value": -1})],
            "case 'two': tolerance value must be a number >= 0, got -1; give one, 1e-9 say",
        ),
        (
            [case(expected={"max_min": [1, float("nan")]})],
            "case 'two': expected.max_min[1] must be a finite number, got nan; write a string or null",
        ),
        (
            [case(inputs={"capacity": float("inf")})],
            "case 'two': inputs.capacity must be a finite number, got inf; write a string or null",
        ),
    ],
)
def test_malformed_cases(run: Any, tmp_path: Path, entries: Any, message: str):
    """One line that names file, case and remedy."""
    path = tmp_path / "cases.json"
    path.write_text(json.dumps(entries))
    with pytest.raises(ScenarioError) as caught:
        validate(path)
    text = str(caught.value)
    assert text.startswith(str(path))
    assert message in text
    assert "\n" not in text


@pytest.mark.parametrize("content", [b"", b"[{", b"id: two", b"\xff\xfe\x00", b"[" * 100_000])
def test_a_file_that_is_no_json(tmp_path: Path, content: bytes):
    path = tmp_path / "cases.json"
    path.write_bytes(content)
    with pytest.raises(ScenarioError, match=r"cases\.json must be JSON, got .*; repair it there$"):
        validate(path)


def test_a_file_that_is_not_there(tmp_path: Path):
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(ScenarioError, match=r"must be a readable file of cases, got .*; check the path$"):
            validate(path)


def test_an_empty_list_has_nothing_to_fail(run: Any):
    assert run().closing_line == "0 passed, 0 failed, 0 unsupported"


def test_cases_keep_their_order(tmp_path: Path):
    path = tmp_path / "cases.json"
    path.write_text(json.dumps([case(id=name) for name in "cab"]), encoding="utf-8-sig")
    assert [each.id for each in read_cases(path)] == ["c", "a", "b"]
