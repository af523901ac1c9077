"""Recording: what is logged is read back, whatever the batches, and survives a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from celluler_sim import table_files
from celluler_sim.errors import ResultsError
from celluler_sim.recorder import Coded, Recorder
from celluler_sim.tables import TABLES

KINDS = ("pay", "lock", "release")
UNITS = 10**18


@dataclass
class Exact:
    """Exact amounts in units of 1e-18 PRANA, as the ledger hands them over."""

    units: list[int]

    def to_decimal128(self) -> pa.Array:
        """Return the amounts as Arrow decimals."""
        exact = [Decimal(u).scaleb(-18) for u in self.units]
        return pa.array(exact, pa.decimal128(38, 18))


def consensus(tick: Any, submitted: Any = 0) -> dict[str, Any]:
    """Columns of the table `consensus`."""
    zeros = {"ordered": 0, "pending": 0, "expired": 0, "latency_p50_s": 0.0, "latency_p95_s": np.nan}
    zeros |= dict.fromkeys(("events", "rounds", "coins", "forks"), 0)
    return {"tick": tick, "submitted": submitted, **zeros}


def transfers(first: int, n: int, seed: int = 0) -> dict[str, Any]:
    """Columns of ``n`` rows of the table `transfers`, numbered from ``first``."""
    rng = np.random.default_rng(seed + first)
    return {
        "transfer": np.arange(first, first + n),
        "tick": first // 10,
        "kind": Coded(rng.integers(0, 3, n).astype(np.int8), KINDS),
        "source": rng.integers(0, 50, n),
        "target": rng.integers(0, 50, n),
        "amount_prana": Exact([int(u) * 10**9 + 1 for u in rng.integers(0, UNITS, n)]),
        "refused": rng.random(n) < 0.1,
    }


def agents(tick: int, slots: Any, behaviour: str = "truthful") -> dict[str, Any]:
    """Columns of the table `agents`, consumers and providers by turns."""
    slots = np.asarray(slots)
    numbers = [c.name for c in TABLES["agents"].columns if c.dtype == "float64"]
    return {
        "tick": tick,
        "type": Coded(slots % 2, ("provider", "consumer")),
        "slot": slots,
        "behaviour": behaviour,
        "active": True,
        **dict.fromkeys(numbers, slots * 0.5),
    }


def stream_rows(folder: Path, name: str) -> list[dict[str, Any]]:
    batches = table_files.read_stream(folder / f"{name}.arrows")
    return [row for batch in batches for row in batch.to_pylist()]


def run_python(code: str, *args: str, **more: Any) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code, *args], stdout=subprocess.PIPE, text=True, **more)


def test_scalars_are_broadcast_and_arrays_copied() -> None:
    """Ticks 4 and 5 with one submitted figure for both; the caller overwrites its array afterwards."""
    recorder = Recorder(None)
    ticks = np.array([4, 5])
    recorder.log("consensus", **consensus(ticks, submitted=7))
    ticks[:] = 99
    recorder.finish()
    table = recorder.arrow("consensus")
    assert table["tick"].to_pylist() == [4, 5]
    assert table["submitted"].to_pylist() == [7, 7]
    assert np.isnan(table["latency_p95_s"].to_numpy()).all()
    assert table["latency_p95_s"].null_count == 0


def test_one_row_of_scalars_and_none_of_empty_arrays() -> None:
    recorder = Recorder(None)
    recorder.log("consensus", **consensus(3))
    recorder.log("consensus", **consensus(np.array([], np.int64)))
    recorder.log("transfers", **transfers(0, 0))
    assert recorder.logged("consensus") == 1
    assert recorder.arrow("consensus")["tick"].to_pylist() == [3]
    assert recorder.arrow("transfers").num_rows == 0


def test_strings_come_as_one_or_as_codes() -> None:
    """Two vocabularies meet in one column: code 0 is `pay` in the first and `fee` in the second."""
    recorder = Recorder(None)
    first, second, third = transfers(0, 3), transfers(3, 2), transfers(5, 1)
    first["kind"] = Coded(np.array([2, 0, 2], np.int8), KINDS)
    second["kind"] = Coded(np.array([0, 1]), ("fee", "pay"))
    third["kind"] = "slash"
    for rows in (first, second, third):
        recorder.log("transfers", **rows)
    kinds = recorder.arrow("transfers")["kind"].to_pylist()
    assert kinds == ["release", "pay", "release", "fee", "pay", "slash"]


def test_amounts_are_exact() -> None:
    """The supply less one unit has 27 digits: 999999999.999999999999999999."""
    recorder = Recorder(None)
    rows = transfers(0, 3)
    rows["amount_prana"] = Exact([10**27 - 1, 1, 0])
    recorder.log("transfers", **rows)
    exact = recorder.arrow("transfers")["amount_prana"].to_pylist()
    assert exact == [Decimal("999999999.999999999999999999"), Decimal("1E-18"), Decimal(0)]


def test_amounts_that_are_a_slice_of_a_longer_array() -> None:
    """An Arrow slice keeps its parent's buffer: rows 2 and 3 of four must not come out as rows 0 and 1."""

    class Slice(Exact):
        def to_decimal128(self) -> pa.Array:
            return super().to_decimal128().slice(2)

    recorder = Recorder(None)
    rows = transfers(0, 2)
    rows["amount_prana"] = Slice([UNITS, 2 * UNITS, 3 * UNITS, 4 * UNITS])
    recorder.log("transfers", **rows)
    assert recorder.arrow("transfers")["amount_prana"].to_pylist() == [Decimal(3), Decimal(4)]


