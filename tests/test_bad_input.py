"""Bad input through the real command line: one clear line, exit code 1, no traceback, nothing half-written."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from celluler_sim.__main__ import main
from celluler_sim.results import load_run
from celluler_sim.run import simulate
from tests.workloads.small_traces import NODES, PODS, REQUESTS, write

SMALL = ["ticks=8", "agents.providers.count=6", "agents.consumers.count=30", "agents.consumers.jobs_per_day=300"]
ODD = '''
"""Rules that go wrong in the way a test asks for."""

from dataclasses import dataclass

import numpy as np

from celluler_sim.behaviours.consumer import Decision
from celluler_sim.book import Fills
from celluler_sim.mechanisms.base import register


def fail():
    raise ValueError("two lines\\nof text")


@register("pricing", "odd")
@dataclass(frozen=True, kw_only=True)
class OddPrice:
    """Quotes nonsense after a while."""

    how: str = "raises"
    after: float = 0.0
    base_price: float = 100.0
    window_seconds: float = 3600.0
    claims = frozenset()

    def time_factor(self, time):
        return np.ones(np.shape(time))

    def quote(self, load, ask):
        good = np.full(len(ask), 100.0)
        if load.time <= self.after:
            return good
        return {"raises": fail, "not_a_number": lambda: good * np.nan, "shape": lambda: good[1:]}[self.how]()


@register("allocation", "odd")
@dataclass(frozen=True, kw_only=True)
class OddAllocation:
    """Grants nonsense after a while."""

    how: str = "raises"
    after: float = 0.0
    claims = frozenset()

    def allocate(self, book, rng):
        row = np.array([0])
        if book.time <= self.after:
            return Fills(row[:0], row[:0], np.empty(0))
        grants = {
            "raises": fail,
            "not_a_number": lambda: Fills(row, row, np.array([np.nan])),
            "negative": lambda: Fills(row, row, np.array([-1.0])),
            "oversells": lambda: Fills(row, row, book.capacity[:1] * 2),
            "shape": lambda: Fills(row, row, np.array([1.0, 2.0])),
            "list": lambda: [(0, 0, 1.0)],
        }
        return grants[self.how]()


@register("consumer_behaviour", "odd_raises")
@dataclass(frozen=True)
class OddRaises:
    """Raises."""

    def decide(self, wants, outlook, uniform):
        fail()


@register("consumer_behaviour", "odd_nan")
@dataclass(frozen=True)
class OddNan:
    """Bids what is no number."""

    def decide(self, wants, outlook, uniform):
        return Decision(wants.now, wants.value * np.nan, np.zeros(len(wants.now), bool))


@register("consumer_behaviour", "odd_shape")
@dataclass(frozen=True)
class OddShape:
    """Decides about one job too many."""

    def decide(self, wants, outlook, uniform):
        return Decision(np.append(wants.now, 1.0), np.append(wants.value, 1.0), np.zeros(len(wants.now) + 1, bool))


@register("provider_behaviour", "odd_nan")
@dataclass(frozen=True)
class OddAsk:
    """Asks what is no number."""

    def ask(self, unit_cost, markup):
        return unit_cost * np.nan
'''


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Work in an empty folder; a plugin ``odd`` can be imported."""
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    (plugins / "odd.py").write_text(ODD)
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path / "home")
    monkeypatch.syspath_prepend(str(plugins))
    return tmp_path / "home"


def refused(capsys, *arguments):
    """Run the command line; return the one line it says."""
    code = main(arguments)
    out, err = capsys.readouterr()
    assert (code, out) == (1, "")
    assert err.count("\n") == 1, err
    assert err.startswith("celluler-sim: ")
    assert "Traceback" not in err
    return err.removeprefix("celluler-sim: ").strip()


def left():
    return sorted(str(path) for path in Path().rglob("*"))


