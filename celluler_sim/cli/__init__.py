"""The command line: one module per verb, imported when it is used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module

VERBS = {
    "audit": "celluler_sim.cli.auditing",
    "branch": "celluler_sim.cli.branching",
    "dashboard": "celluler_sim.cli.dashboard",
    "compare": "celluler_sim.cli.comparing",
    "export": "celluler_sim.cli.exporting",
    "list": "celluler_sim.cli.listing",
    "replay": "celluler_sim.cli.replaying",
    "report": "celluler_sim.cli.reporting",
    "resume": "celluler_sim.cli.resuming",
    "sensitivity": "celluler_sim.cli.sensing",
    "validate": "celluler_sim.cli.validating",
}  # a verb's module has `run(arguments) -> exit code`


def verb(name: str) -> Callable[[Sequence[str]], int]:
    """Return the function behind a verb."""
    run: Callable[[Sequence[str]], int] = import_module(VERBS[name]).run
    return run
