"""The command ``python -m celluler_sim.docs``."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

from celluler_sim.conf import choices
from celluler_sim.docs import keys, mechanisms, results, scenarios


def pages() -> dict[str, str]:
    """Return every page that is written from the code, by its path below ``docs/``."""
    choices.import_mechanisms()
    return {
        "reference/mechanisms.md": mechanisms.page(),
        "reference/scenarios.md": scenarios.page(),
        "reference/keys.md": keys.page(),
        "reference/tables.md": results.tables_page(),
        "reference/summary.md": results.summary_page(),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the pages, and with ``--measure`` run the scenarios and write what they show; return the exit code."""
    parser = ArgumentParser(prog="python -m celluler_sim.docs", description="Write the generated pages.")
    parser.add_argument("folder", type=Path, help="the folder docs/ of a checkout")
    parser.add_argument("--measure", action="store_true", help="run the scenarios too: takes a few minutes")
    options = parser.parse_args(arguments)
    for name, text in pages().items():
        path: Path = options.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    if options.measure:
        from celluler_sim.docs.measured import refresh

        refresh(options.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
