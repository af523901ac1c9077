"""Fits to real training runs: error against training done, time against accelerators, power; and how good they are.

Everything here reads `celluler_sim.workloads.mlperf_training.TrainingResults`; the figures that come out are kept in
`celluler_sim.workloads.training_fitted`, so that no data file is needed to run. A fit is judged on what it was fitted
to and on what was left out: whole submitters, systems, machine sizes or kinds of accelerator at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from celluler_sim.book import Floats
from celluler_sim.workloads.training_laws import REFERENCE_ACCELERATORS, LearningCurve, PowerLaw, ScalingLaw

if TYPE_CHECKING:
    import pandas as pd

    from celluler_sim.workloads.mlperf_training import TrainingResults

LOSSES = ("gpt3", "llama2_70b_lora")  # their metric is a loss; of the others it is an accuracy, and 1 less it the error
ONE_PASS = ("dlrm_dcnv2", "gpt3")  # train once over fresh samples: there, samples seen are the size of the data
ONE_METRIC = "CLIP"  # of the two that stable_diffusion has
BINS = 30
EXPONENTS = np.geomspace(0.05, 8.0, 48)
OFFSETS = np.array([0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0])
SAME_SUBMITTER = {"smc-ac-power": "smc", "smc-dc-power": "smc"}  # folders of one submitter: metered and not
FLOPS = {  # dense tensor FLOP/s at 16 bits: Epoch AI (2024), where it has none the maker's data sheet
    "NVIDIA H100-SXM5-80GB": 9.894e14,
    "NVIDIA H100-SXM-80GB": 9.894e14,
    "NVIDIA H200-SXM5-141GB": 9.895e14,
    "NVIDIA H100-PCIe-80GB": 7.56e14,
    "NVIDIA A100-SXM4-80GB": 3.12e14,
    "NVIDIA L40S": 3.62e14,
    "Intel(R) Gaudi(R) 2 AI Accelerator": 4.5e14,
    "TPU-v5p": 4.59e14,
    "AMD Radeon RX 7900 XTX": 1.23e14,
    "NVIDIA GeForce RTX 4090": 3.3e14,
}
REFERENCE = "NVIDIA H100-SXM5-80GB"
SHRINKAGE = 1.0  # ridge penalty on what a benchmark or an accelerator does differently from the others
HUBER = 1.345  # residuals beyond this many standard deviations count linearly
ROUNDS = 30
HoldOut = Literal["submitter", "system", "size", "accelerator"]
HOLD_OUTS: tuple[HoldOut, ...] = ("submitter", "system", "size", "accelerator")


# ---- learning curves -----------------------------------------------------------------------------------------------


def curve_points(results: TrainingResults) -> pd.DataFrame:
    """Return every evaluation on the way to a target: ``benchmark``, ``submitter``, ``run_id``, ``x``, ``error``.

    ``x`` is the progress in the log's own terms (samples or epochs) over that of the run's last evaluation, so 1 is
    where the target was reached.
    """
    runs = results.successes().set_index("run_id")
    e = results.evals[results.evals["run_id"].isin(runs.index)]
    e = e[(e["metric"] == "") | (e["metric"] == ONE_METRIC)]
    progress = e["samples_count"].fillna(e["epoch_num"])
    benchmark = runs["benchmark"].reindex(e["run_id"]).to_numpy()
    value = e["eval_accuracy"].to_numpy()
    frame = e[["run_id"]].assign(
        benchmark=benchmark,
        submitter=runs["submitter"].replace(SAME_SUBMITTER).reindex(e["run_id"]).to_numpy(),
        x=(progress / progress.groupby(e["run_id"]).transform("max")).to_numpy(),
        error=np.where(np.isin(benchmark, LOSSES), value, 1.0 - value),
    )
    return frame[frame["x"] > 0].reset_index(drop=True)


def binned(x: Floats, y: Floats, bins: int = BINS) -> tuple[Floats, Floats]:
    """Return the medians of x and y in bins of about equally many points, (<= bins,) each: outliers count little."""
    edges = np.unique(np.quantile(x, np.linspace(0, 1, bins + 1)))
    if len(edges) == 1:
        return edges, np.array([np.median(y)])
    which = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, len(edges) - 2)
    kept = np.unique(which)
    return (
        np.array([np.median(x[which == k]) for k in kept]),
        np.array([np.median(y[which == k]) for k in kept]),
    )


def fit_curve(x: Floats, error: Floats) -> LearningCurve:
    """Return the power law with the least squared error on the binned medians.

    1. For each exponent and offset of a grid, floor and scale follow by linear least squares, with floor >= 0.
    2. The best of the grid is refined over its neighbours by golden sections in the exponent (variable projection,
       Golub and Pereyra 1973).
    """
    xs, ys = binned(x, error)

    def loss(log_exponent: float, offset: float) -> float:
        return _linear(xs, ys, float(np.exp(log_exponent)), offset)[0]

    grid = [(loss(a, c), a, c) for c in OFFSETS if c > 0 or xs.min() > 0 for a in np.log(EXPONENTS)]
    _, start, offset = min(grid)
    step = float(np.log(EXPONENTS[1] / EXPONENTS[0]))
    best = _golden(lambda a: loss(a, float(offset)), float(start) - step, float(start) + step)
    exponent = float(np.exp(best))
    _, floor, scale = _linear(xs, ys, exponent, float(offset))
    return LearningCurve(floor, scale, exponent, float(offset))


def _linear(x: Floats, y: Floats, exponent: float, offset: float) -> tuple[float, float, float]:
    """Return (squared error, floor, scale) of the best y = floor + scale * (x + offset)^-exponent with floor >= 0."""
    z = np.power(x + offset, -exponent)
    variance = float(np.mean((z - z.mean()) ** 2))
    scale = float(np.mean((z - z.mean()) * (y - y.mean()))) / variance if variance > 0 else 0.0
    floor = float(y.mean() - scale * z.mean())
    if floor < 0:
        floor, scale = 0.0, float(z @ y / (z @ z))
    if scale <= 0:
        return np.inf, floor, 0.0
    return float(np.sum((y - floor - scale * z) ** 2)), floor, scale


def _golden(f: Callable[[float], float], low: float, high: float, rounds: int = 40) -> float:
    """Return where a function of one number is least between ``low`` and ``high``, by golden sections (Kiefer 1953)."""
    ratio = (5**0.5 - 1) / 2
    a, b = high - ratio * (high - low), low + ratio * (high - low)
    fa, fb = f(a), f(b)
    for _ in range(rounds):
        if fa <= fb:
            high, b, fb = b, a, fa
            a = high - ratio * (high - low)
            fa = f(a)
        else:
            low, a, fa = a, b, fb
            b = low + ratio * (high - low)
            fb = f(b)
    return (low + high) / 2


@dataclass(frozen=True)
class CurveFit:
    """One benchmark's learning curve and how well it describes the runs."""

    benchmark: str
    curve: LearningCurve
    n_runs: int
    n_evals: int
    r2_medians: float  #  share of the variance of the binned medians that it explains
    r2_evals: float  #    the same over single evaluations, spread between runs included
    rmse: float  #        in the metric, over the binned medians
    rmse_held_out: float  # the same for each submitter by the curve of the others, pooled (NaN: one submitter only)
    spread: float  #      robust standard deviation of single evaluations about it, second half of the training


