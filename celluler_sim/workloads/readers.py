"""Loaders of the published traces: each takes a file, plain or gzipped, or its folder, and gives a checked table.

Columns keep the publisher's names and units; the docstrings say what they are and whose work they are. Whatever is
wrong with a file is one `TraceError` that names file, line (the header is line 1) and column.
"""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from celluler_sim.errors import TraceError
from celluler_sim.workloads.csvfile import Column, Layout, Rule, at_least, read_table

if TYPE_CHECKING:
    import pandas as pd

_COUNT = 1e9  # more tokens, cores, listings than this in one cell is damage
_SECONDS = 1e11  # 3,000 years

NODES = Layout(
    trace="the node list of gpu_cluster_2023",
    files=("nodes.csv", "openb_node_list_all_node.csv"),
    columns=(
        Column("sn", "text", unique=True),
        Column("cpu_milli", "int", 1, _COUNT),
        Column("memory_mib", "int", 1, _COUNT),
        Column("gpu", "int", 0, 1024),
        Column("model", "text", empty=True),
    ),
    rules=(Rule("model", "filled where there are GPUs", lambda rows: (rows["gpu"] > 0) & (rows["model"] == "")),),
)

_POD_COLUMNS = (
    Column("name", "text", unique=True),
    Column("cpu_milli", "int", 0, _COUNT),
    Column("memory_mib", "int", 0, _COUNT),
    Column("num_gpu", "int", 0, 1024),
    Column("gpu_milli", "int", 0, 1000),
    Column("gpu_spec", "text", empty=True),
    Column("qos", "text", choices=("LS", "BE", "Burstable", "Guaranteed")),
    Column("pod_phase", "text", choices=("Running", "Failed", "Pending", "Succeeded", "Unknown")),
    Column("creation_time", "int", 0, _SECONDS),
    Column("deletion_time", "int", 0, _SECONDS),
    Column("scheduled_time", "int", 0, _SECONDS, empty=True),
)
_POD_RULES = (
    at_least("deletion_time", "creation_time"),
    at_least("scheduled_time", "creation_time"),
    at_least("deletion_time", "scheduled_time"),
    Rule("gpu_milli", "1000 where several GPUs are asked", lambda r: (r["num_gpu"] > 1) & (r["gpu_milli"] < 1000)),
)
PODS = Layout(
    trace="the pod list of gpu_cluster_2023",
    files=("pods.csv", "openb_pod_list_default.csv"),
    columns=_POD_COLUMNS,
    sorted_by="creation_time",
    rules=_POD_RULES,
)
PODS_GPUSPEC33 = Layout(
    trace="the pod list of gpu_cluster_2023 with GPU models",
    files=("pods_gpuspec33.csv", "openb_pod_list_gpuspec33.csv"),
    columns=_POD_COLUMNS,
    sorted_by="creation_time",
    rules=_POD_RULES,
)

LLM_REQUESTS = Layout(
    trace="llm_requests_2023",
    files=("AzureLLMInferenceTrace_conv.csv", "llm_requests.csv"),
    columns=(
        Column("TIMESTAMP", "time"),
        Column("ContextTokens", "int", 0, _COUNT),
        Column("GeneratedTokens", "int", 0, _COUNT),
    ),
    sorted_by="TIMESTAMP",
)

ClientModel = Literal["m-small", "deepseek-r1"]

_RATE_COLUMNS = (
    Column("client", "int", 0, _COUNT),
    Column("time_s", "int", 0, _SECONDS),
    Column("rate"),
    Column("cv"),
    Column("pattern", "text", choices=("Gamma", "Weibull"), empty=True),
    Column("pattern_arg1"),
    Column("pattern_arg2"),
)


def _rates(model: ClientModel) -> Layout:
    return Layout(
        trace=f"the client rates of {model} in llm_clients_2025",
        files=(f"{model}_client_rates.csv",),
        columns=_RATE_COLUMNS,
        group=("client",),
        sorted_by="time_s",
    )


_CHUNK = Layout(
    trace="one client's rates as published by ServeGen",
    files=(),
    columns=_RATE_COLUMNS[1:],
    sorted_by="time_s",
    header=False,
)


