"""An economy's state into a checkpoint, and out of it into an economy composed afresh."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from celluler_sim.checkpoint import file
from celluler_sim.checkpoint.classes import UnstorableError, replaces_code
from celluler_sim.checkpoint.graph import Encoder
from celluler_sim.checkpoint.rebuild import Decoder, put
from celluler_sim.errors import ResultsError

if TYPE_CHECKING:
    from celluler_sim.economy import Economy
    from celluler_sim.recorder import Recorder
    from celluler_sim.scenario import Scenario

MESAS_OWN = ("random", "rng", "running", "steps", "time")  # of what a `mesa.Model` sets itself, what is state


class Silence:
    """A recorder that writes nothing: for ticks that are run again only to get somewhere."""

    folder = None

    def log(self, table: str, /, **columns: Any) -> None:
        """Do nothing."""

    def flush(self) -> None:
        """Do nothing."""


def silent() -> Recorder:
    """Return a recorder that writes nothing."""
    return cast("Recorder", Silence())


def save(path: Path, economy: Economy, scenario: Scenario, about: Mapping[str, Any]) -> int:
    """Write the state of an economy between two ticks; return the file's size in bytes.

    Parameters
    ----------
    path
        Of the checkpoint; it appears whole or not at all.
    economy
        Its state is written.
    scenario
        What it was composed from: whatever of it the economy refers to is not written.
    about
        Plain values to keep beside it.

    Raises
    ------
    UnstorableError
        The economy holds something that cannot be kept; the message names the attribute.
    OSError
        The file cannot be written.
    """
    if economy.roster.count(0):
        raise UnstorableError("economy.agents has agents that are no rows of a population; give them columns")
    encoder = Encoder(_given(economy, scenario))
    root = {name: encoder.add(value, f"economy.{name}") for name, value in _attributes(economy)}
    return file.write(path, {**about, "tick": economy.steps}, root, encoder)


def restore(content: file.Content, path: Path, scenario: Scenario, recorder: Recorder) -> Economy:
    """Return an economy of ``scenario`` in the state that a checkpoint holds.

    Parameters
    ----------
    content, path
        What `file.read` returned, and from where.
    recorder
        Where its tables go from now on.

    Raises
    ------
    ResultsError
        The state is not that of such an economy.
    """
    from celluler_sim.economy import Economy

    economy = Economy(scenario)
    economy.record_to(recorder)
    given = {name: value for value, name in _given(economy, scenario)}
    try:
        decoder = Decoder(content.nodes, content.arrays, given)
        state = {name: decoder.value(held) for name, held in content.root.items()}
        _check(economy, state)
        put(economy, state)
    except ResultsError:
        raise
    except file.ERRORS as error:
        raise file.damaged(path, error) from error
    return economy


def _check(economy: Economy, state: Mapping[str, Any]) -> None:
    """Raise `TypeError` or `ValueError` for attributes that no economy has."""
    for name in state:
        if name in _not_state() or replaces_code(type(economy), name):
            raise ValueError(f"attribute {name[:40]!r}, which is no state of an economy")
    for name in ("roster", "ledger", "steps", "streams", "market", "supply_side", "demand_side"):
        if type(state[name]) is not type(vars(economy)[name]):
            raise TypeError(f"attribute {name!r} of another type")


def _not_state() -> set[str]:
    """Return the names of what is made anew: the recorder, and what Mesa keeps for itself."""
    import mesa

    return {"recorder", *(vars(mesa.Model(rng=1)).keys() - set(MESAS_OWN))}


def _attributes(economy: Economy) -> Iterator[tuple[str, Any]]:
    """Yield what an economy keeps itself, and of what Mesa keeps only what is state."""
    made_anew = _not_state()
    for name, value in vars(economy).items():
        if name not in made_anew:
            yield name, value


def _given(economy: Economy, scenario: Scenario) -> Iterator[tuple[Any, str]]:
    """Yield the objects that whoever reads a checkpoint composes anew, each with its name."""
    yield economy, "economy"
    yield economy.recorder, "recorder"
    yield from _walk(scenario, "setup", set())


def _walk(value: Any, path: str, seen: set[int]) -> Iterator[tuple[Any, str]]:
    """Yield an object of the configuration and all below it, with their paths."""
    if value is None or isinstance(value, (bool, int, float, str, type, np.generic)) or id(value) in seen:
        return
    seen.add(id(value))
    yield value, path
    if is_dataclass(value):
        for name, entry in vars(value).items() if hasattr(value, "__dict__") else ():
            if name != "source":
                yield from _walk(entry, f"{path}.{name}", seen)
    elif isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        for key in value:
            yield from _walk(value[key], f"{path}.{key}", seen)
    elif isinstance(value, (list, tuple)) and len(value) < 1000:
        for i, entry in enumerate(value):
            yield from _walk(entry, f"{path}.{i}", seen)
