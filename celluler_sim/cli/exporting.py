"""``celluler-sim export FOLDER``: a run or a sweep in another format."""

from __future__ import annotations

from collections.abc import Sequence

from celluler_sim.cli import usage

USAGE = """celluler-sim export FOLDER [--to csv|cadcad] [--out FOLDER]
  csv: every table of a run, or the table of a sweep; cadcad: a row per tick with simulation, subset, run, substep,
  timestep, as users of cadCAD expect"""


def run(arguments: Sequence[str]) -> int:
    """Write the files and print their paths; return the exit code."""
    flags, rest = usage.flags(arguments, USAGE, valued=("--to", "--out"))
    folders = usage.read(rest, USAGE, most=1, least=1)
    if folders is None:
        return 0
    from celluler_sim.experiments.export import export

    for path in export(folders[0], flags.get("--to", "csv"), flags.get("--out")):
        print(path)
    return 0
