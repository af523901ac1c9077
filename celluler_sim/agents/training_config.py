"""What a scenario may say about trainers, data providers and model consumers. Light: read before any run."""

from __future__ import annotations

from dataclasses import dataclass

from celluler_sim.errors import ScenarioError, require


@dataclass(frozen=True, kw_only=True)
class TrainerConfig:
    """Trainers: how many, how large, what they own, and which of them say their models are better than they are."""

    count: int = 12  # trainers
    overstating: float = 0.25  # share of them that overstate
    overstatement: float = 0.05  # by how much these say a model's quality exceeds what it is
    disputing: float = 0.5  # chance that one that overstates disputes a refusal; an honest one always does
    orders: int = 4  # orders a trainer works on at a time
    accelerators: int = 64  # most it rents for one order
    endowment_prana: float = 50_000.0  # what it owns at the start, from the treasury
    latency_ms: float = 90.0  # latency of a trainer's models, median over trainers
    latency_cv: float = 0.25  # its spread between trainers and between models (lognormal)
    margin: float = 0.0  # least expected profit, as a share of what compute and data cost

    def __post_init__(self) -> None:
        """Check the ranges."""
        key = "training.trainers"
        require(f"{key}.count", self.count, at_least=1)
        require(f"{key}.orders", self.orders, at_least=1)
        require(f"{key}.accelerators", self.accelerators, at_least=4)
        for name in ("overstating", "disputing"):
            require(f"{key}.{name}", getattr(self, name), at_least=0, at_most=1)
        require(f"{key}.overstatement", self.overstatement, at_least=0, below=1)
        require(f"{key}.endowment_prana", self.endowment_prana, at_least=0, unit="PRANA")
        require(f"{key}.latency_ms", self.latency_ms, above=0, unit="ms")
        require(f"{key}.latency_cv", self.latency_cv, at_least=0)
        require(f"{key}.margin", self.margin, at_least=0)


@dataclass(frozen=True, kw_only=True)
class DataProviderConfig:
    """Data providers: how many, how much data they have, how many only resell a copy, what it costs to keep it."""

    count: int = 24  # data providers, each with one data set of one task
    size_median: float = 0.1  # share of the task's full data in a set, median
    size_cv: float = 0.8  # its spread (lognormal)
    copies: float = 0.25  # share of them whose set is a copy of somebody else's
    cost_prana_per_day: float = 400.0  # what keeping and renewing the task's full data costs in a day, in proportion
    copy_cost: float = 0.1  # the same for a copy, as a share
    exit_after_s: float = 172_800.0  # leaves after its daily mean has been a loss for this long

    def __post_init__(self) -> None:
        """Check the ranges."""
        key = "training.data_providers"
        require(f"{key}.count", self.count, at_least=0)
        require(f"{key}.size_median", self.size_median, above=0, at_most=1)
        require(f"{key}.size_cv", self.size_cv, at_least=0)
        require(f"{key}.copies", self.copies, at_least=0, at_most=1)
        require(f"{key}.cost_prana_per_day", self.cost_prana_per_day, at_least=0, unit="PRANA")
        require(f"{key}.copy_cost", self.copy_cost, at_least=0)
        require(f"{key}.exit_after_s", self.exit_after_s, above=0, unit="s")


@dataclass(frozen=True, kw_only=True)
class ModelConsumerConfig:
    """Model consumers: how many, how often they order, what a model is worth to them, how long they wait."""

    count: int = 200  # model consumers
    orders_per_day: float = 0.5  # mean over them
    orders_cv: float = 1.0  # spread of that rate between them (lognormal)
    training_low: float = 0.3  # quality wanted is what this much training gives on all data (1: the task's target) ...
    training_high: float = 1.0  # ... to this much, uniformly
    value_median: float = 2_500.0  # PRANA that a model is worth per accelerator-hour that its quality takes
    value_cv: float = 0.4  # spread of that value between orders (lognormal)
    latency_ms: float = 100.0  # latency agreed
    patience_s: float = 21_600.0  # mean time an order waits for a trainer before it is given up (exponential)
    deadline_s: float = 86_400.0  # most that the training itself may take
    endowment_prana: float = 200_000.0  # what each owns at the start, from the treasury

    def __post_init__(self) -> None:
        """Check the ranges."""
        key = "training.consumers"
        require(f"{key}.count", self.count, at_least=1)
        for name in ("orders_per_day", "orders_cv", "value_cv"):
            require(f"{key}.{name}", getattr(self, name), at_least=0)
        for name in ("training_low", "value_median", "latency_ms", "patience_s", "deadline_s"):
            require(f"{key}.{name}", getattr(self, name), above=0)
        if self.training_high < self.training_low:
            raise ScenarioError(
                f"{key}.training_high must be >= training_low ({self.training_low:g}), got {self.training_high:g}"
            )
        require(f"{key}.endowment_prana", self.endowment_prana, at_least=0, unit="PRANA")
