"""Read a run back: its configuration, manifest, summary, tables and figures.

Opening a folder reads JSON, YAML without tags, Parquet and Arrow; nothing in it is ever executed, so the results of
somebody else can be opened. Whatever is missing or damaged is one `ResultsError` that names it.
"""

from __future__ import annotations

import functools
import html
import importlib
import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml  # type: ignore[import-untyped]

from celluler_sim.errors import ResultsError
from celluler_sim.run_folder import (
    MANIFEST,
    PARQUET_SUFFIX,
    SCENARIO,
    STREAM_SUFFIX,
    SUMMARY,
    VARIANTS,
    RunFolder,
    claim_folder,
    one_line,
    plain,
    to_json,
    to_yaml,
    unwritable,
    write_text,
)
from celluler_sim.trust import load_yaml, read_text, within

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from celluler_sim.recorder import Recorder

PLOTS = "celluler_sim.analysis.plots"
REPORT = "celluler_sim.report"


class Tables(Mapping[str, "pd.DataFrame"]):
    """The tables of a run by name, read when asked for.

    From a folder each table comes from its Parquet file or, where the run was killed or still goes on, from its
    stream, then up to the last whole batch; in memory from the recorder. Either way it is sorted by its key.
    Strings are pandas strings; exact amounts (column ``amount_prana`` of `transfers`) are `decimal.Decimal`.
    A table is read once and kept until its file changes; what is returned may be altered without harm.
    """

    def __init__(self, source: Recorder | Path | None) -> None:
        self._source = source
        self._frames: dict[str, tuple[object, pd.DataFrame]] = {}

    def __getitem__(self, name: str) -> pd.DataFrame:
        import pandas as pd

        version = self._version(name)
        old = int(pd.__version__.split(".", 1)[0]) < 3  # copies eagerly, and has no string type by default
        if name not in self._frames or self._frames[name][0] != version:
            mapper = {_arrow().string(): pd.StringDtype("pyarrow")}.get if old else None
            table = self.arrow(name)
            try:
                self._frames[name] = version, table.to_pandas(types_mapper=mapper)
            except (ArithmeticError, ValueError) as error:  # an amount with more digits than there are
                raise damaged(f"table {name} of {self._source}", one_line(error)) from error
        return self._frames[name][1].copy(deep=old)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())

    def __contains__(self, name: object) -> bool:
        return name in self._names()

    def __repr__(self) -> str:
        return f"Tables({', '.join(self) or 'none'})"

    def arrow(self, name: str) -> pa.Table:
        """Return a table as Arrow, one chunk a column.

        Raises `KeyError` for a table that the run does not have, `ResultsError` for a damaged file.
        """
        return self._read(name, "table")

    def units(self, name: str) -> dict[str, str]:
        """Return the unit of each column of a table, empty where it has none; errors as those of `arrow`."""
        units: dict[str, str] = self._read(name, "units")
        return units

    def _read(self, name: str, what: str) -> Any:
        """Return the table, or only its units, from where it is now."""
        if name not in self or self._source is None:
            raise KeyError(f"the run has no table {name!r}; its tables are {sorted(self)}")
        if not isinstance(self._source, Path):
            return self._source.arrow(name) if what == "table" else _units(self._source.schema(name))
        for suffix in (PARQUET_SUFFIX, STREAM_SUFFIX, PARQUET_SUFFIX):
            with suppress(FileNotFoundError):  # a run that ends meanwhile replaces its stream by the Parquet file
                return _READERS[suffix, what](within(self._source, self._source / f"{name}{suffix}"))
        raise ResultsError(f"table {name} of {self._source} must be a file, got none any more; load the run again")

    def _names(self) -> list[str]:
        """Return the names of the tables there are, those of this version first and in its order."""
        from celluler_sim.tables import TABLES

        if self._source is None:
            return []
        if not isinstance(self._source, Path):
            return list(TABLES)
        found = {file.stem for file in self._source.glob("*.*") if file.suffix in {PARQUET_SUFFIX, STREAM_SUFFIX}}
        return [name for name in TABLES if name in found] + sorted(found - TABLES.keys())

    def _version(self, name: str) -> object:
        """Return something that changes when the table does."""
        if isinstance(self._source, Path):
            for suffix in (PARQUET_SUFFIX, STREAM_SUFFIX):
                with suppress(OSError):
                    stat = (self._source / f"{name}{suffix}").stat()
                    return suffix, stat.st_mtime_ns, stat.st_size
            return None
        return None if self._source is None else self._source.logged(name)


