"""What a proposal may change, and the change itself: checked by what checks a scenario file, in the same words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from celluler_sim.conf import choices
from celluler_sim.conf.overrides import choice, parse
from celluler_sim.config_build import defaults
from celluler_sim.errors import ScenarioError

if TYPE_CHECKING:
    from celluler_sim.economy import Economy
    from celluler_sim.scenario import Scenario

FAMILIES = ("pricing", "allocation", "reputation", "penalty", "verification", "voting")
"""Families whose rule may be replaced while an economy runs."""

KEYS = ("market.min_quality", "market.split")
"""Further keys that may be changed."""


def changed(setup: Scenario, changes: Sequence[str]) -> Scenario:
    """Return the scenario with some changes, which are written as on the command line.

    Raises
    ------
    ScenarioError
        In the words that the scenario itself would be refused with; or a key that may not be voted on.
    """
    from celluler_sim.scenario import Scenario

    mapping = setup.to_mapping()
    for text in changes:
        _apply(mapping, text, setup)
    wanted = Scenario.from_mapping(mapping)
    touched = {text.partition("=")[0].partition(".")[0] for text in changes}
    rules = {family: wanted.mechanisms[family] for family in setup.mechanisms if family in touched}
    return replace(setup, market=wanted.market, mechanisms={**setup.mechanisms, **rules})


def _apply(mapping: dict[str, Any], text: str, setup: Scenario) -> None:
    """Put one change into a complete mapping of a scenario."""
    override = parse(text)
    key = override.key_or_group
    _require_votable(key, setup)
    if override.is_delete() or override.is_sweep_override():
        raise ScenarioError(f"{text} cannot be voted on: a proposal sets one value for each key")
    if choice(override):
        mapping[key] = replaced(key, override.value(), mapping[key])
        return
    *path, last = key.split(".")
    place = mapping
    for name in path:
        place = place.setdefault(name, {}) if isinstance(place, dict) else {}
    value = override.value()
    place[last] = getattr(value, "text", value)


def replaced(family: str, option: object, old: dict[str, Any]) -> dict[str, Any]:
    """Return a rule's mapping where it replaces another: what was set of the ``old`` one stays where both know it."""
    cls, before = choices.rule(family, option), defaults(choices.rule(family, old["name"]))
    known = choices.rule_keys(cls)
    kept = {name: value for name, value in old.items() if name in known and value != before.get(name)}
    return {"name": option, **defaults(cls), **kept}


def _require_votable(key: str, setup: Scenario) -> None:
    named = [f"{f}.{name}" for f in setup.mechanisms for name in getattr(setup.mechanisms[f], "may_change", ())]
    group = key.partition(".")[0]
    votable = [*FAMILIES, *KEYS, *named]
    if group not in FAMILIES and key not in votable:
        raise ScenarioError(f"a proposal may change {', '.join(votable)}; got {key}")


def execute(economy: Economy, changes: Sequence[str]) -> None:
    """Put changes into force in a running economy; whatever goes wrong leaves it as it was.

    Raises
    ------
    ScenarioError
        The changes do not fit the rules that are in force by now.
    """
    from celluler_sim.checkpoint.branching import adopt

    before, market = economy.setup, economy.market
    kept = market.pricing, market.allocation, market.window.seconds, market.min_quality, market.split
    try:
        after = changed(before, changes)
        adopt(economy, before, after)
        economy.setup = after
    except Exception:
        economy.setup = before
        market.pricing, market.allocation, market.window.seconds, market.min_quality, market.split = kept
        raise
