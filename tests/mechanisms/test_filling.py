"""Dividing one capacity: max-min, proportional, capped equal and dominant shares, by hand and against outside cases."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from celluler_sim.mechanisms.drf import dominant_resource_fairness
from celluler_sim.mechanisms.filling import capped_equal_share, max_min, proportional_share, water_level
from tests.shared_data import shared

amounts = st.one_of(st.integers(0, 9).map(float), st.floats(0.0, 1e6))
weights = st.one_of(st.sampled_from([0.5, 1.0, 2.0]), st.floats(1e-3, 1e3))
claims = st.lists(st.tuples(amounts, weights), min_size=1, max_size=8)


def cases(area: str) -> list[dict[str, Any]]:
    return [case for case in json.loads(shared("validation/cases.json").read_text()) if case["area"] == area]


def test_max_min_cases():
    for case in cases("max-min"):
        given_, expected = case["inputs"], case["expected"]
        shares = max_min(given_["capacity"], given_["demands"], given_.get("weights"))
        assert_allclose(shares, expected["max_min"], atol=1e-9, err_msg=case["id"])
        assert shares.sum() == pytest.approx(expected["sum"], abs=1e-9)
        if "naive_capped_equal_share" in expected:
            naive = capped_equal_share(given_["capacity"], given_["demands"])
            assert_allclose(naive, expected["naive_capped_equal_share"], atol=1e-9)
            assert given_["capacity"] - naive.sum() == pytest.approx(expected["naive_unallocated"], abs=1e-9)


def test_proportional_share_cases():
    for case in cases("proportional-share"):
        given_, expected = case["inputs"], case["expected"]
        plain = proportional_share(given_["capacity"], given_["weights"])
        capped = proportional_share(given_["capacity"], given_["weights"], given_["caps"])
        assert_allclose(plain, expected["proportional"], atol=1e-9)
        assert_allclose(capped, expected["proportional_capped_redistributed"], atol=1e-9)


def test_drf_cases():
    for case in cases("drf"):
        given_, expected = case["inputs"], case["expected"]
        answer = dominant_resource_fairness(given_["capacity"], given_["demand_per_task"], given_["weights"])
        assert_allclose(answer.tasks, expected["tasks"], atol=1e-9, err_msg=case["id"])
        assert_allclose(answer.shares, expected["dominant_shares"], atol=1e-9, err_msg=case["id"])
        assert_allclose(answer.used, expected["used"], atol=1e-9, err_msg=case["id"])


def test_water_level_by_hand():
    """Demands 1 and 9 share 4: the first is met, the other has 3 left at weight 2, so the level is 1.5."""
    assert water_level(4.0, np.array([1.0, 9.0]), np.array([1.0, 2.0])) == 1.5


def test_everybody_is_met_where_there_is_enough():
    assert water_level(10.0, np.array([1.0, 9.0]), np.array([1.0, 2.0])) == np.inf
    assert max_min(11, [1, 9]).tolist() == [1, 9]


def test_claims_without_ceiling_share_by_weight():
    assert max_min(12, [np.inf, np.inf, 2], [1, 4, 5]).tolist() == [2, 8, 2]


def test_a_claim_without_weight_gets_nothing():
    assert max_min(10, [5, 5, 5], [1, 0, 1]).tolist() == [5, 0, 5]


def test_nothing_to_share_and_nobody_to_share_it():
    assert max_min(0, [5, 5]).tolist() == [0, 0]
    assert max_min(5, []).tolist() == []


def test_the_seed_divides_by_the_number_of_providers():
    """Ten units and two providers: everybody may have 5, so four claims ask for 16.6 in all, more than there is."""
    assert capped_equal_share(10, [2, 4.6, 6, 5], parts=2).tolist() == [2, 4.6, 5, 5]


@pytest.mark.parametrize(
    ("capacity", "demands", "weight", "message"),
    [
        (-1, [1], None, "capacity must be finite and >= 0, got -1"),
        (np.nan, [1], None, "capacity"),
        (1, [-2], None, "demands must be >= 0, got -2"),
        (1, [np.nan], None, "demands must be >= 0, got nan"),
        (1, [1, 2], [1], "one length"),
        (1, [1], [-1], "weights must be finite and >= 0, got -1"),
    ],
)
def test_max_min_refuses_what_is_no_claim(capacity: float, demands: list[float], weight: Any, message: str):
    with pytest.raises(ValueError, match=message):
        max_min(capacity, demands, weight)


@given(capacity=st.floats(0.0, 1e6), claims=claims)
def test_max_min_is_full_use_and_no_envy(capacity: float, claims: list[tuple[float, float]]):
    """Two properties pin it down: all is used or all are met, and who is short has the top share per weight."""
    d, w = np.array(claims).T
    shares = max_min(capacity, d, w)
    slack = 1e-9 * max(1.0, d.max(), capacity)
    assert np.all(shares >= 0)
    assert np.all(shares <= d + slack)
    assert shares.sum() == pytest.approx(min(capacity, d.sum()), abs=slack * len(d))
    short = shares < d - slack
    if short.any():
        assert (shares / w)[short].min() >= (shares / w).max() * (1 - 1e-9) - slack / w.min()


# ---- dominant resource fairness --------------------------------------------------------------------------------------


def test_drf_weights_double_the_dominant_share():
    """Both need only the first resource; weights 2 and 1 split 9 into 6 and 3."""
    answer = dominant_resource_fairness([9, 5], [[1, 0], [1, 0]], [2, 1])
    assert_allclose(answer.tasks, [6, 3])
    assert_allclose(answer.shares, [2 / 3, 1 / 3])


def test_drf_stops_at_what_is_wanted():
    """The first wants 1 task of 1 unit; of 9 the other can have 8."""
    assert_allclose(dominant_resource_fairness([9], [[1], [1]], max_tasks=[1, np.inf]).tasks, [1, 8])


def test_drf_without_a_resource_that_is_needed():
    """The second resource does not exist: who needs it gets nothing, the other everything."""
    answer = dominant_resource_fairness([4, 0], [[1, 1], [1, 0]])
    assert answer.tasks.tolist() == [0, 4]
    assert answer.shares.tolist() == [0, 1]
    assert dominant_resource_fairness([4, 0], [[1, 1], [1, 0]], max_tasks=[9, 1]).tasks.tolist() == [0, 1]


def test_drf_tasks_that_need_nothing_are_all_granted():
    assert dominant_resource_fairness([4], [[0], [1]], max_tasks=[7, np.inf]).tasks.tolist() == [7, 4]


@pytest.mark.parametrize(
    ("demand", "keywords", "message"),
    [
        ([[1, 2]], {}, "one column per capacity"),
        ([[1]], {"weights": [0]}, "weights must be > 0"),
        ([[1]], {"max_tasks": [-1]}, "max_tasks >= 0"),
        ([[-1]], {}, "finite and >= 0"),
        ([[0]], {}, "finite max_tasks"),
    ],
)
def test_drf_refuses(demand: list[list[float]], keywords: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        dominant_resource_fairness([4], demand, **keywords)


@st.composite
def pools(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (capacity, demand per task, weights), up to five users and three resources; all need something."""
    n, k = draw(st.integers(1, 5)), draw(st.integers(1, 3))
    numbers = st.one_of(st.integers(1, 9).map(float), st.floats(0.1, 100.0))
    capacity = np.array([draw(numbers) for _ in range(k)])
    demand = np.array([[draw(st.one_of(st.just(0.0), numbers)) for _ in range(k)] for _ in range(n)])
    demand[:, 0] = np.where(demand.any(axis=1), demand[:, 0], 1.0)
    return capacity, demand, np.array([draw(st.sampled_from([0.5, 1.0, 2.0])) for _ in range(n)])


