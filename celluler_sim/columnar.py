"""The Mesa model whose agents may be rows."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import mesa
import numpy as np
import numpy.typing as npt

from celluler_sim.agentset import RowSet
from celluler_sim.cellagent import A, CellAgent
from celluler_sim.roster import Roster

if TYPE_CHECKING:
    from celluler_sim.population import Population

Slots = npt.NDArray[np.int64]


class ColumnarModel(mesa.Model):  # type: ignore[misc]
    """A Mesa model that holds populations beside ordinary Mesa agents.

    All of Mesa's model API covers both: ``agents`` and ``agents_by_type`` list them in order of entry, unique ids
    are counted over both. On Mesa 3.5 a subclass must not have an attribute ``scenario`` or ``time`` of its own.
    On Mesa 3.3 it is not kept alive by the agents it made, as a plain model is.

    Parameters
    ----------
    *args, **kwargs
        Passed on to Mesa.
    seed
        Seed of Mesa's ``random`` and ``rng``; gives the same numbers on every Mesa version, without warnings.
    rng
        The same, under the name that Mesa 3.5 prefers; may also be a NumPy generator or seed sequence.

    Raises
    ------
    ValueError
        If both are given.
    """

    def __init__(self, *args: Any, seed: int | None = None, rng: Any = None, **kwargs: Any) -> None:
        if seed is not None and rng is not None:
            raise ValueError(f"pass seed or rng, not both, got seed={seed} and rng={rng}")
        rng = seed if rng is None else rng
        rng = int(rng) if isinstance(rng, np.integer) else rng
        self.roster = Roster()
        self._populations: dict[type, Population[Any]] = {}
        super().__init__(*args, rng=rng, **kwargs)
        if isinstance(rng, int):
            self._seed = rng  # Mesa 3.3 forgets it, and `reset_randomizer` would draw a new one
        self._everyone = RowSet(self.roster, self.random, since=1)

    @property
    def agent_id_counter(self) -> int:
        """The next unique id."""
        return self.roster.next_id

    @agent_id_counter.setter
    def agent_id_counter(self, value: int) -> None:
        self.roster.next_id = value

    # ---- populations -----------------------------------------------------------------------------------------------

    @property
    def populations(self) -> Mapping[type, Population[Any]]:
        """The populations by agent class, in order of creation."""
        return MappingProxyType(self._populations)

    def population(self, agent_class: type[A]) -> Population[A]:
        """Return the population of a class, made if there is none yet."""
        from celluler_sim.population import Population  # a population knows its model's class, not the reverse

        found = self._populations.get(agent_class)
        return Population(self, agent_class) if found is None else found

    def enrol(self, population: Population[Any]) -> int:
        """Enter a population and return its number in the roster; ValueError if its class has one already."""
        name = population.agent_class.__name__
        if population.agent_class in self._populations:
            raise ValueError(f"{name} must have one population in a model: take model.population({name})")
        self._populations[population.agent_class] = population
        self.roster.owners.append(population)
        return len(self.roster.owners) - 1

    def announce(self, signal: str, population: Population[Any], slots: Slots) -> None:
        """Tell observers (Mesa 3.5) about rows that came or went, one signal each as for ordinary agents."""
        if not getattr(self, "subscribers", None):
            return
        from mesa.experimental.mesa_signals import ModelSignals

        kind = ModelSignals[signal]
        if ("agents", kind) in self.subscribers:
            for slot in slots.tolist():
                self.notify("agents", kind, args=(population.agent(slot),))

    # ---- Mesa's agent API ------------------------------------------------------------------------------------------

    @property
    def agents(self) -> RowSet:
        """All agents in the model, rows and ordinary ones, in order of entry."""
        return self._everyone

    @agents.setter
    def agents(self, agents: Any) -> None:  # noqa: ARG002, the name is Mesa's
        raise AttributeError("model.agents is Mesa's own and cannot be set; choose another attribute name")

    @property
    def agents_by_type(self) -> dict[type, Any]:
        """The agents of each class: populations in order of creation, then ordinary agents in order of entry."""
        rows: dict[type, Any] = {cls: population.agents for cls, population in self._populations.items()}
        rows.update(super().agents_by_type)
        return rows

    @property
    def agent_types(self) -> list[type]:
        """The classes of `agents_by_type`."""
        return list(self.agents_by_type)

    def register_agent(self, agent: mesa.Agent) -> None:
        """Enter an ordinary agent; Mesa calls this. A row has been entered by its population."""
        if isinstance(agent, CellAgent):
            if agent.model is self and agent.active:
                return
            raise ValueError(f"{type(agent).__name__} {agent.unique_id} cannot return to the model: add a new agent")
        code = agent.unique_id = self.roster.next_id
        self.roster.admit(agent)
        self.roster.next_id = code  # Mesa 3.5 counts in register_agent, on the same counter
        super().register_agent(agent)
        self.roster.next_id = max(self.roster.next_id, code + 1)
        # Mesa 3.3 counts in a class-level dict whose keys keep every model alive
        getattr(agent, "_ids", {}).pop(self, None)

    def deregister_agent(self, agent: mesa.Agent) -> None:
        """Let an agent leave the model; KeyError if it is not in it."""
        if self.roster.code(agent) is None:
            raise KeyError(agent)
        if isinstance(agent, CellAgent):
            agent.population.remove(agent.slot)
        else:
            self.roster.release(agent)
            super().deregister_agent(agent)

    def remove_all_agents(self) -> None:
        """Remove every agent; `remove` is called on each if its class has one of its own."""
        for population in self._populations.values():
            if population.agent_class.remove is CellAgent.remove:
                population.remove(population.slots)
            else:
                population.agents.do("remove")
        super().remove_all_agents()
