"""Trust: deliveries are measured, checked and rated; who cheats is fined, loses its name, and may not be let in.

Family ``trust``. What runs is in `trust_running`; this module only says what a scenario may choose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

from celluler_sim.behaviours.fraud_learning import Reinforcement, Replicator
from celluler_sim.behaviours.fraud_ring import RingConfig
from celluler_sim.config_build import did_you_mean
from celluler_sim.errors import ScenarioError, require
from celluler_sim.mechanisms.base import register, registered
from celluler_sim.mechanisms.laws import Law
from celluler_sim.mechanisms.quality import QualityTerms
from celluler_sim.mechanisms.sequential import Accumulation

if TYPE_CHECKING:
    from celluler_sim.economy import Economy
    from celluler_sim.institutions.trust_running import RunningTrust


@dataclass(frozen=True, kw_only=True)
class FraudConfig:
    """Who cheats, how far they go, and what they learn. None of it is known to anybody who judges."""

    shares: Mapping[str, float] = field(default_factory=dict)  # of providers, by family fraud; the rest are honest
    propensity: float = 1.0  # chance that a cheat cheats on a delivery, at the start
    depth: float = 0.5  # share of the capacity sold that is not there
    learning: Literal["none", "reinforcement", "replicator"] = "none"  # how cheats learn whether it pays
    reinforcement: Reinforcement = field(default_factory=Reinforcement)
    replicator: Replicator = field(default_factory=Replicator)
    praises: int = 1  # ratings a tick that whoever praises a cheat gives it
    names: int = 5  # invented names of a cheat that has some
    wash_prana: float = 10.0  # PRANA that a wash trade moves out and back

    def __post_init__(self) -> None:
        """Check ranges and names."""
        for name, share in self.shares.items():
            require(f"trust.fraud.shares.{name}", share, at_least=0, at_most=1)
        require("trust.fraud.shares", sum(self.shares.values()), at_most=1)
        require("trust.fraud.propensity", self.propensity, at_least=0, at_most=1)
        require("trust.fraud.depth", self.depth, above=0, at_most=1)
        if self.learning not in ("none", "reinforcement", "replicator"):
            raise ScenarioError(
                f"trust.fraud.learning must be one of none, reinforcement, replicator, got {self.learning!r}"
            )
        for name in ("praises", "names", "wash_prana"):
            require(f"trust.fraud.{name}", getattr(self, name), at_least=0)


@register("trust", "standard")
@dataclass(frozen=True, kw_only=True)
class StandardTrust:
    """Deliveries are measured, some are checked; breaches and frauds cost money and reputation, and reputation admits.

    1. A delivery that ended is measured: whether the customer saw it fail, its latency, what was there of the capacity.
    2. The rule of the family ``verification`` checks some. What a check finds missing is fined, and not paid if
       `forfeits`; the customer is compensated by the terms of `quality`.
    3. Verdicts add up over time; who is accused is punished by the rule of ``penalty``, loses part of its bond, and may
       appeal: the evidence is then measured again without noise.
    4. The rule of ``reputation`` takes in what customers and checks say; from the next tick on only providers with
       `min_reputation` and a bond are let into the market.
    5. What members of pools say they bring is checked by the same rule, where it measures: what a lie brings is fined,
       and not paid if `forfeits`.
    6. Whoever checks is paid, by `payer`, at once; what it cannot pay for is not looked at.
    """

    fraud: FraudConfig = field(default_factory=FraudConfig)
    ring: RingConfig = field(default_factory=RingConfig)
    quality: QualityTerms = field(default_factory=lambda: QualityTerms(throughput=0.0))
    accumulation: Accumulation = field(default_factory=Accumulation)
    min_reputation: float = 0.0  # score from which a provider is let into the market
    bond_prana: float = 0.0  # what a provider must have staked; the treasury lends the first
    fine_multiple: float = 0.0  # of what was charged for missing work that a check finds: the fine, out of the bond
    forfeits: bool = True  # whether what a check finds missing is not paid
    refunds: bool = True  # whether what the customer sees missing is not paid
    suspension_s: float = 0.0  # for which an accused provider is kept out
    appeals: bool = True  # whether an accusation is measured again where the accused asks for it
    appeal_fee_prana: float = 0.0  # what an appeal costs that is lost
    payer: Literal["treasury", "fund"] = "treasury"  # who pays for checks, and has fines and fees: the treasury, or an
    #                                                  account of this market with nothing else; no money, no checks
    check_fee: float = 0.0  # share of what a delivery earned that its provider pays towards checks
    failure_rate: float = 0.002  # chance that an honest delivery fails
    review_s: float = 3600.0  # between two reviews of the quality of service
    screen_s: float = 3600.0  # length of what a collusion screen takes for an auction
    screen_every: int = 24  # auctions after which it looks, each time at new ones
    servers: float = 8.0  # of a provider, in the law of its latency
    service_ms: float = 20.0  # mean time to serve one request
    requests_per_unit: float = 1.0  # requests/s that one unit/s of capacity answers

    claims: ClassVar[frozenset[Law]] = frozenset()
    may_change: ClassVar[tuple[str, ...]] = (
        "min_reputation", "fine_multiple", "forfeits", "refunds", "suspension_s", "appeals", "appeal_fee_prana",
        "check_fee",
    )  # while an economy runs, by a vote or in a branch  # fmt: skip

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("min_reputation", "failure_rate", "check_fee"):
            require(f"trust.{name}", getattr(self, name), at_least=0, at_most=1)
        for name in ("bond_prana", "fine_multiple", "suspension_s", "appeal_fee_prana", "requests_per_unit"):
            require(f"trust.{name}", getattr(self, name), at_least=0)
        for name in ("review_s", "service_ms", "screen_s"):
            require(f"trust.{name}", getattr(self, name), above=0)
        require("trust.servers", self.servers, at_least=1)
        require("trust.screen_every", self.screen_every, at_least=1)
        if self.payer not in ("treasury", "fund"):
            raise ScenarioError(f"trust.payer must be one of treasury, fund, got {self.payer!r}")
        if "misreport" in self.fraud.shares and self.fraud.depth >= 1:
            raise ScenarioError(
                f"trust.fraud.depth must be < 1 where trust.fraud.shares has misreport, got {self.fraud.depth:g}; of "
                "what is reported something must be there"
            )
        if self.fine_multiple > 0 and self.bond_prana == 0:
            raise ScenarioError(
                "trust.bond_prana must be > 0 where trust.fine_multiple is, got 0; fines come out of it"
            )

    def open(self, economy: Economy) -> RunningTrust:
        """Set everything up in an economy whose agents exist."""
        from celluler_sim.institutions.trust_running import RunningTrust

        known = registered("fraud")
        for name in self.fraud.shares:
            if name not in known:
                hint = did_you_mean(name, known)
                raise ScenarioError(f"trust.fraud.shares must name some of {', '.join(known)}; got {name!r}{hint}")
        return RunningTrust(economy, self)
