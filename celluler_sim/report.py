"""The report of a run: one HTML file with figures, tables and captions that needs nothing else to be read.

With plotly its pictures can be zoomed and asked for values: `celluler_sim.live_page`.
"""

from __future__ import annotations

import html
import os
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

from celluler_sim.analysis.figures import FIGURES, SECTIONS, human, trace_pairs
from celluler_sim.analysis.plots import CAPTIONS, PLOTS
from celluler_sim.analysis.plots_compare import all_runs, fact_cells, relative_change
from celluler_sim.analysis.plots_ordering import idle as ordering_idle
from celluler_sim.analysis.plots_pools import idle as pools_idle
from celluler_sim.analysis.plots_training import idle as training_idle
from celluler_sim.analysis.plots_trust import idle as trust_idle
from celluler_sim.analysis.reading import RunLike
from celluler_sim.analysis.summary import summarise
from celluler_sim.errors import ResultsError
from celluler_sim.live_page import Drawn, drawn, extras, figure
from celluler_sim.run_folder import to_yaml, unwritable, write_text
from celluler_sim.tables import TABLES
from celluler_sim.trust import fresh_file, within

DPI = 140
TILES = (
    "mean_price_prana",
    "mean_utilisation",
    "wait_p50_s",
    "wait_p95_s",
    "served_share",
    "welfare_share_of_optimum",
    "hhi_providers",
)
RULES = ("market", "pricing", "allocation", "consensus", "workload")
OWN_SECTION = ("variants", "trace_facts")
COMPARED = ("Price", "Use", "Service", "Welfare", "Distribution")


class Section(NamedTuple):
    """One part of the page."""

    anchor: str
    heading: str
    body: str  # HTML


def write_report(run: RunLike, folder: Path | str | None = None) -> Path:
    """Write ``figures/*.png`` and ``report.html`` and return the path of the latter.

    Parameters
    ----------
    run
        The run; its variants, where it has some, are compared with it.
    folder
        Where to write; the run's own folder if not given.

    Raises
    ------
    ResultsError
        The run is in memory and no folder is given, or the folder cannot be written.
    """
    home = run.folder if folder is None else Path(folder)
    if home is None:
        raise ResultsError("report folder must be given for a run held in memory, got None; pass folder=...")
    images = {name: drawn(PLOTS[name](run), DPI) for name in worth_drawing(run)}
    try:
        within(home, home / "figures").mkdir(parents=True, exist_ok=True)
        for name, image in images.items():
            _replace(home / "figures" / f"{name}.png", image.png)
    except OSError as error:
        raise unwritable(home, error) from error
    page = home / "report.html"
    write_text(page, render(run, images, home))
    return page


def _replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    partial = path.with_name(f"{path.name}.partial")
    with fresh_file(partial) as file:
        file.write(content)
    os.replace(partial, path)  # noqa: PTH105


def worth_drawing(run: RunLike) -> list[str]:
    """Return the names of the plots that have something to say about this run, in reading order."""
    idle = {"variants": not run.variants, "trace_facts": not any(partner for _, partner in trace_pairs(run.summary))}
    idle |= ordering_idle(run) | pools_idle(run) | training_idle(run) | trust_idle(run)
    return [name for name in PLOTS if not idle.get(name)]


def render(run: RunLike, images: Mapping[str, Drawn], folder: Path | None = None) -> str:
    """Return the page, which is to stand in ``folder``. Whatever comes from the run is escaped.

    ``images`` are the pictures by the name of their plot.

    A run that was stopped before its summary was written is summed up from its tables.
    """
    summary = run.summary or summarise(run.tables, run.config)
    sections = [s for s in _sections(run, summary, images) if s.body]
    contents = "".join(f'<a href="#{s.anchor}">{_esc(s.heading)}</a>' for s in sections)
    body = "\n".join(f'<section id="{s.anchor}">\n<h2>{_esc(s.heading)}</h2>\n{s.body}\n</section>' for s in sections)
    template = resources.files("celluler_sim").joinpath("report_template.html").read_text("utf-8")
    return Template(template).substitute(
        title=_esc(run.config.get("name", "run")),
        description=_esc(run.config.get("description", "")),
        outcome=_outcome(run.manifest),
        contents=contents,
        tiles="\n".join(_tile(summary, name) for name in TILES),
        **extras(folder, images.values())._asdict(),
        sections=body,
    )