WRONG = {
    "unknown column": ({"price": 1.0}, TypeError, "no column 'price'"),
    "fraction in whole numbers": ({"source": np.array([0.5, 1.0])}, TypeError, "transfers.source must be"),
    "fraction for all rows": ({"source": 0.5}, TypeError, "transfers.source must be"),
    "unsigned that may not fit": ({"source": np.array([1, 2], np.uint64)}, TypeError, "transfers.source must be"),
    "two dimensions": ({"source": np.zeros((2, 1), np.int64)}, TypeError, "shape \\(2, 1\\)"),
    "a list": ({"source": [1, 2]}, TypeError, "transfers.source must be"),
    "a string for a number": ({"tick": "3"}, TypeError, "transfers.tick must be"),
    "a number for a truth": ({"refused": 1}, TypeError, "transfers.refused must be"),
    "a number for a string": ({"kind": 3}, TypeError, "transfers.kind must be"),
    "fractional codes": ({"kind": Coded(np.array([0.0, 1.0]), KINDS)}, TypeError, "transfers.kind must have"),
    "a code too large": ({"kind": Coded(np.array([0, 3]), KINDS)}, ValueError, "codes from 0 to 2, got 3"),
    "a negative code": ({"kind": Coded(np.array([0, -1]), KINDS)}, ValueError, "codes from 0 to 2, got -1"),
    "float money": ({"amount_prana": np.array([1.0, 2.0])}, TypeError, "transfers.amount_prana must be"),
    "columns of two lengths": ({"source": np.arange(3)}, ValueError, "one length.*'source': 3"),
    "amounts of another length": ({"amount_prana": Exact([1])}, ValueError, "one length.*'amount_prana': 1"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_columns_are_refused_whole(case: str) -> None:
    """The error names table and column, is one line, and none of the row's columns is recorded."""
    wrong, error, match = WRONG[case]
    recorder = Recorder(None)
    recorder.log("transfers", **transfers(0, 2))
    with pytest.raises(error, match=match) as caught:
        recorder.log("transfers", **{**transfers(2, 2), **wrong})
    assert "\n" not in str(caught.value)
    recorder.log("transfers", **transfers(4, 2))
    assert recorder.arrow("transfers")["transfer"].to_pylist() == [0, 1, 4, 5]


def test_missing_column_and_unknown_table_are_named() -> None:
    recorder = Recorder(None)
    rows = transfers(0, 2)
    del rows["source"]
    with pytest.raises(TypeError, match="table transfers needs column 'source'"):
        recorder.log("transfers", **rows)
    with pytest.raises(TypeError, match="no table 'transfer'"):
        recorder.log("transfer", **transfers(0, 2))


def test_numbers_are_widened_but_never_cut() -> None:
    recorder = Recorder(None)
    recorder.log("consensus", **consensus(np.array([1, 2], np.int32), submitted=np.array([True, False])))
    recorder.log("consensus", **{**consensus(np.int64(3)), "latency_p50_s": np.array([4])})
    assert recorder.arrow("consensus")["submitted"].to_pylist() == [1, 0, 0]
    assert recorder.arrow("consensus")["latency_p50_s"].to_pylist() == [0.0, 0.0, 4.0]
    with pytest.raises(OverflowError):
        recorder.log("consensus", **consensus(4, submitted=2**63))
    assert recorder.logged("consensus") == 3


lengths = st.lists(st.integers(0, 9), max_size=12)
whole = st.integers(-(2**63), 2**63 - 1)
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)


@st.composite
def logged(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw some calls' columns for `transfers`: any number, string, truth and exact amount."""
    calls = []
    for n in draw(lengths):
        several = st.lists(whole, min_size=n, max_size=n)
        names = draw(st.lists(words, min_size=1, max_size=3, unique=True))
        codes = draw(st.lists(st.integers(0, len(names) - 1), min_size=n, max_size=n))
        calls.append(
            {
                "transfer": np.array(draw(several), np.int64),
                "tick": draw(whole),
                "kind": Coded(np.array(codes, np.int64), tuple(names)),
                "source": np.array(draw(several), np.int64),
                "target": draw(whole),
                "amount_prana": Exact(draw(st.lists(st.integers(0, 10**27), min_size=n, max_size=n))),
                "refused": np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)), np.bool_),
            }
        )
    return calls


