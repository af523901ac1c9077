"""Small experiments, and the command line called within the test's own folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from celluler_sim.__main__ import main
from celluler_sim.live_page import Drawn

SMALL = [
    "ticks=10", "agents.providers.count=5", "agents.consumers.count=20", "agents.consumers.jobs_per_day=200",
    "consensus=fifo", "executor=serial", "progress=false",
]  # fmt: skip


class Outcome(NamedTuple):
    """What one call of the command line did."""

    code: int
    out: str
    err: str


Call = Callable[..., Outcome]


@pytest.fixture
def small() -> list[str]:
    return list(SMALL)


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Outcome:
        code = main(arguments)
        return Outcome(code, *capsys.readouterr())

    return run


@pytest.fixture(autouse=True)
def no_pictures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out pictures and reports, which take most of the time, but for the tests that are about them."""
    from celluler_sim.experiments import compare_page, page, pictures, sensitivity_page, sweep_page

    if "pictures" not in request.fixturenames:
        for module in (page, compare_page, sensitivity_page, sweep_page):
            monkeypatch.setattr(
                module, "save_pictures", lambda *_: dict.fromkeys(("replicates", "comparison"), Drawn(b""))
            )
        monkeypatch.setattr(sweep_page, "_pictures", lambda *_: {})
        monkeypatch.setattr(sweep_page, "_caption", str)
        monkeypatch.setattr(pictures, "replicates_picture", lambda *_: None)
        monkeypatch.setattr("celluler_sim.report.write_report", lambda run: run.folder / "report.html")


@pytest.fixture
def pictures() -> None:
    """Let a test draw."""
