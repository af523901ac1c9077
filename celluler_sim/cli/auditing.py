"""``celluler-sim audit SCENARIO``: which of a scenario's conclusions are findings, which artefacts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from celluler_sim.cli import usage

USAGE = """celluler-sim audit SCENARIO [key=value ...] [--replicates N] [--claim NAMES] [--change NAMES] [--json]
  [--executor NAME] [--out FOLDER]
  reruns the claims of a scenario under changes that a finding must survive: the same world again, another order of
  acting and arrival, other numbers for the agents, fresh random streams, half the tick, twice the population;
  prints per claim robust, shifted, fragile or inconclusive, and the commands that repeat what showed it
  exit code 1 if a claim is fragile or does not hold"""


def run(arguments: Sequence[str]) -> int:
    """Audit; return the exit code."""
    valued = ("--replicates", "--claim", "--change", "--executor", "--out")
    flags, rest = usage.flags(arguments, USAGE, valued=valued, plain=("--json",))
    words = usage.read(rest, USAGE, most=1_000, least=1)
    if words is None:
        return 0
    from celluler_sim.audit.auditing import audit
    from celluler_sim.audit.page import as_text, save, to_dict
    from celluler_sim.cli.comparing import default_folder
    from celluler_sim.run_folder import to_json

    scenario = words[0].removeprefix("scenario=")
    with _bar(quiet="--json" in flags) as progress:
        found = audit(
            scenario, words[1:], replicates=usage.whole_number("--replicates", flags.get("--replicates")),
            only=_names(flags.get("--claim")), changes=_names(flags.get("--change")),
            executor=flags.get("--executor", ""), progress=progress,
        )  # fmt: skip
    folder = save(found, Path(flags.get("--out") or default_folder("audits")))
    if "--json" in flags:
        print(to_json({**to_dict(found), "folder": str(folder)}))
    else:
        print(as_text(found))
        print(f"\npage: {folder / 'audit.html'}")
    return 1 if found.fragile else 0


def _names(given: str | None) -> list[str]:
    return [] if given is None else given.split(",")


class _bar:  # noqa: N801 - used as a function
    """A progress bar on a terminal, nothing elsewhere."""

    def __init__(self, *, quiet: bool) -> None:
        from tqdm import tqdm

        self._bar = tqdm(total=0, unit="run", disable=True if quiet else None, leave=False)

    def __enter__(self) -> Self:
        return self

    def __call__(self, done: int, total: int) -> None:
        self._bar.total = total
        self._bar.update(done - self._bar.n)

    def __exit__(self, *_: object) -> None:
        self._bar.close()
