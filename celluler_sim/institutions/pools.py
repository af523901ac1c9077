"""Resource pools: cells that put their machines together, sell as one, and divide what they earn.

Family ``pools``. What runs is in `pools_running`; this module only says what a scenario may choose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

from celluler_sim.errors import ScenarioError, require
from celluler_sim.mechanisms.base import register
from celluler_sim.mechanisms.laws import Law

if TYPE_CHECKING:
    from celluler_sim.economy import Economy
    from celluler_sim.institutions.pools_running import RunningPools

DAY = 86_400.0


@register("pools", "resource")
@dataclass(frozen=True, kw_only=True)
class ResourcePools:
    """Members pool compute, memory and storage; a pool sells as one provider and shares its profit every period.

    What a coalition of members is worth is found by serving, with its resources alone, the jobs that were there in the
    period: those that the pool served and those that nobody served. The rest of the pool is its rival, or idle (see
    ``rivals``). The family ``sharing`` turns worths into shares; the pool pays out all it has received by them, once
    everybody's energy is paid for. Members join and leave by transactions; who brings less than ``min_contribution``
    of the pool's resources is not let in, or has to go.
    """

    period_s: float = 21_600.0  # s between two payouts
    min_contribution: float = 0.1  # least contribution: the mean share of a member in the pool's resources
    initial: int = 0  # pools at the start, dealt out over the members in turn; 0: everybody is alone
    membership: Mapping[str, tuple[int, ...]] = field(default_factory=dict)  # or the providers of each initial pool
    formation: Literal["best_reply", "merge_and_split", "none"] = "best_reply"  # how pools form and change
    rivals: Literal["rest", "none"] = "rest"  # against whom a coalition's worth is reckoned
    review_per_day: float = 2.0  # how often a member looks at all pools it might join, mean
    gain: float = 0.05  # share by which something else must be better to be preferred
    patience_periods: int = 2  # periods in a row that a member does worse than alone before it may leave
    behaviours: Mapping[str, float] = field(
        default_factory=lambda: {"best_reply": 1.0}
    )  # shares of members by strategy, of family pool_member_behaviour

    claims: ClassVar[frozenset[Law]] = frozenset()

    def __post_init__(self) -> None:
        """Check ranges."""
        require("pools.period_s", self.period_s, above=0, unit="s")
        require("pools.min_contribution", self.min_contribution, above=0, at_most=1)
        require("pools.initial", self.initial, at_least=0)
        require("pools.review_per_day", self.review_per_day, at_least=0)
        require("pools.gain", self.gain, at_least=0)
        require("pools.patience_periods", self.patience_periods, at_least=1)
        if self.initial and self.membership:
            raise ScenarioError("pools.initial must be 0 where pools.membership names the pools, got both")
        for name, share in self.behaviours.items():
            require(f"pools.behaviours.{name}", share, at_least=0)
        if sum(self.behaviours.values()) <= 0:
            raise ScenarioError("pools.behaviours must give a positive share to at least one strategy, got none")

    @property
    def most_members(self) -> int:
        """Most members of a pool: more could not all bring the minimum."""
        return int(1 / self.min_contribution * (1 + 1e-12))

    def open(self, economy: Economy) -> RunningPools:
        """Set the pools up in an economy whose agents exist."""
        from celluler_sim.institutions.pools_running import RunningPools

        if economy.setup.market.split:
            raise ScenarioError(
                "market.split must be false where pools=resource, got true; a job that any number of providers can "
                "divide among them needs no pool"
            )
        return RunningPools(economy, self)
