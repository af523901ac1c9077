"""Scenario files: where they are looked for, and what one may contain. A broken file breaks nothing but itself."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from celluler_sim.config_build import did_you_mean, show
from celluler_sim.errors import ScenarioError
from celluler_sim.trust import MOST_SCENARIO, check_yaml, read_text

SUFFIXES = (".yaml", ".yml")
NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
MOST_REFERENCES = 20  # in one file
LONGEST_REFERRING = 1000  # letters of a text that refers to keys: twenty that double each other stay a million
_REFERENCE = re.compile(r"\$\{[\w.]+\}")
_PACKAGE = Path(__file__).resolve().parents[1]


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads a scenario as Hydra reads its own files: 1e5 is a number, a date is a text, a key may stand once."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own name and type
        first: [rule for rule in rules if rule[0] not in {"tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:float"}]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """Return a mapping; `ConstructorError` where a key stands twice."""
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                problem = f"found duplicate key {key.value}"
                raise yaml.constructor.ConstructorError(
                    "while constructing a mapping", node.start_mark, problem, key.start_mark
                )
            if isinstance(key.value, str):
                seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"""[-+]?(?:\d[\d_]*\.[\d_]*(?:[eE][-+]?\d+)?|\d[\d_]*[eE][-+]?\d+|\.\d[\d_]*(?:[eE][-+]?\d+)?|\.(?:inf|Inf|INF))$
        |\.(?:nan|NaN|NAN)$""",
        re.VERBOSE,
    ),
    list("-+0123456789."),
)


@dataclass(frozen=True)
class ScenarioFile:
    """One scenario as found on disk."""

    option: str  # how it is chosen: scenario=option
    path: Path
    node: Mapping[str, Any] = field(default_factory=dict)  # its content, ready for Hydra
    error: str = ""  # why it cannot be used, one line; empty where it can

    @property
    def by_path(self) -> bool:
        """Whether it was named by its path instead of being found by name."""
        return self.option != self.path.stem

    @property
    def description(self) -> str:
        """The scenario's own line about itself, or why it cannot be used."""
        return f"BROKEN: {self.error}" if self.error else " ".join(str(self.node.get("description", "")).split())

    def parents(self) -> list[str]:
        """Names of the scenarios that this one starts from."""
        return [item for item in self.node.get("defaults", []) if isinstance(item, str) and item != "_self_"]

    def choices(self) -> dict[str, str]:
        """Return the rules it chooses: ``override /family`` -> name."""
        items = [item for item in self.node.get("defaults", []) if isinstance(item, dict)]
        return {key: name for item in items for key, name in item.items()}


def directories() -> list[Path]:
    """Return where scenarios are looked for; the first folder that has a name wins.

    ``CELLULER_SCENARIOS`` (folders separated as in PATH), ``./scenarios``, the checkout's, the installed package's.
    """
    named = [Path(part) for part in os.environ.get("CELLULER_SCENARIOS", "").split(os.pathsep) if part]
    checkout = _PACKAGE.parent
    own = [checkout / "scenarios"] if (checkout / "pyproject.toml").is_file() else []
    return [path for path in [*named, Path("scenarios"), *own, _PACKAGE / "_scenarios"] if path.is_dir()]


def find(families: tuple[str, ...]) -> dict[str, ScenarioFile]:
    """Return every scenario by name, broken ones too. ``families`` are the mechanism families it can choose from."""
    found: dict[str, ScenarioFile] = {}
    for folder in directories():
        for path in sorted(folder.iterdir()):
            if path.suffix in SUFFIXES and not path.name.startswith(".") and path.is_file():
                found.setdefault(path.stem, read(path, families))
    return dict(sorted(found.items()))


def is_path(text: str) -> bool:
    """Whether a choice of scenario is the path of a file rather than a name."""
    return text.endswith(SUFFIXES) or "/" in text or os.sep in text


def from_path(text: str, families: tuple[str, ...]) -> ScenarioFile:
    """Return the scenario in a file that was named by its path; its option is unlike any found by name."""
    path = Path(text).expanduser()
    if not path.is_file():
        raise ScenarioError(f"scenario={text}: there is no such file")
    scenario = read(path, families, free_name=True)
    mark = sha256(str(path.resolve()).encode()).hexdigest()[:8]
    name = re.sub(r"[^\w.-]", "_", path.stem)
    return ScenarioFile(f"{name}-{mark}", path, scenario.node, scenario.error)


def choose(option: str, found: Mapping[str, ScenarioFile]) -> ScenarioFile:
    """Return one scenario; `ScenarioError` names the nearest where it is unknown, and the file where it is broken."""
    if option not in found:
        hint = did_you_mean(option, found) or f"; there are {', '.join(found) or 'none'}"
        raise ScenarioError(f"scenario must be one of those that `celluler-sim list` shows, got {show(option)}{hint}")
    if found[option].error:
        raise ScenarioError(f"scenario {option} cannot be used: {found[option].error}")
    return found[option]


