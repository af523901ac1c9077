"""What an audit says: on the terminal, as JSON and as a page."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

from celluler_sim.audit.auditing import Audit
from celluler_sim.audit.config import CHANGES
from celluler_sim.run_folder import to_json, write_text

WIDTH = 14
STYLE = """body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;
padding:0 1rem;color-scheme:light dark}
table{border-collapse:collapse}td,th{padding:.25rem .7rem;text-align:left;border-bottom:1px solid #8884}
.robust{color:#2a7d3a}.shifted,.inconclusive{color:#a86b00}.fragile,.does{color:#c0392b;font-weight:600}
.skipped{color:#888}code{font-size:.85em;overflow-wrap:anywhere}"""


def as_text(audit: Audit) -> str:
    """Return the verdicts as a table, a row per claim and a column per change, and below it what is to be explained."""
    changes = [c for c in CHANGES if any(v.change == c for v in audit.verdicts)]
    first = max(*(len(name) for name in audit.claims), 5) + 2
    lines = [f"{'claim':<{first}}" + "".join(f"{name:<{WIDTH}}" for name in changes)]
    for name in audit.claims:
        row = audit.of(name)
        lines.append(f"{name:<{first}}" + "".join(f"{row.get(change, ''):<{WIDTH}}" for change in changes))
    lines.append("")
    for name, claim in audit.claims.items():
        mean, low, high = audit.figures[name]["baseline"]
        lines.append(f"{name}: {claim.statement}; {mean:.5g} [{low:.5g}, {high:.5g}]")
    for v in audit.verdicts:
        if v.verdict not in ("robust", "skipped"):
            lines.append(f"{v.claim} under {v.change}: {v.verdict}; {v.reason}")
            lines += [f"  {v.command}"] if v.command else []
    return "\n".join(lines)


def to_dict(audit: Audit) -> dict[str, Any]:
    """Return an audit as plain values."""
    figures = {claim: {way: list(b) for way, b in row.items()} for claim, row in audit.figures.items()}
    return {
        "scenario": audit.scenario,
        "replicates": audit.replicates,
        "claims": {name: claim.statement for name, claim in audit.claims.items()},
        "figures": figures,
        "verdicts": [dict(v.__dict__) for v in audit.verdicts],
    }


def save(audit: Audit, folder: Path) -> Path:
    """Write ``audit.json`` and ``audit.html`` and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "audit.json", to_json(to_dict(audit)))
    write_text(folder / "audit.html", _page(audit))
    return folder


def _page(audit: Audit) -> str:
    changes = [c for c in CHANGES if any(v.change == c for v in audit.verdicts)]
    head = "".join(f"<th title='{html.escape(CHANGES[c])}'>{c}</th>" for c in changes)
    rows = []
    for name, claim in audit.claims.items():
        mean, low, high = audit.figures[name]["baseline"]
        said = f"{html.escape(claim.statement)}<br><small>{mean:.5g} [{low:.5g}, {high:.5g}]</small>"
        mine = {v.change: v for v in audit.verdicts if v.claim == name}
        cells = "".join(_cell(mine[c].verdict, mine[c].reason) for c in changes)
        rows.append(f"<tr><td><b>{html.escape(name)}</b></td><td>{said}</td>{cells}</tr>")
    again = "".join(
        f"<li>{html.escape(v.claim)} under {v.change}: {v.verdict}; {html.escape(v.reason)}<br>"
        f"<code>{html.escape(v.command)}</code></li>"
        for v in audit.verdicts
        if v.verdict not in ("robust", "skipped")
    )
    title = f"Audit of {html.escape(audit.scenario)}"
    return (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{title}</title><style>{STYLE}</style>"
        f"<h1>{title}</h1><p>{audit.replicates} replicates per condition; a verdict is robust where the claim still "
        "holds and the figure, compared world by world, has moved by less than its tolerance; intervals hold 90 %.</p>"
        f"<table><tr><th>claim</th><th>in words</th>{head}</tr>{''.join(rows)}</table>"
        + (f"<h2>To look into</h2><ul>{again}</ul>" if again else "")
        + "</html>\n"
    )


def _cell(verdict: str, reason: str) -> str:
    return f"<td class='{verdict.split(maxsplit=1)[0]}' title='{html.escape(reason)}'>{verdict}</td>"
