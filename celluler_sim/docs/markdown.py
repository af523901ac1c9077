"""Putting Markdown together."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence

NOTE = "<!-- Written by `make docs`: change the code that it describes, not this page. -->"
WIDTH = 140  # of prose, characters


def page(title: str, *parts: str, note: str = NOTE) -> str:
    """Return a page of headings, paragraphs and tables; paragraphs are wrapped."""
    return "\n\n".join([f"# {title}", note, *(_wrapped(part) for part in parts if part)]) + "\n"


def _wrapped(part: str) -> str:
    if part[0] in "#|<" or "\n" in part:
        return part
    return textwrap.fill(part, WIDTH, break_long_words=False, break_on_hyphens=False)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    r"""Return a Markdown table; bars within cells are escaped.

    >>> print(table(["a", "b"], [["1", "x|y"]]))
    | a | b |
    |---|---|
    | 1 | x\|y |
    """
    return "\n".join([_line(head), "|" + "---|" * len(head), *(_line(row) for row in rows)])


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"


def anchor(heading: str) -> str:
    """Return the fragment under which a heading can be linked to, as GitHub makes it.

    >>> anchor("pricing: sliding_window")
    'pricing-sliding_window'
    """
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def code(text: str) -> str:
    """Return text as a code span, nothing for nothing."""
    return f"`{text}`" if text else ""
