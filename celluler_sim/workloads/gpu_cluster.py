"""Replay of a production GPU cluster: providers are its nodes, jobs its tasks (pods)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from celluler_sim.book import ANY_KIND, Floats, Masks
from celluler_sim.errors import ScenarioError, TraceError, require
from celluler_sim.mechanisms.base import register
from celluler_sim.streams import Draws, Streams
from celluler_sim.workloads.base import Jobs, Machines
from celluler_sim.workloads.cluster import (
    Nodes,
    Pods,
    cluster_jobs,
    cluster_nodes,
    nodes_from,
    patience_beyond,
    pods_from,
    trace_facts,
)
from celluler_sim.workloads.hardware import HARDWARE, hardware
from celluler_sim.workloads.replay import (
    SOURCES,
    between,
    data_folder,
    one_of,
    spread_over,
    told_apart,
)

DAY = 86400.0
_NO_GPU = "CPU"


def _known(file: Path, column: str, cells: npt.NDArray[np.str_], models: set[str]) -> None:
    """Raise `TraceError` for the first cell with a GPU model whose FLOP/s nobody has stated."""
    for model in sorted(models - set(HARDWARE) - {""}):
        line = 2 + int(np.argmax([model in cell.split("|") for cell in cells]))
        raise TraceError(
            f"{file}: line {line}, column {column}: must be one of {', '.join(HARDWARE)}, got {str(model)!r}"
        )


def _replay_facts(nodes: Nodes, taken: Nodes, jobs: Jobs, carried: int) -> dict[str, float]:
    """Return what a replay on the nodes taken made of the trace."""
    return {
        "nodes": float(len(nodes)),
        "gpus": float(nodes.gpus.sum()),
        "replayed_nodes": float(len(taken)),
        "replayed_gpus": float(taken.gpus.sum()),
        "replayed_pods": float(len(jobs)),
        "replayed_carried_over": float(carried),
        "replayed_work": float(jobs.work.sum()),
    }


@dataclass(frozen=True)
class _Prepared:
    """What `GpuCluster.prepare` has read and worked out."""

    jobs: Jobs
    machines: Machines
    seconds: float  # s, from the first arrival's window to the last job's end of arrival
    facts: Mapping[str, float]


@register("workload", "gpu_cluster")
@dataclass(frozen=True, kw_only=True)
class GpuCluster:
    """Providers and jobs of a real GPU cluster: nodes and pods of the trace by Weng et al. (2023).

    Capacity is in FLOP/s: a node has its GPUs' and its cores' FLOP/s, a pod asks for its GPUs (or its part of one) at
    the FLOP/s of the ``reference`` model, or of the slowest model it accepts where it names some, and for its cores'
    FLOP/s; so a pod without a GPU asks for its cores alone. Cores and GiB of memory are resources beside it.

    A pod's work is its amount times its run time. A pod that never ran is given the median run time; it gave up when it
    was deleted. Of the others the trace shows only that their patience was at least their wait: it is drawn from the
    law of patience fitted to the trace, above that wait. Values are left to the consumers, which the trace does not
    name: pods are spread over ``consumers`` of them by hash.
    """

    path: str | None = None  # folder with the nodes' and the pods' file, or the pods' file with the nodes' beside it
    source: Literal["trace", "fitted"] = "trace"  # fitted: generated from laws fitted to the trace, no file needed
    gpuspec: bool = False  # take the publisher's variant in which a third of the pods name GPU models
    whole: bool = False  # replay all 149 days; 99.7 % of the pods arrive in the last 34
    last_days: float = 30.0  # days before the last arrival to replay, unless `whole`
    carry_over: bool = True  # start with the pods that were running then, unless `whole`
    node_scale: float = 0.008  # share of the nodes of every model: all of them stand idle under this sample of pods
    cpu_nodes: bool = True  # whether nodes without a GPU take part
    arrival_scale: float = 1.0  # gaps between arrivals are divided by it; run times stay
    time_scale: float = 1.0  # every time is divided by it: 60 replays an hour in a minute
    reference: str = "G2"  # GPU model whose FLOP/s a pod asks for that names none
    consumers: int = 100  # that the pods are spread over
    patience: Literal["trace", "unlimited"] = "trace"  # unlimited: nobody gives up

    _state: ClassVar[_Prepared | None] = None  # set on the instance by `prepare`

    def __post_init__(self) -> None:
        """Check ranges."""
        one_of("source", self.source, SOURCES)
        one_of("patience", self.patience, ("trace", "unlimited"))
        one_of("reference", self.reference, tuple(HARDWARE))
        require("workload.last_days", self.last_days, above=0, at_most=3650, unit="days")
        require("workload.node_scale", self.node_scale, above=0, at_most=1)
        require("workload.arrival_scale", self.arrival_scale, above=0)
        require("workload.time_scale", self.time_scale, above=0)
        require("workload.consumers", self.consumers, at_least=1)

    @property
    def resources(self) -> tuple[str, ...]:
        """Names of the resources beside the priced capacity."""
        return ("cores", "memory_gib")

    def prepare(self, streams: Streams, unit_size: float) -> None:
        """Read or generate nodes and pods; raises `TraceError` where a file is missing, wrong or damaged."""
        nodes, pods = self._load(streams)
        begin = 0.0 if self.whole or self.source == "fitted" else pods.created.max() - self.last_days * DAY
        begin = max(begin, 0.0)
        chosen = pods.since(begin, carry_over=self.carry_over and not self.whole)
        taken = nodes.take(np.flatnonzero((nodes.gpus > 0) | self.cpu_nodes)).sample(self.node_scale)
        machines = self._machines(taken, unit_size)
        jobs = self._jobs(chosen, machines.hardware, streams.draws("workload.patience"), unit_size)
        last = self.last_days * DAY if self.source == "fitted" else pods.created.max() - begin
        carried = len(chosen) - int(np.sum(pods.created >= begin))
        facts = {**trace_facts(pods, begin), **_replay_facts(nodes, taken, jobs, carried)}
        facts["utilisation"] = facts["gpus_in_use_mean"] / float(taken.gpus.sum())
        seconds = float(last) / self.arrival_scale / self.time_scale
        object.__setattr__(self, "_state", _Prepared(jobs, machines, np.nextafter(seconds, np.inf), facts))

    def _load(self, streams: Streams) -> tuple[Nodes, Pods]:
        if self.source == "fitted":
            return cluster_nodes(), cluster_jobs(streams.at("workload.fitted"), self.last_days * DAY)
        from celluler_sim.workloads.csvfile import locate
        from celluler_sim.workloads.readers import NODES, PODS, PODS_GPUSPEC33, read_nodes, read_pods

        place = data_folder(self.path, "gpu_cluster_2023")
        pods_file = locate(place, PODS_GPUSPEC33 if self.gpuspec else PODS)
        nodes_file = locate(pods_file.parent, NODES)
        nodes, pods = nodes_from(read_nodes(nodes_file)), pods_from(read_pods(pods_file))
        _known(nodes_file, "model", nodes.model, set(nodes.model))
        _known(pods_file, "gpu_spec", pods.spec, {model for spec in np.unique(pods.spec) for model in spec.split("|")})
        return nodes, pods

    def _machines(self, nodes: Nodes, unit_size: float) -> Machines:
        names = (*sorted(set(np.unique(nodes.model)) - {""}), _NO_GPU)
        model = np.where(nodes.model == "", _NO_GPU, nodes.model)
        kind = np.searchsorted(np.array(names[:-1]), model)
        kind[nodes.model == ""] = len(names) - 1
        flops = np.array([hardware(str(m)).flops for m in model]) * nodes.gpus
        capacity = (flops + hardware(_NO_GPU).flops * nodes.cores) / unit_size
        supply = np.column_stack([nodes.cores, nodes.memory])
        return Machines(capacity, tuple(str(n) for n in names), kind.astype(np.int64), supply)

    def _jobs(self, pods: Pods, names: tuple[str, ...], draws: Draws, unit_size: float) -> Jobs:
        """Return all jobs of the replay, by time of birth."""
        kinds, flops = self._kinds(pods, names)
        amount = (pods.gpus * flops + pods.cores * hardware(_NO_GPU).flops) / unit_size
        run = np.where(np.isnan(pods.run), np.nanmedian(pods.run), pods.run)
        patience = np.where(pods.served, patience_beyond(pods.wait, draws.uniform(pods.number)), pods.wait)
        if self.patience == "unlimited":
            patience = np.full(len(pods), np.inf)
        consumer = spread_over(pods.number, self.consumers)
        return Jobs(
            consumer=consumer,
            born=told_apart(pods.created / self.arrival_scale / self.time_scale, consumer),
            amount=amount,
            work=amount * np.maximum(run, 1.0) / self.time_scale,
            patience=patience / self.time_scale,
            value=np.full(len(pods), np.nan),
            kinds=kinds,
            demand=np.column_stack([pods.cores, pods.memory]),
        )

    def _kinds(self, pods: Pods, names: tuple[str, ...]) -> tuple[Masks, Floats]:
        """Return which hardware each pod accepts, and the FLOP/s a GPU it asks for stands for, both (n,)."""
        bit = {name: np.uint64(1 << k) for k, name in enumerate(names)}
        gpus = np.bitwise_or.reduce([bit[name] for name in names if name != _NO_GPU])
        mask = np.where(pods.gpus > 0, gpus, ANY_KIND)
        flops = np.full(len(pods), hardware(self.reference).flops)
        for spec in set(np.unique(pods.spec)) - {""}:
            models = sorted(set(spec.split("|")))
            rows = pods.spec == spec
            mask[rows] = np.bitwise_or.reduce([bit.get(m, np.uint64(0)) for m in models])
            flops[rows] = min(hardware(m).flops for m in models)
        return mask, flops

    def machines(self) -> Machines | None:
        """Return the nodes as providers."""
        return self._ready().machines

    def n_consumers(self) -> int | None:
        """Return how many consumers the pods are spread over."""
        return self.consumers

    def duration(self) -> float | None:
        """Return the seconds over which jobs are born."""
        return self._ready().seconds

    def arrivals(self, streams: Streams, tick: int, start: float, end: float, rate: Floats) -> Jobs:  # noqa: ARG002
        """Return the jobs born in [start, end)."""
        return between(self._ready().jobs, start, end)

    def facts(self) -> Mapping[str, float]:
        """Return the trace's own figures over the days replayed, and what the replay made of it.

        ``utilisation`` is the mean of the GPUs that the pods held at their own times over the GPUs replayed.
        """
        return self._ready().facts

    def _ready(self) -> _Prepared:
        if self._state is None:
            raise ScenarioError("workload gpu_cluster must be prepared before it is used: call prepare first")
        return self._state
