"""Two configurations in the same worlds."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pandas as pd
import pytest

import celluler_sim
from celluler_sim.experiments.compare import _comparison, ratio_limit
from celluler_sim.live_page import SCRIPT
from celluler_sim.run_folder import MANIFEST
from tests.experiments.conftest import SMALL, Call

TEXT = " ".join(SMALL)


def rows(a: list[float], b: list[float]) -> list[dict[str, object]]:
    return [
        {"side": side, "replicate": i, "mean_wait_s": value}
        for side, values in (("a", a), ("b", b))
        for i, value in enumerate(values)
    ]


def test_a_comparison_by_hand():
    """A 11, 22, 33 less B 10, 20, 30 is 2 on average; sds are 11 and 10, so that no pairing could beat 221 / 1."""
    found = _comparison("A", "B", rows([11.0, 22.0, 33.0], [10.0, 20.0, 30.0]))
    entry = found.to_dict()["figures"]["mean_wait_s"]
    assert (entry["difference"], entry["variance_ratio"], entry["variance_ratio_limit"]) == pytest.approx((2, 221, 221))
    assert (entry["mean_a"], entry["mean_b"], entry["worlds"]) == (22, 20, 3)
    assert entry["low"] == pytest.approx(2 - 4.302653 / math.sqrt(3), abs=1e-6)
    assert entry["p_holm"] == entry["p"]


def test_no_pairing_beats_the_limit():
    """Worlds that move A by 2 for every 1 of B keep a quarter of A's variance: (4 + 1) / (2 - 1)^2 = 5."""
    same = rows([2.0, 4.0, 6.0], [1.0, 2.0, 3.0])
    assert ratio_limit(same, "mean_wait_s") == pytest.approx(5.0)
    assert _comparison("A", "B", same).figures["mean_wait_s"].variance_ratio == pytest.approx(5.0)
    assert _comparison("A", "B", rows([2.0, 6.0, 4.0], [1.0, 2.0, 3.0])).figures["mean_wait_s"].variance_ratio < 5


def test_both_live_in_the_same_worlds(small: list[str]):
    """What no rule decides is the same on both sides; what one decides differs."""
    found = celluler_sim.compare([*small, "pricing=linear"], [*small, "pricing.base_price=300"], replicates=6)
    table = found.table.set_index(["side", "replicate"])
    assert table.loc["a", "requested_work_units"].tolist() == table.loc["b", "requested_work_units"].tolist()
    assert table.loc["a", "seed"].tolist() == table.loc["b", "seed"].tolist() == [1 + i * 2**32 for i in range(6)]
    assert found.figures["requested_work_units"].difference == 0
    assert found.corrected["requested_work_units"] == 1.0
    price = found.figures["mean_price_prana"]
    assert price.high < 0
    assert price.difference == pytest.approx(price.mean_a - price.mean_b)


@pytest.mark.usefixtures("pictures")
def test_the_command(call: Call):
    outcome = call("compare", f"{TEXT} pricing=linear", TEXT, "--replicates", "3", "--json", "--out", "here")
    assert outcome.code == 0, outcome.err
    found = json.loads(outcome.out)
    assert found["replicates"] == 3
    for entry in found["figures"].values():
        assert entry.keys() >= {"difference", "low", "high", "variance_ratio"}
    assert found["figures"]["n_ticks"] | {"difference": 0.0, "variance_ratio": None} == found["figures"]["n_ticks"]
    names = {path.name for path in Path("here").iterdir()}
    assert names == {"comparison.json", "comparison.parquet", "comparison.html", "figures", SCRIPT}
    assert json.loads(Path("here/comparison.json").read_text())["figures"] == found["figures"]
    assert len(pd.read_parquet("here/comparison.parquet")) == 6
    again = call("compare", f"{TEXT} pricing=linear", TEXT, "--replicates=3")
    assert "A less B" in again.out
    assert "both in the same 3 worlds" in again.out
    assert len(list(Path("results/comparisons").iterdir())) == 1


def test_folders_are_read_and_what_they_lack_is_run(call: Call, small: list[str], monkeypatch: pytest.MonkeyPatch):
    """A has worlds 0 to 3, B is a run of world 2: for three worlds, only 0 and 1 of B are simulated."""
    celluler_sim.replicate(overrides=small, replicates=4, folder="a")
    celluler_sim.simulate(overrides=[*small, "pricing=linear"], replicate=2, folder="b")
    fresh = celluler_sim.compare(small, [*small, "pricing=linear"], replicates=3)
    ran: list[int] = []
    real = celluler_sim.experiments.schedule.run_jobs
    monkeypatch.setattr(
        "celluler_sim.experiments.schedule.run_jobs", lambda jobs: ran.extend(j.replicate for j in jobs) or real(jobs)
    )
    found = celluler_sim.compare("a", "b", replicates=3)
    assert sorted(ran) == [0, 1]
    assert {n: f for n, f in found.figures.items() if f.n} == {n: f for n, f in fresh.figures.items() if f.n}
    assert celluler_sim.compare("a", "b").worlds == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", TEXT], "A must be the folder of a run, or overrides in quotes such as"),
        ([TEXT, "empty"], "results folder empty must hold a run, got no manifest.json"),
        (["swept", TEXT], "results folder swept must hold one run, got a sweep"),
        ([TEXT, f"{TEXT} seed=2"], "compare: the seed must be the same for A and B, got 1 and 2"),
        ([TEXT, f"{TEXT} pricing.bas_price=3"], "unknown key pricing.bas_price; did you mean pricing.base_price?"),
        ([TEXT, TEXT, "--replicates", "0"], "--replicates must be a whole number >= 1, got '0'"),
        ([TEXT, TEXT, "--replicates"], "--replicates must be followed by a value"),
        ([TEXT], "usage: celluler-sim compare A B"),
        ([TEXT, TEXT, "--fast"], "got --fast"),
        ([TEXT, "scenario=compute_congestoin"], "did you mean compute_congestion?"),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], message: str, call: Call):
    for name in ("empty", "swept"):
        Path(name).mkdir()
    Path("swept/sweep.json").write_text("{}")
    outcome = call("compare", *arguments)
    assert (outcome.code, outcome.err.count("\n")) == (1, 1), outcome.err
    assert message in outcome.err
    assert not Path("results").exists()


def test_a_run_that_fails_names_its_side(small: list[str]):
    huge = [*small, "agents.consumers.count=0"]
    with pytest.raises(celluler_sim.CellulerError, match=r"agents\.consumers\.count must be >= 1"):
        celluler_sim.compare(small, huge, replicates=2)


def test_a_damaged_manifest_is_one_line(small: list[str], tmp_path: Path):
    celluler_sim.simulate(overrides=small, folder=tmp_path / "a")
    (tmp_path / "a" / MANIFEST).write_text("{")
    with pytest.raises(celluler_sim.CellulerError, match="must be a file of a run"):
        celluler_sim.compare(tmp_path / "a", small)
