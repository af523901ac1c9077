"""The report: complete, self-contained, the same for the same run, and safe against what a scenario may say."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from celluler_sim.analysis.figures import FIGURES
from celluler_sim.analysis.picture import Picture
from celluler_sim.analysis.plots import CAPTIONS, PLOTS
from celluler_sim.analysis.summary import summarise
from celluler_sim.errors import ResultsError
from celluler_sim.live_page import SCRIPT, Drawn
from celluler_sim.report import render, worth_drawing, write_report
from celluler_sim.tables import TABLES
from tests.analysis.fake_run import FakeRun, empty_tables, fake_run, hand_made

PIXEL = b"\x89PNG"
SILENT = {  # the run here has no consensus, no pools, no training and no trust to speak of
    "hashgraph", "consensus", "finality", "members", "fairness", "extracted", "pool_shares", "pool_membership",
    "learning_curves", "model_prices", "validation", "data_income",
    "reputations", "detection", "deterrence", "fraud_losses", "voting_power",
}  # fmt: skip
VOID = {"meta", "img", "br", "hr", "link"}


class Page(HTMLParser):
    """Reads a page: checks that tags close in order, and collects text, attributes and identifiers."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.sources, self.ids, self.links, self.words = [], [], [], [], [], []
        self.feed(html)
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag, attrs):
        """Note a tag that opens, where it leads to and what it loads."""
        self.tags.append(tag)
        given = dict(attrs)
        self.sources += [v for k, v in given.items() if k in ("src", "srcset", "data", "action", "background")]
        self.links += [given["href"]] if "href" in given else []
        self.ids += [given["id"]] if "id" in given else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        """Check that the tag opened last closes first."""
        assert self.open.pop() == tag

    def handle_data(self, data):
        """Note a piece of text."""
        self.words.append(data)

    @property
    def text(self):
        """All text, with single spaces."""
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def run():
    return fake_run(ticks=60, variants=("linear", "fixed"), facts={"requests": 900.0, "gpus": 42.0})


