"""Objects as plain nodes, and back: what a checkpoint holds of an economy's objects.

Every object is one node; a value inside a node is a number, a text, true, false or null as it is, or ``[n]`` for
node n, so that what was one object stays one object. Kinds of nodes: arrays, NumPy numbers, containers, fractions,
generators of random numbers, classes of agents, members of enumerations, instances of the classes that `classes`
allows, and objects that are *given*: those that whoever reads has already, each under a name.
"""

from __future__ import annotations

import enum
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from random import Random
from types import MappingProxyType
from typing import Any

import numpy as np

from celluler_sim.checkpoint import classes, memory
from celluler_sim.checkpoint.classes import UnstorableError

Node = list[Any]
SCALARS = (type(None), bool, int, float, str)
FACTORIES: dict[str, type] = {"list": list, "dict": dict, "set": set, "int": int, "float": float}


class Encoder:
    """Turns objects into nodes.

    Parameters
    ----------
    given
        Names of the objects that are not stored.

    Examples
    --------
    >>> shared = [1.5]
    >>> encoder = Encoder({})
    >>> encoder.add({"a": shared, "b": shared}, "example")
    [0]
    >>> encoder.nodes
    [['dict', [['a', [1]], ['b', [1]]]], ['list', [1.5]]]
    """

    def __init__(self, given: Iterable[tuple[Any, str]]) -> None:
        given = list(given)
        self.nodes: list[Node] = []
        self.arrays: dict[int, np.ndarray[Any, Any]] = {}  # by the number of their node
        self._given = {id(value): name for value, name in given}
        self._numbers: dict[int, int] = {}
        self._kept: list[Any] = [value for value, _ in given]  # what is alive keeps its id
        self._queue: deque[tuple[int, Any, str]] = deque()

    def add(self, value: Any, path: str) -> Any:
        """Return the value as it stands in a node; what it refers to has become nodes.

        Raises
        ------
        UnstorableError
            Something below cannot be stored; the message names it by its path from ``path``.
        """
        held = self._value(value, path)
        while self._queue:
            number, entry, where = self._queue.popleft()
            try:
                self.nodes[number] = self._node(number, entry, where)
            except UnstorableError as error:
                raise UnstorableError(
                    f"{where} {error}; keep it out of the state, or say in __getstate__ and __setstate__ what to keep"
                ) from None
        return held

    def _value(self, value: Any, path: str) -> Any:
        if type(value) in SCALARS:
            return value
        number = self._numbers.get(id(value))
        if number is None:
            number = self._numbers[id(value)] = len(self.nodes)
            self.nodes.append([])
            self._kept.append(value)
            self._queue.append((number, value, path))
        return [number]

    def _values(self, values: Iterable[Any], path: str) -> list[Any]:
        return [self._value(value, f"{path}[{i}]") for i, value in enumerate(values)]

    def _pairs(self, mapping: Mapping[Any, Any], path: str) -> list[list[Any]]:
        return [[self._value(k, f"{path} key"), self._value(v, f"{path}[{k!r:.40}]")] for k, v in mapping.items()]

    def _node(self, number: int, value: Any, path: str) -> Node:
        if (name := self._given.get(id(value))) is not None:
            return ["given", name]
        kind = type(value)
        if kind is np.ndarray:
            return self._array(number, value, path)
        if isinstance(value, np.generic):
            return ["number", _described(value.dtype), value.tobytes().hex()]
        if kind in _CONTAINERS:
            return _CONTAINERS[kind](self, value, path)
        if isinstance(value, type):
            return ["class", _agent_class(value)]
        if isinstance(value, enum.Enum):
            return ["member", classes.name_of(kind), value.name]
        if isinstance(value, tuple) and hasattr(kind, "_fields"):
            return ["record", classes.name_of(kind), self._values(value, path)]
        return self._object(value, path)

    def _array(self, number: int, array: np.ndarray[Any, Any], path: str) -> Node:
        if array.dtype == object:
            return ["objects", list(array.shape), self._values(array.ravel().tolist(), path)]
        described = _described(array.dtype)
        repeats = any(stride == 0 and n > 1 for n, stride in zip(array.shape, array.strides, strict=True))
        self.arrays[number] = array.copy() if repeats else array
        held = self.arrays[number]
        return ["array", described, list(held.shape), list(held.strides), bool(array.flags.writeable)]

    def _object(self, value: Any, path: str) -> Node:
        cls = type(value)
        name = classes.name_of(cls)
        if isinstance(value, (dict, list, set, frozenset, tuple, str, bytes, int, float)):
            raise UnstorableError(f"is a {name}, a container of its own kind")
        if classes.own_state(cls, "__getstate__"):
            state = value.__getstate__()
        else:
            state = {slot: getattr(value, slot) for slot in sorted(classes.slots_of(cls)) if hasattr(value, slot)}
            state |= getattr(value, "__dict__", {})
        if not isinstance(state, dict):
            raise UnstorableError(f"is a {name}, whose __getstate__ returns no dict")
        kept = {key: entry for key, entry in state.items() if not classes.computed(cls, key)}
        if hidden := [key for key in kept if classes.replaces_code(cls, key)]:
            raise UnstorableError(f"has an attribute {hidden[0]} in place of a method of {name}")
        return ["object", name, [[key, self._value(entry, f"{path}.{key}")] for key, entry in kept.items()]]


