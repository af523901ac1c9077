"""Cross-validation by independent validators: what a model is worth, and whether its maker told the truth.

A model is scored by k validators, each on its own fold of held-out samples. Their mean is the score that pays, their
spread is reported, and a claim that lies significantly above the mean is refused. How often that happens is decided by
the folds: their number, their size, and how much they differ. A refused claim can be disputed: a second panel, larger
and of other validators, decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Floats, Frozen, Slots
from celluler_sim.errors import ScenarioError, require

Bools = npt.NDArray[np.bool_]
TESTS = ("t", "normal")


@dataclass(frozen=True)
class Verdict(Frozen):
    """What a panel found about each of n models."""

    mean: Floats  #      (n,) the score that pays, [0, 1]
    spread: Floats  #    (n,) standard deviation between folds
    error: Floats  #     (n,) standard error of the mean, as the test takes it
    statistic: Floats  # (n,) claim less mean over that error
    p_value: Floats  #   (n,) chance of such a mean or a lower one if the claim were true
    refused: Bools  #    (n,)


@dataclass(frozen=True, kw_only=True)
class CrossValidation:
    """k folds, one validator each; a claim stands unless a one-sided test on the folds refuses it."""

    folds: int = 5  # validators of a model, each with its own held-out samples
    fold_samples: int = 200  # held-out samples of each
    fold_spread: float = 0.01  # standard deviation of a model's true score between folds (some are harder)
    significance: float = 0.05  # chance that a true claim is refused by the first panel
    test: Literal["t", "normal"] = "t"  # t: spread estimated from the folds; normal: spread taken as known
    appeal_folds: int = 10  # validators of a disputed result

    def __post_init__(self) -> None:
        """Check the ranges."""
        key = "training.validation"
        if self.test not in TESTS:
            raise ScenarioError(f"{key}.test must be one of {', '.join(TESTS)}, got {self.test!r}")
        least = 2 if self.test == "t" else 1
        require(f"{key}.folds", self.folds, at_least=least, at_most=1000)
        require(f"{key}.appeal_folds", self.appeal_folds, at_least=least, at_most=1000)
        require(f"{key}.fold_samples", self.fold_samples, at_least=1)
        require(f"{key}.fold_spread", self.fold_spread, at_least=0, at_most=0.5)
        require(f"{key}.significance", self.significance, above=0, below=1)

    def fold_sigma(self, quality: Floats) -> Floats:
        """Return the standard deviation of one fold's score about the model's quality, shape of ``quality``.

        A fold's own quality is Q with mean q and variance s^2, its score is binomial: variance = q(1-q)/m + s^2(1-1/m).
        """
        q = np.clip(quality, 0.0, 1.0)
        m = self.fold_samples
        return np.asarray(np.sqrt(q * (1 - q) / m + self.fold_spread**2 * (1 - 1 / m)))

    def scores(self, quality: Floats, difficulty: Floats, luck: Floats) -> Floats:
        """Return each fold's score, (n, k): the share of its samples that the model gets right.

        Parameters
        ----------
        quality
            (n,) true quality, [0, 1].
        difficulty
            (n, k) standard normal draws: how much a fold differs.
        luck
            (n, k) uniform draws: which samples happen to be right (binomial, by inversion).
        """
        from scipy.special import bdtr, bdtrik

        own = np.clip(quality[:, None] + self.fold_spread * difficulty, 1e-9, 1 - 1e-9)
        m = self.fold_samples
        right = np.clip(np.ceil(np.nan_to_num(bdtrik(luck, m, own))), 0, m)
        right -= (right > 0) & (bdtr(np.maximum(right - 1, 0), m, own) >= luck)  # the inverse may be off by rounding
        return np.asarray(right / m)

    def judge(self, claimed: Floats, scores: Floats) -> Verdict:
        """Return what the folds say of the claims, (n,) against (n, k).

        1. Mean and standard deviation over the folds.
        2. Standard error: of the folds' own deviation (t), or as known for a model as good as claimed (normal).
        3. statistic = (claim - mean) / standard error; refused where its one-sided p-value is below the significance.

        Folds that agree to the last sample refuse any claim above them and none below.
        """
        k = scores.shape[1]
        mean = scores.mean(axis=1)
        spread = scores.std(axis=1, ddof=1) if k > 1 else np.zeros(len(mean))
        sigma = spread if self.test == "t" else self.fold_sigma(claimed)
        error = sigma / np.sqrt(k)
        above = claimed - mean
        with np.errstate(divide="ignore", invalid="ignore"):
            statistic = np.where(error > 0, above / error, np.where(above > 0, np.inf, np.where(above < 0, -np.inf, 0)))
        p_value = self._upper_tail(statistic, k)
        return Verdict(mean, spread, error, statistic, p_value, p_value < self.significance)

    def power(self, quality: Floats, overstatement: Floats | float, folds: int | None = None) -> Floats:
        """Return the probability that a claim of quality + overstatement is refused, shape of ``quality``.

        normal: 1 - F((z se0 - d) / se), with se0 of the claim and se of the truth. t: the upper tail of the noncentral
        t distribution with k - 1 degrees of freedom and noncentrality d / se, at the critical value of the central one.
        Scores are taken as normal, which they are nearly: m samples a fold and k folds.

        References
        ----------
        Johnson and Welch (1940), Applications of the non-central t-distribution.
        """
        from scipy.special import nctdtr, ndtr, ndtri, stdtrit

        k = self.folds if folds is None else folds
        q = np.asarray(quality, dtype=np.float64)
        error = self.fold_sigma(q) / np.sqrt(k)
        if self.test == "normal":
            critical = ndtri(1 - self.significance) * self.fold_sigma(q + overstatement) / np.sqrt(k)
            return np.asarray(1 - ndtr((critical - overstatement) / error))
        critical = stdtrit(k - 1, 1 - self.significance)
        return np.asarray(1 - nctdtr(k - 1, overstatement / error, critical))

    def _upper_tail(self, statistic: Floats, k: int) -> Floats:
        from scipy.special import ndtr, stdtr

        return np.asarray(ndtr(-statistic) if self.test == "normal" else stdtr(k - 1, -statistic))


def independent_panel(uniform: Floats, barred: Slots, k: int) -> Slots:
    """Return k validators for each of n models, (n, k), drawn at random among those with nothing to do with it.

    Parameters
    ----------
    uniform
        (n, n_validators) draws: the k smallest of a row that are not barred make its panel.
    barred
        (n, b) validators that may not serve, -1 for none: the trainer's own, or those of the first panel.
    """
    n, size = uniform.shape
    keys = uniform.copy()
    rows = np.repeat(np.arange(n), barred.shape[1])
    who = barred.ravel()
    keys[rows[who >= 0], who[who >= 0]] = np.inf
    if np.isinf(keys).sum(axis=1).max(initial=0) > size - k:
        raise ScenarioError(f"training.validators must be enough for a panel of {k} beside those barred, got {size}")
    return np.argsort(keys, axis=1, kind="stable")[:, :k]
