"""What opens a file that somebody else may have written: within size limits, within its folder, as data only.

>>> load_yaml("a: [1, 2]")
{'a': [1, 2]}
>>> load_yaml("a: !!python/name:os.getcwd")
Traceback (most recent call last):
...
celluler_sim.errors.ScenarioError: YAML must be plain, got a tag on line 1: tag:yaml.org,2002:python/name:os.getcwd
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import yaml  # type: ignore[import-untyped]

from celluler_sim.errors import ResultsError, ScenarioError

MOST_TEXT = 1 << 26
"""Bytes of a JSON or YAML file of a run: 64 MiB."""

MOST_SCENARIO = 1 << 20
"""Bytes of a scenario file: 1 MiB, some 200 times the longest shipped."""

MOST_NODES = 200_000
"""Values of a YAML file, those that aliases repeat counted as often as they appear."""

_PLAIN_TAGS = frozenset(
    f"tag:yaml.org,2002:{kind}"
    for kind in ("bool", "float", "int", "map", "merge", "null", "seq", "str", "timestamp", "value")
)


def within(folder: Path, path: Path) -> Path:
    """Return ``path``, a file or folder below ``folder``; refuse what is elsewhere, by links or by dots.

    Raises
    ------
    ResultsError
        The path leads out of the folder, or is neither a file nor a folder.
    """
    home, place = folder.resolve(), path.resolve()
    if not place.is_relative_to(home):
        raise ResultsError(f"{path} must stay within {folder}, got a link that leads to {place}; remove it")
    if place.exists() and not (place.is_file() or place.is_dir()):
        raise ResultsError(f"{path} must be a file, got a device or a pipe; remove it")
    return path


def read_text(path: Path, most: int = MOST_TEXT, *, pipes: bool = False) -> str:
    """Return the text of a file of at most ``most`` bytes; of a pipe too, where the user names it.

    Raises `OSError` where it cannot be read, `ValueError` where it is too large or no UTF-8.
    """
    if not pipes and path.exists() and not path.is_file():
        raise ValueError("no ordinary file")
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"more than {most} bytes")
    return content.decode("utf-8")


def load_yaml(text: str) -> Any:
    """Return plain YAML as plain values.

    Raises
    ------
    ScenarioError
        A tag that would make an object, aliases that repeat more than `MOST_NODES` values, or an endless one.
    yaml.YAMLError
        The text is no YAML.
    """
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return None
        _count(root)
        return loader.construct_document(root)
    finally:
        loader.dispose()


def check_yaml(text: str) -> None:
    """Refuse YAML that `load_yaml` refuses, without making anything of it."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if root is not None:
        _count(root)


def _count(root: yaml.Node) -> int:
    """Return how many values a document has when every alias is written out; refuse too many, and tags."""
    sizes: dict[int, int] = {}
    stack: list[tuple[yaml.Node, bool]] = [(root, False)]
    open_: set[int] = set()
    while stack:
        node, done = stack.pop()
        children = _children(node)
        if done:
            open_.discard(id(node))
            sizes[id(node)] = 1 + sum(sizes[id(child)] for child in children)
            if sizes[id(node)] > MOST_NODES:
                raise ScenarioError(f"YAML must have at most {MOST_NODES} values, aliases written out, got more")
        elif id(node) in open_:
            raise ScenarioError(f"YAML must end, got an alias on line {_line(node)} that holds itself")
        elif id(node) not in sizes:
            if node.tag not in _PLAIN_TAGS:
                raise ScenarioError(f"YAML must be plain, got a tag on line {_line(node)}: {node.tag}")
            open_.add(id(node))
            stack.append((node, True))
            stack += [(child, False) for child in children]
    return sizes[id(root)]


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def fresh_file(path: Path) -> BinaryIO:
    """Open a new file for writing in place of what has its name; a link there is removed, never followed."""
    with suppress(FileNotFoundError):
        path.unlink()
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    return os.fdopen(os.open(path, flags, 0o666), "w+b")


def untold(modules: Iterable[str], allowed: Iterable[str], where: Path | str) -> None:
    """Refuse modules that a file names and nobody on this machine has vouched for.

    Parameters
    ----------
    modules
        What the file's ``plugins`` lists.
    allowed
        What the command line, or the caller, names.
    where
        The file, for the message.
    """
    if unknown := [name for name in modules if name not in set(allowed)]:
        raise ScenarioError(
            f"plugins: {where} names the module {unknown[0]!r}, which is code and would be run; if you trust it, "
            f"say so with plugins=[{','.join(dict.fromkeys(unknown))}]"
        )
