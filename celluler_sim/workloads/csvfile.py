"""Read a published comma-separated file, plain or gzipped, and refuse a wrong or damaged one by file, line and column.

The file is parsed once by Pandas; only when something is wrong is it gone through cell by cell to name the place.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import numpy as np
import numpy.typing as npt

from celluler_sim.errors import TraceError

if TYPE_CHECKING:
    import pandas as pd

SIZE_LIMIT = 2**30
"""Bytes a trace file may hold when unpacked: 1 GiB, eight times the largest that the projects behind them publish."""

REMEDY = "get the published file again"
_CHUNK = 2**20
_YEARS = (1900, 2200)
_GZIP_MAGIC = b"\x1f\x8b"
_NUMBER = {
    "int": re.compile(r"[+-]?\d+(\.0*)?"),
    "float": re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?"),
}
_KIND = {"int": "a whole number", "float": "a number", "time": f"a date and time from {_YEARS[0]} to {_YEARS[1]}"}


@dataclass(frozen=True)
class Column:
    """One column of a published file and what a cell of it may hold."""

    name: str
    kind: Literal["int", "float", "text", "time", "any"] = "float"  # any: whatever Pandas makes of it
    low: float = 0.0
    high: float = float("inf")
    empty: bool = False  # whether a cell may be empty (NaN in a number column)
    choices: tuple[str, ...] = ()  # of a text column; none: any text
    unique: bool = False


@dataclass(frozen=True)
class Rule:
    """What must hold between the cells of one row."""

    column: str  # the one to name when it does not
    says: str  # what the cell must be
    broken: Callable[[pd.DataFrame], pd.Series[bool]]  # marks the rows that break it


def at_least(column: str, other: str) -> Rule:
    """Return the rule that a cell is not below another of its row; an empty cell breaks nothing."""
    return Rule(column, f"at least {other} of the same row", lambda rows: rows[column] < rows[other])


@dataclass(frozen=True)
class Layout:
    """What a published file looks like."""

    trace: str  # what it is, for messages
    files: tuple[str, ...]  # names it goes by in a folder, plain; each is also looked for with .gz behind
    columns: tuple[Column, ...]
    group: tuple[str, ...] = ()  # rows are sorted within runs of equal values of these columns
    sorted_by: str = ""  # by this column
    rules: tuple[Rule, ...] = ()
    header: bool = True  # False: the first line is data already
    names: tuple[str, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        """Keep the column names at hand."""
        object.__setattr__(self, "names", tuple(c.name for c in self.columns))


def read_table(path: str | Path, *layouts: Layout) -> pd.DataFrame:
    """Return the file at ``path``, or the first of the layouts' file names in that folder, as a checked table.

    Parameters
    ----------
    path
        A file, plain or gzipped, or a folder that holds it.
    layouts
        The shapes the file may have; its header line decides between them.

    Raises
    ------
    TraceError
        If the file is missing, damaged, of another layout, or has a cell outside its column's range.
    """
    file = locate(path, layouts[0])
    data = unpack(file)
    names = _first_line(file, data) if layouts[0].header else layouts[0].names
    layout = next((known for known in layouts if set(known.names) == set(names)), layouts[0])
    _check_header(file, names, layout)
    source = _Source(file, data, layout, tuple(names))
    frame = source.parse()
    source.check(frame)
    return frame[list(layout.names)]


def locate(path: str | Path, layout: Layout) -> Path:
    """Return the file meant by ``path``: itself, or in that folder the first of the layout's names that exists."""
    given = Path(path).expanduser()
    if given.is_file():
        return given
    if not given.is_dir():
        raise TraceError(f"{given} does not exist: give the file or folder of {layout.trace} ({layout.files[0]})")
    candidates = [given / name for plain in layout.files for name in (plain, f"{plain}.gz")]
    found = next((c for c in candidates if c.is_file()), None)
    if found is None:
        wanted = " or ".join(layout.files)
        raise TraceError(f"{given} must hold {wanted}, plain or with .gz, got neither: put {layout.trace} there")
    return found


def unpack(file: Path) -> bytes:
    """Return the bytes of a plain or gzipped file; refuses what is damaged, or larger than `SIZE_LIMIT`."""
    try:
        with file.open("rb") as raw:
            zipped = raw.read(2) == _GZIP_MAGIC
        if file.suffix == ".gz" and not zipped:
            raise TraceError(f"{file}: line 1: a .gz file must be gzipped, got other content: {REMEDY}")
        with gzip.open(file, "rb") if zipped else file.open("rb") as stream:
            return _read_within_limit(file, stream)
    except OSError as error:  # of the file system
        raise TraceError(f"{file} must be readable, got {error.strerror or error}: check the path") from None


