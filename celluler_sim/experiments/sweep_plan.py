"""What a sweep consists of: its jobs, the values that vary, the worlds of each. Written down before anything runs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override, QuotedString

from celluler_sim.conf.overrides import parse
from celluler_sim.config_build import show
from celluler_sim.errors import ResultsError, ScenarioError
from celluler_sim.run_folder import to_json, write_text
from celluler_sim.scenario import Scenario
from celluler_sim.trust import read_text, within

PLAN = "sweep.json"
RECORDS = ".jobs"  # what became of each job, until the table is written
MOST_NOTE = 1 << 16  # bytes of a note of what became of a job: 64 KiB


@dataclass(frozen=True)
class PlannedJob:
    """One job of a sweep."""

    number: int
    overrides: tuple[str, ...]  # by which the launcher knows it
    given: tuple[str, ...]  # by which it is composed
    parameters: dict[str, Any]  # what varies: key and value
    first: int  # number of its first replicate
    seed: int
    replicates: int
    config_hash: str

    @property
    def text(self) -> str:
        """Its overrides as people write them."""
        return " ".join(text.lstrip("+") for text in self.given if not text.startswith("hydra"))


@dataclass(frozen=True)
class Plan:
    """All jobs of a sweep, by number."""

    name: str
    jobs: tuple[PlannedJob, ...]

    def write(self, folder: Path) -> None:
        """Write it into the sweep's folder.

        Raises `ResultsError` where the folder holds another sweep.
        """
        if (folder / PLAN).exists() and read_plan(folder) != self:
            raise ResultsError(
                f"results folder {folder} must not hold another sweep; choose another hydra.sweep.dir or remove it"
            )
        write_text(folder / PLAN, to_json(asdict(self)))


def read_plan(folder: Path) -> Plan:
    """Read the plan of a sweep's folder; `ResultsError` where it holds none."""
    path = within(folder, folder / PLAN)
    if not folder.exists():
        raise ResultsError(f"results folder {folder} must exist, got nothing there; check the path")
    if not path.is_file():
        raise ResultsError(f"results folder {folder} must hold a sweep, got no {PLAN}; name the folder of one sweep")
    try:
        content = json.loads(read_text(path))
        jobs = [PlannedJob(**{**job, **{k: tuple(job[k]) for k in ("overrides", "given")}}) for job in content["jobs"]]
        return Plan(str(content["name"]), tuple(jobs))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ResultsError(
            f"{path} must be the plan of a sweep, got {type(error).__name__}; run the sweep again"
        ) from error


def planned(
    jobs: Sequence[tuple[Sequence[str], Sequence[str]]], scenarios: Sequence[Scenario], varied: Sequence[str]
) -> Plan:
    """Return the plan of jobs, given as (overrides, what composes them) with the scenario of each.

    With replicates and ``worlds=distinct`` every job has numbers of its own: no world occurs twice in the sweep.
    """
    step = max((scenario.replicates for scenario in scenarios), default=1)
    made = []
    for number, ((overrides, given), scenario) in enumerate(zip(jobs, scenarios, strict=True)):
        apart = step > 1 and scenario.worlds == "distinct"
        first = scenario.replicate + (number * step if apart else 0)
        parameters = {key: value for key, value in values_of(overrides).items() if key in varied}
        made.append(
            PlannedJob(
                number,
                tuple(overrides),
                tuple(given),
                parameters,
                first,
                scenario.seed,
                scenario.replicates,
                scenario.config_hash,
            )
        )
    return Plan(scenarios[0].name if scenarios else "", tuple(made))


def values_of(overrides: Sequence[str]) -> dict[str, Any]:
    """Return the values that overrides set: numbers, booleans and texts; of anything else its text.

    >>> values_of(["++pricing.base_price=80", "pricing=linear"])
    {'pricing.base_price': 80, 'pricing': 'linear'}
    """
    found = {}
    for text in overrides:
        override = parse(text.lstrip("+"))
        value = override.value()
        value = value.text if isinstance(value, QuotedString) else value
        plain = value is None or isinstance(value, bool | int | float | str)
        found[override.key_or_group] = value if plain else text.partition("=")[2]
    return found


def paired_up(jobs: Sequence[Sequence[str]], sweeps: Sequence[Override], together: Sequence[str]) -> list[int]:
    """Return which of all combinations remain where the values of the keys ``together`` go pairwise.

    Raises
    ------
    ScenarioError
        A key that does not vary, or lists that are not equally long.
    """
    if not together:
        return list(range(len(jobs)))
    varied = [o.key_or_group for o in sweeps]
    for key in together:
        if key not in varied:
            raise ScenarioError(
                f"together must name keys that vary, got {show(key)}; varying are {', '.join(varied) or 'none'}"
            )
    values = {key: list(dict.fromkeys(_value(job, key) for job in jobs)) for key in together}
    lengths = {key: len(found) for key, found in values.items()}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{key} has {n}" for key, n in lengths.items())
        raise ScenarioError(f"together must name keys with equally many values, got unequal lists: {said}")
    places = [{key: values[key].index(_value(job, key)) for key in together} for job in jobs]
    return [i for i, place in enumerate(places) if len(set(place.values())) == 1]


def _value(job: Sequence[str], key: str) -> str:
    return next((text.partition("=")[2] for text in job if text.partition("=")[0].lstrip("+") == key), "")


def folder_name(number: int, overrides: str) -> str:
    """Return the name of one job's folder in a sweep: its number and what is special about it."""
    plain = re.sub(r"(^|,)\++", r"\1", overrides).replace("/", "_")
    slug = re.sub(r"[^\w.=,-]", "", plain)[:100]
    return f"{number}_{slug}" if slug else str(number)


def record(folder: Path, number: int, entry: Mapping[str, Any]) -> None:
    """Note what became of a job."""
    home = folder / RECORDS
    home.mkdir(parents=True, exist_ok=True)
    write_text(home / f"{number}.json", to_json(entry))


def records(folder: Path) -> dict[int, dict[str, Any]]:
    """Return what was noted of the jobs, by number; what is no note, or one of a folder elsewhere, is left out."""
    found = {}
    for path in (folder / RECORDS).glob("*.json"):
        with suppress(OSError, ValueError, RecursionError):
            entry = json.loads(read_text(within(folder, path), MOST_NOTE))
            if isinstance(entry, dict) and Path(str(entry.get("folder", ""))).name == entry.get("folder", ""):
                found[int(path.stem)] = entry
    return found