def _sections(run: RunLike, summary: Mapping[str, Any], images: Mapping[str, Drawn]) -> Iterable[Section]:
    plots = [figure(image, CAPTIONS[name], name) for name, image in images.items() if name not in OWN_SECTION]
    yield Section("plots", "In pictures", "\n".join(plots))
    yield Section("variants", "Under other rules", _variants(run, images))
    yield Section("figures", "In figures", _summary(summary))
    yield Section("workload", "Beside the workload", _trace(summary))
    yield Section("setup", "What was run", _setup(run))
    yield Section("data", "Reading the data", _data(run, summary))
    yield Section("configuration", "Configuration", _configuration(run.config))


def _esc(value: object) -> str:
    return html.escape(str(value), quote=True)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: Sequence[int] = ()) -> str:
    """Return an HTML table, every cell escaped; columns in ``numbers`` are set to the right."""

    def cell(tag: str, i: int, value: object) -> str:
        right = ' class="number"' if i in numbers else ""
        return f"<{tag}{right}>{value if isinstance(value, _Html) else _esc(value)}</{tag}>"

    top = "".join(cell("th", i, name) for i, name in enumerate(head))
    lines = [
        "<tr>" + "".join(cell("td" if i else "th", i, value) for i, value in enumerate(row)) + "</tr>" for row in rows
    ]
    body = "\n".join(lines)
    return f'<div class="wide"><table>\n<thead><tr>{top}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>'


class _Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def _tile(summary: Mapping[str, Any], name: str) -> str:
    label, unit, _ = FIGURES[name]
    return f'<div class="tile"><b>{_esc(human(summary.get(name), unit))}</b><span>{_esc(label)}</span></div>'


def _outcome(manifest: Mapping[str, Any]) -> str:
    """Return a warning where a run did not end as it should, else nothing."""
    outcome = manifest.get("outcome", "finished")
    if outcome == "finished":
        return ""
    why = f": {manifest['error']}" if manifest.get("error") else ""
    return f'<p class="warning">This run is not complete. Its outcome is {_esc(outcome)}{_esc(why)}</p>'


def _setup(run: RunLike) -> str:
    rules = [(family, *_rule(run.config[family])) for family in RULES if run.config.get(family)]
    agents = [(kind, *_rule(own)) for kind, own in (run.config.get("agents") or {}).items()]
    parts = [
        "<h3>Rules and agents</h3>",
        _table(("", "choice", "parameters"), rules + agents),
        "<h3>Size and origin</h3>",
        _table(("", ""), _origin(run)),
        "<h3>To run it again</h3>",
        f"<pre><code>{_esc(_again(run))}</code></pre>",
    ]
    return "\n".join(parts)


def _rule(entry: object) -> tuple[str, str]:
    """Return the name of a configured rule and its parameters as ``key=value``."""
    if not isinstance(entry, Mapping):
        return str(entry), ""
    name = entry.get("name", entry.get("count", ""))
    rest = [f"{key}={value}" for key, value in entry.items() if key not in ("name", "count") and value is not None]
    return str(name), ", ".join(rest)


def _origin(run: RunLike) -> list[tuple[str, str]]:
    config, manifest = run.config, run.manifest
    ticks, seconds = config.get("ticks"), config.get("tick_seconds")
    rows = [("ticks", f"{ticks} of {seconds} s"), ("seed", str(config.get("seed")))]
    if config.get("replicate"):
        rows.append(("replicate", str(config["replicate"])))
    labels = {
        "started": "started",
        "duration_s": "duration, s",
        "outcome": "outcome",
        "config_sha256": "configuration, SHA-256",
    }
    rows += [(label, str(manifest[key])) for key, label in labels.items() if manifest.get(key) is not None]
    versions = manifest.get("versions") or {}
    if versions:
        rows.append(("versions", ", ".join(f"{name} {version}" for name, version in versions.items())))
    return rows


def _again(run: RunLike) -> str:
    """Return how to repeat the run: by its overrides where the manifest has them, else by its composed scenario."""
    if command := run.manifest.get("command"):
        return str(command)
    if "overrides" in run.manifest:
        words = [f"scenario={run.config.get('name')}", *map(str, run.manifest["overrides"])]
        if not any(word.startswith("seed=") for word in words):
            words.append(f"seed={run.config.get('seed')}")
        return " ".join(["python -m celluler_sim", *words])
    return 'import celluler_sim\n\nrun = celluler_sim.simulate("scenario.yaml")  # the file beside this report'


