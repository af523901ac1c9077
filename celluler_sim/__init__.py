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
    from celluler_sim.economy import Economy
    from celluler_sim.errors import CellulerError
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
    "compose": "scenario",
    "load_run": "results",
    "run_scenario": "run",
    "simulate": "run",
}
__all__ = ["CellulerError", "Economy", "Run", "Scenario", "compose", "load_run", "run_scenario", "simulate"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"celluler_sim.{_HOMES[name]}"), name)
    raise AttributeError(f"celluler_sim has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
