"""Perfect ordering: by submission time, final at once. The counterfactual that real consensus is measured against."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from celluler_sim.book import Floats, Slots
from celluler_sim.consensus.base import NetworkStats, Ordered, Transactions
from celluler_sim.errors import require
from celluler_sim.mechanisms.base import register
from celluler_sim.streams import Streams


@register("consensus", "fifo")
@dataclass(frozen=True, kw_only=True)
class Fifo:
    """Order transactions by submission time (ties by number); each is final the moment it is submitted."""

    validators: int = 1  # that cells are attached to
    timeout_seconds: float = 300.0  # s after which a transaction that is not final expires

    def __post_init__(self) -> None:
        """Check ranges."""
        require("consensus.validators", self.validators, at_least=1)
        require("consensus.timeout_seconds", self.timeout_seconds, above=0, unit="s")

    @property
    def n_validators(self) -> int:
        """Number of validators that cells are attached to."""
        return self.validators

    def open(self, streams: Streams) -> FifoNetwork:  # noqa: ARG002 - nothing here is random
        """Start the network of one run."""
        return FifoNetwork(self.timeout_seconds)


@dataclass
class FifoNetwork:
    """The state of one run: transactions whose submission time has not been reached."""

    timeout_seconds: float
    stats: NetworkStats = field(default_factory=NetworkStats)
    next_epoch: float = math.inf
    _number: Slots = field(default_factory=lambda: np.empty(0, np.int64))
    _submitted: np.ndarray[tuple[int], np.dtype[np.float64]] = field(default_factory=lambda: np.empty(0))

    def submit(self, transactions: Transactions) -> None:
        """Hand transactions to their validators."""
        self._number = np.concatenate([self._number, transactions.number])
        self._submitted = np.concatenate([self._submitted, transactions.submitted])

    def advance(self, until: float) -> Ordered:
        """Return everything submitted before ``until``, by submission time."""
        due = np.flatnonzero(self._submitted < until)
        due = due[np.lexsort((self._number[due], self._submitted[due]))]
        number, time = self._number[due], self._submitted[due]
        keep = self._submitted >= until
        self._number, self._submitted = self._number[keep], self._submitted[keep]
        return Ordered(number=number, consensus=time, final=time)

    def expire(self, now: float) -> Slots:
        """Return nothing that `advance` has been called for: a perfect network never times out."""
        old = self._submitted < now - self.timeout_seconds
        gone = self._number[old]
        self._number, self._submitted = self._number[~old], self._submitted[~old]
        self.stats = NetworkStats(expired=len(gone))
        return gone

    def weigh(self, stakes: Floats) -> None:
        """Change nothing: nobody votes."""

    def pending(self) -> int:
        """Return how many transactions wait for finality."""
        return len(self._number)
