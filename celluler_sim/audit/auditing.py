"""Put a scenario's claims to the test: which survive what a finding must not depend on.

Every condition is run in the same worlds as the baseline, so figures are compared world by world: the interval of the
mean paired difference is set against a tolerance (two one-sided tests, Schuirmann 1987). The idea of an audit of
agent-based models, and its words, are those of Galán et al. (2009).
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from celluler_sim.audit.conditions import BASE, BASELINE, Condition, Point, Setting, conditions, points, settings
from celluler_sim.audit.config import CHANGES, Claim
from celluler_sim.errors import ScenarioError
from celluler_sim.experiments.executors import ExecutorRule
from celluler_sim.experiments.schedule import stream
from celluler_sim.experiments.statistics import t_quantile
from celluler_sim.experiments.worlds import Job, config_text
from celluler_sim.scenario import Scenario, compose

LEVEL = 0.90  # two-sided: each side is tested at 5 %
DEFAULT_TOLERANCE = 0.1  # of the baseline's figure
MIN_TOLERANCE = 1e-9
REPEATED = 3  # replicates that are run twice
Floats = npt.NDArray[np.float64]
Values = Mapping[tuple[Setting, int], Mapping[str, float]]  # figures by configuration and place of the replicate


class Bounds(NamedTuple):
    """A mean and its interval at `LEVEL`."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Verdict:
    """What one change did to one claim."""

    claim: str
    change: str  # of `CHANGES`
    verdict: str  # robust, shifted, fragile, inconclusive, skipped, does not hold
    reason: str
    command: str = ""  # that repeats the run in which it shows most


@dataclass(frozen=True)
class Audit:
    """All verdicts on one scenario, and the intervals that they rest on."""

    scenario: str
    replicates: int
    claims: Mapping[str, Claim]
    figures: Mapping[str, Mapping[str, Bounds]]  # by claim and condition; a slope for increasing and decreasing
    verdicts: tuple[Verdict, ...]

    @property
    def fragile(self) -> list[Verdict]:
        """The verdicts that a conclusion does not survive."""
        return [v for v in self.verdicts if v.verdict in ("fragile", "does not hold")]

    def of(self, claim: str) -> dict[str, str]:
        """Return the verdict per change of one claim."""
        return {v.change: v.verdict for v in self.verdicts if v.claim == claim}


def audit(
    scenario: str | Path, overrides: Sequence[str] = (), *, replicates: int | None = None, only: Sequence[str] = (),
    changes: Sequence[str] = (), executor: str = "", progress: Callable[[int, int], None] | None = None,
) -> Audit:  # fmt: skip
    """Rerun a scenario's claims under changes that a finding must survive.

    Parameters
    ----------
    scenario, overrides
        As for `celluler_sim.simulate`; the scenario's own ``audit.overrides`` come first.
    replicates
        Worlds per condition; the scenario's own number if not given.
    only, changes
        Names of claims and of `CHANGES`; all of them if not given.
    executor
        Where the runs go; the scenario's own if not given.
    progress
        Called with the number of runs done and the number there are.

    Raises
    ------
    ScenarioError
        There is nothing to audit, a claim's figure or key does not exist, or a run failed.
    """
    chosen = [f"executor={executor}"] if executor else []
    first = compose(scenario, [*overrides, *chosen])
    given = (*first.audit.overrides, *overrides, *chosen)
    setup = compose(scenario, given)
    claims = _chosen("claims", setup.claims, only)
    wanted = list(_chosen("changes", CHANGES, changes))
    for name, claim in claims.items():
        _check_claim(name, claim, setup)
    n = replicates or setup.audit.replicates
    ways = conditions(setup, wanted)
    plan = list(settings(claims, ways))
    values = _run(scenario, given, plan, n, setup.executor, progress)
    trial = Trial(scenario, given, setup, n, ways, values)
    verdicts = tuple(trial.verdict(name, claim, change) for name, claim in claims.items() for change in wanted)
    figures = {
        name: {way.name: bounds(trial.numbers(claim, way)[0]) for way in ways if way.change not in claim.skip}
        for name, claim in claims.items()
    }
    return Audit(setup.name, n, claims, figures, verdicts)


