"""The hashgraph algorithm: events in, one total order out. Baird, SWIRLDS-TR-2016-01 (2016), with what others changed.

Rounds and witnesses follow from an event's ancestors; fame of witnesses by virtual voting with coin rounds; judges;
round received; consensus time; order. Every choice that implementations make differently is a field of `Rules`.

`Hashgraph` is the whole network's graph, computed once: rounds, votes and rows of ancestors are functions of an event,
so what a member knows is the row of its newest event, and what it has decided is `Hashgraph.decided` of that event.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Floats, Slots
from celluler_sim.consensus import hashgraph_state as state
from celluler_sim.consensus.hashgraph_rules import Rules, as_batch, check_stakes, split_signature, write_rules
from celluler_sim.errors import ScenarioError, require

__all__ = ["WINDOW_ROUNDS", "Finality", "Hashgraph", "Rules", "Witnesses", "check_stakes"]

WINDOW_ROUNDS = 26  # Hedera's number of rounds that are not ancient
_TIMES = 1 << 22  # looked up together, up to 32 MB: 8192 events for 512 judges; after a standstill there are more
_NONE: npt.NDArray[np.int64] = np.empty(0, np.int64)


class Finality(NamedTuple):
    """Events that got their place in the order, first to last, and events that never will."""

    event: Slots  # (n,) event numbers
    round: Slots  # (n,) round received
    time: Floats  # (n,) consensus time
    stale: Slots  # (m,) event numbers, received too long after their round, or by nobody until then


_NOTHING = Finality(_NONE, _NONE, np.empty(0), _NONE)


class Witnesses(NamedTuple):
    """The witnesses of one round."""

    event: Slots  #                        (n,) event numbers, ascending
    creator: Slots  #                      (n,)
    fame: npt.NDArray[np.int8]  #          (n,) 1 famous, 0 not, -1 undecided
    judge: npt.NDArray[np.bool_]  #        (n,) whether it judges what the round receives


class Hashgraph:
    """A growing hashgraph and its order so far.

    Events are numbered from 0 as they are added, parents before children. Whatever was ordered stays.

    Memory is that of a sliding window: once round D is decided, events of rounds before D - ``window_rounds`` - 1 are
    forgotten, but for the newest of each chain. An event that is received more than ``window_rounds`` after its own
    round is *stale* and never ordered: that depends on the graph alone, not on when events were added. A forgotten
    parent that was not the newest of its chain counts as no parent; all that is lost are ancestors that old, and with
    them a fork that nobody had noticed. A row takes 4 bytes a member, a window about 10 events a member and round, so
    512 members need 0.5 GB at 26 rounds; choose fewer there.

    Parameters
    ----------
    stakes
        Stake of each member, whole numbers of any size, not negative and not all zero.
    rules
        What implementations differ in.
    window_rounds
        Rounds after which an event is stale; None keeps everything.
    words
        Words of 64 bits in a signature.
    views
        Whether to find for every event what its ancestors decide, see `decided`.
    """

    def __init__(
        self,
        stakes: Sequence[int],
        rules: Rules | None = None,
        *,
        window_rounds: int | None = WINDOW_ROUNDS,
        words: int = 1,
        views: bool = True,
    ) -> None:
        self.rules = rules or Rules()
        self.stakes = check_stakes(stakes)
        self._views, self._windowed = views, window_rounds is not None
        if window_rounds is not None:
            require("window_rounds", window_rounds, at_least=1)
        self._graph = write_rules(state.allocate(len(self.stakes), words), self.rules, self.stakes, window_rounds)
        self._news: list[Finality] = []

    @cached_property
    def _room(self) -> Floats:
        """Scratch for the times of events."""
        return np.empty(_TIMES)

    def __len__(self) -> int:
        """Return how many events have been added."""
        return int(self._graph.at["count"][0])

    @property
    def n_ordered(self) -> int:
        """How many events have a place in the order."""
        return int(self._graph.at["ordered"][0])

    @property
    def n_stale(self) -> int:
        """How many events will never have one."""
        return int(self._graph.at["stale"][0])

    @property
    def top_round(self) -> int:
        """The highest round of any event, one less than the first round while there is none."""
        return int(self._graph.at["top"][0])

    @property
    def decided_round(self) -> int:
        """The last round decided, all before it being decided too."""
        return int(self._graph.at["undecided"][0]) - 1

    @property
    def oldest(self) -> int:
        """The first event that is still remembered, apart from the newest of each chain."""
        return int(self._graph.at["base"][0])

    @property
    def owner(self) -> Slots:
        """The member behind each column of a row, (columns,); -1 for a column not in use."""
        return self._graph.column["owner"][: int(self._graph.at["columns"][0])].astype(np.int64)

    @property
    def nbytes(self) -> int:
        """Memory held by the graph, bytes."""
        return sum(int(array.nbytes) for array in self._graph)

    def add(
        self,
        creator: int,
        self_parent: int | None,
        other_parents: int | Sequence[int] | None,
        time: float,
        signature: int | bytes,
    ) -> int:
        """Add one event and return its number.

        Parameters
        ----------
        creator
            Member that made it.
        self_parent
            Number of the creator's event before it, None for a first event.
        other_parents
            Numbers of the events by others that it descends from.
        time
            By the creator's clock.
        signature
            At most 64 bits for each of `words`.

        Raises
        ------
        ScenarioError
            An unknown creator or parent, or a self-parent by somebody else.
        """
        others: Any = [] if other_parents is None else np.atleast_1d(other_parents)
        parts, coin = split_signature(signature, self._graph.signature.shape[1])
        return self.add_batch(
            np.array([creator]),
            np.array([-1 if self_parent is None else self_parent]),
            np.array([others], np.int64).reshape(1, -1),
            np.array([time], np.float64),
            np.array([parts], np.uint64),
            np.array([coin], np.uint8),
        )

    def add_batch(
        self,
        creator: npt.ArrayLike,
        self_parent: npt.ArrayLike,
        other_parents: npt.ArrayLike,
        time: npt.ArrayLike,
        signature: npt.ArrayLike,
        coin: npt.ArrayLike | None = None,
    ) -> int:
        """Add events, parents before children, and return the number of the first.

        Parameters
        ----------
        creator
            Members, (m,).
        self_parent
            Event numbers, (m,), -1 for none; an event of this batch has the number of the first plus its place.
        other_parents
            Event numbers, (m,) or (m, p), -1 for none.
        time
            By the creators' clocks, (m,).
        signature
            Words of 64 bits, (m,) or (m, words), most significant first.
        coin
            Middle bit of the signature, (m,): the lowest bit of its byte len/2, which it is by default.

        Raises
        ------
        ScenarioError
            As `add`; the events before the one refused have been added.
        """
        batch = as_batch(self._graph.signature.shape[1], creator, self_parent, other_parents, time, signature, coin)
        first = len(self)
        if first + len(batch.creator) >= state.NEVER:
            raise ScenarioError(f"a hashgraph must have fewer than {state.NEVER} events; open a new one")
        self._insert(batch)
        self._settle()
        return first

    def take(self) -> Finality:
        """Return what has become final since the last call."""
        news, self._news = self._news, []
        if len(news) == 1:
            return news[0]
        return Finality(*(np.concatenate(part) for part in zip(_NOTHING, *news, strict=True)))

    def rounds(self, events: npt.ArrayLike) -> Slots:
        """Return the round of each event."""
        return np.asarray(self._field("round", events), np.int64)

    def is_witness(self, events: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Return which events are witnesses."""
        return np.asarray(self._field("witness", events), np.bool_)

    def generations(self, events: npt.ArrayLike) -> Slots:
        """Return 1 + the highest generation of the parents, 0 for an event without any."""
        return np.asarray(self._field("generation", events), np.int64)

    def decided(self, events: npt.ArrayLike) -> Slots:
        """Return the last round decided for a member that knows an event's ancestors and no more (with ``views``)."""
        return np.asarray(self._field("decided", events), np.int64)

    def row(self, event: int) -> npt.NDArray[np.int32]:
        """Return what is known to whoever knows an event: the last ancestor in each column, -1 for none.

        The first columns belong to the members, in order; each branch of a fork has one more, see `owner`.
        """
        columns, ring = int(self._graph.at["columns"][0]), len(self._graph.event)
        if self.oldest <= event < len(self):
            return self._graph.row[event & (ring - 1), :columns].copy()
        return self._graph.tip_row[self._tip(event), :columns].copy()

    def missing(self, have: npt.ArrayLike, offer: npt.ArrayLike) -> Slots:
        """Return the events, parents first, that are known by one row and not by another, as far as remembered."""
        graph, found = self._graph, [_NONE]
        have, offer = np.asarray(have), np.asarray(offer)
        for column in np.flatnonzero(offer > have):
            number, chain = int(offer[column]), []
            while number > have[column] and number >= self.oldest:
                record = graph.event[number & (len(graph.event) - 1)]
                if record["column"] != column:
                    break
                chain.append(number)
                number = int(record["parent"])
            found.append(np.array(chain, np.int64))
        return np.sort(np.concatenate(found))

    def decided_by(self, rows: npt.ArrayLike, since: npt.ArrayLike | None = None) -> Slots:
        """Return the last round decided for whoever knows exactly the events of a row.

        Parameters
        ----------
        rows
            (k, columns), each closed under ancestors: rows of `row`, or maxima of such rows.
        since
            A round known to be decided for each, (k,), to begin from.
        """
        from celluler_sim.consensus import hashgraph_vote_kernels as votes

        given = np.atleast_2d(np.asarray(rows, np.int32))
        full, answer = np.full((len(given), self._graph.row.shape[1]), -1, np.int32), np.empty(len(given), np.int64)
        full[:, : given.shape[1]] = given
        before = max(self.rules.first_round, int(self._graph.at["keep"][0])) - 1
        start = np.full(len(given), before) if since is None else np.broadcast_to(np.asarray(since), len(given))
        while True:
            votes.decided_by(self._graph, full, np.ascontiguousarray(start, np.int64), answer)
            if (answer != votes.NO_LEVELS - 1).all():
                return answer
            self._graph = state.more_levels(self._graph)

    def prefix(self, decided: npt.ArrayLike) -> Slots:
        """Return how long the order is up to the end of each round, for rounds in the window."""
        last = np.asarray(decided, np.int64)
        at, ring = self._graph.at[0], self._graph.round["ordered"]
        known = np.clip(last, at["keep"], max(int(at["processed"]) - 1, int(at["keep"])))
        return np.where(last < at["keep"], 0, ring[known & (len(ring) - 1)])

    def witnesses(self, number: int) -> Witnesses:
        """Return the witnesses of a round in the window, their fame, and which of them are judges."""
        from celluler_sim.consensus.hashgraph_order_kernels import judges_of

        graph, at = self._graph, self._graph.at[0]
        if not at["keep"] <= number <= at["top"]:
            raise ScenarioError(f"round must be from {at['keep']} to {at['top']}, which are remembered, got {number}")
        slot = number & (len(graph.round) - 1)
        columns = np.flatnonzero(graph.witness[slot] != state.NEVER)
        columns = columns[np.argsort(graph.witness[slot, columns])]
        judges = judges_of(graph, number) if number < at["processed"] else _NONE
        return Witnesses(
            graph.witness[slot, columns].astype(np.int64),
            graph.column["owner"][columns].astype(np.int64),
            graph.fame[slot, columns].astype(np.int8) - np.int8(1),
            np.isin(columns, judges),
        )

    def settle_late_rounds(self) -> None:
        """Decide fame also behind a round that is undecided, where nothing can be ordered yet."""
        from celluler_sim.consensus import hashgraph_vote_kernels as votes

        for number in range(self.decided_round + 2, self.top_round + 1):
            while votes.settle(self._graph, number) == votes.NO_LEVELS:
                self._graph = state.more_levels(self._graph)

    def _insert(self, batch: state.Batch) -> None:
        """Add a batch, growing the graph or letting go of old rounds where it is full."""
        from celluler_sim.consensus import hashgraph_kernels as kernels

        place, why = 0, kernels.NO_EVENTS
        while why != kernels.DONE:
            before, number = place, len(self)
            place, why = kernels.insert(self._graph, batch, before)
            if self._views and len(self) > number:
                self._follow(batch, before, number)
            if why < kernels.DONE:
                raise ScenarioError(self._refusal(batch, place, why))
            if why != kernels.DONE:
                self._make_room(why)

    def _make_room(self, why: int) -> None:
        """Let go of what is older than the window; grow where that frees less than a quarter."""
        from celluler_sim.consensus import hashgraph_kernels as kernels
        from celluler_sim.consensus.hashgraph_order_kernels import retire

        if self._windowed:
            self._settle()
            stale = retire(self._graph)
            if stale.size:
                self._news.append(_NOTHING._replace(stale=stale))
        at = self._graph.at[0]
        if why == kernels.NO_EVENTS and 4 * (at["count"] - at["base"]) > 3 * len(self._graph.event):
            self._graph = state.more_events(self._graph)
        elif why == kernels.NO_ROUNDS and at["top"] + 2 - at["keep"] > len(self._graph.round):
            self._graph = state.more_rounds(self._graph)
        elif why == kernels.NO_COLUMNS:
            self._graph = state.free_columns(self._graph)
            if (self._graph.column["owner"] >= 0).all():
                self._graph = state.more_columns(self._graph)

    def _settle(self) -> None:
        """Decide what can be decided, and order what that makes final."""
        from celluler_sim.consensus import hashgraph_vote_kernels as votes
        from celluler_sim.consensus.hashgraph_order_kernels import receive

        if not self._graph.at["due"][0]:
            return
        while votes.elect(self._graph) == votes.NO_LEVELS:
            self._graph = state.more_levels(self._graph)
        if self._graph.at["processed"][0] < self._graph.at["undecided"][0]:
            self._news.append(Finality(*receive(self._graph, self._room)))

    def _follow(self, batch: state.Batch, place: int, number: int) -> None:
        """Find what the ancestors of each new event decide."""
        from celluler_sim.consensus.hashgraph_vote_kernels import follow

        end = place + len(self) - number
        while (done := follow(self._graph, batch, place, number)) < end:
            self._graph = state.more_levels(self._graph)
            place, number = done, number + done - place

    def _refusal(self, batch: state.Batch, place: int, why: int) -> str:
        """Say what is wrong with an event."""
        from celluler_sim.consensus import hashgraph_kernels as kernels

        creator, parent, others = batch.creator[place], batch.self_parent[place], batch.others[place]
        if why == kernels.BAD_CREATOR:
            return f"creator must be from 0 to {len(self.stakes) - 1}, got {creator}"
        if why == kernels.FOREIGN_PARENT:
            return f"self_parent must be an event by the creator, {creator}; got event {parent} by another"
        wrong = next(p for p in (parent, *others) if not -1 <= p < len(self))
        return f"parents must have been added before: event {len(self)} has a parent {wrong}"

    def _tip(self, event: int) -> int:
        """Return the column whose newest event this is, one that has left the ring."""
        columns = np.flatnonzero(self._graph.column["tip"] == event)
        if event < 0 or not columns.size:
            known = f"from {self.oldest} to {len(self) - 1}, which are remembered"
            raise ScenarioError(f"event must be {known}, got {event}")
        return int(columns[0])

    def _field(self, name: str, events: npt.ArrayLike) -> Any:
        """Return one field of the records of events in the ring, or of tips that have left it."""
        numbers = np.atleast_1d(np.asarray(events, np.int64))
        found = self._graph.event[name][numbers & (len(self._graph.event) - 1)]
        if numbers.size and not self.oldest <= numbers.min() <= numbers.max() < len(self):
            for place in np.flatnonzero((numbers < self.oldest) | (numbers >= len(self))):
                found[place] = self._graph.tip_event[name][self._tip(int(numbers[place]))]
        return found
