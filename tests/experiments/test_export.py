"""Runs and sweeps in other formats."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import celluler_sim
from celluler_sim.experiments.export import LABELS, cadcad
from tests.experiments.conftest import Call


def test_csv_of_a_run(call: Call, small: list[str]):
    run = celluler_sim.simulate(overrides=small, folder="run")
    outcome = call("export", "run")
    assert outcome.code == 0, outcome.err
    assert sorted(outcome.out.split()) == sorted(f"run/csv/{name}.csv" for name in run.tables)
    markets = pd.read_csv("run/csv/markets.csv")
    assert markets["price_prana"].tolist() == run.tables["markets"]["price_prana"].tolist()


def test_cadcad_of_a_run(call: Call, small: list[str]):
    """Ten ticks are ten timesteps from 1, of run 1 of subset 0, each with what the market looked like then."""
    run = celluler_sim.simulate(overrides=small, folder="run")
    assert call("export", "run", "--to", "cadcad", "--out", "elsewhere").out == "elsewhere/cadcad.csv\n"
    frame = pd.read_csv("elsewhere/cadcad.csv")
    assert list(frame.columns[:5]) == LABELS
    assert frame[LABELS].to_numpy().tolist() == [[0, 0, 1, 1, t] for t in range(1, 11)]
    assert frame["price_prana"].tolist() == run.tables["markets"]["price_prana"].tolist()


def test_cadcad_of_a_sweep_with_replicates(small: list[str], tmp_path: Path):
    """Two jobs are two subsets, their two replicates two runs each; what was varied stands beside."""
    over = {"pricing.base_price": [80, 120]}
    celluler_sim.sweep(over=over, overrides=[*small, "replicate_tables=true"], replicates=2, folder=tmp_path / "out")
    frame = cadcad(tmp_path / "out")
    assert frame.groupby(["subset", "run"]).size().to_dict() == {(s, r): 10 for s in (0, 1) for r in (1, 2)}
    assert frame.groupby("subset")["pricing.base_price"].unique().map(list).tolist() == [[80], [120]]


def test_csv_of_a_sweep(call: Call, small: list[str]):
    sweep = celluler_sim.sweep(over={"seed": [1, 2]}, overrides=small, folder="out")
    assert call("export", "out", "--to=csv").out.split() == ["out/csv/sweep.csv", "out/csv/sweep_tidy.csv"]
    assert pd.read_csv("out/csv/sweep.csv")["seed"].tolist() == sweep.table["seed"].tolist()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["empty"], "results folder empty must hold a run, got no manifest.json"),
        (["nowhere"], "results folder nowhere must exist"),
        (["job", "--to", "excel"], "--to must be one of csv, cadcad, got 'excel'"),
        (
            ["job", "--to", "cadcad"],
            "must hold tables of single runs for cadcad, got replicates without; run again with",
        ),
        ([], "usage: celluler-sim export FOLDER"),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], message: str, call: Call, small: list[str]):
    Path("empty").mkdir()
    if "job" in arguments:
        celluler_sim.replicate(overrides=small, replicates=2, folder="job")
    outcome = call("export", *arguments)
    assert (outcome.code, outcome.err.count("\n")) == (1, 1), outcome.err
    assert message in outcome.err
