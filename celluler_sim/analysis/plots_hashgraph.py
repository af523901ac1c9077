"""A picture of a hashgraph: members across, time upward, rounds shaded, and one event's way to its judges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from celluler_sim.analysis import drawing as d
from celluler_sim.analysis.reading import Floats, RunLike, Slots, setting

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from celluler_sim.analysis.picture import Picture
    from celluler_sim.consensus.hashgraph import Hashgraph

MOST_MEMBERS = 16  # whose chains can be told apart
MOST_EVENTS = 1200  # that a drawing shows
BANDS = "#f8fafc", "#dfe8f0"  # of even and of odd rounds
_CREATED = ("creator", "self_parent", "other_parent", "created")


class Drawn(NamedTuple):
    """A hashgraph as it is drawn: events numbered from 0, parents before children."""

    member: Slots  #  (n,)
    height: Floats  # (n,) where on the time axis
    parents: list[list[int]]
    round: Slots  #   (n,)
    witness: Slots  # (n,) 0 or 1
    fame: Slots  #    (n,) 1 famous, 0 not, -1 undecided or no witness
    judges: dict[int, list[int]]  # of each decided round
    timed: bool  # whether heights are times in s, rather than places


def hashgraph(run: RunLike) -> Picture:
    """Return the beginning of the hashgraph that this run's validators wove: its first rounds that are decided."""
    title = "The hashgraph"
    if setting(run.config, "consensus.name") != "hashgraph":
        return d.message(title, "this run's consensus weaves no hashgraph")
    members = int(setting(run.config, "consensus.validators") or 0)
    if members > MOST_MEMBERS:
        return d.message(title, f"{members} chains of events are too many to draw (at most {MOST_MEMBERS})")
    case = recorded(run.config)
    return draw_hashgraph(case, title=f"The hashgraph of the first {case['events'][-1]['timestamp']:.3g} s")


def recorded(config: Mapping[str, Any], rounds: int = 3) -> dict[str, Any]:
    """Return the first events of a run's validators, until ``rounds`` rounds are decided, as a case for `replay`."""
    from celluler_sim.config_build import build
    from celluler_sim.consensus.gossip import HashgraphConsensus
    from celluler_sim.consensus.network import GossipNetwork
    from celluler_sim.streams import Streams

    given = {key: value for key, value in config["consensus"].items() if key != "name"}
    rule = build(HashgraphConsensus, given, "consensus")
    history: list[Any] = []
    network = GossipNetwork(rule, Streams(int(config.get("seed", 0)), int(config.get("replicate", 0))), history)
    step, until = rule.gossip_interval_seconds, 0.0
    while network.hashgraph.decided_round < rounds and len(network.hashgraph) < MOST_EVENTS:
        until += step
        network.advance(until)
    columns = [np.concatenate([getattr(part, name) for part in history]) for name in _CREATED]
    events = [
        {
            "id": number, "creator": int(creator), "self_parent": None if parent < 0 else int(parent),
            "other_parents": [] if other < 0 else [int(other)], "timestamp": float(time),
        }
        for number, (creator, parent, other, time) in enumerate(zip(*columns, strict=True))
    ]  # fmt: skip
    return {"stakes": rule.weights(), "params": asdict(rule.rules()), "events": events}


def draw_hashgraph(case_or_graph: Mapping[str, Any] | Hashgraph, *, title: str = "The hashgraph") -> Picture:
    """Draw a hashgraph: members across, time upward, rounds shaded, and one event's way to its judges.

    Witnesses are squares, famous ones filled; the judges of the round that received the event have a ring.

    Parameters
    ----------
    case_or_graph
        A case for `celluler_sim.consensus.replay.replay`, or a `Hashgraph`, of which what it remembers is drawn; of
        that, parents that brought no news cannot be told and are left out.
    title
        Of the figure.
    """
    graph = _of_case(case_or_graph) if isinstance(case_or_graph, Mapping) else _of_graph(case_or_graph)
    if not len(graph.member):
        return d.message(title, "the graph has no event")
    figure, (ax,) = d.canvas(title)
    figure.set_size_inches(8, 7)
    _shade_rounds(ax, graph)
    _edges(ax, graph)
    way = path_to_judges(graph)
    if way is not None:
        _highlight(ax, graph, way)
    _nodes(ax, graph)
    ax.set_xticks(np.arange(graph.member.max() + 1))
    ax.set_xlim(-0.6, graph.member.max() + 0.6)
    ax.set_xlabel("member")
    ax.set_ylabel("time, s" if graph.timed else "events, in the order of their creation")
    ax.grid(visible=False)
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    return figure