def _arrow() -> Any:
    import pyarrow as pa

    return pa


def _units(schema: pa.Schema) -> dict[str, str]:
    return {field.name: (field.metadata or {}).get(b"unit", b"").decode("utf-8", "replace") for field in schema}


def _whole(read: Callable[[Path], Any]) -> Callable[[Path], Any]:
    """Make a reader raise `ResultsError` for a damaged file; one that is not there stays `FileNotFoundError`."""

    @functools.wraps(read)
    def reader(path: Path) -> Any:
        try:
            return read(path)
        except FileNotFoundError:
            raise
        except (_arrow().ArrowException, OSError, ValueError) as error:
            raise damaged(path, one_line(error)) from error

    return reader


@_whole
def _parquet_table(path: Path) -> pa.Table:
    from celluler_sim.foreign_tables import read_parquet

    return read_parquet(path)


@_whole
def _parquet_units(path: Path) -> dict[str, str]:
    import pyarrow.parquet as pq

    return _units(pq.read_schema(path))


@_whole
def _stream_table(path: Path) -> pa.Table:
    from celluler_sim.foreign_tables import read_arrow_stream
    from celluler_sim.table_files import sorted_table

    return sorted_table(read_arrow_stream(path))


@_whole
def _stream_units(path: Path) -> dict[str, str]:
    from celluler_sim.table_files import stream_schema

    return _units(stream_schema(path))


_READERS: dict[tuple[str, str], Callable[[Path], Any]] = {
    (PARQUET_SUFFIX, "table"): _parquet_table,
    (PARQUET_SUFFIX, "units"): _parquet_units,
    (STREAM_SUFFIX, "table"): _stream_table,
    (STREAM_SUFFIX, "units"): _stream_units,
}


def damaged(path: Path | str, what: str) -> ResultsError:
    """Return the error for a file that cannot be read."""
    return ResultsError(f"{path} must be a file of a run, got {what}; run the scenario again or restore the file")


