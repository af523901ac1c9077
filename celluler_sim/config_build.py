"""From a plain mapping to a frozen dataclass, strictly: every refusal is one line that names the key."""

from __future__ import annotations

import difflib
import inspect
import io
import math
import reprlib
import tokenize
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin

from celluler_sim.errors import ScenarioError

T = TypeVar("T")

_SEQUENCES: tuple[Any, ...] = (list, tuple, Sequence)
_MAPPINGS: tuple[Any, ...] = (dict, Mapping)
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80
_PLURALS = {"text": "texts", "a number": "numbers", "a whole number": "whole numbers", "true or false": "booleans"}


class Row(NamedTuple):
    """One key of a configuration, for generated documentation."""

    key: str
    type: str
    default: str
    doc: str


def build(cls: type[T], mapping: Mapping[str, Any], path: str = "", given: Mapping[str, Any] | None = None) -> T:
    """Build a frozen dataclass from a plain mapping.

    Parameters
    ----------
    cls
        The dataclass; fields with ``metadata={"key": False}`` are no keys of the configuration.
    mapping
        Values by field name: numbers, booleans, texts, lists, mappings.
    path
        Key under which ``mapping`` stands, for messages.
    given
        Ready values of fields that are no keys.

    Raises
    ------
    ScenarioError
        An unknown or missing key, a value of the wrong type, NaN or infinity, or whatever ``__post_init__`` refuses.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Fixed:
    ...     base_price: float = 100.0
    >>> build(Fixed, {"base_price": 5}, "pricing")
    Fixed(base_price=5.0)
    >>> build(Fixed, {"base_price": "abc"}, "pricing")
    Traceback (most recent call last):
    ...
    celluler_sim.errors.ScenarioError: pricing.base_price must be a number, got 'abc'
    """
    if not isinstance(mapping, Mapping):
        raise ScenarioError(f"{path or 'the scenario'} must be a mapping of keys to values, got {show(mapping)}")
    known = {f.name: f for f in keys(cls)}
    for name in mapping:
        if name not in known:
            raise unknown_key(name, known, path)
    hints = _hints(cls)
    values = dict(given or {})
    for name, f in known.items():
        if name in mapping:
            values[name] = convert(hints[name], mapping[name], _join(path, name), finite=_must_be_finite(f))
        elif not _has_default(f) and name not in values:
            raise ScenarioError(f"{_join(path, name)} is required: give it {expected(hints[name])}")
    return _construct(cls, values, path)


def keys(cls: type) -> list[Field[Any]]:
    """Return the fields of a dataclass that are keys of the configuration."""
    return [f for f in fields(cls) if f.init and f.metadata.get("key", True)]


def unknown_key(name: object, known: Iterable[str], path: str, owner: str = "") -> ScenarioError:
    """Return the error for a key that does not exist, with the nearest one that does, or all that ``owner`` has."""
    known, owner = list(known), owner or path or "a scenario"
    hint = did_you_mean(str(name), known, _join(path, "")) or f"; {owner} has {', '.join(known) or 'no keys'}"
    return ScenarioError(f"unknown key {_join(path, str(name))}{hint}")


def did_you_mean(word: str, options: Iterable[str], prefix: str = "") -> str:
    """Return ``; did you mean X?`` for the option nearest to ``word``, or nothing where none is near.

    >>> did_you_mean("tick", ["ticks", "seed"])
    '; did you mean ticks?'
    """
    near = difflib.get_close_matches(word, list(options), n=1)
    return f"; did you mean {prefix}{near[0]}?" if near else ""


