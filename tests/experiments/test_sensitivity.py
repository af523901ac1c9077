"""Which keys a figure depends on: the same path for functions with known indices and for the simulator."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import celluler_sim
from celluler_sim.errors import CellulerError, ResultsError, ScenarioError
from celluler_sim.experiments import sensitivity
from celluler_sim.experiments.anova import decompose, product_indices
from celluler_sim.experiments.config import SensitivityConfig
from celluler_sim.experiments.schedule import stream
from celluler_sim.experiments.sensitivity import SimulatedModel, analyse, of_scenario, sample
from celluler_sim.experiments.sensitivity_journal import JOURNAL, PLAN, forget
from celluler_sim.experiments.statistics import Floats
from celluler_sim.scenario import compose
from tests.experiments.conftest import SMALL, Call

PI = float(np.pi)
CUBE: dict[str, tuple[float, float]] = {f"x{i}": (-PI, PI) for i in (1, 2, 3)}
needs_salib = pytest.mark.skipif(find_spec("SALib") is None, reason="SALib is not installed")
KEYS = "sensitivity={method: %s, samples: %d, keys: {pricing.base_price: [50, 200], agents.providers.count: [4, 9]}}"


def ishigami(x: Floats) -> Floats:
    """Ishigami and Homma's function with a = 7, b = 0.1."""
    return np.asarray(np.sin(x[:, 0]) + 7 * np.sin(x[:, 1]) ** 2 + 0.1 * x[:, 2] ** 4 * np.sin(x[:, 0]))


def as_model(points: Floats) -> Mapping[str, Floats]:
    return {"f": ishigami(points), "constant": np.ones(len(points))}


@needs_salib
def test_sobol_on_ishigami():
    """Published: S1 0.3139, 0.4424, 0; ST 0.5576, 0.4424, 0.2437. With N = 8192 within 0.02."""
    found = analyse(SensitivityConfig(keys=CUBE, samples=8192), as_model)
    assert found.indices["f"]["S1"] == pytest.approx([0.3139, 0.4424, 0.0], abs=0.02)
    assert found.indices["f"]["ST"] == pytest.approx([0.5576, 0.4424, 0.2437], abs=0.02)
    assert [key for key, _ in found.ranked("f")] == ["x1", "x2", "x3"]
    assert np.isnan(found.indices["constant"]["S1"]).all()
    assert found.to_dict()["figures"]["constant"]["S1"] == {"x1": None, "x2": None, "x3": None}


@needs_salib
def test_morris_and_pawn_on_a_line():
    """Of f = 3 x1 + x2 on ranges of length 2 and 1: effects over a whole range 6 and 1, a third key none, no spread."""
    keys = {"x1": (0.0, 2.0), "x2": (0.0, 1.0), "x3": (5.0, 6.0)}

    def line(points: Floats) -> Mapping[str, Floats]:
        return {"f": 3 * points[:, 0] + points[:, 1]}

    morris = analyse(SensitivityConfig(keys=keys, samples=20, method="morris"), line).indices["f"]
    assert morris["mu_star"] == pytest.approx([6, 1, 0], abs=1e-9)
    assert morris["sigma"] == pytest.approx([0, 0, 0], abs=1e-9)
    pawn = analyse(SensitivityConfig(keys=keys, samples=500, method="pawn"), line)
    assert pawn.ranked("f")[0][0] == "x1"


@needs_salib
@pytest.mark.parametrize("method", ["sobol", "morris", "pawn"])
def test_points_lie_in_their_ranges_and_repeat(method: str):
    config = SensitivityConfig(keys={"a": (2.0, 3.0), "b": (-1.0, 1.0)}, samples=32, method=method)  # type: ignore[arg-type]
    points = sample(config, 5)
    assert points.shape == ({"sobol": 32 * 4, "morris": 32 * 3, "pawn": 32}[method], 2)
    assert (points.min(axis=0) >= [2, -1]).all()
    assert (points.max(axis=0) <= [3, 1]).all()
    assert points.tolist() == sample(config, 5).tolist() != sample(config, 6).tolist()


