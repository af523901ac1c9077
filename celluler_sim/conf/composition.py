"""Composing: files and overrides go in, one plain mapping comes out. Hydra merges; strictness is ours.

Two rules beyond Hydra's own. A scenario's parameters of a rule that was replaced do not apply to its successor,
unless it has them too. A table of shares (``dict[str, float]``) replaces the one before it as a whole, while
``key.entry=value`` changes one entry.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Any

from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from celluler_sim.conf import choices
from celluler_sim.conf.overrides import Request, choice, prepare
from celluler_sim.config_build import defaults, open_tables, show
from celluler_sim.errors import ScenarioError
from celluler_sim.mechanisms.base import registered

_LOCK = RLock()  # Hydra keeps its state in globals


@dataclass(frozen=True)
class Composition:
    """One merged configuration."""

    mapping: dict[str, Any]  # plain values by key, every reference resolved
    folder: str  # where Hydra would put the results of a single run
    sweep_folder: str  # and those of a sweep


def compose(texts: Sequence[str], schema: type) -> Composition:
    """Merge the defaults of ``schema``, a scenario and overrides. Works within a running Hydra application too.

    Raises
    ------
    ScenarioError
        One line, whatever is wrong.
    """
    with _LOCK:
        request = prepare(texts, schema)
        if request.sweeps:
            raise ScenarioError(f"{request.sweeps[0].input_line} gives several values: add -m to run each of them")
        chosen = [o for o in request.overrides if choice(o) and o.key_or_group in choices.families()]
        for o in chosen:
            choices.rule(o.key_or_group, o.value())
        with one_line_errors(), hydra_alone():
            from hydra import compose as hydra_compose

            config = hydra_compose("config", request.texts, return_hydra_config=True)
            folder, sweep_folder = (str(OmegaConf.select(config, f"hydra.{mode}.dir")) for mode in ("run", "sweep"))
            options = {str(k): str(v) for k, v in config.hydra.runtime.choices.items() if k in choices.families()}
            mapping = _plain(config)
        _keep_inside(mapping, request)
        _drop_foreign(mapping, options, request)
        _replace_tables(mapping, options, request, schema)
        return Composition(mapping, folder, sweep_folder)


def _keep_inside(mapping: Mapping[str, Any], request: Request) -> None:
    """Refuse a results folder elsewhere that only a scenario found by its path asks for: it may be somebody else's."""
    place = str(mapping.get("results_dir"))
    leaves = Path(place).is_absolute() or ".." in Path(place).parts or place.startswith("~")
    told = any(o.key_or_group == "results_dir" for o in request.overrides)
    if leaves and not told and any(s.by_path for s in request.lineage):
        raise ScenarioError(
            f"results_dir of a scenario file must be below the current folder, got {show(place)}; "
            "give results_dir on the command line as well"
        )


def jobs(request: Request) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Return the jobs of a sweep: the overrides by which Hydra will know each, and those that compose it."""
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.override_parser.overrides_parser import OverridesParser

    with _LOCK, one_line_errors(), hydra_alone():
        parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())  # it expands globs
        [batch] = BasicSweeper.split_arguments(parser.parse_overrides(request.task_texts), None)
    about_hydra = [text for text in request.texts if text not in request.task_texts]
    by_path = {f"scenario={s.option}": f"scenario={s.path}" for s in request.scenarios.values() if s.by_path}
    return [(tuple(job), (*about_hydra, *(by_path.get(text, text) for text in job))) for job in batch]


@contextmanager
def hydra_alone() -> Iterator[None]:
    """Initialise Hydra with our configuration, whether or not it is running already, and put back what was there."""
    from hydra import initialize_config_module
    from hydra.core.global_hydra import GlobalHydra

    running = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with initialize_config_module("celluler_sim.conf", version_base="1.3"):
            yield
    finally:
        GlobalHydra.instance().hydra = running


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn whatever Hydra and OmegaConf raise into a `ScenarioError` of one line."""
    try:
        yield
    except MissingConfigException as error:
        group, _, option = (error.missing_cfg_file or "").rpartition("/")
        if group in choices.families():
            choices.rule(group, option)
        raise ScenarioError(_squeeze(error)) from error
    except (OmegaConfBaseException, HydraException) as error:
        raise ScenarioError(_squeeze(error)) from error


