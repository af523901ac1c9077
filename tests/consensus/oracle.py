"""The consensus rules, straight from their definitions: sets of ancestors, voting by recursion, no cleverness.

Slow, and made to share nothing with `celluler_sim.consensus`: it is what the compiled algorithm is compared with. Sets
of events are Python integers with one bit for each event of the list.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import cache
from typing import Any

DEFAULTS: dict[str, Any] = {
    "threshold": "2/3",
    "strict": True,
    "coin": 10,
    "first_round": 1,
    "fork_rule": "hide",
    "equal_parents": False,
    "judge_rule": "drop",
    "received_after": False,
    "median": "upper",
    "weighted": False,
    "order": "generation",
    "window": None,  # of the oracle only: rounds after which an event is stale
}


def members_of(events: int) -> Iterator[int]:
    """List the numbers in a set of events."""
    while events:
        lowest = events & -events
        yield lowest.bit_length() - 1
        events ^= lowest


def plain(time: Any) -> Any:
    """Return an exact mean as a whole number where it is one, else as a float; other times as they are."""
    if not isinstance(time, Fraction):
        return time
    return int(time) if time.denominator == 1 else float(time)


class Oracle:
    """The consensus on one recorded graph; every method takes event numbers, their places in the list."""

    def __init__(self, case: Mapping[str, Any]) -> None:
        self.stakes = case["stakes"]
        self.rule = {**DEFAULTS, **case.get("params", {})}
        self.ids = [event["id"] for event in case["events"]]
        place = {name: k for k, name in enumerate(self.ids)}
        self.creator = [event["creator"] for event in case["events"]]
        self.self_parent = [
            None if event.get("self_parent") is None else place[event["self_parent"]] for event in case["events"]
        ]
        self.parents = []
        self.time = []
        self.signature = []
        for k, event in enumerate(case["events"]):
            own = [] if self.self_parent[k] is None else [self.self_parent[k]]
            self.parents.append(own + [place[name] for name in event.get("other_parents", [])])
            self.time.append(k if event.get("timestamp") is None else event["timestamp"])
            given = event.get("signature")
            name = str(event["id"]).encode()
            self.signature.append(hashlib.sha256(name).digest() if given is None else bytes.fromhex(given))
        self.ancestors = self._ancestors()
        size = len(self.ids)
        self.descendants = [sum(1 << x for x in range(size) if self.ancestors[x] >> y & 1) for y in range(size)]
        self.by = [sum(1 << x for x in range(size) if self.creator[x] == m) for m in range(len(self.stakes))]
        for name in ("forked", "sees", "strongly_sees", "witnesses", "vote", "decision", "usable_rounds", "judges"):
            setattr(self, name, cache(getattr(self, name)))  # each is a function of the graph
        self.round, self.witness = self._rounds()

    def _ancestors(self) -> list[int]:
        ancestors: list[int] = []
        for x, parents in enumerate(self.parents):
            known = 1 << x
            for parent in parents:
                known |= ancestors[parent]
            ancestors.append(known)
        return ancestors

    def self_ancestors(self, x: int | None) -> list[int]:
        """List an event and its self-parents, newest first."""
        chain = []
        while x is not None:
            chain.append(x)
            x = self.self_parent[x]
        return chain

    def is_super(self, weight: int) -> bool:
        share = Fraction(self.rule["threshold"]) * sum(self.stakes)
        return weight > share if self.rule["strict"] else weight >= share

    def forked(self, x: int, member: int) -> bool:
        """Whether two events by a member, neither a self-ancestor of the other, are ancestors of x."""
        events = list(members_of(self.ancestors[x] & self.by[member]))
        chains = {e: set(self.self_ancestors(e)) for e in events}
        return any(a not in chains[b] and b not in chains[a] for a in events for b in events)

    def sees(self, x: int, y: int) -> bool:
        if not self.ancestors[x] >> y & 1:
            return False
        return self.rule["fork_rule"] == "none" or not self.forked(x, self.creator[y])

    def strongly_sees(self, x: int, y: int) -> bool:
        """Whether x sees y through events, seen by x and seeing y, of a supermajority."""
        if not self.sees(x, y):
            return False
        between = self.ancestors[x] & self.descendants[y]
        through = {self.creator[z] for z in members_of(between) if self.sees(x, z) and self.sees(z, y)}
        return self.is_super(sum(self.stakes[m] for m in through))

    def _rounds(self) -> tuple[list[int], list[bool]]:
        rounds: list[int] = []
        witness: list[bool] = []
        for x, parents in enumerate(self.parents):
            before = [rounds[p] for p in parents]
            r = max(before, default=self.rule["first_round"])
            if before and not (self.rule["equal_parents"] and len(set(before)) > 1):
                known = self.ancestors[x] & ~(1 << x)
                candidates = [w for w in members_of(known) if witness[w] and rounds[w] == r]
                creators = {self.creator[w] for w in candidates if self.strongly_sees(x, w)}
                r += self.is_super(sum(self.stakes[m] for m in creators))
            rounds.append(r)
            own = self.self_parent[x]
            witness.append(own is None or r > rounds[own])
        return rounds, witness

    def witnesses(self, r: int) -> list[int]:
        return [x for x in range(len(self.ids)) if self.witness[x] and self.round[x] == r]

    def vote(self, y: int, x: int) -> tuple[bool, bool]:
        """Return how y votes on x, and whether that decides it."""
        d = self.round[y] - self.round[x]
        if d == 1:
            return self.sees(y, x), False
        voters = [w for w in self.witnesses(self.round[y] - 1) if self.strongly_sees(y, w)]
        camps: dict[bool, set[int]] = {False: set(), True: set()}
        for w in voters:
            camps[self.vote(w, x)[0]].add(self.creator[w])
        stake = {opinion: sum(self.stakes[m] for m in camp) for opinion, camp in camps.items()}
        majority = stake[True] >= stake[False]
        enough = self.is_super(stake[majority])
        if d % self.rule["coin"] != 0:
            return majority, enough
        sign = self.signature[y]
        return (majority if enough else bool(sign[len(sign) // 2] & 1)), False

    def decision(self, x: int) -> tuple[bool, int] | None:
        """Return a witness's fame and the number of the deciding voter, the first of the lowest round."""
        for r in range(self.round[x] + 2, max(self.round) + 1):
            for y in self.witnesses(r):
                opinion, decides = self.vote(y, x)
                if decides:
                    return opinion, y
        return None

    def fame(self, x: int) -> bool | None:
        found = self.decision(x) if self.witness[x] else None
        return None if found is None else found[0]

    def decided_rounds(self) -> list[int]:
        rounds = sorted(set(self.round))
        return [r for r in rounds if all(self.fame(w) is not None for w in self.witnesses(r))]

    def usable_rounds(self) -> list[int]:
        """List the rounds decided, up to the first that is not."""
        decided = self.decided_rounds()
        r = self.rule["first_round"]
        while r in decided:
            r += 1
        return list(range(self.rule["first_round"], r))

    def judges(self, r: int) -> list[int]:
        famous = [w for w in self.witnesses(r) if self.fame(w)]
        chosen = []
        for m in range(len(self.stakes)):
            own = [w for w in famous if self.creator[w] == m]
            if len(own) == 1 or (own and self.rule["judge_rule"] == "min"):
                chosen.append(min(own, key=lambda w: int.from_bytes(self.signature[w], "big")))
        return chosen

    def received(self, x: int) -> int | None:
        """Return the round received, None for an event not received or, with a window, received too late."""
        for r in self.usable_rounds():
            judges = self.judges(r)
            if self.rule["received_after"] and r <= self.round[x]:
                continue
            if judges and all(self.ancestors[u] >> x & 1 for u in judges):
                window = self.rule["window"]
                return None if window is not None and self.round[x] < r - window else r
        return None

    def receipts(self, x: int, r: int) -> list[tuple[Any, int]]:
        """List when each judge's creator first received x, with its stake, earliest first."""
        found = []
        for u in self.judges(r):
            earliest = [z for z in self.self_ancestors(u) if self.ancestors[z] >> x & 1][-1]
            found.append((self.time[earliest], self.stakes[self.creator[u]]))
        return sorted(found)

    def timestamp(self, receipts: list[tuple[Any, int]]) -> Any:
        times = [t for t, _ in receipts]
        n = len(times)
        lower, upper = times[(n - 1) // 2], times[n // 2]
        if self.rule["weighted"] and any(stake for _, stake in receipts):
            total = sum(stake for _, stake in receipts)
            sums = [sum(stake for _, stake in receipts[: k + 1]) for k in range(n)]
            lower = times[next(k for k in range(n) if 2 * sums[k] >= total)]
            upper = times[next(k for k in range(n) if 2 * sums[k] > total)]
        if self.rule["median"] == "mean" and isinstance(lower + upper, int):
            return Fraction(lower + upper, 2)
        if self.rule["median"] == "mean":
            return (lower + upper) / 2
        return lower if self.rule["median"] == "lower" else upper

    def around(self, receipts: list[tuple[Any, int]]) -> list[Any]:
        """List the times around the middle: one before it, one after, two before, and so on."""
        times = [t for t, _ in receipts]
        middle = (len(times) - 1) // 2 if self.rule["median"] == "lower" else len(times) // 2
        found = []
        for k in range(1, len(times) + 1):
            if middle - k < 0:
                break
            found.append(times[middle - k])
            if middle + k >= len(times):
                break
            found.append(times[middle + k])
        return found

    def generation(self) -> list[int]:
        found: list[int] = []
        for parents in self.parents:
            found.append(1 + max((found[p] for p in parents), default=-1))
        return found

    def answer(self) -> dict[str, Any]:
        """Return what the replay interface returns."""
        generation = self.generation()
        received = [self.received(x) for x in range(len(self.ids))]
        times: list[Any] = [None] * len(self.ids)
        keys: dict[int, tuple[Any, ...]] = {}
        white: dict[int, int] = {}
        for r in set(received) - {None}:
            white[r] = 0
            for u in self.judges(r):
                white[r] ^= int.from_bytes(self.signature[u], "big")
        for x, r in enumerate(received):
            if r is None:
                continue
            receipts = self.receipts(x, r)
            times[x] = self.timestamp(receipts)
            sign = int.from_bytes(self.signature[x], "big")
            tie: dict[str, tuple[Any, ...]] = {
                "paper": (sign ^ white[r],),
                "generation": (generation[x], sign ^ white[r]),
                "hedera": (*self.around(receipts), generation[x], sign ^ white[r]),
                "lamport": (generation[x], sign),
            }
            keys[x] = (r, times[x], *tie[self.rule["order"]])

        def named(values: list[Any]) -> dict[Any, Any]:
            return dict(zip(self.ids, values, strict=True))

        return {
            "round": named(self.round),
            "witness": named(self.witness),
            "fame": named([self.fame(x) for x in range(len(self.ids))]),
            "received": named(received),
            "timestamp": named([plain(t) for t in times]),
            "generation": named(generation),
            "decided_rounds": self.decided_rounds() if self.ids else [],
            "order": [self.ids[x] for x in sorted(keys, key=lambda x: keys[x])],
        }
