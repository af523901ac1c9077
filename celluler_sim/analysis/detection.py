"""How good a detector is: counts of right and wrong accusations, curves over all thresholds, delay and money.

Truth is an array of booleans, true for cheats; scores are suspicion, higher for more. Where a figure divides nothing by
nothing (the precision of a detector that accused nobody) it is NaN.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Floats, Slots


def _share(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


@dataclass(frozen=True)
class Confusion:
    """Who was accused against who cheats.

    >>> Confusion(tp=80, fp=20, fn=40, tn=860).precision
    0.8
    """

    tp: int  # cheats accused
    fp: int  # honest agents accused
    fn: int  # cheats not accused
    tn: int  # honest agents not accused

    def __post_init__(self) -> None:
        """Refuse negative counts."""
        if min(self.tp, self.fp, self.fn, self.tn) < 0:
            raise ValueError(f"counts must be >= 0, got {(self.tp, self.fp, self.fn, self.tn)}")

    @property
    def total(self) -> int:
        """Everybody."""
        return self.tp + self.fp + self.fn + self.tn

    @property
    def precision(self) -> float:
        """Cheats among those accused: the positive predictive value."""
        return _share(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float:
        """Those accused among cheats: the true-positive rate."""
        return _share(self.tp, self.tp + self.fn)

    @property
    def false_alarm_rate(self) -> float:
        """Those accused among the honest: the false-positive rate."""
        return _share(self.fp, self.fp + self.tn)

    @property
    def specificity(self) -> float:
        """Those left alone among the honest."""
        return _share(self.tn, self.fp + self.tn)

    @property
    def negative_predictive_value(self) -> float:
        """The honest among those left alone."""
        return _share(self.tn, self.fn + self.tn)

    @property
    def accuracy(self) -> float:
        """Those judged rightly among all."""
        return _share(self.tp + self.tn, self.total)

    @property
    def balanced_accuracy(self) -> float:
        """Mean of recall and specificity."""
        return (self.recall + self.specificity) / 2

    @property
    def prevalence(self) -> float:
        """Cheats among all."""
        return _share(self.tp + self.fn, self.total)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return self.f_beta(1.0)

    def f_beta(self, beta: float) -> float:
        """Return (1 + beta^2) P R / (beta^2 P + R): recall counts beta times as much as precision."""
        weight = beta * beta
        return _share((1 + weight) * self.tp, (1 + weight) * self.tp + weight * self.fn + self.fp)

    @property
    def mcc(self) -> float:
        """Matthews correlation of accusations with cheating, [-1, 1].

        References
        ----------
        Matthews (1975), Comparison of the predicted and observed secondary structure of T4 phage lysozyme.
        """
        margins = (self.tp + self.fp) * (self.tp + self.fn) * (self.tn + self.fp) * (self.tn + self.fn)
        return _share(self.tp * self.tn - self.fp * self.fn, math.sqrt(margins))


def confusion(truth: npt.ArrayLike, flagged: npt.ArrayLike) -> Confusion:
    """Return the counts of two columns of booleans, (n,)."""
    cheat, accused = np.asarray(truth, dtype=np.bool_), np.asarray(flagged, dtype=np.bool_)
    if cheat.shape != accused.shape:
        raise ValueError(f"truth and flagged must be as long as each other, got {cheat.shape} and {accused.shape}")
    counts = np.bincount(2 * cheat.astype(np.int64).reshape(-1) + accused.reshape(-1), minlength=4)
    return Confusion(tp=int(counts[3]), fp=int(counts[1]), fn=int(counts[2]), tn=int(counts[0]))


def predictive_values(prevalence: float, tpr: float, fpr: float) -> tuple[float, float]:
    """Return (chance that an accused agent cheats, chance that one left alone is honest), by Bayes' rule."""
    for name, value in (("prevalence", prevalence), ("tpr", tpr), ("fpr", fpr)):
        if not 0 <= value <= 1:
            raise ValueError(f"{name} must be >= 0 and <= 1, got {value}")
    accused = prevalence * tpr + (1 - prevalence) * fpr
    honest_left = (1 - prevalence) * (1 - fpr)
    return _share(prevalence * tpr, accused), _share(honest_left, honest_left + prevalence * (1 - tpr))


