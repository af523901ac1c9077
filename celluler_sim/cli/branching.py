"""``celluler-sim branch FOLDER --at TICK KEY=VALUE ...``: one state of a run goes on under other rules."""

from __future__ import annotations

from collections.abc import Sequence

from celluler_sim.cli import usage
from celluler_sim.cli.resuming import split_plugins
from celluler_sim.config_build import show
from celluler_sim.errors import ScenarioError

USAGE = """celluler-sim branch FOLDER --at TICK [--to FOLDER] [KEY=VALUE ...]
  continues the state of a run after so many ticks under other rules; KEY=A,B branches once for each value;
  every branch is a run folder, below FOLDER/branches or the folder given by --to, and its tables begin at the tick"""


def run(arguments: Sequence[str]) -> int:
    """Run the branches, print their figures, write their reports; return the exit code."""
    if any(argument in ("-h", "--help") for argument in arguments):
        print(USAGE)
        return 0
    plugins, rest = split_plugins(arguments)
    (tick, to), rest = _options(rest, "--at", "--to")
    overrides = [text for text in rest if "=" in text and not text.startswith("-")]
    [folder] = usage.read([text for text in rest if text not in overrides], USAGE, most=1, least=1) or [""]
    if not tick.isdigit():
        raise ScenarioError(f"--at must be a number of ticks, got {show(tick) if tick else 'nothing'}")
    from celluler_sim.analysis.figures import format_table
    from celluler_sim.checkpoint.branching import branch
    from celluler_sim.report import write_report

    branches = branch(folder, int(tick), overrides, to=to or None, plugins=plugins, progress="auto")
    for name, result in branches.items():
        print(f"{name}\n{format_table(result.summary)}\nreport: {write_report(result)}")
    return 0


def _options(arguments: Sequence[str], *names: str) -> tuple[list[str], list[str]]:
    """Return the values of options, empty where not given, and the other arguments."""
    found, rest = dict.fromkeys(names, ""), []
    waiting = ""
    for text in arguments:
        name, equals, value = text.partition("=")
        if waiting:
            found[waiting], waiting = text, ""
        elif name in found and equals:
            found[name] = value
        elif text in found:
            waiting = text
        else:
            rest.append(text)
    if waiting:
        raise ScenarioError(f"{waiting} must be followed by a value; usage: {USAGE.splitlines()[0]}")
    return list(found.values()), rest