def _summary(summary: Mapping[str, Any]) -> str:
    """Return the figures that have a value, in sections."""
    parts = []
    for heading, names in SECTIONS.items():
        rows = [_row(summary, name) for name in names if summary.get(name) is not None]
        if rows:
            parts.append(f"<h3>{_esc(heading)}</h3>\n{_table(('', 'value', 'meaning'), rows, numbers=(1,))}")
    if without := [name for name in FIGURES if name in summary and summary[name] is None]:
        table = _table(("", "value", "meaning"), [_row(summary, name) for name in without], numbers=(1,))
        parts.append(f"<details><summary>Figures without a value in this run</summary>\n{table}\n</details>")
    return "\n".join(parts)


def _row(summary: Mapping[str, Any], name: str) -> tuple[_Html, str, _Html]:
    label, unit, meaning = FIGURES[name]
    return (
        _Html(f"{_esc(label)}<small><code>{_esc(name)}</code></small>"),
        human(summary.get(name), unit),
        _Html(f'<span class="meaning">{_esc(meaning)}</span>'),
    )


def _trace(summary: Mapping[str, Any]) -> str:
    rows = [fact_cells(summary, name, partner) for name, partner in trace_pairs(summary)]
    if not rows:
        return ""
    table = _table(("", "workload", "simulated", "simulated / workload"), rows, numbers=(1, 2, 3))
    return f"<p>{_esc(CAPTIONS['trace_facts'])}</p>\n{table}"


def _variants(run: RunLike, images: Mapping[str, Drawn]) -> str:
    if not run.variants:
        return ""
    changed = run.config.get("variants") or {}
    rules = [(name, " ".join(map(str, changed.get(name) or ()))) for name in run.variants]
    picture = figure(images["variants"], CAPTIONS["variants"], "variants") if "variants" in images else ""
    text = "<p>Each variant met the same agents, jobs and luck; only the rules named here differ.</p>"
    return "\n".join((text, _table(("variant", "overrides"), rules), picture, _comparison(run)))


def _comparison(run: RunLike) -> str:
    """Return the table of figures, a column per variant, with the change from the run itself."""
    runs = {name: other.summary for name, other in all_runs(run).items()}
    names = [n for heading in COMPARED for n in SECTIONS[heading] if any(s.get(n) for s in runs.values())]
    rows = [(_label(n), *(_compared(n, s, run.summary, own=s is run.summary) for s in runs.values())) for n in names]
    return _table(("", *runs), rows, numbers=range(1, len(runs) + 1))


def _label(name: str) -> str:
    label, unit, _ = FIGURES[name]
    return label if unit in ("", "s", "share", "index") or unit in label else f"{label}, {unit}"


def _compared(name: str, summary: Mapping[str, Any], base: Mapping[str, Any], *, own: bool) -> _Html:
    unit = FIGURES[name].unit
    value = _esc(human(summary.get(name), unit).removesuffix(f" {unit}"))
    change = relative_change(summary.get(name), base.get(name))
    if own or change != change:  # noqa: PLR0124 - NaN: there is nothing to compare with
        return _Html(value)
    return _Html(f"{value}<small>{100 * change:+.1f} %</small>")


def _data(run: RunLike, summary: Mapping[str, Any]) -> str:
    known = [name for name in TABLES if name in run.tables]
    tables = [(name, TABLES[name].meaning, ", ".join(TABLES[name].key)) for name in known]
    figure = next((n for n in TILES if summary.get(n) is not None), TILES[0])
    where = run.folder.name if run.folder is not None else "folder"
    code = (
        "import celluler_sim\n\n"
        f'run = celluler_sim.load_run("{where}")  # the folder of this report\n'
        f'run.summary["{figure}"]\n'
        'run.tables["markets"]  # a pandas DataFrame, sorted by its key\n'
        'run.tables.units("markets")\n'
        "run.plot.price()  # a matplotlib Figure"
    )
    return f"<pre><code>{_esc(code)}</code></pre>\n" + _table(("table", "holds", "sorted by"), tables)


def _configuration(config: Mapping[str, Any]) -> str:
    text = f"<pre><code>{_esc(to_yaml(config))}</code></pre>"
    return f"<details>\n<summary>Everything that was set, as composed</summary>\n{text}\n</details>"
