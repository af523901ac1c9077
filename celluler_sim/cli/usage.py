"""What every verb shares: its arguments are read the same way."""

from __future__ import annotations

from collections.abc import Sequence

from celluler_sim.errors import ScenarioError


def read(arguments: Sequence[str], usage: str, most: int, least: int = 0) -> list[str] | None:
    """Return a verb's arguments, or None after printing ``usage`` because help was asked for.

    Raises
    ------
    ScenarioError
        Too few or too many arguments, or a flag: verbs have none.
    """
    if any(argument in ("-h", "--help") for argument in arguments):
        print(usage)
        return None
    flags = [argument for argument in arguments if argument.startswith("-")]
    if flags or not least <= len(arguments) <= most:
        got = flags[0] if flags else " ".join(arguments) or "nothing"
        raise ScenarioError(f"usage: {usage.splitlines()[0]}; got {got}")
    return list(arguments)
