"""The page as somebody sees it: a real browser presses its buttons."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
PATIENCE = 120_000  # ms
TOKEN = "for-this-test"  # noqa: S105 - of a server that lives as long as the test

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed: the page cannot be opened"),
]
LINES = """element => (element.data || []).filter(line => (line.yaxis || 'y') === 'y')
    .map(line => [line.name, line.x.length, Math.max(...line.y)])"""


@pytest.fixture
def served(tmp_path):
    """Serve a dashboard for one test and return its address without the token."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    code = (
        "import pathlib, sys; from celluler_sim.dashboard.serve import serve; "
        f"serve(pathlib.Path(sys.argv[1]), {port}, browser=False, token='{TOKEN}')"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], env=os.environ, stdout=subprocess.DEVNULL
    ) as server:
        try:
            _wait_for(port)
            yield f"http://127.0.0.1:{port}/"
        finally:
            server.kill()


def _wait_for(port: int) -> None:
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail("the dashboard did not answer within a minute")


def test_without_the_token_there_is_no_page(served):
    """The server answers a stranger with a login, not with the page."""
    request = urllib.request.Request(served + "api/status", headers={"Accept": "application/json"})  # noqa: S310
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=60)  # noqa: S310
    assert refused.value.code in (401, 403)


def test_run_pin_and_change_the_rule(served):
    """Start a run, see the price line grow; pin it, take another rule, see two lines of which the new one differs."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1300, "height": 1400})
        page.set_default_timeout(PATIENCE)
        page.goto(f"{served}?access_token={TOKEN}")
        _set(page, "providers", 20)
        _set(page, "consumers", 100)
        page.get_by_role("button", name="Run", exact=True).click()
        plot = page.locator(".js-plotly-plot")

        def lines() -> list:
            """Return (name, points, highest) of each line of the price panel."""
            return plot.first.evaluate(LINES) if plot.count() else []

        first = _until(page, lines, lambda seen: seen[0][1] > 5)
        more = _until(page, lines, lambda seen: seen[0][1] > first[0][1])
        assert more[0][2] >= first[0][2] > 0
        buttons = page.locator(".js-plotly-plot .modebar-btn")
        named = _until(page, lambda: buttons.evaluate_all("all => all.map(b => b.getAttribute('data-title'))"), len)
        assert len(named) == 6, f"no button may send data to a server, got {named}"
        page.get_by_role("button", name="Pin this run").click()
        page.get_by_label("pricing").select_option("fixed")
        page.get_by_role("button", name="Run", exact=True).click()
        both = _until(page, lines, lambda seen: len(seen) == 2 and seen[0][1] > 5 and "pricing=fixed" in seen[0][0])
        assert both[0][2] == pytest.approx(100.0)
        assert both[1][2] > 100.0
        page.get_by_role("button", name="Stop").click()
        page.get_by_text("stopped").wait_for()
        browser.close()


def _set(page, label: str, value: int) -> None:
    """Type a number into the box beside a slider."""
    box = page.locator("marimo-slider", has_text=label).get_by_role("textbox").first
    box.fill(str(value))
    box.press("Enter")


def _until(page, look, holds) -> list:
    """Look at something until it is there and something holds of it: the page draws it anew as the run goes on."""
    seen: list = []
    for _ in range(400):
        seen = look()
        if seen and holds(seen):
            return seen
        page.wait_for_timeout(300)
    return pytest.fail(f"what is shown did not come to what was awaited; the last was {seen}")
