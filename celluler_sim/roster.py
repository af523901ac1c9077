"""The roster of a model: which agent, row or object, has which unique id."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import mesa

    from celluler_sim.population import Population

Ids = npt.NDArray[np.int64]
Where = slice | npt.NDArray[np.intp]

NO_DEFAULT = object()  # marks that a missing attribute is an error


class Roster:
    """Unique ids of all agents of one model, handed out in blocks and in order, starting at 1 as in Mesa.

    An id says where its agent is: a block belongs to one population, whose slots follow each other, or to the
    ordinary Mesa agents. So a set of agents is an array of ids, whatever it mixes, and rows store no id. What
    comes in turns, a row here and a row there, takes one block each time; what comes together takes one.
    """

    def __init__(self) -> None:
        self.next_id = 1
        self.owners: list[Population[Any] | None] = [None]  # owner 0 stands for the ordinary agents
        self._ordinary: dict[int, mesa.Agent] = {}  # those in the model, in order of their ids
        self._id_of: dict[mesa.Agent, int] = {}
        self._starts: list[int] = []  #  (n_blocks,) first id
        self._holders: list[int] = []  # (n_blocks,) index into owners
        self._shifts: list[int] = []  #  (n_blocks,) slot less id; 0 for ordinary agents
        self._table: tuple[Ids, Ids, Ids] | None = None  # the three as arrays, until a block is added

    # ---- entering and leaving --------------------------------------------------------------------------------------

    def take(self, holder: int, n: int, slot: int) -> int:
        """Hand out ``n`` ids to the rows from ``slot`` on and return the first."""
        first = self.next_id
        self.next_id += n
        if n and not (self._holders and self._holders[-1] == holder):
            self._starts.append(first)
            self._holders.append(holder)
            self._shifts.append(slot - first)
            self._table = None
        return first

    def admit(self, agent: mesa.Agent) -> int:
        """Enter an ordinary agent and return its id."""
        code = self.take(0, 1, self.next_id)
        self._ordinary[code] = agent
        self._id_of[agent] = code
        return code

    def release(self, agent: mesa.Agent) -> None:
        """Take an ordinary agent out; KeyError if it is not in."""
        del self._ordinary[self._id_of.pop(agent)]

    # ---- from ids to agents ----------------------------------------------------------------------------------------

    def locate(self, ids: Ids) -> tuple[Ids, Ids]:
        """Return each id's owner, an index into `owners`, and its slot there (the id again for ordinary agents)."""
        if self._table is None:
            self._table = (np.array(self._starts), np.array(self._holders), np.array(self._shifts))
        starts, holders, shifts = self._table
        block = np.searchsorted(starts, ids, side="right") - 1
        return holders[block], ids + shifts[block]

    def parts(self, ids: Ids) -> Iterator[tuple[int, Where, Ids]]:
        """Yield owner, positions among ``ids`` and slots, once per owner."""
        if not len(ids):
            return
        if len(self._starts) == 1:  # one block: nothing to look up
            yield self._holders[0], slice(None), ids + self._shifts[0]
            return
        owner, slot = self.locate(ids)
        present = np.flatnonzero(np.bincount(owner))
        for holder in present.tolist():
            if len(present) == 1:
                yield holder, slice(None), slot
            else:
                where = np.flatnonzero(owner == holder)
                yield holder, where, slot[where]

    def present(self, holder: int | None, since: int) -> Ids:
        """Return the ids from ``since`` on of the agents in the model, of one owner or of all, in ascending order."""
        if holder is not None:
            return self._of(holder, since)
        ids = np.concatenate([self._of(h, since) for h in range(len(self.owners))])
        return np.sort(ids, kind="stable")  # a few runs, each in order: stable sort merges them

    def _of(self, holder: int, since: int) -> Ids:
        population = self.owners[holder]
        if population is None:
            ids = np.fromiter(self._ordinary, np.int64, len(self._ordinary))
        else:
            ids = population.unique_ids(np.flatnonzero(population.active))
        return ids if since <= 1 else ids[ids >= since]

    def count(self, holder: int | None) -> int:
        """Return how many agents are in the model, of one owner or of all."""
        if holder is None:
            return sum(self.count(h) for h in range(len(self.owners)))
        population = self.owners[holder]
        return len(self._ordinary) if population is None else len(population)

    def alive(self, ids: Ids) -> npt.NDArray[np.bool_]:
        """Return which of ``ids`` are still in the model."""
        alive = np.empty(len(ids), np.bool_)
        for holder, where, slots in self.parts(ids):
            population = self.owners[holder]
            alive[where] = (
                [code in self._ordinary for code in slots.tolist()] if population is None else population.active[slots]
            )
        return alive

    def of_type(self, ids: Ids, agent_type: type | tuple[type, ...]) -> npt.NDArray[np.bool_]:
        """Return which of ``ids`` are agents of a type or its subclasses."""
        fits = np.empty(len(ids), np.bool_)
        for holder, where, slots in self.parts(ids):
            population = self.owners[holder]
            if population is None:
                fits[where] = [isinstance(self._ordinary[code], agent_type) for code in slots.tolist()]
            else:
                fits[where] = issubclass(population.agent_class, agent_type)
        return fits

    def each(self, ids: Ids) -> Iterator[mesa.Agent]:
        """Yield the agents of ``ids`` in their order, passing over those that have left when their turn comes."""
        return (agent for _, agent in self.pairs(ids))

    def pairs(self, ids: Ids) -> Iterator[tuple[int, mesa.Agent]]:
        """Yield the same with their ids."""
        if not len(ids):
            return
        owner, slot = self.locate(ids)
        find = [self._ordinary.get, *(population.find for population in self.owners if population is not None)]
        for code, holder, place in zip(ids.tolist(), owner.tolist(), slot.tolist(), strict=True):
            agent = find[holder](place)
            if agent is not None:
                yield code, agent

    def code(self, agent: Any) -> int | None:
        """Return an agent's id, or None if it is not in the model."""
        population: Any = getattr(agent, "population", None)
        holder = getattr(population, "holder", 0)
        if holder and any(owner is population for owner in self.owners[holder : holder + 1]):
            return int(agent.unique_id) if population.is_active(agent.slot) else None
        return self._id_of.get(agent)

    # ---- one attribute of many -------------------------------------------------------------------------------------

    def read(self, name: str, ids: Ids, missing: Any = NO_DEFAULT) -> npt.NDArray[Any]:
        """Return one attribute of each agent: from its column if it has one, else from the agents themselves.

        The result has the column's dtype where all agents share it, else dtype object.
        """
        found = [(where, self._read(holder, name, slots, missing)) for holder, where, slots in self.parts(ids)]
        if len(found) == 1:
            return found[0][1]
        dtypes = {values.dtype for _, values in found}
        out = np.empty(len(ids), dtypes.pop() if len(dtypes) == 1 else object)
        for where, values in found:
            out[where] = values
        return out

    def _read(self, holder: int, name: str, slots: Ids, missing: Any) -> npt.NDArray[Any]:
        population = self.owners[holder]
        if population is not None:
            return population.read(name, slots, missing)
        return attributes((self._ordinary[code] for code in slots.tolist()), name, len(slots), missing)

    def write(self, name: str, ids: Ids, value: Any) -> None:
        """Set one attribute of each agent to one value."""
        for holder, _, slots in self.parts(ids):
            population = self.owners[holder]
            if population is not None:
                population.write(name, slots, value)
            else:
                for code in slots.tolist():
                    setattr(self._ordinary[code], name, value)


def attributes(agents: Iterator[Any], name: str, n: int, missing: Any) -> npt.NDArray[Any]:
    """Return one attribute of ``n`` agents by asking each of them, (n,), dtype object."""
    if missing is NO_DEFAULT:
        return np.fromiter((getattr(agent, name) for agent in agents), object, n)
    return np.fromiter((getattr(agent, name, missing) for agent in agents), object, n)


def repeated(value: Any, n: int) -> npt.NDArray[Any]:
    """Return ``n`` times the same object, (n,), dtype object."""
    return np.fromiter(itertools.repeat(value, n), object, n)
