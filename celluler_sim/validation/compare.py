"""Compare answers with what a case expects: nested numbers, strings, booleans, bands, bounds."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from celluler_sim.validation.cases import Tolerance


@dataclass(frozen=True)
class Difference:
    """One figure that does not agree."""

    where: str  # "max_min[2]"
    expected: str
    got: str

    def __str__(self) -> str:
        return f"{self.where}: expected {self.expected}, got {self.got}"


def differences(expected: Mapping[str, Any], answers: Mapping[str, Any], tolerance: Tolerance) -> list[Difference]:
    """Return where ``answers`` miss ``expected``; answers that nobody asked for are ignored.

    An exact rational under ``name_fraction`` is held against the answer ``name`` where it has no answer of its own.
    Text that describes a behaviour (words, in a case that is about numbers) is for people, and passed over.
    """
    found: list[Difference] = []
    for key, value in expected.items():
        source = key if key in answers else key.removesuffix("_fraction")
        if source in answers:
            found += _walk(key, value, answers[source], _for_key(key, tolerance))
        elif not _is_prose(value, tolerance):
            found.append(Difference(key, _show(value), "no answer"))
    return found


def _is_prose(value: object, tolerance: Tolerance) -> bool:
    words = isinstance(value, str) and len(value.split()) > 1
    return words and tolerance.kind != "exact" and _rational(value) is None


def _for_key(key: str, tolerance: Tolerance) -> Tolerance:
    """Return the tolerance of one key: the note may make it stricter, a bound, or give a number."""
    note, name = tolerance.note, re.escape(key)
    if bound := re.search(rf"\b{name}\b[^;,]*\b(lower|upper) bounds?\b", note):
        return replace(tolerance, kind=bound[1])
    if own := re.search(rf"\b{name}\b to ([0-9.]+(?:e-?\d+)?) (rel|abs)", note):
        return Tolerance(own[2], float(own[1]))
    if tolerance.kind in ("range", "mixed"):
        if ending := re.search(r"_(lower|upper|min|max)$", key):
            return replace(tolerance, kind={"min": "lower", "max": "upper"}.get(ending[1], ending[1]))
        stated = re.search(r"\brel ([0-9.]+(?:e-?\d+)?)", note)
        return Tolerance("band", float(stated[1]) if stated else 1e-9)
    return tolerance


def _walk(where: str, expected: object, got: object, tolerance: Tolerance) -> Iterator[Difference]:
    """Yield the differences below one place."""
    got = got.tolist() if isinstance(got, np.ndarray | np.generic) else got
    if isinstance(expected, dict):
        yield from _walk_object(where, expected, got, tolerance)
    elif isinstance(expected, list) and isinstance(got, list | tuple):
        if len(expected) != len(got):
            yield Difference(where, f"{len(expected)} entries", f"{len(got)}: {_show(got)}")
            return
        for i, (wanted, given) in enumerate(zip(expected, got, strict=True)):
            yield from _walk(f"{where}[{i}]", wanted, given, tolerance)
    elif not _agrees(expected, got, tolerance):
        yield Difference(where, _show(expected), _show(got))


def _walk_object(where: str, expected: dict[str, Any], got: object, tolerance: Tolerance) -> Iterator[Difference]:
    if not isinstance(got, Mapping):
        yield Difference(where, _show(expected), _show(got))
        return
    given = {str(key): value for key, value in got.items()}
    for key, value in expected.items():
        if key in given:
            yield from _walk(f"{where}.{key}", value, given[key], tolerance)
        else:
            yield Difference(f"{where}.{key}", _show(value), "no answer")


def _agrees(expected: object, got: object, tolerance: Tolerance) -> bool:
    """Return whether one value agrees with what is expected."""
    if expected is None or got is None or isinstance(expected, bool) or isinstance(got, bool):
        return type(expected) is type(got) and expected == got
    if isinstance(expected, list):
        return tolerance.kind == "band" and _within(expected, _rational(got))
    if isinstance(expected, str) and isinstance(got, str):
        return expected == got
    wanted, given = _rational(expected), _rational(got)
    return wanted is not None and given is not None and _near(wanted, given, tolerance)


def _within(band: list[Any], got: Fraction | float | None) -> bool:
    """Return whether a number lies in [low, high]."""
    return got is not None and len(band) == 2 and band[0] <= got <= band[1]


def _rational(value: object) -> Fraction | float | None:
    """Return a number, or a string that writes one ("4/2145", "inf"), exactly; None where it is neither."""
    if isinstance(value, str):
        try:
            return float(value) if value.strip().lstrip("+-") in ("inf", "Infinity") else Fraction(value)
        except (ValueError, ZeroDivisionError):
            return None
    if isinstance(value, bool) or not isinstance(value, int | float | Fraction):
        return None
    return Fraction(value) if math.isfinite(value) else float(value)


def _near(expected: Fraction | float, got: Fraction | float, tolerance: Tolerance) -> bool:
    """Return whether two numbers agree; differences are exact, so integers beyond 2^53 keep every digit."""
    if isinstance(expected, float) or isinstance(got, float):  # an infinity or NaN
        return expected == got
    match tolerance.kind:
        case "exact":
            return expected == got
        case "abs":
            return abs(got - expected) <= Fraction(tolerance.value)
        case "lower":
            return got >= expected
        case "upper":
            return got <= expected
    return abs(got - expected) <= Fraction(tolerance.value) * abs(expected)


def _show(value: object) -> str:
    """Return a value for people, floats to 15 digits, cut where it is long."""
    if isinstance(value, list | tuple):
        text = f"[{', '.join(_show(inner) for inner in value)}]"
    elif isinstance(value, dict):
        text = f"{{{', '.join(f'{key}: {_show(inner)}' for key, inner in value.items())}}}"
    else:
        text = f"{value:.15g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
