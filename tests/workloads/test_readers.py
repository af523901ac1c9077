"""Every loader reads the published file, plain and gzipped, and refuses a damaged one by file, line and column."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from celluler_sim.errors import TraceError
from celluler_sim.workloads import csvfile, readers
from tests.shared_data import shared
from tests.workloads.small_traces import NODES, PODS, PROVIDERS, RATES, REQUESTS, TOKENS, write

LOADERS = {
    "nodes": (readers.read_nodes, NODES),
    "pods": (readers.read_pods, PODS),
    "AzureLLMInferenceTrace_conv": (readers.read_llm_requests, REQUESTS),
    "m-small_client_rates": (readers.read_llm_client_rates, RATES),
    "m-small_client_tokens": (readers.read_llm_client_tokens, TOKENS),
    "price_by_provider": (lambda path: readers.read_gpu_prices(path, "by_provider"), PROVIDERS),
}
each_loader = pytest.mark.parametrize(("name", "read", "text"), [(k, *v) for k, v in LOADERS.items()])


def file_of(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / f"{name}.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@each_loader
def test_plain_gzipped_and_folder_are_the_same_table(tmp_path, name, read, text):
    """The same rows come from the file, from the gzipped file and from the folder that holds either."""
    plain = file_of(tmp_path, name, text)
    table = read(plain)
    assert table.equals(read(tmp_path))
    plain.unlink()
    zipped = tmp_path / f"{name}.csv.gz"
    zipped.write_bytes(gzip.compress(text.encode()))
    assert table.equals(read(zipped))
    assert table.equals(read(tmp_path))
    assert len(table) == text.count("\n") - 1


@each_loader
def test_line_ends_byte_order_mark_and_column_order_do_not_matter(tmp_path, name, read, text):
    """Windows line ends and a byte order mark change nothing; nor does a file without its last line end."""
    table = read(file_of(tmp_path, name, text))
    assert table.equals(read(file_of(tmp_path, name, text.replace("\n", "\r\n"))))
    assert table.equals(read(file_of(tmp_path, name, b"\xef\xbb\xbf" + text.encode())))
    assert table.equals(read(file_of(tmp_path, name, text.rstrip("\n"))))


def test_columns_may_come_in_another_order(tmp_path):
    """Columns are found by name, and returned in the publisher's order."""
    swapped = "\n".join(",".join(line.split(",")[::-1]) for line in REQUESTS.strip().split("\n"))
    usual = readers.read_llm_requests(file_of(tmp_path, "a", REQUESTS))
    assert usual.equals(readers.read_llm_requests(file_of(tmp_path, "b", swapped)))


def test_values_by_hand(tmp_path):
    """Pod 3 never ran; pod 1 asked 8 cores; the second request came 2 s after the first; a comma may be quoted."""
    pods = readers.read_pods(file_of(tmp_path, "pods", PODS))
    assert np.isnan(pods["scheduled_time"][3])
    assert pods["cpu_milli"][1] == 8000
    assert pods["gpu_spec"].tolist() == ["", "", "", "T4", "G2|T4"]
    requests = readers.read_llm_requests(file_of(tmp_path, "r", REQUESTS))
    assert (requests["TIMESTAMP"][1] - requests["TIMESTAMP"][0]).total_seconds() == 2.0
    prices = readers.read_gpu_prices(file_of(tmp_path, "p", PROVIDERS), "by_provider")
    assert prices["provider"][2] == "cloud, inc"


