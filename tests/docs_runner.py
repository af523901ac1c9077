"""Run the Python blocks of a page and compose its commands, with few ticks. A script of its own: see `test_docs`."""

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from celluler_sim import scenario
from celluler_sim.cli import VERBS
from celluler_sim.conf import composition
from celluler_sim.conf.overrides import prepare

TICKS = 30
real_compose = scenario.compose


def short(name: str | Path | None = None, overrides: Sequence[str] = ()) -> scenario.Scenario:
    """Compose as asked, but for fewer ticks."""
    return real_compose(name, [*overrides, f"ticks={TICKS}"])


def check(command: str) -> None:
    """Compose what a command would run, every job of a sweep and every variant; for a verb, see that there is one."""
    arguments = shlex.split(command, comments=True)[3:]
    if arguments[0] in VERBS:
        return
    overrides = [argument for argument in arguments if argument not in ("-m", "--cfg", "job")]
    jobs = [tuple(overrides)]
    if "-m" in arguments:
        jobs = [texts for _, texts in composition.jobs(prepare(overrides, scenario.Scenario))]
        assert len(jobs) > 1, command
    for texts in jobs:
        composed = real_compose(None, texts)
        for name in composed.variants:
            composed.variant(name)


def run(work: Path) -> None:
    """Run a page's blocks in one namespace, then check its commands."""
    page = json.loads(work.read_text("utf-8"))
    scenario.compose = short
    namespace: dict[str, object] = {"__name__": "page"}
    for block in page["blocks"]:
        exec(compile(block, "page", "exec"), namespace)  # noqa: S102 - the page is ours
    for command in page["commands"]:
        check(command)


if __name__ == "__main__":
    run(Path(sys.argv[1]))