def expected(calls: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Return the rows in plain Python, by number, equal numbers in the order in which they were logged."""
    rows = []
    for c in calls:
        for i in range(len(c["transfer"])):
            kind = c["kind"].categories[c["kind"].codes[i]]
            exact = Decimal(c["amount_prana"].units[i]).scaleb(-18)
            tick, target = c["tick"], c["target"]
            rows.append((int(c["transfer"][i]), tick, kind, int(c["source"][i]), target, exact, bool(c["refused"][i])))
    return sorted(rows, key=lambda row: row[0])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=logged(), batch_rows=st.integers(1, 20), on_disk=st.booleans(), seconds=st.sampled_from([0.0, 1e9]))
def test_what_is_logged_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    calls: list[dict[str, Any]],
    batch_rows: int,
    on_disk: bool,
    seconds: float,
) -> None:
    """Any rows, any batches, memory or disk: the same rows come back, sorted by the key, ties in logged order."""
    folder = tmp_path_factory.mktemp("run") if on_disk else None
    recorder = Recorder(folder, batch_rows=batch_rows, flush_seconds=seconds)
    for columns in calls:
        recorder.log("transfers", **columns)
    recorder.finish()
    table = recorder.arrow("transfers") if folder is None else pq.read_table(folder / "transfers.parquet")
    assert [tuple(row.values()) for row in table.to_pylist()] == expected(calls)


def write(folder: Path, batch_rows: int, flush_seconds: float, chunk: int, *, shuffled: bool) -> dict[str, bytes]:
    """Log the same 3,000 transfers and 900 agents in calls of ``chunk`` rows; return the files' bytes."""
    order = np.random.default_rng(5).permutation(3000) if shuffled else np.arange(3000)
    base = transfers(0, 3000)
    units = np.array(base["amount_prana"].units, object)
    with Recorder(folder, batch_rows, flush_seconds) as recorder:
        for start in range(0, 3000, chunk):
            rows = order[start : start + chunk]
            columns = {k: v[rows] if isinstance(v, np.ndarray) else v for k, v in base.items()}
            columns["kind"] = Coded(base["kind"].codes[rows], KINDS)
            columns["amount_prana"] = Exact(units[rows].tolist())
            recorder.log("transfers", **columns)
            if start % 1000 == 0:
                recorder.log("agents", **agents(start, np.arange(300)))
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("shuffled", [False, True])
def test_bytes_do_not_depend_on_the_batches(tmp_path: Path, shuffled: bool) -> None:
    one = write(tmp_path / "one", 50_000, 1e9, 1000, shuffled=shuffled)
    assert sorted(one) == sorted(f"{name}.parquet" for name in TABLES)
    for n, (batch_rows, seconds, chunk) in enumerate([(7, 1e9, 500), (50_000, 0.0, 20), (1000, 1e9, 1000)]):
        assert write(tmp_path / str(n), batch_rows, seconds, chunk, shuffled=shuffled) == one


def test_bytes_do_not_depend_on_the_batches_where_pages_split(tmp_path: Path) -> None:
    """Two row groups of several pages each: batches of 7,777 rows must not move where a page ends."""
    columns = consensus(np.arange(140_000), submitted=np.arange(140_000) ** 2)
    files = []
    for batch_rows in (7_777, 140_000):
        with Recorder(tmp_path / str(batch_rows), batch_rows) as recorder:
            recorder.log("consensus", **columns)
        files.append((tmp_path / str(batch_rows) / "consensus.parquet").read_bytes())
    assert files[0] == files[1]


@pytest.mark.parametrize("run", [100, 2999, 3000])
def test_bytes_do_not_depend_on_how_the_rows_were_sorted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: int
) -> None:
    """Sorted at once or merged from 30 runs in blocks of 16 rows: the same file."""
    at_once = write(tmp_path / "one", 50_000, 1e9, 1000, shuffled=True)
    monkeypatch.setattr(table_files, "ROWS_PER_RUN", run)
    monkeypatch.setattr(table_files, "ROWS_PER_BLOCK", 16)
    monkeypatch.setattr(table_files, "BLOCKS_AT_ONCE", 2)
    assert write(tmp_path / "two", 50_000, 1e9, 1000, shuffled=True) == at_once