# ---- settings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["unknown=1"], "unknown key unknown; a scenario has name, "),
        (["+unknown=1"], "unknown key unknown; a scenario has name, "),
        (["agents.consumers.cuont=5"], "unknown key agents.consumers.cuont; did you mean agents.consumers.count?"),
        (["pricing=dutch"], "pricing must be one of eip1559, fixed, "),
        (["workload.law=uniform"], "workload.law must be one of lognormal, exponential, constant, cluster, got"),
        (["agents.consumers.behaviours={sly: 1}"], "agents.consumers.behaviours must name some of elastic, "),
        (["ticks=many"], "ticks must be a whole number, got 'many'"),
        (["market.split=3"], "market.split must be true or false, got 3"),
        (["pricing.base_price=-5"], "pricing.base_price must be > 0 PRANA per unit, got -5"),
        (["ticks=0"], "ticks must be >= 1, got 0"),
        (["agents.consumers.min_share=1.5"], "agents.consumers.min_share must be > 0 and <= 1, got 1.5"),
        (["pricing.base_price=nan"], "pricing.base_price must be a finite number, got nan"),
        (["agents.consumers.value_cv=inf"], "agents.consumers.value_cv must be a finite number, got inf"),
        (["plugins=[not_there]"], "plugins"),
        (["pricing=eip1559", "pricing.exact=true", "pricing.block_seconds=50"], "pricing.block_seconds must divide "),
    ],
)  # fmt: skip
def test_bad_settings(home, capsys, arguments, message):
    """What is wrong is named, with what is allowed; not even a folder is left."""
    assert refused(capsys, *arguments).startswith(message)
    assert left() == []


def test_a_broken_scenario_among_good_ones(home, capsys):
    """The broken file is named when it is asked for and in the list; the good one beside it runs."""
    (home / "scenarios").mkdir()
    (home / "scenarios" / "broken.yaml").write_text("ticks: [1")
    (home / "scenarios" / "odd_key.yaml").write_text("tickz: 3")
    (home / "scenarios" / "good.yaml").write_text("description: fine\nticks: 2\nagents: {consumers: {count: 5}}")
    assert refused(capsys, "scenario=broken").startswith("scenario broken cannot be used: ")
    assert refused(capsys, "scenario=odd_key").startswith("unknown key tickz; did you mean ticks?")
    assert not (home / "results").exists()
    assert main(["list", "scenarios"]) == 0
    listed = capsys.readouterr().out
    assert "BROKEN" in listed
    assert "fine" in listed
    assert simulate("good").config["ticks"] == 2


# ---- files ---------------------------------------------------------------------------------------------------------


def test_a_missing_trace(home, capsys):
    """The path is named; the run leaves nothing."""
    line = refused(capsys, "scenario=gpu_cluster", "workload.path=nowhere")
    assert "nowhere" in line
    line = refused(capsys, "scenario=llm_serving", "workload.path=nowhere.csv")
    assert "nowhere.csv" in line
    assert left() == []


@pytest.mark.parametrize("damage", ["truncated", "cell", "header", "empty", "gzip"])
def test_a_damaged_trace(home, capsys, damage, tmp_path):
    """A file cut in the middle of a line, a text among the numbers, another header, nothing at all, half a gzip."""
    pods = {
        "truncated": PODS[:-40],
        "cell": PODS.replace("110400", "late"),
        "header": PODS.replace("num_gpu", "gpus"),
        "empty": "",
        "gzip": PODS,
    }[damage]
    folder = tmp_path / "trace"
    folder.mkdir()
    write(folder, openb_node_list_all_node=NODES, openb_pod_list_default=pods)
    if damage == "gzip":
        whole = folder / "openb_pod_list_default.csv"
        (folder / "openb_pod_list_default.csv.gz").write_bytes(gzip.compress(PODS.encode())[:-30])
        whole.unlink()
    line = refused(capsys, "scenario=gpu_cluster", f"workload.path={folder}")
    assert "openb_pod_list_default.csv" in line
    assert {"truncated": "line 6", "cell": "line 6, column deletion_time"}.get(damage, "") in line
    assert left() == []


def test_a_damaged_trace_of_requests(home, capsys, tmp_path):
    """The line and the column of the cell that is no number."""
    (tmp_path / "requests.csv").write_text(REQUESTS.replace("800", "eight"))
    line = refused(capsys, "scenario=llm_serving", f"workload.path={tmp_path / 'requests.csv'}")
    assert "requests.csv: line 3, column ContextTokens" in line
    assert left() == []


def test_results_that_cannot_be_written(home, capsys):
    """A path below a regular file cannot be made, whoever asks."""
    Path("taken").write_text("a file")
    line = refused(capsys, *SMALL, "results_dir=taken/results")
    assert line.startswith("results folder ")
    assert "must be a folder that can be written" in line
    assert left() == ["taken"]


# ---- a user's own rules --------------------------------------------------------------------------------------------

PRICES = {
    "raises": "pricing=odd must not raise, got ValueError: two lines of text at tick ",
    "not_a_number": "pricing=odd must quote finite prices >= 0, got nan at tick ",
    "shape": "pricing=odd must quote one price per offer, shape (",
}
GRANTS = {
    "raises": "allocation=odd must not raise, got ValueError: two lines of text at tick ",
    "not_a_number": "allocation=odd must grant finite quantities above 0 units/s, got nan at tick ",
    "negative": "allocation=odd must grant finite quantities above 0 units/s, got -1.0 at tick ",
    "oversells": "allocation=odd must sell no more than an offer's free capacity, got ",
    "shape": "allocation=odd must return three columns of one length, got ",
    "list": "allocation=odd must return Fills, got list at tick ",
}
WRONG = [("pricing", how, text) for how, text in PRICES.items()] + [
    ("allocation", how, text) for how, text in GRANTS.items()
]