def fit_learning_curves(results: TrainingResults) -> list[CurveFit]:
    """Return a fit per benchmark, by name."""
    points = curve_points(results)
    return [_curve_fit(str(name), part) for name, part in points.groupby("benchmark", sort=True)]


def _curve_fit(name: str, points: pd.DataFrame) -> CurveFit:
    x, y = points["x"].to_numpy(), points["error"].to_numpy()
    curve = fit_curve(x, y)
    xs, ys = binned(x, y)
    residual = y - curve.error(x)
    late = residual[(x > 0.5) & (x < 1)]
    return CurveFit(
        benchmark=name, curve=curve, n_runs=int(points["run_id"].nunique()), n_evals=len(points),
        r2_medians=_r2(ys, curve.error(xs)), r2_evals=_r2(y, curve.error(x)),
        rmse=_rms(ys - curve.error(xs)), rmse_held_out=_curve_held_out(points),
        spread=float(1.4826 * np.median(np.abs(late - np.median(late)))) if len(late) else float("nan"),
    )  # fmt: skip


def _curve_held_out(points: pd.DataFrame) -> float:
    """Return the error of prediction for submitters that the curve has not seen, over their binned medians."""
    errors = []
    for submitter in sorted(set(points["submitter"])):
        own, others = points[points["submitter"] == submitter], points[points["submitter"] != submitter]
        if len(others):
            curve = fit_curve(others["x"].to_numpy(), others["error"].to_numpy())
            xs, ys = binned(own["x"].to_numpy(), own["error"].to_numpy())
            errors.append(ys - curve.error(xs))
    return _rms(np.concatenate(errors)) if errors else float("nan")


def _r2(y: Floats, predicted: Floats) -> float:
    whole = float(np.sum((y - y.mean()) ** 2))
    return 1.0 - float(np.sum((y - predicted) ** 2)) / whole if whole > 0 else float("nan")


def _rms(residual: Floats) -> float:
    return float(np.sqrt(np.mean(residual**2)))