def _of_case(case: Mapping[str, Any]) -> Drawn:
    """Read a case and what `replay` makes of it."""
    from celluler_sim.consensus.replay import replay

    answer, events = replay(case), case["events"]
    place = {str(e["id"]): i for i, e in enumerate(events)}
    names = [e["id"] for e in events]
    parents = [
        [place[str(p)] for p in (e.get("self_parent"), *(e.get("other_parents") or ())) if p is not None]
        for e in events
    ]
    member = np.array([e["creator"] for e in events], np.int64)
    fame = np.array([-1 if answer["fame"][n] is None else int(answer["fame"][n]) for n in names], np.int64)
    number = np.array([answer["round"][n] for n in names], np.int64)
    judges = {}
    for decided in answer["decided_rounds"]:
        famous = np.flatnonzero((number == decided) & (fame == 1))
        alone = np.bincount(member[famous], minlength=1)[member[famous]] == 1
        judges[decided] = famous[alone].tolist()
    time = [e.get("timestamp") for e in events]
    timed = all(t is not None for t in time)
    witness = np.array([answer["witness"][n] for n in names], np.int64)
    return _upward(
        Drawn(
            member, np.array(time if timed else range(len(time)), float), parents, number, witness, fame, judges, timed
        )
    )


def _of_graph(graph: Hashgraph) -> Drawn:
    """Read what a `Hashgraph` remembers, at most the last `MOST_EVENTS`."""
    start = max(graph.oldest, len(graph) - MOST_EVENTS)
    events = np.arange(start, len(graph))
    owner = graph.owner
    rows = [graph.row(int(e)) for e in events]
    column = np.array([int(np.flatnonzero(row == e)[0]) for e, row in zip(events, rows, strict=True)], np.int64)
    fame, judges = np.full(len(events), -1, np.int64), {}
    witness = graph.is_witness(events).astype(np.int64) if len(events) else np.empty(0, np.int64)
    number = graph.rounds(events) if len(events) else np.empty(0, np.int64)
    for at in np.unique(number).tolist():
        found = graph.witnesses(at)
        shown = found.event >= start
        fame[found.event[shown] - start] = found.fame[shown]
        if at <= graph.decided_round:
            judges[at] = (found.event[shown & found.judge] - start).tolist()
    parents = [_news(rows, column, place, start) for place in range(len(events))]
    return Drawn(
        owner[column], np.arange(len(events), dtype=float), parents, number, witness, fame, judges, timed=False
    )


def _news(rows: list[Any], column: Slots, event: int, start: int) -> list[int]:
    """Return the parents of an event by its row: the one before it in its column, and what that did not know.

    Of what it did not know, those are parents that no other of them descends from.
    """
    before: list[int] = np.flatnonzero(column[:event] == column[event])[-1:].tolist()
    last = sorted({int(x) - start for x in rows[event] if x >= start} - {event}, reverse=True)
    kept: list[int] = []
    for x in last:
        if not any(rows[y][column[x]] >= x + start for y in before + kept):
            kept.append(x)
    return before + kept


def _upward(graph: Drawn) -> Drawn:
    """Take places for heights where a clock shows a child before its parent."""
    early = any(graph.height[p] > graph.height[e] for e, own in enumerate(graph.parents) for p in own)
    return graph._replace(height=np.arange(len(graph.member), dtype=float), timed=False) if early else graph


class Way(NamedTuple):
    """How one event reached the judges of the round that received it."""

    event: int
    round: int
    judges: list[int]
    edges: list[tuple[int, int]]  # (ancestor, descendant)


