"""Queues: Erlang's formulas and the single server."""

from __future__ import annotations

import re

from celluler_sim.analysis import queueing
from celluler_sim.validation.registry import Answers, Question, checks


@checks("queueing")
def queues(question: Question) -> Answers:
    """Answer with M/M/c where a number of servers is given, else with the single-server queues."""
    return _servers(question) if question.has("c") else _single(question)


def _servers(question: Question) -> Answers:
    """Answer with Erlang B and, where the queue is stable, Erlang C."""
    c, mu = question["c"], question.get("mu", 1.0)
    a = question["a"] if question.has("a") else question["lambda"] / mu
    blocked = queueing.erlang_b(a, c)
    answers = {"erlang_b": blocked, "carried_load": a * (1 - blocked)}
    if a >= c:
        return answers
    wait = queueing.mean_wait(a, c, mu)
    return answers | {
        "erlang_c": queueing.erlang_c(a, c),
        "mean_wait": wait,
        "mean_wait_given_wait": queueing.mean_wait_given_wait(a, c, mu),
        "mean_time_in_system": wait + 1 / mu,
        "mean_queue_length": queueing.mean_queue_length(a, c),
        "p_wait_exceeds_one_service_time": queueing.wait_tail(a, c, mu, 1 / mu),
    }


def _single(question: Question) -> Answers:
    """Answer with M/M/1, M/D/1 and M/G/1; ``p5`` is P(5 in the system), ``W_p95`` a percentile of the time in it."""
    rate, mu = question["lambda"], question["mu"]
    queue = queueing.MM1(rate, mu)
    answers = {name: getattr(queue, name) for name in ("rho", "L", "Lq", "W", "Wq")}
    answers["md1_Wq"] = queueing.md1_wait(rate, mu)
    if question.wants("mg1_Wq"):
        answers["mg1_Wq"] = queueing.mg1_wait(rate, mu, question["scv"])
    for name in question.wanted:
        if state := re.fullmatch(r"p(\d+)", name):
            answers[name] = queue.p(int(state[1]))
        if percentile := re.fullmatch(r"W_p(\d+)", name):
            digits = percentile[1]  # "5" and "95" are per cent, "999" is 99.9 %
            answers[name] = queue.quantile_W(int(digits) / 10 ** max(2, len(digits)))
    return answers