def data_exponent(fits: list[CurveFit]) -> float:
    """Return the mean exponent of the one-pass benchmarks, where training seen and data are the same thing."""
    return float(np.mean([fit.curve.exponent for fit in fits if fit.benchmark in ONE_PASS]))


# ---- time against accelerators -------------------------------------------------------------------------------------


def system_times(results: TrainingResults) -> pd.DataFrame:
    """Return each system's median time per benchmark: one row a submitter, system, benchmark and machine size."""
    keys = ["submitter", "system", "benchmark", "accelerator_model_name", "n_accelerators"]
    runs = results.successes().replace({"submitter": SAME_SUBMITTER})
    found = runs.groupby(keys, as_index=False).agg(seconds=("time_to_train_s", "median"), runs=("run_id", "size"))
    found = found.rename(columns={"accelerator_model_name": "accelerator", "n_accelerators": "n"})
    return found.assign(size=found["benchmark"] + " on " + found["n"].astype(str))


@dataclass(frozen=True)
class TimeFit:
    """Time to target for every benchmark, machine size and kind of accelerator, fitted at once by least squares.

    log T = a_b + (s + s_b) L + (c + c_b) L^2 + f F + r_k, with L = log(n / 8) and F = log(FLOP/s over an H100's). What
    a benchmark b or an accelerator k does differently (s_b, c_b, r_k) is shrunk towards 0 by a ridge penalty; residuals
    are Huber's, by reweighting, so that a system tuned badly moves little. Systems count alike, whatever their runs.
    """

    benchmarks: tuple[str, ...]
    accelerators: tuple[str, ...]
    theta: Floats  # (3 m + 3 + k,) for m benchmarks and k accelerators, in the order of the formula

    @classmethod
    def of(cls, systems: pd.DataFrame, shrinkage: float = SHRINKAGE) -> TimeFit:
        """Fit the law to `system_times`."""
        benchmarks = tuple(sorted(set(systems["benchmark"])))
        empty = cls(benchmarks, tuple(FLOPS), np.empty(0))
        x, y = empty._features(systems), np.log(systems["seconds"].to_numpy())
        penalty = np.diag(empty._penalty(shrinkage))
        weight = np.ones(len(y))
        for _ in range(ROUNDS):
            theta = np.linalg.solve((x.T * weight) @ x + penalty, (x.T * weight) @ y)
            residual = np.abs(y - x @ theta)
            sigma = max(1.4826 * float(np.median(residual)), 0.03)
            weight = 1.0 / np.maximum(1.0, residual / (HUBER * sigma))
        return cls(benchmarks, tuple(FLOPS), theta)

    def _features(self, systems: pd.DataFrame) -> Floats:
        length = np.log(systems["n"].to_numpy() / REFERENCE_ACCELERATORS)
        named, kind = systems["benchmark"].to_numpy(), systems["accelerator"].to_numpy()
        which = np.array([named == b for b in self.benchmarks], dtype=np.float64)
        flops = np.log([FLOPS[k] / FLOPS[REFERENCE] for k in kind])
        kinds = np.array([kind == k for k in self.accelerators], dtype=np.float64)
        return np.vstack([which, length, which * length, length**2, which * length**2, flops, kinds]).T

    def _penalty(self, shrinkage: float) -> Floats:
        m, k, free = len(self.benchmarks), len(self.accelerators), 1e-6
        return np.array([free] * m + [free] + [shrinkage] * m + [free] + [shrinkage] * m + [free] + [shrinkage] * k)

    def predict(self, systems: pd.DataFrame) -> Floats:
        """Return the time to target of each row, (n,), s; NaN for a benchmark that was not fitted."""
        known = systems["benchmark"].isin(self.benchmarks).to_numpy()
        return np.where(known, np.exp(self._features(systems) @ self.theta), np.nan)

    def law(self, benchmark: str) -> ScalingLaw:
        """Return one benchmark's law on the reference accelerator."""
        m = len(self.benchmarks)
        i = self.benchmarks.index(benchmark)
        own = self.theta[-len(self.accelerators) + self.accelerators.index(REFERENCE)]
        slope = self.theta[m] + self.theta[m + 1 + i]
        curvature = self.theta[2 * m + 1] + self.theta[2 * m + 2 + i]
        return ScalingLaw(float(np.exp(self.theta[i] + own)), float(slope), float(curvature))

    def relative(self, accelerator: str) -> float:
        """Return the time on a kind of accelerator over that on the reference."""
        k = len(self.accelerators)
        speed, own = self.theta[-k - 1], self.theta[-k:]
        flops = np.log(FLOPS[accelerator] / FLOPS[REFERENCE])
        i, ref = self.accelerators.index(accelerator), self.accelerators.index(REFERENCE)
        return float(np.exp(speed * flops + own[i] - own[ref]))


