"""Mesa agents whose state lives in columns: `CellAgent`, `Population`, `ColumnarModel`.

A population keeps all agents of one class as arrays, an agent object is a named view of one row, and the whole of
Mesa's agent API works on both. See `Column` for declaring state and `RowSet` for what ``model.agents`` can do.

>>> class Baker(CellAgent):
...     price = Column(float, default=2.0, unit="PRANA", doc="price of a loaf")
>>> model = ColumnarModel(seed=1)
>>> bakers = Population(model, Baker)
>>> slots = bakers.add(3, price=[2.0, 3.0, 4.0])
>>> bakers["price"] *= 2
>>> model.agents[1].price, model.agents.agg("price", max), len(model.agents_by_type[Baker])
(6.0, 8.0, 3)
"""

from __future__ import annotations

import operator
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from typing import Any, Generic
from weakref import ref

import numpy as np
import numpy.typing as npt

from celluler_sim.agentset import RowSet
from celluler_sim.cellagent import A, CellAgent, attach, home
from celluler_sim.column import Column, Values
from celluler_sim.columnar import ColumnarModel
from celluler_sim.roster import NO_DEFAULT, Ids, attributes, repeated

__all__ = ["CellAgent", "Column", "ColumnarModel", "Population", "RowSet"]

Slots = npt.NDArray[np.int64]


class _Ref(ref[A]):
    """A weak reference that knows its row."""

    __slots__ = ("slot",)
    slot: int


class _Views(dict[int, _Ref[A]]):
    """The agent objects alive, by slot: a WeakValueDictionary at a third of its cost."""

    def put(self, slot: int, agent: A) -> None:
        """Remember an agent as long as it lives."""
        new = _Ref(agent, self._forget)
        new.slot = slot
        self[slot] = new

    def _forget(self, gone: Any) -> None:
        slot = gone.slot
        if self.get(slot) is gone:  # else another view of the row has come since
            del self[slot]


