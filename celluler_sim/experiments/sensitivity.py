"""Which keys does a figure depend on? Sobol indices, Morris' elementary effects, PAWN, by SALib, over any numeric keys.

1. `sample` draws points of the box that the ranges span. 2. A model answers with figures at every point: the simulator
(`SimulatedModel`) or any function of columns. 3. `indices` attributes the variation of each figure to the keys.

References
----------
Sobol (2001), Global sensitivity indices for nonlinear mathematical models. Saltelli, Annoni, Azzini, Campolongo, Ratto
and Tarantola (2010), Variance based sensitivity analysis of model output. Morris (1991), Factorial sampling plans for
preliminary computational experiments. Pianosi and Wagener (2015), A simple and efficient method for global sensitivity
analysis based on cumulative distribution functions.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from celluler_sim.analysis.figures import FIGURES
from celluler_sim.config_build import did_you_mean, show
from celluler_sim.errors import CellulerError, ScenarioError
from celluler_sim.experiments.config import SensitivityConfig
from celluler_sim.experiments.replicates import bar
from celluler_sim.experiments.schedule import stream
from celluler_sim.experiments.sensitivity_journal import check, kept
from celluler_sim.experiments.statistics import Floats
from celluler_sim.experiments.worlds import Job, Row, config_text
from celluler_sim.run_folder import plain
from celluler_sim.scenario import Scenario, compose
from celluler_sim.streams import Streams

if TYPE_CHECKING:
    from celluler_sim.analysis.picture import Picture

MAIN = {"sobol": "ST", "morris": "mu_star", "pawn": "median"}  # the index by which keys are ranked
SPREAD = {"sobol": "ST_conf", "morris": "mu_star_conf", "pawn": ""}
WORDS = {
    "sobol": "total Sobol index: share of variance that vanishes only if the key is known",
    "morris": "mean absolute elementary effect over the key's range",
    "pawn": "PAWN: median distance between conditional and unconditional distribution",
}


class Model(Protocol):
    """Answers with figures at points."""

    def __call__(self, points: Floats) -> Mapping[str, Floats]:
        """Return each figure at every point, (n_points,), for ``points``, (n_points, n_keys)."""
        ...


@dataclass(frozen=True)
class Sensitivity:
    """What a figure depends on."""

    name: str
    config: SensitivityConfig
    points: Floats = field(repr=False)  # (n_points, n_keys)
    outputs: dict[str, Floats] = field(repr=False)  # figure: (n_points,)
    indices: dict[str, dict[str, Floats]] = field(repr=False)  # figure: index: (n_keys,), or (n_keys, n_keys) of S2

    @property
    def keys(self) -> list[str]:
        """The keys that were varied."""
        return list(self.config.keys)

    def ranked(self, figure: str) -> list[tuple[str, float]]:
        """Return the keys with the method's main index, the strongest first."""
        found = self.indices[figure][MAIN[self.config.method]]
        order = np.argsort(-np.nan_to_num(found, nan=-1.0), kind="stable")
        return [(self.keys[i], float(found[i])) for i in order]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values: ``figures: {figure: {index: {key: value}}}``; of pairs a list of lists."""
        figures = {
            name: {
                kind: dict(zip(self.keys, values, strict=True)) if values.ndim == 1 else values
                for kind, values in found.items()
            }
            for name, found in self.indices.items()
        }
        config = self.config
        facts = {"name": self.name, "method": config.method, "samples": config.samples, "points": len(self.points)}
        found: dict[str, Any] = plain(facts | {"keys": config.keys, "figures": figures})
        return found

    def tornado(self, figure: str) -> Picture:
        """Return a bar for each key, the strongest on top."""
        from celluler_sim.experiments.page import label
        from celluler_sim.experiments.pictures import tornado_picture

        method, found = self.config.method, self.indices[figure]
        size = found[MAIN[method]]
        spread = found.get(SPREAD[method], np.zeros(len(size)))
        return tornado_picture(f"What {label(figure)} depends on", self.keys, size, spread, WORDS[method])

    def sobol(self, figure: str) -> Picture:
        """Return first-order and total indices side by side; ValueError for another method."""
        from celluler_sim.experiments.page import label
        from celluler_sim.experiments.pictures import sobol_picture

        if self.config.method != "sobol":
            raise ValueError(f"sobol picture needs method sobol, got {self.config.method}")
        return sobol_picture(f"Shares of the variance of {label(figure)}", self.keys, self.indices[figure])

    def save(self, folder: str | Path) -> Path:
        """Write table, JSON, pictures and page; return the folder."""
        from celluler_sim.experiments.sensitivity_page import write_sensitivity

        return write_sensitivity(self, Path(folder))


def analyse(config: SensitivityConfig, model: Model, *, seed: int = 1, name: str = "") -> Sensitivity:
    """Sample, ask the model, and attribute: the one path for the simulator and for functions alike.

    Raises
    ------
    ScenarioError
        No key, SALib not installed, or a number of samples that the method cannot use.
    """
    points = sample(config, seed)
    outputs = {figure: np.asarray(values, dtype=np.float64) for figure, values in model(points).items()}
    found = {figure: indices(config, points, values, seed) for figure, values in outputs.items()}
    return Sensitivity(name, config, points, outputs, found)


def _salib() -> Any:
    try:
        import SALib
    except ImportError as error:
        remedy = "pip install 'celluler-sim[sensitivity]'"
        raise ScenarioError(f"sensitivity needs the package SALib, which is not installed: {remedy}") from error
    return SALib


def _problem(config: SensitivityConfig) -> dict[str, Any]:
    if not config.keys:
        rule = "must name at least one key with its range"
        raise ScenarioError(f"sensitivity.keys {rule}, such as {{pricing.base_price: [50, 200]}}; got none")
    return {"num_vars": len(config.keys), "names": list(config.keys), "bounds": [list(r) for r in config.keys.values()]}


def sample(config: SensitivityConfig, seed: int = 1) -> Floats:
    """Return the points at which to ask, (n_points, n_keys), within the ranges."""
    _salib()
    problem = _problem(config)
    if config.method == "sobol":
        if config.samples & (config.samples - 1):
            near = 1 << round(math.log2(config.samples))
            raise ScenarioError(
                f"sensitivity.samples must be a power of 2 for method sobol, got {config.samples}; try {near}"
            )
        from SALib.sample import sobol

        return np.asarray(sobol.sample(problem, config.samples, calc_second_order=config.second_order, seed=seed))
    if config.method == "morris":
        from SALib.sample import morris

        return np.asarray(morris.sample(problem, config.samples, num_levels=config.levels, seed=seed))
    if config.samples < 2 * config.slices:
        rule = f"must be at least twice sensitivity.slices ({config.slices}) for method pawn"
        raise ScenarioError(f"sensitivity.samples {rule}, got {config.samples}")
    from SALib.sample import latin

    return np.asarray(latin.sample(problem, config.samples, seed=seed))


def indices(config: SensitivityConfig, points: Floats, values: Floats, seed: int = 1) -> dict[str, Floats]:
    """Return a figure's indices by name, (n_keys,) each; NaN where the figure is missing somewhere or never varies."""
    problem = _problem(config)
    if not np.isfinite(values).all() or np.ptp(values) == 0:
        return {kind: np.full(len(config.keys), np.nan) for kind in _kinds(config)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a resample of few points may be constant: its NaN says so
        found = _attribute(config, problem, points, values, seed)
    return {kind: np.asarray(found[kind], dtype=np.float64) for kind in _kinds(config)}


def _attribute(config: SensitivityConfig, problem: dict[str, Any], points: Floats, values: Floats, seed: int) -> Any:
    """Return SALib's answer."""
    if config.method == "sobol":
        from SALib.analyze import sobol

        return sobol.analyze(problem, values, calc_second_order=config.second_order, seed=seed)
    if config.method == "morris":
        from SALib.analyze import morris

        return morris.analyze(problem, points, values, num_levels=config.levels, scaled=False, seed=seed)
    from SALib.analyze import pawn

    return pawn.analyze(problem, points, values, S=config.slices, seed=seed)


def _kinds(config: SensitivityConfig) -> tuple[str, ...]:
    if config.method == "sobol":
        return ("S1", "S1_conf", "ST", "ST_conf", *(("S2", "S2_conf") if config.second_order else ()))
    if config.method == "morris":
        return ("mu", "mu_star", "mu_star_conf", "sigma")
    return ("minimum", "mean", "median", "maximum", "CV")


# ---- the simulator as a model ----------------------------------------------------------------------------------------


class SimulatedModel:
    """The simulator at points of some of its keys: figures, mean over the same worlds at every point.

    Parameters
    ----------
    scenario
        What is run; its `sensitivity` says which keys vary, which figures are wanted, over how many worlds.
    folder
        Where runs are kept as they finish, and those of a stopped analysis are found again; nowhere if not given.
    progress
        Whether to show a progress bar.

    Raises
    ------
    ScenarioError
        A key that does not exist or is no number, a figure that no summary has.
    """

    def __init__(
        self, scenario: Scenario, folder: Path | None = None, *, progress: Literal["auto"] | bool = False
    ) -> None:
        self.scenario, self.config, self.progress = scenario, scenario.sensitivity, progress
        self.folder = folder
        self._mapping = scenario.to_mapping()
        numbers = dict(_numbers(self._mapping))
        for key in self.config.keys:
            if key not in numbers:
                hint = did_you_mean(key, numbers) or "; docs/reference/keys.md lists them"
                raise ScenarioError(f"sensitivity.keys must name numeric keys of the scenario, got {show(key)}{hint}")
        for name in self.config.figures:
            if name not in FIGURES and not name.startswith("trace_"):
                raise ScenarioError(
                    f"sensitivity.figures must name figures, got {show(name)}{did_you_mean(name, FIGURES)}"
                )
        self._whole = {key for key in self.config.keys if isinstance(numbers[key], int)}

    def at(self, point: Sequence[float]) -> Scenario:
        """Return the scenario at a point; whole-number keys take the nearest one."""
        mapping = json.loads(json.dumps(self._mapping))
        for key, value in zip(self.config.keys, point, strict=True):
            holder = mapping
            *path, leaf = key.split(".")
            for part in path:
                holder = holder[part]
            holder[leaf] = round(value) if key in self._whole else float(value)
        try:
            return Scenario.from_mapping(mapping)
        except CellulerError as error:
            raise ScenarioError(f"sensitivity.keys must have ranges of values that are allowed: {error}") from error

    def __call__(self, points: Floats) -> dict[str, Floats]:
        """Run every point in every world and return the wanted figures, (n_points,) each, NaN where one is missing."""
        worlds, first = self.config.replicates, self.scenario.replicate
        texts = [config_text(self.at(point)) for point in points.tolist()]
        jobs = [Job(i * worlds + w, text, first + w) for i, text in enumerate(texts) for w in range(worlds)]
        with kept(self.folder, self.scenario) as runs:
            left = [job for job in jobs if job.number not in runs.rows]
            with bar(len(jobs), self.progress, len(jobs) - len(left)) as advance:
                for some in stream(left, self.scenario.executor):
                    runs.add(some)
                    if failed := [(number, row) for number, row in some if row["outcome"] != "finished"]:
                        number, row = failed[0]
                        where = dict(zip(self.config.keys, points[number // worlds].tolist(), strict=True))
                        raise ScenarioError(f"sensitivity: the run at {where} failed: {row['error']}")
                    advance(len(some))
            rows = [runs.rows[job.number] for job in jobs]
        return {name: self._mean(rows, name, worlds) for name in self.config.figures}

    def _mean(self, rows: Sequence[Row], name: str, worlds: int) -> Floats:
        """Return a figure's mean over worlds at every point, (n_points,)."""
        values = [math.nan if row.get(name) is None else float(row[name]) for row in rows]
        return np.asarray(np.reshape(values, (-1, worlds)).mean(axis=1))


def _numbers(mapping: Mapping[str, Any], path: str = "") -> list[tuple[str, Any]]:
    """Return every numeric key of a configuration, dotted, with its value."""
    found: list[tuple[str, Any]] = []
    for name, value in mapping.items():
        key = f"{path}{name}"
        if isinstance(value, Mapping) and key not in ("sensitivity", "variants", "until_width"):
            found += _numbers(value, f"{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool) and key not in ("seed", "replicate"):
            found.append((key, value))
    return found


def sensitivity(
    scenario: str | Path = "compute_congestion",
    overrides: Sequence[str] = (),
    *,
    folder: str | Path | None = None,
    progress: Literal["auto"] | bool = False,
) -> Sensitivity:
    """Find out which keys a scenario's figures depend on; its key `sensitivity` says how.

    Runs are kept in ``folder`` as they finish, if one is given: the same call goes on where it was stopped.
    `Sensitivity.save` of the same folder then writes the result.

    Raises
    ------
    CellulerError
        One line naming key, rule, value and remedy.
    """
    return of_scenario(compose(scenario, overrides), None if folder is None else Path(folder), progress=progress)


def of_scenario(
    scenario: Scenario, folder: Path | None = None, *, progress: Literal["auto"] | bool = False
) -> Sensitivity:
    """Find out which keys the figures of a composed scenario depend on; see `sensitivity`."""
    seed = Streams(scenario.seed, scenario.replicate).key("sensitivity.points") & 0x7FFFFFFF
    _problem(scenario.sensitivity)
    if folder is not None:
        check(folder, scenario)
    model = SimulatedModel(scenario, folder, progress=progress)
    return analyse(scenario.sensitivity, model, seed=seed, name=scenario.name)
