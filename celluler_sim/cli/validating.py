"""``celluler-sim validate FILE``: the rules against known answers."""

from __future__ import annotations

from collections.abc import Sequence

from celluler_sim.cli import usage

USAGE = """celluler-sim validate FILE
  feeds every case of a JSON file to the rule it is about and prints passed, failed or unsupported;
  exit code 1 if any failed"""


def run(arguments: Sequence[str]) -> int:
    """Print what became of every case; return the exit code."""
    paths = usage.read(arguments, USAGE, most=1, least=1)
    if paths is None:
        return 0
    from celluler_sim.validation import print_report, validate

    report = validate(paths[0])
    print_report(report)
    return report.exit_code
