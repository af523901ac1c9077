"""``celluler-sim compare A B``: two configurations in the same worlds."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from celluler_sim.cli import usage

USAGE = """celluler-sim compare A B [--replicates N] [--executor NAME] [--out FOLDER] [--json]
  A and B are each the folder of a run, or overrides in quotes: 'scenario=compute_congestion pricing=linear'
  runs both in the same N worlds (30, or those of A's folder), as far as their folders do not hold them already,
  and prints each figure's paired difference with its 95 % interval; table, page and picture go to FOLDER
  --json prints JSON instead: figures: {name: {difference, low, high, variance_ratio, ...}}"""


def run(arguments: Sequence[str]) -> int:
    """Compare; return the exit code."""
    flags, rest = usage.flags(arguments, USAGE, valued=("--replicates", "--executor", "--out"), plain=("--json",))
    sides = usage.read(rest, USAGE, most=2, least=2)
    if sides is None:
        return 0
    from celluler_sim.experiments.compare import compare
    from celluler_sim.experiments.compare_page import as_text
    from celluler_sim.live_page import share

    wanted = usage.whole_number("--replicates", flags.get("--replicates"))
    found = compare(sides[0], sides[1], replicates=wanted, executor=flags.get("--executor", ""), progress="auto")
    folder = Path(flags.get("--out") or default_folder("comparisons"))
    share("results", folder)
    found.save(folder)
    if "--json" in flags:
        print(json.dumps({**found.to_dict(), "folder": str(folder)}, allow_nan=False))
    else:
        print(as_text(found))
        print(f"\npage: {folder / 'comparison.html'}", file=sys.stdout)
    return 0


def default_folder(kind: str) -> Path:
    """Return a new folder below ``results``, named after the time."""
    return Path("results") / kind / datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f")  # noqa: DTZ005 - as Hydra names
