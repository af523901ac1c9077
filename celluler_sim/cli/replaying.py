"""``celluler-sim replay CASE.json``: the hashgraph algorithm on a graph that somebody else recorded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from celluler_sim.cli import usage

USAGE = """celluler-sim replay CASE.json [--json]
  reads {"stakes": [...], "params": {...}, "events": [...]} and prints rounds, fame and the order of the events;
  --json prints the whole answer as JSON"""


def run(arguments: Sequence[str]) -> int:
    """Print what consensus makes of the graph; return the exit code."""
    as_json = "--json" in arguments
    paths = usage.read([argument for argument in arguments if argument != "--json"], USAGE, most=1, least=1)
    if paths is None:
        return 0
    from celluler_sim.consensus.replay import replay_file

    answer = replay_file(paths[0])
    print(json.dumps(answer) if as_json else _table(answer))
    return 0


def _table(answer: Mapping[str, Any]) -> str:
    """Return the answer for people: what was decided, then the order, then what has no place in it."""
    rounds, order = answer["round"], answer["order"]
    waiting = [name for name in rounds if answer["received"][name] is None]
    famous = sum(fame is True for fame in answer["fame"].values())
    titles = ["place", "event", "round", "received", "time"]
    lines = [
        f"{len(rounds)} events, {sum(answer['witness'].values())} witnesses, {famous} of them famous",
        f"rounds decided: {', '.join(map(str, answer['decided_rounds'])) or 'none'}",
        "",
        *_columns([titles, *(_row(answer, place, name) for place, name in enumerate(order, 1))]),
    ]
    if waiting:
        lines += ["", f"not ordered ({len(waiting)}): {' '.join(map(str, waiting))}"]
    return "\n".join(lines)


def _row(answer: Mapping[str, Any], place: int, name: Any) -> list[str]:
    values = (answer[column][name] for column in ("round", "received", "timestamp"))
    return [str(place), str(name), *map(str, values)]


def _columns(table: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in table]
