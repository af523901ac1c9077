"""Two configurations in the same worlds: what differs, how surely, and what pairing was worth."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from celluler_sim.config_build import show
from celluler_sim.errors import ResultsError, ScenarioError
from celluler_sim.experiments.executors import Serial
from celluler_sim.experiments.replicates import bar, read_rows
from celluler_sim.experiments.schedule import stream
from celluler_sim.experiments.statistics import Paired, holm, paired
from celluler_sim.experiments.tables import figures_in, to_arrow
from celluler_sim.experiments.worlds import SPEED, Job, Row, config_text
from celluler_sim.run_folder import plain
from celluler_sim.scenario import Scenario, compose
from celluler_sim.streams import world_number

if TYPE_CHECKING:
    import pandas as pd

    from celluler_sim.analysis.picture import Picture

REPLICATES = 30  # where nobody says how many
SIDES = ("a", "b")


@dataclass(frozen=True)
class Side:
    """One of the two: what it is, and what of it has been run already."""

    text: str  # as it was asked for
    scenario: Scenario
    rows: list[Row] = field(default_factory=list, repr=False)  # of a run folder

    def world(self, replicate: int) -> int:
        """Return the number of one of its worlds."""
        return world_number(self.scenario.seed, replicate)


@dataclass(frozen=True)
class Comparison:
    """A less B, figure by figure, over worlds that both have lived in."""

    a: str
    b: str
    figures: dict[str, Paired]
    corrected: dict[str, float]  # p-values after Holm's correction
    rows: list[Row] = field(repr=False)  # of both, with a column `side`

    @property
    def worlds(self) -> int:
        """How many worlds both were run in."""
        return sum(row["side"] == "a" for row in self.rows)

    @property
    def table(self) -> pd.DataFrame:
        """Every run of both sides, a row each."""
        leading = ("side", "replicate", "seed", "outcome", "error", "duration_s")
        frame: pd.DataFrame = to_arrow(self.rows, leading).to_pandas()
        return frame

    def to_dict(self) -> dict[str, Any]:
        """Return plain values: ``figures: {name: {difference, low, high, variance_ratio, ...}}``; no number is None."""
        figures = {
            name: {
                "difference": f.difference,
                "low": f.low,
                "high": f.high,
                "variance_ratio": f.variance_ratio,
                "variance_ratio_limit": ratio_limit(self.rows, name),
                "mean_a": f.mean_a,
                "mean_b": f.mean_b,
                "p": f.p,
                "p_holm": self.corrected[name],
                "worlds": f.n,
            }
            for name, f in self.figures.items()
        }
        found: dict[str, Any] = plain({"a": self.a, "b": self.b, "replicates": self.worlds, "figures": figures})
        return found

    def picture(self) -> Picture:
        """Return the differences with their intervals."""
        from celluler_sim.experiments.pictures import comparison_picture

        return comparison_picture(self.figures, self.corrected, (self.a, self.b))

    def save(self, folder: str | Path) -> Path:
        """Write ``comparison.json``, ``comparison.parquet``, ``comparison.html`` and the picture; return the folder."""
        from celluler_sim.experiments.compare_page import write_comparison

        return write_comparison(self, Path(folder))


def ratio_limit(rows: Sequence[Mapping[str, Any]], name: str) -> float:
    """Return the variance ratio that worlds coupled perfectly, with correlation 1, would give for one figure.

    With standard deviations s and t it is (s^2 + t^2) / (s - t)^2: pairing removes what both sides have in common, and
    a figure that one side moves k times as much as the other keeps (k - 1) parts of it.
    """
    a, b = (_sd([row[name] for row in rows if row["side"] == side and row.get(name) is not None]) for side in SIDES)
    if a == b:
        return math.inf if a > 0 else math.nan
    return (a * a + b * b) / (a - b) ** 2


def _sd(values: Sequence[float]) -> float:
    from celluler_sim.experiments.statistics import interval

    return interval(values).sd


def compare(
    a: str | Path | Sequence[str],
    b: str | Path | Sequence[str],
    *,
    replicates: int | None = None,
    executor: str = "",
    progress: Literal["auto"] | bool = False,
) -> Comparison:
    """Run A and B in the same worlds, as far as that has not been done, and return what differs.

    Parameters
    ----------
    a, b
        Each the folder of a run or of a job with replicates, or overrides: a list, or one text as on the command line.
    replicates
        In how many worlds; as many as A's folder has, or 30, if not given.
    executor
        Where they run, ``serial`` or ``processes`` or ``dask``; as A says if not given.
    progress
        Whether to show a progress bar.

    Raises
    ------
    ScenarioError, ResultsError
        A side that is neither a folder of a run nor overrides, sides with different seeds, a replicate that failed.

    Examples
    --------
    >>> small = "ticks=3 executor=serial agents.consumers.jobs_per_day=500 pricing="
    >>> compare(small + "linear", small + "linear", replicates=3).figures["mean_price_prana"].difference
    0.0
    """
    one, two = _side(a, "A"), _side(b, "B")
    if one.scenario.seed != two.scenario.seed:
        seeds = f"{one.scenario.seed} and {two.scenario.seed}"
        raise ScenarioError(f"compare: the seed must be the same for A and B, got {seeds}; give one of them seed=…")
    if replicates is not None and replicates < 1:
        raise ScenarioError(f"--replicates must be >= 1, got {replicates}")
    worlds = _worlds(one, two, replicates)
    if executor:
        one = replace(one, scenario=compose_executor(one.scenario, executor))
    found = _run(one, two, worlds, progress=progress)
    rows = [{"side": side, **found[side, i]} for side in SIDES for i in worlds]
    return _comparison(one.text, two.text, rows)


def compose_executor(scenario: Scenario, name: str) -> Scenario:
    """Return a scenario with another executor, with its defaults."""
    from celluler_sim.conf.choices import rule

    return replace(scenario, mechanisms={**scenario.mechanisms, "executor": rule("executor", name)()})


def _side(asked: str | Path | Sequence[str], name: str) -> Side:
    """Return one side, from a folder or from overrides."""
    if isinstance(asked, Path) or (isinstance(asked, str) and Path(asked).is_dir()):
        return _from_folder(Path(asked))
    words = shlex.split(asked) if isinstance(asked, str) else [str(word) for word in asked]
    odd = [word for word in words if "=" not in word]
    if odd or not words:
        given = odd[0] if odd else "nothing"
        rule = "must be the folder of a run, or overrides in quotes such as 'pricing=linear ticks=600'"
        raise ScenarioError(f"{name} {rule}; got {show(given)}, which is no folder and no KEY=VALUE")
    return Side(" ".join(words), compose(None, words))


def _from_folder(folder: Path) -> Side:
    """Return the side that a run's folder holds, with the rows that are finished."""
    from celluler_sim.results import load_run

    if (folder / "sweep.json").is_file():
        raise ResultsError(
            f"results folder {folder} must hold one run, got a sweep; name the folder of one of its jobs"
        )
    run = load_run(folder)
    if run.config.get("plugins"):
        remedy = "write its overrides in quotes instead, with plugins=[…]"
        raise ScenarioError(
            f"results folder {folder} must need no plugins to be compared, got {run.config['plugins']}: "
            f"what a folder names is not imported; {remedy}"
        )
    scenario = Scenario.from_mapping(run.config)
    rows = read_rows(folder)
    if not rows and run.manifest.get("outcome") == "finished":
        rows = [_row_of(run.summary, scenario)]
    return Side(str(folder), scenario, [row for row in rows if row.get("outcome") == "finished"])


