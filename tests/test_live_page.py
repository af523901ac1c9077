"""Pages with pictures that answer: one script for all, no data that run, images wherever the script is missing."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from celluler_sim import live_page
from celluler_sim.experiments.page import Part, write_page
from celluler_sim.experiments.sweep_page import write_sweep_page
from celluler_sim.live_page import SCRIPT, Drawn, extras, figure, script_of, share
from celluler_sim.report import write_report
from tests.analysis.fake_run import fake_run
from tests.dashboard.test_browser import CHROMIUM, FLAGS

ASKED = Drawn(b"\x89PNG", {"data": [], "layout": {}, "ratio": 2.0})


@pytest.fixture
def no_plotly(monkeypatch):
    """Let plotly be missing."""
    monkeypatch.setattr(live_page, "plotly_script", lambda: None)
    monkeypatch.setattr(live_page, "_content", lambda: None)


def test_pages_below_a_folder_share_one_script(tmp_path):
    """The script is put into the results folder once; a run two folders down points there."""
    runs = [tmp_path / "results" / "congestion" / name for name in ("one", "two")]
    for run in runs:
        run.mkdir(parents=True)
        share(tmp_path / "results", run)
        assert script_of(run) == tmp_path / "results" / SCRIPT
        assert f'src="../../{SCRIPT}"' in extras(run, [ASKED]).loader
    assert list(tmp_path.rglob(SCRIPT)) == [tmp_path / "results" / SCRIPT]


def test_a_page_elsewhere_has_its_script_beside_it(tmp_path):
    """A folder that is not below the results folder is not shared with; nothing is written outside of it."""
    (tmp_path / "results").mkdir()
    (tmp_path / "far").mkdir()
    share(tmp_path / "results", tmp_path / "far")
    assert script_of(tmp_path / "far") == tmp_path / "far" / SCRIPT
    assert not list((tmp_path / "results").iterdir())


def test_a_script_that_came_with_somebody_elses_folder_is_not_used(tmp_path):
    """A file of that name with one byte changed is replaced where the page stands, and passed over above it."""
    run = tmp_path / "sent" / "run"
    run.mkdir(parents=True)
    good = script_of(run).read_bytes()
    (run / SCRIPT).unlink()
    for place in (tmp_path / "sent", run):
        (place / SCRIPT).write_bytes(good[:-1] + b"!")
    assert script_of(run) == run / SCRIPT
    assert (run / SCRIPT).read_bytes() == good
    assert (tmp_path / "sent" / SCRIPT).read_bytes() != good


def test_a_link_of_that_name_is_not_written_through(tmp_path):
    """What the link leads to stays as it is."""
    (tmp_path / "mine.txt").write_text("mine")
    run = tmp_path / "run"
    run.mkdir()
    (run / SCRIPT).symlink_to(tmp_path / "mine.txt")
    script_of(run)
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert not (run / SCRIPT).is_symlink()


def test_data_cannot_end_their_block():
    """A name that closes the script element is written so that it does not, and comes back as it was."""
    evil = "</script><script>alert(1)</script><!-- & \u2028"
    text = figure(Drawn(b"", {"data": [{"name": evil}], "layout": {}, "ratio": 2.0}), "caption", "price")
    assert text.count("<script") == text.count("</script") == 1
    block = re.search(r'<script type="application/json">(.*)</script>', text)[1]
    assert json.loads(block)["data"][0]["name"] == evil


def test_a_page_allows_scripts_from_files_only(tmp_path):
    """The policy names no inline script and no address; a page without pictures allows none at all."""
    page = write_page(tmp_path / "page.html", "t", "d", [Part("p", pictures=[(ASKED, "how to read")])]).read_text()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    assert dict(part.split(maxsplit=1) for part in policy.split("; ")) == {
        "default-src": "'none'", "img-src": "data: blob:", "script-src": "'self' file:", "style-src": "'unsafe-inline'",
    }  # fmt: skip
    bare = write_page(tmp_path / "bare.html", "t", "d", [Part("p", "text")]).read_text()
    assert "script" not in bare


def test_the_page_of_a_sweep_says_mean_interval_and_worlds(tmp_path):
    """Prices of 100, 110 and 120 in three worlds: 110, and 4.303 standard errors of 5.774 to each side."""
    rows = [
        {"job": job, "overrides": "", "outcome": "finished", "error": None, "replicate": world, "seed": world,
         "pricing": rule, "pricing.base_price": base, "mean_price_prana": base + 10.0 * world}
        for job, (rule, base) in enumerate([("linear", 100), ("linear", 200), ("fixed", 100), ("fixed", 200)])
        for world in range(3)
    ]  # fmt: skip
    page = write_sweep_page(tmp_path, "x", rows, ["pricing", "pricing.base_price"]).read_text()
    lines, heat = (json.loads(block) for block in re.findall(r'<script type="application/json">(.*)</script>', page))
    told = [text for trace in lines["data"] for text in trace.get("text", ())]
    assert "100, pricing=linear: 110 PRANA/unit [85.16 PRANA/unit, 134.84 PRANA/unit], 3 worlds" in told
    assert len(told) == 4
    assert [trace["z"] for trace in heat["data"]] == [[[110.0, 210.0], [110.0, 210.0]]]
    assert page.count("<figcaption>") == 2


def test_without_plotly_the_images_stay_and_one_line_says_so(tmp_path, no_plotly):
    """The run's report is what it was: images, no script, and what to install."""
    page = write_report(fake_run(ticks=5), tmp_path).read_text()
    assert page.count("celluler-sim[report]") == 1
    assert "<script" not in page
    assert "data:image/png;base64," in page
    assert {path.name for path in tmp_path.iterdir()} == {"report.html", "figures"}


