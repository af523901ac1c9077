"""The page of the scenarios and of what each changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from celluler_sim.conf import choices, files
from celluler_sim.config_build import describe, open_tables, show
from celluler_sim.docs.markdown import code, table
from celluler_sim.docs.markdown import page as page_of
from celluler_sim.scenario import Scenario, compose

INTRODUCTION = (
    "A scenario is a file in `scenarios/`. What it does not mention keeps its default, see [keys](keys.md). What the "
    "runs show is in [measured](measured.md)."
)
HEADING = ("name", "description", "defaults", "variants")  # keys that are shown otherwise


def shipped() -> list[files.ScenarioFile]:
    """Return the scenarios of this package, by name."""
    package = Path(files.__file__).parents[1]
    folder = next(place for place in (package.parent / "scenarios", package / "_scenarios") if place.is_dir())
    return [files.read(path, choices.families()) for path in sorted(folder.glob("*.yaml"))]


def page() -> str:
    """Return the page."""
    return page_of("Scenarios", INTRODUCTION, *(part for scenario in shipped() for part in _scenario(scenario)))


def _scenario(scenario: files.ScenarioFile) -> list[str]:
    composed = compose(scenario.path)
    rules = ", ".join(f"{family} `{rule.name}`" for family, rule in composed.mechanisms.items())
    changes = [[code(name), ", ".join(map(code, texts))] for name, texts in composed.variants.items()]
    parts = [
        f"## {scenario.option}",
        f"{scenario.description}.",
        f"`python -m celluler_sim scenario={scenario.option}`",
        f"Rules: {rules}.",
        table(["key", "value here", "default"], _settings(scenario.node, composed)),
    ]
    return parts + (["Variants, run on the same world:", table(["name", "overrides"], changes)] if changes else [])


def _settings(node: Mapping[str, Any], composed: Scenario) -> Iterator[tuple[str, str, str]]:
    """Yield each key that a scenario sets, its value and the default it replaces."""
    rows, open_keys = describe(Scenario), set(open_tables(Scenario))
    for family, rule in composed.mechanisms.items():
        rows += describe(type(rule), family)
        open_keys |= set(open_tables(type(rule), family))
    defaults = {row.key: row.default for row in rows}
    for key, value in _flat({k: v for k, v in node.items() if k not in HEADING}, open_keys):
        yield code(key), code(value), code(defaults.get(key, ""))


def _flat(node: Mapping[str, Any], whole: set[str], path: str = "") -> Iterator[tuple[str, str]]:
    for name, value in node.items():
        key = f"{path}{name}"
        if isinstance(value, Mapping) and key not in whole:
            yield from _flat(value, whole, f"{key}.")
        else:
            yield key, f"{value:g}" if isinstance(value, float) else value if isinstance(value, str) else show(value)
