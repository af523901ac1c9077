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


def flags(
    arguments: Sequence[str], usage: str, *, valued: Sequence[str] = (), plain: Sequence[str] = ()
) -> tuple[dict[str, str], list[str]]:
    """Return the flags of a verb by name, and the other arguments: ``--replicates 5``, ``--replicates=5``, ``--json``.

    Raises
    ------
    ScenarioError
        A flag without its value. One that is unknown is left for `read` to refuse.
    """
    found: dict[str, str] = {}
    rest: list[str] = []
    queue = list(arguments)
    while queue:
        word = queue.pop(0)
        name, equals, value = word.partition("=")
        if word in plain:
            found[word] = ""
        elif name in valued:
            if not equals and not queue:
                raise ScenarioError(f"{name} must be followed by a value; usage: {usage.splitlines()[0]}")
            found[name] = value if equals else queue.pop(0)
        else:
            rest.append(word)
    return found, rest


def whole_number(flag: str, text: str | None) -> int | None:
    """Return a flag's value as a number >= 1, None where the flag is not given; `ScenarioError` for anything else."""
    if text is None:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise ScenarioError(f"{flag} must be a whole number >= 1, got {text!r}")
    return int(text)
