"""What a scenario may say about the agents: ``agents.providers`` and ``agents.consumers``."""

from __future__ import annotations

from dataclasses import dataclass, field

from celluler_sim.errors import ScenarioError, require


def _check_shares(key: str, shares: dict[str, float]) -> None:
    for name, share in shares.items():
        require(f"{key}.{name}", share, at_least=0)
    if not shares or sum(shares.values()) <= 0:
        raise ScenarioError(f"{key} must give a positive share to at least one entry, got {shares}")


@dataclass(frozen=True, kw_only=True)
class ProviderConfig:
    """Providers: how many, with which machines, at what cost, how they price, when they come and go."""

    count: int = 100  # providers at the start
    hardware: dict[str, float] = field(
        default_factory=lambda: {"H100_SXM5": 0.3, "A100_SXM4": 0.3, "H200": 0.1, "V100M32": 0.15, "T4": 0.15}
    )  # shares of providers by accelerator
    accelerators: float = 8.0  # accelerators per provider, mean
    accelerators_cv: float = 0.8  # their coefficient of variation (lognormal, at least one)
    quality_low: float = 0.75  # quality is uniform between low and high
    quality_high: float = 1.0  # see there
    electricity_usd_per_kwh: float = 0.12  # price of electricity
    pue: float = 1.3  # power usage effectiveness: facility power over machine power
    lifetime_years: float = 4.0  # capital is written off over this time
    usd_per_prana: float = 0.01  # converts costs; 100 PRANA a unit of 1e18 FLOP-seconds is then 1 USD
    cost_cv: float = 0.15  # spread of unit cost between providers with one kind of machine (lognormal)
    behaviours: dict[str, float] = field(default_factory=lambda: {"truthful": 1.0})  # shares
    markup: float = 0.2  # of behaviour `markup`, over unit cost, at the start
    markup_response: float = 1.0  # how strongly a mark-up follows own utilisation when an ask is revised; 0: not
    target_use: float = 0.5  # own utilisation, mean over a day, at which a mark-up stays as it is
    reprice_per_half_hour: float = 0.0028  # probability that an ask is revised in half an hour
    exit_after_s: float = 259_200.0  # leaves after losing money for this long without a break
    entry_per_day: float = 0.05  # candidates a day per provider at the start
    hurdle: float = 0.1  # a candidate enters if expected margin over unit cost exceeds this share

    def __post_init__(self) -> None:
        """Check every range."""
        key = "agents.providers"
        require(f"{key}.count", self.count, at_least=1)
        for name in ("accelerators", "lifetime_years", "usd_per_prana", "pue", "exit_after_s"):
            require(f"{key}.{name}", getattr(self, name), above=0)
        for name in (
            "accelerators_cv",
            "electricity_usd_per_kwh",
            "cost_cv",
            "markup",
            "markup_response",
            "entry_per_day",
            "hurdle",
        ):
            require(f"{key}.{name}", getattr(self, name), at_least=0)
        require(f"{key}.quality_low", self.quality_low, at_least=0, at_most=self.quality_high)
        require(f"{key}.quality_high", self.quality_high, at_least=0, at_most=1)
        require(f"{key}.target_use", self.target_use, at_least=0, at_most=1)
        require(f"{key}.reprice_per_half_hour", self.reprice_per_half_hour, at_least=0, below=1)
        _check_shares(f"{key}.hardware", self.hardware)
        _check_shares(f"{key}.behaviours", self.behaviours)


@dataclass(frozen=True, kw_only=True)
class ConsumerConfig:
    """Consumers: how many, how often they want how much, what it is worth to them, how long they wait."""

    count: int = 900  # consumers, where the workload does not bring its own
    jobs_per_day: float = 12.0  # mean over consumers
    jobs_cv: float = 1.0  # spread of that rate between consumers (lognormal)
    value_median: float = 220.0  # median of what a unit of a job is worth to its consumer
    value_cv: float = 0.7  # spread of a job's value (lognormal)
    patience_s: float = 3600.0  # mean time a request waits for service before it gives up (exponential)
    deadline_stretch: float = 3.0  # a job must end by born + patience + this many times its shortest duration
    min_share: float = 0.5  # least share of the capacity wanted that is of use
    weight_cv: float = 0.5  # spread of claims' weights between consumers (lognormal, mean 1)
    endowment_share: float = 0.6  # of the PRANA supply that consumers hold at the start
    endowment_cv: float = 0.5  # spread of endowments between consumers (lognormal)
    behaviours: dict[str, float] = field(default_factory=lambda: {"elastic": 0.6, "truthful": 0.4})  # shares
    postpone_s: float = 1200.0  # mean time after which a postponed job is looked at again (exponential)

    def __post_init__(self) -> None:
        """Check every range."""
        key = "agents.consumers"
        require(f"{key}.count", self.count, at_least=1)
        for name in ("jobs_per_day", "jobs_cv", "value_cv", "patience_s", "weight_cv", "endowment_cv"):
            require(f"{key}.{name}", getattr(self, name), at_least=0)
        require(f"{key}.value_median", self.value_median, above=0, unit="PRANA per unit")
        require(f"{key}.postpone_s", self.postpone_s, above=0, unit="s")
        require(f"{key}.deadline_stretch", self.deadline_stretch, at_least=1)
        require(f"{key}.min_share", self.min_share, above=0, at_most=1)
        require(f"{key}.endowment_share", self.endowment_share, above=0, at_most=1)
        _check_shares(f"{key}.behaviours", self.behaviours)
