"""The folder of one run: what was run, with what, how it ended. Every file appears whole or not at all.

``scenario.yaml``   the composed configuration
``manifest.json``   versions, seed, roots of the random streams, hash of the configuration, duration, outcome
``summary.json``    the run's figures; a figure that is not a number is null
``<table>.parquet`` one file a table, ``<table>.arrows`` while the run goes on
``checkpoints/``    the state after the last ticks that were kept, where ``checkpoint_every`` asks for it
``variants/<name>`` the same world under other rules, each a run folder itself
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml  # type: ignore[import-untyped]

from celluler_sim.errors import CellulerError, ResultsError
from celluler_sim.tables import TABLES
from celluler_sim.trust import fresh_file, read_text, within

if TYPE_CHECKING:
    from celluler_sim.recorder import Recorder

STREAM_SUFFIX = ".arrows"
PARQUET_SUFFIX = ".parquet"
MANIFEST, SCENARIO, SUMMARY, VARIANTS = "manifest.json", "scenario.yaml", "summary.json", "variants"
CHECKPOINTS, LOCK = "checkpoints", ".lock"
TABLE_FILES = tuple(name + suffix for name in TABLES for suffix in (PARQUET_SUFFIX, STREAM_SUFFIX))
LIBRARIES = ("mesa", "numpy", "pandas", "pyarrow", "numba", "scipy", "hydra-core")


def one_line(error: BaseException) -> str:
    r"""Return what an exception says, on one line; its type too unless the message is made for the user.

    >>> one_line(OSError(28, "No space left on device", "a/b"))
    'No space left on device'
    >>> one_line(ValueError("two\nlines"))
    'ValueError: two lines'
    """
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = " ".join(str(error).split())
    if isinstance(error, CellulerError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def plain(value: Any, *, strict: bool = True) -> Any:
    """Return ``value`` as dicts, lists, strings, numbers and None; with ``strict``, NaN and infinities become None.

    >>> plain({"wait_s": float("nan"), "share": np.float64(0.5), "names": ("a", "b")})
    {'wait_s': None, 'share': 0.5, 'names': ['a', 'b']}
    """
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, Mapping):
        return {str(key): plain(entry, strict=strict) for key, entry in value.items()}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, str | bytes):
        return [plain(entry, strict=strict) for entry in value]
    if isinstance(value, float) and strict and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def to_json(value: Any) -> str:
    """Return strictly valid JSON: NaN and infinities as null."""
    return json.dumps(plain(value), indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def to_yaml(config: Mapping[str, Any]) -> str:
    """Return a configuration as YAML that `yaml.safe_load` reads back equal, keys in their order."""
    text: str = yaml.safe_dump(plain(config, strict=False), sort_keys=False, allow_unicode=True, width=120)
    return text


def write_text(path: Path, text: str) -> None:
    """Write a file under another name and rename it: whoever reads finds the old one or the new one, whole.

    Raises `ResultsError` where that is not possible; what was there before stays.
    """
    partial = path.with_name(f"{path.name}.partial")
    try:
        with fresh_file(partial) as file:
            file.write(text.encode("utf-8", "backslashreplace"))
        os.replace(partial, path)  # noqa: PTH105
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise unwritable(path.parent, error) from error


def unwritable(folder: Path | str, error: BaseException) -> ResultsError:
    """Return the error that says why a results folder cannot be written and what to do."""
    return ResultsError(
        f"results folder {folder} must be a folder that can be written, got {one_line(error)}; "
        "choose another with results_dir=FOLDER or make room in it"
    )


def claim_folder(path: Path, refused: Sequence[str]) -> list[Path]:
    """Make ``path`` and its parents where missing, try to write in it, and return the folders made, inmost first.

    Raises `ResultsError` where it cannot be written or holds a file of one of the ``refused`` names, since two runs
    in one folder would be mixed up; folders made until then are removed.
    """
    made: list[Path] = []
    try:
        for folder in reversed([path, *path.parents]):
            if not folder.is_dir():
                if folder.exists():
                    raise NotADirectoryError(errno.ENOTDIR, f"the file {folder}")
                folder.mkdir(exist_ok=True)
                made.insert(0, folder)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        release_folders(made)
        raise unwritable(path, error) from error
    if held := [name for name in refused if os.path.lexists(path / name)]:
        raise ResultsError(f"results folder {path} must not hold a run, got {held[0]}; choose another or remove it")
    return made


def release_folders(made: Sequence[Path]) -> None:
    """Remove folders made by `claim_folder`, inmost first, as far as they are empty."""
    for folder in made:
        with suppress(OSError):
            folder.rmdir()


def versions() -> dict[str, str]:
    """Return the versions of this package, Python, and the libraries a result may depend on."""
    found = {"celluler-sim": "unknown", "python": platform.python_version()}
    for name in ("celluler-sim", *LIBRARIES):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


@dataclass
class Manifest:
    """How a run came about: filled in at its start, completed at its end.

    Examples
    --------
    >>> manifest = Manifest.begin({"name": "demo"}, seed=7, replicate=0, streams={"demand": 255})
    >>> manifest.entries["outcome"], manifest.entries["streams"]
    ('running', {'demand': '0x00000000000000ff'})
    >>> manifest.end(ValueError("negative price")).get("error")
    'ValueError: negative price'
    """

    entries: dict[str, Any]
    begun: float = field(default_factory=time.monotonic)  # s

    @classmethod
    def begin(
        cls, config: Mapping[str, Any], *, seed: int, replicate: int = 0, streams: Mapping[str, int] | None = None
    ) -> Manifest:
        """Describe a run that starts now. ``streams`` maps the name of a random stream to its 64-bit root."""
        entries: dict[str, Any] = {
            "scenario": config.get("name"),
            "outcome": "running",
            "error": None,
            "seed": seed,
            "replicate": replicate,
            "started": _now(),
            "finished": None,
            "duration_s": None,
            "config_sha256": hashlib.sha256(to_yaml(config).encode()).hexdigest(),
            "versions": versions(),
            "plugins": plain(config.get("plugins") or []),
            "streams": {},
        }
        manifest = cls(entries)
        manifest.add_streams(streams or {})
        return manifest

    def add_streams(self, streams: Mapping[str, int]) -> None:
        """Note the roots of random streams, as hexadecimal: JSON readers round 64-bit numbers."""
        known = self.entries["streams"] | {name: f"0x{root:016x}" for name, root in streams.items()}
        self.entries["streams"] = dict(sorted(known.items()))

    def end(self, error: BaseException | None = None) -> dict[str, Any]:
        """Complete the entries: finished, or interrupted or failed by ``error``. Return them."""
        interrupted = isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit)
        self.entries["outcome"] = "finished" if error is None else "interrupted" if interrupted else "failed"
        self.entries["error"] = None if error is None else one_line(error)
        self.entries["finished"] = _now()
        self.entries["duration_s"] = round(time.monotonic() - self.begun, 3)
        return self.entries


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class RunFolder:
    """Writes the folder of one run.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as results:
    ...     run = RunFolder.create(Path(results) / "first")
    ...     run.start({"name": "demo", "ticks": 2}, seed=1)
    ...     with run.recorder():
    ...         pass
    ...     run.finish({"wait_s": float("nan")})
    ...     print((run.path / "summary.json").read_text())
    {
      "wait_s": null
    }
    <BLANKLINE>
    """

    def __init__(self, path: Path, made: Sequence[Path] = ()) -> None:
        self.path = path
        self.manifest: Manifest | None = None
        self.planned: Mapping[str, Mapping[str, Any]] = {}  # configurations of the variants to come, by name
        self._made = tuple(made)
        self._lock: int | None = None

    @classmethod
    def create(cls, path: Path | str) -> RunFolder:
        """Make the folder, or take an empty one; `ResultsError` where that cannot be, with nothing left behind."""
        path = Path(path)
        return cls(path, claim_folder(path, (MANIFEST, *TABLE_FILES)))

    def start(
        self, config: Mapping[str, Any], *, seed: int, replicate: int = 0, streams: Mapping[str, int] | None = None
    ) -> None:
        """Write the configuration and a manifest that says the run is going on; see `Manifest.begin`."""
        self._hold()
        self.manifest = Manifest.begin(config, seed=seed, replicate=replicate, streams=streams)
        if self.planned:
            self.manifest.entries["variants"] = {name: to_yaml(config) for name, config in self.planned.items()}
        write_text(self.path / SCENARIO, to_yaml(config))
        self._write_manifest()

    @classmethod
    def reopen(cls, path: Path | str) -> RunFolder:
        """Take the folder of a run that was stopped; `ResultsError` where it still goes on or cannot be read."""
        home = cls(Path(path))
        home._hold()
        try:
            entries = json.loads(read_text(within(home.path, home.path / MANIFEST)))
            home.manifest = Manifest(dict(entries))
            home.manifest.entries |= {"outcome": "running", "error": None, "finished": None}
            home.manifest.entries["streams"] = dict(entries["streams"])
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            home._let_go()
            raise ResultsError(f"{home.path / MANIFEST} must be a run's manifest, got {one_line(error)}") from error
        return home

    def note(self, name: str, entry: Any) -> None:
        """Put an entry into the manifest and write it."""
        if self.manifest is not None:
            self.manifest.entries[name] = entry
        self._write_manifest()

    def _hold(self) -> None:
        """Make sure that no other process works in this folder, as far as the file system can say.

        The lock is this process's alone: the system lifts it when the process ends, however it ends, and children
        do not have it.
        """
        if self._lock is not None or os.name != "posix":
            return
        import fcntl

        busy = False
        with suppress(OSError):  # a file system without locks
            self._lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
            try:
                fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                busy = True
        if busy:
            os.close(self._lock or 0)
            self._lock = None
            raise ResultsError(f"results folder {self.path} must be idle, got one whose run goes on; wait for its end")

    def _let_go(self) -> None:
        """Let others work in this folder."""
        if self._lock is not None:
            (self.path / LOCK).unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None

    def recorder(self, batch_rows: int = 50_000, flush_seconds: float = 2.0, *, keep: bool = False) -> Recorder:
        """Return a recorder whose tables go to this folder; its streams stay until `Recorder.release` with ``keep``."""
        from celluler_sim.recorder import Recorder

        return Recorder(self.path, batch_rows, flush_seconds, keep=keep)

    def recorder_from(self, marks: Mapping[str, tuple[int, int]]) -> Recorder:
        """Return a recorder whose tables go on in this folder where `Recorder.mark` says."""
        from celluler_sim.recorder import Recorder

        for name in TABLES:
            within(self.path, self.path / f"{name}{STREAM_SUFFIX}")
        self._remove(name for name in TABLE_FILES if name.endswith(PARQUET_SUFFIX))
        return Recorder(self.path, marks=marks, keep=True)

    def clear_tables(self) -> None:
        """Remove the tables and checkpoints of a run that begins anew."""
        self._remove(TABLE_FILES)
        self._remove_checkpoints()

    def _remove(self, names: Iterable[str]) -> None:
        for name in names:
            with suppress(OSError):
                (self.path / name).unlink()

    def _remove_checkpoints(self) -> None:
        place = self.path / CHECKPOINTS
        if place.is_symlink():
            place.unlink()
        elif place.is_dir():
            shutil.rmtree(place, ignore_errors=True)

    def variant(self, name: str) -> RunFolder:
        """Return a new folder for the same world under other rules."""
        if not name or name in {".", ".."} or "/" in name or "\\" in name:
            raise ResultsError(f"variants.{name!r} must be a plain file name; rename the variant")
        return RunFolder.create(self.path / VARIANTS / name)

    def finish(self, summary: Mapping[str, Any], streams: Mapping[str, int] | None = None) -> None:
        """Write the figures, then the manifest that says the run is complete."""
        write_text(self.path / SUMMARY, to_json(summary))
        self._end(None, streams)

    def fail(self, error: BaseException, streams: Mapping[str, int] | None = None) -> None:
        """Write the manifest of a run that ``error`` ended."""
        self._end(error, streams)

    def discard(self) -> None:
        """Remove this folder as if the run had never been: its files, its variants, and the folders `create` made."""
        for variant in (self.path / VARIANTS).glob("*"):
            RunFolder(variant, [variant]).discard()
        self._remove((MANIFEST, SCENARIO, SUMMARY, *TABLE_FILES))
        self._remove_checkpoints()
        self._let_go()
        release_folders([self.path / VARIANTS, *self._made])

    def _end(self, error: BaseException | None, streams: Mapping[str, int] | None) -> None:
        if self.manifest is None:
            raise ValueError("start must be called before the run can end")
        self.manifest.add_streams(streams or {})
        self.manifest.end(error)
        self._write_manifest()
        self._let_go()

    def _write_manifest(self) -> None:
        if self.manifest is not None:
            write_text(self.path / MANIFEST, to_json(self.manifest.entries))
