"""Queueing formulas by hand, by direct sums, and against each other."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from celluler_sim.analysis import queueing as q


def test_erlang_by_hand():
    """One erlang, two servers: B = (1/2)/(1 + 1 + 1/2) = 1/5, C = 2 B/(2 - (1 - B)) = 1/3, mean wait 1/3."""
    assert q.erlang_b(1, 2) == pytest.approx(1 / 5)
    assert q.erlang_c(1, 2) == pytest.approx(1 / 3)
    assert q.mean_wait(1, 2, mu=1) == pytest.approx(1 / 3)
    assert q.mean_wait_given_wait(1, 2, mu=4) == pytest.approx(1 / 4)
    assert q.mean_queue_length(1, 2) == pytest.approx(1 / 3)
    assert q.wait_tail(1, 2, mu=1, t=math.log(3)) == pytest.approx(1 / 9)


@given(st.floats(0.01, 50), st.integers(1, 60))
def test_erlang_b_against_the_direct_sum(a: float, c: int):
    """a^c/c! over the sum of a^k/k!."""
    terms = [math.exp(k * math.log(a) - math.lgamma(k + 1)) for k in range(c + 1)]
    assert q.erlang_b(a, c) == pytest.approx(terms[-1] / math.fsum(terms), rel=1e-9)


def test_erlang_b_is_stable_for_many_servers():
    """The sums would overflow at 5,000 erlangs; with as many servers the loss is near sqrt(2/(pi c))."""
    assert q.erlang_b(5000, 5000) == pytest.approx(math.sqrt(2 / (math.pi * 5000)), rel=0.02)


@given(st.floats(0.05, 0.95), st.floats(0.1, 10))
def test_one_server_is_mm1(rho: float, mu: float):
    """With one server Erlang C is rho and the waits are those of M/M/1."""
    queue = q.MM1(rho * mu, mu)
    assert q.erlang_c(rho, 1) == pytest.approx(rho)
    assert q.mean_wait(rho, 1, mu) == pytest.approx(queue.Wq)
    assert q.mean_queue_length(rho, 1) == pytest.approx(queue.Lq)


@given(st.floats(0.1, 20), st.integers(1, 20))
def test_room_for_the_servers_only_is_the_loss_system(a: float, c: int):
    states = q.mmck_states(a, c, c)
    assert states[-1] == pytest.approx(q.erlang_b(a, c), rel=1e-9)
    assert states.sum() == pytest.approx(1)


@given(st.integers(1, 10), st.floats(0.05, 0.8))
def test_much_room_is_erlang_c(c: int, rho: float):
    """With room for thousands, the share of time in which all servers are busy is Erlang C."""
    assert q.mmck_states(rho * c, c, 3000)[c:].sum() == pytest.approx(q.erlang_c(rho * c, c), rel=1e-9)


def test_mmck_by_hand():
    """One server, one place to wait, a = 1: three states equally likely."""
    np.testing.assert_allclose(q.mmck_states(1, 1, 2), [1 / 3, 1 / 3, 1 / 3])


def test_mmck_under_heavy_overload():
    """At 20 times the load it can carry the server never rests and the 3,000th place is full 95 % of the time."""
    states = q.mmck_states(20, 1, 3000)
    assert states[-1] == pytest.approx(1 - 1 / 20)
    assert states[0] < 1e-300


def test_mm1_by_hand():
    """At rho = 1/2, mu = 2: one job in the system for one second on average, half of it waiting."""
    queue = q.MM1(arrival_rate=1, service_rate=2)
    assert (queue.rho, queue.L, queue.Lq, queue.W, queue.Wq) == (0.5, 1.0, 0.5, 1.0, 0.5)
    assert [queue.p(n) for n in range(3)] == [0.5, 0.25, 0.125]
    assert queue.quantile_W(0.5) == pytest.approx(math.log(2))
    assert queue.quantile_W(0) == 0


def test_general_service_times():
    """Against M/M/1's wait of 1/2: none of the variance, half; its variance, the same; three times, double."""
    assert q.md1_wait(1, 2) == pytest.approx(0.25)
    assert q.mg1_wait(1, 2, scv=1) == pytest.approx(0.5)
    assert q.mg1_wait(1, 2, scv=3) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: q.erlang_b(0, 1), "a must be a finite number > 0, got 0"),
        (lambda: q.erlang_b(1, 0), "c must be a whole number of servers >= 1, got 0"),
        (lambda: q.erlang_b(1, 1.5), "c must be a whole number of servers >= 1, got 1.5"),
        (lambda: q.erlang_c(2, 2), "a must be a finite number > 0 and < 2, else the queue grows for ever, got 2"),
        (lambda: q.mean_wait(1, 2, 0), "mu must be a finite number > 0, got 0"),
        (lambda: q.wait_tail(1, 2, 1, -1), "t must be >= 0, got -1"),
        (lambda: q.MM1(2, 2), "arrival_rate must be a finite number > 0 and < 2, else the queue grows"),
        (lambda: q.MM1(1, 2).p(-1), "n must be a whole number >= 0, got -1"),
        (lambda: q.MM1(1, 2).quantile_W(1), "probability must be >= 0 and < 1, got 1"),
        (lambda: q.mg1_wait(1, 2, -1), "scv must be a finite number >= 0, got -1"),
        (lambda: q.mmck_states(1, 2, 1), "capacity must be a whole number >= c = 2, got 1"),
    ],
)
def test_refuses_queues_without_an_answer(call: object, message: str):
    with pytest.raises(ValueError, match=r"must be") as caught:
        call()
    assert str(caught.value).startswith(message)
