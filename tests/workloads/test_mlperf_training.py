"""MLPerf Training results: read whole, refused by file, line and column when damaged, and what is fitted to them."""

from __future__ import annotations

import functools
import gzip

import numpy as np
import pytest
from numpy.testing import assert_allclose

from celluler_sim.analysis import learning_curves as fits
from celluler_sim.errors import TraceError
from celluler_sim.workloads.mlperf_training import BENCHMARKS, read_mlperf_training
from celluler_sim.workloads.training_fitted import RELATIVE_TIME, TASKS
from celluler_sim.workloads.training_points import POINTS
from tests.shared_data import shared

RUNS = """run_id,submitter,division,status,system,benchmark,result_file,submission_benchmark,submission_platform,\
number_of_nodes,accelerators_per_node,n_accelerators,accelerator_model_name,accelerator_memory_capacity,\
host_processors_per_node,host_processor_model_name,framework,global_batch_size,seed,train_samples,eval_samples,\
gradient_accumulation_steps,opt_base_learning_rate,init_start_ms,run_start_ms,run_stop_ms,run_status,time_to_train_s,\
n_evals,final_eval_accuracy,energy_nodes_wh,power_node_files,duplicate_of_run_id
0,A,closed,onprem,s8,bert,r0,bert,p,1,8,8,NVIDIA H100-SXM5-80GB,80 GB,2,x,"f, g",768,1.0,10,10,1,0.1,\
1715000000000,1715000001000,1715000101000.0,success,100.0,2,0.72,,,
2,B,closed,onprem,s16,bert,r1,bert,p,2,8,16,NVIDIA H100-SXM5-80GB,80 GB,2,x,f,768,,10,10,1,,\
1715000000000,1715000001000,1715000051000.0,success,50.0,1,0.72,500.5,2.0,
3,B,closed,onprem,s16,bert,r2,bert,p,2,8,16,NVIDIA H100-SXM5-80GB,80 GB,2,x,f,768,,10,10,1,,\
1715000000000,1715000001000,1715000051000.0,aborted,50.0,1,0.5,,,2
"""
EVALS = """run_id,time_s,eval_accuracy,epoch_num,samples_count,step,metric
0,40.0,0.6,5,,,
0,100.0,0.72,10,,,
2,50.0,0.72,12,,,
3,50.0,0.5,,9,,
"""
POWER = """run_id,submitter,system,benchmark,kind,file,n_readings,first_ms,last_ms,mean_w,min_w,max_w,energy_wh,\
conversion_eff,interconnect_power_est
2,B,s16,bert,node,node_0.txt,50,1715000001000,1715000051000,5000,4000,6000,250.5,,
2,B,s16,bert,total,t.txt,0,,,,,,,,
"""
FILES = {"runs.csv": RUNS, "evals.csv": EVALS, "power.csv": POWER}


def folder_of(path, **changed):
    """Return a folder with the three files, some of them changed; ``gz`` ones zipped."""
    for name, text in {**FILES, **{f"{k}.csv": v for k, v in changed.items()}}.items():
        (path / name).write_text(text)
    return path


def test_small_tables_by_hand(tmp_path):
    """Three runs of which one was aborted, four evaluations, one node metered; a zipped file reads the same."""
    results = read_mlperf_training(folder_of(tmp_path))
    assert [len(t) for t in (results.runs, results.evals, results.power)] == [3, 4, 2]
    assert results.successes()["run_id"].tolist() == [0, 2]
    assert results.runs["framework"][0] == "f, g"
    (tmp_path / "evals.csv.gz").write_bytes(gzip.compress(EVALS.encode()))
    (tmp_path / "evals.csv").unlink()
    assert read_mlperf_training(tmp_path).evals.equals(results.evals)


