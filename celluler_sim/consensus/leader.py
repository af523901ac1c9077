"""A proposer per block: ordering where one validator at a time decides it, honestly or for its own gain."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Floats, Slots
from celluler_sim.consensus.base import FAIR, FRONT_RUN, REQUEST, SANDWICHED, NetworkStats, Ordered, Transactions
from celluler_sim.errors import require
from celluler_sim.markets.rows import Rows
from celluler_sim.mechanisms.base import register
from celluler_sim.streams import Streams

Conduct = Literal["honest", "front_running", "sandwiching", "censoring"]
MARK = {"front_running": FRONT_RUN, "sandwiching": SANDWICHED}


@register("consensus", "leader")
@dataclass(frozen=True, kw_only=True)
class Leader:
    """Every block one validator, drawn by stake, puts what it has heard of into the order it likes.

    An honest proposer keeps the order in which transactions reached it. A greedy one reads the bids in them:
    ``front_running`` buys the cheapest offers ahead of every request and hands them on at the next dearer ask;
    ``sandwiching`` also lifts the asks up to the request's bid and sells to it there; ``censoring`` leaves out the
    requests of everybody who is not attached to it. What the first two take shows in a market whose price depends on
    the order (`allocation=order_book`); elsewhere only the places move.

    References
    ----------
    Daian et al. (2020), Flash Boys 2.0: frontrunning in decentralized exchanges.
    """

    validators: int = 7  # from whom each block's proposer is drawn
    stake_prana: float = 1e6  # that each of them locks
    block_seconds: float = 5.0  # s between two blocks
    delay_seconds: float = 0.5  # s, mean time until a transaction reaches the proposer (exponential)
    conduct: Conduct = "honest"  # what a greedy proposer does, see above
    greedy_share: float = 1.0  # share of the validators that behave so; the others are honest, [0, 1]
    epoch_seconds: float = 86_400.0  # s between two moments from which proposers are drawn by the stakes locked
    timeout_seconds: float = 300.0  # s after which a transaction that is in no block expires

    def __post_init__(self) -> None:
        """Check ranges."""
        require("consensus.validators", self.validators, at_least=1)
        require("consensus.block_seconds", self.block_seconds, above=0, unit="s")
        require("consensus.delay_seconds", self.delay_seconds, at_least=0, unit="s")
        require("consensus.greedy_share", self.greedy_share, at_least=0, at_most=1)
        require("consensus.stake_prana", self.stake_prana, above=0, unit="PRANA")
        require("consensus.epoch_seconds", self.epoch_seconds, above=0, unit="s")
        require("consensus.timeout_seconds", self.timeout_seconds, above=0, unit="s")

    @property
    def n_validators(self) -> int:
        """Number of validators that cells are attached to."""
        return self.validators

    def stakes(self) -> Floats:
        """Return the PRANA that each validator locks, (n_validators,)."""
        return np.full(self.validators, self.stake_prana)

    def open(self, streams: Streams) -> LeaderNetwork:
        """Start the network of one run."""
        return LeaderNetwork(self, streams, self.stakes(), self.epoch_seconds)


@dataclass
class LeaderNetwork:
    """The state of one run: transactions that no block has taken in yet."""

    rule: Leader
    streams: Streams
    stakes: Floats  # by which proposers are drawn until the next epoch, (n_validators,)
    next_epoch: float  # s
    stats: NetworkStats = field(default_factory=NetworkStats)
    _locked: Floats | None = None  # by which they are drawn from then on; None: the same
    _block: int = 0  # number of the next block
    _waiting: Rows = field(
        default_factory=lambda: Rows(
            {"heard": np.inf, "submitted": np.nan}, number=np.int64, kind=np.int8, validator=np.int64,
            submitted=np.float64, heard=np.float64, bid=np.float64,
        )
    )  # fmt: skip

    def submit(self, transactions: Transactions) -> None:
        """Hand transactions to their validators; each reaches the proposers after a delay of its own."""
        number = transactions.number
        delay = self.streams.draws("leader.delay").exponential(number) * self.rule.delay_seconds
        bid = np.full(len(number), np.nan) if transactions.bid is None else transactions.bid
        self._waiting.append(
            number=number, kind=transactions.kind, validator=transactions.validator, bid=bid,
            submitted=transactions.submitted, heard=transactions.submitted + delay,
        )  # fmt: skip

    def advance(self, until: float) -> Ordered:
        """Propose the blocks due before ``until`` (s) and return what they hold, in order."""
        parts = []
        while (time := (self._block + 1) * self.rule.block_seconds) < until:
            if time >= self.next_epoch:
                self.stakes, self._locked = (self.stakes if self._locked is None else self._locked), None
                self.next_epoch += self.rule.epoch_seconds
            part = self._propose(time)
            if len(part.number):
                parts.append(part)
            self._block += 1
        if not parts:
            none = np.empty(0)
            return Ordered(np.empty(0, np.int64), none, none, np.empty(0, np.int8), np.empty(0, np.int64))
        columns = [
            [getattr(p, name) for p in parts] for name in ("number", "consensus", "final", "conduct", "proposer")
        ]
        return Ordered(*(np.concatenate(c) for c in columns))

    def _propose(self, time: float) -> Ordered:
        """Make one block: whom it leaves out, in which order it puts the rest, and what it does to them."""
        w, rule = self._waiting, self.rule
        proposer = self._proposer()
        greedy = proposer < round(rule.greedy_share * rule.validators)
        conduct = rule.conduct if greedy else "honest"
        heard = np.flatnonzero(w["heard"] <= time)
        if conduct == "censoring":
            heard = heard[(w["kind"][heard] != REQUEST) | (w["validator"][heard] == proposer)]
        block = w.take(self._arranged(heard, conduct))
        n = len(block["number"])
        mark = self._marks(block, conduct, proposer)
        final = np.full(n, time)
        return Ordered(block["number"], final, final, mark, np.where(mark != FAIR, proposer, -1))

    def _proposer(self) -> int:
        """Return the validator that makes the next block, drawn by stake."""
        uniform = self.streams.draws("leader.proposer").uniform(np.array([self._block]))[0]
        ends = np.cumsum(self.stakes)
        return int(np.searchsorted(ends[:-1], uniform * ends[-1], side="right"))

    def weigh(self, stakes: Floats) -> None:
        """Draw proposers by these stakes (PRANA) from the end of this epoch on, if there are any."""
        if stakes.sum() > 0:
            self._locked = stakes

    def _arranged(self, heard: Slots, conduct: Conduct) -> Slots:
        """Return the rows in the proposer's order: as they reached it, or whoever can be taken most from first."""
        w = self._waiting
        if conduct in MARK:
            return heard[np.lexsort((w["number"][heard], -np.nan_to_num(w["bid"][heard], nan=np.inf)))]
        return heard[np.lexsort((w["number"][heard], w["heard"][heard]))]

    @staticmethod
    def _marks(block: dict[str, npt.NDArray[np.int64]], conduct: Conduct, proposer: int) -> npt.NDArray[np.int8]:
        mark = np.full(len(block["number"]), FAIR, np.int8)
        if conduct in MARK:
            mark[(block["kind"] == REQUEST) & (block["validator"] != proposer)] = MARK[conduct]
        return mark

    def expire(self, now: float) -> Slots:
        """Drop and return the numbers of the transactions older than the timeout, ascending."""
        old = np.flatnonzero(self._waiting["submitted"] < now - self.rule.timeout_seconds)
        self.stats = NetworkStats(expired=len(old))
        return np.sort(self._waiting.take(old)["number"])

    def pending(self) -> int:
        """Return how many transactions are in no block yet."""
        return len(self._waiting)
