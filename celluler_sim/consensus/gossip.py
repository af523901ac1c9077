"""The hashgraph as the market's consensus: validators that gossip, and what a transaction goes through among them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from celluler_sim.book import Floats
from celluler_sim.consensus.faults import Fault, parse
from celluler_sim.consensus.hashgraph import Rules
from celluler_sim.consensus.topology import Topology
from celluler_sim.errors import ScenarioError, require
from celluler_sim.mechanisms.base import register
from celluler_sim.streams import Streams

if TYPE_CHECKING:
    from celluler_sim.consensus.network import GossipNetwork

PARETO_SHAPE = 1.16  # of stakes: a fifth of the holders has four fifths in the limit
MICRO = 10**6  # stakes that are not whole are weighed in millionths of a PRANA
LEAST_WINDOW = 26  # rounds, Hedera's


@register("consensus", "hashgraph")
@dataclass(frozen=True, kw_only=True)
class HashgraphConsensus:
    """Validators gossip about gossip and vote virtually: fair order and finality without a leader.

    Each validator starts syncs at random; a sync makes one event, which carries the transactions handed to its
    validator until then. A transaction is final when members with more than half of the stake have decided the round
    that received its event: what a user sees at a typical validator. That takes about 16 gossip intervals at seven
    equal validators, 10 at four, 20 at ten, 40 at a hundred.

    References
    ----------
    Baird (2016), SWIRLDS-TR-2016-01: The Swirlds hashgraph consensus algorithm.
    """

    validators: int = 7
    stake: Literal["equal", "pareto"] | tuple[float, ...] = "equal"  # PRANA of each, or how `total_stake` is shared out
    total_stake: float = 100_000_000.0  # PRANA that all lock together where `stake` names none
    minimum_stake: float = 0.1  # share of the total below which a validator has no vote and its stake leaves the total
    threshold: str | float = "67/100"  # share of the stake that is a supermajority, an exact fraction
    strict: bool = False  # whether a supermajority must exceed that share, or only reach it
    epoch_seconds: float = 86_400.0  # s between two moments from which votes follow the stakes that are locked
    timeout_seconds: float = 300.0  # s after which a transaction that is not final expires
    gossip_interval_seconds: float = 2.0  # s, mean time between two syncs that a validator starts (exponential)
    topology: Topology = field(default_factory=Topology)
    bandwidth: float = field(default=math.inf, metadata={"finite": False})  # events/s that one sync carries
    clock_skew_seconds: float = 0.0  # s, standard deviation of how far validators' clocks are off
    coin: int = 10  # every so many rounds of voting is a coin round
    fork_rule: Literal["hide", "none"] = "hide"  # hide: an event sees nothing by whom it knows to have forked
    equal_parents: bool = False  # whether only an event whose parents share one round may be promoted (Hedera)
    judge_rule: Literal["drop", "min"] = (
        "drop"  # of a creator with two famous witnesses: neither, or the least signature
    )
    received_after: bool = False  # whether the round received must exceed the round created (Babble)
    median: Literal["upper", "lower", "mean"] = "upper"  # consensus time of an even number of times
    weighted: bool = False  # whether that median is weighted by stake
    order: Literal["paper", "generation", "hedera", "lamport"] = "generation"  # what breaks ties of consensus time
    window_rounds: int | None = None  # rounds after which an event is never ordered; null: enough for the timeout
    faults: tuple[Mapping[str, Any], ...] = ()  # what goes wrong: each has `kind`, `start_s`, `end_s` and more

    def __post_init__(self) -> None:
        """Check ranges."""
        key = "consensus"
        require(f"{key}.validators", self.validators, at_least=2)
        require(f"{key}.total_stake", self.total_stake, above=0, unit="PRANA")
        require(f"{key}.minimum_stake", self.minimum_stake, at_least=0, below=1)
        require(f"{key}.epoch_seconds", self.epoch_seconds, above=0, unit="s")
        require(f"{key}.timeout_seconds", self.timeout_seconds, above=0, unit="s")
        require(f"{key}.gossip_interval_seconds", self.gossip_interval_seconds, above=0, unit="s")
        require(f"{key}.clock_skew_seconds", self.clock_skew_seconds, at_least=0, unit="s")
        if not self.bandwidth > 0:
            raise ScenarioError(f"{key}.bandwidth must be > 0 events/s, got {self.bandwidth:g}")
        if self.window_rounds is not None:
            require(f"{key}.window_rounds", self.window_rounds, at_least=4)
        self.rules()
        self.topology.check(self.validators)
        self.weights()
        self.parsed_faults()

    @property
    def n_validators(self) -> int:
        """Number of validators that cells are attached to."""
        return self.validators

    def stakes(self) -> Floats:
        """Return what each validator locks, (n_validators,), PRANA.

        ``pareto`` takes the middles of n equal slices of a Pareto distribution, so no stake is drawn.
        """
        n = self.validators
        if self.stake == "equal":
            return np.full(n, self.total_stake / n)
        if self.stake == "pareto":
            parts = (1 - (np.arange(n) + 0.5) / n) ** (-1 / PARETO_SHAPE)
            return np.asarray(self.total_stake * parts / parts.sum())
        if len(self.stake) != n:
            raise ScenarioError(f"consensus.stake must give one stake per validator ({n}), got {len(self.stake)}")
        for stake in self.stake:
            require("consensus.stake", float(stake), at_least=0, unit="PRANA")
        return np.array(self.stake, np.float64)

    def weights(self) -> list[int]:
        """Return each validator's vote at the start, exact: its stake, or 0 below the minimum stake.

        Raises
        ------
        ScenarioError
            Nobody is left with a vote.
        """
        stakes = self.stakes()
        kept = self.votes(stakes)
        if not any(kept):
            share = max(stakes) / max(sum(stakes), 1)
            raise ScenarioError(
                f"consensus.minimum_stake must leave a validator with a vote; the largest of {self.validators} has "
                f"{share:.3g} of the stake, got {self.minimum_stake:g}; lower it or have fewer validators"
            )
        return kept

    def votes(self, stakes: Floats) -> list[int]:
        """Return the vote of each stake (PRANA), exact: the stake, or 0 below the minimum stake; maybe all 0."""
        whole = [Fraction(float(stake)) for stake in stakes]
        scale = 1 if all(stake.denominator == 1 for stake in whole) else MICRO
        votes = [round(stake * scale) for stake in whole]
        least = Fraction(str(self.minimum_stake)) * sum(votes)
        return [vote if vote >= least else 0 for vote in votes]

    def rules(self) -> Rules:
        """Return the parameters of the algorithm."""
        return Rules(**{f.name: getattr(self, f.name) for f in fields(Rules) if f.name != "first_round"})

    def parsed_faults(self) -> tuple[Fault, ...]:
        """Return what goes wrong."""
        return parse(self.faults, self.validators)

    def rounds_kept(self) -> int:
        """Return after how many rounds an event is stale: more than pass until a transaction in it has expired.

        A round takes about 1.5 log2 n gossip intervals, measured for 4 to 512 members.
        """
        if self.window_rounds is not None:
            return self.window_rounds
        interval = 1.5 * math.log2(self.validators) * self.gossip_interval_seconds
        return max(LEAST_WINDOW, math.ceil(1.25 * self.timeout_seconds / interval), 1024 // self.validators)

    def open(self, streams: Streams) -> GossipNetwork:
        """Start the network of one run, with gossip ahead of the market by thousands of events."""
        from celluler_sim.consensus.network import GossipNetwork
        from celluler_sim.consensus.syncs import BATCH

        return GossipNetwork(self, streams, ahead=BATCH * self.gossip_interval_seconds / self.validators)