DAMAGED = {
    "nodes times accelerators": ("runs", "2,8,16,", "2,8,17,", "runs.csv: line 3, column n_accelerators"),
    "time": ("runs", ",100.0,2,", ",101.0,2,", "runs.csv: line 2, column time_to_train_s"),
    "benchmark": ("runs", "s8,bert,r0", "s8,bort,r0", "runs.csv: line 2, column benchmark"),
    "number": ("runs", "1715000101000.0", "17150001x1000", "runs.csv: line 2, column run_stop_ms"),
    "evaluations": ("runs", ",100.0,2,", ",100.0,3,", "runs.csv: line 2, column n_evals"),
    "energy without files": ("runs", "500.5,2.0,", "500.5,,", "runs.csv: line 3, column power_node_files"),
    "no such run": ("evals", "3,50.0,0.5", "4,50.0,0.5", "evals.csv: line 5, column run_id"),
    "backwards": ("evals", "0,100.0,0.72", "0,30.0,0.72", "evals.csv: line 3, column time_s"),
    "no progress": ("evals", "2,50.0,0.72,12", "2,50.0,0.72,", "evals.csv: line 4, column epoch_num"),
    "cells": ("evals", "0,40.0,0.6,5,,,", "0,40.0,0.6,5,,", "evals.csv: line 2: must be 7 cells"),
    "kind": ("power", "bert,total", "bert,fan", "power.csv: line 3, column kind"),
    "watts": ("power", "5000,4000,6000", "5000,5500,6000", "power.csv: line 2, column mean_w"),
    "no energy": ("power", "6000,250.5", "6000,", "power.csv: line 2, column energy_wh"),
    "power of no run": ("power", "2,B,s16,bert,total", "1,B,s16,bert,total", "power.csv: line 3, column run_id"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_refused_by_file_line_and_column(name, tmp_path):
    """One cell is wrong: one line says which, and nothing is read."""
    table, old, new, where = DAMAGED[name]
    text = FILES[f"{table}.csv"]
    assert text.count(old) >= 1
    with pytest.raises(TraceError) as refusal:
        read_mlperf_training(folder_of(tmp_path, **{table: text.replace(old, new, 1)}))
    assert where in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_missing_and_cut_files_are_refused(tmp_path):
    """No folder, a folder without the evaluations, and a gzip file cut in half: each is one line."""
    with pytest.raises(TraceError, match="does not exist"):
        read_mlperf_training(tmp_path / "nowhere")
    folder_of(tmp_path)
    (tmp_path / "evals.csv").unlink()
    with pytest.raises(TraceError, match=r"must hold evals\.csv"):
        read_mlperf_training(tmp_path)
    (tmp_path / "evals.csv.gz").write_bytes(gzip.compress(EVALS.encode() * 50)[:60])
    with pytest.raises(TraceError, match="gzip data must be whole"):
        read_mlperf_training(tmp_path)


# ---- the fits ------------------------------------------------------------------------------------------------------


def test_a_power_law_is_found_again():
    """Points on 0.1 + 0.2 (x + 0.3)^-0.7 give its error back to a thousandth everywhere between them."""
    x = np.linspace(0.02, 1.0, 400)
    curve = fits.fit_curve(x, 0.1 + 0.2 * (x + 0.3) ** -0.7)
    assert_allclose(curve.error(x), 0.1 + 0.2 * (x + 0.3) ** -0.7, rtol=5e-3)


def test_bins_are_medians_by_hand():
    """1 2 3 | 4 5 90 in two bins: medians 2 and 5 of x, of twice x 4 and 10."""
    x = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 90.0])
    xs, ys = fits.binned(x, 2 * x, 2)
    assert xs.tolist() == [2.0, 5.0]
    assert ys.tolist() == [4.0, 10.0]


@functools.cache
def results():
    """Return the published round."""
    return read_mlperf_training(shared("data/mlperf_training_v40"))


def test_the_published_round_has_the_facts_that_its_readme_states():
    """2,407 runs of which 12 failed, 221 doubles, 77,287 evaluations, 3,026 power logs, 18 folders of submitters."""
    found = results()
    assert [len(t) for t in (found.runs, found.evals, found.power)] == [2407, 77_287, 3026]
    assert int((found.runs["run_status"] == "aborted").sum()) == 12
    assert int(found.runs["duplicate_of_run_id"].notna().sum()) == 221
    assert found.runs["submitter"].nunique() == 18
    assert set(found.runs["benchmark"]) == set(BENCHMARKS)


