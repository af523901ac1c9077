"""Where tests find the data that the project does not ship."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("CELLULER_SHARED", Path(__file__).parents[2] / "shared"))


def shared(path: str) -> Path:
    """Return a file or folder of the shared data, or skip the test, naming what is missing."""
    full = SHARED / path
    if not full.exists():
        pytest.skip(f"shared data {path} is not on this machine (set CELLULER_SHARED to its folder)")
    return full