def test_bytes_are_the_same_in_another_process(tmp_path: Path) -> None:
    here = write(tmp_path / "here", 50_000, 1e9, 1000, shuffled=True)
    code = """
import sys; from pathlib import Path
from tests.test_recorder import write
write(Path(sys.argv[1]), 77, 0.0, 250, shuffled=True)
"""
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "TZ": "Asia/Tokyo"}
    there = run_python(code, str(tmp_path / "there"), env=environment, cwd=Path(__file__).parents[1])
    assert there.wait() == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "there").iterdir()} == here


keys = st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["b", "a", "é", "z"]), st.integers(0, 2)), max_size=40)


def test_order_is_judged_from_the_first_column_of_the_key() -> None:
    """(0, b), (1, a) ascends although b, a does not; the step from one batch to the next counts too."""
    schema = pa.schema([("tick", pa.int64()), ("market", pa.string())])

    def ascends(*batches: list[tuple[int, str]]) -> bool:
        made = [pa.RecordBatch.from_pylist([{"tick": t, "market": m} for t, m in b], schema) for b in batches]
        return table_files.is_sorted(made, ("tick", "market"))

    assert ascends([(0, "b"), (1, "a")], [(1, "a"), (1, "b")])
    assert ascends()
    assert ascends([], [(1, "a")], [])
    assert not ascends([(0, "b"), (0, "a")])
    assert not ascends([(1, "a"), (0, "b")])
    assert not ascends([(0, "a"), (1, "b")], [(1, "a"), (2, "a")])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(keys=keys, run=st.integers(1, 9), block=st.integers(1, 4), at_once=st.integers(1, 3))
def test_external_sort_is_a_stable_sort(
    tmp_path_factory: pytest.TempPathFactory,
    keys: list[tuple[int, str, int]],
    run: int,
    block: int,
    at_once: int,
) -> None:
    """Against Python's own stable sort, on keys of three columns with many ties, whatever the sizes."""
    schema = table_files.schema_of(TABLES["agents"])
    floats = [name for name in schema.names if schema.field(name).type == pa.float64()]
    rows = [
        {"tick": t, "type": k, "slot": s, "behaviour": str(n), "active": True, **dict.fromkeys(floats, 0.0)}
        for n, (t, k, s) in enumerate(keys)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table_files, "ROWS_PER_RUN", run)
        patch.setattr(table_files, "ROWS_PER_BLOCK", block)
        patch.setattr(table_files, "BLOCKS_AT_ONCE", at_once)
        path = tmp_path_factory.mktemp("sort") / "agents.parquet"
        table = pa.Table.from_pylist(rows, schema)
        table_files.write_parquet(path, schema, lambda: table.to_batches(max_chunksize=5), len(rows))
    read = pq.read_table(path).to_pylist()
    assert read == sorted(rows, key=lambda r: (r["tick"], r["type"].encode(), r["slot"]))
    assert [file.name for file in path.parent.iterdir()] == ["agents.parquet"]


def test_row_groups_are_of_one_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_files, "ROWS_PER_GROUP", 1024)
    write(tmp_path / "run", 300, 1e9, 1000, shuffled=True)
    meta = pq.ParquetFile(tmp_path / "run" / "transfers.parquet").metadata
    assert [meta.row_group(n).num_rows for n in range(meta.num_row_groups)] == [1024, 1024, 952]


def test_units_and_meanings_are_in_the_file(tmp_path: Path) -> None:
    write(tmp_path / "run", 300, 1e9, 1000, shuffled=False)
    schema = pq.read_schema(tmp_path / "run" / "agents.parquet")
    assert schema.metadata == {
        b"table": b"agents",
        b"meaning": b"one row per agent and sampled tick",
        b"key": b"tick type slot",
    }
    assert schema.field("ask_prana").metadata[b"unit"] == b"PRANA/unit"
    assert schema.field("ask_prana").metadata[b"meaning"] == b"ask of a provider (NaN: consumer)"
    assert not any(field.nullable for field in schema)


