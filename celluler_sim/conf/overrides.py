"""Overrides: what ``key=value`` on the command line or in a variant asks for, read and checked one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, QuotedString
from hydra.errors import HydraException

from celluler_sim.conf import choices, files
from celluler_sim.config_build import defaults, show
from celluler_sim.errors import ScenarioError
from celluler_sim.mechanisms.base import registered
from celluler_sim.trust import untold

NOT_IN_A_VARIANT = (
    "scenario", "variants", "plugins", "name", "results_dir", "progress", "seed", "replicate", "executor", "replicates",
    "until_width", "worlds", "replicate_tables", "together", "sensitivity",
)  # fmt: skip


@dataclass(frozen=True)
class Request:
    """What was asked for, checked as far as that is possible before merging."""

    given: tuple[str, ...]  # as they were written
    overrides: tuple[Override, ...]  # the same, read
    scenarios: Mapping[str, files.ScenarioFile] = field(repr=False)  # by option

    @property
    def texts(self) -> list[str]:
        """The overrides as Hydra gets them."""
        return [for_hydra(o) for o in self.overrides]

    @property
    def task_texts(self) -> list[str]:
        """Those of them that are not about Hydra itself."""
        return [for_hydra(o) for o in self.overrides if not o.is_hydra_override()]

    @property
    def sweeps(self) -> list[Override]:
        """The overrides that give several values."""
        return [o for o in self.overrides if o.is_sweep_override()]

    @property
    def lineage(self) -> list[files.ScenarioFile]:
        """The scenarios chosen, each preceded by those it starts from."""
        return [s for option in _chosen(self.overrides) for s in files.lineage(option, self.scenarios)]


def prepare(texts: Sequence[str], schema: type) -> Request:
    """Read the overrides, import what they and their scenarios name, and tell Hydra what can be chosen.

    Raises
    ------
    ScenarioError
        An override that cannot be read, an unknown or broken scenario, a plugin that cannot be imported.
    """
    scenarios = files.find(choices.families())
    request = Request(tuple(texts), tuple(parse(_by_option(text, scenarios)) for text in texts), scenarios)
    _refuse_double_choice(request.overrides)
    told = [name for o in request.overrides if o.key_or_group == "plugins" for name in choices.module_names(o.value())]
    named = [name for s in request.lineage for name in _plugins(s, told)]
    choices.import_mechanisms()
    choices.import_plugins([*named, *told])
    if not all(isinstance(name, str) and name in registered(family) for family, name in _wanted(request)):
        choices.import_entry_points()
    choices.store(defaults(schema), scenarios)
    return request


def _plugins(scenario: files.ScenarioFile, told: Sequence[str]) -> list[str]:
    """Return the modules that a scenario names; one that was found by its path must not name any but those told.

    A scenario that is found by its name is in a folder for scenarios of this machine: it may name what it likes.
    """
    modules = choices.module_names(scenario.node.get("plugins"))
    if scenario.by_path:
        untold(modules, told, scenario.path)
    return modules


def parse(text: str) -> Override:
    """Read one override; `ScenarioError` says how to write it."""
    try:
        override = OverridesParser.create().parse_override(text)
    except HydraException as error:
        remedy = "write KEY=VALUE, with quotes around a value that holds '=', brackets or quotes"
        raise ScenarioError(f"{show(text)} cannot be read: {remedy}") from error
    key, value = override.key_or_group, text.partition("=")[2]
    if override.is_hydra_override():
        return override
    if not key or "/" in key or override.package is not None:
        raise ScenarioError(f"{show(text)} cannot be read: write KEY=VALUE, with dots between the parts of a key")
    files.check_references(value, key)
    family, _, name = key.partition(".")
    if family in choices.families() and (name == "name" or (isinstance(override.value(), dict) and "name" in value)):
        raise ScenarioError(f"{text} cannot change the rule: choose it with {family}=NAME")
    return override


def choice(override: Override) -> bool:
    """Whether an override chooses an option of a group rather than setting a value."""
    group = override.key_or_group in choices.base_choices()
    return group and not override.is_delete() and not isinstance(override.value(), (dict, list))


def for_hydra(override: Override) -> str:
    """Return an override as Hydra gets it: values are always set by ``++``, since unknown keys are refused by us."""
    text, key = override.input_line or "", override.key_or_group
    if override.is_hydra_override() or override.is_delete():
        return text
    return f"{'' if choice(override) else '++'}{key}={text.partition('=')[2]}"


def with_variant(texts: Sequence[str], extra: Sequence[str]) -> list[str]:
    """Return the overrides of a variant: those of its scenario, as far as they apply to its rules, then its own."""
    own = [parse(text) for text in extra]
    for o in own:
        if o.is_hydra_override() or o.is_sweep_override() or o.key_or_group.split(".")[0] in NOT_IN_A_VARIANT:
            raise ScenarioError(f"a variant may not set {o.input_line}: it is the same world under other rules")
    chosen = {o.key_or_group: choices.rule(o.key_or_group, o.value()) for o in own if choice(o)}
    return [text for text in texts if _applies(text, chosen)] + list(extra)


def _applies(text: str, chosen: Mapping[str, type]) -> bool:
    """Whether an override still makes sense where a variant chose other rules."""
    group, _, rest = text.partition("=")[0].lstrip("+~").partition(".")
    if group not in chosen:
        return True
    return bool(rest) and rest.split(".")[0] in choices.rule_keys(chosen[group])


def _by_option(text: str, scenarios: dict[str, files.ScenarioFile]) -> str:
    """Replace the paths of scenario files by options that Hydra can choose; the files become options."""
    key, equals, value = text.partition("=")
    if key.lstrip("+") != "scenario" or not equals:
        return text
    value = value.strip("'\"")
    options = []
    for part in [value] if files.is_path(value) and "," not in value else value.split(","):
        if files.is_path(part):
            scenario = files.from_path(part, choices.families())
            scenarios[scenario.option] = scenario
            options.append(scenario.option)
        else:
            options.append(part)
    return f"scenario={','.join(options)}"


def _chosen(overrides: Sequence[Override]) -> list[str]:
    """Return the scenarios that the overrides choose, or the default one; a glob is left to Hydra."""
    given = [o.value() for o in overrides if o.key_or_group == "scenario"]
    if not given:
        return [choices.base_choices()["scenario"]]
    if isinstance(given[-1], ChoiceSweep):
        return [str(v.text if isinstance(v, QuotedString) else v) for v in given[-1].list]
    return [] if type(given[-1]).__name__ == "Glob" else [str(given[-1])]


def _wanted(request: Request) -> list[tuple[str, Any]]:
    """Return every (family, option) that the scenarios and the overrides may choose."""
    pairs: list[tuple[str, Any]] = [
        (key.removeprefix("override /"), name) for s in request.lineage for key, name in s.choices().items()
    ]
    for o in request.overrides:
        if choice(o) and o.key_or_group != "scenario":
            value = o.value()
            pairs += [(o.key_or_group, v) for v in (value.list if isinstance(value, ChoiceSweep) else [value])]
    return pairs


def _refuse_double_choice(overrides: Sequence[Override]) -> None:
    seen: dict[str, str] = {}
    for o in overrides:
        if choice(o) and seen.setdefault(o.key_or_group, o.input_line or "") != o.input_line:
            raise ScenarioError(f"{o.key_or_group} is chosen twice: {seen[o.key_or_group]} and {o.input_line}")
