"""Replaying recorded graphs: by hand, against the oracle, and what is refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from celluler_sim.__main__ import main
from celluler_sim.consensus.replay import ReplayError, replay, replay_file
from celluler_sim.errors import CellulerError, ScenarioError
from tests.consensus.histories import Case
from tests.consensus.oracle import Oracle

ANSWER = ["round", "witness", "fame", "received", "timestamp", "generation"]


def ring(events: int, members: int = 4, **more: Any) -> Case:
    """Members take turns; each event descends from the one before it, so ancestry is the order of the list."""
    names = [f"{'abcdefghijklmnop'[k % members]}{k // members}" for k in range(events)]
    return {
        "stakes": [1] * members,
        "events": [
            {
                "id": name,
                "creator": k % members,
                "self_parent": names[k - members] if k >= members else None,
                "other_parents": [names[k - 1]] if k else [],
            }
            for k, name in enumerate(names)
        ],
        **more,
    }


def script(pairs: str, **more: Any) -> Case:
    """Turn pairs of letters into events: ``ab`` means that a asked b and then made an event."""
    heads: dict[str, str] = {}
    count = dict.fromkeys("abcdefghij", 0)
    events = []
    for pair in pairs.split():
        member, asked = pair[0], pair[1:]
        parents = [heads[letter] for letter in asked if letter in heads]
        name = f"{member}{count[member]}"
        events.append(
            {
                "id": name,
                "creator": "abcdefghij".index(member),
                "self_parent": heads.get(member),
                "other_parents": parents,
            }
        )
        heads[member], count[member] = name, count[member] + 1
    return {"events": events, **more}


def test_a_ring_of_four_by_hand():
    """Each event descends from all before it, so it strongly sees those at least two before it.

    The fifth strongly sees a0, b0 and c0, three of four: round 2. So a round is four events, all of them witnesses. The
    ninth, a2, strongly sees a1, b1, c1, which all see round 1, and decides it. Its judges a0 to d0 have only a0 as a
    common ancestor; those of round 2 have b0 to a1 as well. b0 comes to a at 4, is at b from 1, comes to c at 2 and to
    d at 3: of 1, 2, 3, 4 the upper middle is 3.
    """
    answer = replay(ring(13))
    assert answer["round"] == {name: 1 + k // 4 for k, name in enumerate(answer["round"])}
    assert all(answer["witness"].values())
    assert answer["decided_rounds"] == [1, 2]
    assert [name for name, fame in answer["fame"].items() if fame] == ["a0", "b0", "c0", "d0", "a1", "b1", "c1", "d1"]
    assert answer["order"] == ["a0", "b0", "c0", "d0", "a1"]
    assert [answer["received"][name] for name in answer["order"]] == [1, 2, 2, 2, 2]
    assert [answer["timestamp"][name] for name in answer["order"]] == [2, 3, 4, 5, 6]
    assert answer["generation"]["c2"] == 10
    assert replay(ring(12))["decided_rounds"] == [1]


def test_a_drawn_graph_of_four_by_hand():
    """Members a, b, c exchange three times while d listens once; needed are three of four.

    a0 b0 c0 d0 have no parents. b1 = (b0, a0) and c1 = (c0, b1): c1 knows a0 through a, b, c. a1 = (a0, c1) knows b0
    through b, c, a, and a0 too, but c0 only through c and a: two witnesses, still round 1. b2 = (b1, a1) knows a0 and
    b0 through a, b, c, and c0 through c, a, b: round 2. c2 = (c1, b2) inherits round 2 from b2 and strongly sees none
    of its witnesses: b2 through b and c alone. d1 = (d0, c2) strongly sees b2 through b, c, d, one witness: round 2.
    """
    answer = replay(script("a b c d ba cb ac ba cb dc", stakes=[1] * 4))
    rounds = {"a0": 1, "b0": 1, "c0": 1, "d0": 1, "b1": 1, "c1": 1, "a1": 1, "b2": 2, "c2": 2, "d1": 2}
    assert answer["round"] == rounds
    assert [name for name, witness in answer["witness"].items() if not witness] == ["b1", "c1", "a1"]
    assert answer["generation"] == dict(zip(rounds, [0, 0, 0, 0, 1, 2, 3, 4, 5, 6], strict=True))
    assert answer["order"] == answer["decided_rounds"] == []


def test_a_fork_hides_its_creator():
    """Two of three are needed. b1 strongly sees b0 and a0 through a and b: round 2.

    With a twin of a0 among its ancestors it sees nothing by a, so b0 only through b: round 1. Not with hiding switched
    off, where a0, its twin and b0 count for two creators.
    """
    events = [
        {"id": "b0", "creator": 1},
        {"id": "a0", "creator": 0, "other_parents": ["b0"]},
        {"id": "twin", "creator": 0, "other_parents": ["b0"]},
        {"id": "b1", "creator": 1, "self_parent": "b0", "other_parents": ["a0"]},
    ]
    case: Case = {"stakes": [1, 1, 1], "params": {"threshold": "1/2"}, "events": events}
    assert replay(case)["round"]["b1"] == 2
    events[3]["other_parents"] = ["a0", "twin"]
    assert replay(case)["round"]["b1"] == 1
    case["params"]["fork_rule"] = "none"
    assert replay(case)["round"]["b1"] == 2


@pytest.mark.parametrize(
    ("stakes", "active", "params", "advances"),
    [
        ([334, 333, 333], "ab", {}, True),  # 667 of 1000 is more than 2/3
        ([334, 333, 333], "ab", {"threshold": "67/100", "strict": False}, False),  # but less than 0.67
        ([334, 333, 333], "bc", {}, False),
        ([334, 333, 333], "abc", {"threshold": "67/100", "strict": False}, True),
        ([1] * 10, "abcdefg", {}, True),
        ([1] * 10, "abcdef", {}, False),
        ([1] * 10, "abcdefg", {"threshold": 0.67, "strict": False}, True),
        ([1] * 3, "ab", {}, False),  # 2 of 3 reaches 2/3 and does not exceed it
        ([1] * 3, "ab", {"strict": False}, True),
        ([10**30 + 1, 10**30, 10**30], "ab", {}, True),  # by a third of one unit in 10**30
        ([10**30 - 1, 10**30, 10**30], "ab", {}, False),
        ([1, 0, 0], "a", {}, True),
    ],
)
def test_thresholds_are_exact(stakes: list[int], active: str, params: dict[str, Any], advances: bool):
    """Those active take turns, everybody else is silent."""
    turns = " ".join(member + active[k - 1] for _ in range(4) for k, member in enumerate(active))
    answer = replay(script(turns, stakes=stakes, params=params))
    assert (max(answer["round"].values()) > 1) == advances


COIN = (
    "ca cd cd bc bd bd cb ba dc ac bc dc ca cb bc ca cb cb cd dc ad bc ac dc cb bd ca da bc cb ab bd da dc db cb ab "
    "bd db ad bc dc dc ca ac da"
)


def test_an_election_passes_through_a_coin_round():
    """With every third round a coin round, a voter flips against the majority that it saw; the next round decides."""
    case = script(COIN, stakes=[1] * 4, params={"coin": 3})
    oracle, answer = Oracle(case), replay(case)
    x = next(
        w
        for w in range(len(oracle.ids))
        if (found := oracle.decision(w)) and oracle.round[found[1]] > 3 + oracle.round[w]
    )
    flips = 0
    for y in oracle.witnesses(oracle.round[x] + 3):
        voters = [w for w in oracle.witnesses(oracle.round[y] - 1) if oracle.strongly_sees(y, w)]
        yes = sum(oracle.vote(w, x)[0] for w in voters)
        flips += max(yes, len(voters) - yes) < 3 and oracle.vote(y, x)[0] != (2 * yes >= len(voters))
    assert flips > 0
    assert answer["fame"][oracle.ids[x]] is True
    before = {**case, "events": case["events"][:-1]}
    assert replay(before)["fame"][oracle.ids[x]] is None


def test_defaults_of_an_event():
    """A missing timestamp is the place in the list, a missing signature sha256 of the id, null is missing."""
    case = ring(40)
    full = json.loads(json.dumps(case))
    for place, event in enumerate(full["events"]):
        event["timestamp"] = place
        event["signature"] = hashlib.sha256(event["id"].encode()).hexdigest()
        case["events"][place].update(timestamp=None, signature=None)
    assert replay(case) == replay(full)


@pytest.mark.parametrize(
    ("stamps", "median", "expected"),
    [
        ([10, 20, 30, 40], "upper", 30),
        ([10, 20, 30, 40], "lower", 20),
        ([10, 20, 30, 40], "mean", 25),
        ([10, 20, 31, 40], "mean", 25.5),
        ([1.5, 2.5, 3.5, 4.5], "upper", 3.5),
        ([1.0, 2.0, 3.0, 4.0], "mean", 2.5),
        ([10**18 + k for k in range(4)], "upper", 10**18 + 2),
        ([10**18 + 2 * k for k in range(4)], "mean", 10**18 + 3),
    ],
)
def test_times_keep_their_type(stamps: list[float], median: str, expected: float):
    """The first event of the ring is received when a0, b0, c0, d0 were made."""
    case = ring(16, params={"median": median})
    for event, stamp in zip(case["events"], stamps, strict=False):
        event["timestamp"] = stamp
    for place, event in enumerate(case["events"][4:], 5):
        event["timestamp"] = stamps[0] + 10 * place
    found = replay(case)["timestamp"]["a0"]
    assert found == expected
    assert type(found) is type(expected)


def test_a_member_without_stake_is_ordered_too():
    case = ring(40)
    case["stakes"] = [1, 1, 1, 0]
    answer = replay(case)
    assert "d0" in answer["order"]
    assert answer["round"] != replay(ring(40))["round"]


def test_an_empty_graph():
    answer = replay({"stakes": [1], "events": []})
    assert list(answer) == [*ANSWER, "decided_rounds", "order"]
    assert not any(answer.values())


def with_event(place: int, **changes: Any) -> Callable[[Case], None]:
    """Return a change to one event of a case."""
    return lambda case: case["events"][place].update(changes)


def with_params(**params: Any) -> Callable[[Case], None]:
    """Return a change to the parameters of a case."""
    return lambda case: case.update(params=params)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            with_event(5, other_parents=["b2"]),
            "other_parents must come before it in the list, got 'b2', which is events[9]",
        ),
        (with_event(5, self_parent="b1"), "self_parent must come before it in the list, got itself, 'b1'"),
        (with_event(5, other_parents=["a7"]), "other_parents must name an event of the list, got 'a7'"),
        (with_event(5, other_parents=[None]), "other_parents must name an event of the list, got null"),
        (with_event(5, other_parents="a1"), "other_parents must be a list of ids, got 'a1'"),
        (with_event(5, self_parent="a1"), "self_parent must be by its creator 1, got 'a1' by creator 0"),
        (with_event(5, creator=4), "creator must be a whole number from 0 to 3, got 4"),
        (with_event(5, creator=-1), "creator must be a whole number from 0 to 3, got -1"),
        (with_event(5, creator=None), "creator must be a whole number from 0 to 3, got null"),
        (with_event(5, creator=True), "creator must be a whole number from 0 to 3, got true"),
        (with_event(5, id="a0"), "events[5].id must be unique, got 'a0' as in events[0]"),
        (with_event(5, id=None), "events[5].id must be text, got null"),
        (with_event(5, id=1.5), "events[5].id must be text, got 1.5"),
        (lambda case: case["events"][5].pop("id"), "events[5].id must be text, got nothing"),
        (lambda case: case["events"][5].pop("creator"), "creator must be a whole number from 0 to 3, got null"),
        (lambda case: case.pop("events"), "events must be a list, got nothing"),
        (with_event(5, timestamp="now"), "timestamp must be a finite number, got 'now'"),
        (with_event(5, timestamp=float("nan")), "timestamp must be a finite number, got nan"),
        (with_event(5, timestamp=float("inf")), "timestamp must be a finite number, got inf"),
        (with_event(5, timestamp=True), "timestamp must be a finite number, got true"),
        (with_event(5, timestamp=10**400), "timestamp must be a finite number"),
        (with_event(5, signature="xyz"), "signature must be hexadecimal, two digits a byte, got 'xyz'"),
        (with_event(5, signature=""), "signature must be hexadecimal, two digits a byte, got ''"),
        (with_event(5, signature=7), "signature must be hexadecimal, two digits a byte, got 7"),
        (with_event(5, self_parents="b0"), "events[5] has an unknown key 'self_parents'; did you mean self_parent?"),
        (lambda case: case.update(stakes=[1, -1, 1, 1]), "stakes[1] must be a whole number >= 0, got -1"),
        (lambda case: case.update(stakes=[1, 0.5, 1, 1]), "stakes[1] must be a whole number >= 0, got 0.5"),
        (lambda case: case.update(stakes=[1, 1, 1, 2.0]), "stakes[3] must be a whole number >= 0, got 2.0"),
        (lambda case: case.update(stakes=[1, 1, 1, True]), "stakes[3] must be a whole number >= 0, got true"),
        (lambda case: case.update(stakes=[1, 1, 1, "1"]), "stakes[3] must be a whole number >= 0, got '1'"),
        (lambda case: case.update(stakes=[1, 1, 1, None]), "stakes[3] must be a whole number >= 0, got null"),
        (lambda case: case.update(stakes=[1, 1, 1]), "events[3] ('d0'): creator must be a whole number from 0 to 2"),
        (lambda case: case.update(stakes=[0, 0, 0, 0]), "stakes must not all be zero"),
        (lambda case: case.update(stakes=[]), "stakes must not all be zero"),
        (lambda case: case.update(stakes=4), "stakes must be a list, got 4"),
        (lambda case: case.pop("stakes"), "stakes must be a list, got nothing"),
        (lambda case: case.update(events={}), "events must be a list, got {}"),
        (lambda case: case.update(stake=[1]), "the case has an unknown key 'stake'; did you mean stakes?"),
        (lambda case: case["events"].append("e"), "events[13] must be a mapping"),
        (with_params(treshold="2/3"), "unknown key params.treshold; did you mean params.threshold?"),
        (with_params(threshold="two"), "params.threshold must be a fraction such as \"2/3\", got 'two'"),
        (with_params(threshold="2/0"), "params.threshold must be a fraction"),
        (with_params(threshold="3/2"), "params.threshold must be above 0 and below 1, got 3/2"),
        (with_params(threshold=0), "params.threshold must be above 0 and below 1, got 0"),
        (with_params(coin=1), "params.coin must be >= 2, got 1"),
        (with_params(coin=2.5), "params.coin must be a whole number, got 2.5"),
        (with_params(strict="yes"), "params.strict must be true or false, got 'yes'"),
        (with_params(order="time"), "params.order must be one of paper, generation, hedera, lamport, got 'time'"),
        (with_params(first_round=-1), "params.first_round must be >= 0"),
        (lambda case: case.update(params=[]), "params must be a mapping of keys to values, got []"),
    ],
)
def test_what_is_malformed_is_refused_by_name(change: Callable[[Case], Any], message: str):
    case = ring(13)
    change(case)
    with pytest.raises(ScenarioError) as refusal:
        replay(case)
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_what_is_no_case_is_refused():
    for case in ([], "case", None):
        with pytest.raises(ReplayError, match="the case must be a mapping with the keys stakes, params, events"):
            replay(case)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no JSON: "),
        ('{"stakes": [NaN]}', "numbers must be finite, got NaN"),
        ('{"stakes": [1], "events": [{"id": "a", "creator": 0, "timestamp": 1e999}]}', "must be a finite number"),
        ('{"stakes": [1], "events": [{"id": "a", "creator": 0}, {"id": "a", "creator": 0}]}', "id must be unique"),
        ("", "is no JSON"),
        ("[" * 100_000, "nested too deeply"),
        ("1" * 5000, "cannot be read"),
        ("[]", "the case must be a mapping"),
    ],
)
def test_a_file_that_is_no_case_is_refused(text: str, message: str, tmp_path: Any):
    path = tmp_path / "case.json"
    path.write_text(text)
    with pytest.raises(CellulerError) as refusal:
        replay_file(path)
    assert str(refusal.value).startswith(str(path))
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_the_command_line_prints_the_answer(tmp_path: Any, capsys: pytest.CaptureFixture[str]):
    """``--json`` prints what `replay` returns; without it the order is a table; notes in the file do no harm."""
    path = tmp_path / "case.json"
    path.write_text(json.dumps(ring(13, expected={"order": []}, source="by hand")))
    assert main(["replay", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == replay(ring(13))
    assert main(["replay", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["13 events, 13 witnesses, 8 of them famous", "rounds decided: 1, 2"]
    assert [line.split() for line in lines[3:9]] == [
        ["place", "event", "round", "received", "time"],
        ["1", "a0", "1", "1", "2"],
        ["2", "b0", "1", "2", "3"],
        ["3", "c0", "1", "2", "4"],
        ["4", "d0", "1", "2", "5"],
        ["5", "a1", "2", "2", "6"],
    ]
    assert lines[-1] == "not ordered (8): b1 c1 d1 a2 b2 c2 d2 a3"


def test_the_command_line_refuses_in_one_line(tmp_path: Any, capsys: pytest.CaptureFixture[str]):
    for arguments in (
        ["replay"],
        ["replay", str(tmp_path / "none.json")],
        ["replay", "a", "b"],
        ["replay", "--jsn", "a"],
    ):
        assert main(arguments) == 1
        printed = capsys.readouterr()
        assert not printed.out
        assert printed.err.startswith("celluler-sim: ")
        assert printed.err.count("\n") == 1