def test_every_table_is_there_even_without_rows(tmp_path: Path) -> None:
    """A stream is readable from the moment the run starts; a table nobody logged to has its columns."""
    recorder = Recorder(tmp_path)
    for name, table in TABLES.items():
        path = tmp_path / f"{name}.arrows"
        assert table_files.stream_schema(path).names == [c.name for c in table.columns]
        assert stream_rows(tmp_path, name) == []
    recorder.finish()
    for name, table in TABLES.items():
        assert pq.read_table(tmp_path / f"{name}.parquet").column_names == [c.name for c in table.columns]


def test_what_is_acknowledged_is_on_disk(tmp_path: Path) -> None:
    """Five rows in batches of two: four are acknowledged and readable, the fifth after `flush`."""
    recorder = Recorder(tmp_path, batch_rows=2, flush_seconds=1e9)
    recorder.log("consensus", **consensus(np.arange(5)))
    assert recorder.rows["consensus"] == 4
    assert [row["tick"] for row in stream_rows(tmp_path, "consensus")] == [0, 1, 2, 3]
    recorder.flush()
    assert recorder.rows["consensus"] == 5
    assert len(stream_rows(tmp_path, "consensus")) == 5
    recorder.abort()


def test_time_flushes_all_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At 3 s of age the agents are written although it is another table that is logged to."""
    clock = [0.0]
    monkeypatch.setattr("celluler_sim.recorder.time.monotonic", lambda: clock[0])
    recorder = Recorder(tmp_path, flush_seconds=3.0)
    recorder.log("agents", **agents(0, np.arange(4)))
    clock[0] = 2.9
    recorder.log("consensus", **consensus(0))
    assert recorder.rows["agents"] == recorder.rows["consensus"] == 0
    clock[0] = 3.0
    recorder.log("consensus", **consensus(1))
    assert (recorder.rows["agents"], recorder.rows["consensus"]) == (4, 2)
    clock[0] = 5.9
    recorder.log("consensus", **consensus(2))
    assert recorder.rows["consensus"] == 2
    recorder.abort()


def test_abort_leaves_the_streams_with_all_rows(tmp_path: Path) -> None:
    def interrupted() -> None:
        with recorder:
            recorder.log("consensus", **consensus(np.arange(5)))
            recorder.log("a table that is not there")

    recorder = Recorder(tmp_path)
    with pytest.raises(TypeError, match="no table"):
        interrupted()
    assert len(stream_rows(tmp_path, "consensus")) == 5
    assert not list(tmp_path.glob("*.parquet"))
    with pytest.raises(ValueError, match="recorder must be open"):
        recorder.log("consensus", **consensus(5))


KILLED = """
import itertools, sys
from pathlib import Path
from celluler_sim.recorder import Recorder
from tests.test_recorder import agents, transfers
recorder = Recorder(Path(sys.argv[1]), batch_rows=int(sys.argv[2]), flush_seconds=0.01)
for n in itertools.count():
    recorder.log("transfers", **transfers(n * 100, 100))
    if n % 7 == 0:
        recorder.log("agents", **agents(n, range(500)))
    print(recorder.rows["transfers"], recorder.rows["agents"], flush=True)
