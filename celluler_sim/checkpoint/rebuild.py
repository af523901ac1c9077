"""Nodes back into objects, without calling what a file names: see `graph`."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from random import Random
from types import MappingProxyType
from typing import Any

import numpy as np

from celluler_sim.checkpoint import classes, memory
from celluler_sim.checkpoint.graph import FACTORIES, Node

BIT_GENERATORS = ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")
KINDS = frozenset(
    {
        "given", "array", "number", "bytes", "fraction", "random", "generator", "class", "member", "tuple", "frozenset",
        "record", "proxy", "list", "deque", "objects", "set", "dict", "ordered", "defaultdict", "object",
    }
)  # fmt: skip
_BUILDING = object()


class Decoder:
    """Rebuilds the objects of a checkpoint. Whatever is wrong with the nodes is some ordinary exception.

    1. Make every object, empty where others may refer to it.
    2. Fill instances and lists, then dicts and sets (whose keys must be whole to be hashed).
    3. Hand their state to instances that take it by a method of their own.

    Parameters
    ----------
    nodes
        As `Encoder.nodes`.
    arrays
        The array of each node that is one.
    given
        The objects that were not stored, by name.
    """

    def __init__(
        self, nodes: Sequence[Node], arrays: Mapping[int, np.ndarray[Any, Any]], given: Mapping[str, Any]
    ) -> None:
        self.nodes, self.arrays, self.given = nodes, arrays, given
        self._made: dict[int, Any] = {}
        self._later: tuple[list[Callable[[], Any]], ...] = ([], [], [])
        for number in range(len(nodes)):
            self._make(number)
        for steps in self._later:
            for step in steps:
                step()

    def value(self, held: Any) -> Any:
        """Return what a value inside a node stands for."""
        if isinstance(held, list):
            [number] = held
            return self._make(number)
        return held

    def _values(self, held: Sequence[Any]) -> list[Any]:
        return [self.value(entry) for entry in held]

    def _make(self, number: int) -> Any:
        if number in self._made:
            if self._made[number] is _BUILDING:
                raise ValueError("a tuple that holds itself")
            return self._made[number]
        kind, *rest = self.nodes[number]
        if kind not in KINDS:
            raise ValueError(f"a node of kind {str(kind)[:40]!r}")
        self._made[number] = _BUILDING
        return getattr(self, f"_make_{kind}")(number, *rest)

    def _keep(self, number: int, made: Any) -> Any:
        self._made[number] = made
        return made

    # ---- what holds no other object ------------------------------------------------------------------------------

    def _make_given(self, number: int, name: str) -> Any:
        if name not in self.given:
            raise ValueError(f"{name[:80]!r}, which the scenario does not have")
        return self._keep(number, self.given[name])

    def _make_array(self, number: int, *_: Any) -> Any:
        return self._keep(number, self.arrays[number])

    def _make_number(self, number: int, described: Any, content: str) -> Any:
        return self._keep(number, np.frombuffer(bytes.fromhex(content), memory.dtype_from(described))[0])

    def _make_bytes(self, number: int, content: str) -> Any:
        return self._keep(number, bytes.fromhex(content))

    def _make_fraction(self, number: int, numerator: int, denominator: int) -> Any:
        return self._keep(number, Fraction(numerator, denominator))

    def _make_random(self, number: int, version: int, words: list[int], gauss: float | None) -> Any:
        made = Random()  # noqa: S311 - not for secrets
        made.setstate((version, tuple(words), gauss))
        return self._keep(number, made)

    def _make_class(self, number: int, name: str) -> Any:
        import mesa

        if not issubclass(found := classes.class_named(name), mesa.Agent):
            raise TypeError(f"class {name[:80]!r}, which is no agent's")
        return self._keep(number, found)

    def _make_member(self, number: int, name: str, member: str) -> Any:
        found: Any = classes.class_named(name)
        return self._keep(number, found.__members__[member])

    # ---- what cannot be changed once it is made ------------------------------------------------------------------

    def _make_tuple(self, number: int, held: list[Any]) -> Any:
        return self._keep(number, tuple(self._values(held)))

    def _make_frozenset(self, number: int, held: list[Any]) -> Any:
        return self._keep(number, frozenset(held))

    def _make_record(self, number: int, name: str, held: list[Any]) -> Any:
        cls: Any = classes.class_named(name)
        if not (issubclass(cls, tuple) and len(cls._fields) == len(held)):
            raise ValueError(f"class {name[:80]!r} with {len(held)} fields")
        return self._keep(number, tuple.__new__(cls, self._values(held)))

    def _make_proxy(self, number: int, held: Any) -> Any:
        return self._keep(number, MappingProxyType(self.value(held)))

    # ---- what is filled later ------------------------------------------------------------------------------------

    def _make_list(self, number: int, held: list[Any]) -> Any:
        made: list[Any] = self._keep(number, [])
        self._later[0].append(lambda: made.extend(self._values(held)))
        return made

    def _make_deque(self, number: int, held: list[Any], longest: int | None) -> Any:
        made: deque[Any] = self._keep(number, deque(maxlen=longest))
        self._later[0].append(lambda: made.extend(self._values(held)))
        return made

    def _make_objects(self, number: int, shape: list[int], held: list[Any]) -> Any:
        made = self._keep(number, np.empty(len(held), object).reshape(shape))

        def fill() -> None:
            made.ravel()[:] = np.fromiter(self._values(held), object, len(held))

        self._later[0].append(fill)
        return made

    def _make_set(self, number: int, held: list[Any]) -> Any:
        made: set[Any] = self._keep(number, set())
        self._later[1].append(lambda: made.update(self._values(held)))
        return made

    def _fill(self, made: Any, pairs: list[list[Any]]) -> Any:
        self._later[1].append(lambda: made.update((self.value(key), self.value(entry)) for key, entry in pairs))
        return made

    def _make_dict(self, number: int, pairs: list[list[Any]]) -> Any:
        return self._fill(self._keep(number, {}), pairs)

    def _make_ordered(self, number: int, pairs: list[list[Any]]) -> Any:
        return self._fill(self._keep(number, OrderedDict()), pairs)

    def _make_defaultdict(self, number: int, factory: str, pairs: list[list[Any]]) -> Any:
        return self._fill(self._keep(number, defaultdict(FACTORIES[factory])), pairs)

    def _make_generator(self, number: int, name: str, held: Any) -> Any:
        if name not in BIT_GENERATORS:
            raise ValueError(f"generator {name[:40]!r}")
        bits = getattr(np.random, name)()
        state = self.value(held)
        self._later[2].append(lambda: setattr(bits, "state", state))
        return self._keep(number, np.random.Generator(bits))

    def _make_object(self, number: int, name: str, pairs: list[list[Any]]) -> Any:
        cls: Any = classes.class_named(name)
        if issubclass(cls, (tuple, dict, list, type)):
            raise TypeError(f"class {name[:80]!r} as an object")
        for key, _ in pairs:
            if not isinstance(key, str) or classes.replaces_code(cls, key):
                raise ValueError(f"attribute {str(key)[:40]!r} of {name}")
        made = self._keep(number, cls.__new__(cls))
        if classes.own_state(cls, "__setstate__"):
            state = {key: self.value(entry) for key, entry in pairs}
            self._later[2].append(lambda: made.__setstate__(state))
        else:
            self._later[0].append(lambda: put(made, {key: self.value(entry) for key, entry in pairs}))
        return made


def put(instance: Any, attributes: Mapping[str, Any]) -> None:
    """Set attributes of an instance, frozen or not, without calling its own code."""
    slots = classes.slots_of(type(instance))
    for name, value in attributes.items():
        if name in slots:
            object.__setattr__(instance, name, value)
        else:
            instance.__dict__[name] = value
