"""Random histories of a hashgraph: gossip with partitions, silence, several other-parents, and forking members."""

from __future__ import annotations

import hashlib
from random import Random
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Case = dict[str, Any]

CHOICES: dict[str, list[Any]] = {
    "threshold": ["2/3", "2/3", "67/100", "3/4", "0.6", "1/2"],
    "strict": [True, True, False],
    "coin": [10, 10, 3, 4, 2],
    "first_round": [1, 1, 0, 5],
    "fork_rule": ["hide", "hide", "none"],
    "equal_parents": [False, False, True],
    "judge_rule": ["drop", "min"],
    "received_after": [False, False, True],
    "median": ["upper", "lower", "mean"],
    "weighted": [False, True],
    "order": ["generation", "paper", "hedera", "lamport"],
}


def random_params(random: Random) -> dict[str, Any]:
    """Draw a setting of all parameters, some of them left out."""
    return {name: random.choice(values) for name, values in CHOICES.items() if random.random() < 0.8}


def random_stakes(random: Random, members: int) -> list[int]:
    """Draw stakes: equal, small, with zeros, or far beyond 64 bits."""
    kind = random.randrange(5)
    if kind == 0:
        return [random.choice([1, 10**18])] * members
    if kind == 1 and members > 1:
        return [0, *(random.choice([0, 1, 2, 3]) for _ in range(members - 2)), 1]
    if kind == 2:
        return [10**26 + random.randrange(10**20) for _ in range(members)]
    return [random.randint(1, 10 ** random.choice([1, 2, 6, 10])) for _ in range(members)]


class Gossip:
    """Members that meet at random; each remembers the newest events it has heard of by asking one other at a time."""

    def __init__(self, random: Random, members: int, forkers: int) -> None:
        self.random = random
        self.members = members
        self.forkers = set(random.sample(range(members), forkers))
        self.branches = random.choice([2, 2, 3])
        self.chain: list[list[str]] = [[] for _ in range(members)]  # all events by a member
        self.heads: list[list[str]] = [[] for _ in range(members)]  # ends of its branches
        self.groups = [set(range(members))]
        self.silent: set[int] = set()
        self.events: list[dict[str, Any]] = []
        self.stamps = random.choice(["int", "float", "coarse", "none", "huge"])
        self.signs = random.choice(["none", "long", "short"])

    def run(self, steps: int) -> list[dict[str, Any]]:
        """Let the members gossip; return the events."""
        while len(self.events) < steps:
            if self.random.random() < 0.03:
                self._disturb()
            group = [m for m in self.random.choice(self.groups) if m not in self.silent]
            if group:
                self._sync(self.random.choice(group), group)
        return self.events

    def _disturb(self) -> None:
        """Split the members, heal the split, or let one fall silent or wake."""
        members = list(range(self.members))
        kind = self.random.randrange(5)
        if kind == 0 and self.members > 1:
            self.random.shuffle(members)
            cut = self.random.randint(1, self.members - 1)
            self.groups = [set(members[:cut]), set(members[cut:])]
        elif kind == 1:
            self.silent ^= {self.random.choice(members)}
        else:
            self.groups = [set(members)]
            self.silent.clear()

    def _sync(self, member: int, group: list[int]) -> None:
        """Let a member ask some others for their newest event and make one of its own."""
        others = [m for m in group if m != member and self.heads[m]]
        count = self.random.choices([0, 1, 2, 3], [1, 20, 1, 0.3])[0]
        asked = self.random.sample(others, min(count, len(others)))
        if self.random.random() < 0.01:  # a parent twice, or one of its own as well
            asked += asked or [member] * bool(self.heads[member])
        parent = self.random.choice(self.heads[member]) if self.heads[member] else None
        if member in self.forkers and self.chain[member] and self.random.random() < 0.15:
            parent = self._fork(member)
        event = {
            "id": f"{'abcdefgh'[member]}{len(self.chain[member])}",
            "creator": member,
            "self_parent": parent,
            "other_parents": [self.random.choice(self.heads[m]) for m in asked],
        }
        self._sign(event)
        self.events.append(event)
        self.chain[member].append(event["id"])
        self.heads[member] = [head for head in self.heads[member] if head != parent] + [event["id"]]

    def _fork(self, member: int) -> str | None:
        """Return an earlier event to branch off, or None to begin anew; forget a branch where there are too many."""
        if len(self.heads[member]) >= self.branches:
            self.heads[member].pop(self.random.randrange(len(self.heads[member])))
        return self.random.choice([None, *self.chain[member][-6:-1], *self.chain[member][-6:-1]])

    def _sign(self, event: dict[str, Any]) -> None:
        """Add time and signature, or leave them out."""
        now = len(self.events)
        stamps = {
            "int": now * 10 + self.random.randint(-30, 30),
            "float": round(now + self.random.uniform(-2, 2), 2),
            "coarse": now // 7,
            "huge": 1_700_000_000_000_000_000 + now // 3 * 1001,
        }
        if self.stamps == "huge" or (self.stamps in stamps and self.random.random() < 0.97):
            event["timestamp"] = stamps[self.stamps]
        if self.signs != "none" and self.random.random() < 0.95:
            event["signature"] = self.random.randbytes(32 if self.signs == "long" else self.random.randint(4, 9)).hex()