@pytest.mark.parametrize(("family", "how", "message"), WRONG)
def test_a_rule_that_goes_wrong_at_once(home, capsys, family, how, message):
    """The rule, what it did and the tick; nothing has been simulated, so nothing is left."""
    rule = [f"{family}=odd", f"{family}.how={how}"]
    busy = "agents.consumers.jobs_per_day=3000"  # something to allocate in the first tick
    line = refused(capsys, *SMALL, busy, "plugins=[odd]", *rule)
    assert line.startswith(message)
    assert line.endswith(" at tick 0")
    assert left() == []


@pytest.mark.parametrize(("family", "how", "message"), [WRONG[0], WRONG[1], WRONG[6]])
def test_a_rule_that_goes_wrong_later(home, capsys, family, how, message):
    """Four good ticks have been simulated: they stay readable, and the manifest has the very line."""
    line = refused(
        capsys, *SMALL, "agents.consumers.jobs_per_day=3000", "plugins=[odd]", f"{family}=odd", f"{family}.how={how}",
        f"{family}.after=240",
    )  # fmt: skip
    assert line.startswith(message)
    assert line.endswith(" at tick 4")
    [folder] = Path("results/compute_congestion").iterdir()
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["outcome"], manifest["error"]) == ("failed", line)
    run = load_run(folder)
    assert run.tables["markets"]["tick"].tolist() == [0, 1, 2, 3]
    assert run.summary == {}
    assert not list(Path().rglob("*.partial"))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            "agents.consumers.behaviours={odd_raises: 1}",
            "consumer_behaviour=odd_raises must not raise, got ValueError: ",
        ),
        ("agents.consumers.behaviours={odd_nan: 1, elastic: 1}", "consumer_behaviour=odd_nan must "),
        ("agents.consumers.behaviours={odd_shape: 1, elastic: 1}", "consumer_behaviour=odd_shape must "),
        ("agents.providers.behaviours={odd_nan: 1}", "provider_behaviour=odd_nan must "),
    ],
)
def test_a_behaviour_that_goes_wrong(home, capsys, setting, message):
    """A strategy is a user's rule as well."""
    line = refused(capsys, *SMALL, "agents.consumers.jobs_per_day=3000", "plugins=[odd]", setting)
    assert line.startswith(message)
    assert left() == []


def test_a_rule_that_goes_wrong_in_a_variant(home, capsys):
    """The main run has finished and stays; of the variant nothing is left."""
    variant = "variants: {bad: ['pricing=odd', 'pricing.how=not_a_number']}"
    (home / "contest.yaml").write_text(f"plugins: [odd]\nticks: 3\nagents: {{consumers: {{count: 30}}}}\n{variant}\n")
    line = refused_after_output(capsys, "scenario=./contest.yaml", "plugins=[odd]")
    assert line == f"{PRICES['not_a_number']}0"
    [manifest] = Path("results").rglob("manifest.json")
    assert json.loads(manifest.read_text())["outcome"] == "finished"


def refused_after_output(capsys, *arguments):
    code = main(arguments)
    err = capsys.readouterr().err
    assert code == 1
    assert err.count("\n") == 1
    return err.removeprefix("celluler-sim: ").strip()


def test_a_plugin_that_cannot_be_imported(home, capsys):
    """A module with a mistake of its own, and one that takes a name that is taken."""
    (home.parent / "plugins" / "torn.py").write_text("def f(:\n")
    line = refused(capsys, *SMALL, "plugins=[torn]")
    assert line.startswith("plugins")
    assert "torn" in line
    assert left() == []


def test_in_a_process_of_its_own(home):
    """The same through ``python -m celluler_sim``: the exit code, one line on standard error, nothing else."""
    arguments = [
        *SMALL,
        "agents.consumers.jobs_per_day=3000",
        "plugins=[odd]",
        "allocation=odd",
        "allocation.how=oversells",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "celluler_sim", *arguments],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(home.parent / "plugins")},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("celluler-sim: allocation=odd must sell no more than an offer's free capacity, got ")
    assert done.stderr.endswith(" at tick 0\n")
    assert done.stderr.count("\n") == 1
    assert left() == []