def refused(read, path: Path) -> str:
    """Return the one-line message with which a file is refused."""
    with pytest.raises(TraceError) as caught:
        read(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


def attempt(read, path: Path):
    """Return the table and nothing, or nothing and the message; any other exception gets out."""
    try:
        return read(path), ""
    except TraceError as error:
        return None, str(error)


@each_loader
def test_every_cut_of_a_file_is_refused_or_whole_rows(tmp_path, name, read, text):
    """Cut anywhere, a plain file is refused with a line number, unless what is left is whole rows or cells."""
    full = read(file_of(tmp_path, name, text))
    for end in range(len(text) - 1):
        table, message = attempt(read, file_of(tmp_path, name, text[:end]))
        if table is None:
            assert re.search(r"line \d+", message), message
        else:
            assert len(table) == text[:end].rstrip("\n").count("\n")
            assert table[:-1].equals(full[: len(table) - 1])


@each_loader
def test_every_cut_of_a_gzipped_file_is_refused(tmp_path, name, read, text):
    """A gzipped file cut short anywhere is refused, naming the file."""
    zipped = gzip.compress(text.encode())
    path = tmp_path / f"{name}.csv.gz"
    for end in range(len(zipped) - 1):
        path.write_bytes(zipped[:end])
        message = refused(read, path)
        assert path.name in message
        assert "line" in message


@settings(max_examples=60, deadline=None)
@given(at=st.integers(0, 400), byte=st.integers(0, 255))
def test_one_flipped_byte_never_escapes_as_another_error(tmp_path_factory, at, byte):
    """Whatever one byte becomes, a file is read or refused with a `TraceError`: no other exception gets out."""
    for name, (read, text) in LOADERS.items():
        raw = bytearray(text.encode())
        raw[at % len(raw)] = byte
        _, message = attempt(read, file_of(tmp_path_factory.getbasetemp(), name, bytes(raw)))
        assert "\n" not in message


@pytest.mark.parametrize(
    ("old", "new", "line", "column"),
    [
        ("8000,8192,2", "8000,many,2", 3, "memory_mib"),
        ("8000,8192,2", "-1,8192,2", 3, "cpu_milli"),
        ("8000,8192,2", "8000,8192,2.5", 3, "num_gpu"),
        ("8000,8192,2", "8000,nan,2", 3, "memory_mib"),
        ("8000,8192,2", "99999999999999999999,8192,2", 3, "cpu_milli"),
        ("8000,8192,2", "8000,,2", 3, "memory_mib"),
        ("pod-3,", "pod-0,", 5, "name"),
        ("pod-3,", ",", 5, "name"),
        ("LS,Failed", "XX,Failed", 4, "qos"),
        ("90000,90300", "1,90300", 4, "creation_time"),
        ("110000,110400", "110000,109999", 6, "deletion_time"),
        ("100000,100060", "100000,99999", 5, "deletion_time"),
        ("86520,86420", "86520,86399", 3, "scheduled_time"),
        ("86520,86420", "86520,x", 3, "scheduled_time"),
        ("2,1000", "2,500", 3, "gpu_milli"),
        ("1,500", "1,1500", 2, "gpu_milli"),
        ("pod-4,4000,", "pod-4,4000,7,", 6, ""),
        ("pod-4,4000,", "pod-4,", 6, ""),
        ("pod-4,4000,", "\npod-4,4000,", 6, ""),
        ("pod-4,", "pod-\0,", 6, ""),
        ("pod-4,", "pod\r-4,", 6, ""),
    ],
)
def test_a_bad_cell_is_named_by_line_and_column(tmp_path, old, new, line, column):
    """Each way in which a pod can be wrong is refused where it is."""
    assert old in PODS
    message = refused(readers.read_pods, file_of(tmp_path, "pods", PODS.replace(old, new, 1)))
    assert f"pods.csv: line {line}" in message
    assert (f"column {column}:" in message) if column else ("column" not in message)


def test_line_numbers_count_quoted_line_breaks(tmp_path):
    """A cell over two lines moves every later row by one line."""
    broken = PROVIDERS.replace("runpod,3", '"run\npod",3').replace('"cloud, inc",1,2,2', '"cloud, inc",1,2,1')
    message = refused(LOADERS["price_by_provider"][0], file_of(tmp_path, "p", broken))
    assert "line 5, column avg: must be at least min" in message


def test_a_quote_that_is_never_closed_is_refused(tmp_path):
    """However long the rest of the file is."""
    endless = PROVIDERS + '2025-11-19T21:01:58+00:00,"' + "x" * 200_000
    message = refused(LOADERS["price_by_provider"][0], file_of(tmp_path, "p", endless))
    assert "p.csv: line 5" in message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "line 1: must have a header"),
        ("\n\n", "line 1: must have a header"),
        (PODS.split("\n")[0] + "\n", "line 2: must be at least one row"),
        (NODES, "line 1: column name of the pod list"),
        (PODS.replace("qos,", "quality,", 1), "column qos"),
        (PODS.replace("name,", "name,name,", 1), "must have no column 'name'"),
        (b"name,\xff\xfe", "line 1"),
        (PODS.encode().replace(b"pod-2", b"pod-\xff"), "line 4: must be UTF-8 text"),
    ],
)
def test_another_kind_of_file_is_refused(tmp_path, text, says):
    """An empty file, a header alone, another trace, a column missing or twice, and bytes that are no text."""
    assert says in refused(readers.read_pods, file_of(tmp_path, "pods", text))