class Population(Generic[A]):
    """All agents of one class as columns.

    ``population["ask"]`` is the live column, read and write, shape (size,). Adding agents may move the columns, so
    take it again after `add` and never keep it. ``len(population)`` counts the agents in the model, `size` the
    rows, those who left included: their rows stay, no slot is used twice.

    Parameters
    ----------
    model
        The model, which has at most one population of a class.
    agent_class
        What a row is.

    Attributes
    ----------
    agents : RowSet
        The agents in the model as a live Mesa AgentSet.
    """

    _cells: dict[str, Any]  # column name -> memoryview (Python scalars, half an array's cost) or object array
    _views: _Views[A]

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Population[A]:
        """Make what views refer to first, since unpickling may bind views to a population not yet filled."""
        self = super().__new__(cls)
        self._cells, self._views = {}, _Views()
        return self

    def __init__(self, model: ColumnarModel, agent_class: type[A]) -> None:
        if not (isinstance(agent_class, type) and issubclass(agent_class, CellAgent)):
            raise TypeError(f"agent_class must be a subclass of CellAgent, got {agent_class!r}")
        self.model = home(model, agent_class)
        self.agent_class = agent_class
        self.size = 0
        self._count = 0
        self._kept: dict[int, A] = {}  # views that carry more than their row
        self._first_slots: list[int] = []  # (n_blocks,) where the ids of the rows from a slot on
        self._first_ids: list[int] = []  #   (n_blocks,) start anew
        self._arrays: dict[str, Values] = {name: np.empty(0, c.dtype) for name, c in self._columns.items()}
        self._active = np.zeros(0, np.bool_)
        self._live = self._active.data  # the same memory, read as Python bools
        self.holder = model.enrol(self)
        self.agents = RowSet(model.roster, model.random, holder=self.holder, since=1)

    # ---- columns ---------------------------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Values:
        """Return a column as a live view, (size,); KeyError names the columns there are."""
        if name not in self._arrays:
            raise KeyError(self._unknown(name))
        return self._arrays[name][: self.size]

    def __setitem__(self, name: str, values: Any) -> None:
        """Set a whole column from a scalar or an array of shape (size,)."""
        self[name][...] = self._columns[name].fit(values, f"{self.agent_class.__name__}.{name}", self.size)

    @property
    def active(self) -> npt.NDArray[np.bool_]:
        """Which rows are in the model, (size,), read-only: `add` and `remove` write it."""
        view = self._active[: self.size]
        view.setflags(write=False)
        return view

    @property
    def slots(self) -> Slots:
        """Slots of the agents in the model, ascending, (len,)."""
        return np.flatnonzero(self.active)

    @property
    def _columns(self) -> Mapping[str, Column]:
        return self.agent_class.columns

    @property
    def nbytes(self) -> int:
        """Bytes that the columns occupy, room to grow included."""
        return self._active.nbytes + sum(array.nbytes for array in self._arrays.values())

    def _unknown(self, name: str) -> str:
        return f"{self.agent_class.__name__} has no column {name!r}; it has {sorted(self._columns)}"

    # ---- entering and leaving --------------------------------------------------------------------------------------

    def add(self, n: int, /, **columns: Any) -> Slots:
        """Add ``n`` agents and return their slots, (n,). All or nothing: bad values leave the population as it was.

        Parameters
        ----------
        n
            How many.
        **columns
            Values by column, one for all or one each; columns left out take their default.

        Raises
        ------
        TypeError, ValueError
            Naming the column, and what it takes.
        """
        slots = self._enter(n, columns)
        self.model.announce("AGENT_ADDED", self, slots)
        return slots

    def append(self, agent: A, columns: Mapping[str, Any]) -> None:
        """Add one agent, whose object is made already."""
        slots = self._enter(1, {name: [value] for name, value in columns.items()})
        self.bind(agent, int(slots[0]))
        self.model.announce("AGENT_ADDED", self, slots)

    def _enter(self, n: int, columns: Mapping[str, Any]) -> Slots:
        """Write new rows; what is refused is refused before anything is written."""
        if (n := operator.index(n)) < 0:
            raise ValueError(f"n must be >= 0 agents, got {n}")
        if unknown := columns.keys() - self._columns.keys():
            raise TypeError(self._unknown(min(unknown)))
        owner = self.agent_class.__name__
        fitted = {name: self._columns[name].fit(value, f"{owner}.{name}", n) for name, value in columns.items()}
        first, end = self.size, self.size + n
        self._grow(end)
        for name, column in self._columns.items():
            if name in fitted or not column.blank:
                self._arrays[name][first:end] = fitted.get(name, column.default)
        self._active[first:end] = True
        self.size, self._count = end, self._count + n
        self._number(first, n)
        return np.arange(first, end)

    def _grow(self, n: int) -> None:
        """Make room for ``n`` rows: exactly so many at first, then by at least half, so that adding costs O(1)."""
        room = len(self._active)
        if n <= room:
            return
        room = max(n, room + room // 2)
        self._active = _enlarged(self._active, room)
        for name, array in self._arrays.items():
            self._arrays[name] = _enlarged(array, room)
        self._open_cells()

    def _open_cells(self) -> None:
        self._live = self._active.data
        cells = {name: a if a.dtype.kind == "O" else a.data for name, a in self._arrays.items()}
        self._cells.update(cells)  # in place: every view refers to this dict

    def _number(self, slot: int, n: int) -> None:
        """Give the rows from ``slot`` on their unique ids, in one block with the last if nobody came in between."""
        first = self.model.roster.take(self.holder, n, slot)
        if n and not (self._first_ids and first - slot == self._first_ids[-1] - self._first_slots[-1]):
            self._first_slots.append(slot)
            self._first_ids.append(first)

    def remove(self, slots: npt.ArrayLike) -> None:
        """Let agents leave the model and all its sets; those who have left already are passed over.

        Their rows stay readable. A ``remove()`` method of the agent class is not called: it costs an object each.

        Parameters
        ----------
        slots
            Slots, or a mask of shape (size,).
        """
        chosen = np.sort(self._slots(slots))
        chosen = chosen[np.diff(chosen, prepend=-1) > 0]  # each once; np.unique takes ten times as long
        leaving = chosen[self._active[chosen]]
        self._active[leaving] = False
        self._count -= len(leaving)
        self.model.announce("AGENT_REMOVED", self, leaving)
        if self._kept:
            for slot in leaving.tolist():
                self._kept.pop(slot, None)

    def _slots(self, slots: npt.ArrayLike) -> Slots:
        """Return slots, checked, from slots or a mask."""
        given = np.atleast_1d(np.asarray(slots))
        if given.dtype == np.bool_ and given.shape == (self.size,):
            return np.flatnonzero(given)
        if given.size and (given.dtype.kind not in "iu" or given.ndim != 1):
            raise IndexError(
                f"slots must be integers or a mask of shape ({self.size},), got {given.dtype} {given.shape}"
            )
        if given.size and not (given.min() >= 0 and given.max() < self.size):
            raise IndexError(f"slots must be in [0, {self.size}), got {given.min()} to {given.max()}")
        return given.astype(np.int64)

    # ---- agents ----------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        """Return how many agents are in the model."""
        return self._count

    def __iter__(self) -> Iterator[A]:
        """Yield the agents in the model."""
        return iter(self.agents)

    def __contains__(self, agent: object) -> bool:
        """Return whether an agent is one of this population and in the model."""
        return agent in self.agents

    def agent(self, slot: int) -> A:
        """Return the agent at a slot, in the model or not; IndexError if there is no such row."""
        found = self._views.get(slot)
        view = None if found is None else found()
        if view is None:
            if not 0 <= slot < self.size:
                raise IndexError(f"slot must be in [0, {self.size}), got {slot}")
            view = self.agent_class.__new__(self.agent_class)
            self.bind(view, operator.index(slot))
        return view

    def find(self, slot: int) -> A | None:
        """Return the agent at a slot if it is in the model."""
        return self.agent(slot) if self._live[slot] else None

    def subset(self, slots: npt.ArrayLike) -> RowSet:
        """Return the agents at these slots, or where a mask of shape (size,) is true, as a fixed Mesa AgentSet."""
        return RowSet(self.model.roster, self.model.random, self.unique_ids(self._slots(slots)))

    def bind(self, agent: A, slot: int) -> None:
        """Make an object the view of a row."""
        attach(agent, self, slot, self._cells)
        self._views.put(slot, agent)

    def keep(self, agent: A) -> None:
        """Keep an agent's object as long as it is in the model."""
        if self._live[agent.slot]:
            self._kept[agent.slot] = agent

    def is_active(self, slot: int) -> bool:
        """Return whether the agent at a slot is in the model."""
        return bool(self._live[slot])

    def unique_id(self, slot: int) -> int:
        """Return the unique id of the agent at a slot."""
        block = bisect_right(self._first_slots, slot) - 1
        return self._first_ids[block] + slot - self._first_slots[block]

    def unique_ids(self, slots: Slots) -> Ids:
        """Return the unique ids of the agents at slots."""
        if len(self._first_ids) <= 1:
            return slots + (self._first_ids[0] - self._first_slots[0] if self._first_ids else 0)
        block = np.searchsorted(self._first_slots, slots, side="right") - 1
        return np.asarray(slots + (np.array(self._first_ids) - self._first_slots)[block])

    # ---- one attribute of many -------------------------------------------------------------------------------------

    def read(self, name: str, slots: Slots, missing: Any = NO_DEFAULT) -> Values:
        """Return one attribute of the agents at slots; objects are made only if it is not a column."""
        if name in self._arrays:
            return self._arrays[name][slots]
        if name == "unique_id":
            return self.unique_ids(slots)
        cls = self.agent_class
        if missing is not NO_DEFAULT and not (self._kept or hasattr(cls, name) or hasattr(cls, "__getattr__")):
            return repeated(missing, len(slots))
        return attributes(map(self.agent, slots.tolist()), name, len(slots), missing)

    def write(self, name: str, slots: Slots, value: Any) -> None:
        """Set one attribute of the agents at slots to one value."""
        if name in self._arrays:
            self._arrays[name][slots] = self._columns[name].fit(value, f"{self.agent_class.__name__}.{name}")
        else:
            for slot in slots.tolist():
                setattr(self.agent(slot), name, value)

    # ---- pickling --------------------------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled: the columns, not what gives access to them."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_cells", "_views", "_live")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore what was pickled."""
        self.__dict__.update(state)
        self._open_cells()


def _enlarged(array: Values, room: int) -> Values:
    """Return a longer copy; what is new is zero and, being untouched, costs no memory yet."""
    longer = np.zeros(room, array.dtype)
    longer[: len(array)] = array
    return longer