def _chosen(what: str, known: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    if not known:
        raise ScenarioError("audit needs a scenario that makes claims, got none under key claims; write some")
    for name in names:
        if name not in known:
            raise ScenarioError(f"{what} must be some of {', '.join(known)}; got {name}")
    return {name: entry for name, entry in known.items() if not names or name in names}


def _check_claim(name: str, claim: Claim, setup: Scenario) -> None:
    from celluler_sim.analysis.figures import FIGURES

    for variant in {claim.variant, claim.minus} - {"", BASE, *setup.variants}:
        raise ScenarioError(f"claims.{name} must name one of {', '.join([BASE, *setup.variants])}; got {variant}")
    if claim.metric not in FIGURES:
        raise ScenarioError(f"claims.{name}.metric must be a figure of the summary, got {claim.metric}")


def _run(
    scenario: str | Path, given: Sequence[str], plan: Sequence[Setting], n: int, executor: ExecutorRule,
    progress: Callable[[int, int], None] | None,
) -> dict[tuple[Setting, int], Mapping[str, float]]:  # fmt: skip
    """Run every configuration in every world; a figure that a run does not have counts as NaN."""
    configs = [config_text(setting.scenario(scenario, given)) for setting in plan]
    places = [(s, k) for s, setting in enumerate(plan) for k in range(_worlds(setting.condition, n))]
    jobs = [Job(j, configs[s], plan[s].condition.first + k) for j, (s, k) in enumerate(places)]
    values: dict[tuple[Setting, int], Mapping[str, float]] = {}
    for rows in stream(jobs, executor):
        for number, row in rows:
            s, k = places[number]
            if row["error"]:
                raise ScenarioError(
                    f"audit: {plan[s].condition.name}, replicate {jobs[number].replicate}: {row['error']}"
                )
            values[plan[s], k] = {key: _finite(figure) for key, figure in row.items()}
        if progress is not None:
            progress(len(values), len(jobs))
    return values


def _worlds(condition: Condition, n: int) -> int:
    return min(n, REPEATED) if condition.change == "repeat" else n


def _finite(figure: object) -> float:
    return float(figure) if isinstance(figure, int | float) else math.nan


@dataclass(frozen=True)
class Trial:
    """All runs of an audit, and what is asked of them."""

    scenario: str | Path
    given: tuple[str, ...]
    setup: Scenario
    n: int
    ways: Sequence[Condition]
    values: Values

    def numbers(self, claim: Claim, way: Condition) -> list[Floats]:
        """Return what a claim is about, one array (n_worlds,) per point, or one of slopes for a trend."""
        found = {point: self._figure(claim, way, point) for point in points(claim)}
        if not claim.over:
            return list(found.values())
        rest: dict[Point, list[Point]] = {}
        for point in found:
            rest.setdefault(tuple(entry for entry in point if entry[0] != claim.over), []).append(point)
        return [_slopes(claim, {p: found[p] for p in group}) for group in rest.values()]

    def _figure(self, claim: Claim, way: Condition, point: Point) -> Floats:
        def read(variant: str) -> Floats:
            setting = Setting(way, point, variant)
            return np.array([self.values[setting, k][claim.metric] for k in range(_worlds(way, self.n))])

        return read(claim.variant or BASE) - (read(claim.minus) if claim.minus else 0.0)

    def verdict(self, name: str, claim: Claim, change: str) -> Verdict:
        """Return what one change does to one claim."""
        skip = self.setup.audit.skip | claim.skip
        if change in skip:
            return Verdict(name, change, "skipped", skip[change])
        ways = [way for way in self.ways if way.change == change]
        if not ways:
            return Verdict(name, change, "skipped", "the scenario has nothing to double")
        base = self.numbers(claim, self.ways[0])
        if change == "repeat":
            return self._repeated(name, claim, ways[0], base)
        held = _holds(claim, base)
        if held != "holds":
            word = {"fails": "does not hold", "uncertain": "inconclusive"}[held]
            return Verdict(
                name, change, word, f"at the baseline the claim {_SAID[held]}", self._command(claim, self.ways[0], base)
            )
        return min((self._changed(name, claim, way, base) for way in ways), key=lambda v: _WORST.index(v.verdict))

    def _repeated(self, name: str, claim: Claim, way: Condition, base: list[Floats]) -> Verdict:
        again = self.numbers(claim, way)
        for before, after in zip(base, again, strict=True):
            if not np.array_equal(before[: len(after)], after, equal_nan=True):
                reason = "the same world gave another figure when it was run again"
                return Verdict(name, "repeat", "fragile", reason, self._command(claim, way, again))
        return Verdict(name, "repeat", "robust", f"{_worlds(way, self.n)} worlds came out the same again")

    def _changed(self, name: str, claim: Claim, way: Condition, base: list[Floats]) -> Verdict:
        now = self.numbers(claim, way)
        held = _holds(claim, now)
        command = self._command(claim, way, now)
        if held == "fails":
            return Verdict(name, way.change, "fragile", f"{way.name}: the claim fails", command)
        states = [_moved(b, v, _tolerance(claim, b)) for b, v in zip(base, now, strict=True)]
        if (worst := min(states, key=lambda s: _STATES.index(s[0])))[0] == "shifted":
            return Verdict(name, way.change, "shifted", f"{way.name}: {worst[1]}", command)
        if worst[0] == "undetermined" or held == "uncertain":
            reason = worst[1] if worst[0] == "undetermined" else f"the claim {_SAID[held]}"
            return Verdict(name, way.change, "inconclusive", f"{way.name}: {reason}", command)
        return Verdict(name, way.change, "robust", f"{way.name}: {worst[1]}")

    def _command(self, claim: Claim, way: Condition, numbers: list[Floats]) -> str:
        """Return the command that repeats the run which lies farthest from the mean."""
        figures = numbers[0]
        k = int(np.nanargmax(np.abs(figures - np.nanmean(figures)))) if np.isfinite(figures).any() else 0
        setting = Setting(way, points(claim)[0], claim.variant or BASE)
        own = [] if setting.variant == BASE else list(self.setup.variants[setting.variant])
        words = [f"scenario={self.scenario}", *setting.overrides(self.given), *own, f"replicate={way.first + k}"]
        return " ".join(["python -m celluler_sim", *map(shlex.quote, words)])


_SAID = {"fails": "does not hold", "uncertain": "is not settled by so few replicates"}
_WORST = ("fragile", "does not hold", "shifted", "inconclusive", "robust")
_STATES = ("shifted", "undetermined", "equivalent")


def _slopes(claim: Claim, found: Mapping[Point, Floats]) -> Floats:
    """Return each world's least-squares slope over the values of ``over``, (n_worlds,).

    Added up point by point: a matrix product rounds by how many worlds there are, and a world would not be repeated.
    """
    x = np.array([float(dict(point)[claim.over]) for point in found])
    y = np.stack(list(found.values()))
    x = x - x.mean()
    return np.asarray((x[:, None] * y).sum(axis=0) / float(x @ x))


def bounds(values: Floats) -> Bounds:
    """Return the mean and its interval at `LEVEL`; worlds without the figure do not count."""
    x = values[np.isfinite(values)]
    if len(x) < 2:
        return Bounds(float(x[0]) if len(x) else math.nan, -math.inf, math.inf)
    half = t_quantile(len(x) - 1, LEVEL) * float(x.std(ddof=1)) / math.sqrt(len(x))
    return Bounds(float(x.mean()), float(x.mean()) - half, float(x.mean()) + half)


def _holds(claim: Claim, numbers: list[Floats]) -> str:
    """Say whether a claim holds, fails or is uncertain, at all its points together."""
    said = [_side(claim, bounds(values)) for values in numbers]
    return "fails" if "fails" in said else "uncertain" if "uncertain" in said else "holds"


def _side(claim: Claim, b: Bounds) -> str:
    value = claim.value if claim.value is not None else 0.0
    low, high = {
        "greater_than": (value, math.inf),
        "less_than": (-math.inf, value),
        "between": claim.within or (-math.inf, math.inf),
        "increasing": (0.0, math.inf),
        "decreasing": (-math.inf, 0.0),
    }[claim.test]
    if math.isnan(b.mean):
        return "uncertain"
    if b.low > low and b.high < high:
        return "holds"
    return "fails" if b.high < low or b.low > high else "uncertain"


def _tolerance(claim: Claim, base: Floats) -> float:
    given = claim.tolerance
    return max(DEFAULT_TOLERANCE * abs(float(np.nanmean(base))) if given is None else given, MIN_TOLERANCE)


def _moved(base: Floats, now: Floats, tolerance: float) -> tuple[str, str]:
    """Say whether a change left the figure where it was: (equivalent, shifted or undetermined, in words)."""
    d = bounds(now - base)
    words = f"moved by {d.mean:+.4g} [{d.low:.4g}, {d.high:.4g}], tolerance {tolerance:.4g}"
    if -tolerance < d.low and d.high < tolerance:
        return "equivalent", words
    return ("shifted" if d.low > tolerance or d.high < -tolerance else "undetermined"), words


__all__ = ["BASELINE", "Audit", "Verdict", "audit", "bounds"]
