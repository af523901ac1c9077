"""The page of every key of the configuration: type, unit, range, default, meaning."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, NamedTuple, get_args, get_type_hints
from unittest import mock

from celluler_sim import errors
from celluler_sim.conf import choices
from celluler_sim.config_build import Row, describe
from celluler_sim.docs.markdown import code, table
from celluler_sim.docs.markdown import page as page_of
from celluler_sim.docs.mechanisms import own
from celluler_sim.scenario import Scenario

INTRODUCTION = (
    "Every key of a scenario: `KEY=VALUE` on the command line, the same nested in a scenario file. A key that does not "
    "exist, a value of another type or outside its range, NaN and infinity are refused in one line. `--cfg job` prints "
    "the configuration that a command would run."
)
MIXTURES = (
    "A mapping of shares given as a whole replaces the one before it; `KEY.NAME=SHARE` changes one entry. Shares need "
    "not add up to 1."
)
UNITS = "PRANA per unit|FLOP/s|units/s|jobs/s|tokens/s|s|h"  # with which the comment at a field may begin
ENDINGS = {
    "_s": "s", "seconds": "s", "_years": "years", "_days": "days", "_per_day": "1/day",
    "_usd_per_kwh": "USD/kWh", "usd_per_prana": "USD/PRANA",
}  # fmt: skip


class Bound(NamedTuple):
    """What a key is held to."""

    range: str
    unit: str


class Float(float):
    """A parameter's value that knows its key's name: where it bounds another parameter, the page says so."""

    label: str


class Int(int):
    """The same for whole numbers."""

    label: str


def page() -> str:
    """Return the page: the keys of all runs, then those of each rule."""
    parts = [INTRODUCTION, MIXTURES, "## All runs", _table(Scenario)]
    for family in choices.families():
        said = f"The parameters of the rule chosen with `{family}=NAME`, see [mechanisms](mechanisms.md#{family})."
        parts += [f"## {family}", said]
        for name, cls in own(family).items():
            parts += [f"### {family}: {name}", _table(cls, family) if choices.rule_keys(cls) else "No keys."]
    return page_of("Keys", *parts)


def _table(cls: type, path: str = "") -> str:
    heard = bounds(cls)
    return table(
        ["key", "type", "unit", "range", "default", "meaning"],
        (_cells(row, cls, heard.get(row.key) or _of_entries(row.key, heard)) for row in describe(cls, path)),
    )


def _of_entries(key: str, heard: Mapping[str, Bound]) -> Bound:
    """Return what each entry of a mapping is held to, or nothing."""
    each = next((bound for name, bound in heard.items() if name.startswith(f"{key}.")), None)
    return Bound(f"each {each.range}", each.unit) if each else Bound("", "")


def _cells(row: Row, cls: type, bound: Bound) -> tuple[str, ...]:
    unit = bound.unit or _unit(row, cls)
    unit = unit.replace("PRANA/unit", "PRANA per unit")
    meaning = re.sub(rf"^{re.escape(unit)}[,;] ", "", row.doc) if unit else row.doc
    default = row.default if row.default == "required" else code(row.default)
    return code(row.key), row.type, unit, bound.range, default, meaning


def _unit(row: Row, cls: type) -> str:
    """Return a key's unit: from its metadata, the beginning of its comment, or the end of its name."""
    name = row.key.rpartition(".")[2]
    metadata = {f.name: str(f.metadata.get("unit", "")) for f in fields(cls)}.get(name, "")
    comment = re.match(rf"({UNITS})\b", row.doc)
    ending = next((unit for end, unit in ENDINGS.items() if name.endswith(end)), "")
    return metadata or (comment[1] if comment else ending)


def bounds(cls: type) -> dict[str, Bound]:
    """Return the range and unit of each key that a dataclass checks: built once more, while we listen to `require`."""
    heard: dict[str, Bound] = {}

    def note(name: str, value: float, *, unit: str = "", **limits: float | None) -> None:  # noqa: ARG001 - as `require`
        heard.setdefault(name, Bound(_range({k: v for k, v in limits.items() if v is not None}), unit))

    with ExitStack() as stack:
        for name, module in list(sys.modules.items()):
            if name.startswith("celluler_sim.") and vars(module).get("require") is errors.require and module != errors:
                stack.enter_context(mock.patch.object(module, "require", note))
        for part in _parts(cls):
            for instead_of_null in (1, None):  # with 1 the checks of what is null by default are heard too
                with suppress(errors.CellulerError):
                    part(**_labelled(part, instead_of_null))
    return heard


def _parts(cls: type) -> Iterator[type]:
    """Yield the dataclasses nested in a configuration, inmost first, then itself."""
    for hint in get_type_hints(cls).values():
        if isinstance(hint, type) and is_dataclass(hint):
            yield from _parts(hint)
    yield cls


def _labelled(cls: type, instead_of_null: int | None) -> dict[str, Any]:
    """Return a dataclass's default numbers, labelled, and what it requires."""
    hints = get_type_hints(cls)
    values: dict[str, Any] = {}
    for f in fields(cls):
        default: Any = instead_of_null if f.default is None else f.default
        kinds = {hints[f.name], *get_args(hints[f.name])} & {float, int}  # those of "number or null" as well
        if kinds and type(default) in (int, float):
            values[f.name] = (Float if float in kinds else Int)(default)
            values[f.name].label = f.name
        elif default is MISSING and f.default_factory is MISSING:
            values[f.name] = "x"  # the one required key is a name
    return values


def _range(limits: Mapping[str, float]) -> str:
    if limits.keys() == {"at_least", "at_most"}:
        return f"{_limit(limits['at_least'])} to {_limit(limits['at_most'])}"
    signs = {"above": ">", "at_least": ">=", "at_most": "<=", "below": "<"}
    return ", ".join(f"{signs[name]} {_limit(value)}" for name, value in limits.items())


def _limit(value: float) -> str:
    label: str = getattr(value, "label", "")
    return label or f"{value:g}"
