"""Random histories of a hashgraph: gossip with partitions, silence, several other-parents, and forking members."""

from __future__ import annotations

from random import Random
from typing import Any

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
    if kind == 1:
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
        if kind == 0:
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
        parent = self.random.choice(self.heads[member]) if self.heads[member] else None
        if member in self.forkers and self.chain[member] and self.random.random() < 0.15:
            parent = self._fork(member)
        event = {
            "id": f"{'abcdefg'[member]}{len(self.chain[member])}",
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
            event["signature"] = self.random.randbytes(48 if self.signs == "long" else self.random.randint(4, 9)).hex()


def random_case(seed: int, forkers: bool | None = None) -> Case:
    """Draw a whole case: 3 to 7 members, 30 to 120 events, random stakes and parameters."""
    random = Random(seed)  # noqa: S311
    members = random.choice([3, 3, 4, 4, 4, 5, 6, 7])
    if forkers is None:
        forkers = random.random() < 0.4
    gossip = Gossip(random, members, random.choice([1, 1, 2]) if forkers else 0)
    stakes = random_stakes(random, members)
    return {"stakes": stakes, "params": random_params(random), "events": gossip.run(random.randint(30, 120))}


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
