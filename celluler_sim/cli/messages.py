"""What the command line says on standard error: one line for whatever went wrong."""

from __future__ import annotations

import os
import sys
import traceback

from celluler_sim.errors import CellulerError

DEBUG = "CELLULER_DEBUG"


def complain(error: Exception, about: str = "") -> None:
    """Print one line about an error; with ``CELLULER_DEBUG=1`` its traceback before it.

    What the package refuses on purpose speaks for itself. Anything else is a bug, here or in a plugin.
    """
    if os.environ.get(DEBUG) == "1":
        traceback.print_exception(error)
    print(f"celluler-sim: {about}{_line(error)}", file=sys.stderr)


def _line(error: Exception) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, CellulerError):
        return text
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return f"unexpected {type(error).__name__}: {text or 'no message'}; {DEBUG}=1 shows where"