@given(pools())
def test_drf_is_feasible_and_leaves_nobody_who_could_go_on(pool: tuple[np.ndarray, np.ndarray, np.ndarray]):
    capacity, demand, _ = pool
    answer = dominant_resource_fairness(*pool)
    assert np.all(answer.used <= capacity * (1 + 1e-9))
    exhausted = answer.used >= capacity * (1 - 1e-9)
    assert (demand[:, exhausted] > 0).any(axis=1).all()


@given(pools())
def test_drf_gives_everybody_at_least_its_part_of_every_resource(pool: tuple[np.ndarray, np.ndarray, np.ndarray]):
    capacity, demand, weight = pool
    part = weight / weight.sum()
    with np.errstate(divide="ignore"):
        alone = (part[:, None] * capacity / np.where(demand > 0, demand, 0.0)).min(axis=1)
    assert np.all(dominant_resource_fairness(*pool).tasks >= alone * (1 - 1e-9))


@given(pools())
def test_drf_users_of_equal_weight_do_not_want_each_others_bundle(pool: tuple[np.ndarray, np.ndarray, np.ndarray]):
    capacity, demand, _ = pool
    tasks = dominant_resource_fairness(capacity, demand).tasks
    for i, own in enumerate(demand):
        for j, bundle in enumerate(tasks[:, None] * demand):
            with_theirs = np.min(bundle[own > 0] / own[own > 0])
            assert with_theirs <= tasks[i] * (1 + 1e-9), (i, j)
