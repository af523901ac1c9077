"""What can be chosen: mechanisms, plugins and scenarios, put where Hydra finds them."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from celluler_sim.conf.files import ScenarioFile
from celluler_sim.config_build import defaults, did_you_mean, keys, show
from celluler_sim.errors import ScenarioError
from celluler_sim.mechanisms.base import families as registered_families
from celluler_sim.mechanisms.base import registered

PACKAGES = ("behaviours", "consensus", "experiments", "institutions", "mechanisms", "workloads")
ENTRY_POINTS = "celluler_sim.mechanisms"


@cache
def base_choices() -> Mapping[str, str]:
    """Return the default option of each config group, in the order of conf/config.yaml; ``scenario`` is the last."""
    items = OmegaConf.to_container(OmegaConf.load(Path(__file__).with_name("config.yaml")))["defaults"]  # type: ignore[call-overload, index]
    pairs = [next(iter(item.items())) for item in items if isinstance(item, dict)]
    return {key: option for key, option in pairs if not key.startswith("override ")}


def families() -> tuple[str, ...]:
    """Return the families of mechanisms that a scenario chooses one rule of."""
    return tuple(group for group in base_choices() if group != "scenario")


@cache
def import_mechanisms(*only: str) -> None:
    """Import every module of this package that registers a mechanism; helpers and kernels stay out until a run.

    ``only`` are the families that are wanted; without any, all of them are.
    """
    wanted = re.compile(
        rf'^@register\(\s*"({"|".join(map(re.escape, only))})"'.encode() if only else rb"^@register\(", re.MULTILINE
    )
    for name in PACKAGES:
        package = importlib.import_module(f"celluler_sim.{name}")
        for path in sorted(path for folder in package.__path__ for path in Path(folder).glob("*.py")):
            if wanted.search(path.read_bytes()):
                importlib.import_module(f"celluler_sim.{name}.{path.stem}")


def import_plugins(modules: Iterable[str]) -> None:
    """Import the modules that a scenario names, from the current folder too; `ScenarioError` where one cannot be."""
    for name in modules:
        if str(Path.cwd()) not in sys.path:  # only where there is something to import: it makes the folder code
            sys.path.append(str(Path.cwd()))
        try:
            importlib.import_module(name)
        except Exception as error:
            raise ScenarioError(f"plugins: module {show(name)} cannot be imported: {_reason(error)}") from error


def module_names(plugins: object) -> list[str]:
    """Return the modules that the key ``plugins`` lists; whatever is no text is left to the type check."""
    return [name for name in plugins if isinstance(name, str)] if isinstance(plugins, (list, tuple)) else []


@cache
def import_entry_points() -> Mapping[str, str]:
    """Import what other packages offer in the entry-point group; return why one cannot be, by its name."""
    broken: dict[str, str] = {}
    for entry in entry_points(group=ENTRY_POINTS):
        try:
            entry.load()
        except Exception as error:  # noqa: BLE001 - one broken package must not hide the others
            broken[entry.name] = f"{entry.value}: {_reason(error)}"
    return broken


def _reason(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def rule(family: str, option: object) -> type:
    """Return the class chosen by ``family=option``; other packages are only asked where this one has no such rule."""
    import_mechanisms()
    broken = import_entry_points() if option not in registered(family) else {}
    known = registered(family)
    if not isinstance(option, str) or option not in known:
        hint = did_you_mean(str(option), known) + "".join(f"; entry point {e} is broken: {broken[e]}" for e in broken)
        raise ScenarioError(f"{family} must be one of {', '.join(known)}; got {show(option)}{hint}")
    return known[option]  # type: ignore[no-any-return]


def rule_keys(cls: type) -> list[str]:
    """Return the names of a mechanism's parameters."""
    return [f.name for f in keys(cls)]


def all_families() -> list[str]:
    """Return every family with a registered mechanism, those that a scenario chooses from first."""
    import_mechanisms()
    import_entry_points()
    return [*families(), *(f for f in registered_families() if f not in families())]


def store(base: Mapping[str, Any], scenarios: Mapping[str, ScenarioFile]) -> None:
    """Give Hydra the scenario defaults, every registered mechanism as an option of its family, and the scenarios."""
    from hydra.core.config_store import ConfigStore

    config_store = ConfigStore.instance()
    config_store.store("scenario_defaults", node=dict(base))
    for family in families():
        for name, cls in registered(family).items():
            _store_rule(family, name, cls)
    config_store.repo.pop("scenario", None)
    for scenario in scenarios.values():
        if not scenario.error:
            config_store.store(scenario.option, group="scenario", package="_global_", node=dict(scenario.node))


@cache
def _store_rule(family: str, name: str, cls: type) -> None:
    """Store one mechanism's defaults, once: composing many jobs in one process would repeat it for nothing."""
    from hydra.core.config_store import ConfigStore

    ConfigStore.instance().store(name, group=family, node={"name": name, **defaults(cls)})
