"""What a sensitivity analysis leaves on disk, and what it says on the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from celluler_sim.experiments.page import Part, label, save_pictures, table, write_page
from celluler_sim.experiments.sensitivity import WORDS
from celluler_sim.experiments.sensitivity_journal import RESULT, forget
from celluler_sim.experiments.tables import to_arrow, write_table
from celluler_sim.run_folder import claim_folder, to_json, write_text

if TYPE_CHECKING:
    from celluler_sim.experiments.sensitivity import Sensitivity


def write_sensitivity(found: Sensitivity, folder: Path) -> Path:
    """Write ``sensitivity.json``, ``sensitivity.parquet``, ``sensitivity.html`` and figures; return the folder."""
    claim_folder(folder, (RESULT,))
    rows: list[dict[str, Any]] = [
        {"point": i, **dict(zip(found.keys, map(float, point), strict=True))}
        | {n: float(v[i]) for n, v in found.outputs.items()}
        for i, point in enumerate(found.points)
    ]
    write_table(folder / "sensitivity.parquet", to_arrow(rows, ("point", *found.keys)))
    pictures = {f"{name}-tornado": found.tornado(name) for name in found.indices}
    if found.config.method == "sobol":
        pictures |= {f"{name}-sobol": found.sobol(name) for name in found.indices}
    images = save_pictures(folder, pictures)
    parts = [
        Part(
            label(name),
            pictures=[(images[key], _caption(found, key)) for key in images if key.startswith(f"{name}-")],
            more=_table(found, name),
        )
        for name in found.indices
    ]
    about = f"{found.config.method} over {len(found.points)} points of {', '.join(found.keys)}"
    write_page(folder / "sensitivity.html", f"Sensitivity of {found.name}", about, parts)
    write_text(folder / RESULT, to_json(found.to_dict()))
    forget(folder)
    return folder


def _caption(found: Sensitivity, key: str) -> str:
    """Return how a picture is to be read."""
    figure, _, kind = key.rpartition("-")
    if kind == "sobol":
        return (
            f"{label(figure)}: the share of its variance that each key causes by itself (first order) and together "
            "with the others (total); what the second has more comes from working together. Bars are 95 % intervals."
        )
    return f"{label(figure)}: the longer a key's bar, the more depends on it ({WORDS[found.config.method]})."


def _flat(found: Sensitivity, figure: str) -> list[str]:
    return [kind for kind, values in found.indices[figure].items() if values.ndim == 1]


def _table(found: Sensitivity, figure: str) -> str:
    kinds = _flat(found, figure)
    cells = [(key, *(f"{found.indices[figure][kind][i]:.4g}" for kind in kinds)) for i, key in enumerate(found.keys)]
    return table(("key", *kinds), cells)


def as_text(found: Sensitivity) -> str:
    """Return the indices as aligned lines, the strongest key first."""
    width = max(map(len, found.keys))
    lines = [f"{found.config.method}, {len(found.points)} points"]
    for figure in found.indices:
        kinds = _flat(found, figure)
        lines += ["", f"{label(figure)}", f"  {'':<{width}}" + "".join(f"{kind:>14}" for kind in kinds)]
        for key, _ in found.ranked(figure):
            values = (found.indices[figure][kind][found.keys.index(key)] for kind in kinds)
            lines.append(f"  {key:<{width}}" + "".join(f"{value:>14.4g}" for value in values))
    return "\n".join(lines)