def _tokens(model: ClientModel, *, reasoning: bool) -> Layout:
    parts = ("mean", "p10", "p50", "p90", "p99")
    tokens = tuple(Column(f"{side}_tokens_{part}", high=_COUNT) for side in ("input", "output") for part in parts)
    ratios = tuple(Column(f"reason_ratio_{part}", high=1.0) for part in parts) if reasoning else ()
    return Layout(
        trace=f"the client tokens of {model} in llm_clients_2025",
        files=(f"{model}_client_tokens.csv",),
        columns=(
            Column("client", "int", 0, _COUNT),
            Column("window_start_s", "int", 0, _SECONDS),
            *tokens,
            *ratios,
        ),
        group=("client",),
        sorted_by="window_start_s",
    )


_OFFER = (Column("timestamp", "time"), Column("gpu_type", "text"), Column("socket_type", "text", empty=True))
_DOLLARS = 1e6  # a GPU-hour above this is damage


def _price(name: str) -> Column:
    return Column(name, "float", 0.0, _DOLLARS)


def _listings(name: str) -> Column:
    return Column(name, "int", 0, _COUNT)


_STEPS = ("price_min", "price_p10", "price_p25", "price_median", "price_p75", "price_p90", "price_max")
_MARKS = ("avail_available", "avail_low", "avail_medium", "avail_high")
PRICES = {
    "summary": Layout(
        trace="the price summary of gpu_market",
        files=("price_summary.csv",),
        columns=(
            *_OFFER,
            *(_price(name) for name in (*_STEPS, "price_mean")),
            *(_listings(name) for name in ("avail_total", *_MARKS)),
        ),
        group=("gpu_type", "socket_type"),
        sorted_by="timestamp",
        rules=(
            *(at_least(above, below) for below, above in pairwise(_STEPS)),
            Rule("avail_total", "the sum of the four marks", lambda r: r["avail_total"] != r[list(_MARKS)].sum(axis=1)),
        ),
    ),
    "by_provider": Layout(
        trace="the prices by provider of gpu_market",
        files=("price_by_provider.csv",),
        columns=(*_OFFER, Column("provider", "text"), _listings("count"), _price("min"), _price("avg")),
        group=("gpu_type", "socket_type"),
        sorted_by="timestamp",
        rules=(at_least("avg", "min"),),
    ),
    "by_config": Layout(
        trace="the prices by configuration of gpu_market",
        files=("price_by_config.csv",),
        columns=(
            *_OFFER,
            Column("config", "text"),
            _listings("count"),
            *(_price(name) for name in ("min_per_gpu", "avg_per_gpu", "min_total", "avg_total")),
            *(Column(f"best_deal_{part}", "text", empty=True) for part in ("provider", "location", "socket")),
            Column("best_deal_spot", "text", choices=("True", "False"), empty=True),
        ),
        group=("gpu_type", "socket_type"),
        sorted_by="timestamp",
        rules=(Rule("config", "a number of GPUs such as 8x", lambda r: ~r["config"].str.fullmatch(r"[0-9]+x")),),
    ),
}

_FLOPS = 1e20
_HARDWARE_NUMBERS = {
    "Release price (USD)": 1e8,
    "FP64 (double precision) performance (FLOP/s)": _FLOPS,
    "FP32 (single precision) performance (FLOP/s)": _FLOPS,
    "FP16 (half precision) performance (FLOP/s)": _FLOPS,
    "TF32 (TensorFloat-32) performance (FLOP/s)": _FLOPS,
    "Tensor-FP16/BF16 performance (FLOP/s)": _FLOPS,
    "INT16 performance (OP/s)": _FLOPS,
    "INT8 performance (OP/s)": _FLOPS,
    "INT4/FP4 performance (OP/s)": _FLOPS,
    "Memory size per board (Byte)": 1e15,
    "Memory bandwidth (byte/s)": 1e18,
    "Intranode bandwidth (byte/s)": 1e18,
    "Internode bandwidth (bit/s)": 1e18,
    "Die Size (mm^2)": 1e6,
    "TDP (W)": 1e6,
    "FP8 performance (FLOP/s)": _FLOPS,
    "FP4 performance (FLOP/s)": _FLOPS,
}
_HARDWARE_REST = (
    "Base clock (MHz)", "Boost clock (MHz)", "Memory clock (MHz)", "Memory bus (bit)", "Tensor cores",
    "Process size (nm)", "Foundry", "Transistors (millions)", "Link to datasheet", "Source for the price",
    "ML models", "Last modified", "Max performance", "Energy efficiency", "Total processing performance (bit-OP/s)",
    "Price-performance", "ML OP/s",
)  # fmt: skip
HARDWARE = Layout(
    trace="the accelerators of gpu_market",
    files=("ml_hardware.csv",),
    columns=(
        Column("Hardware name", "text", unique=True),
        *(Column(name, "text", empty=True) for name in ("Manufacturer", "Type", "Notes", "Release date")),
        *(Column(name, "float", 0.0, high, empty=True) for name, high in _HARDWARE_NUMBERS.items()),
        *(Column(name, "any") for name in _HARDWARE_REST),
    ),
)