class Plots:
    """The figures of a run: ``run.plot.price()``. Each is a function of the analysis package that takes the run."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)
        if name not in (known := _plots()):
            raise AttributeError(f"there is no plot {name!r}; the plots are {sorted(known)}")
        bound = functools.partial(known[name], self._run)
        return functools.update_wrapper(bound, known[name])

    def __dir__(self) -> list[str]:
        return sorted(_plots())


def _plots() -> dict[str, Callable[..., Any]]:
    """Return what the module of plots exports as functions whose first parameter is a run."""
    module = importlib.import_module(PLOTS)
    exported = {name: getattr(module, name) for name in module.__all__}
    return {
        name: f for name, f in exported.items() if inspect.isfunction(f) and next(iter(_parameters(f)), "") == "run"
    }


def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(function).parameters


class Run:
    """What one simulation was and what came of it, from a folder or in memory.

    Parameters
    ----------
    config
        The composed configuration.
    manifest
        Versions, seed, duration and outcome, see `celluler_sim.run_folder.Manifest`.
    summary
        Figures by name; what is not a finite number becomes None, as in ``summary.json``.
    source
        Where the tables are: a folder, or the recorder they were logged to.
    variants
        Runs of the same world under other rules, by name.
    """

    def __init__(
        self,
        *,
        config: Mapping[str, Any],
        manifest: Mapping[str, Any],
        summary: Mapping[str, Any],
        source: Recorder | Path | None = None,
        variants: Mapping[str, Run] | None = None,
    ) -> None:
        self.config: dict[str, Any] = dict(config)
        self.manifest: dict[str, Any] = dict(manifest)
        self.summary: dict[str, Any] = plain(summary)
        self.variants: dict[str, Run] = dict(variants or {})
        self.folder: Path | None = source if source is None or isinstance(source, Path) else source.folder
        self.tables = Tables(self.folder if self.folder is not None else source)

    @property
    def plot(self) -> Plots:
        """The figures of this run; ``dir(run.plot)`` names them."""
        return Plots(self)

    def report(self, folder: Path | str | None = None) -> Path:
        """Write the report, self-contained HTML with its figures, to ``folder`` (the run's own) and return its path."""
        path: Path = importlib.import_module(REPORT).write_report(self, folder)
        return path

    def save(self, folder: Path | str) -> Path:
        """Write the run, its variants too, as a new run folder and return it.

        Tables of a run that was killed become Parquet. Raises `ResultsError` where the folder cannot be written or
        holds a run; what had been written by then is removed.
        """
        target = RunFolder.create(folder)
        try:
            self._write(target)
        except BaseException:
            target.discard()
            raise
        return target.path

    def _write(self, target: RunFolder) -> None:
        from celluler_sim.table_files import write_parquet

        write_text(target.path / SCENARIO, to_yaml(self.config))
        for name in self.tables:
            table = self.tables.arrow(name)
            path = target.path / f"{name}{PARQUET_SUFFIX}"
            write_parquet(path, table.schema, table.to_batches, table.num_rows)
        for name, run in self.variants.items():
            run.save(target.path / VARIANTS / name)
        write_text(target.path / SUMMARY, to_json(self.summary))
        write_text(target.path / MANIFEST, to_json(self.manifest))

    def to_csv(self, folder: Path | str) -> list[Path]:
        """Write every table as ``<table>.csv`` to a folder and return the files; NaN is written as ``nan``."""
        from pyarrow import csv

        folder = Path(folder)
        claim_folder(folder, [f"{name}.csv" for name in self.tables])
        paths = [folder / f"{name}.csv" for name in self.tables]
        try:
            for path in paths:
                csv.write_csv(self.tables.arrow(path.stem), path)
        except OSError as error:
            raise unwritable(folder, error) from error
        return paths

    def _facts(self) -> dict[str, Any]:
        names = ("outcome", "error", "seed", "replicate", "started", "duration_s")
        return {name: self.manifest[name] for name in names if self.manifest.get(name) is not None}

    def __repr__(self) -> str:
        facts = ", ".join(f"{name}={value}" for name, value in self._facts().items())
        where = "in memory" if self.folder is None else self.folder
        return f"<Run {self.config.get('name', '?')}: {facts or 'no manifest'}; {where}>"

    def _repr_html_(self) -> str:
        """Return the summary as a table, for notebooks."""
        entries = {**self._facts(), **self.summary}
        rows = "".join(
            f"<tr><th style='text-align:left'>{html.escape(name)}</th><td>{html.escape(_shown(value))}</td></tr>"
            for name, value in entries.items()
        )
        title = html.escape(str(self.config.get("name", "run")))
        return f"<table><caption>{title}</caption><tbody>{rows}</tbody></table>"


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def load_run(folder: Path | str) -> Run:
    """Read the folder of a run: finished, failed, killed or still going on.

    Raises
    ------
    ResultsError
        The path does not exist, holds no run, or a file in it is damaged.
    """
    folder = Path(folder)
    if not folder.exists():
        raise ResultsError(f"results folder {folder} must exist, got nothing there; check the path")
    if not (folder / MANIFEST).is_file():
        raise ResultsError(f"results folder {folder} must hold a run, got no {MANIFEST}; name the folder of one run")
    variants = sorted(within(folder, path.parent) for path in folder.glob(f"{VARIANTS}/*/{MANIFEST}"))
    return _load(folder, {path.name: _load(path, {}) for path in variants})


def _load(folder: Path, variants: Mapping[str, Run]) -> Run:
    return Run(
        config=_mapping(folder / SCENARIO, load_yaml),
        manifest=_mapping(folder / MANIFEST, json.loads),
        summary=_mapping(folder / SUMMARY, json.loads) if (folder / SUMMARY).exists() else {},
        source=folder,
        variants=variants,
    )


def _mapping(path: Path, parse: Callable[[str], Any]) -> dict[str, Any]:
    """Return the mapping that a file holds, or raise `ResultsError` naming it."""
    try:
        found = parse(read_text(within(path.parent, path)))
    except ResultsError:
        raise
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise damaged(path, one_line(error)) from error
    if not isinstance(found, dict):
        raise damaged(path, f"{type(found).__name__} where a mapping belongs")
    return found