def test_the_exact_decomposition_by_hand():
    """On unit ranges x1 + x2 has variance 1/12 + 1/12 and no pair; x1 x2 has 1/9 - 1/16 = 7/144, of it 1/48 each."""
    unit = [(0.0, 1.0), (0.0, 1.0)]
    plus = decompose(lambda x: x.sum(axis=1), unit)
    assert plus["S1"] == pytest.approx([0.5, 0.5])
    assert (plus["variance"], plus["S12"]) == pytest.approx((1 / 6, 0.0))
    times = decompose(lambda x: x.prod(axis=1), unit)
    assert times["S1"] == pytest.approx([3 / 7, 3 / 7])
    assert times["ST"] == pytest.approx([4 / 7, 4 / 7])
    other = product_indices([lambda x: x] * 2, unit)
    assert all(times[name] == pytest.approx(value) for name, value in other.items())


@settings(max_examples=40)
@given(st.floats(-5, 5), st.floats(-5, 5), st.floats(0.1, 3))
def test_indices_add_up(a: float, b: float, c: float):
    """First-order indices and those of pairs of a function of two keys sum to 1; scale and shift change nothing."""

    def function(x: Floats) -> Floats:
        return np.asarray(c * np.sin(x[:, 0]) + a * x[:, 1] + b * x[:, 0] * x[:, 1])

    bounds = [(-1.0, 2.0), (0.0, 1.0)]
    found = decompose(function, bounds)
    assert sum(found["S1"]) + found["S12"] == pytest.approx(1.0, abs=1e-9)
    assert decompose(lambda x: 3 * function(x) - 7, bounds)["ST"] == pytest.approx(found["ST"], abs=1e-9)


@pytest.mark.usefixtures("pictures")
@needs_salib
def test_the_command(call: Call):
    outcome = call("sensitivity", *SMALL, KEYS % ("sobol", 4), "--out", "here", "--json")
    assert outcome.code == 0, outcome.err
    found = json.loads(outcome.out)
    assert (found["points"], list(found["keys"])) == (16, ["pricing.base_price", "agents.providers.count"])
    assert set(found["figures"]["mean_price_prana"]) == {"S1", "S1_conf", "ST", "ST_conf"}
    assert {path.name for path in Path("here/figures").iterdir()} >= {
        "mean_price_prana-tornado.png",
        "mean_price_prana-sobol.png",
    }
    table = pd.read_parquet("here/sensitivity.parquet")
    assert len(table) == 16
    assert table["pricing.base_price"].between(50, 200).all()


def test_points_are_scenarios(small: list[str]):
    """Whole-number keys take the nearest whole number; all other keys stay."""
    model = SimulatedModel(compose(None, [*small, KEYS % ("sobol", 4)]))
    scenario = model.at([80.5, 6.6])
    assert (scenario.pricing.base_price, scenario.agents.providers.count) == (80.5, 7)
    assert scenario.ticks == 10


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("sensitivity.samples=8", "sensitivity.keys must name at least one key with its range"),
        ("sensitivity.keys={pricing.base_prize: [1, 2]}", "got 'pricing.base_prize'; did you mean pricing.base_price?"),
        ("sensitivity.keys={pricing.cycle: [1, 2]}", "must name numeric keys of the scenario, got 'pricing.cycle'"),
        ("sensitivity.keys={pricing.base_price: [2, 1]}", "must be a range [low, high] with low < high, got [2"),
        ("sensitivity.keys={pricing.base_price: [2]}", "must have 2 entries"),
        ("sensitivity={samples: 48, keys: {pricing.base_price: [1, 2]}}", "a power of 2 for method sobol, got 48"),
        ("sensitivity={method: soble, keys: {pricing.base_price: [1, 2]}}", "method must be one of sobol, morris"),
        ("sensitivity={samples: 4, keys: {pricing.base_price: [-2, 2]}}", "that are allowed: pricing.base_price"),
        ("sensitivity={figures: [mean_wait], keys: {pricing.base_price: [1, 2]}}", "name figures, got 'mean_wait'"),
    ],
)  # fmt: skip
@needs_salib
def test_mistakes_are_one_line(setting: str, message: str, call: Call):
    outcome = call("sensitivity", *SMALL, setting)
    assert (outcome.code, outcome.err.count("\n")) == (1, 1), outcome.err
    assert message in outcome.err
    assert list(Path().iterdir()) == []