def convert(hint: Any, value: Any, path: str, *, finite: bool = True) -> Any:
    """Return ``value`` as the type ``hint`` demands; a `ScenarioError` names ``path`` where it cannot be."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return convert(args[0], value, path, finite=finite)
    if origin in (Union, types.UnionType):
        return _convert_union(hint, value, path, finite=finite)
    if is_dataclass(hint) and isinstance(hint, type):
        return build(hint, value, path)
    if (origin or hint) in _MAPPINGS and isinstance(value, Mapping):
        return _convert_mapping(args[1] if args else Any, value, path, finite=finite)
    if (origin or hint) in _SEQUENCES and isinstance(value, (list, tuple)):
        return _convert_sequence(hint, value, path, finite=finite)
    if not _fits(hint, value):
        raise ScenarioError(f"{path} must be {expected(hint)}, got {show(value)}")
    if isinstance(value, float) and finite and not math.isfinite(value):
        raise ScenarioError(f"{path} must be a finite number, got {value}")
    return float(value) if hint is float else value


def _fits(hint: Any, value: Any) -> bool:
    """Whether a plain value is of a plain type: true is no number, and ``"5"`` is none either."""
    if hint is Any:
        return True
    if get_origin(hint) is Literal:
        return any(value == choice and type(value) is type(choice) for choice in get_args(hint))
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint in (bool, str):
        return isinstance(value, hint)
    return hint in (None, type(None)) and value is None


def _convert_union(hint: Any, value: Any, path: str, *, finite: bool) -> Any:
    arms = get_args(hint)
    for arm in arms:
        if _fits(arm, value):
            return convert(arm, value, path, finite=finite)
    containers = [arm for arm in arms if _is_container(arm)]
    if len(containers) == 1 and isinstance(value, (list, tuple, Mapping)):
        return convert(containers[0], value, path, finite=finite)
    raise ScenarioError(f"{path} must be {expected(hint)}, got {show(value)}")


def _is_container(hint: Any) -> bool:
    return is_dataclass(hint) or (get_origin(hint) or hint) in (*_SEQUENCES, *_MAPPINGS)


def _convert_mapping(hint: Any, value: Mapping[Any, Any], path: str, *, finite: bool) -> dict[str, Any]:
    named = {str(name): entry for name, entry in value.items()}  # YAML reads the name 8 as a number
    for name in named:
        if name.startswith("_") and name.endswith("_"):
            raise ScenarioError(f"unknown key {_join(path, name)}")
    return {name: convert(hint, entry, _join(path, name), finite=finite) for name, entry in named.items()}


def _convert_sequence(hint: Any, value: Sequence[Any], path: str, *, finite: bool) -> Sequence[Any]:
    kind, args = get_origin(hint) or hint, get_args(hint)
    if kind is tuple and args and args[-1] is not Ellipsis:
        if len(value) != len(args):
            raise ScenarioError(f"{path} must have {len(args)} entries, got {show(value)}")
        hints = list(args)
    else:
        hints = [args[0] if args else Any] * len(value)
    entries = [convert(h, v, f"{path}[{i}]", finite=finite) for i, (h, v) in enumerate(zip(hints, value, strict=True))]
    return entries if kind is list else tuple(entries)


def expected(hint: Any) -> str:
    """Say in words what a type accepts: ``a number``, ``one of smooth, none``, ``a list of texts``."""
    origin, args = get_origin(hint), get_args(hint)
    plain = {float: "a number", int: "a whole number", bool: "true or false", str: "text", type(None): "null"}
    if hint in plain:
        return plain[hint]
    if origin is Annotated:
        return expected(args[0])
    if origin is Literal:
        return f"one of {', '.join(map(str, args))}" if len(args) > 1 else str(args[0])
    if origin in (Union, types.UnionType):
        return " or ".join(expected(arm) for arm in args)
    if (origin or hint) in _SEQUENCES:
        return f"a list of {_plural(args[0])}" if args else "a list"
    if (origin or hint) in _MAPPINGS:
        return f"a mapping of names to {_plural(args[1])}" if args else "a mapping"
    return "a mapping of keys to values" if is_dataclass(hint) else "a value"


def _plural(hint: Any) -> str:
    text = expected(hint)
    return _PLURALS.get(text, text.replace("a list", "lists").replace("a mapping", "mappings"))


def show(value: object) -> str:
    """Return a value as it is quoted in a message: short, and null instead of None."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return _SHORT.repr(value)


def _construct(cls: type[T], values: Mapping[str, Any], path: str) -> T:
    """Call the class; what its ``__post_init__`` refuses carries the full key path."""
    try:
        return cls(**values)
    except ScenarioError as error:
        message = str(error)
    except (ValueError, TypeError, ArithmeticError) as error:
        message = f"{path or cls.__name__} was refused: {error}"
    first = message.split(" ", 1)[0].split(".", 1)[0].split("[", 1)[0]
    if path and first in {f.name for f in keys(cls)} and first != path.split(".", 1)[0]:
        message = f"{path}.{message}"
    elif path and path.split(".", 1)[0] != first:
        message = f"{path}: {message}"
    raise ScenarioError(" ".join(message.split()))


