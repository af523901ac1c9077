"""``celluler-sim resume FOLDER``: a run that was stopped goes on from its last checkpoint."""

from __future__ import annotations

from collections.abc import Sequence

from celluler_sim.cli import usage
from celluler_sim.conf.choices import module_names

USAGE = """celluler-sim resume FOLDER [plugins=[MODULE,...]]
  continues a run that was killed, interrupted or failed, from its last checkpoint, or from its start where it has
  none (checkpoint_every=TICKS writes them); the tables become the same, byte for byte, as without the interruption;
  plugins names the modules of own rules that the folder may import"""


def run(arguments: Sequence[str]) -> int:
    """Continue the run, print its figures, write its report; return the exit code."""
    plugins, rest = split_plugins(arguments)
    folders = usage.read(rest, USAGE, most=1, least=1)
    if folders is None:
        return 0
    from celluler_sim.analysis.figures import format_table
    from celluler_sim.checkpoint.resuming import resume
    from celluler_sim.report import write_report

    result = resume(folders[0], plugins=plugins, progress="auto")
    if result.summary:
        print(format_table(result.summary))
        print(f"report: {write_report(result)}")
    return 0


def split_plugins(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the modules that ``plugins=[...]`` names among the arguments, and the other arguments."""
    from celluler_sim.conf.overrides import parse

    given = [text for text in arguments if text.startswith("plugins=")]
    return [name for text in given for name in module_names(parse(text).value())], [
        text for text in arguments if text not in given
    ]
