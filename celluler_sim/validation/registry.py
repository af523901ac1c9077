"""Where an area of validation cases finds the function that answers it."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

Answers = Mapping[str, Any]

_CHECKS: dict[str, Callable[[Question], Answers]] = {}


class Unsupported(Exception):  # noqa: N818 - not an error: the question is of a kind that nothing answers yet
    """Raised by a check that meets inputs it has no mechanism for."""


@dataclass(frozen=True)
class Question:
    """What a case asks: its inputs and the names of the figures wanted, never their values."""

    inputs: Mapping[str, Any]
    wanted: frozenset[str]

    def __getitem__(self, name: str) -> Any:
        """Return an input, or say that the question lacks it."""
        if name not in self.inputs:
            raise Unsupported(f"needs input {name!r}, has {', '.join(sorted(self.inputs)) or 'none'}")
        return self.inputs[name]

    def get(self, name: str, default: Any = None) -> Any:
        """Return an optional input."""
        return self.inputs.get(name, default)

    def has(self, *names: str) -> bool:
        """Return whether all these inputs are given."""
        return all(name in self.inputs for name in names)

    def wants(self, *names: str) -> bool:
        """Return whether any of these figures is asked for."""
        return any(name in self.wanted for name in names)


Check = Callable[[Question], Answers]


def checks(*areas: str) -> Callable[[Check], Check]:
    """Make a function answer the cases of these areas; it may return more figures than are wanted."""

    def enter(function: Check) -> Check:
        for area in areas:
            _CHECKS[area] = function
        return function

    return enter


@cache
def _import_areas() -> None:
    package = importlib.import_module("celluler_sim.validation.areas")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")


def check_for(area: str) -> Check | None:
    """Return the function that answers an area, or None; the first call imports every module of `validation.areas`."""
    _import_areas()
    return _CHECKS.get(area)