def lineage(option: str, found: Mapping[str, ScenarioFile]) -> list[ScenarioFile]:
    """Return a scenario preceded by those it starts from, the most general first."""
    chain: list[ScenarioFile] = []

    def visit(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            raise ScenarioError(f"scenario {name} starts from itself: {' -> '.join((*above, name))}")
        scenario = choose(name, found)
        for parent in scenario.parents():
            visit(parent, (*above, name))
        chain.append(scenario)

    visit(option, ())
    return chain


def read(path: Path, families: tuple[str, ...], *, free_name: bool = False) -> ScenarioFile:
    """Return a file as a scenario; what is wrong with it is kept in ``error``."""
    try:
        status = path.stat()
        node = _load(path.absolute(), families, free_name, status.st_mtime_ns, status.st_size)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with a file, it must not hide the others
        return ScenarioFile(path.stem, path, error=f"{path}{_where(error)}: {_what(error)}")
    return ScenarioFile(path.stem, path, node)


@lru_cache(maxsize=256)
def _load(path: Path, families: tuple[str, ...], free_name: bool, _time: int, _size: int) -> Mapping[str, Any]:
    text = read_text(path, MOST_SCENARIO)
    if "!" in text or "&" in text:  # else it has neither tags nor aliases
        check_yaml(text)
    try:
        content: Any = yaml.load(text, _Loader)  # noqa: S506 - a safe loader, of plain values
    except yaml.YAMLError:
        yaml.safe_load(text)  # the slower reader says better what is wrong
        raise
    if not isinstance(content, dict):
        raise ScenarioError("a scenario is a mapping of keys to values")
    if "hydra" in content:
        raise ScenarioError("unknown key hydra; a scenario cannot configure Hydra, give hydra.* on the command line")
    check_references(content)
    if sum(len(_REFERENCE.findall(entry)) for entry in _texts(content)) > MOST_REFERENCES:
        raise ScenarioError(f"a scenario may refer to keys at most {MOST_REFERENCES} times, got more")
    _name(content, path, free_name=free_name)
    content["defaults"] = _choices(content, families)
    return dict(content)


def check_references(value: object, path: str = "") -> None:
    """Refuse whatever is more than a reference to another key: ``${seed}`` is one, ``${oc.env:HOME}`` is not."""
    if isinstance(value, Mapping):
        for name, entry in value.items():
            check_references(entry, f"{path}.{name}" if path else str(name))
    elif isinstance(value, (list, tuple)):
        for i, entry in enumerate(value):
            check_references(entry, f"{path}[{i}]")
    elif isinstance(value, str) and "${" in value:
        if "${" in _REFERENCE.sub("", value):
            raise ScenarioError(f"{path} may only refer to keys, as in ${{seed}}, got {show(value)}")
        if len(value) > LONGEST_REFERRING:
            raise ScenarioError(f"{path} must be at most {LONGEST_REFERRING} letters where it refers to keys")


def _texts(value: object) -> Iterator[str]:
    """Yield every text in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for entry in value.values():
            yield from _texts(entry)
    elif isinstance(value, (list, tuple)):
        for entry in value:
            yield from _texts(entry)


def _name(content: dict[Any, Any], path: Path, *, free_name: bool) -> None:
    name = content.setdefault("name", path.stem)
    if not free_name and name != path.stem:
        raise ScenarioError(f"name must be that of the file, {path.stem}, or be left out, got {show(name)}")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ScenarioError(f"name must be made of letters, digits, '_', '-' and '.', got {show(name)}")


def _choices(content: dict[Any, Any], families: tuple[str, ...]) -> list[Any]:
    """Return the defaults list; ``pricing: linear`` and ``pricing: {name: linear}`` become an override of the group."""
    items = content.get("defaults", [])
    if not isinstance(items, list):
        raise ScenarioError(f"defaults must be a list such as [override /pricing: linear], got {show(items)}")
    chosen = {family: _pop_choice(content, family) for family in families}
    overrides: dict[str, Any] = {f"override /{family}": name for family, name in chosen.items() if name}
    for item in items:
        if isinstance(item, str) and (NAME.fullmatch(item) or item == "_self_"):
            continue
        key, name = next(iter(item.items())) if isinstance(item, dict) and len(item) == 1 else ("", None)
        if key not in {f"override /{family}" for family in families} or not isinstance(name, str):
            known = ", ".join(f"override /{family}: NAME" for family in families)
            raise ScenarioError(f"defaults may hold names of scenarios and {known}; got {show(item)}")
        if overrides.setdefault(key, name) != name:
            raise ScenarioError(f"{key[10:]} is chosen twice, as {overrides[key]} and as {name}")
    return [item for item in items if isinstance(item, str)] + [{key: value} for key, value in overrides.items()]


def _pop_choice(content: dict[Any, Any], family: str) -> str:
    """Remove and return the name of a rule from the family's own mapping."""
    rule = content.get(family)
    if isinstance(rule, dict):
        return str(rule.pop("name", ""))
    if isinstance(rule, str):
        del content[family]
        return rule
    return ""


def _where(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return f", line {mark.line + 1}" if mark is not None else ""


def _what(error: Exception) -> str:
    text = getattr(error, "problem", None) or (error.strerror if isinstance(error, OSError) else None) or str(error)
    return " ".join(str(text).split()) or type(error).__name__
