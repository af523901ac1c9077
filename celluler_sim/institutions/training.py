"""A market for AI training: trainers sell models, buy compute and data, and are checked by independent validators."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

from celluler_sim.agents.training_config import DataProviderConfig, ModelConsumerConfig, TrainerConfig
from celluler_sim.errors import ScenarioError, require
from celluler_sim.institutions.training_prices import ModelPrices
from celluler_sim.mechanisms.base import register
from celluler_sim.mechanisms.cross_validation import CrossValidation
from celluler_sim.mechanisms.laws import Law
from celluler_sim.workloads.training_fitted import task

if TYPE_CHECKING:
    from celluler_sim.economy import Economy
    from celluler_sim.institutions.training_market import TrainingInstitution

DEFAULT_TASKS = {"resnet": 0.3, "ssd": 0.2, "bert": 0.2, "unet3d": 0.15, "dlrm_dcnv2": 0.15}


@register("training", "market")
@dataclass(frozen=True, kw_only=True)
class TrainingMarket:
    """Orders of models are matched with trainers, provisioned through both markets, validated, and paid by the score.

    1. A consumer orders a model of a task, to a quality; consensus orders the orders.
    2. The trainer with the best record takes it, plans compute and data, and provisions it atomically.
    3. When the compute has been delivered, the trainer claims a quality; validators score the model on their folds.
    4. A claim significantly above the score is refused: the consumer gets its money back, the trainer loses its bond,
       unless a second panel, which the trainer may call, lets the claim stand.
    5. An accepted model is paid by its mean score. What data added to that price goes to its owners, by `sharing`.
    """

    tasks: dict[str, float] = field(default_factory=lambda: dict(DEFAULT_TASKS))  # shares of orders by task
    trainers: TrainerConfig = field(default_factory=TrainerConfig)
    data_providers: DataProviderConfig = field(default_factory=DataProviderConfig)
    consumers: ModelConsumerConfig = field(default_factory=ModelConsumerConfig)
    validation: CrossValidation = field(default_factory=CrossValidation)
    prices: ModelPrices = field(default_factory=ModelPrices)
    pays: Literal["score", "claim"] = "score"  # what an accepted model is paid by
    validators: int = 20  # that score models
    fee_prana: float = 5.0  # of a validator for one fold
    bond_share: float = 0.5  # of the agreed price that a trainer puts up, and loses when its claim is refused
    public_data: float = 0.05  # share of each task's full data that is free to all
    data_share: float = 1.0  # of what data adds to the price, the part that its owners get
    most_training: float = 3.0  # most training a trainer plans, 1: what the task's target takes
    retry_s: float = 1_800.0  # after this time an order that could not be provisioned is tried again

    claims: ClassVar[frozenset[Law]] = frozenset()

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name, share in self.tasks.items():
            task(name)
            require(f"training.tasks.{name}", share, at_least=0)
        if not self.tasks or sum(self.tasks.values()) <= 0:
            raise ScenarioError(f"training.tasks must give a positive share to at least one task, got {self.tasks}")
        if self.pays not in ("score", "claim"):
            raise ScenarioError(f"training.pays must be one of score, claim, got {self.pays!r}")
        for name in ("fee_prana", "bond_share", "retry_s"):
            require(f"training.{name}", getattr(self, name), at_least=0)
        require("training.public_data", self.public_data, above=0, at_most=1)
        require("training.data_share", self.data_share, at_least=0, at_most=1)
        require("training.most_training", self.most_training, above=0)
        needed = self.validation.folds + self.validation.appeal_folds
        if self.validators < needed:
            raise ScenarioError(
                f"training.validators must be >= {needed}, folds and appeal_folds together, got {self.validators}: "
                "an appeal is decided by others"
            )

    def open(self, economy: Economy) -> TrainingInstitution:
        """Set the market up in an economy."""
        from celluler_sim.institutions.training_market import TrainingInstitution

        return TrainingInstitution(economy, self)
