"""Compiled form of pull gossip: what syncs make of the members' histories.

A sync passes two moments whose times are known as soon as they can matter: B answers A with what it knows, then the
answer reaches A, who creates an event. Both are processed in order of time; nothing else happens in a network.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

Floats = npt.NDArray[np.float64]
Slots = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


class Syncs(NamedTuple):
    """Requests, by the time at which they reach the member asked."""

    time: Floats  #   (n_syncs,) s
    asker: Slots  #   (n_syncs,)
    asked: Slots  #   (n_syncs,)
    turn: Floats  #   (n_syncs,) uniform in [0, 1): which branch forkers speak of between themselves
    jitter: Floats  # (n_syncs,) s, added to the way back


class Plan(NamedTuple):
    """`FaultPlan` as the loop needs it, with the delays of the topology."""

    begin: Floats  #   (n_phases,) s
    up: Flags  #       (n_phases, n)
    answers: Flags  #  (n_phases, n)
    link: Flags  #     (n_phases, n, n)
    lag: Floats  #     (n_phases, n) s
    forks: Slots  #    (n_phases, n)
    side: npt.NDArray[np.int8]  # (n_phases, n, n)
    delay: Floats  #   (n, n) s
    bandwidth: float  # events/s; inf: no limit
    patience: float  # s; an answer that takes longer is of no use


class Flight(NamedTuple):
    """Answers on their way, by time of arrival; the first ``n`` rows are in use."""

    time: Floats  #   (size,) s
    asker: Slots  #   (size,)
    asked: Slots  #   (size,)
    branch: Slots  #  (size,) of the asker's, if it forks
    other: Slots  #   (size,) event that the answer ends with
    known: Slots  #   (size, n) events of each member that come with it; (size, 0) without a bandwidth


class Heads(NamedTuple):
    """What each member has."""

    event: Slots  # (n, n_branches) newest own event; all the same unless the member forks
    twin: Flags  #  (n, n_branches) that event already has a child on another branch
    known: Slots  # (n, n) events of each member that the first one knows; (n, 0) without a bandwidth


class Made(NamedTuple):
    """Room for the events that are created."""

    creator: Slots  # (size,)
    self_parent: Slots  # (size,)
    other_parent: Slots  # (size,)
    created: Floats  # (size,) s, true time
    phase: Slots  #   (size,) of the plan
    fork: Flags  #    (size,) its self-parent had a child already


@njit(cache=True)  # type: ignore[untyped-decorator]
def run(
    until: float, first_id: int, syncs: Syncs, plan: Plan, flight: Flight, n_flying: int, heads: Heads, made: Made
) -> tuple[int, int, int]:
    """Process everything up to ``until`` (s).

    Returns
    -------
    int
        Requests that have been answered or ignored.
    int
        Answers still on their way: the first rows of ``flight``.
    int
        Events created: the first rows of ``made``, numbered from ``first_id``.
    """
    asked = created = landed = phase = 0
    while True:
        t_ask = syncs.time[asked] if asked < len(syncs.time) else np.inf
        t_land = flight.time[landed] if landed < n_flying else np.inf
        now = min(t_ask, t_land)
        if now > until or now == np.inf:
            break
        while phase + 1 < len(plan.begin) and plan.begin[phase + 1] <= now:
            phase += 1
        if t_land <= t_ask:
            if plan.up[phase, flight.asker[landed]]:
                _create(first_id + created, created, landed, phase, plan, flight, heads, made)
                created += 1
            landed += 1
        else:
            n_flying = _answer(asked, phase, syncs, plan, flight, landed, n_flying, heads)
            asked += 1
    for row in range(landed, n_flying):
        _move(flight, row, row - landed)
    return asked, n_flying - landed, created


@njit(cache=True, inline="always")  # type: ignore[untyped-decorator]
def _answer(
    i: int, phase: int, syncs: Syncs, plan: Plan, flight: Flight, landed: int, n_flying: int, heads: Heads
) -> int:
    """Send the answer to request ``i`` on its way, if there is one; return how many rows of ``flight`` are in use."""
    a, b = syncs.asker[i], syncs.asked[i]
    if not (plan.answers[phase, b] and plan.link[phase, b, a]):
        return n_flying
    shown, branch = np.int64(plan.side[phase, b, a]), np.int64(plan.side[phase, a, b])
    if shown < 0:  # forkers of one group: both stay on one branch
        shown = branch = np.int64(syncs.turn[i] * plan.forks[phase, a])
    arrival = syncs.time[i] + plan.delay[b, a] + plan.lag[phase, b] + syncs.jitter[i]
    if plan.bandwidth < np.inf:
        missing = 0
        for m in range(heads.known.shape[1]):
            missing += max(0, heads.known[b, m] - heads.known[a, m])
        arrival += missing / plan.bandwidth
    if arrival - syncs.time[i] > plan.patience:
        return n_flying
    row = n_flying
    while row > landed and flight.time[row - 1] > arrival:
        _move(flight, row - 1, row)
        row -= 1
    flight.time[row] = arrival
    flight.asker[row], flight.asked[row], flight.branch[row] = a, b, branch
    flight.other[row] = heads.event[b, shown]
    for m in range(heads.known.shape[1]):
        flight.known[row, m] = heads.known[b, m]
    return n_flying + 1


@njit(cache=True, inline="always")  # type: ignore[untyped-decorator]
def _create(
    event: int, row: int, landed: int, phase: int, plan: Plan, flight: Flight, heads: Heads, made: Made
) -> None:
    """Let the asker create an event from the answer that landed."""
    a = flight.asker[landed]
    branch = flight.branch[landed] if plan.forks[phase, a] > 1 else 0
    parent = heads.event[a, branch]
    made.creator[row], made.created[row], made.phase[row] = a, flight.time[landed], phase
    made.self_parent[row], made.other_parent[row] = parent, flight.other[landed]
    made.fork[row] = heads.twin[a, branch]
    for other in range(heads.event.shape[1]):
        if other == branch or plan.forks[phase, a] == 1:
            heads.event[a, other], heads.twin[a, other] = event, False
        elif heads.event[a, other] == parent:
            heads.twin[a, other] = True
    if plan.bandwidth < np.inf:
        for m in range(heads.known.shape[1]):
            heads.known[a, m] = max(heads.known[a, m], flight.known[landed, m])
        heads.known[a, a] += 1


@njit(cache=True, inline="always")  # type: ignore[untyped-decorator]
def _move(flight: Flight, source: int, target: int) -> None:
    flight.time[target] = flight.time[source]
    flight.asker[target], flight.asked[target] = flight.asker[source], flight.asked[source]
    flight.branch[target], flight.other[target] = flight.branch[source], flight.other[source]
    for m in range(flight.known.shape[1]):
        flight.known[target, m] = flight.known[source, m]
