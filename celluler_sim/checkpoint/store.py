"""The checkpoints of one run's folder: written every so many ticks, the last two kept, the newest whole one found."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from celluler_sim.checkpoint import file, state
from celluler_sim.errors import ResultsError
from celluler_sim.run_folder import STREAM_SUFFIX, to_yaml, unwritable, versions
from celluler_sim.trust import within

if TYPE_CHECKING:
    from celluler_sim.economy import Economy
    from celluler_sim.recorder import Recorder
    from celluler_sim.scenario import Scenario

FOLDER = "checkpoints"
KEPT = 2  # a checkpoint that a power cut spoils has one before it
_NAME = re.compile(r"tick-(\d{9})\.ckpt")


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint on disk, its header checked."""

    path: Path
    about: Mapping[str, Any]

    @property
    def tick(self) -> int:
        """Ticks that had been done."""
        return int(self.about["tick"])

    @property
    def seconds(self) -> float:
        """How long the run had taken, s."""
        return float(self.about["seconds"])

    @property
    def marks(self) -> dict[str, tuple[int, int]]:
        """How far each table had been written: rows and bytes."""
        return {name: (int(rows), int(size)) for name, (rows, size) in self.about["tables"].items()}


def config_hash(config: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a configuration as a run's folder holds it."""
    return hashlib.sha256(to_yaml(config).encode()).hexdigest()


def write(folder: Path, economy: Economy, scenario: Scenario, recorder: Recorder, seconds: float) -> Path:
    """Write a checkpoint of the run in ``folder`` and remove all but the last two.

    Parameters
    ----------
    seconds
        How long the run has taken so far, s.

    Raises
    ------
    ResultsError
        The state cannot be stored, or the disk refuses.
    """
    home = folder / FOLDER
    about = {
        "tables": recorder.mark(),
        "seconds": seconds,
        "versions": versions(),
        "config_sha256": config_hash(scenario.to_mapping()),
    }
    path = home / f"tick-{economy.steps:09d}.ckpt"
    try:
        home.mkdir(exist_ok=True)
        state.save(path, economy, scenario, about)
        for old in _paths(folder)[:-KEPT]:
            old.unlink(missing_ok=True)
    except ResultsError:
        raise
    except OSError as error:
        raise unwritable(home, error) from error
    return path


def _paths(folder: Path) -> list[Path]:
    """Return the checkpoints' paths by tick."""
    home = folder / FOLDER
    found = sorted(home.iterdir()) if home.is_dir() else []
    return [within(folder, path) for path in found if _NAME.fullmatch(path.name)]


def checkpoints(folder: Path, config: Mapping[str, Any]) -> Iterator[Checkpoint]:
    """Yield the usable checkpoints of a run of ``config``, the newest first; one that is damaged is passed over.

    Raises
    ------
    ResultsError
        A checkpoint is of another version of this package or of another configuration, or leads out of the folder.
    """
    for path in reversed(_paths(folder)):
        try:
            found = Checkpoint(path, file.read_about(path))
            tick, marks, _ = found.tick, found.marks, found.seconds
        except (ResultsError, *file.ERRORS):
            continue
        if tick >= 0 and all(rows >= 0 and size >= 0 for rows, size in marks.values()):
            yield _fitting(found, config)


def _fitting(found: Checkpoint, config: Mapping[str, Any]) -> Checkpoint:
    """Return a checkpoint of this version and this configuration; refuse any other."""
    version = dict(found.about.get("versions") or {}).get("celluler-sim")
    if version != versions()["celluler-sim"]:
        raise ResultsError(f"checkpoint {found.path} must be of this version, got {version}; install that, or run anew")
    if found.about.get("config_sha256") != config_hash(config):
        raise ResultsError(
            f"checkpoint {found.path} must be of the configuration in scenario.yaml, got another; restore that file, "
            "or use branch to change the rules"
        )
    return found


def covered(folder: Path, found: Checkpoint) -> bool:
    """Whether the run's streams are as long as the checkpoint says."""
    streams = [(folder / f"{name}{STREAM_SUFFIX}", size) for name, (_, size) in found.marks.items()]
    return all(path.is_file() and within(folder, path).stat().st_size >= size for path, size in streams)