def test_missing_files_are_refused_with_what_to_do(tmp_path):
    """A path that does not exist, and a folder without the file, say which file is wanted."""
    assert "does not exist" in refused(readers.read_pods, tmp_path / "nowhere")
    message = refused(readers.read_pods, tmp_path)
    assert "pods.csv" in message
    assert "openb_pod_list_default.csv" in message


def test_gz_that_is_not_gzipped_is_refused(tmp_path):
    """A name that ends in .gz promises gzip."""
    path = tmp_path / "pods.csv.gz"
    path.write_text(PODS)
    assert "must be gzipped" in refused(readers.read_pods, path)


def test_a_file_that_unpacks_without_end_is_refused(tmp_path, monkeypatch):
    """Above the limit reading stops: 4 MB of zeros in 4 kB are refused at a limit of 1 MB, and read without."""
    path = tmp_path / "pods.csv.gz"
    path.write_bytes(gzip.compress(PODS.encode() + b"\n" * 2**22))
    assert len(readers.read_pods(path)) == 5
    monkeypatch.setattr(csvfile, "SIZE_LIMIT", 2**20)
    assert "must unpack to at most 1048576 bytes" in refused(readers.read_pods, path)


def test_a_folder_of_the_publishers_own_client_files(tmp_path):
    """Without a header, one file a client: the same table as the joined one."""
    for client in (0, 3):
        rows = [line.partition(",")[2] for line in RATES.strip().split("\n")[1:] if line.startswith(f"{client},")]
        (tmp_path / f"chunk-{client}-trace.csv").write_text("\n".join(rows) + "\n")
    joined = readers.read_llm_client_rates(file_of(tmp_path, "joined", RATES))
    assert readers.read_llm_client_rates(tmp_path).equals(joined)
    (tmp_path / "chunk-3-trace.csv").write_text("0,0,0,,0,0\n600,-1,1.5,Weibull,0.7,1\n")
    assert "chunk-3-trace.csv: line 2, column rate" in refused(readers.read_llm_client_rates, tmp_path)


def test_out_of_order_requests_are_refused(tmp_path):
    """A request before the one above it, and a time that is none."""
    swapped = write(tmp_path, requests=REQUESTS.replace("18:15:56", "18:15:47")) / "requests.csv"
    assert "line 5, column TIMESTAMP: must be sorted" in refused(readers.read_llm_requests, swapped)
    other = write(tmp_path, requests=REQUESTS.replace("2023-11-16 18:15:56", "2023-13-16 18:15:56"))
    assert "line 5, column TIMESTAMP: must be a date" in refused(readers.read_llm_requests, other / "requests.csv")
    other = write(tmp_path, requests=REQUESTS.replace("2023-11-16 18:15:56", "7023-11-16 18:15:56"))
    assert "line 5, column TIMESTAMP: must be a date" in refused(readers.read_llm_requests, other / "requests.csv")


@pytest.mark.parametrize(
    ("path", "read", "rows"),
    [
        ("gpu_cluster_2023", readers.read_nodes, 1523),
        ("gpu_cluster_2023", readers.read_pods, 8152),
        ("gpu_cluster_2023", lambda path: readers.read_pods(path, gpuspec=True), 8152),
        ("llm_requests_2023", readers.read_llm_requests, 19366),
        ("llm_clients_2025", readers.read_llm_client_rates, 86688),
        ("llm_clients_2025", lambda path: readers.read_llm_client_rates(path, "deepseek-r1"), 10512),
        ("llm_clients_2025", readers.read_llm_client_tokens, 1125),
        ("llm_clients_2025", lambda path: readers.read_llm_client_tokens(path, "deepseek-r1"), 184),
        ("gpu_market", readers.read_gpu_prices, 6494),
        ("gpu_market", lambda path: readers.read_gpu_prices(path, "by_provider"), 25956),
        ("gpu_market", lambda path: readers.read_gpu_prices(path, "by_config"), 49277),
        ("gpu_market", readers.read_hardware, 169),
    ],
)
def test_the_published_files_are_read_whole(path, read, rows):
    """Every trace is read, with as many rows as its publisher states."""
    assert len(read(shared(f"data/{path}"))) == rows
