"""What stands behind the page: runs in a thread, the results folder, settings."""

from __future__ import annotations

import pytest

from celluler_sim.cli.dashboard import run as dashboard
from celluler_sim.dashboard import browse, charts, page, serve, settings
from celluler_sim.dashboard.live import LiveRun
from celluler_sim.errors import ResultsError, ScenarioError
from celluler_sim.results import load_run
from celluler_sim.scenario import compose

SMALL = ["agents.providers.count=8", "agents.consumers.count=30"]


def test_a_live_run_is_a_run_like_any_other(tmp_path):
    """Its curves are what its table says, and its folder can be opened, with a report."""
    run = LiveRun(compose("compute_congestion", [*SMALL, "ticks=12"]), tmp_path).start()
    run.wait(120)
    assert (run.state, run.progress) == ("finished", 1.0)
    kept = load_run(run.folder)
    assert run.curves().series["price_prana"] == kept.tables["markets"]["price_prana"].tolist()
    assert charts.curves_of(kept) == run.curves()
    assert (run.folder / "report.html").exists()
    assert browse.found(tmp_path, "run") == [run.folder.relative_to(tmp_path).as_posix()]
    assert {"figure", "unit", "a"} == set(page.figures({"a": kept}).columns)


def test_a_run_can_be_stopped(tmp_path):
    """It ends after the tick it is in; its folder says interrupted and keeps what there was."""
    run = LiveRun(compose("compute_congestion", [*SMALL, "ticks=100000"]), tmp_path).start()
    while len(run.curves()) < 5:
        run.wait(0.05)
        assert run.running
    run.stop()
    run.wait(120)
    assert run.state == "stopped"
    assert load_run(run.folder).manifest["outcome"] == "interrupted"
    assert 5 <= len(run.curves()) < 100_000


def test_a_failing_run_says_why(tmp_path):
    """A results folder that is a file: one line, no traceback."""
    (tmp_path / "compute_congestion").write_text("in the way")
    run = LiveRun(compose("compute_congestion", [*SMALL, "ticks=2"]), tmp_path).start()
    run.wait(120)
    assert run.state == "failed"
    assert "\n" not in run.error
    assert run.error in page.status(run)


@pytest.mark.parametrize("name", ["..", "../other", "/etc", "link", "link/inner"])
def test_nothing_outside_the_results_folder_is_opened(tmp_path, name):
    """Neither by dots, nor by an absolute path, nor through a link; and such a link is not even listed."""
    root, other = tmp_path / "results", tmp_path / "other"
    (other / "inner").mkdir(parents=True)
    (other / "inner" / "manifest.json").write_text("{}")
    root.mkdir()
    (root / "link").symlink_to(other)
    (root / "mine").mkdir()
    (root / "mine" / "manifest.json").symlink_to(other / "inner" / "manifest.json")
    with pytest.raises(ResultsError, match="must lie inside the results folder"):
        browse.inside(root, name)
    assert browse.found(root, "run") == []


def test_only_what_was_changed_becomes_an_override():
    """The scenario's own values and rules are left out; numbers beyond a slider's ends are refused."""
    base = compose("compute_congestion")
    same = {s.key: s.start(base) for s in settings.SLIDERS}
    as_it_is = dict.fromkeys(settings.GROUPS, settings.AS_IT_IS)
    assert settings.overrides(base, as_it_is, same) == []
    changed = settings.overrides(base, as_it_is | {"pricing": "linear"}, same | {"seed": 7.0, "pricing.base_price": 80})
    assert changed == ["pricing=linear", "pricing.base_price=80", "seed=7"]
    assert settings.overrides(base, as_it_is, same | {"pricing.base_price": 80}, base_price=False) == []
    with pytest.raises(ScenarioError, match=r"^pricing.base_price must be"):
        settings.overrides(base, as_it_is, {"pricing.base_price": 1e9})


def test_a_sweep_that_cannot_be_read_is_one_line(tmp_path):
    """A text under the name of a table."""
    (tmp_path / "sweep.parquet").write_text("no table")
    with pytest.raises(ResultsError, match="must be the table of a sweep"):
        page.sweep(tmp_path)


def test_the_page_is_served_on_loopback_behind_a_token():
    """Whatever else is asked for, the address is 127.0.0.1 and a token is set."""
    words = serve.command(2718, "secret", browser=False)
    assert words[words.index("--host") + 1] == "127.0.0.1"
    assert words[words.index("--token-password") + 1] == "secret"
    assert "--no-token" not in words
    with pytest.raises(ScenarioError, match="PORT must be a whole number"):
        dashboard(["results", "many"])
    with pytest.raises(ScenarioError, match="port must be"):
        dashboard(["results", "0"])