def predict_held_out(systems: pd.DataFrame, by: HoldOut, shrinkage: float = SHRINKAGE) -> Floats:
    """Return each system's time as predicted by a fit that has seen nothing of its group, (n,), s.

    ``by`` names the group left out: the submitter, the system, the benchmark on this many accelerators, or the kind
    of accelerator. NaN where nobody else ran the benchmark.
    """
    predicted = np.full(len(systems), np.nan)
    groups = systems[by].to_numpy()
    for group in sorted(set(groups)):
        out = groups == group
        predicted[out] = TimeFit.of(systems[~out], shrinkage).predict(systems[out])
    return predicted


@dataclass(frozen=True)
class HoldOutScore:
    """How well times that were left out are predicted."""

    by: str
    systems: int  #        predicted
    median_error: float  # relative, over systems
    p90_error: float
    median_error_runs: float  # relative, over single runs, their own spread included


def score_held_out(results: TrainingResults, by: HoldOut, shrinkage: float = SHRINKAGE) -> HoldOutScore:
    """Return the relative errors of `predict_held_out` over systems and over the runs behind them."""
    systems = system_times(results)
    predicted = predict_held_out(systems, by, shrinkage)
    error = np.abs(predicted / systems["seconds"].to_numpy() - 1)
    known = np.isfinite(error)
    keys = ["submitter", "system", "benchmark"]
    runs = results.successes().replace({"submitter": SAME_SUBMITTER})
    runs = runs.merge(systems.assign(predicted=predicted), on=keys)
    runs = runs[runs["n_accelerators"] == runs["n"]]
    single = np.abs(runs["predicted"] / runs["time_to_train_s"] - 1).dropna()
    return HoldOutScore(
        by, int(known.sum()), float(np.median(error[known])), float(np.quantile(error[known], 0.9)),
        float(single.median()),
    )  # fmt: skip


def spread_of_time(results: TrainingResults) -> dict[str, float]:
    """Return each benchmark's run-to-run spread: median over systems of standard deviation over mean."""
    runs = results.successes()
    times = runs.groupby(["benchmark", "submitter", "system", "n_accelerators"])["time_to_train_s"]
    relative = (times.std() / times.mean()).dropna()
    return {str(name): float(value) for name, value in relative.groupby("benchmark").median().items()}


# ---- power ---------------------------------------------------------------------------------------------------------


def metered(results: TrainingResults) -> pd.DataFrame:
    """Return the runs metered at AC: ``benchmark``, ``system``, ``n``, ``seconds``, ``kwh``, ``watts`` each."""
    runs = results.successes()
    runs = runs[runs["energy_nodes_wh"].notna() & (runs["submitter"] == "smc-ac-power")]
    n, seconds, wh = (runs[c].to_numpy(np.float64) for c in ("n_accelerators", "time_to_train_s", "energy_nodes_wh"))
    return runs[["benchmark", "system"]].assign(n=n, seconds=seconds, kwh=wh / 1000, watts=wh * 3600 / (n * seconds))


def fit_power(rows: pd.DataFrame) -> dict[str, PowerLaw]:
    """Return each metered benchmark's power: its own level at 8, the slope over machine sizes that all share.

    Least squares in the logarithm, where every group of a benchmark and a size counts once.
    """
    groups = rows.groupby(["benchmark", "n"], as_index=False)["watts"].median()
    names = sorted(set(groups["benchmark"]))
    length = np.log(groups["n"].to_numpy() / REFERENCE_ACCELERATORS)
    x = np.vstack([*(groups["benchmark"].to_numpy() == b for b in names), length]).T.astype(np.float64)
    theta, *_ = np.linalg.lstsq(x, np.log(groups["watts"].to_numpy()), rcond=None)
    return {name: PowerLaw(float(np.exp(theta[i])), float(theta[-1])) for i, name in enumerate(names)}


def energy_error(rows: pd.DataFrame) -> tuple[float, float]:
    """Return the median relative error of energy: in the fit, and for machines of another size left out in turn."""
    inside = np.abs(_energy(rows, fit_power(rows)) / rows["kwh"].to_numpy() - 1)
    outside = []
    for n in sorted(set(rows["n"])):
        own, others = rows[rows["n"] == n], rows[rows["n"] != n]
        laws = fit_power(others)
        own = own[own["benchmark"].isin(laws)]
        outside.append(np.abs(_energy(own, laws) / own["kwh"].to_numpy() - 1))
    return float(np.median(inside)), float(np.median(np.concatenate(outside)))


def _energy(rows: pd.DataFrame, laws: dict[str, PowerLaw]) -> Floats:
    pairs = zip(rows["benchmark"], rows["n"].to_numpy(), rows["seconds"].to_numpy(), strict=True)
    return np.array([float(laws[b].energy(n, s)) for b, n, s in pairs])
