"""An agent as a named view of one row of its population."""

from __future__ import annotations

from collections.abc import Mapping
from copyreg import __newobj__  # type: ignore[attr-defined]
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import mesa
import numpy as np

from celluler_sim.agentset import RowSet
from celluler_sim.column import Column, deal
from celluler_sim.roster import Roster

if TYPE_CHECKING:
    from celluler_sim.population import ColumnarModel, Population

_set = object.__setattr__


class CellAgent(mesa.Agent):  # type: ignore[misc]
    """A Mesa agent that is a view of one row of its population. Subclass it and declare a `Column` per attribute.

    ``Baker(model, price=3.0)`` adds a row, as does ``Baker.create_agents(model, n, price=...)``; ``population.add``
    does so without making objects, and without calling an ``__init__`` of the subclass. Objects made later for
    existing rows are views: no ``__init__`` runs, and two views of a row are the same object while either lives.

    Attributes that are not columns may be set as on any Mesa agent. Such an agent is then kept as an object until it
    is removed, as is one that is put into a set or dict, so that neither is lost; both cost what plain Mesa costs.

    Attributes
    ----------
    columns
        The columns of the class by name.
    population, slot
        Where its row is. A row keeps its slot for life, and the slot is never given to another agent.
    """

    __slots__ = ("_cells", "population", "slot")

    columns: ClassVar[Mapping[str, Column]] = MappingProxyType({})
    _names: ClassVar[frozenset[str]] = frozenset()
    population: Population[Any]
    slot: int
    pos: Any = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Collect the columns of the class and its bases."""
        super().__init_subclass__(**kwargs)
        columns: dict[str, Column] = {}
        for base in reversed(cls.__mro__):
            for name, value in vars(base).items():
                if isinstance(value, Column):
                    columns[name] = value
                else:
                    columns.pop(name, None)
        if taken := sorted(columns.keys() & (set(dir(CellAgent)) - {"pos"})):
            raise TypeError(f"{cls.__name__}.{taken[0]} must have another name: every Mesa agent has that attribute")
        cls.columns = MappingProxyType(columns)
        cls._names = frozenset(columns)

    def __init__(self, model: ColumnarModel, **columns: Any) -> None:
        home(model, type(self)).population(type(self)).append(self, columns)
        if self.__dict__:  # a subclass has set attributes before it called this
            self._keep()

    @classmethod
    def create_agents(cls, model: ColumnarModel, n: int, *args: Any, **kwargs: Any) -> RowSet:
        """Create ``n`` agents and return them; sequences of length ``n`` are dealt out, anything else is repeated.

        One bulk addition, unless the class has its own ``__init__``, which is then called for each.
        """
        population = home(model, cls).population(cls)
        if not args and cls.__init__ is CellAgent.__init__:
            return population.subset(population.add(n, **kwargs))
        each = [np.broadcast_to(deal(value, n), n) for value in args]
        named = {name: np.broadcast_to(deal(value, n), n) for name, value in kwargs.items()}
        made = (cls(model, *(a[i] for a in each), **{k: v[i] for k, v in named.items()}) for i in range(n))
        return population.subset(np.fromiter((agent.slot for agent in made), np.int64, n))

    @property
    def model(self) -> ColumnarModel:
        """The model the agent lives in."""
        return self.population.model

    @property
    def unique_id(self) -> int:
        """Its number among all agents of the model, from 1 in order of entry."""
        return self.population.unique_id(self.slot)

    @property
    def active(self) -> bool:
        """Whether the agent is in the model; it ends with ``remove()``."""
        return self.population.is_active(self.slot)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set a column's cell, or an attribute of this object, which is then kept."""
        _set(self, name, value)
        if name not in self._names and self.__dict__:
            self._keep()

    def __hash__(self) -> int:
        """Return the identity's hash; who asks may hold the agent weakly (as Mesa's AgentSet does), so keep it."""
        self._keep()
        return object.__hash__(self)

    def _keep(self) -> None:
        population = getattr(self, "population", None)  # not yet in a subclass's __init__ before super().__init__
        if population is not None:
            population.keep(self)

    def __reduce__(self) -> Any:
        """Pickle as a row of its population."""
        return __newobj__, (type(self),), (self.population, self.slot, dict(self.__dict__))

    def __setstate__(self, state: tuple[Population[Any], int, dict[str, Any]]) -> None:
        """Become the view of the row again."""
        self.__dict__.update(state[2])
        state[0].bind(self, state[1])  # what was kept is kept: the population's own state says so


_set_population = CellAgent.__dict__["population"].__set__
_set_slot = CellAgent.__dict__["slot"].__set__
_set_cells = CellAgent.__dict__["_cells"].__set__


def attach(agent: CellAgent, population: Population[Any], slot: int, cells: dict[str, Any]) -> None:
    """Make an object refer to a row; past `__setattr__`, since every view made pays for this."""
    _set_population(agent, population)
    _set_slot(agent, slot)
    _set_cells(agent, cells)


A = TypeVar("A", bound=CellAgent)


def home(model: Any, agent_class: type) -> ColumnarModel:
    """Return the model if it can hold rows, else raise TypeError."""
    if not isinstance(getattr(model, "roster", None), Roster):
        wanted = f"the model of a {agent_class.__name__} must be a celluler_sim.population.ColumnarModel"
        raise TypeError(f"{wanted}, got {type(model).__name__}")
    checked: ColumnarModel = model
    return checked
