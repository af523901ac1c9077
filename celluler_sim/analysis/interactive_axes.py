"""One pair of matplotlib axes as axes, traces and annotations of plotly.js."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from celluler_sim.analysis.interactive_marks import (
    PIXELS,
    Json,
    UnknownArtistError,
    between,
    chained,
    colour,
    noted,
    numbers,
    share,
    stroke,
    words,
)  # fmt: skip
from celluler_sim.analysis.reading import Floats

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.container import BarContainer, ErrorbarContainer
    from matplotlib.lines import Line2D

    from celluler_sim.analysis.picture import Picture

MANY = 10  # points from which a line is read by its value at x


class Figure(Protocol):
    """What axes need to know of the figure, and where they put what they find."""

    figure: Picture
    axes: list[Axes]
    scales: list[Axes]
    traces: list[tuple[float, Json]]
    layout: Json
    rising: list[bool]
    groups: set[str]

    def legend(self, legend: Any, key: str) -> None:
        """Place a legend."""
        ...


class AxesReading:
    """Reads one pair of axes."""

    def __init__(self, whole: Figure, ax: Axes, number: str) -> None:
        self.whole, self.ax, self.number = whole, ax, number
        self.used: set[Artist] = set()
        self.groups: dict[str, str] = {}  # of lines that are named, by their colour
        own = ax.get_legend()
        self.legend = f"legend{number}" if own is not None else "legend"
        self.named = own is not None or bool(whole.figure.legends)
        if own is not None:
            whole.legend(own, self.legend)

    def read(self) -> None:
        """Add everything that these axes hold."""
        self._axis("x")
        self._axis("y")
        self._titles()
        for container in map(_untyped, self.ax.containers):
            kind = type(container).__name__
            if kind == "ErrorbarContainer":
                self._errorbars(container)
            elif kind == "BarContainer":
                self._bars(container)
        for line in self.ax.lines:
            self._line(line)
        for patch in self.ax.patches:
            self._span(patch)
        for collection in self.ax.collections:
            self._collection(collection)
        self._join_bands()
        for image in self.ax.images:
            self._heat(image)
        if not self.ax.images:
            for text in self.ax.texts:
                self._text(text)

    # ---- axes --------------------------------------------------------------------------------------------------------

    def _axis(self, which: str) -> None:
        ax, axis = self.ax, getattr(self.ax, f"{which}axis")
        scale = axis.get_scale()
        if scale not in ("linear", "log", "symlog"):
            raise UnknownArtistError(scale)
        ends = self._bent(which, ax.get_xlim() if which == "x" else ax.get_ylim()).tolist()
        if scale == "log":
            ends = [math.log10(end) for end in ends]
        place = ax.get_position()
        domain = (place.x0, place.x1) if which == "x" else (place.y0, place.y1)
        labels = axis.get_tick_params().get(f"label{'bottom' if which == 'x' else 'left'}", True)
        line = ax.spines["bottom" if which == "x" else "left"]
        found: Json = {
            "domain": [share(end) for end in domain], "anchor": f"{'y' if which == 'x' else 'x'}{self.number}",
            "type": "log" if scale == "log" else "linear", "range": ends,
            "title": {"text": words(axis.get_label_text()), "standoff": 6, "font": {"size": 13.5}},
            "showgrid": any(g.get_visible() for g in axis.get_gridlines()), "gridcolor": "#e4e7eb", "zeroline": False,
            "visible": bool(ax.axison), "showline": bool(line.get_visible()), "linecolor": "#7b8794",
            "ticks": "outside", "tickcolor": "#7b8794", "ticklen": 4, "showticklabels": bool(labels),
            "exponentformat": "B", "hoverformat": ",.4~r", "automargin": True,
        }  # fmt: skip
        found |= self._ticks(axis, which)
        if which == "x" and axis.get_label_text():
            found["unifiedhovertitle"] = {"text": words(axis.get_label_text()) + ": %{x}"}
        if (partner := self._shared(which)) is not None:
            found["matches"] = f"{which}{partner}"
        self.whole.layout[f"{which}axis{self.number}"] = found

    def _bent(self, which: str, values: Any) -> Floats:
        """Return places along an axis whose scale plotly.js does not have, as places on a straight one."""
        axis, found = getattr(self.ax, f"{which}axis"), np.asarray(values, dtype=np.float64)
        return np.asarray(axis.get_transform().transform(found)) if axis.get_scale() == "symlog" else found

    def _ticks(self, axis: Any, which: str) -> Json:
        """Return how an axis is marked where it is not by plain numbers."""
        form, locator = axis.get_major_formatter(), axis.get_major_locator()
        kind, scale = type(form).__name__, axis.get_scale()
        if kind == "NullFormatter":
            return {"showticklabels": False}
        if type(locator).__name__ == "FixedLocator" or scale == "symlog":
            places = np.asarray(locator(), dtype=np.float64)
            return {
                "tickvals": numbers(self._bent(which, places)),
                "ticktext": list(map(words, form.format_ticks(places))),
            }
        if kind == "PercentFormatter":
            fine = abs(float(np.ptp(axis.get_view_interval()))) <= 0.05
            return {"tickformat": ",.2~%" if fine else ",.0%", "hoverformat": ",.1~%"}
        if scale == "log" and axis.get_transform().base == 2:
            return {"dtick": math.log10(2.0)}
        return {}

    def _shared(self, which: str) -> str | None:
        """Return the number of the first axes that share this axis, None where these are the first."""
        group = self.ax.get_shared_x_axes() if which == "x" else self.ax.get_shared_y_axes()
        first = next(i for i, other in enumerate(self.whole.axes) if group.joined(self.ax, other) or other is self.ax)
        return None if self.whole.axes[first] is self.ax else "" if first == 0 else str(first + 1)

    def _titles(self) -> None:
        for where, x in (("left", 0.0), ("center", 0.5), ("right", 1.0)):
            if title := self.ax.get_title(loc=where):  # type: ignore[arg-type]
                self.whole.layout["annotations"].append(
                    {
                        "text": words(title), "xref": f"x{self.number} domain", "yref": f"y{self.number} domain",
                        "x": x, "y": 1.0, "xanchor": where, "yanchor": "bottom", "showarrow": False,
                        "font": {"size": 13.5},
                    }
                )  # fmt: skip

    # ---- what they hold ----------------------------------------------------------------------------------------------

    def _add(self, artist: Any, trace: Json, *, label: object = None) -> None:
        name = str(artist.get_label() if label is None else label)
        told = bool(name) and not name.startswith("_")
        trace |= {"xaxis": f"x{self.number}", "yaxis": f"y{self.number}", "legend": self.legend, "showlegend": False}
        trace["name"] = words(name if told else self.ax.get_ylabel().replace("\n", " "))
        if told and self.named:
            self._group(trace)
        if said := noted(artist):
            trace |= {"text": [words(text) for text in said], "hovertemplate": "%{text}<extra></extra>"}
        self.whole.traces.append((float(artist.get_zorder()), trace))

    def _group(self, trace: Json) -> None:
        """Name a trace in the legend, once for all axes that share it: a click there hides all that have the name."""
        group = f"{self.legend} {trace['name']}"
        trace |= {"legendgroup": group, "showlegend": group not in self.whole.groups}
        self.whole.groups.add(group)
        if "line" in trace and "color" in trace["line"]:
            self.groups[trace["line"]["color"][:7]] = group

    def _join_bands(self) -> None:
        """Let a band without a name go with the line of its colour."""
        for _, trace in self.whole.traces:
            group = self.groups.get(trace.get("fillcolor", "")[:7])
            if group and trace["yaxis"] == f"y{self.number}" and "legendgroup" not in trace:
                trace["legendgroup"] = group

    def _line(self, line: Line2D) -> None:
        if line in self.used or not line.get_visible():
            return
        along_x, along_y = line.get_transform().contains_branch_seperately(self.ax.transData)
        x, y = (np.asarray(values, dtype=np.float64) for values in line.get_data(orig=False))
        if not along_x and not along_y:
            raise UnknownArtistError(line)
        quiet = not (along_x and along_y)  # a line right across the axes
        if quiet:
            x = x if along_x else between(self.ax.get_xlim(), x)
            y = y if along_y else between(self.ax.get_ylim(), y)
        else:
            self.whole.rising.append(len(x) > MANY and bool(np.all(np.diff(x) >= 0)))
        x, y = self._bent("x", x), self._bent("y", y)
        self._add(line, stroke(line) | {"x": numbers(x), "y": numbers(y)} | ({"hoverinfo": "skip"} if quiet else {}))

    def _errorbars(self, container: ErrorbarContainer) -> None:
        line, caps, bars = container.lines
        self.used |= {*caps, *bars, *([line] if line is not None else [])}
        if len(bars) != 1:
            raise UnknownArtistError(container)
        ends = np.array([np.asarray(path.vertices) for path in bars[0].get_paths()]).reshape(-1, 2, 2)  # (n, 2, xy)
        which = 0 if container.has_xerr else 1
        if line is None:  # bars of something else, such as columns
            x, y = ends.mean(axis=1).T
            trace: Json = {
                "type": "scatter",
                "mode": "markers",
                "marker": {"size": 1, "opacity": 0},
                "hoverinfo": "skip",
            }
        else:
            x, y = (np.asarray(values, dtype=np.float64) for values in line.get_data(orig=False))
            trace = stroke(line)
        middle = (x, y)[which]
        trace |= {"x": numbers(x), "y": numbers(y)}
        trace[f"error_{'xy'[which]}"] = {
            "type": "data", "symmetric": False, "color": colour(bars[0].get_colors()[0]), "thickness": 1.5, "width": 4,
            "array": numbers(ends[:, 1, which] - middle), "arrayminus": numbers(middle - ends[:, 0, which]),
        }  # fmt: skip
        self._add(bars[0] if line is None else line, trace, label=container.get_label())

    def _bars(self, container: BarContainer) -> None:
        if not container.patches:
            return
        self.used |= set(container.patches)
        upright = container.orientation == "vertical"
        corner: Floats = np.array([p.get_xy() for p in container.patches], np.float64).reshape(-1, 2)
        size: Floats = np.array([(p.get_width(), p.get_height()) for p in container.patches], np.float64).reshape(-1, 2)
        i, j = (0, 1) if upright else (1, 0)  # across the bars, along them
        middle, base, length, broad = corner[:, i] + size[:, i] / 2, corner[:, j], size[:, j], size[:, i]
        along, across = ("y", "x") if upright else ("x", "y")
        trace = {
            "type": "bar", "orientation": "v" if upright else "h", across: numbers(middle), along: numbers(length),
            "base": numbers(base), "width": numbers(broad), "customdata": numbers(length),
            "marker": {"color": [colour(p.get_facecolor()) for p in container.patches], "line": {"width": 0}},
            "hovertemplate": f"%{{{across}}}: %{{customdata:,.4~r}}",
        }  # fmt: skip
        if upright and len(middle) > MANY:
            self.whole.rising.append(True)
        self._add(container.patches[0], trace, label=container.get_label())

    def _span(self, patch: Any) -> None:
        if patch in self.used or not patch.get_visible():
            return
        along_x, along_y = patch.get_transform().contains_branch_seperately(self.ax.transData)
        if type(patch).__name__ != "Rectangle" or (along_x and along_y):
            raise UnknownArtistError(patch)
        (x, y), width, height = patch.get_xy(), patch.get_width(), patch.get_height()
        self.whole.layout["shapes"].append(
            {
                "type": "rect", "layer": "below", "line": {"width": 0}, "fillcolor": colour(patch.get_facecolor()),
                "xref": f"x{self.number}" + ("" if along_x else " domain"), "x0": x, "x1": x + width,
                "yref": f"y{self.number}" + ("" if along_y else " domain"), "y0": y, "y1": y + height,
                **self._shape_name(patch),
            }
        )  # fmt: skip

    def _shape_name(self, patch: Any) -> Json:
        name = str(patch.get_label())
        named = self.named and bool(name) and not name.startswith("_")
        return {"name": words(name), "showlegend": True, "legend": self.legend} if named else {}

    def _collection(self, collection: Any) -> None:
        if collection in self.used or not collection.get_visible():
            return
        read = {
            "PolyCollection": self._area, "FillBetweenPolyCollection": self._area, "LineCollection": self._segments,
            "PathCollection": self._dots,
        }.get(type(collection).__name__)  # fmt: skip
        placed = collection.get_offset_transform() if read == self._dots else collection.get_transform()
        if read is None or not placed.contains_branch(self.ax.transData):
            raise UnknownArtistError(collection)
        self._add(collection, {"type": "scatter", **read(collection)})

    def _area(self, collection: Any) -> Json:
        x, y = chained([path.vertices for path in collection.get_paths()])
        face = colour(collection.get_facecolor()[0])
        look: Json = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
        return {"x": x, "y": y, "fill": "toself", "fillcolor": face, **look}

    def _segments(self, collection: Any) -> Json:
        x, y = chained(collection.get_segments())
        line = {"color": colour(collection.get_colors()[0]), "width": float(collection.get_linewidth()[0]) * PIXELS}
        return {"x": x, "y": y, "mode": "lines", "line": line, "hoverinfo": "skip"}

    def _dots(self, collection: Any) -> Json:
        places = np.ma.filled(np.ma.asarray(collection.get_offsets(), dtype=np.float64), np.nan)
        sizes = np.sqrt(np.asarray(collection.get_sizes(), dtype=np.float64)) * PIXELS
        faces = [colour(face) for face in collection.get_facecolor()]
        self.whole.rising.append(False)
        marker = {
            "size": numbers(sizes) if len(sizes) > 1 else float(sizes[0]),
            "color": faces if len(faces) > 1 else faces[0],
        }
        return {"x": numbers(places[:, 0]), "y": numbers(places[:, 1]), "mode": "markers", "marker": marker}

    def _heat(self, image: Any) -> None:
        values = np.ma.filled(np.ma.asarray(image.get_array(), dtype=np.float64), np.nan)
        if values.ndim != 2 or image.get_cmap().name != "viridis":
            raise UnknownArtistError(image)
        left, right, bottom, top = image.get_extent()
        n_up, n_across = values.shape
        x = left + (right - left) * (np.arange(n_across) + 0.5) / n_across
        y = bottom + (top - bottom) * (np.arange(n_up) + 0.5) / n_up
        scale = next(iter(self.whole.scales), None)
        trace: Json = {
            "type": "heatmap", "x": numbers(x), "y": numbers(y), "z": [numbers(row) for row in values],
            "colorscale": "Viridis", "showscale": scale is not None, "hovertemplate": "%{z:,.5~r}<extra></extra>",
        }  # fmt: skip
        if scale is not None:
            box = scale.get_position()
            trace["colorbar"] = {
                "x": share(box.x0), "xanchor": "left", "y": share((box.y0 + box.y1) / 2), "len": share(box.height),
                "thickness": 14, "outlinewidth": 0,
            }  # fmt: skip
        if self.ax.texts:
            trace["texttemplate"] = "%{z:.4~r}"
        self._add(image, trace)

    def _text(self, text: Any) -> None:
        if not text.get_visible() or not text.get_text():
            return
        if getattr(text, "arrow_patch", None) is not None:
            raise UnknownArtistError(text)
        (x, in_x), (y, in_y), shift = self._place(text)
        box = text.get_bbox_patch()
        aligned = {"center": "middle", "center_baseline": "middle", "baseline": "bottom"}
        vertical = text.get_verticalalignment()
        self.whole.layout["annotations"].append(
            {
                "text": words(text.get_text()), "showarrow": False, "textangle": -float(text.get_rotation()),
                "xref": f"x{self.number}" + ("" if in_x else " domain"), "x": x, "xshift": shift[0],
                "yref": f"y{self.number}" + ("" if in_y else " domain"), "y": y, "yshift": shift[1],
                "xanchor": text.get_horizontalalignment(), "yanchor": aligned.get(vertical, vertical),
                "font": {"size": float(text.get_fontsize()) * PIXELS, "color": colour(text.get_color())},
                **({} if box is None else {"bgcolor": colour(box.get_facecolor())}),
            }
        )  # fmt: skip

    def _place(self, text: Any) -> tuple[tuple[float, bool], tuple[float, bool], tuple[float, float]]:
        """Return where a text stands along x and y, whether in data there, and by how many pixels it is moved."""
        shift = (0.0, 0.0)
        if hasattr(text, "xycoords"):
            x, y = text.xy
            coords = text.xycoords if isinstance(text.xycoords, tuple) else (text.xycoords, text.xycoords)
            if set(coords) - {"data", "axes fraction"} or text.anncoords not in ("offset points", text.xycoords):
                raise UnknownArtistError(text)
            in_x, in_y = (kind == "data" for kind in coords)
            if text.anncoords == "offset points":
                shift = (text.xyann[0] * PIXELS, text.xyann[1] * PIXELS)
        else:
            x, y = text.get_position()
            in_x, in_y = text.get_transform().contains_branch_seperately(self.ax.transData)
        return (self._along("x", x, in_x), in_x), (self._along("y", y, in_y), in_y), shift

    def _along(self, which: str, value: Any, in_data: bool) -> float:
        """Return a place along an axis; plotly.js wants those of annotations on a scale of factors as logarithms."""
        axis = getattr(self.ax, f"{which}axis")
        number = float(axis.convert_units(value)) if in_data else float(value)
        return math.log10(number) if in_data and axis.get_scale() == "log" else number


def _untyped(thing: Any) -> Any:
    return thing