def _row_of(summary: Mapping[str, Any], scenario: Scenario) -> Row:
    """Return the row that a single run amounts to."""
    figures = {name: value for name, value in summary.items() if name not in SPEED}
    seed = world_number(scenario.seed, scenario.replicate)
    seconds = summary.get("simulation_seconds")
    head = {"replicate": scenario.replicate, "seed": seed, "outcome": "finished", "error": None, "duration_s": seconds}
    return head | figures


def _worlds(one: Side, two: Side, replicates: int | None) -> list[int]:
    """Return the replicate numbers to compare: those that both have run, then those that one has, then further ones."""
    have = [[row["replicate"] for row in side.rows] for side in (one, two)]
    common = [i for i in have[0] if i in set(have[1])]
    known = list(dict.fromkeys([*common, *have[0], *have[1]]))
    count = (
        replicates
        if replicates is not None
        else max(len(have[0]), len(have[1]))
        if max(map(len, have)) > 1
        else REPLICATES
    )
    first = min(known, default=one.scenario.replicate)
    further = (i for i in range(first, first + count + len(known)) if i not in set(known))
    return sorted([*known, *further][:count])


def _run(
    one: Side, two: Side, worlds: Sequence[int], *, progress: Literal["auto"] | bool
) -> dict[tuple[str, int], Row]:
    """Return a row for each side and world; what no folder holds is run, both sides of a world together."""
    sides = dict(zip(SIDES, (one, two), strict=True))
    found = {(name, row["replicate"]): row for name, side in sides.items() for row in side.rows}
    missing = [(name, i) for i in worlds for name in SIDES if (name, i) not in found]
    texts = {name: config_text(side.scenario) for name, side in sides.items()}
    jobs = [Job(number, texts[name], i) for number, (name, i) in enumerate(missing)]
    rule = one.scenario.executor if len(jobs) > 1 else Serial()
    with bar(len(jobs), progress) as advance:
        for some in stream(jobs, rule):
            for number, row in some:
                name, i = missing[number]
                if row["outcome"] != "finished":
                    raise ScenarioError(f"{name.upper()} ({sides[name].text}), replicate {i}: {row['error']}")
                found[name, i] = row
            advance(len(some))
    return found


def _comparison(a: str, b: str, rows: list[Row]) -> Comparison:
    leading = ("side", "replicate", "seed", "outcome", "error", "duration_s")
    figures = {}
    for name in figures_in(rows, leading):
        values = [
            [math.nan if row.get(name) is None else float(row[name]) for row in rows if row["side"] == side]
            for side in SIDES
        ]
        found = paired(*values)
        if found.n:
            figures[name] = found
    corrected = holm([f.p for f in figures.values()])
    return Comparison(a, b, figures, dict(zip(figures, map(float, corrected), strict=True)), rows)
