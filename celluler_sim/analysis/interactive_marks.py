"""What the parts of a matplotlib figure look like to plotly.js: numbers, words, colours, lines and markers."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from celluler_sim.analysis.reading import Floats

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.lines import Line2D

Json = dict[str, Any]

DASHES = {"-": "solid", "--": "dash", "-.": "dashdot", ":": "dot"}
MARKERS = {
    "o": "circle", ".": "circle", "s": "square", "D": "diamond", "d": "diamond-tall", "^": "triangle-up",
    "v": "triangle-down", "P": "cross", "X": "x", "x": "x-thin-open", "+": "cross-thin-open", "*": "star",
    "p": "pentagon", "_": "line-ew-open", "|": "line-ns-open",
}  # fmt: skip
STEPS = {"default": "linear", "steps": "vh", "steps-pre": "vh", "steps-mid": "hvh", "steps-post": "hv"}
PIXELS = 100.0 / 72.0  # of the page in a point of a figure of 100 dots per inch
DIGITS = 6

_notes: WeakKeyDictionary[Artist, list[str]] = WeakKeyDictionary()


class UnknownArtistError(Exception):
    """Something is drawn that has no counterpart here."""


def note(artist: Artist, words: Sequence[str]) -> None:
    """Say what is to be read at each point of a line when one points at it, instead of its coordinates."""
    _notes[artist] = list(words)


def noted(artist: Artist) -> list[str] | None:
    """Return what `note` has said of an artist."""
    return _notes.get(artist)


def numbers(values: Any) -> list[float | None]:
    """Return numbers to six digits, None for what is none.

    >>> numbers([1234567.0, 0.12345678, float("nan")])
    [1234570.0, 0.123457, None]
    """
    array: Floats = np.ma.filled(np.ma.asarray(values, dtype=np.float64), np.nan).ravel()
    known = np.isfinite(array)
    size = np.where(known & (array != 0), np.abs(array), 1.0)
    places = DIGITS - 1 - np.floor(np.log10(size))
    up, down = 10.0 ** np.maximum(places, 0), 10.0 ** np.maximum(-places, 0)
    rounded = np.round(np.where(known, array, 0.0) * up / down) / up * down
    return [value if ok else None for value, ok in zip(rounded.tolist(), known.tolist(), strict=True)]


def words(text: object) -> str:
    r"""Return text as plotly.js must be given it to show it as it is.

    >>> words("costs \\$5 <b>"), words("two\nlines")
    ('costs $5 &lt;b&gt;', 'two<br>lines')
    """
    return html.escape(str(text).replace(r"\$", "$").strip(), quote=False).replace("\n", "<br>")


def colour(value: Any, alpha: float | None = None) -> str:
    """Return a matplotlib colour as ``#rrggbb``, or ``#rrggbbaa`` where it is not opaque."""
    from matplotlib.colors import to_hex, to_rgba

    rgba = to_rgba(value, alpha)
    return str(to_hex(rgba, keep_alpha=rgba[3] < 1))


def stroke(line: Line2D) -> Json:
    """Return how a line and its markers look."""
    style, marker = str(line.get_linestyle()), line.get_marker()
    joined, dotted = style in DASHES, str(marker) in MARKERS
    if not dotted and str(marker) not in ("None", "", " ", "none"):
        raise UnknownArtistError(line)
    found: Json = {"type": "scatter", "mode": "+".join(["lines"] * joined + ["markers"] * dotted) or "none"}
    if joined:
        found["line"] = {
            "color": colour(line.get_color(), line.get_alpha()), "width": float(line.get_linewidth()) * PIXELS,
            "dash": DASHES[style], "shape": STEPS[line.get_drawstyle()],
        }  # fmt: skip
    if dotted:
        size = float(line.get_markersize()) * PIXELS * (0.55 if marker == "." else 1.0)
        edge = {"color": colour(line.get_markeredgecolor()), "width": float(line.get_markeredgewidth())}
        face = line.get_markerfacecolor()
        hollow = isinstance(face, str) and face == "none"
        found["marker"] = {
            "symbol": MARKERS[str(marker)], "size": size, "line": edge,
            "color": "#ffffff" if hollow else colour(face, line.get_alpha()),
        }  # fmt: skip
    return found


def between(ends: Sequence[float], shares: Floats) -> Floats:
    """Return places by their share of the way from one end of an axis to the other."""
    return np.asarray(ends[0] + (ends[1] - ends[0]) * shares)


def share(value: float) -> float:
    """Return a share of the figure, within it."""
    return round(min(1.0, max(0.0, float(value))), 5)


def chained(pieces: Sequence[Any]) -> tuple[list[float | None], list[float | None]]:
    """Return the points of all pieces, with a gap between each two."""
    gap = np.full((1, 2), np.nan)
    points = np.concatenate([part for piece in pieces for part in (np.asarray(piece, np.float64), gap)] or [gap])[:-1]
    return numbers(points[:, 0]), numbers(points[:, 1])
