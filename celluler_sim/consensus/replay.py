"""Consensus on a graph that somebody else recorded: one mapping, or JSON file, in and one out."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from celluler_sim.book import Floats
from celluler_sim.config_build import build, did_you_mean, show
from celluler_sim.consensus.hashgraph import Finality, Hashgraph, Rules, check_stakes
from celluler_sim.errors import CellulerError, ScenarioError
from celluler_sim.trust import read_text

Name = str | int
Time = int | float

_CASE_KEYS = ("stakes", "params", "events")
_EVENT_KEYS = ("id", "creator", "self_parent", "other_parents", "timestamp", "signature")
_WHOLE = 1 << 52  # whole numbers below this have an exact mean as floats


class ReplayError(ScenarioError):
    """A recorded graph is malformed; the message names the event and the rule."""


class _Event(NamedTuple):
    """One event as recorded, its parents as places in the list."""

    name: Name
    creator: int
    self_parent: int  # -1 for none
    others: tuple[int, ...]
    time: Time
    signature: bytes


class _Clock:
    """Times as floats for the algorithm, and back.

    Ranks, which are exact for any numbers, where the median is one of the times. Where the mean of two is asked for,
    differences to the least time: exact for whole numbers that lie less than 2**52 apart, else as good as floats.
    """

    def __init__(self, times: list[Time], median: str) -> None:
        self.ranked = median != "mean"
        self.known = sorted(set(times))
        self.whole = all(isinstance(time, int) for time in times) and times != []
        self.whole = self.whole and self.known[-1] - self.known[0] < _WHOLE
        self.zero = self.known[0] if self.whole else 0
        rank = {time: place for place, time in enumerate(self.known)}
        self.floats: Floats = np.array([rank[t] if self.ranked else float(t - self.zero) for t in times], np.float64)

    def original(self, found: Floats) -> list[Time]:
        """Return medians of `floats` as the type that the times came in."""
        if self.ranked:
            return [self.known[int(rank)] for rank in found]
        return [_half(int(2 * time) + 2 * int(self.zero)) if self.whole else float(time) for time in found]


def _half(doubled: int) -> Time:
    return doubled // 2 if doubled % 2 == 0 else doubled / 2


def replay(case: Mapping[str, Any]) -> dict[str, Any]:
    """Run the hashgraph algorithm on a recorded graph.

    Parameters
    ----------
    case
        ``{"stakes": [int, ...], "params": {...}, "events": [event, ...]}`` with the parameters of `Rules`; an event is
        ``{"id", "creator" (index), "self_parent" (id or null), "other_parents" ([ids]), "timestamp",
        "signature" (hex)}``, parents before children. A missing timestamp is the place in the list, a missing
        signature sha256 of the id.

    Returns
    -------
    dict
        By id: ``round``, ``witness``, ``fame`` (true, false, or null for a witness undecided and for an event that is
        no witness), ``received`` (round or null), ``timestamp`` (number or null), ``generation``; and
        ``decided_rounds`` and ``order``, the ids of the events received, first to last.

    Raises
    ------
    ReplayError, ScenarioError
        A malformed case, in one line: which event, which rule, what was found.

    >>> replay({"stakes": [1], "events": [{"id": "a", "creator": 0}]})["round"]
    {'a': 1}
    """
    _check_keys(case, _CASE_KEYS, "the case")
    params = case.get("params")
    rules = build(Rules, {} if params is None else params, "params")
    stakes = _sequence(case, "stakes")
    check_stakes(stakes)
    events = _read_events(_sequence(case, "events"), len(stakes))
    clock = _Clock([event.time for event in events], rules.median)
    words = max((len(event.signature) + 7) // 8 for event in events) if events else 1
    graph = Hashgraph(stakes, rules, window_rounds=None, words=words, views=False)
    if events:
        _add(graph, events, clock.floats, words)
        graph.settle_late_rounds()
    return _answer(graph, [event.name for event in events], clock)


def replay_file(path: str | Path) -> dict[str, Any]:
    """Run `replay` on a JSON file.

    Raises
    ------
    ReplayError
        The file cannot be read, has more than `celluler_sim.trust.MOST_TEXT` bytes, is no JSON, or holds no case.
    """
    try:
        case = json.loads(read_text(Path(path), pipes=True), parse_constant=_no_number)
    except OSError as error:
        raise ReplayError(f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise ReplayError(f"{path} is no UTF-8 text: byte {error.start}") from None
    except RecursionError:
        raise ReplayError(f"{path} is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ReplayError(f"{path} is no JSON: {error.msg}, line {error.lineno} column {error.colno}") from None
    except ReplayError as error:
        raise ReplayError(f"{path}: {error}") from None
    except ValueError as error:  # a whole number of more digits than Python reads
        raise ReplayError(f"{path} cannot be read: {str(error).split(';')[0]}") from None
    try:
        return replay(case)
    except CellulerError as error:
        raise ReplayError(f"{path}: {error}") from None


def _no_number(text: str) -> float:
    raise ReplayError(f"numbers must be finite, got {text}")


def _check_keys(mapping: Any, known: Sequence[str], name: str) -> None:
    """Refuse what is no mapping, and keys that look like misspelt ones; others are notes."""
    if not isinstance(mapping, Mapping):
        raise ReplayError(f"{name} must be a mapping with the keys {', '.join(known)}; got {show(mapping)}")
    for key in mapping:
        if key not in known and (hint := did_you_mean(str(key), known)):
            raise ReplayError(f"{name} has an unknown key {show(key)}{hint}")


def _sequence(mapping: Mapping[str, Any], key: str) -> Sequence[Any]:
    """Return a list under a key of the case."""
    found = mapping.get(key)
    if not isinstance(found, (list, tuple)):
        raise ReplayError(f"{key} must be a list, got {show(found) if key in mapping else 'nothing'}")
    return found


def _read_events(entries: Sequence[Any], members: int) -> list[_Event]:
    """Check every event and turn names of parents into places."""
    names = [_name(entry, place) for place, entry in enumerate(entries)]
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        if str(name) in places:
            raise ReplayError(f"events[{place}].id must be unique, got {show(name)} as in events[{places[str(name)]}]")
        places[str(name)] = place
    events: list[_Event] = []
    for place, entry in enumerate(entries):
        events.append(_read_event(entry, place, names[place], members, places, events))
    return events


def _name(entry: Any, place: int) -> Name:
    """Return an event's id."""
    _check_keys(entry, _EVENT_KEYS, f"events[{place}]")
    name = entry.get("id")
    if isinstance(name, bool) or not isinstance(name, (str, int)):
        raise ReplayError(f"events[{place}].id must be text, got {show(name) if 'id' in entry else 'nothing'}")
    return name


