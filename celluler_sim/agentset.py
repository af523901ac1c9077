"""Mesa's AgentSet over rows: the same methods and results, with agent objects made only where one is asked for."""

from __future__ import annotations

import math
import operator
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt
from mesa.agent import AgentSet

from celluler_sim.roster import NO_DEFAULT, Ids, Roster

try:  # Mesa 3.5
    from mesa.agentset import GroupBy
except ImportError:
    from mesa.agent import GroupBy


class RowSet(AgentSet):  # type: ignore[misc]
    """An ordered set of agents, kept as an array of their unique ids.

    Everything that Mesa's `AgentSet` does in any 3.x version, in the same order and, for `shuffle` and
    `shuffle_do`, with the same draws from the model's ``random``. What needs no object (`len`, `get`, `agg`, `set`,
    `sort` by a column, `shuffle`, `select` by type or number) works on columns; `do`, `map` and functions of an
    agent make the objects one by one, about a microsecond each.

    An agent that is removed from its model leaves every set. A *live* set (``model.agents``,
    ``agents_by_type[Provider]``, ``population.agents``) also takes in those that enter later; all others are fixed.

    Parameters
    ----------
    roster, random
        Those of the model.
    ids
        Who is in it, in order.
    holder
        For a live set: index of the population that it follows, None for all agents.
    since
        For a live set: agents with this id or a later one belong to it besides ``ids``. None: the set is fixed.
    """

    def __init__(
        self,
        roster: Roster,
        random: Random,
        ids: Iterable[int] = (),
        *,
        holder: int | None = None,
        since: int | None = None,
    ) -> None:
        self.random = random
        self._roster = roster
        self._holder = holder
        self._since = since
        self._ids: Ids | dict[int, None] = _as_ids(ids)  # a dict once single agents are looked up or changed

    # ---- who is in it ----------------------------------------------------------------------------------------------

    def unique_ids(self) -> Ids:
        """Return the unique ids of the agents in order, (n,)."""
        chosen = _as_ids(self._ids)
        if len(chosen):
            chosen = chosen[self._roster.alive(chosen)]
        if self._since is None:
            return chosen
        entered = self._roster.present(self._holder, self._since)
        return np.concatenate([chosen, entered]) if len(chosen) else entered

    def _index(self) -> dict[int, None]:
        """Return the chosen ids as a dict that can be looked up and changed."""
        if not isinstance(self._ids, dict):
            self._ids = dict.fromkeys(self._ids.tolist())
        return self._ids

    def _of(self, ids: Ids) -> RowSet:
        return RowSet(self._roster, self.random, ids)

    def _become(self, ids: Ids) -> RowSet:
        """Take a new order or membership; a live set goes on taking in newcomers."""
        self._ids = ids
        if self._since is not None:
            self._since = self._roster.next_id
        return self

    def _answer(self, ids: Ids, inplace: bool) -> RowSet:
        return self._become(ids) if inplace else self._of(ids)

    def __len__(self) -> int:
        """Return the number of agents."""
        if self._since == 1:
            return self._roster.count(self._holder)
        return len(self.unique_ids())

    def __iter__(self) -> Iterator[Any]:
        """Yield the agents in order; those that leave before their turn are passed over."""
        return self._roster.each(self.unique_ids())

    def __reversed__(self) -> Iterator[Any]:
        """Yield the agents in reverse order."""
        return self._roster.each(self.unique_ids()[::-1])

    def __contains__(self, agent: object) -> bool:
        """Return whether an agent is in the set."""
        code = self._roster.code(agent)
        if code is None:
            return False
        if self._since is not None and code >= self._since:
            return self._holder is None or getattr(getattr(agent, "population", None), "holder", 0) == self._holder
        return code in self._index()

    def __getitem__(self, item: Any) -> Any:
        """Return the agent at an index, or the list of agents of a slice."""
        ids = self.unique_ids()
        if isinstance(item, slice):
            return list(self._roster.each(ids[item]))
        return next(self._roster.each(ids[[operator.index(item)]]))

    def index(self, agent: Any, start: int = 0, stop: int | None = None) -> int:
        """Return the position of an agent; ValueError if it is not in the set."""
        code = self._roster.code(agent)
        found = np.flatnonzero(self.unique_ids()[start:stop] == code)
        if code is None or not len(found):
            raise ValueError(f"agent must be in the set, got {agent!r}")
        return int(found[0]) + start

    def to_list(self) -> list[Any]:
        """Return the agents as a list."""
        return list(self)

    def copy(self) -> RowSet:
        """Return a fixed set of the same agents."""
        return self._of(self.unique_ids())

    __copy__ = copy

    def add(self, agent: Any) -> None:
        """Add an agent of this model at the end; ValueError if it is not in the model."""
        code = self._roster.code(agent)
        if code is None:
            raise ValueError(f"only agents that are in the model can be added to its sets, got {agent!r}")
        if agent not in self:
            self._edited()[code] = None

    def discard(self, agent: Any) -> None:
        """Take an agent out of the set if it is in it; it stays in the model."""
        code = self._roster.code(agent)
        if code is not None and agent in self:
            del self._edited()[code]

    def remove(self, agent: Any) -> None:
        """Take an agent out of the set; KeyError if it is not in it. It stays in the model."""
        if agent not in self:
            raise KeyError(agent)
        self.discard(agent)

    def _edited(self) -> dict[int, None]:
        """Return the members as a dict to change, newcomers so far included."""
        if self._since is not None:
            self._become(self.unique_ids())
        return self._index()

    def _from_iterable(self, agents: Iterable[Any]) -> RowSet:
        """Build the result of ``&``, ``|``, ``-`` and ``^``."""
        out = self._of(_as_ids(()))
        for agent in agents:
            out.add(agent)
        return out

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled."""
        return self.__dict__ | {"_ids": _as_ids(self._ids)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore what was pickled."""
        self.__dict__.update(state)

    # ---- choosing and ordering -------------------------------------------------------------------------------------

    def select(
        self,
        filter_func: Callable[[Any], bool] | None = None,
        at_most: float = math.inf,
        inplace: bool = False,
        agent_type: type | None = None,
    ) -> RowSet:
        """Return the agents of a type for which a function holds, at most a number or (float up to 1) a share.

        The type is looked at first, so that the function meets only agents of that type.
        """
        if filter_func is None and agent_type is None and at_most == math.inf:
            return self if inplace else self.copy()
        ids = self.unique_ids()
        if isinstance(at_most, float) and at_most <= 1.0:
            at_most = int(len(ids) * at_most)
        limit = len(ids) if at_most >= len(ids) else max(0, math.ceil(at_most))
        if agent_type is not None:
            ids = ids[self._roster.of_type(ids, agent_type)]
        if filter_func is not None:
            ids = _as_ids(self._passing(ids, filter_func, limit))
        return self._answer(ids[:limit], inplace)

    def _passing(self, ids: Ids, test: Callable[[Any], bool], limit: int) -> Iterator[int]:
        found = 0
        for code, agent in self._roster.pairs(ids):
            if found >= limit:
                return
            if test(agent):
                found += 1
                yield code

    def shuffle(self, inplace: bool = False) -> RowSet:
        """Return the agents in random order, the one that Mesa draws from the same random state."""
        order = self.unique_ids().tolist()
        self.random.shuffle(order)
        return self._answer(_as_ids(order), inplace)

    def sort(self, key: Callable[[Any], Any] | str, ascending: bool = False, inplace: bool = False) -> RowSet:
        """Return the agents ordered by an attribute or a function, ties in their old order, NaN as the largest."""
        ids = self.unique_ids()
        if isinstance(key, str) and "." not in key:
            values = self._roster.read(key, ids)
        else:
            ask = operator.attrgetter(key) if isinstance(key, str) else key
            values = np.fromiter(map(ask, self._roster.each(ids)), object, len(ids))
        return self._answer(ids[_ranking(values, ascending)], inplace)

    def groupby(self, by: Callable[[Any], Hashable] | str, result_type: str = "agentset") -> RowGroups:
        """Group the agents by an attribute or a function; groups come in the order of their first member."""
        ids = self.unique_ids()
        keys = self._roster.read(by, ids).tolist() if isinstance(by, str) else map(by, self._roster.each(ids))
        groups: dict[Any, list[int]] = defaultdict(list)
        for code, key in zip(ids.tolist(), keys, strict=True):
            groups[key].append(code)
        sets = {key: self._of(_as_ids(codes)) for key, codes in groups.items()}
        return RowGroups(sets if result_type == "agentset" else {key: list(group) for key, group in sets.items()})

    # ---- acting ----------------------------------------------------------------------------------------------------

    def do(self, method: str | Callable[..., Any], *args: Any, **kwargs: Any) -> RowSet:
        """Call a method, or a function of the agent, on each agent that is still there at its turn."""
        if isinstance(method, str):
            for agent in self:
                getattr(agent, method)(*args, **kwargs)
        else:
            for agent in self:
                method(agent, *args, **kwargs)
        return self

    def shuffle_do(self, method: str | Callable[..., Any], *args: Any, **kwargs: Any) -> RowSet:
        """Do the same in random order, drawn from ``random`` as Mesa does; the set keeps its own order."""
        self.shuffle().do(method, *args, **kwargs)
        return self

    def map(self, method: str | Callable[..., Any], *args: Any, **kwargs: Any) -> list[Any]:
        """Do the same and return the results."""
        if isinstance(method, str):
            return [getattr(agent, method)(*args, **kwargs) for agent in self]
        return [method(agent, *args, **kwargs) for agent in self]

    # ---- attributes ------------------------------------------------------------------------------------------------

    def get(self, attr_names: str | list[str], handle_missing: str = "error", default_value: Any = None) -> list[Any]:
        """Return an attribute of each agent, or a list of several of each.

        ``handle_missing="default"`` puts ``default_value`` where an agent has no such attribute.
        """
        if handle_missing not in ("error", "default"):
            raise ValueError(f"Unknown handle_missing option: {handle_missing}, should be one of 'error' or 'default'")
        missing = NO_DEFAULT if handle_missing == "error" else default_value
        ids = self.unique_ids()
        if isinstance(attr_names, str):
            values: list[Any] = self._roster.read(attr_names, ids, missing).tolist()
            return values
        columns = [self._roster.read(name, ids, missing).tolist() for name in attr_names]
        return [list(row) for row in zip(*columns, strict=True)] if columns else [[] for _ in range(len(ids))]

    def agg(self, attribute: str, func: Callable[..., Any] | Iterable[Callable[..., Any]]) -> Any:
        """Return a function of an attribute's values, or the list of several functions' results.

        A function of NumPy's is given an array, any other function the list that Mesa would give it.
        """
        values = self._roster.read(attribute, self.unique_ids())
        if callable(func):
            return _aggregate(func, values)
        return [_aggregate(f, values) for f in func]

    def set(self, attr_name: str, value: Any) -> RowSet:
        """Set an attribute of every agent to one value."""
        self._roster.write(attr_name, self.unique_ids(), value)
        return self