def path_to_judges(graph: Drawn) -> Way | None:
    """Return the way of an event that is no witness to the judges that received it; None where there is none.

    Of the events received it takes the one after the first quarter, where the picture is not crowded by first events.
    """
    children: list[list[int]] = [[] for _ in graph.parents]
    for event, own in enumerate(graph.parents):
        for parent in own:
            children[parent].append(event)
    found = [way for e in np.flatnonzero(graph.witness == 0).tolist() if (way := _way(e, children, graph.judges))]
    return found[len(found) // 4] if found else None


def _way(event: int, children: list[list[int]], judges: Mapping[int, list[int]]) -> Way | None:
    """Return how an event reached all judges of the first round that has it; None where no round has."""
    before = _reached(event, children)
    for number in sorted(judges):
        if judges[number] and all(judge in before for judge in judges[number]):
            return Way(event, number, judges[number], _walk(before, judges[number]))
    return None


def _reached(event: int, children: list[list[int]]) -> dict[int, int]:
    """Return all descendants of an event, each with the ancestor before it on a shortest way (breadth first)."""
    before, queue = {event: event}, [event]
    for x in queue:
        for child in children[x]:
            if child not in before:
                before[child] = x
                queue.append(child)
    return before


def _walk(before: Mapping[int, int], ends: list[int]) -> list[tuple[int, int]]:
    edges: set[tuple[int, int]] = set()
    for end in ends:
        at = end
        while before[at] != at and (before[at], at) not in edges:
            edges.add((before[at], at))
            at = before[at]
    return sorted(edges)


def _shade_rounds(ax: Axes, graph: Drawn) -> None:
    """Shade each member's stretch of a round: a band of steps, every other round grey."""
    top = float(graph.height.max())
    ax.set_ylim(float(graph.height.min()) - 0.03 * max(top, 1.0), top + 0.03 * max(top, 1.0))
    for member in range(int(graph.member.max()) + 1):
        own = np.flatnonzero(graph.member == member)
        starts = own[np.flatnonzero(np.diff(graph.round[own], prepend=-1))]
        ends = np.append(graph.height[starts[1:]], ax.get_ylim()[1])
        for start, end in zip(starts, ends, strict=True):
            colour = BANDS[int(graph.round[start]) % 2]
            ax.fill_between([member - 0.5, member + 0.5], graph.height[start], end, color=colour, linewidth=0, zorder=0)
    for number in np.unique(graph.round).tolist():
        first = float(graph.height[graph.round == number].min())
        ax.annotate(
            f"round {number}", (1.0, first), xycoords=("axes fraction", "data"), xytext=(4, 0),
            textcoords="offset points", fontsize=9, color=d.INK, va="bottom", annotation_clip=False,
        )  # fmt: skip


def _edges(ax: Axes, graph: Drawn) -> None:
    from matplotlib.collections import LineCollection

    lines = [
        [(graph.member[p], graph.height[p]), (graph.member[e], graph.height[e])]
        for e, own in enumerate(graph.parents)
        for p in own
    ]
    ax.add_collection(LineCollection(lines, colors=d.FAINT, linewidths=0.6, alpha=0.75, zorder=1))


def _highlight(ax: Axes, graph: Drawn, way: Way) -> None:
    for i, (a, b) in enumerate(way.edges):
        label = f"its way to the judges of round {way.round}" if i == 0 else None
        ax.plot(graph.member[[a, b]], graph.height[[a, b]], color=d.ORANGE, linewidth=2.2, zorder=2, label=label)
    at = way.judges
    ax.plot(
        graph.member[at], graph.height[at], "o", markersize=13, markerfacecolor="none", markeredgecolor=d.ORANGE,
        markeredgewidth=1.6, linestyle="", zorder=3, label=f"judge of round {way.round}",
    )  # fmt: skip
    where = graph.member[way.event], graph.height[way.event]
    ax.plot(*where, "*", color=d.ORANGE, markersize=15, linestyle="", zorder=5, label="an event")


def _nodes(ax: Axes, graph: Drawn) -> None:
    kinds = (
        (graph.witness == 0, "o", 3.0, d.INK, "event"),
        ((graph.witness == 1) & (graph.fame == 1), "s", 8.0, d.BLUE, "famous witness"),
        ((graph.witness == 1) & (graph.fame == 0), "s", 8.0, "white", "witness, not famous"),
        ((graph.witness == 1) & (graph.fame < 0), "s", 8.0, d.SKY, "witness, fame undecided"),
    )
    for rows, marker, size, face, label in kinds:
        if rows.any():
            ax.plot(
                graph.member[rows], graph.height[rows], marker, markersize=size, markerfacecolor=face,
                markeredgecolor=d.INK if size < 4 else d.BLUE, markeredgewidth=1.2 if size > 4 else 0, linestyle="",
                zorder=4, label=label,
            )  # fmt: skip