def random_case(seed: int, forkers: bool) -> Case:
    """Draw a whole case: 1 to 8 members, 30 to 120 events, random stakes and parameters."""
    random = Random(seed)  # noqa: S311
    members = random.choice([1, 2, 3, 3, 4, 4, 4, 5, 6, 7, 8])
    gossip = Gossip(random, members, min(members, random.choice([1, 1, 2])) if forkers else 0)
    stakes = random_stakes(random, members)
    return {"stakes": stakes, "params": random_params(random), "events": gossip.run(random.randint(30, 120))}


def within_the_bound(case: Case) -> Case | None:
    """Return a case with stakes of which those who fork hold less than a third, and rules that bear that much.

    None where nobody is honest. Times come down to what floats hold exactly.
    """
    members, culprits = range(len(case["stakes"])), forkers(case)
    honest = [0 if m in culprits else 10 + m % 3 for m in members]
    if not any(honest):
        return None
    little = (sum(honest) - 1) // (2 * max(1, len(culprits)))
    params = {**case["params"], "threshold": "2/3", "strict": True, "fork_rule": "hide"}
    events = [{**e, "timestamp": e["timestamp"] % 10**12} if e.get("timestamp") else e for e in case["events"]]
    return {"params": params, "stakes": [stake or little for stake in honest], "events": events}


def forkers(case: Case) -> set[int]:
    """Return the members that made two events with the same self-parent."""
    made = [(event["creator"], event["self_parent"]) for event in case["events"]]
    return {creator for creator, parent in made if made.count((creator, parent)) > 1}


def shuffled(events: list[dict[str, Any]], random: Random) -> list[dict[str, Any]]:
    """Return the events in another order with parents before children."""
    waiting, known, found = list(events), set(), []
    while waiting:
        ready = [e for e in waiting if {e["self_parent"], *e["other_parents"]} <= known | {None}]
        event = random.choice(ready)
        waiting.remove(event)
        known.add(event["id"])
        found.append(event)
    return found


class Flow(NamedTuple):
    """Events as columns, as a simulated network hands them on."""

    creator: npt.NDArray[np.int64]
    self_parent: npt.NDArray[np.int64]  # -1 for none
    other_parent: npt.NDArray[np.int64]
    time: npt.NDArray[np.float64]  # in units of one event per member
    signature: npt.NDArray[np.uint64]

    def part(self, start: int, stop: int | None = None) -> Flow:
        """Return some of the events."""
        return Flow(*(column[start:stop] for column in self))


def pull_gossip(members: int, events: int, seed: int = 0, absent: tuple[int, int, int] = (-1, 0, 0)) -> Flow:
    """Let at each step one random member sync with one random other; ``absent``: (member, from, to) makes none then."""
    rng = np.random.default_rng(seed)
    creator = rng.integers(0, members, events)
    who, start, stop = absent
    away = (creator == who) & (np.arange(events) >= start) & (np.arange(events) < stop)
    creator[away] = (who + 1) % members
    other = (creator + rng.integers(1, members, events)) % members
    heads = np.full(members, -1)
    parents = np.empty((2, events), np.int64)
    for number, (member, asked) in enumerate(zip(creator, other, strict=True)):
        parents[:, number] = heads[member], heads[asked]
        heads[member] = number
    signature = rng.integers(0, 1 << 64, events, dtype=np.uint64)
    return Flow(creator, parents[0], parents[1], np.arange(events) / members, signature)


def as_case(flow: Flow, stakes: list[int], **params: Any) -> Case:
    """Return a flow as a case to be replayed; events are named after their numbers."""
    events = [
        {
            "id": str(number),
            "creator": int(flow.creator[number]),
            "self_parent": str(flow.self_parent[number]) if flow.self_parent[number] >= 0 else None,
            "other_parents": [str(flow.other_parent[number])] if flow.other_parent[number] >= 0 else [],
            "timestamp": float(flow.time[number]),
            "signature": int(flow.signature[number]).to_bytes(8, "big").hex(),
        }
        for number in range(len(flow.creator))
    ]
    return {"stakes": stakes, "params": params, "events": events}


def as_flow(case: Case) -> dict[str, Any]:
    """Return a case as the columns that `Hashgraph.add_batch` takes; signatures of at most 32 bytes."""
    place = {event["id"]: number for number, event in enumerate(case["events"])}
    most = max(1, *(len(event["other_parents"]) for event in case["events"]))
    columns: dict[str, list[Any]] = {
        name: [] for name in ("creator", "self_parent", "other_parents", "time", "signature", "coin")
    }
    for number, event in enumerate(case["events"]):
        others = [place[name] for name in event["other_parents"]]
        given = event.get("signature")
        sign = hashlib.sha256(event["id"].encode()).digest() if given is None else bytes.fromhex(given)
        columns["creator"].append(event["creator"])
        columns["self_parent"].append(place.get(event["self_parent"], -1))
        columns["other_parents"].append(others + [-1] * (most - len(others)))
        columns["time"].append(event.get("timestamp", number))
        columns["signature"].append(np.frombuffer(sign.rjust(32, b"\0"), ">u8"))
        columns["coin"].append(sign[len(sign) // 2] & 1)
    return columns