class RowGroups(GroupBy):  # type: ignore[misc]
    """Groups of agents as Mesa's GroupBy gives them; `agg` works on columns."""

    def agg(self, attr_name: str, func: Callable[..., Any]) -> dict[Hashable, Any]:
        """Return a function of an attribute's values for each group."""
        if not all(isinstance(group, RowSet) for group in self.groups.values()):
            return dict(super().agg(attr_name, func))
        return {key: group.agg(attr_name, func) for key, group in self.groups.items()}


def _as_ids(ids: Iterable[int]) -> Ids:
    return ids if isinstance(ids, np.ndarray) else np.fromiter(ids, np.int64)


def _ranking(values: npt.NDArray[Any], ascending: bool) -> npt.NDArray[np.intp]:
    """Return the stable order of ``values``, as Python's ``sorted`` with or without ``reverse`` has it."""
    if values.dtype.kind == "O":
        order = sorted(range(len(values)), key=values.tolist().__getitem__, reverse=not ascending)
        return np.array(order, np.intp)
    if ascending:
        return np.argsort(values, kind="stable")
    # descending, yet ties in their old order: sort the mirrored values and mirror the result
    return np.asarray(len(values) - 1 - np.argsort(values[::-1], kind="stable")[::-1])


def _aggregate(func: Callable[..., Any], values: npt.NDArray[Any]) -> Any:
    """Apply ``func`` to what Mesa would give it: Python scalars, or the array NumPy would make of those."""
    module = "numpy" if isinstance(func, np.ufunc) else str(getattr(func, "__module__", ""))
    kind = values.dtype.kind
    if module.partition(".")[0] != "numpy" or kind == "O":
        return func(values.tolist())
    wide = {"f": np.float64, "i": np.int64, "u": np.int64 if values.dtype.itemsize < 8 else np.uint64}
    return func(values.astype(wide.get(kind, values.dtype), copy=False))
