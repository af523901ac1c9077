"""What a comparison leaves on disk, and what it says on the terminal."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from celluler_sim.analysis.figures import FIGURES
from celluler_sim.experiments.page import Part, label, save_pictures, shown, table, write_page
from celluler_sim.experiments.statistics import Paired
from celluler_sim.experiments.tables import to_arrow, write_table
from celluler_sim.run_folder import claim_folder, to_json, write_text

if TYPE_CHECKING:
    from celluler_sim.experiments.compare import Comparison

HEAD = ("", "A", "B", "A less B", "from", "to", "p, Holm", "variance ratio")
CAPTION = (
    "For every figure the difference A less B as a share of B's mean, with its 95 % interval: right of the line A has "
    "more. Filled dots differ significantly at 5 % after the correction for the number of figures."
)
NOTE = (
    "The interval covers the true difference in 95 of 100 experiments; p is corrected for the number of figures. "
    "Variance ratio: the variance of the difference between unpaired worlds over that within a world."
)


def write_comparison(comparison: Comparison, folder: Path) -> Path:
    """Write table, JSON, picture and page, and return the folder."""
    claim_folder(folder, ("comparison.json",))
    leading = ("side", "replicate", "seed", "outcome", "error", "duration_s")
    write_table(folder / "comparison.parquet", to_arrow(comparison.rows, leading))
    images = save_pictures(folder, {"comparison": comparison.picture()})
    parts = [
        Part("What differs", pictures=[(images["comparison"], CAPTION)]),
        Part("In figures", f"<p>{NOTE}</p>" + table(HEAD, lines(comparison))),
    ]
    about = f"A: {comparison.a}. B: {comparison.b}. Both in the same {comparison.worlds} worlds."
    write_page(folder / "comparison.html", "Comparison", about, parts)
    write_text(folder / "comparison.json", to_json(comparison.to_dict()))
    return folder


def lines(comparison: Comparison) -> list[tuple[str, ...]]:
    """Return a row of words per figure that varies or differs, in the summary's order."""
    return [
        _line(name, f, comparison.corrected[name])
        for name, f in comparison.figures.items()
        if name in FIGURES and (f.difference != 0 or f.low != f.high)
    ]


def _line(name: str, f: Paired, corrected: float) -> tuple[str, ...]:
    means = (shown(name, value) for value in (f.mean_a, f.mean_b))
    differences = (difference(name, value) for value in (f.difference, f.low, f.high))
    return (label(name), *means, *differences, _number(corrected), _number(f.variance_ratio))


def difference(name: str, value: float) -> str:
    """Return a difference for reading: of shares in percentage points, and without a sign where nothing is left.

    >>> difference("mean_utilisation", 0.04), difference("mean_utilisation", -1e-9), difference("mean_wait_s", -30.0)
    ('4.0 points', '0.0 points', '-30 s')
    """
    text = shown(name, value).replace(" %", " points")
    return text.removeprefix("-") if not any(digit in text for digit in "123456789") else text


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3g}"


def as_text(comparison: Comparison) -> str:
    """Return the comparison as aligned lines."""
    rows = [HEAD, *lines(comparison)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
    head = [f"A: {comparison.a}", f"B: {comparison.b}", f"both in the same {comparison.worlds} worlds", ""]
    body = [
        f"{row[0]:<{widths[0]}}  "
        + "  ".join(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        for row in rows
    ]
    return "\n".join([*head, *(line.rstrip() for line in body)])
