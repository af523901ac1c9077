"""``celluler-sim report FOLDER``: a run's report and figures, written again from its tables."""

from __future__ import annotations

from collections.abc import Sequence

from celluler_sim.cli import usage

USAGE = """celluler-sim report FOLDER
  reads the tables of a run and writes its figures and report.html again"""


def run(arguments: Sequence[str]) -> int:
    """Write the report; return the exit code."""
    folders = usage.read(arguments, USAGE, most=1, least=1)
    if folders is None:
        return 0
    from celluler_sim.report import write_report
    from celluler_sim.results import load_run

    print(write_report(load_run(folders[0])))
    return 0
