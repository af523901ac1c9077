"""``celluler-sim list``: what can be chosen, one line each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from celluler_sim.cli import usage
from celluler_sim.conf import choices, files
from celluler_sim.config_build import describe, did_you_mean, show
from celluler_sim.errors import ScenarioError
from celluler_sim.mechanisms.base import registered, summary_line

USAGE = """celluler-sim list [scenario | FAMILY]
  without an argument: every scenario and every rule of every family, one line each
  with a family: its rules with their parameters"""


def run(arguments: Sequence[str]) -> int:
    """Print the lists; return the exit code."""
    names = usage.read(arguments, USAGE, most=1)
    if names is None:
        return 0
    known = ["scenario", *choices.all_families()]
    if not names:
        for name in known:
            _print(f"{name}=" if name in choices.base_choices() else name, _entries(name))
    elif names[0].removesuffix("s") == "scenario":
        _print("scenario=", _entries("scenario"))
    elif names[0] in known:
        _print_family(names[0])
    else:
        hint = did_you_mean(names[0], known)
        raise ScenarioError(f"list must be followed by one of {', '.join(known)}; got {show(names[0])}{hint}")
    return 0


def _entries(name: str) -> dict[str, str]:
    """Return one line for each option of a group."""
    if name == "scenario":
        return {option: scenario.description for option, scenario in files.find(choices.families()).items()}
    return {option: summary_line(cls) for option, cls in registered(name).items()}


def _print(title: str, entries: Mapping[str, str]) -> None:
    width = max(map(len, entries), default=0)
    print(title)
    for name, line in entries.items():
        print(f"  {name:<{width}}  {line}".rstrip())
    print()


def _print_family(family: str) -> None:
    for option, cls in registered(family).items():
        print(f"{family}={option}\n  {summary_line(cls)}")
        for row in describe(cls, family):
            print(f"  {row.key} = {row.default}  ({row.type}){': ' if row.doc else ''}{row.doc}")
        print()
