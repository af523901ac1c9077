"""``celluler-sim dashboard [FOLDER]``: a page from which runs are started, watched and compared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from celluler_sim.cli import usage

USAGE = """celluler-sim dashboard [FOLDER] [PORT]
  serves a page on 127.0.0.1 (port 2718 unless another is given) that starts, shows and compares runs
  FOLDER is the results folder, `results` unless another is given; nothing outside it is read"""


def run(arguments: Sequence[str]) -> int:
    """Serve the page; return the exit code."""
    given = usage.read(arguments, USAGE, most=2)
    if given is None:
        return 0
    from celluler_sim.dashboard.serve import serve
    from celluler_sim.errors import ScenarioError

    port = given[1] if len(given) > 1 else "2718"
    if not port.isdigit():
        raise ScenarioError(f"PORT must be a whole number from 1 to 65535, got {port}")
    return serve(Path(given[0] if given else "results"), int(port))