def _squeeze(error: BaseException) -> str:
    """Return an exception of Hydra or OmegaConf, with what caused it, as one line that starts with the key."""
    both = [e for e in (error, error.__cause__) if e is not None]
    lines = [str(e).strip().split("\n")[0].rstrip(".") for e in both if str(e).strip()]
    key = next((str(k) for e in both if (k := getattr(e, "full_key", None))), "")
    return " ".join(f"{key + ': ' if key else ''}{': '.join(lines) or type(error).__name__}".split())


def _plain(config: DictConfig) -> dict[str, Any]:
    own = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    return OmegaConf.to_container(own, resolve=True, throw_on_missing=True)  # type: ignore[return-value]


def _drop_foreign(mapping: dict[str, Any], options: Mapping[str, str], request: Request) -> None:
    """Drop parameters of replaced rules: known to another rule of the family, and not asked for with this one."""
    for family, option in options.items():
        values = mapping.get(family)
        if not isinstance(values, dict):
            continue
        own = choices.rule_keys(choices.rule(family, option))
        others = {key for cls in registered(family).values() for key in choices.rule_keys(cls)} - set(own)
        asked = _asked(family, request)
        mapping[family] = {key: v for key, v in values.items() if key not in others or key in asked}


def _asked(family: str, request: Request) -> set[str]:
    """Return the parameters of a family that were set beside the choice of its rule, not below it."""
    asked: set[str] = set()
    for o in request.overrides:
        group, _, rest = o.key_or_group.partition(".")
        if group == family and not o.is_delete():
            asked |= {rest.split(".")[0]} if rest else _keys(o.value())
    by_override = any(choice(o) and o.key_or_group == family for o in request.overrides)
    if not by_override and request.lineage:
        asked |= _keys(request.lineage[-1].node.get(family))
    return asked


def _replace_tables(mapping: dict[str, Any], options: Mapping[str, str], request: Request, schema: type) -> None:
    """Keep those entries of each table that its last whole mention has, and those set one by one after it."""
    rules = {family: choices.rule(family, option) for family, option in options.items()}
    base = defaults(schema) | {family: defaults(rule) for family, rule in rules.items()}
    paths = [*open_tables(schema), *(path for family, rule in rules.items() for path in open_tables(rule, family))]
    for path in paths:
        holder, name = _select(mapping, path.rpartition(".")[0]), path.rpartition(".")[2]
        if isinstance(holder, dict) and isinstance(holder.get(name), dict):
            kept = _keys(_select(base, path))
            for scenario in request.lineage:
                kept = _keys(_select(scenario.node, path)) or kept
            for o in request.overrides:
                kept = _after(kept, path, o)
            holder[name] = {key: v for key, v in holder[name].items() if str(key) in kept}


def _after(kept: set[str], path: str, override: Override) -> set[str]:
    """Return the entries of the table at ``path`` after one more override."""
    key, value = override.key_or_group, override.value()
    if key.startswith(f"{path}."):
        return kept | {key[len(path) + 1 :].split(".")[0]}
    if key == path and isinstance(value, dict):
        return _keys(value)
    if path.startswith(f"{key}.") and isinstance(value, dict):
        return _keys(_select(value, path[len(key) + 1 :])) or kept
    return kept


def _select(mapping: Any, path: str) -> Any:
    for name in path.split(".") if path else ():
        mapping = mapping.get(name) if isinstance(mapping, Mapping) else None
    return mapping


def _keys(value: Any) -> set[str]:
    return {str(key) for key in value} if isinstance(value, Mapping) else set()