def _read_within_limit(file: Path, stream: Any) -> bytes:
    """Read piece by piece, so that a file that unpacks without end is refused before memory is gone."""
    pieces: list[bytes] = []
    size = 0
    try:
        while piece := stream.read(_CHUNK):
            pieces.append(piece)
            size += len(piece)
            if size > SIZE_LIMIT:
                raise TraceError(f"{file} must unpack to at most {SIZE_LIMIT} bytes, got more: {REMEDY}")
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        line = sum(p.count(b"\n") for p in pieces) + 1
        raise TraceError(f"{file}: line {line}: gzip data must be whole, got {error}: {REMEDY}") from None
    return b"".join(pieces)


def _first_line(file: Path, data: bytes) -> list[str]:
    if not data.strip():
        raise TraceError(f"{file}: line 1: must have a header and at least one row, got an empty file: {REMEDY}")
    line = data.split(b"\n", 1)[0].decode("utf-8-sig", errors="replace").rstrip("\r")
    return [name.strip('"') for name in line.split(",")]


def _check_header(file: Path, names: list[str] | tuple[str, ...], layout: Layout) -> None:
    """Refuse a header that lacks a column, or has one twice or too many: that is another trace."""
    missing = [name for name in layout.names if name not in names]
    extra = [name for k, name in enumerate(names) if name not in layout.names or name in names[:k]]
    if missing:
        got = ", ".join(names)[:120]
        raise TraceError(f"{file}: line 1: column {missing[0]} of {layout.trace} must be there, got {got}: {REMEDY}")
    if extra:
        raise TraceError(f"{file}: line 1: {layout.trace} must have no column {extra[0]!r:.60}: is it another trace?")