@pytest.fixture(scope="module")
def written(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return write_report(run, folder)


def page_of(run, names=()):
    """Return the page of a run with stand-ins for pictures, which take long to draw."""
    return Page(render(run, dict.fromkeys(names or worth_drawing(run), Drawn(PIXEL))))


def test_files_are_where_they_should_be(written):
    """The page and one picture for each plot; nothing half-written beside them."""
    assert written.name == "report.html"
    assert {f.name for f in (written.parent / "figures").iterdir()} == {f"{name}.png" for name in PLOTS.keys() - SILENT}
    assert {f.name for f in written.parent.iterdir()} == {"report.html", "figures", SCRIPT}
    assert (written.parent / "figures" / "price.png").read_bytes().startswith(PIXEL)


def test_nothing_is_fetched_from_anywhere(written):
    """Every source is inside the page but for the script beside it, every link leads into it, all else is forbidden."""
    html = written.read_text("utf-8")
    page = Page(html)
    assert page.sources
    assert {s for s in page.sources if not s.startswith("data:image/png;base64,")} == {SCRIPT}
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    assert not {"link", "iframe", "object"} & set(page.tags)
    assert set(re.findall(r"<script[^>]*>", html)) == {
        '<script type="application/json">',
        f'<script src="{SCRIPT}" defer>',
    }
    assert not re.search(r"https?://|url\(|@import", html)
    assert "default-src 'none'" in html


def test_the_page_says_everything(written, run):
    """Each figure with its meaning, each picture with its caption, rules, seed, versions, tables, how to repeat."""
    text = Page(written.read_text("utf-8")).text
    for name, info in FIGURES.items():
        if name in run.summary:
            assert name in text
            assert info.meaning in text
    for name, caption in CAPTIONS.items():
        assert (caption in text) == (name not in SILENT)
    for words in ("sliding_window", "base_price=100", "python 3.11.7", "9f2c51d0a7", *TABLES, "load_run"):
        assert words in text
    assert "python -m celluler_sim scenario=compute_congestion pricing=sliding_window seed=1" in text


def test_the_same_run_gives_the_same_bytes(written, run, tmp_path):
    """No time of writing, no path, no random identifier enters the report."""
    again = write_report(run, tmp_path)
    assert again.read_bytes() == written.read_bytes()
    for picture in (written.parent / "figures").iterdir():
        assert (tmp_path / "figures" / picture.name).read_bytes() == picture.read_bytes()


def test_text_of_a_scenario_is_never_markup():
    """Names, descriptions, parameters, variants, errors and versions are escaped wherever they appear."""
    evil = "<script>alert('x')</script>\"'&$title"
    run = fake_run(ticks=1)
    config = {**run.config, "name": evil, "description": evil, "pricing": {"name": evil, evil: evil}}
    config |= {"agents": {evil: {"count": evil}}, "variants": {evil: [evil]}, "workload": evil}
    manifest = {"outcome": evil, "error": evil, "versions": {evil: evil}, "overrides": [evil], "started": evil}
    bad = FakeRun(config, manifest, run.summary | {f"trace_{evil}": 1.0}, run.tables, variants={evil: run})
    page = page_of(bad)
    assert "script" not in page.tags
    assert page.text.count("alert('x')") >= 8


def test_dollar_signs_do_not_break_the_template():
    """`$title` in a description is text, not a field of the page's template."""
    run = fake_run(ticks=1)
    assert "costs $5 or $title" in page_of(FakeRun({"description": "costs $5 or $title"}, {}, {}, run.tables)).text


def test_variants_are_compared_with_the_run():
    """A price twice as high reads +100.0 %; the overrides of the variant are named."""
    config = {"tick_seconds": 60.0, "variants": {"dear": ["pricing=fixed"]}}
    base, dear = hand_made(), hand_made()
    dear["markets"]["price_prana"] *= 2
    run = FakeRun(config, {}, summarise(base, config), base)
    run.variants["dear"] = FakeRun(config, {}, summarise(dear, config), dear)
    text = page_of(run).text
    assert "mean price, PRANA/unit 200 400 +100.0 %" in text
    assert "dear pricing=fixed" in text


def test_a_run_without_variants_or_trace_has_no_such_sections():
    """Empty sections are left out, of the contents too."""
    run = fake_run(ticks=3)
    assert not {"variants", "trace_facts"} & set(worth_drawing(run))
    page = page_of(run)
    assert {"setup", "figures", "plots", "data", "configuration"} <= set(page.ids)
    assert not {"variants", "workload"} & set(page.ids)


def test_trace_figures_stand_beside_simulated_ones(run):
    """The paired fact with both values and their ratio; the other alone."""
    text = page_of(run).text
    submitted = run.summary["jobs_submitted"]
    assert f"requests 900 jobs {submitted:,.0f} jobs {submitted / 900:.3g}" in text
    assert "gpus 42" in text


def test_a_run_that_was_stopped_is_reported_from_its_tables():
    """Without a summary the figures come from the tables, and the page warns."""
    run = FakeRun({}, {"outcome": "failed", "error": "negative price"}, {}, hand_made())
    text = page_of(run).text
    assert "not complete. Its outcome is failed: negative price" in text
    assert "200 PRANA/unit" in text


def test_a_run_without_any_row_has_a_report(tmp_path):
    """Nothing happened; the report says so."""
    page = Page(write_report(FakeRun({}, {}, {}, empty_tables()), tmp_path).read_text("utf-8"))
    assert "none mean price" in page.text


def test_a_run_in_memory_needs_a_folder(run):
    """One line that says what to pass."""
    with pytest.raises(ResultsError, match="pass folder="):
        write_report(run)


def test_a_folder_that_is_a_file_is_refused(tmp_path, run, monkeypatch):
    """The error names the place, and the file stays."""
    monkeypatch.setattr(Picture, "png", lambda *_: PIXEL)
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(ResultsError, match="taken"):
        write_report(run, tmp_path / "taken")
    assert (tmp_path / "taken").read_text() == "mine"


def test_the_folder_of_the_run_is_the_default(tmp_path, run, monkeypatch):
    """A run on disk gets its report beside its tables."""
    monkeypatch.setattr(Picture, "png", lambda *_: PIXEL)
    home = FakeRun(run.config, run.manifest, run.summary, run.tables, folder=tmp_path)
    assert write_report(home) == tmp_path / "report.html"


def test_without_overrides_the_composed_scenario_is_named():
    """A manifest that does not know the command line: repeat from the file that has everything."""
    text = page_of(FakeRun({"name": "x"}, {}, {}, hand_made())).text
    assert 'celluler_sim.simulate("scenario.yaml")' in text
