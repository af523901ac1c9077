"""What can go wrong with validators, each fault with a start and an end, composed in YAML.

>>> faults = parse([{"kind": "crash", "members": [3], "start_s": 100, "end_s": 400}], n=4)
>>> plan = FaultPlan(faults, n=4)
>>> plan.up[plan.phase(np.array([99.0, 100.0, 399.0, 400.0])), 3].tolist()
[True, False, False, True]
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Floats, Slots
from celluler_sim.config_build import build, did_you_mean, show
from celluler_sim.errors import ScenarioError, require
from celluler_sim.streams import Streams

Flags = npt.NDArray[np.bool_]
KEY = "consensus.faults"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What all faults share: they act from ``start_s`` until before ``end_s``."""

    start_s: float = 0.0  # s from the start of the simulation
    end_s: float = field(default=math.inf, metadata={"finite": False})  # s; .inf: to the end of the run

    kind: ClassVar[str] = ""

    def __post_init__(self) -> None:
        """Check that the fault lasts."""
        require("start_s", self.start_s, at_least=0, unit="s")
        if not self.end_s > self.start_s:
            raise ScenarioError(f"end_s must be > start_s ({self.start_s:g} s), got {self.end_s:g}")

    def named(self) -> tuple[int, ...]:
        """Return every member that the fault names."""
        return ()

    def apply(self, plan: FaultPlan, phases: slice) -> None:
        """Write the fault into the phases of a plan during which it acts."""


@dataclass(frozen=True, kw_only=True)
class MemberFault(Fault):
    """A fault of some members."""

    members: tuple[int, ...]  # from 0

    def __post_init__(self) -> None:
        """Check that there are members."""
        super().__post_init__()
        if not self.members:
            raise ScenarioError("members must name at least one validator, got []")

    def named(self) -> tuple[int, ...]:
        """Return the faulty members."""
        return self.members

    def rows(self) -> list[int]:
        """Return the faulty members as an index of columns."""
        return list(self.members)


@dataclass(frozen=True, kw_only=True)
class Crash(MemberFault):
    """Members stop: they start no sync, answer none, create nothing; at the end they go on from where they were."""

    kind: ClassVar[str] = "crash"

    def apply(self, plan: FaultPlan, phases: slice) -> None:
        """Take the members down."""
        plan.up[phases, self.rows()] = False
        plan.answers[phases, self.rows()] = False


@dataclass(frozen=True, kw_only=True)
class Silence(MemberFault):
    """Members say nothing; with ``creates`` they go on in secret until the end, with ``answers`` they only listen."""

    creates: bool = False  # still create events, which nobody gets to see
    answers: bool = False  # still hand on what they had when they fell silent

    kind: ClassVar[str] = "silence"

    def __post_init__(self) -> None:
        """Check that something is amiss."""
        super().__post_init__()
        if self.creates and self.answers:
            raise ScenarioError("creates and answers must not both be true: that is no silence")

    def apply(self, plan: FaultPlan, phases: slice) -> None:
        """Silence the members."""
        if not self.creates:
            plan.up[phases, self.rows()] = False
        if not self.answers:
            plan.answers[phases, self.rows()] = False


@dataclass(frozen=True, kw_only=True)
class Delay(MemberFault):
    """Every message that the members send, request or answer, takes longer."""

    seconds: float  # s, added to the topology's delay

    kind: ClassVar[str] = "delay"

    def __post_init__(self) -> None:
        """Check the delay."""
        super().__post_init__()
        require("seconds", self.seconds, at_least=0, unit="s")

    def apply(self, plan: FaultPlan, phases: slice) -> None:
        """Delay what the members send."""
        plan.lag[phases, self.rows()] += self.seconds


@dataclass(frozen=True, kw_only=True)
class Clock(MemberFault):
    """Members lie about the time of their events, or their clocks are simply wrong."""

    offset_s: float  # s, added to the true time

    kind: ClassVar[str] = "clock"

    def apply(self, plan: FaultPlan, phases: slice) -> None:
        """Move the members' clocks."""
        plan.offset[phases, self.rows()] += self.offset_s


@dataclass(frozen=True, kw_only=True)
class Equivocation(MemberFault):
    """Members fork: each keeps one branch of events per group of others and shows each group its own branch.

    The forkers of one fault work together: what they tell each other stays on one branch, drawn for each sync. When
    the fault ends they go on with the first branch.
    """

    groups: tuple[tuple[int, ...], ...] = ()  # who sees which branch; empty: the others by turns in two groups

    kind: ClassVar[str] = "equivocation"

    def __post_init__(self) -> None:
        """Check the groups."""
        super().__post_init__()
        if self.groups:
            _check_groups((*self.groups, self.members))

    def named(self) -> tuple[int, ...]:
        """Return forkers and those they deceive."""
        return self.members + tuple(m for group in self.groups for m in group)

    def apply(self, plan: FaultPlan, phases: slice) -> None:
        """Let the members fork."""
        others = [m for m in range(plan.n) if m not in self.members]
        groups = self.groups or (tuple(others[0::2]), tuple(others[1::2]))
        side = np.zeros(plan.n, np.int64)
        for branch, group in enumerate(groups):
            side[list(group)] = branch
        side[self.rows()] = -1
        for member in self.members:
            plan.side[phases, member] = side
        plan.forks[phases, self.rows()] = len(groups)


