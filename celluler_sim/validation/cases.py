"""Read a file of validation cases: a JSON list of inputs, expected answers and tolerances."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from celluler_sim.errors import ScenarioError
from celluler_sim.trust import read_text

TOLERANCES = ("exact", "abs", "rel", "range", "mixed")


@dataclass(frozen=True)
class Tolerance:
    """How far an answer may be from what is expected."""

    kind: str  # one of `TOLERANCES`
    value: float = 0.0  # for abs and rel
    note: str = ""  # for range and mixed: which figures are bands or bounds

    def __str__(self) -> str:
        return f"{self.kind} {self.value:g}" if self.kind in ("abs", "rel") else self.kind


@dataclass(frozen=True)
class Case:
    """One question with its answers."""

    id: str
    area: str
    inputs: dict[str, Any]
    expected: dict[str, Any]
    tolerance: Tolerance


def read_cases(path: str | Path) -> list[Case]:
    """Return the cases of a file, in its order.

    Raises
    ------
    ScenarioError
        If the file cannot be read or a case is malformed; the message names file, case and remedy.
    """
    try:
        entries = json.loads(read_text(Path(path), pipes=True).removeprefix("\ufeff"))
    except OSError as error:
        raise ScenarioError(f"{path} must be a readable file of cases, got {error.strerror}; check the path") from None
    except (ValueError, RecursionError) as error:
        raise ScenarioError(f"{path} must be JSON, got {error}; repair it there") from None
    if not isinstance(entries, list):
        raise ScenarioError(f"{path} must hold a JSON list of cases, got {_kind(entries)}; put the cases into [ ]")
    cases: dict[str, Case] = {}
    for row, entry in enumerate(entries):
        case = _case(path, row, entry)
        if case.id in cases:
            raise ScenarioError(f"{path}: case {case.id!r} must have an id of its own, got it twice; rename one")
        cases[case.id] = case
    return list(cases.values())


def _kind(value: object) -> str:
    """Return what a JSON value is called."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def _case(path: str | Path, row: int, entry: object) -> Case:
    """Return one case, or say what is wrong with it."""
    name = f"case {entry['id']!r}" if isinstance(entry, dict) and entry.get("id") else f"case {row} (from 0)"
    if not isinstance(entry, dict):
        raise ScenarioError(f"{path}: {name} must be an object, got {_kind(entry)}; write it as {{ }}")
    for key, kind in (("id", str), ("area", str), ("inputs", dict), ("expected", dict), ("tolerance", dict)):
        if key not in entry:
            raise ScenarioError(f"{path}: {name} must have {key!r}, got none; add it")
        if not isinstance(entry[key], kind) or (not entry[key] and key != "inputs"):
            article = {str: "a string", dict: "an object"}[kind]
            got = "an empty one" if isinstance(entry[key], kind) else _kind(entry[key])
            raise ScenarioError(f"{path}: {name}: {key!r} must be {article} with content, got {got}; correct it")
    for where, value in _numbers(entry):
        if not math.isfinite(value):
            raise ScenarioError(f"{path}: {name}: {where} must be a finite number, got {value}; write a string or null")
    tolerance = _tolerance(f"{path}: {name}", entry["tolerance"])
    return Case(entry["id"], entry["area"], entry["inputs"], entry["expected"], tolerance)


def _numbers(value: object, where: str = "") -> Iterator[tuple[str, float]]:
    """Yield every float in nested JSON with its place."""
    if isinstance(value, float):
        yield where, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _numbers(inner, f"{where}.{key}" if where else str(key))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _numbers(inner, f"{where}[{i}]")


def _tolerance(name: str, entry: dict[str, Any]) -> Tolerance:
    kind, value = entry.get("type"), entry.get("value", 0.0)
    if kind not in TOLERANCES:
        raise ScenarioError(f"{name}: tolerance type must be one of {', '.join(TOLERANCES)}, got {kind!r}; choose one")
    needed = kind in ("abs", "rel")
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0 or (needed and "value" not in entry):
        got = repr(value) if "value" in entry else "none"
        raise ScenarioError(f"{name}: tolerance value must be a number >= 0, got {got}; give one, 1e-9 say")
    return Tolerance(kind, float(value), str(entry.get("note", "")))
