"""Read experiments back: a sweep's table, lazily, with the tables of its runs behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from celluler_sim.errors import ResultsError
from celluler_sim.experiments.replicates import EACH
from celluler_sim.experiments.sweep_plan import PlannedJob, read_plan
from celluler_sim.run_folder import MANIFEST, PARQUET_SUFFIX, one_line
from celluler_sim.trust import within

if TYPE_CHECKING:
    import pandas as pd

    from celluler_sim.results import Run

TABLE = "sweep.parquet"


class Sweep:
    """A sweep's folder. Nothing is read before it is asked for.

    Parameters
    ----------
    folder
        Of the sweep.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.plan = read_plan(self.folder)
        if not (self.folder / TABLE).is_file():
            raise ResultsError(
                f"sweep {self.folder} must have been finished, got no {TABLE}; run the same sweep again to go on"
            )

    @property
    def jobs(self) -> tuple[PlannedJob, ...]:
        """The jobs: number, overrides, varied values."""
        return self.plan.jobs

    @property
    def table(self) -> pd.DataFrame:
        """All rows: one per job and replicate."""
        return self.frame()

    @property
    def parameters(self) -> list[str]:
        """The columns that hold what was varied."""
        names = set(self.units)
        return [p for p in dict.fromkeys(key for job in self.jobs for key in job.parameters) if p in names]

    @property
    def units(self) -> dict[str, str]:
        """The unit of every column, empty where it has none."""
        return self._about(b"unit")

    @property
    def meanings(self) -> dict[str, str]:
        """What every column is."""
        return self._about(b"meaning")

    def _about(self, what: bytes) -> dict[str, str]:
        import pyarrow.parquet as pq

        schema = self._guard(pq.read_schema)
        return {field.name: (field.metadata or {}).get(what, b"").decode("utf-8", "replace") for field in schema}

    def _guard(self, read: Any, **options: Any) -> Any:
        """Read the table's file; `ResultsError` where it is damaged."""
        import pyarrow as pa

        path = within(self.folder, self.folder / TABLE)
        try:
            return read(path, **options)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise ResultsError(
                f"{path} must be the table of a sweep, got {one_line(error)}; run the sweep again"
            ) from error

    def frame(self, columns: Sequence[str] | None = None, where: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Return some columns of the rows in which the keys of ``where`` have these values; all if not given.

        Only what is asked for is read from disk.
        """
        import pyarrow.parquet as pq

        from celluler_sim.foreign_tables import check_parquet

        self._guard(check_parquet)
        unknown = [name for name in [*(columns or ()), *(where or {})] if name not in self.units]
        if unknown:
            raise KeyError(f"the sweep has no column {unknown[0]!r}; its columns are {', '.join(self.units)}")
        filters = [(name, "==", value) for name, value in (where or {}).items()] or None
        wanted = None if columns is None else list(columns)
        frame: pd.DataFrame = self._guard(pq.read_table, columns=wanted, filters=filters).to_pandas()
        return frame

    def tidy(self) -> pd.DataFrame:
        """Return one row per figure: job, parameters, replicate, seed, figure, value, unit."""
        from celluler_sim.experiments.worlds import LEADING

        frame = self.table
        keys = list(dict.fromkeys(["job", *self.parameters, "replicate", "seed"]))
        figures = [name for name in frame.columns if name not in {*keys, *LEADING, "overrides", "base_seed"}]
        tidy = frame.melt(keys, figures, "figure", "value")
        tidy["unit"] = tidy["figure"].map(self.units)
        return tidy

    def intervals(self, *figures: str) -> pd.DataFrame:
        """Return a row per job and figure: parameters, number of worlds, mean and its 95 % interval."""
        import pandas as pd

        from celluler_sim.experiments.statistics import interval

        frame, names = self.table, list(self.parameters)
        rows = []
        for job, mine in frame.groupby("job", sort=True):
            head = {"job": job} | {p: mine[p].iloc[0] for p in names}
            rows += [head | {"figure": f} | interval(mine[f].to_numpy(float))._asdict() for f in figures]
        return pd.DataFrame(rows)

    def run(self, number: int) -> Run:
        """Return one job's run; a job with replicates has the table `replicates` and the means as its summary."""
        from celluler_sim.results import load_run

        return load_run(self._folder(number))

    def _folder(self, number: int) -> Path:
        found = [
            within(self.folder, path.parent)
            for path in sorted(self.folder.glob(f"*/{MANIFEST}"))
            if _number(path.parent.name) == number
        ]
        if not found:
            raise ResultsError(
                f"sweep {self.folder} must have a folder of job {number}, got none: the job failed or was removed"
            )
        return found[0]

    def sql(self, query: str) -> Any:
        """Ask with SQL, through DuckDB.

        There is the table ``sweep``, and each table of the runs by its name, with a column ``sweep_job``. Returns a
        DuckDB relation: nothing is computed before it is fetched (``.df()``). Raises `ResultsError` where DuckDB is not
        installed.
        """
        try:
            import duckdb
        except ImportError as error:
            raise ResultsError(
                "Sweep.sql needs the package duckdb, which is not installed: pip install duckdb"
            ) from error
        connection = duckdb.connect(":memory:")
        connection.from_parquet(str(self.folder / TABLE)).create_view("sweep")
        for name, files in self._tables().items():
            parts = " UNION ALL BY NAME ".join(
                f"SELECT {number} AS sweep_job, * FROM read_parquet({_quoted(path)})"  # noqa: S608 - our own names, quoted
                for number, path in files
            )
            connection.execute(f'CREATE VIEW "{name}" AS {parts}')
        return connection.sql(query)

    def _tables(self) -> dict[str, list[tuple[int, Path]]]:
        """Return the files of every table of the runs, with the numbers of their jobs."""
        from celluler_sim.tables import TABLES

        found: dict[str, list[tuple[int, Path]]] = {}
        for manifest in sorted(self.folder.glob(f"*/{MANIFEST}")):
            number = _number(manifest.parent.name)
            for name in (*TABLES, EACH):
                path = manifest.parent / f"{name}{PARQUET_SUFFIX}"
                if number is not None and path.is_file():
                    found.setdefault(name, []).append((number, path))
        return found

    def __len__(self) -> int:
        import pyarrow.parquet as pq

        return int(self._guard(pq.read_metadata).num_rows)

    def __repr__(self) -> str:
        return f"<Sweep of {self.plan.name}: {len(self.jobs)} jobs, {len(self)} rows; {self.folder}>"


def _number(name: str) -> int | None:
    head = name.partition("_")[0]
    return int(head) if head.isdecimal() else None


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def load_sweep(folder: Path | str) -> Sweep:
    """Read the folder of a finished sweep.

    Raises
    ------
    ResultsError
        The path does not exist, holds no sweep, or the sweep was stopped before its end.
    """
    return Sweep(folder)
