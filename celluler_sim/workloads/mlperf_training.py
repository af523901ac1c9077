"""Loader of the MLPerf Training v4.0 results: runs, their evaluations and their power logs, as checked tables.

The three files are `runs.csv`, `evals.csv` and `power.csv`, plain or gzipped, in one folder. They were derived from the
log lines of the repository mlcommons/training_results_v4.0 (MLCommons Association 2024, Apache License 2.0);
MLPerf is a mark of the MLCommons Association, and figures derived here are not official results. Whatever is wrong with
a file is one `TraceError` that names file, line (the header is line 1) and column.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from celluler_sim.errors import TraceError
from celluler_sim.workloads.csvfile import REMEDY, Column, Layout, Rule, at_least, locate, read_table

if TYPE_CHECKING:
    import pandas as pd

BENCHMARKS = (
    "bert", "dlrm_dcnv2", "gnn", "gpt3", "llama2_70b_lora", "resnet", "ssd", "stable_diffusion", "unet3d",
)  # fmt: skip
_COUNT = 1e6  # more accelerators, nodes or processors than this is damage
_SAMPLES = 1e13
_MS = 1e13  # Unix time, in the year 2286
_SECONDS = 1e7
_WATTS = 1e6
_WATT_HOURS = 1e9
_CLOCK_SLACK = 0.0015  # s: times are logged to the millisecond


def _texts(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, "text") for name in names)


def _counts(*names: str, high: float = _COUNT) -> tuple[Column, ...]:
    return tuple(Column(name, "int", 1, high) for name in names)


RUNS = Layout(
    trace="the runs of mlperf_training_v40",
    files=("runs.csv",),
    columns=(
        Column("run_id", "int", 0, 1e9),
        *_texts("submitter", "division", "status", "system"),
        Column("benchmark", "text", choices=BENCHMARKS),
        *_texts("result_file", "submission_benchmark", "submission_platform"),
        *_counts("number_of_nodes", "accelerators_per_node", "n_accelerators"),
        *_texts("accelerator_model_name", "accelerator_memory_capacity"),
        *_counts("host_processors_per_node"),
        *_texts("host_processor_model_name", "framework"),
        *_counts("global_batch_size", high=_SAMPLES),
        Column("seed", "int", 0, 2.0**53, empty=True),
        *_counts("train_samples", "eval_samples", high=_SAMPLES),
        *_counts("gradient_accumulation_steps"),
        Column("opt_base_learning_rate", "float", 0, 1e6, empty=True),
        Column("init_start_ms", "int", 1, _MS),
        Column("run_start_ms", "int", 1, _MS),
        Column("run_stop_ms", "int", 1, _MS),
        Column("run_status", "text", choices=("success", "aborted")),
        Column("time_to_train_s", "float", 1e-3, _SECONDS),
        *_counts("n_evals"),
        Column("final_eval_accuracy", "float", 0, 1e4),
        Column("energy_nodes_wh", "float", 0, _WATT_HOURS, empty=True),
        Column("power_node_files", "int", 1, _COUNT, empty=True),
        Column("duplicate_of_run_id", "int", 0, 1e9, empty=True),
    ),
    sorted_by="run_id",
    rules=(
        Rule("run_id", "there only once", lambda r: r["run_id"].duplicated()),
        at_least("run_start_ms", "init_start_ms"),
        Rule(
            "n_accelerators",
            "the nodes times the accelerators of each",
            lambda r: r["n_accelerators"] != r["number_of_nodes"] * r["accelerators_per_node"],
        ),
        Rule(
            "time_to_train_s",
            "run_stop_ms less run_start_ms of the same row",
            lambda r: abs((r["run_stop_ms"] - r["run_start_ms"]) / 1000 - r["time_to_train_s"]) > _CLOCK_SLACK,
        ),
        Rule(
            "power_node_files",
            "filled where there is an energy, and only there",
            lambda r: r["power_node_files"].isna() != r["energy_nodes_wh"].isna(),
        ),
    ),
)

EVALS = Layout(
    trace="the evaluations of mlperf_training_v40",
    files=("evals.csv",),
    columns=(
        Column("run_id", "int", 0, 1e9),
        Column("time_s", "float", 0, _SECONDS),
        Column("eval_accuracy", "float", 0, 1e4),
        Column("epoch_num", "float", 0, _SAMPLES, empty=True),
        Column("samples_count", "float", 0, _SAMPLES, empty=True),
        Column("step", "float", 0, _SAMPLES, empty=True),
        Column("metric", "text", choices=("FID", "CLIP"), empty=True),
    ),
    group=("run_id",),
    sorted_by="time_s",
    rules=(
        Rule(
            "epoch_num",
            "filled where samples_count is empty",
            lambda r: r["epoch_num"].isna() & r["samples_count"].isna(),
        ),
    ),
)

POWER = Layout(
    trace="the power logs of mlperf_training_v40",
    files=("power.csv",),
    columns=(
        Column("run_id", "int", 0, 1e9),
        *_texts("submitter", "system"),
        Column("benchmark", "text", choices=BENCHMARKS),
        Column("kind", "text", choices=("node", "switch", "total")),
        *_texts("file"),
        Column("n_readings", "int", 0, 1e9),
        Column("first_ms", "int", 1, _MS, empty=True),
        Column("last_ms", "int", 1, _MS, empty=True),
        *(Column(name, "float", -_WATTS, _WATTS, empty=True) for name in ("mean_w", "min_w", "max_w")),
        Column("energy_wh", "float", 0, _WATT_HOURS, empty=True),
        Column("conversion_eff", "float", 0, 1, empty=True),
        Column("interconnect_power_est", "float", 0, 1e9, empty=True),
    ),
    rules=(
        at_least("last_ms", "first_ms"),
        at_least("mean_w", "min_w"),
        at_least("max_w", "mean_w"),
        Rule("energy_wh", "filled where there are readings", lambda r: (r["n_readings"] > 0) & r["energy_wh"].isna()),
    ),
)


@dataclass(frozen=True)
class TrainingResults:
    """The three tables of the round, with the publisher's columns and units (see the folder's README)."""

    runs: pd.DataFrame  #  one row per training run
    evals: pd.DataFrame  # one row per evaluation of a run, by run and time
    power: pd.DataFrame  # one row per power log

    def successes(self) -> pd.DataFrame:
        """Return the runs that reached their target, second copies left out."""
        good = (self.runs["run_status"] == "success") & self.runs["duplicate_of_run_id"].isna()
        return self.runs[good].reset_index(drop=True)


def read_mlperf_training(folder: str | Path) -> TrainingResults:
    """Return the runs of MLPerf Training v4.0, their evaluations and power logs from a folder.

    Parameters
    ----------
    folder
        Holds `runs.csv`, `evals.csv` and `power.csv`, plain or with .gz.

    Raises
    ------
    TraceError
        A file is missing, damaged, of another layout, has a cell out of range, or names a run that is not in the runs.

    References
    ----------
    MLCommons Association (2024), MLPerf Training v4.0 results.
    """
    runs = read_table(folder, RUNS)
    evals, power = read_table(folder, EVALS), read_table(folder, POWER)
    for layout, table in ((EVALS, evals), (POWER, power)):
        _check_runs(folder, layout, table, runs)
    counted = evals.groupby("run_id").size().reindex(runs["run_id"], fill_value=0).to_numpy()
    if len(wrong := np.flatnonzero(counted != runs["n_evals"].to_numpy())):
        row = int(wrong[0])
        rule = f"the number of its evaluations in evals.csv, {counted[row]}"
        raise _refusal(locate(folder, RUNS), row, "n_evals", rule, int(runs["n_evals"].iloc[row]))
    return TrainingResults(runs, evals, power)


def _check_runs(folder: str | Path, layout: Layout, table: pd.DataFrame, runs: pd.DataFrame) -> None:
    """Refuse the first row of a table that belongs to no run."""
    lost = ~table["run_id"].isin(runs["run_id"]).to_numpy()
    if lost.any():
        row = int(np.argmax(lost))
        value = int(table["run_id"].iloc[row])
        raise _refusal(locate(folder, layout), row, "run_id", "a run of runs.csv", value)


def _refusal(file: Path, row: int, column: str, rule: str, value: int) -> TraceError:
    return TraceError(f"{file}: line {row + 2}, column {column}: must be {rule}, got {value}: {REMEDY}")