def test_plotly_itself_is_not_imported():
    """Its script is found without loading the package, which takes a second."""
    import subprocess
    import sys

    code = (
        "import sys; from celluler_sim.live_page import _content; assert _content(); assert 'plotly' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


@pytest.fixture
def opened():
    """Return a function that opens a page in a browser, and gives it with all that it asked for and complained of."""
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed: the page cannot be opened")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)

        def open_page(path):
            page = browser.new_page(viewport={"width": 1000, "height": 900})
            asked, errors = [], []
            page.on("request", lambda request: asked.append(request.url))
            page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.goto(path.as_uri())
            return page, asked, errors

        yield open_page
        browser.close()


@pytest.mark.slow
def test_a_picture_answers_in_a_browser(tmp_path, opened):
    """From the file, offline: the price is drawn and read where one points; what is clicked in the legend goes."""
    report = write_report(fake_run(ticks=60), tmp_path)
    page, asked, errors = opened(report)
    price = page.locator("#plot-price")
    price.scroll_into_view_if_needed()
    price.locator(".hoverlayer").wait_for(state="attached", timeout=60_000)
    box = price.locator(".stage").bounding_box()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"])
    price.locator(".hoverlayer text").first.wait_for(timeout=60_000)
    said = " ".join(price.locator(".hoverlayer").all_text_contents())
    assert "simulated time, h:" in said
    assert "price quoted" in said
    assert not price.locator("img").is_visible()
    shown = "element => element.querySelector('.stage').data.map(line => line.visible || true)"
    assert price.evaluate(shown) == [True, True]
    price.locator(".legendtoggle").first.click()
    for _ in range(100):  # plotly waits for a double click first
        page.wait_for_timeout(50)
        if price.evaluate(shown) == ["legendonly", True]:
            break
    assert price.evaluate(shown) == ["legendonly", True]
    assert asked == [report.as_uri(), (tmp_path / SCRIPT).as_uri()]
    assert not errors
    assert price.locator("[data-title*='Edit'], [data-title*='server'], [data-title*='loud']").count() == 0
    assert price.locator(".modebar-btn").count() == 6


@pytest.mark.slow
def test_a_page_that_has_lost_its_script_shows_its_images(tmp_path, opened):
    """The report is moved alone: images, and a line that says why they are still."""
    report = write_report(fake_run(ticks=5), tmp_path)
    alone = tmp_path / "alone" / "report.html"
    alone.parent.mkdir()
    shutil.copy(report, alone)
    page, _, _ = opened(alone)
    assert page.locator("#plot-price img").is_visible()
    assert SCRIPT in page.locator(".live-hint").text_content()
