"""Training jobs fitted to real runs: what it takes to reach a target, and what comes of taking less.

Source of every figure: MLPerf Training v4.0 (MLCommons Association 2024, Apache License 2.0; repository
mlcommons/training_results_v4.0, commit 6fe954378efe), successful runs, second copies left out, fitted by
`celluler_sim.analysis.learning_curves`. MLPerf is a mark of the MLCommons Association; the figures are not official
results. Time is on H100 SXM5; power is that of a whole node shared out, at AC, from the 148 metered runs, whose mean
stands in for the benchmarks that were not metered. The data exponent is the learning curve's own where training is one
pass over fresh samples (dlrm_dcnv2, gpt3), so that training is data; elsewhere the mean of those two stands in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from celluler_sim.book import Floats
from celluler_sim.config_build import did_you_mean
from celluler_sim.errors import ScenarioError
from celluler_sim.workloads.training_laws import REFERENCE_ACCELERATORS, LearningCurve, PowerLaw, ScalingLaw

H100_FLOPS: Final = 9.894e14  # FLOP/s, dense, the data sheet's peak: converts accelerator-hours to units of work


@dataclass(frozen=True)
class Task:
    """One kind of model to train."""

    name: str
    metric: Literal["accuracy", "loss"]  # the quality is the accuracy itself, or exp(-loss)
    curve: LearningCurve
    scaling: ScalingLaw
    power: PowerLaw
    time_cv: float  #       spread of the time from run to run
    score_sd: float  #      spread of the error from run to run, late in training, in the metric
    most_accelerators: int  # largest machine it was run on
    eval_samples: int  #    samples in one evaluation

    def quality(self, training: Floats, data: Floats | float = 1.0) -> Floats:
        """Return the quality in [0, 1] after ``training`` (1: to the target) on the share ``data`` of the data."""
        return self.of_error(self.curve.error(training, data))

    def of_error(self, error: Floats) -> Floats:
        """Return the quality in [0, 1] of a model with this error in the metric, shape of ``error``."""
        return np.clip(np.exp(-error) if self.metric == "loss" else 1.0 - error, 0.0, 1.0)

    def training(self, quality: Floats, data: Floats | float = 1.0) -> Floats:
        """Return the training that reaches ``quality`` in (0, 1), shape of it; infinite where none does."""
        return self.curve.training(-np.log(quality) if self.metric == "loss" else 1.0 - quality, data)

    @property
    def target(self) -> float:
        """Quality of full training on all data."""
        return float(self.quality(np.array(1.0)))

    @property
    def hours(self) -> float:
        """Accelerator-hours to the target on the reference machine, 8 H100."""
        return float(self.scaling.accelerator_hours(np.array(float(REFERENCE_ACCELERATORS))))

    @property
    def energy(self) -> float:
        """Energy to the target on the reference machine, kWh."""
        n = np.array(float(REFERENCE_ACCELERATORS))
        return float(self.power.energy(n, self.scaling.time(n)))


_ALL = (
    Task(
        "bert", "accuracy", LearningCurve(0.261, 0.6197, 7.088, 1, 0.2176),
        ScalingLaw(334.2, -1.0, 0.06026), PowerLaw(967.1, -0.0349),
        0.0705, 0.005379, 3472, 10000,
    ),
    Task(
        "dlrm_dcnv2", "accuracy", LearningCurve(0.1844, 0.01284, 0.2682, 0, 0.2682),
        ScalingLaw(230.5, -0.9238, 0.1572), PowerLaw(1059.0, -0.0349),
        0.05084, 0.0001577, 128, 89137319,
    ),
    Task(
        "gnn", "accuracy", LearningCurve(0.277, 0.006139, 1.929, 0.3, 0.2176),
        ScalingLaw(682.5, -0.9444, 0.09532), PowerLaw(959.6, -0.0349),
        0.04379, 0.0009618, 512, 788379,
    ),
    Task(
        "gpt3", "loss", LearningCurve(2.548, 0.1458, 0.1669, 0.1, 0.1669),
        ScalingLaw(156000.0, -0.9922, 0.0109), PowerLaw(989.4, -0.0349),
        0.003037, 0.0009292, 11616, 11590004,
    ),
    Task(
        "llama2_70b_lora", "loss", LearningCurve(0.9135, 0.01225, 1.142, 0, 0.2176),
        ScalingLaw(1744.0, -0.9311, 0.0667), PowerLaw(804.1, -0.0349),
        0.0634, 0.002053, 1024, 173,
    ),
    Task(
        "resnet", "accuracy", LearningCurve(0.0, 0.2771, 0.4338, 0, 0.2176),
        ScalingLaw(819.5, -0.9061, 0.03365), PowerLaw(956.5, -0.0349),
        0.001306, 0.01905, 3584, 50000,
    ),
    Task(
        "ssd", "accuracy", LearningCurve(0.6464, 0.0215, 1.245, 0, 0.2176),
        ScalingLaw(2131.0, -0.9517, 0.05092), PowerLaw(890.8, -0.0349),
        0.001163, 0.003879, 2528, 97,
    ),
    Task(
        "stable_diffusion", "accuracy", LearningCurve(0.0, 0.834, 0.07862, 0.03, 0.2176),
        ScalingLaw(2519.0, -1.04, 0.06893), PowerLaw(959.6, -0.0349),
        0.09273, 0.008756, 1024, 30000,
    ),
    Task(
        "unet3d", "accuracy", LearningCurve(0.0, 0.2926, 0.7797, 3, 0.2176),
        ScalingLaw(694.2, -0.987, 0.0802), PowerLaw(1079.0, -0.0349),
        0.2766, 0.00687, 768, 42,
    ),
)  # fmt: skip
TASKS: Final = {task.name: task for task in _ALL}
"""Every task by its name."""

RELATIVE_TIME: Final = {
    "NVIDIA H100-SXM5-80GB": 1.0,
    "NVIDIA H100-SXM-80GB": 1.017,
    "NVIDIA H200-SXM5-141GB": 0.9289,
    "NVIDIA H100-PCIe-80GB": 1.573,
    "NVIDIA A100-SXM4-80GB": 3.654,
    "NVIDIA L40S": 3.278,
    "Intel(R) Gaudi(R) 2 AI Accelerator": 2.494,
    "TPU-v5p": 2.181,
    "AMD Radeon RX 7900 XTX": 9.708,
    "NVIDIA GeForce RTX 4090": 3.639,
}
"""Time to target on a kind of accelerator over that on the H100 SXM5, as fitted."""


def task(name: str) -> Task:
    """Return one task by name; an unknown one raises `ScenarioError` with the names there are."""
    if name not in TASKS:
        known = ", ".join(TASKS)
        raise ScenarioError(f"training.tasks must name some of {known}; got {name!r}{did_you_mean(name, TASKS)}")
    return TASKS[name]
