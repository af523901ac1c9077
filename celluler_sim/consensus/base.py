"""The seam between the market and its consensus: the market sees only what has been ordered."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Floats, Frozen, Slots
from celluler_sim.streams import Streams

KINDS = (
    "request", "offer", "withdraw", "join", "leave", "proposal", "vote", "stake", "training", "dataset",
)  # fmt: skip
REQUEST, OFFER, WITHDRAW, JOIN, LEAVE, PROPOSAL, VOTE, STAKE, TRAINING, DATASET = range(10)
CONDUCTS = ("fair", "front_run", "sandwiched")
FAIR, FRONT_RUN, SANDWICHED = range(3)


@dataclass(frozen=True)
class Transactions(Frozen):
    """Transactions handed to validators during one tick, sorted by `number`."""

    number: Slots  #     (n,) number of the transaction, ascending over the whole run
    kind: npt.NDArray[np.int8]  # (n,) index into `KINDS`
    sender: Slots  #     (n,) account number
    validator: Slots  #  (n,) the validator that the sender's cell is attached to
    submitted: Floats  # (n,) s
    bid: Floats | None = None  # (n,) PRANA per unit, what it says to whoever may read it; NaN where it is no request

    def __len__(self) -> int:
        """Return the number of transactions."""
        return len(self.number)


@dataclass(frozen=True)
class Ordered(Frozen):
    """Transactions that became final, in their total order."""

    number: Slots  #    (n,) number of the transaction
    consensus: Floats  # (n,) s, the time that the network agreed on
    final: Floats  #    (n,) s, when that agreement was reached: not before it may the market act on it
    conduct: npt.NDArray[np.int8] | None = None  # (n,) index into `CONDUCTS`: what was done to it; None: nothing
    proposer: Slots | None = None  # (n,) the validator that did it, -1 nobody


@dataclass(frozen=True)
class NetworkStats:
    """What a network did during some time; sums over stretches of time are those of the whole."""

    events: int = 0  # created
    rounds: int = 0  # decided, by whoever was first
    coins: int = 0  # of these, decided only after a round of coins
    forks: int = 0  # events created whose self-parent had a child already
    expired: int = 0  # transactions given up

    def __add__(self, other: NetworkStats) -> NetworkStats:
        """Return both stretches together."""
        return NetworkStats(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})


class Network(Protocol):
    """A running consensus network: the state of one run."""

    @property
    def stats(self) -> NetworkStats:
        """What happened during the last call of `advance`, and what has expired since; zeros where nobody gossips."""
        ...

    @property
    def next_epoch(self) -> float:
        """When votes next follow stakes, s; inf where nobody votes."""
        ...

    def weigh(self, stakes: Floats) -> None:
        """Let the validators' stakes, (n_validators,), PRANA, be their votes from the next epoch on."""
        ...

    def submit(self, transactions: Transactions) -> None:
        """Hand transactions to their validators."""
        ...

    def advance(self, until: float) -> Ordered:
        """Run the network to ``until`` (s) and return what became final since the last call, in order."""
        ...

    def expire(self, now: float) -> Slots:
        """Drop and return the numbers of the transactions that are older than the timeout and not final."""
        ...

    def pending(self) -> int:
        """Return how many transactions wait for finality."""
        ...


class Consensus(Protocol):
    """A rule that brings transactions into one order. Registered in the family ``consensus``."""

    @property
    def n_validators(self) -> int:
        """Number of validators that cells are attached to."""
        ...

    def open(self, streams: Streams) -> Network:
        """Start the network of one run."""
        ...
