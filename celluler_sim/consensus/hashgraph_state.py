"""The state of a hashgraph as flat arrays: what the compiled kernels read and write.

Notation of Baird (2016) and of Babble's ``lastAncestors`` and ``firstDescendants``, with three twists:

* Rows hold event numbers instead of sequence numbers. Numbers rise along every chain, so ``row[x, c] >= number of y``
  says that x descends from y when y stands in column c.
* First descendants are kept for witnesses only, by round: nothing else is ever asked for them.
* A column is a chain of self-parents. The first n belong to the members, every branch of a fork gets one of its own.

Events stand in a ring, ``number & (capacity - 1)``; rounds likewise. What leaves the ring is forgotten, but for the
tips of the columns.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Records = npt.NDArray[np.void]
Numbers = npt.NDArray[np.int32]
Integers = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float64]

# For Numba's njit: kernels that allocate nothing do without reference counts, which cost more than the work at small n.
BARE: dict[str, Any] = {"cache": True, "_nrt": False}
NEVER = np.iinfo(np.int32).max  # the number of an event that does not exist: nothing descends from it
LIMB = 50  # bits in the low part of a stake

EVENT = np.dtype(
    [
        ("column", "i4"),
        ("sequence", "i4"),  # place in its column
        ("parent", "i4"),  # self-parent, -1 without
        ("round", "i4"),
        ("generation", "i4"),
        ("decided", "i4"),  # last round decided for whoever knows its ancestors and no more
        ("witness", "u1"),
        ("coin", "u1"),  # middle bit of the signature
    ],
    align=True,
)
COLUMN = np.dtype(
    [
        ("owner", "i4"),  # member, -1 for a column that is free
        ("trunk", "i4"),  # column that it branches off, -1 for none
        ("branch", "i4"),  # event that it branches off at
        ("older", "i4"),  # the owner's column before this, -1 for none
        ("tip", "i4"),  # its last event, -1 while empty
        ("received", "i4"),  # its last event that was received or is stale
    ],
    align=True,
)
ROUND = np.dtype([("ordered", "i8"), ("judges", "i8")], align=True)
COUNTERS = np.dtype(
    [
        (name, "i8")
        for name in (
            "count",  # events added
            "base",  # oldest event in the ring
            "columns",  # columns in use or used
            "top",  # highest round
            "keep",  # lowest round in the ring
            "undecided",  # lowest round not decided
            "processed",  # lowest round whose events have not been received
            "ordered",  # events that have a place in the order
            "stale",  # events that never get one
            "due",  # 1 where a new witness may decide a round
            "slack",  # scaled weight of members with more than one column
        )
    ]
)
RULES = np.dtype(
    [
        (name, "i8")
        for name in (
            "members",
            "limb",  # bits in the low part of a stake
            "need_low",  # least stake of a supermajority
            "need_high",
            "surely",  # scaled weights that add up to this are a supermajority
            "hardly",  # that could only reach less are none
            "coin",
            "first_round",
            "hide",
            "equal_parents",
            "least",  # judge_rule "min"
            "received_after",
            "median",  # 0 lower, 1 mean, 2 upper
            "weighted",
            "order",  # 0 paper, 1 generation, 2 hedera, 3 lamport
            "window",  # rounds after which an event is stale
        )
    ]
)


class Graph(NamedTuple):
    """A hashgraph: n members, and room for so many events, columns, rounds and levels of voting."""

    at: Records  #        (1,) counters
    rule: Records  #      (1,) parameters
    low: Integers  #      (n,) stake modulo 2**50
    high: Integers  #     (n,) stake // 2**50
    weight: Numbers  #    (n,) stake scaled to less than 2**30 in all, rounded down; exact where the total is less
    rest: Numbers  #      (n + 1,) sum of the weights from here on
    newest: Numbers  #    (n,) the last column that a member opened, -1 before its first event
    row: Numbers  #       (events, columns) last ancestor in each column, -1 for none
    event: Records  #     (events,)
    time: Floats  #       (events,) by the creator's clock
    signature: Words  #   (events, words) most significant word first
    hidden: Words  #      (events, n / 64) bit set: of members whose fork is among the ancestors
    column: Records  #    (columns,)
    tip_row: Numbers  #   (columns, columns) row of a tip that has left the ring
    tip_event: Records  # (columns,) and its record
    tip_hidden: Words  #  (columns, n / 64)
    round: Records  #     (rounds,)
    witness: Numbers  #   (rounds, columns) the witness of a round in each column, NEVER without
    first: Numbers  #     (rounds, columns, columns) [r, w, k] first event of column k to descend from the witness in w
    strong: Bytes  #      (rounds, columns, columns) [r, y, w] whether y strongly sees the witness w of round r - 1
    fame: Bytes  #        (rounds, columns) 0 undecided, 1 not famous, 2 famous
    vote: (
        Bytes  #        (rounds, levels, columns, columns) [r, d - 1, y, x] y of round r + d on x: bit 0 vote, 1 decides
    )
    voted: Bytes  #       (rounds, levels, columns) whether that row of votes has been cast
    seen: Numbers  #      (columns,) room: the row of the event that is being added, without hidden members
    counted: Bytes  #     (n,) room: whose witness it strongly sees
    still: Integers  #    (columns,) room: candidates that have not been decided
    tally: Integers  #    (4, columns) room: low and high parts of the stake for no, yes
    yes: Numbers  #       (columns,) room: weight for yes


class Batch(NamedTuple):
    """Events to be added, parents before children."""

    creator: Integers  #     (m,) member
    self_parent: Integers  # (m,) event number, -1 without
    others: Integers  #      (m, p) event numbers, -1 without
    time: Floats  #          (m,)
    signature: Words  #      (m, words)
    coin: Bytes  #           (m,) 0 or 1


def allocate(members: int, words: int, events: int = 1024, rounds: int = 8) -> Graph:
    """Return an empty graph; counters and parameters are the caller's to fill.

    Parameters
    ----------
    members
        Number of members.
    words
        Words of 64 bits in a signature.
    events, rounds
        Capacities, powers of two.
    """
    flags = (members + 63) // 64
    graph = Graph(
        at=np.zeros(1, COUNTERS),
        rule=np.zeros(1, RULES),
        low=np.zeros(members, np.int64),
        high=np.zeros(members, np.int64),
        weight=np.zeros(members, np.int32),
        rest=np.zeros(members + 1, np.int32),
        newest=np.full(members, -1, np.int32),
        row=np.empty((events, members), np.int32),
        event=np.zeros(events, EVENT),
        time=np.empty(events),
        signature=np.empty((events, words), np.uint64),
        hidden=np.empty((events, flags), np.uint64),
        column=np.zeros(members, COLUMN),
        tip_row=np.full((members, members), -1, np.int32),
        tip_event=np.zeros(members, EVENT),
        tip_hidden=np.zeros((members, flags), np.uint64),
        round=np.zeros(rounds, ROUND),
        witness=np.full((rounds, members), NEVER, np.int32),
        first=np.full((rounds, members, members), NEVER, np.int32),
        strong=np.zeros((rounds, members, members), np.uint8),
        fame=np.zeros((rounds, members), np.uint8),
        vote=np.zeros((rounds, 2, members, members), np.uint8),
        voted=np.zeros((rounds, 2, members), np.uint8),
        seen=np.zeros(members, np.int32),
        counted=np.zeros(members, np.uint8),
        still=np.zeros(members, np.int64),
        tally=np.zeros((4, members), np.int64),
        yes=np.zeros(members, np.int32),
    )
    graph.column["owner"] = np.arange(members)
    for field in ("trunk", "branch", "older", "tip", "received"):
        graph.column[field] = -1
    graph.at["columns"] = members
    return graph


def more_events(graph: Graph) -> Graph:
    """Return the graph with a ring of twice as many events."""
    numbers = np.arange(graph.at["base"][0], graph.at["count"][0])
    names = ("row", "event", "time", "signature", "hidden")
    return graph._replace(**{name: _longer(getattr(graph, name), numbers) for name in names})


def more_rounds(graph: Graph) -> Graph:
    """Return the graph with a ring of twice as many rounds."""
    rounds = np.arange(graph.at["keep"][0], graph.at["top"][0] + 1)
    names = ("round", "witness", "first", "strong", "fame", "vote", "voted")
    return graph._replace(**{name: _longer(getattr(graph, name), rounds) for name in names})


def more_levels(graph: Graph) -> Graph:
    """Return the graph with room for votes twice as far away."""
    more = graph.vote.shape[1]
    return graph._replace(vote=_widened(graph.vote, 1, more, 0), voted=_widened(graph.voted, 1, more, 0))


def more_columns(graph: Graph) -> Graph:
    """Return the graph with room for an eighth more columns."""
    more = max(4, len(graph.column) // 8)
    fill: dict[str, tuple[tuple[int, ...], Any]] = {
        "row": ((1,), -1),
        "column": ((0,), np.zeros((), COLUMN)),
        "tip_row": ((0, 1), -1),
        "tip_event": ((0,), np.zeros((), EVENT)),
        "tip_hidden": ((0,), 0),
        "witness": ((1,), NEVER),
        "first": ((1, 2), NEVER),
        "strong": ((1, 2), 0),
        "fame": ((1,), 0),
        "vote": ((2, 3), 0),
        "seen": ((0,), 0),
        "still": ((0,), 0),
        "tally": ((1,), 0),
        "yes": ((0,), 0),
    }
    grown = {"voted": np.zeros((*graph.voted.shape[:2], len(graph.column) + more), np.uint8)}  # cast anew, and wider
    for name, (axes, value) in fill.items():
        array = getattr(graph, name)
        for axis in axes:
            array = _widened(array, axis, more, value)
        grown[name] = array
    return graph._replace(**grown)


def free_columns(graph: Graph) -> Graph:
    """Give free every branch whose last event has left the ring; return the graph, changed in place.

    A fork that nobody had noticed by then is noticed no more by those who learn of it later. A branch off a branch
    that goes is from now on a branch off what that one branched off.
    """
    at, column = graph.at[0], graph.column
    members = len(graph.newest)
    for c in range(members, int(at["columns"])):
        if column["owner"][c] < 0 or column["tip"][c] >= at["base"]:
            continue
        _unlink(graph, c)
        graph.row[:, c] = graph.tip_row[:, c] = -1
        graph.tip_row[c] = -1
        graph.witness[:, c] = graph.first[:, :, c] = NEVER
        column[c] = (-1, -1, -1, -1, -1, -1)
    owners = column["owner"][members : at["columns"]]
    at["slack"] = int(graph.weight[np.unique(owners[owners >= 0])].sum())
    return graph


def _unlink(graph: Graph, gone: int) -> None:
    """Take a column out of its owner's chain of columns, and out of the tree of branches."""
    column = graph.column
    later = np.flatnonzero((column["older"] == gone) & (column["owner"] >= 0))
    if later.size:
        column["older"][later] = column["older"][gone]
    else:
        graph.newest[column["owner"][gone]] = column["older"][gone]
    twigs = (column["trunk"] == gone) & (column["owner"] >= 0)
    column["branch"][twigs] = column["branch"][gone]
    column["trunk"][twigs] = column["trunk"][gone]


def _longer(array: npt.NDArray[Any], numbers: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """Return a ring of twice the length that holds the same numbers."""
    longer = np.zeros((2 * len(array), *array.shape[1:]), array.dtype)
    for some in np.array_split(numbers, 1 + len(numbers) // 4096):  # little by little: rings are long
        longer[some & (len(longer) - 1)] = array[some & (len(array) - 1)]
    return longer


def _widened(array: npt.NDArray[Any], axis: int, more: int, value: Any) -> npt.NDArray[Any]:
    """Return a longer array along an axis, the new part filled with a value."""
    shape = list(array.shape)
    shape[axis] += more
    wide = np.full(shape, value, array.dtype)
    wide[tuple(slice(0, length) for length in array.shape)] = array
    return wide