def read_nodes(path: str | Path) -> pd.DataFrame:
    """Return the nodes of the GPU cluster trace by Weng et al. (2023), one per row.

    Columns: ``sn``, ``cpu_milli`` (1/1000 core), ``memory_mib``, ``gpu`` (count), ``model`` (empty: no GPU).
    """
    return read_table(path, NODES)


def read_pods(path: str | Path, *, gpuspec: bool = False) -> pd.DataFrame:
    """Return the tasks (pods) of the GPU cluster trace by Weng et al. (2023), one per row, by creation time.

    Times are in seconds from the start of the trace, ``scheduled_time`` is NaN where a pod never ran; ``gpu_milli`` is
    1/1000 of a GPU; ``gpu_spec`` lists the models that will do, separated by a bar (empty: any).

    Parameters
    ----------
    path
        The file, or a folder with it.
    gpuspec
        In a folder, take the variant in which the publisher filled ``gpu_spec`` for a third of the pods.
    """
    return read_table(path, PODS_GPUSPEC33 if gpuspec else PODS)


def read_llm_requests(path: str | Path) -> pd.DataFrame:
    """Return the requests to a chat service published with Splitwise (Patel et al. 2023), one per row, by time.

    Columns: ``TIMESTAMP`` (read as UTC), ``ContextTokens``, ``GeneratedTokens``.
    """
    return read_table(path, LLM_REQUESTS)


def read_llm_client_rates(path: str | Path, model: ClientModel = "m-small") -> pd.DataFrame:
    """Return each client's request rate and burstiness in windows of 10 minutes (ServeGen, Xiang et al. 2025).

    Columns: ``client``, ``time_s`` (start of the window), ``rate`` (requests/s), ``cv`` of the times between
    requests, ``pattern`` (Gamma, Weibull or empty) with its shape and scale. A folder may also hold the publisher's
    own files, ``chunk-N-trace.csv`` of client N without a header.
    """
    folder = Path(path).expanduser()
    chunks = {int(m[1]): f for f in _files(folder) if (m := re.fullmatch(r"chunk-(\d+)-trace\.csv(\.gz)?", f.name))}
    if not chunks:
        return read_table(path, _rates(model))
    import pandas as pd

    parts = [read_table(chunks[client], _CHUNK).assign(client=client) for client in sorted(chunks)]
    return pd.concat(parts, ignore_index=True)[[c.name for c in _RATE_COLUMNS]]


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir()) if folder.is_dir() else []
    except OSError as error:
        raise TraceError(f"{folder} must be readable, got {error.strerror or error}: check the path") from None


def read_llm_client_tokens(path: str | Path, model: ClientModel = "m-small") -> pd.DataFrame:
    """Return mean and quantiles of each client's tokens in windows of 6 hours (from ServeGen, Xiang et al. 2025).

    Columns: ``client``, ``window_start_s``, ``input_tokens_*``, ``output_tokens_*`` and, for a reasoning model,
    ``reason_ratio_*``, with mean, p10, p50, p90 and p99 in place of the star.
    """
    return read_table(path, _tokens(model, reasoning=False), _tokens(model, reasoning=True))


def read_gpu_prices(
    path: str | Path, table: Literal["summary", "by_provider", "by_config"] = "summary"
) -> pd.DataFrame:
    """Return what a marketplace of GPU clouds asked, reading by reading (gpu-price-tracker by Mazurek, 2025).

    Prices are US dollars a GPU-hour, the totals of ``by_config`` dollars an hour; ``timestamp`` is UTC and sorted
    within each GPU type and socket; counts are listings, not GPUs.
    """
    return read_table(path, PRICES[table])


def read_hardware(path: str | Path) -> pd.DataFrame:
    """Return data sheets of accelerators (Epoch AI, Data on Machine Learning Hardware, 2024), one per row.

    Columns hold their units in their names; an unknown figure is NaN.
    """
    return read_table(path, HARDWARE)
