"""The command ``celluler-sim``, the same as ``python -m celluler_sim``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, 1 after an error, 130 after Ctrl-C.

    Parameters
    ----------
    arguments
        As in ``sys.argv[1:]``, which is taken where they are not given.
    """
    from celluler_sim.cli.messages import complain

    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _dispatch(given)
    except KeyboardInterrupt:
        print(f"celluler-sim: interrupted{_left_by_run()}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has closed it: say nothing, not even at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except SystemExit as leaving:  # Hydra's own way of ending --help and --cfg
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except Exception as error:  # noqa: BLE001 - whatever it is, the user gets one line
        complain(error)
        return 1


def _dispatch(arguments: list[str]) -> int:
    from celluler_sim.cli import VERBS, verb

    if "--version" in arguments:
        from importlib.metadata import version

        print(f"celluler-sim {version('celluler-sim')}")
        return 0
    if arguments and arguments[0] in VERBS:
        return verb(arguments[0])(arguments[1:])
    if "--help" in arguments or "-h" in arguments:
        from celluler_sim.cli.helping import show_help

        return show_help()
    from celluler_sim.cli.running import run

    return run(arguments)


def _left_by_run() -> str:
    """Say where an interrupted run left its tables, if it had begun."""
    running = sys.modules.get("celluler_sim.cli.running")
    return str(running.interrupted()) if running is not None else ""


if __name__ == "__main__":
    sys.exit(main())
