"""Which classes a checkpoint may hold: the simulator's own state, and that of rules this process has loaded already.

A checkpoint names classes. A name is looked up among modules that are here by other means; it never decides what is
imported, so that a crafted file can name nothing that could do harm.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from celluler_sim.errors import ResultsError

STATE = (
    "agents", "agentset", "behaviours", "book", "cellagent", "column", "columnar", "consensus", "economy",
    "institutions", "ledger", "logbook", "markets", "mechanisms", "population", "roster", "scenario", "streams",
    "workloads",
)  # fmt: skip
"""Modules and packages of `celluler_sim` whose objects are state: nothing here opens a file by itself."""

_PACKAGE = Path(__file__).resolve().parents[1]


class UnstorableError(ResultsError):
    """Something in the economy cannot be kept in a checkpoint; the message names the attribute."""


@cache
def own_modules() -> frozenset[str]:
    """Return the names of this package's own modules that may define state."""
    paths = [path for name in STATE for path in (_PACKAGE / f"{name}.py", *(_PACKAGE / name).rglob("*.py"))]
    parts = (path.relative_to(_PACKAGE.parent).with_suffix("").parts for path in paths if path.is_file())
    return frozenset(".".join(part for part in names if part != "__init__") for names in parts)


def allowed_module(name: str) -> bool:
    """Whether a module may define state: ours, or one that a plugin or an installed package brought in."""
    return name in own_modules() or (name in sys.modules and name.partition(".")[0] in _foreign_packages())


def _foreign_packages() -> set[str]:
    """Return the top-level packages of the rules that are registered and not this package's own."""
    from celluler_sim.mechanisms.base import families, registered

    modules = {cls.__module__ for family in families() for cls in registered(family).values()}
    return {module.partition(".")[0] for module in modules} - {"celluler_sim", "builtins", "__main__"}


def name_of(cls: type) -> str:
    """Return the name under which a class is stored, ``module:Class``; `UnstorableError` where it may not be."""
    module, name = cls.__module__, cls.__qualname__
    if not allowed_module(module):
        raise UnstorableError(f"is a {module}.{name}, which is no class of the simulator's state")
    if _find(module, name) is not cls:
        raise UnstorableError(f"is a {name}, which module {module} does not define at its top level")
    return f"{module}:{name}"


@cache
def class_named(stored: str) -> type:
    """Return the class behind a stored name; `ValueError` where it is none of those allowed."""
    module, _, name = stored.partition(":")
    if module in own_modules():
        importlib.import_module(module)  # one of our own files, from a list of them
    found = _find(module, name) if allowed_module(module) else None
    if found is None:
        raise ValueError(f"class {stored[:80]!r}, which is no class of the simulator's state")
    return found


def _find(module: str, name: str) -> type | None:
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = vars(found).get(part) if found is not None and hasattr(found, "__dict__") else None
    own = isinstance(found, type) and (found.__module__, found.__qualname__) == (module, name)
    return found if own else None


def slots_of(cls: type) -> frozenset[str]:
    """Return the names of the attributes that live in slots, weak references aside."""
    named = (vars(base).get("__slots__", ()) for base in cls.__mro__)
    flat = (name for names in named for name in ([names] if isinstance(names, str) else names))
    return frozenset(flat) - {"__dict__", "__weakref__"}


def own_state(cls: type, method: str) -> bool:
    """Whether a class, or a base that is ours, says by ``method`` what its state is."""
    return any(method in vars(base) and allowed_module(base.__module__) for base in cls.__mro__)


def computed(cls: type, attribute: str) -> bool:
    """Whether an attribute is a cached property's: it is worked out again when asked for."""
    return isinstance(inspect.getattr_static(cls, attribute, None), cached_property)


def replaces_code(cls: type, attribute: str) -> bool:
    """Whether an attribute would hide a method or a property: state never does."""
    found = inspect.getattr_static(cls, attribute, None)
    return attribute not in slots_of(cls) and (callable(found) or hasattr(type(found), "__get__"))
