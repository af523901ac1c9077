"""Pictures that answer: plotly.js beside the pages of a results folder, and the data that it draws.

Every figure of a page is an image, so that the page can be read wherever it is. Where plotly is installed the figure's
data stand beside the image, and one script file, `SCRIPT`, draws them when the page is opened. That file is plotly.js
out of the installed package with a few lines of this project; all pages below a results folder share it, nothing is
fetched from anywhere, and a page that has lost it shows its images.

Data cannot run: they are JSON with ``<``, ``>`` and ``&`` escaped, and the page's policy allows scripts from files
only. The buttons of a picture are named one by one: plotly.js has one that sends the data to a server.
"""

from __future__ import annotations

import html
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cache
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from celluler_sim.trust import fresh_file

if TYPE_CHECKING:
    from celluler_sim.analysis.picture import Picture

SCRIPT = "plotly.min.js"
LEVELS = 4  # folders above a page in which the script is looked for
HINT = "Point at a picture for its values, drag to zoom in, double-click to zoom out, click a name to hide its line."
LOST = "These are still images: the script {path}, which lets you zoom in, was not found."
STILL = "These are still images; with plotly installed (pip install 'celluler-sim[report]') you can zoom into them."
ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})


class Drawn(NamedTuple):
    """A picture for a page."""

    png: bytes
    data: Mapping[str, Any] | None = None  # what plotly.js draws; None: the image is all there is


def drawn(picture: Picture, dpi: float) -> Drawn:
    """Return a picture as image, and as data where plotly is installed and can draw it alike."""
    png = picture.png(dpi)
    if plotly_script() is None:
        return Drawn(png)
    from celluler_sim.analysis.interactive import figure_data

    return Drawn(png, figure_data(picture))


@cache
def plotly_script() -> Path | None:
    """Return where the installed plotly has its script, None where there is none; plotly is not imported."""
    spec = find_spec("plotly")
    places = [] if spec is None else [Path(p) for p in spec.submodule_search_locations or ()]
    return next((p for place in places if (p := place / "package_data" / SCRIPT).is_file()), None)


def figure(picture: Drawn, caption: str, name: str = "") -> str:
    """Return the HTML of a figure: image, data, caption."""
    import base64

    text, own = html.escape(caption, quote=True), f' id="plot-{html.escape(name, quote=True)}"' if name else ""
    image = f'<img alt="{text}" src="data:image/png;base64,{base64.b64encode(picture.png).decode("ascii")}">'
    if picture.data is None:
        return f"<figure{own}>\n{image}\n<figcaption>{text}</figcaption>\n</figure>"
    data = json.dumps(picture.data, allow_nan=False, separators=(",", ":"), ensure_ascii=False).translate(ESCAPES)
    block = f'<script type="application/json">{data}</script>'
    return f'<figure{own} class="live">\n{image}\n{block}\n<figcaption>{text}</figcaption>\n</figure>'


class Extras(NamedTuple):
    """What a page needs for its pictures: fields of the template."""

    policy: str  # what the page may load, besides its images
    loader: str  # HTML
    hint: str  # HTML


def extras(folder: Path | None, pictures: Iterable[Drawn]) -> Extras:
    """Return what the page in ``folder`` needs to draw its pictures, once the script is in place.

    Nothing but a line for the reader where no picture has data, or the script cannot be put anywhere.
    """
    shown = list(pictures)
    if not shown:
        return Extras("", "", "")
    script = script_of(folder) if folder is not None and any(p.data is not None for p in shown) else None
    if folder is None or script is None:
        return Extras("", "", f'<p class="faint">{html.escape(STILL)}</p>' if plotly_script() is None else "")
    path = html.escape(Path(os.path.relpath(script, folder.resolve())).as_posix(), quote=True)
    hint = f'<p class="faint live-hint" data-ready="{HINT}">{LOST.format(path=path)}</p>'
    return Extras(" blob:; script-src 'self' file:", f'<script src="{path}" defer></script>', hint)


def script_of(folder: Path) -> Path | None:
    """Return the script for a page in ``folder``: one in a folder above it, else a new one beside the page."""
    content = _content()
    if content is None:
        return None
    home = folder.resolve()
    for place in (home, *list(home.parents)[:LEVELS]):
        if _same(place / SCRIPT, content):
            return place / SCRIPT
    return _put(home / SCRIPT, content)


def share(root: Path | str, folder: Path) -> None:
    """Put the script into ``root``, where all pages below can share it, if ``folder`` is below and none has it yet."""
    place, content = Path(root).resolve(), _content()
    if content is None or not folder.resolve().is_relative_to(place):
        return
    if not any(_same(above / SCRIPT, content) for above in (place, *list(place.parents)[:LEVELS])):
        _put(place / SCRIPT, content)


@cache
def _content() -> bytes | None:
    """Return the script: plotly.js, then what draws the figures of a page."""
    source = plotly_script()
    if source is None:
        return None
    own = resources.files("celluler_sim").joinpath("live_page.js").read_bytes()
    return source.read_bytes() + own


def _same(path: Path, content: bytes) -> bool:
    """Whether a file is the script and nothing else: one that somebody has sent along is not used."""
    with suppress(OSError):
        return path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content
    return False


def _put(path: Path, content: bytes) -> Path | None:
    """Write the script whole or not at all; None where it cannot be written."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with fresh_file(partial) as file:
            file.write(content)
        os.replace(partial, path)  # noqa: PTH105
    except OSError:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        return None
    return path
