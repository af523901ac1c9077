"""The compiled algorithm against the definitions, on random histories with forks, silence, splits and coins."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import numpy as np
import pytest

from celluler_sim.consensus.hashgraph import Hashgraph, Rules
from celluler_sim.consensus.replay import replay
from tests.consensus.histories import Case, as_flow, forkers, random_case, shuffled, within_the_bound
from tests.consensus.oracle import Oracle

BLOCK = 100  # random histories a test
COLUMNS = ("round", "witness", "generation", "fame", "received", "timestamp")


def columns(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer of the replay interface by event number instead of by id."""
    names = {name: number for number, name in enumerate(answer["round"])}
    found = {key: list(answer[key].values()) for key in COLUMNS}
    return {**found, "order": [names[name] for name in answer["order"]]}


def grown(case: Case, cuts: list[int], window: int | None = None) -> tuple[Hashgraph, dict[str, Any]]:
    """Add the events of a case in batches that end at the cuts; return the graph and the same columns as `columns`."""
    flow, size = as_flow(case), len(case["events"])
    graph = Hashgraph(case["stakes"], Rules(**case["params"]), words=4, window_rounds=window)
    received: list[Any] = [None] * size
    times: list[Any] = [None] * size
    order: list[int] = []
    for start, stop in zip([0, *cuts], [*cuts, size], strict=True):
        graph.add_batch(**{name: values[start:stop] for name, values in flow.items()})
        news = graph.take()
        order += news.event.tolist()
        for event, number, time in zip(news.event, news.round, news.time, strict=True):
            received[event], times[event] = int(number), float(time)
    graph.settle_late_rounds()
    fame: list[Any] = [None] * size
    for number in range(graph.rules.first_round, graph.top_round + 1):
        found = graph.witnesses(number)
        for event, famous in zip(found.event, found.fame, strict=True):
            fame[event] = None if famous < 0 else bool(famous)
    everything = np.arange(size)
    rounds, witness = graph.rounds(everything).tolist(), graph.is_witness(everything).tolist()
    return graph, {
        "round": rounds, "witness": witness, "generation": graph.generations(everything).tolist(), "fame": fame,
        "received": received, "timestamp": times, "order": order,
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("block", range(12))
def test_random_histories_agree_with_the_definitions(block: int):
    """1,200 histories, half of them with members that may fork, under random stakes and parameters."""
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        case = random_case(seed, forkers=seed % 2 == 0)
        assert replay(case) == Oracle(case).answer(), f"seed {seed}"


def test_random_histories_reach_the_corners():
    """What the comparison above would be blind to if no history had it: each of these in at least 1 of 60."""
    corners: Counter[str] = Counter()
    sizes = set()
    for seed in range(300):
        case = random_case(seed, forkers=seed % 2 == 0)
        oracle = Oracle(case)
        answer = oracle.answer()
        sizes.add(len(case["stakes"]))
        decisions = [(x, oracle.decision(x)) for x in range(len(oracle.ids)) if oracle.witness[x]]
        distance = max((oracle.round[found[1]] - oracle.round[x] for x, found in decisions if found), default=0)
        creators = [[oracle.creator[w] for w in oracle.witnesses(r)] for r in range(9)]
        open_fork = {**case, "params": {**case["params"], "fork_rule": "none"}}
        corners.update(
            forks=bool(forkers(case)),
            zero_stakes=0 in case["stakes"],
            votes_late=distance > 2,
            coin_rounds=distance > oracle.rule["coin"],
            undecided=any(found is None for _, found in decisions),
            unfamous=False in answer["fame"].values(),
            unordered=None in answer["received"].values(),
            later_round_decided_first=oracle.decided_rounds() != oracle.usable_rounds(),
            twin_witnesses=any(len(set(round_)) < len(round_) for round_ in creators),
            hidden_forks_change_rounds=bool(forkers(case)) and Oracle(open_fork).round != oracle.round,
        )
    assert sizes == set(range(1, 9))
    assert min(corners.values()) >= 2, corners
    assert corners["forks"] >= 300 * 0.3
    assert corners["coin_rounds"] >= 300 / 60


@pytest.mark.slow
@pytest.mark.parametrize("block", range(5))
def test_one_by_one_in_batches_or_at_once(block: int):
    """500 histories under the bound on forkers: however events arrive, the answer is that of the definitions."""
    for seed in range(10_000 + block * BLOCK, 10_000 + (block + 1) * BLOCK):
        case = within_the_bound(random_case(seed, forkers=seed % 2 == 0))
        if case is None:
            continue
        expected, size, random = columns(Oracle(case).answer()), len(case["events"]), Random(seed)  # noqa: S311
        some = sorted(random.sample(range(1, size), 5))
        for cuts in (list(range(1, size)), some, []):
            assert grown(case, cuts)[1] == expected, f"seed {seed}, cuts {cuts}"


@pytest.mark.parametrize("seed", range(20))
def test_the_order_of_insertion_does_not_matter(seed: int):
    """Any order with parents before children gives the same answer while those who fork hold less than a third."""
    case = within_the_bound(random_case(5000 + seed, forkers=seed % 2 == 0)) or random_case(seed, forkers=False)
    for place, event in enumerate(case["events"]):
        event["timestamp"] = place
    other = {**case, "events": shuffled(case["events"], Random(seed))}  # noqa: S311
    first, second = replay(case), replay(other)
    assert first == second
    assert len(first["order"]) == sum(r is not None for r in first["received"].values())


def known_to(case: Case, oracle: Oracle, *heads: int) -> Case:
    """Return the part of a case that consists of the ancestors of some events."""
    known = 0
    for head in heads:
        known |= oracle.ancestors[head]
    return {**case, "events": [event for x, event in enumerate(case["events"]) if known >> x & 1]}


def last_usable(case: Case) -> int:
    """Return the last round decided, one less than the first where there is none."""
    oracle = Oracle(case)
    return max(oracle.usable_rounds(), default=oracle.rule["first_round"] - 1)


def test_what_is_decided_for_whoever_knows_an_event():
    """`decided` of an event, and `decided_by` of two heads together, are the definitions on those ancestors alone."""
    apart = 0
    for seed in range(20_000, 20_060):
        case = within_the_bound(random_case(seed, forkers=seed % 2 == 0))
        if case is None:
            continue
        oracle, random = Oracle(case), Random(seed)  # noqa: S311
        size = len(case["events"])
        graph, _ = grown(case, sorted(random.sample(range(1, size), 3)))
        one, other = size - 1 - random.randrange(5), random.randrange(size // 2, size)
        expected = [last_usable(known_to(case, oracle, head)) for head in (one, other)]
        assert graph.decided([one, other]).tolist() == expected, f"seed {seed}"
        joined = np.maximum(graph.row(one), graph.row(other))
        both = last_usable(known_to(case, oracle, one, other))
        assert graph.decided_by(joined).tolist() == [both], f"seed {seed}"
        assert graph.decided_by(joined, since=max(expected)).tolist() == [both], f"seed {seed}"
        apart += both > min(expected)
    assert apart > 5