@dataclass(frozen=True)
class Curve:
    """What every threshold would give, from none accused to all; one point per different score."""

    threshold: Floats  # (n_points,) scores from here on are flagged; inf first
    false_alarm_rate: Floats  # (n_points,)
    recall: Floats  # (n_points,)
    precision: Floats  # (n_points,) 1 where nobody is accused

    @property
    def auc(self) -> float:
        """Area under recall over false-alarm rate: the chance that a cheat scores above an honest agent, ties half."""
        step = np.diff(self.false_alarm_rate)
        return float(step @ (self.recall[1:] + self.recall[:-1])) / 2

    @property
    def average_precision(self) -> float:
        """Sum of precision times the recall each threshold adds: the area under the precision-recall curve in steps."""
        return float(np.diff(self.recall) @ self.precision[1:])

    def recall_at(self, false_alarm_rate: float) -> float:
        """Return the largest recall at no more than this false-alarm rate."""
        return float(self.recall[self.false_alarm_rate <= false_alarm_rate].max())


def curve(truth: npt.ArrayLike, score: npt.ArrayLike) -> Curve:
    """Return the ROC and precision-recall curves of scores, (n,).

    Raises
    ------
    ValueError
        If a score is NaN, or there is no cheat or no honest agent.

    >>> curve([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]).auc
    0.75
    """
    cheat, x = np.asarray(truth, dtype=np.bool_).reshape(-1), np.asarray(score, dtype=np.float64).reshape(-1)
    if cheat.shape != x.shape or np.isnan(x).any():
        raise ValueError("scores must be numbers, one for each entry of truth")
    if cheat.all() or not cheat.any():
        raise ValueError(f"truth needs cheats and honest agents, got {int(cheat.sum())} cheats of {cheat.size}")
    order = np.argsort(-x, kind="stable")
    last = np.append(np.diff(x[order]) != 0, True)
    tp, fp = np.cumsum(cheat[order])[last], np.cumsum(~cheat[order])[last]
    precision = np.concatenate([[1.0], tp / (tp + fp)])
    rates = [np.concatenate([[0.0], count / count[-1]]) for count in (fp, tp)]
    return Curve(np.concatenate([[np.inf], x[order][last]]), rates[0], rates[1], precision)


@dataclass(frozen=True)
class Bands:
    """Intervals of curves, by bootstrap: what other samples of as many cheats and honest agents would give."""

    auc: tuple[float, float]  # lower and upper end
    average_precision: tuple[float, float]
    grid: Floats  #     (n_grid,) false-alarm rates of `recall`, recalls of `precision`; 0 to 1
    recall: Floats  #   (2, n_grid) lower and upper end of the largest recall at no more than each false-alarm rate
    precision: Floats  # (2, n_grid) of the precision at the first threshold that reaches each recall


def bands(
    truth: npt.ArrayLike, score: npt.ArrayLike, *, resamples: int = 1000, level: float = 0.95, seed: int = 0
) -> Bands:
    """Return pointwise percentile intervals of the curves of scores, (n,), and of what they sum up to.

    Steps: draw as many cheats, and as many honest agents, with replacement from those there are; find the curves of
    each such sample; take quantiles. Where no honest score is above a cheat's every sample says so too, and the
    interval has no width, however few they are: `auc_error` does not help there either.

    Raises
    ------
    ValueError
        As `curve`, and where ``resamples`` is below 1 or ``level`` not between 0 and 1.

    References
    ----------
    Efron and Tibshirani (1993), An introduction to the bootstrap. Fawcett (2006), An introduction to ROC analysis.
    """
    if resamples < 1 or not 0 < level < 1:
        raise ValueError(f"resamples must be >= 1 and 0 < level < 1, got {resamples} and {level}")
    points = len(curve(truth, score).threshold) - 1  # refuses what makes no curve
    cheat, x = np.asarray(truth, dtype=np.bool_).reshape(-1), np.asarray(score, dtype=np.float64).reshape(-1)
    place = points - 1 - np.unique(x, return_inverse=True)[1].reshape(-1).astype(np.int64)  # 0: the highest score
    rng = np.random.Generator(np.random.PCG64(seed))
    tp, fp = (_resampled(place[side], points, resamples, rng) for side in (cheat, ~cheat))
    recall, alarms = tp / tp[:, -1:], fp / fp[:, -1:]
    precision = np.where(tp + fp > 0, tp / np.maximum(tp + fp, 1), 1.0)
    auc = (np.diff(alarms, axis=1) * (recall[:, 1:] + recall[:, :-1])).sum(axis=1) / 2
    average = (np.diff(recall, axis=1) * precision[:, 1:]).sum(axis=1)
    grid, ends = np.linspace(0.0, 1.0, 101), ((1 - level) / 2, (1 + level) / 2)
    reached = [row[np.searchsorted(a, grid, side="right") - 1] for row, a in zip(recall, alarms, strict=True)]
    exact = [row[np.searchsorted(r, grid, side="left")] for row, r in zip(precision, recall, strict=True)]
    low, high = np.quantile([auc, average], ends, axis=1)
    return Bands(
        (float(low[0]), float(high[0])), (float(low[1]), float(high[1])), grid,
        np.quantile(reached, ends, axis=0), np.quantile(exact, ends, axis=0),
    )  # fmt: skip