def _described(dtype: np.dtype[Any]) -> Any:
    try:
        return memory.describe_dtype(dtype)
    except ValueError as error:
        raise UnstorableError(f"is an array whose {error}") from None


def _agent_class(cls: type) -> str:
    import mesa

    if not issubclass(cls, mesa.Agent):
        raise UnstorableError(f"is the class {cls.__qualname__}, and only classes of agents are stored")
    return classes.name_of(cls)


def _frozen(encoder: Encoder, value: frozenset[Any], path: str) -> Node:
    if not all(type(entry) in SCALARS for entry in value):
        raise UnstorableError("is a frozenset of objects")
    return ["frozenset", encoder._values(value, path)]  # noqa: SLF001 - the encoder's own table of containers


def _default(encoder: Encoder, value: defaultdict[Any, Any], path: str) -> Node:
    factory = next((name for name, kind in FACTORIES.items() if kind is value.default_factory), None)
    if factory is None:
        raise UnstorableError("is a defaultdict whose factory is a function")
    return ["defaultdict", factory, encoder._pairs(value, path)]  # noqa: SLF001


def _generator(encoder: Encoder, value: np.random.Generator, path: str) -> Node:
    bits = value.bit_generator
    return ["generator", type(bits).__name__, encoder._value(bits.state, path)]  # noqa: SLF001


def _random(_encoder: Encoder, value: Random, _path: str) -> Node:
    version, words, gauss = value.getstate()
    return ["random", version, list(words), gauss]


_CONTAINERS: dict[type, Callable[[Encoder, Any, str], Node]] = {
    tuple: lambda e, v, p: ["tuple", e._values(v, p)],  # noqa: SLF001
    list: lambda e, v, p: ["list", e._values(v, p)],  # noqa: SLF001
    deque: lambda e, v, p: ["deque", e._values(v, p), v.maxlen],  # noqa: SLF001
    set: lambda e, v, p: ["set", e._values(v, p)],  # noqa: SLF001
    dict: lambda e, v, p: ["dict", e._pairs(v, p)],  # noqa: SLF001
    OrderedDict: lambda e, v, p: ["ordered", e._pairs(v, p)],  # noqa: SLF001
    MappingProxyType: lambda e, v, p: ["proxy", e._value(dict(v), p)],  # noqa: SLF001
    frozenset: _frozen,
    defaultdict: _default,
    bytes: lambda _e, v, _p: ["bytes", v.hex()],
    Fraction: lambda _e, v, _p: ["fraction", v.numerator, v.denominator],
    Random: _random,
    np.random.Generator: _generator,
}