"""


@pytest.mark.parametrize("batch_rows", [37, 1000])
def test_kill_9_loses_nothing_acknowledged(tmp_path: Path, batch_rows: int) -> None:
    """The writer is killed in full flow; every row it had acknowledged is there, and no other than it logged."""
    writer = run_python(KILLED, str(tmp_path), str(batch_rows), cwd=Path(__file__).parents[1])
    assert writer.stdout is not None
    seen = [writer.stdout.readline() for _ in range(40)]
    os.kill(writer.pid, signal.SIGKILL)
    seen += writer.stdout.readlines()
    assert writer.wait() == -signal.SIGKILL
    n_transfers, n_agents = (int(text) for text in [line for line in seen if line.endswith("\n")][-1].split())
    rows = stream_rows(tmp_path, "transfers")
    assert len(rows) >= n_transfers > 0
    assert [row["transfer"] for row in rows] == list(range(len(rows)))
    assert rows[100]["source"] == transfers(100, 100)["source"][0]
    assert rows[100]["amount_prana"] == Decimal(transfers(100, 100)["amount_prana"].units[0]).scaleb(-18)
    assert len(stream_rows(tmp_path, "agents")) >= n_agents > 0


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_stream_cut_anywhere_gives_its_whole_batches(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    """Ten batches of 20 rows; whatever byte the file ends at, what is read is a whole number of leading batches."""
    folder = tmp_path_factory.mktemp("cut")
    recorder = Recorder(folder, batch_rows=20, flush_seconds=1e9)
    path = folder / "transfers.arrows"
    sizes = [path.stat().st_size]
    for n in range(10):
        recorder.log("transfers", **transfers(20 * n, 20))
        sizes.append(path.stat().st_size)
    recorder.abort()
    cut = data.draw(st.integers(sizes[0], path.stat().st_size))
    os.truncate(path, cut)
    rows = stream_rows(folder, "transfers")
    assert len(rows) == 20 * (np.searchsorted(sizes, cut, "right").clip(max=11) - 1)
    assert [row["transfer"] for row in rows] == list(range(len(rows)))


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from celluler_sim.errors import ResultsError
from celluler_sim.recorder import Recorder
from tests.test_recorder import transfers
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
recorder = Recorder(Path(sys.argv[1]), batch_rows=100, flush_seconds=1e9)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    for n in range(100):
        recorder.log("transfers", **transfers(n * 100, 100))
except ResultsError as error:
    print(recorder.rows["transfers"], error)
try:
    recorder.log("transfers", **transfers(0, 100))
except ValueError as error:
    print(error)
"""


def test_a_full_disk_is_one_error_and_keeps_what_was_written(tmp_path: Path) -> None:
    """A limit of 100 kB on the file stands for the full disk: the batch cut in two is the last."""
    writer = run_python(FULL_DISK, str(tmp_path), cwd=Path(__file__).parents[1])
    output, _ = writer.communicate()
    first, second = output.splitlines()
    acknowledged, message = first.split(" ", 1)
    assert message.startswith(f"results folder {tmp_path} must be a folder that can be written")
    assert "make room" in message
    assert "recorder must be open" in second
    assert 0 < int(acknowledged) == len(stream_rows(tmp_path, "transfers"))


def test_finish_refuses_to_lose_rows(tmp_path: Path) -> None:
    """A stream that somebody shortened is not turned into a Parquet file that looks complete."""
    recorder = Recorder(tmp_path, batch_rows=20, flush_seconds=1e9)
    recorder.log("transfers", **transfers(0, 60))
    recorder.abort()
    stream = tmp_path / "transfers.arrows"
    os.truncate(stream, stream.stat().st_size - 600)
    with pytest.raises(ResultsError, match="must hold the 60 rows logged, got 40"):
        recorder.finish()
    assert stream.exists()
    assert not list(tmp_path.glob("transfers.parquet*"))


def test_a_folder_that_cannot_be_is_refused_with_nothing_left(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(ResultsError, match="must be a folder that can be written"):
        Recorder(file / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    Recorder(tmp_path / "run").finish()
    before = sorted((tmp_path / "run").iterdir())
    with pytest.raises(ResultsError, match=r"must not hold a run, got \w+\.parquet"):
        Recorder(tmp_path / "run")
    assert sorted((tmp_path / "run").iterdir()) == before


def test_streams_opened_before_one_fails_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last table's stream would be in a folder that is not there: the others go away again, and their folder."""
    monkeypatch.setitem(TABLES, "no/such", TABLES["agents"])
    with pytest.raises(ResultsError, match="must be a folder that can be written"):
        Recorder(tmp_path / "new" / "run")
    assert list(tmp_path.iterdir()) == []


def test_finished_twice_is_finished_once(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.log("consensus", **consensus(np.arange(5)))
    recorder.finish()
    recorder.finish()
    assert pq.read_table(tmp_path / "consensus.parquet").num_rows == 5
    with pytest.raises(ValueError, match="read them with load_run"):
        recorder.arrow("consensus")


def test_more_rows_than_a_batch_in_one_call() -> None:
    """2,500 rows through buffers of 1,000: two batches and a rest."""
    recorder = Recorder(None, batch_rows=1000)
    recorder.log("transfers", **transfers(0, 2500))
    assert recorder.rows["transfers"] == 2000
    table = recorder.arrow("transfers")
    assert table["source"].to_pylist() == transfers(0, 2500)["source"].tolist()
    assert recorder.logged("transfers") == 2500
    with pytest.raises(ValueError, match="batch_rows must be >= 1, got 0"):
        Recorder(None, batch_rows=0)