@dataclass(frozen=True)
class _Source:
    """The unpacked bytes of one file on their way to a table."""

    file: Path
    data: bytes
    layout: Layout
    names: tuple[str, ...]  # as in the file

    def refuse(self, line: int, column: str, rule: str, value: object) -> NoReturn:
        """Raise the one-line error that names file, line and column."""
        where = f"{self.file}: line {line}" + (f", column {column}" if column else "")
        raise TraceError(f"{where}: must be {rule}, got {value!r:.80}: {REMEDY}")

    @property
    def quoted(self) -> bool:
        """Whether cells may hold commas and line breaks."""
        return b'"' in self.data

    def parse(self) -> pd.DataFrame:
        """Return the table as Pandas reads it; whatever it cannot read is looked for and named."""
        import pandas as pd

        self.check_text()
        body = self.data.rstrip(b"\r\n")
        self.check_cells_per_row(body)
        try:
            with np.errstate(invalid="ignore"):  # a number too large for its column is refused by range
                frame = pd.read_csv(
                    io.BytesIO(body),
                    header=0 if self.layout.header else None,
                    names=list(self.names),
                    dtype={c.name: self._dtype(c) for c in self.layout.columns if c.kind != "any"},
                    keep_default_na=False,
                    na_values={c.name: [""] for c in self.layout.columns if c.kind == "any" or self._numeric(c)},
                    skip_blank_lines=False,
                    quoting=csv.QUOTE_MINIMAL if self.quoted else csv.QUOTE_NONE,
                )
        except (ValueError, OverflowError, TypeError) as error:
            self.find_bad_cell()
            self.refuse(1, "", "a table that can be parsed", str(error).replace("\n", " "))
        if frame.empty:
            self.refuse(2, "", "at least one row", "none")
        for column in self.layout.columns:
            if column.kind == "time":
                moments = pd.to_datetime(frame[column.name], format="ISO8601", utc=True, errors="coerce")
                known = moments.dt.year.between(*_YEARS).to_numpy()  # an unreadable one is in no year
                self.check_mask(frame, ~known, column.name, _KIND["time"])
                frame[column.name] = moments.dt.as_unit("ns")
        return frame

    @staticmethod
    def _numeric(column: Column) -> bool:
        return column.kind in ("int", "float")

    @staticmethod
    def _dtype(column: Column) -> str | type:
        """Whole numbers of a column with empty cells have to be floats; empty cells then are NaN."""
        if column.kind in ("text", "time"):
            return str
        return "int64" if column.kind == "int" and not column.empty else "float64"

    def check_text(self) -> None:
        """Refuse bytes that are no UTF-8, zero bytes, which a damaged disk leaves behind, and half a line end."""
        try:
            self.data.decode("utf-8")
            bad = self.data.find(b"\0")
            if bad < 0 and self.data.count(b"\r") != self.data.count(b"\r\n"):
                bad = next(m.start() for m in re.finditer(rb"\r(?!\n)", self.data))
        except UnicodeDecodeError as error:
            bad = error.start
        if bad >= 0:
            self.refuse(self.data.count(b"\n", 0, bad) + 1, "", "UTF-8 text", self.data[bad : bad + 4])

    def check_cells_per_row(self, body: bytes) -> None:
        """Refuse a row with fewer or more cells than the header, an empty line among them."""
        if self.quoted:
            for line, row in self.rows():
                if len(row) != len(self.names):
                    self.refuse(line, "", f"{len(self.names)} cells", len(row))
            return
        content = np.frombuffer(body + b"\n", np.uint8)
        marks = content[(content == ord(",")) | (content == ord("\n"))]
        commas = np.diff(np.flatnonzero(marks == ord("\n")), prepend=-1) - 1
        bad = np.flatnonzero(commas != len(self.names) - 1)
        if len(bad):
            self.refuse(int(bad[0]) + 1, "", f"{len(self.names)} cells", int(commas[bad[0]]) + 1)

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Go through the data rows with the number of the line each begins on."""
        text = io.StringIO(self.data.decode("utf-8-sig", errors="replace").rstrip("\r\n"), newline="")
        reader = csv.reader(text) if self.quoted else csv.reader(text, quoting=csv.QUOTE_NONE)
        begin = 1
        try:
            for k, row in enumerate(reader):
                if k or not self.layout.header:
                    yield begin, row
                begin = reader.line_num + 1
        except csv.Error as error:  # a quote that is never closed
            self.refuse(begin, "", "a row of cells", str(error))

    def line_of(self, row: int) -> int:
        """Return the line on which a data row begins."""
        if self.quoted:
            return next(line for k, (line, _) in enumerate(self.rows()) if k == row)
        return row + (2 if self.layout.header else 1)

    def find_bad_cell(self) -> None:
        """Go through every cell in Python and refuse the first that is not what its column holds."""
        spec = {c.name: c for c in self.layout.columns}
        numeric = [(k, spec[name]) for k, name in enumerate(self.names) if self._numeric(spec[name])]
        for line, row in self.rows():
            for k, column in numeric:
                cell = row[k].strip()
                if not (_NUMBER[column.kind].fullmatch(cell) or (column.empty and not cell)):
                    self.refuse(line, column.name, _KIND[column.kind], row[k])
                if cell and abs(float(cell)) >= 2.0**63:
                    self.refuse(line, column.name, "below 2**63", row[k])

    def check(self, frame: pd.DataFrame) -> None:
        """Refuse the first cell outside its column's range, then the first row out of order."""
        for column in self.layout.columns:
            if self._numeric(column):
                self._check_range(frame, column)
            elif column.kind == "text":
                self._check_text_column(frame, column)
        for rule in self.layout.rules:
            self.check_mask(frame, rule.broken(frame).to_numpy(), rule.column, rule.says)
        if self.layout.sorted_by:
            self._check_sorted(frame)

    def check_mask(self, frame: pd.DataFrame, bad: npt.NDArray[np.bool_], column: str, rule: str) -> None:
        """Refuse the first row that is marked."""
        if bad.any():
            row = int(np.argmax(bad))
            value = frame[column].iloc[row]
            self.refuse(self.line_of(row), column, rule, value.item() if isinstance(value, np.generic) else str(value))

    def _check_range(self, frame: pd.DataFrame, column: Column) -> None:
        values = frame[column.name].to_numpy(np.float64)
        inside = np.isfinite(values) & (values >= column.low) & (values <= column.high)
        rule = f"a finite number >= {column.low:g}" + (f" and <= {column.high:g}" if np.isfinite(column.high) else "")
        self.check_mask(frame, ~(inside | (np.isnan(values) & column.empty)), column.name, rule)

    def _check_text_column(self, frame: pd.DataFrame, column: Column) -> None:
        values = frame[column.name]
        if not column.empty:
            self.check_mask(frame, (values == "").to_numpy(), column.name, "filled")
        if column.choices:
            outside = ~values.isin([*column.choices, *([""] if column.empty else [])]).to_numpy()
            self.check_mask(frame, outside, column.name, f"one of {', '.join(column.choices)}")
        if column.unique:
            self.check_mask(frame, values.duplicated().to_numpy(), column.name, "there only once")

    def _check_sorted(self, frame: pd.DataFrame) -> None:
        """Compare each row with the one before it, where that belongs to the same group."""
        values = frame[self.layout.sorted_by]
        same: npt.NDArray[np.bool_] = np.ones(len(frame) - 1, dtype=np.bool_)
        for name in self.layout.group:
            column = frame[name].to_numpy()
            same &= np.asarray(column[1:] == column[:-1], dtype=np.bool_)
        falling = np.concatenate([[False], same & (np.diff(values.astype("int64").to_numpy()) < 0)])
        self.check_mask(frame, falling, self.layout.sorted_by, "sorted: at least the value one line above")
