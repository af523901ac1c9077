"""Pages of experiments: self-contained HTML in the style of a run's report, whatever comes from data escaped."""

from __future__ import annotations

import html
import os
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any, NamedTuple

from celluler_sim.analysis.figures import FIGURES, human
from celluler_sim.experiments.statistics import Interval
from celluler_sim.experiments.tables import describe
from celluler_sim.live_page import Drawn, drawn, extras, figure
from celluler_sim.run_folder import unwritable, write_text

if TYPE_CHECKING:
    from celluler_sim.analysis.picture import Picture
    from celluler_sim.experiments.replicates import Replicates

DPI = 110
REPLICATES = "Every replicate's figure, in order of their numbers; the line is the mean, the band its 95 % interval."


class Part(NamedTuple):
    """One part of a page: what it says, then its pictures with their captions, then more."""

    heading: str
    body: str = ""  # HTML
    pictures: Sequence[tuple[Drawn, str]] = ()
    more: str = ""  # HTML

    @property
    def html(self) -> str:
        """All of it."""
        return "\n".join(filter(None, (self.body, *(figure(*picture) for picture in self.pictures), self.more)))


def esc(value: object) -> str:
    """Return text as it must stand in HTML."""
    return html.escape(str(value), quote=True)


def label(name: str) -> str:
    """Return a figure's words, or a parameter's key as it is."""
    return FIGURES[name].label if name in FIGURES else name


def shown(name: str, value: float | None) -> str:
    """Return a figure's value for reading, with its unit."""
    return human(value, describe(name)[0])


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return an HTML table; all columns but the first are set to the right."""
    top = "".join(f'<th class="{"number" if i else ""}">{esc(name)}</th>' for i, name in enumerate(head))
    lines = [
        f"<tr><th>{esc(first)}</th>" + "".join(f'<td class="number">{esc(value)}</td>' for value in rest) + "</tr>"
        for first, *rest in rows
    ]
    body = "\n".join(lines)
    return f'<div class="wide"><table>\n<thead><tr>{top}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>'


def write_page(path: Path, title: str, description: str, parts: Sequence[Part], warning: str = "") -> Path:
    """Write a page and return its path."""
    used = [part for part in parts if part.body or part.pictures]
    contents = "".join(f'<a href="#part-{i}">{esc(part.heading)}</a>' for i, part in enumerate(used))
    sections = "\n".join(
        f'<section id="part-{i}">\n<h2>{esc(part.heading)}</h2>\n{part.html}\n</section>' for i, part in enumerate(used)
    )
    template = resources.files("celluler_sim").joinpath("report_template.html").read_text("utf-8")
    page = Template(template.replace(": report of a run</title>", "</title>")).substitute(
        title=esc(title),
        description=esc(description),
        outcome=f'<p class="warning">{esc(warning)}</p>' if warning else "",
        contents=contents,
        tiles="",
        sections=sections,
        **extras(path.parent, [picture for part in used for picture, _ in part.pictures])._asdict(),
    )
    write_text(path, page)
    return path


def save_pictures(folder: Path, pictures: Mapping[str, Picture]) -> dict[str, Drawn]:
    """Write pictures as ``figures/NAME.png`` and return them for the page by name."""
    images = {name: drawn(picture, DPI) for name, picture in pictures.items()}
    try:
        (folder / "figures").mkdir(parents=True, exist_ok=True)
        for name, image in images.items():
            partial = folder / "figures" / f"{name}.png.partial"
            partial.write_bytes(image.png)
            os.replace(partial, folder / "figures" / f"{name}.png")  # noqa: PTH105
    except OSError as error:
        raise unwritable(folder, error) from error
    return images


def interval_rows(intervals: Mapping[str, Interval]) -> list[tuple[str, ...]]:
    """Return a row per figure: mean, ends of its interval, standard deviation, number of worlds."""
    return [
        (label(name), *(shown(name, value) for value in (i.mean, i.low, i.high, i.sd)), str(i.n))
        for name, i in intervals.items()
    ]


def write_replicates_page(found: Replicates) -> Path:
    """Write ``replicates.html`` and its picture into the folder of a job with replicates."""
    from celluler_sim.experiments.pictures import replicates_picture

    folder = found.folder
    if folder is None:
        raise ValueError("replicates must have a folder to write their page into")
    images = save_pictures(folder, {"replicates": replicates_picture(found.rows)})
    parts = [
        Part("In pictures", pictures=[(images["replicates"], REPLICATES)]),
        Part("In figures", table(("", "mean", "low", "high", "sd", "worlds"), interval_rows(found.intervals))),
        Part(
            "Failures",
            table(("replicate", "error"), [(str(row["replicate"]), row["error"]) for row in found.failed])
            if found.failed
            else "",
        ),
    ]
    scenario = found.scenario
    title = f"{scenario.name} in {len(found.rows)} worlds"
    warning = f"{len(found.failed)} of {len(found.rows)} replicates failed." if found.failed else ""
    return write_page(folder / "replicates.html", title, scenario.description, parts, warning)


def figures_table(rows: Iterable[tuple[str, Sequence[Any]]], head: Sequence[str]) -> str:
    """Return a table with a figure a row, every value with the figure's unit."""
    return table(head, [(label(name), *(shown(name, value) for value in values)) for name, values in rows])
