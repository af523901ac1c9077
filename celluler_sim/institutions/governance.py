"""Governance: rules are changed by proposals that holders of stake vote on. Family ``governance``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from celluler_sim.config_build import did_you_mean
from celluler_sim.errors import ScenarioError, require
from celluler_sim.mechanisms.base import register, registered
from celluler_sim.mechanisms.laws import Law

if TYPE_CHECKING:
    from celluler_sim.economy import Economy
    from celluler_sim.institutions.governance_running import RunningGovernance


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """One proposal: what it would change, when it is made, who likes it."""

    changes: tuple[str, ...]  # as on the command line: ``pricing=linear``, ``pricing.base_price=80``
    at_s: float = 0.0  # s, when it is submitted
    proposer: int = 0  # voter that submits it
    support: float = 0.5  # chance that a voter is in favour by itself
    bribe_prana: float = 0.0  # PRANA that the proposer offers for each PRANA of stake voted in favour

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not self.changes:
            raise ScenarioError("governance.proposals.changes must name at least one change, got none")
        require("governance.proposals.support", self.support, at_least=0, at_most=1)
        for name in ("at_s", "proposer", "bribe_prana"):
            require(f"governance.proposals.{name}", getattr(self, name), at_least=0)


@dataclass(frozen=True, kw_only=True)
class VoterConfig:
    """Who votes: how many, with what stake, and how."""

    count: int = 21  # holders of stake
    stake_prana: float = 2_100_000.0  # of all together
    concentration: float = 0.0  # stakes go down with the rank to this power: 0 all equal, 1 Zipf's law
    balance_prana: float = 10_000.0  # free money of each, for bribes
    behaviours: Mapping[str, float] = field(
        default_factory=lambda: {"sincere": 1.0}
    )  # shares of voters by strategy, of family voter_behaviour

    def __post_init__(self) -> None:
        """Check the ranges."""
        require("governance.voters.count", self.count, at_least=1)
        require("governance.voters.stake_prana", self.stake_prana, above=0)
        for name in ("concentration", "balance_prana"):
            require(f"governance.voters.{name}", getattr(self, name), at_least=0)
        for name, share in self.behaviours.items():
            require(f"governance.voters.behaviours.{name}", share, at_least=0)
        if sum(self.behaviours.values()) <= 0:
            raise ScenarioError("governance.voters.behaviours must give a positive share to at least one, got none")


@register("governance", "on_chain")
@dataclass(frozen=True, kw_only=True)
class OnChain:
    """Proposals, votes and their count go through consensus; what passes is in force from the very next tick.

    1. A proposal is checked when it is submitted, as a scenario file is, and refused with the same words.
    2. Once it is final, everybody entitled votes by a transaction; the rule of the family ``voting`` says how long for.
    3. At the end of that time stakes are counted by ``voting``, in exact rationals.
    4. What passed is checked once more against the rules that are in force by then and put into force; where that
       fails, everything stays as it was.
    """

    proposals: Mapping[str, Proposal] = field(default_factory=dict)  # by name
    voters: VoterConfig = field(default_factory=VoterConfig)

    claims: ClassVar[frozenset[Law]] = frozenset()

    def __post_init__(self) -> None:
        """Check that every proposer exists."""
        for name, proposal in self.proposals.items():
            require(f"governance.proposals.{name}.proposer", proposal.proposer, below=self.voters.count)

    def open(self, economy: Economy) -> RunningGovernance:
        """Give voters their stakes in an economy whose agents exist."""
        from celluler_sim.institutions.governance_running import RunningGovernance

        known = registered("voter_behaviour")
        for name in self.voters.behaviours:
            if name not in known:
                hint = did_you_mean(name, known)
                raise ScenarioError(
                    f"governance.voters.behaviours must name some of {', '.join(known)}; got {name!r}{hint}"
                )
        return RunningGovernance(economy, self)
