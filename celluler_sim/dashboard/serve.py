"""Start the page: on the loopback interface, behind a token; this process becomes its server."""

from __future__ import annotations

import os
import secrets
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from celluler_sim.dashboard.page import RESULTS_VARIABLE
from celluler_sim.errors import ScenarioError, require

HOST = "127.0.0.1"


def needed() -> None:
    """Raise `ScenarioError` where what the dashboard is made of is not installed."""
    missing = [name for name in ("marimo", "plotly") if find_spec(name) is None]
    if missing:
        raise ScenarioError(
            f"dashboard needs {' and '.join(missing)}, not installed; pip install 'celluler-sim[dashboard]'"
        )


def command(port: int, token: str, *, browser: bool) -> list[str]:
    """Return the command that serves the page."""
    app = Path(__file__).with_name("app.py")
    words = [sys.executable, "-m", "marimo", "-q", "run", str(app), "--host", HOST, "--port", str(port)]
    words += ["--token", "--token-password", token, "--no-check", "--no-sandbox", "--session-ttl", "30"]
    return words if browser else [*words, "--headless"]


def serve(folder: Path, port: int = 2718, *, browser: bool = True, token: str = "") -> NoReturn:
    """Become the server of the page, until interrupted.

    Parameters
    ----------
    folder
        The results folder: runs go there, and nothing outside it is read.
    port
        Of 127.0.0.1; no other address is listened on.
    token
        What a browser must show; a random one if not given.
    """
    needed()
    require("port", port, at_least=1, at_most=65_535)
    token = token or secrets.token_urlsafe(16)
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, RESULTS_VARIABLE: str(folder.resolve()), "MARIMO_SKIP_UPDATE_CHECK": "1"}
    print(f"dashboard: http://{HOST}:{port}/?access_token={token}  (ends with Ctrl-C)", flush=True)
    words = command(port, token, browser=browser)
    os.execve(words[0], words, environment)