def _resampled(place: Slots, points: int, resamples: int, rng: np.random.Generator) -> Slots:
    """Return how many of a sample drawn anew are flagged at each threshold, none first, (resamples, 1 + points)."""
    n = len(place)
    drawn = place[rng.integers(n, size=(resamples, n))] + points * np.arange(resamples)[:, None]
    counts = np.bincount(drawn.reshape(-1), minlength=points * resamples).reshape(resamples, points)
    return np.asarray(np.pad(np.cumsum(counts, axis=1), ((0, 0), (1, 0))), dtype=np.int64)


def auc_error(auc: float, cheats: int, honest: int) -> float:
    """Return the standard error of an area under the ROC curve.

    References
    ----------
    Hanley and McNeil (1982), The meaning and use of the area under a receiver operating characteristic (ROC) curve.
    """
    q1, q2 = auc / (2 - auc), 2 * auc * auc / (1 + auc)
    spread = auc * (1 - auc) + (cheats - 1) * (q1 - auc * auc) + (honest - 1) * (q2 - auc * auc)
    return math.sqrt(max(spread, 0.0) / (cheats * honest))


def wilson(count: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """Return the interval of a rate of which ``count`` of ``n`` were seen.

    References
    ----------
    Wilson (1927), Probable inference, the law of succession, and statistical inference.
    """
    if not 0 <= count <= n or n < 1:
        raise ValueError(f"count must be >= 0 and <= n, n >= 1, got {count} of {n}")
    rate, middle = count / n, (count + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * math.sqrt(n * rate * (1 - rate) + z * z / 4)
    return max(0.0, middle - half), min(1.0, middle + half)


def delays(first_offence: Floats, first_flag: Floats) -> Floats:
    """Return the seconds from each cheat's first offence to its first accusation, (n,); inf where never accused.

    Both are (n,) s; NaN or inf in ``first_flag``: never. An accusation before the first offence was false and
    counts as none.
    """
    late = np.where(np.isnan(first_flag), np.inf, first_flag) - first_offence
    return np.asarray(np.where(late >= 0, late, np.inf))


@dataclass(frozen=True)
class Money:
    """What detection was worth, in PRANA."""

    prevented: float  # loss that there would have been without detection, less the loss that there was
    recovered: float  # fines, slashed stakes and payments taken back
    spent: float  # on checks
    wrongly: float  # taken from honest agents

    @property
    def net(self) -> float:
        """What is left of all that; fines move money, so only what was prevented makes anybody richer."""
        return self.prevented - self.spent - self.wrongly

    @property
    def per_prana(self) -> float:
        """Loss prevented per PRANA spent on checks."""
        return _share(self.prevented, self.spent)


def conformal_threshold(honest: npt.ArrayLike, false_alarm_rate: float) -> float:
    """Return the threshold above which a new honest score lies with at most the chance stated.

    It is the ceil((n + 1)(1 - rate))-th smallest of n scores of agents known to be honest, inf where n is too small to
    promise that; it needs no model of scores, only that the new one is exchangeable with those. Flag what is *above*.

    References
    ----------
    Vovk, Gammerman and Shafer (2005), Algorithmic learning in a random world.
    """
    if not 0 < false_alarm_rate < 1:
        raise ValueError(f"false_alarm_rate must be > 0 and < 1, got {false_alarm_rate}")
    scores = np.sort(np.asarray(honest, dtype=np.float64).reshape(-1))
    place = math.ceil((scores.size + 1) * (1 - false_alarm_rate) - 1e-9)
    return float(scores[place - 1]) if place <= scores.size else math.inf