def _read_event(
    entry: Mapping[str, Any], place: int, name: Name, members: int, places: Mapping[str, int], before: list[_Event]
) -> _Event:  # fmt: skip
    """Return an event whose parents are all before it."""
    about = f"events[{place}] ({show(name)})"
    creator = entry.get("creator")
    if isinstance(creator, bool) or not isinstance(creator, int) or not 0 <= creator < members:
        raise ReplayError(f"{about}: creator must be a whole number from 0 to {members - 1}, got {show(creator)}")
    others = entry.get("other_parents")
    if others is not None and not isinstance(others, (list, tuple)):
        raise ReplayError(f"{about}: other_parents must be a list of ids, got {show(others)}")
    own = entry.get("self_parent")
    parent = -1 if own is None else _parent(own, f"{about}: self_parent", place, places)
    if parent >= 0 and before[parent].creator != creator:
        made = before[parent].creator
        raise ReplayError(f"{about}: self_parent must be by its creator {creator}, got {show(own)} by creator {made}")
    return _Event(
        name,
        creator,
        parent,
        tuple(_parent(other, f"{about}: other_parents", place, places) for other in others or ()),
        _time(entry.get("timestamp"), place, about),
        _signature(entry.get("signature"), name, about),
    )


def _parent(name: Any, about: str, place: int, places: Mapping[str, int]) -> int:
    """Return the place of a parent."""
    found = None if isinstance(name, bool) or not isinstance(name, (str, int)) else places.get(str(name))
    if found is None:
        known = [other for other, where in places.items() if where < place]
        raise ReplayError(f"{about} must name an event of the list, got {show(name)}{did_you_mean(str(name), known)}")
    if found >= place:
        where = f"itself, {show(name)}" if found == place else f"{show(name)}, which is events[{found}]"
        raise ReplayError(f"{about} must come before it in the list, got {where}")
    return found


def _time(given: Any, place: int, about: str) -> Time:
    """Return a timestamp, by default the place in the list."""
    if given is None:
        return place
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not abs(given) <= sys.float_info.max:
        raise ReplayError(f"{about}: timestamp must be a finite number, got {show(given)}")
    return given


def _signature(given: Any, name: Name, about: str) -> bytes:
    """Return a signature, by default the hash of the id."""
    if given is None:
        return hashlib.sha256(str(name).encode()).digest()
    try:
        found = bytes.fromhex(given)
    except (TypeError, ValueError):
        found = b""
    if not found:
        raise ReplayError(f"{about}: signature must be hexadecimal, two digits a byte, got {show(given)}")
    return found


def _add(graph: Hashgraph, events: list[_Event], times: Floats, words: int) -> None:
    """Add all events at once."""
    others = np.full((len(events), max(1, *(len(event.others) for event in events))), -1, np.int64)
    for place, event in enumerate(events):
        others[place, : len(event.others)] = event.others
    padded = b"".join(event.signature.rjust(8 * words, b"\0") for event in events)
    graph.add_batch(
        [event.creator for event in events],
        [event.self_parent for event in events],
        others,
        times,
        np.frombuffer(padded, ">u8").reshape(-1, words),
        [event.signature[len(event.signature) // 2] & 1 for event in events],
    )


def _answer(graph: Hashgraph, names: list[Name], clock: _Clock) -> dict[str, Any]:
    """Say by id what came out."""
    everything = np.arange(len(names))
    fame: dict[Name, bool | None] = dict.fromkeys(names)
    decided = []
    for number in range(graph.rules.first_round, graph.top_round + 1):
        found = graph.witnesses(number)
        fame.update({names[e]: bool(f) for e, f in zip(found.event, found.fame, strict=True) if f >= 0})
        if (found.fame >= 0).all():
            decided.append(number)
    final: Finality = graph.take()
    received: dict[Name, int | None] = dict.fromkeys(names)
    received.update({names[e]: int(r) for e, r in zip(final.event, final.round, strict=True)})
    time: dict[Name, Time | None] = dict.fromkeys(names)
    time.update({names[e]: t for e, t in zip(final.event, clock.original(final.time), strict=True)})
    return {
        "round": dict(zip(names, graph.rounds(everything).tolist(), strict=True)),
        "witness": dict(zip(names, graph.is_witness(everything).tolist(), strict=True)),
        "fame": fame,
        "received": received,
        "timestamp": time,
        "generation": dict(zip(names, graph.generations(everything).tolist(), strict=True)),
        "decided_rounds": decided,
        "order": [names[e] for e in final.event],
    }
