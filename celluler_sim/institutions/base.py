# ruff: noqa: ARG002 - hooks that do nothing ignore what they are given
"""The seam for whatever takes part in a tick beside the resource market: pools, training, trust, governance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Floats, Slots
from celluler_sim.mechanisms.laws import Law

if TYPE_CHECKING:
    from celluler_sim.economy import Economy, Tick

FAMILIES = ("pools", "training", "trust", "governance")  # in the order in which they act within a phase
Columns = dict[str, npt.NDArray[Any]]
Bools = npt.NDArray[Any]


class Institution:
    """One running institution of one economy; every hook does nothing unless a subclass has something to do.

    The economy calls the hook of each institution at the end of its own phase of that name, in the order of
    `FAMILIES`. What an institution submits by `Economy.submit` reaches it again through `ordered` or `expired`.
    """

    kinds: ClassVar[tuple[int, ...]] = ()  # kinds of transactions that are its own

    def __init__(self, economy: Economy) -> None:
        self.economy = economy

    def act(self, tick: Tick) -> None:
        """Agents decide and submit transactions."""

    def ordered(self, kind: int, number: Slots, final: Floats, tick: Tick) -> None:
        """Take in transactions of one of its kinds that became final, in consensus order."""

    def expired(self, number: Slots, tick: Tick) -> None:
        """Give up on transactions of its kinds, or of nobody's, that were not final in time."""

    def admits(self, provider: Slots, tick: Tick) -> Bools | None:
        """Return which of these providers may offer in this tick, (n,); None: all of them."""
        return None

    def delivered(self, fills: Columns, jobs: Columns, tick: Tick) -> Floats | None:
        """Return the share of what is due that each ended fill earned its provider, (n_fills,) in [0, 1]; None: all.

        The consumer gets the rest of the money back, and has no use of the work that was not done.
        """
        return None

    def fronts(self) -> Slots:
        """Return the providers that are nobody's own: others sell together as one, (n,)."""
        return np.zeros(0, np.int64)

    def stated(self, member: Slots, held: Floats, tick: Tick) -> Floats | None:
        """Return what members of pools say that they bring, (n, n_resources); None: what they hold."""
        return None

    def believed(self, member: Slots, held: Floats, said: Floats, tick: Tick) -> Floats | None:
        """Return what pools go by of what their members say, (n, n_resources), after some look; None: all of it."""
        return None

    def overpaid(self, member: Slots, gain: Floats, tick: Tick) -> None:
        """Take in what each member's word brings it, believed, over the truth, (n,) PRANA."""

    def clear(self, tick: Tick) -> None:
        """Clear its own market."""

    def judge(self, tick: Tick) -> None:
        """Audit, detect, punish, and then renew reputations."""

    def share(self, tick: Tick) -> None:
        """Distribute profit, at a period's end."""

    def govern(self, tick: Tick) -> None:
        """Open proposals, count votes, change rules from the next tick."""

    def learn(self, tick: Tick) -> None:
        """Agents revise their strategies."""

    def record(self, tick: Tick) -> None:
        """Write the tick down."""

    def close(self) -> None:
        """Write down what is still open at the end of the run."""


class InstitutionRule(Protocol):
    """The configuration of an institution: a frozen dataclass, registered in one of `FAMILIES`."""

    claims: ClassVar[frozenset[Law]]

    def open(self, economy: Economy) -> Institution | None:
        """Set the institution up in an economy whose agents exist; None where there is none."""
        ...


@dataclass(frozen=True)
class Absent:
    """There is no such institution."""

    claims: ClassVar[frozenset[Law]] = frozenset()

    def open(self, economy: Economy) -> None:
        """Set nothing up."""
