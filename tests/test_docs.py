"""The documentation is true: pages match the code, links lead somewhere, examples run, commands compose."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from celluler_sim.docs import keys, measured, scenarios
from celluler_sim.docs.__main__ import main
from celluler_sim.docs.markdown import anchor
from celluler_sim.mechanisms import pricing
from celluler_sim.scenario import Scenario
from tests import docs_runner

ROOT = Path(__file__).parents[1]
RUNNABLE = ["README.md", "CONTRIBUTING.md", "docs/tutorial.md", "docs/how-to.md", "docs/experiments.md"]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "results").glob("*.md")]
)
FENCE = re.compile(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def text(page: str) -> str:
    return (ROOT / page).read_text("utf-8")


def fences(page: str, language: str) -> list[tuple[str, str]]:
    """Return the file name (empty: none) and content of each fenced block in one language."""
    return [(match[2] or "", match[3]) for match in FENCE.finditer(text(page)) if match[1] == language]


def files(page: str) -> dict[str, str]:
    """Return the files that a page asks its reader to save."""
    return {match[2]: match[3] for match in FENCE.finditer(text(page)) if match[2]}


def save(page: str, folder: Path) -> Path:
    for name, content in files(page).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content, "utf-8")
    return folder


def commands(page: str) -> list[str]:
    """Return every `python -m celluler_sim ...` of a page: lines of shell blocks, and inline code."""
    lines = [line for _, block in fences(page, "sh") for line in block.splitlines()]
    inline = re.findall(r"`(python -m celluler_sim [^`]*)`", FENCE.sub("", text(page)))
    return [line for line in [*lines, *inline] if line.startswith("python -m celluler_sim ")]


def python(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python in another process: what it registers must not reach the other tests."""
    path = os.pathsep.join([str(cwd), str(ROOT)])
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("CELLULER_", "PYTEST_"))}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**clean, "PYTHONPATH": path, "HYPOTHESIS_STORAGE_DIRECTORY": str(cwd / "hypothesis"), **environment},
        capture_output=True,
        text=True,
    )


# ---- generated pages ------------------------------------------------------------------------------------------------


def test_generated_pages_are_what_the_code_says_now(tmp_path: Path):
    assert main([str(tmp_path)]) == 0
    written = {path.relative_to(tmp_path).as_posix(): path.read_text("utf-8") for path in tmp_path.rglob("*.md")}
    assert len(written) == 5
    for name, page in written.items():
        assert page == text(f"docs/{name}"), f"docs/{name} is out of date: run `make docs`"


def test_the_page_of_keys_has_every_key_of_every_scenario():
    """What `--cfg job` prints for each scenario is on the page, rule by rule."""
    page = text("docs/reference/keys.md")
    for scenario in scenarios.shipped():
        for key in leaves(docs_runner.real_compose(scenario.path).to_mapping()):
            assert re.search(rf"^\| `{re.escape(key)}` \|", page, re.MULTILINE), key


def leaves(mapping: dict[str, object], path: str = "") -> Iterator[str]:
    for name, value in mapping.items():
        key = f"{path}{name}"
        if isinstance(value, dict) and not re.search(
            r"hardware|behaviours|gpus|variants|claims|skip|proposals|tasks|accelerators|shares", key
        ):
            yield from leaves(value, f"{key}.")
        elif not (path and name == "name" and key != "market.name"):
            yield key


def test_ranges_are_those_that_are_checked():
    """Bounds by hand: a price above 0, a floor between 0 and the base price, shares each at least 0, a null default."""
    found = keys.bounds(pricing.Eip1559)
    assert found["pricing.base_price"] == ("> 0", "PRANA per unit")
    assert found["pricing.floor"].range == "0 to base_price"
    found = keys.bounds(Scenario)
    assert found["agents.providers.reprice_per_half_hour"].range == ">= 0, < 1"
    assert found["agents.providers.quality_low"].range == "0 to quality_high"
    assert found["agents.consumers.behaviours.elastic"].range == ">= 0"
    assert "| `workload.days` | a number or null | days | > 0 |" in text("docs/reference/keys.md")


def test_listening_to_ranges_leaves_the_checks_in_place():
    keys.bounds(pricing.Fixed)
    with pytest.raises(ValueError, match="base_price must be > 0"):
        pricing.Fixed(base_price=-1.0)


# ---- measured figures -----------------------------------------------------------------------------------------------


def test_every_measured_block_is_filled_in_and_the_same_wherever_it_stands():
    found: dict[str, set[str]] = {}
    for page in PAGES:
        for block in measured.BLOCK.finditer(text(page)):
            found.setdefault(block[2], set()).add(block[3])
    assert found.keys() == measured.MEASURED.keys()
    for name, blocks in found.items():
        assert len(blocks) == 1, f"{name} differs between pages: run `python -m celluler_sim.docs docs --measure`"
        assert blocks.pop().startswith("| "), f"{name} has not been measured"


def test_measuring_replaces_the_blocks_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "docs"
    folder.mkdir()
    (tmp_path / "README.md").write_text("a\n<!-- measured: new -->\nold\n<!-- end -->\nb\n")
    (folder / "page.md").write_text("<!-- measured: absent -->\nkept\n<!-- end -->\n")
    monkeypatch.setattr(measured, "MEASURED", {"new": lambda: "| 1 |", "absent": no_trace})
    monkeypatch.setattr(measured, "picture", lambda: b"PNG")
    measured.refresh(folder)
    assert (tmp_path / "README.md").read_text() == "a\n<!-- measured: new -->\n| 1 |\n<!-- end -->\nb\n"
    assert (folder / "page.md").read_text() == "<!-- measured: absent -->\nkept\n<!-- end -->\n"
    assert (folder / "images" / "congestion.png").read_bytes() == b"PNG"