@dataclass(frozen=True, kw_only=True)
class Partition(Fault):
    """No message passes between the groups; members in no group reach everybody. The end heals the network."""

    groups: tuple[tuple[int, ...], ...]

    kind: ClassVar[str] = "partition"

    def __post_init__(self) -> None:
        """Check the groups."""
        super().__post_init__()
        _check_groups(self.groups)

    def named(self) -> tuple[int, ...]:
        """Return the members of all groups."""
        return tuple(m for group in self.groups for m in group)

    def apply(self, plan: FaultPlan, phases: slice) -> None:
        """Cut the links between the groups."""
        for one, other in combinations(self.groups, 2):
            for a in one:
                plan.link[phases, a, list(other)] = False
                plan.link[phases, list(other), a] = False


@dataclass(frozen=True, kw_only=True)
class Withholding(MemberFault):
    """Members leave chosen senders' transactions out of their events until the end of the fault."""

    accounts: tuple[int, ...] = ()  # ledger accounts whose transactions are withheld
    share: float = 0.0  # or a share of all accounts, drawn

    kind: ClassVar[str] = "withholding"

    def __post_init__(self) -> None:
        """Check that somebody is withheld."""
        super().__post_init__()
        require("share", self.share, at_least=0, at_most=1)
        if bool(self.accounts) == (self.share > 0):
            raise ScenarioError("accounts or share must say whose transactions are withheld: give one of the two")

    def chosen(self, number: int, sender: Slots, streams: Streams) -> Flags:
        """Return which senders the fault with this number in the list is after, shape of ``sender``."""
        if self.accounts:
            return np.isin(sender, self.accounts)
        return streams.draws(f"{KEY}.{number}").uniform(sender) < self.share


KINDS: Mapping[str, type[Fault]] = {
    cls.kind: cls for cls in (Crash, Silence, Equivocation, Partition, Delay, Withholding, Clock)
}


def parse(faults: Iterable[Mapping[str, Any]], n: int) -> tuple[Fault, ...]:
    """Build the faults of a scenario for a network of ``n`` members.

    Raises
    ------
    ScenarioError
        An unknown kind or key, a value out of range, a member that there is not.
    """
    return tuple(_parse(fault, f"{KEY}[{i}]", n) for i, fault in enumerate(faults))


def _parse(fault: Mapping[str, Any], path: str, n: int) -> Fault:
    kind = str(fault.get("kind"))
    if kind not in KINDS:
        near = did_you_mean(kind, KINDS)
        raise ScenarioError(f"{path}.kind must be one of {', '.join(KINDS)}, got {show(kind)}{near}")
    try:
        built = build(KINDS[kind], {key: value for key, value in fault.items() if key != "kind"}, path)
    except ScenarioError as error:
        raise ScenarioError(str(error).replace(f"{path}: ", f"{path}.")) from None
    for member in built.named():
        if not 0 <= member < n:
            raise ScenarioError(f"{path} must name validators 0 to {n - 1}, got {member}")
    return built


def _check_groups(groups: Sequence[Sequence[int]]) -> None:
    named = [m for group in groups for m in group]
    if len(groups) < 2 or not all(groups):
        raise ScenarioError("groups must be two or more lists of validators, none empty")
    if len(set(named)) < len(named):
        raise ScenarioError("groups must not share a validator with each other or with members")


class FaultPlan:
    """The faults of a run as phases during which nothing changes.

    Parameters
    ----------
    faults
        What goes wrong, in any order, overlapping as they may.
    n
        Members.

    Attributes
    ----------
    begin
        (n_phases,) s, when each phase begins; the first at -inf.
    up, answers
        (n_phases, n) whether a member creates events and starts syncs, and whether it answers.
    link
        (n_phases, n, n) whether a message from the first member reaches the second.
    lag, offset
        (n_phases, n) s added to the delay of a member's messages, and to its clock.
    forks
        (n_phases, n) branches that a member keeps.
    side
        (n_phases, n, n) branch that the first member shows the second; -1 between forkers.
    """

    def __init__(self, faults: Sequence[Fault], n: int) -> None:
        edges = {edge for fault in faults for edge in (fault.start_s, fault.end_s) if math.isfinite(edge)}
        self.n = n
        self.begin: Floats = np.array([-np.inf, *sorted(edges)])
        phases = len(self.begin)
        self.up: Flags = np.ones((phases, n), np.bool_)
        self.answers: Flags = np.ones((phases, n), np.bool_)
        self.link: Flags = np.ones((phases, n, n), np.bool_)
        self.lag: Floats = np.zeros((phases, n))
        self.offset: Floats = np.zeros((phases, n))
        self.forks = np.ones((phases, n), np.int64)
        self.side = np.zeros((phases, n, n), np.int8)
        for fault in faults:
            ends = np.searchsorted(self.begin, [fault.start_s, fault.end_s])
            fault.apply(self, slice(*ends.tolist()))

    @property
    def branches(self) -> int:
        """Return the largest number of branches that a member ever keeps."""
        return int(self.forks.max())

    def phase(self, time: Floats) -> Slots:
        """Return the phase at each time (s), shape of ``time``."""
        return np.searchsorted(self.begin, time, side="right") - 1
