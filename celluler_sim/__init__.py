"""celluler_sim: a laboratory for the economics of a decentralised compute market.

>>> import celluler_sim
>>> run = celluler_sim.simulate("compute_congestion", ["ticks=2"], seed=1)
>>> sorted(run.tables)[:2]
['agents', 'book']
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from celluler_sim.checkpoint.branching import branch
    from celluler_sim.checkpoint.resuming import resume
    from celluler_sim.economy import Economy
    from celluler_sim.errors import CellulerError
    from celluler_sim.experiments.compare import compare
    from celluler_sim.experiments.load import Sweep, load_sweep
    from celluler_sim.experiments.replicates import replicate
    from celluler_sim.experiments.sensitivity import sensitivity
    from celluler_sim.experiments.sweep import sweep
    from celluler_sim.results import Run, load_run
    from celluler_sim.run import run_scenario, simulate
    from celluler_sim.scenario import Scenario, compose

__version__ = "0.1.0"

# Imported when first asked for: `import celluler_sim` takes milliseconds.
_HOMES = {
    "CellulerError": "errors",
    "Economy": "economy",
    "Run": "results",
    "Scenario": "scenario",
    "Sweep": "experiments.load",
    "branch": "checkpoint.branching",
    "compare": "experiments.compare",
    "compose": "scenario",
    "load_run": "results",
    "load_sweep": "experiments.load",
    "replicate": "experiments.replicates",
    "resume": "checkpoint.resuming",
    "run_scenario": "run",
    "sensitivity": "experiments.sensitivity",
    "simulate": "run",
    "sweep": "experiments.sweep",
}
__all__ = [
    "CellulerError", "Economy", "Run", "Scenario", "Sweep", "branch", "compare", "compose", "load_run", "load_sweep",
    "replicate", "resume", "run_scenario", "sensitivity", "simulate", "sweep",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"celluler_sim.{_HOMES[name]}"), name)
    raise AttributeError(f"celluler_sim has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