def no_trace() -> str:
    raise measured.TraceError("no trace here")


def test_the_picture_is_small():
    assert 10_000 < (ROOT / "docs/images/congestion.png").stat().st_size < 150_000


# ---- links and prose ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_every_internal_link_leads_somewhere(page: str):
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", text(page))):
        if re.match(r"https?:|mailto:", target):
            continue
        path, _, fragment = target.partition("#")
        full = (ROOT / page).parent / path if path else ROOT / page
        assert full.exists(), f"{page} links to {target}"
        if fragment:
            headings = re.findall(r"^#+ (.*)$", FENCE.sub("", full.read_text("utf-8")), re.MULTILINE)
            assert fragment in {anchor(heading) for heading in headings}, f"{page} links to {target}"


def test_the_readme_tells_of_every_scenario():
    assert all(f"`{scenario.option}`" in text("README.md") for scenario in scenarios.shipped())


# ---- examples -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", RUNNABLE)
def test_examples_run_and_commands_compose(page: str, tmp_path: Path):
    """All blocks of a page in one process, in the folder where its files are saved, with few ticks a run."""
    blocks = [content for name, content in fences(page, "python") if not name]
    assert blocks
    assert commands(page)
    (save(page, tmp_path) / "work.json").write_text(json.dumps({"blocks": blocks, "commands": commands(page)}))
    done = python(str(Path(docs_runner.__file__)), "work.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]


def test_messages_shown_are_those_that_are_printed(tmp_path: Path):
    for _, block in fences("docs/tutorial.md", "text"):
        for command, said in re.findall(r"^\$ python -m (.*)\n(.*)$", block, re.MULTILINE):
            assert python("-m", *shlex.split(command), cwd=tmp_path).stderr.strip() == said


# ---- "add a mechanism" ----------------------------------------------------------------------------------------------

LAW_SUITE = """
import sys
import celluler_sim.mechanisms
celluler_sim.mechanisms.__path__.append(sys.argv[1])  # as if the file were in the package
import pytest
suite = "tests/mechanisms/test_pricing_laws.py"
sys.exit(pytest.main(["-p", "no:cacheprovider", "--rootdir", sys.argv[2], "-k", "kinked", sys.argv[2] + "/" + suite]))
"""


def test_the_law_suite_takes_the_example_in(tmp_path: Path):
    save("CONTRIBUTING.md", tmp_path)
    done = python("-c", LAW_SUITE, str(tmp_path), str(ROOT), cwd=tmp_path)
    assert (done.returncode, "1 passed" in done.stdout) == (0, True), done.stdout[-3000:]


def test_the_law_suite_refuses_a_false_claim_of_the_example(tmp_path: Path):
    """With the sign of its slope turned the price falls where the market gets busier."""
    code = files("CONTRIBUTING.md")["kinked.py"]
    wrong = code.replace("(self.peak - 1.0) * scarcity", "(1.0 / self.peak - 1.0) * scarcity")
    assert wrong != code
    (tmp_path / "kinked.py").write_text(wrong)
    done = python("-c", LAW_SUITE, str(tmp_path), str(ROOT), cwd=tmp_path)
    assert (done.returncode, "MONOTONE_IN_LOAD" in done.stdout) == (1, True), done.stdout[-3000:]


def test_the_example_s_own_test_passes(tmp_path: Path):
    done = python("-m", "pytest", "-q", "test_kinked.py", cwd=save("CONTRIBUTING.md", tmp_path))
    assert (done.returncode, "1 passed" in done.stdout) == (0, True), done.stdout[-3000:]


def test_the_example_is_found_through_its_entry_point(tmp_path: Path):
    save("CONTRIBUTING.md", tmp_path)
    [(group, names)] = tomllib.loads((tmp_path / "pyproject.toml").read_text())["project"]["entry-points"].items()
    installed = tmp_path / "kinked-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: kinked\nVersion: 1.0\n")
    lines = [f"[{group}]", *(f"{name} = {value}" for name, value in names.items())]
    (installed / "entry_points.txt").write_text("\n".join(lines))
    done = python("-m", "celluler_sim", "pricing=kinked", "--cfg", "job", cwd=tmp_path)
    assert "kink: 0.8" in done.stdout, done.stderr


# ---- bibliography ---------------------------------------------------------------------------------------------------

CITED = re.compile(r"\b([A-Z][a-z][\w-]*)(?: et al\.?)?,? \(?((?:1[789]|20)\d\d)\b(?!-\d)")
NO_AUTHOR = {"Hardware", "November"}  # ends of "Data on Machine Learning Hardware (2024)", "October and November 2025"


def citations() -> set[tuple[str, str]]:
    """Return (last surname, year) of everything that the code and the design pages cite."""
    places = [*(ROOT / "celluler_sim").rglob("*.py"), *(ROOT / "docs/design").glob("*.md")]
    return {m for path in places for m in CITED.findall(path.read_text("utf-8")) if m[0] not in NO_AUTHOR}


def entries() -> list[str]:
    return re.findall(r"^\| `.*$", text("docs/bibliography.md"), re.MULTILINE)


def test_everything_cited_is_in_the_bibliography():
    for surname, year in sorted(citations()):
        assert any(surname in entry and year in entry for entry in entries()), (surname, year)


def test_keys_of_the_bibliography_are_unique_and_say_name_and_year():
    found = [re.match(r"\| `([a-z]+\d{4})` \| (.*)", entry) for entry in entries()]
    assert all(found)
    assert len({match[1] for match in found}) == len(found)
    assert all(match[1][-4:] in match[2] for match in found)