def to_mapping(instance: object) -> dict[str, Any]:
    """Return a dataclass's keys as plain values: the inverse of `build`.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Rule:
    ...     window: tuple[float, float] = (0.0, 60.0)
    >>> to_mapping(Rule())
    {'window': [0.0, 60.0]}
    """
    return {f.name: _plain(getattr(instance, f.name)) for f in keys(type(instance))}


def defaults(cls: type) -> dict[str, Any]:
    """Return the keys of a dataclass that have a default, as plain values; required keys are left out."""
    found: dict[str, Any] = {}
    hints = _hints(cls)
    for f in keys(cls):
        if f.default is not MISSING:
            found[f.name] = _plain(f.default)
        elif f.default_factory is not MISSING:
            found[f.name] = _plain(f.default_factory())
        elif is_dataclass(hints[f.name]):
            found[f.name] = defaults(hints[f.name])
    return found


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return to_mapping(value)
    if isinstance(value, Mapping):
        return {name: _plain(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return value


def open_tables(cls: type, path: str = "") -> Iterator[str]:
    """Yield the paths of the keys whose value is a table with names of the user's choice (``dict[str, ...]``)."""
    for f, hint in _typed_keys(cls):
        if isinstance(hint, type) and is_dataclass(hint):
            yield from open_tables(hint, _join(path, f.name))
        elif (get_origin(hint) or hint) in _MAPPINGS:
            yield _join(path, f.name)


def describe(cls: type, path: str = "") -> list[Row]:
    """Return one row per key, nested ones with their full path; the text is the comment or docstring at the field."""
    rows: list[Row] = []
    docs = _field_docs(cls)
    for f, hint in _typed_keys(cls):
        key = _join(path, f.name)
        if isinstance(hint, type) and is_dataclass(hint):
            rows += describe(hint, key)
        else:
            rows.append(Row(key, expected(hint), _default_text(f), f.metadata.get("doc", docs.get(f.name, ""))))
    return rows


def _typed_keys(cls: type) -> Iterator[tuple[Field[Any], Any]]:
    hints = _hints(cls)
    for f in keys(cls):
        yield f, hints[f.name]


def _default_text(f: Field[Any]) -> str:
    if not _has_default(f):
        return "required"
    factory: Callable[[], Any] = f.default_factory if f.default_factory is not MISSING else lambda: f.default
    value = _plain(factory())
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (dict, list)) or (isinstance(value, str) and value):
        return str(value)
    return show(value)


def _field_docs(cls: type) -> dict[str, str]:
    """Return the comment at the end of each field's line, by field; empty where there is no source."""
    docs: dict[str, str] = {}
    for base in reversed(cls.__mro__[:-1]):
        try:
            source = inspect.getsource(base)
        except (OSError, TypeError):
            continue
        docs |= _comments(source)
    return docs


def _comments(source: str) -> dict[str, str]:
    """Map the name that opens each logical line to the comment on that line's last physical line."""
    found: dict[str, str] = {}
    name = comment = ""
    for token in tokenize.generate_tokens(io.StringIO(inspect.cleandoc("\n" + source)).readline):
        if token.type == tokenize.NAME and not name:
            name, comment = token.string, ""
        elif token.type == tokenize.COMMENT:
            comment = token.string.lstrip("# ").rstrip()
        elif token.type == tokenize.NEWLINE:
            if name and comment and not comment.startswith("noqa"):
                found.setdefault(name, comment)
            name = comment = ""
    return found


def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls, include_extras=True)


def _has_default(f: Field[Any]) -> bool:
    return f.default is not MISSING or f.default_factory is not MISSING


def _must_be_finite(f: Field[Any]) -> bool:
    """NaN and infinity are refused unless the field's own default is one, or its metadata says ``finite: False``."""
    not_finite = isinstance(f.default, float) and not math.isfinite(f.default)
    return bool(f.metadata.get("finite", not not_finite))


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