def test_without_salib_it_is_one_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "SALib", None)
    with pytest.raises(
        ScenarioError, match="needs the package SALib, which is not installed: pip install 'celluler-sim"
    ):
        analyse(SensitivityConfig(keys=CUBE), as_model)


@needs_salib
def test_the_function_in_python(small: list[str]):
    found = celluler_sim.sensitivity(overrides=[*small, KEYS % ("morris", 2), "sensitivity.replicates=2"])
    assert found.points.shape == (6, 2)
    assert found.ranked("mean_price_prana")[0][0] == "pricing.base_price"
    assert issubclass(ScenarioError, CellulerError)


STOPPED = [*SMALL, KEYS % ("morris", 8)]


@needs_salib
@pytest.mark.slow
def test_killed_and_started_again_it_is_as_if_nothing_had_been(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """``kill -9`` in the middle: the same command runs what is missing and no more, to the very same answer."""
    scenario, folder = compose(None, STOPPED), tmp_path / "stopped"
    command = [sys.executable, "-m", "celluler_sim", "sensitivity", *STOPPED, "--out", str(folder)]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while lines(folder) < 3:
            assert process.poll() is None, "it ended by itself"
            time.sleep(0.02)
        process.kill()
    kept = lines(folder)
    whole = of_scenario(scenario, tmp_path / "whole")
    assert 3 <= kept < len(whole.points) == 24
    ran = []
    monkeypatch.setattr(sensitivity, "stream", lambda jobs, rule: ran.extend(jobs) or stream(jobs, rule))
    again = of_scenario(scenario, folder)
    assert len(ran) == 24 - kept
    assert again.to_dict() == whole.to_dict()
    for name, values in whole.outputs.items():
        assert values.tolist() == again.outputs[name].tolist()
    assert {path.name for path in folder.iterdir()} == {PLAN, JOURNAL}
    forget(folder)
    assert not list(folder.iterdir())


def lines(folder: Path) -> int:
    """Return how many whole rows a journal has."""
    return (folder / JOURNAL).read_bytes().count(b"\n") if (folder / JOURNAL).is_file() else 0


@needs_salib
def test_a_folder_of_another_analysis_is_refused_before_anything_runs(small: list[str], tmp_path: Path):
    """Other ranges mean other points: their runs must not be mixed, and a finished analysis is not overwritten."""
    folder = tmp_path / "out"
    celluler_sim.sensitivity(overrides=[*small, KEYS % ("morris", 2)], folder=folder)
    other = [*small, KEYS % ("morris", 2), "sensitivity.levels=6"]
    with pytest.raises(ResultsError, match="must not hold another analysis"):
        celluler_sim.sensitivity(overrides=other, folder=folder)
    (folder / "sensitivity.json").write_text("{}")
    with pytest.raises(ResultsError, match="must not hold a finished analysis"):
        celluler_sim.sensitivity(overrides=[*small, KEYS % ("morris", 2)], folder=folder)


@needs_salib
def test_rows_that_make_no_sense_are_run_again(small: list[str], tmp_path: Path):
    """A number that is a text, a figure too few, a run that does not exist: none of them enters the answer."""
    overrides = [*small, KEYS % ("morris", 2)]
    whole = celluler_sim.sensitivity(overrides=overrides, folder=tmp_path)
    good = [json.loads(line) for line in (tmp_path / JOURNAL).read_text().splitlines()]
    figures = good[0]["figures"]
    bad = [
        {"run": 0, "figures": dict.fromkeys(figures, "7")}, {"run": 1, "figures": {"mean_price_prana": 7}},
        {"run": 99, "figures": figures}, {"run": "2", "figures": figures}, {"figures": figures},
    ]  # fmt: skip
    (tmp_path / JOURNAL).write_text("".join(json.dumps(row) + "\n" for row in bad))
    assert celluler_sim.sensitivity(overrides=overrides, folder=tmp_path).to_dict() == whole.to_dict()
