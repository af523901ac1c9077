"""``celluler-sim sensitivity``: which keys the figures depend on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from celluler_sim.cli import usage
from celluler_sim.cli.comparing import default_folder
from celluler_sim.errors import ScenarioError

USAGE = """celluler-sim sensitivity [KEY=VALUE ...] [--out FOLDER] [--json]
  runs a scenario at points of the ranges under its key `sensitivity`, and says which keys its figures depend on:
  sensitivity: {method: sobol, samples: 64, keys: {pricing.base_price: [50, 200], agents.providers.count: [50, 150]}}
  table, page and pictures go to FOLDER; the same command with the same FOLDER goes on where it was stopped"""


def run(arguments: Sequence[str]) -> int:
    """Analyse; return the exit code."""
    flags, rest = usage.flags(arguments, USAGE, valued=("--out",), plain=("--json",))
    overrides = usage.read(rest, USAGE, most=1000)
    if overrides is None:
        return 0
    if odd := [text for text in overrides if "=" not in text]:
        raise ScenarioError(f"sensitivity must be followed by KEY=VALUE, got {odd[0]!r}")
    from celluler_sim.experiments.sensitivity import of_scenario
    from celluler_sim.experiments.sensitivity_page import as_text
    from celluler_sim.live_page import share
    from celluler_sim.scenario import compose

    folder = Path(flags.get("--out") or default_folder("sensitivity"))
    found = of_scenario(compose(None, overrides), folder, progress="auto")
    share("results", folder)
    found.save(folder)
    if "--json" in flags:
        print(json.dumps({**found.to_dict(), "folder": str(folder)}, allow_nan=False))
    else:
        print(f"{as_text(found)}\n\npage: {folder / 'sensitivity.html'}")
    return 0