@pytest.mark.slow
def test_the_constants_are_the_fits_to_the_data():
    """Every curve, time, spread and power that ships is what fitting the published round gives, to a hundredth."""
    found = {fit.benchmark: fit for fit in fits.fit_learning_curves(results())}
    time = fits.TimeFit.of(fits.system_times(results()))
    spread, power = fits.spread_of_time(results()), fits.fit_power(fits.metered(results()))
    x = np.array([0.1, 0.3, 1.0])
    n = np.array([8.0, 64.0])
    for name, kind in TASKS.items():
        assert_allclose(kind.curve.error(x), found[name].curve.error(x), rtol=5e-3)
        assert_allclose(kind.scaling.time(n), time.law(name).time(n), rtol=1e-2)
        assert_allclose([kind.time_cv, kind.score_sd], [spread[name], found[name].spread], rtol=1e-2)
        if name in power:
            assert_allclose(kind.power.energy(n, n), power[name].energy(n, n), rtol=1e-2)
        if name not in fits.ONE_PASS:
            assert_allclose(kind.curve.data_exponent, fits.data_exponent(list(found.values())), rtol=1e-3)
    for name, factor in RELATIVE_TIME.items():
        assert_allclose(factor, time.relative(name), rtol=1e-3)
    points = fits.curve_points(results())
    for name, (px, py) in POINTS.items():
        own = points[points["benchmark"] == name]
        xs, ys = fits.binned(own["x"].to_numpy(), own["error"].to_numpy(), 12)
        assert_allclose(px, xs, rtol=1e-3)
        assert_allclose(py, ys, rtol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("by", "systems", "runs"), [("submitter", 0.05, 0.12), ("size", 0.09, 0.14)])
def test_times_of_what_was_left_out_are_predicted(by, systems, runs):
    """Median relative error by left-out submitter under 5 % over systems, by left-out machine size under 9 %."""
    score = fits.score_held_out(results(), by)
    assert score.systems == 178
    assert score.median_error < systems
    assert score.median_error_runs < runs


def test_the_law_beats_accelerator_hours_over_accelerators():
    """Dividing the median accelerator-hours of the others by the machines errs three times as much as the fit."""
    systems = fits.system_times(results())
    naive = np.full(len(systems), np.nan)
    for submitter in sorted(set(systems["submitter"])):
        out = (systems["submitter"] == submitter).to_numpy()
        rest = systems[~out]
        hours = (rest["seconds"] * rest["n"]).groupby(rest["benchmark"]).median()
        naive[out] = systems["benchmark"][out].map(hours) / systems["n"][out]
    seconds = systems["seconds"].to_numpy()
    fitted = np.median(np.abs(fits.predict_held_out(systems, "submitter") / seconds - 1))
    assert fitted < np.nanmedian(np.abs(naive / seconds - 1)) / 3


def test_nothing_of_the_left_out_group_is_seen():
    """Multiplying a left-out submitter's times by ten changes no prediction for it, but those for others."""
    systems = fits.system_times(results())
    mine = (systems["submitter"] == "Oracle").to_numpy()
    other = systems.assign(seconds=np.where(mine, 10.0, 1.0) * systems["seconds"])
    before, after = fits.predict_held_out(systems, "submitter"), fits.predict_held_out(other, "submitter")
    assert_allclose(after[mine], before[mine])
    assert not np.allclose(after[~mine], before[~mine])


def test_energy_is_within_its_stated_error():
    """Median relative error of energy 11 % in the fit, 27 % for machine sizes left out: 148 runs of four machines."""
    rows = fits.metered(results())
    inside, outside = fits.energy_error(rows)
    assert len(rows) == 148
    assert inside < 0.12
    assert outside < 0.3
