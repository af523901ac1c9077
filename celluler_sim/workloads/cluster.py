"""The tasks and nodes of a GPU cluster: taken from the trace, or generated from laws fitted to it.

The laws were fitted to the last 30 days of the trace of Weng et al. (2023), in which 99.7 % of its pods arrive within
34 of 149 days. They reproduce: 10.2 arrivals an hour with the hours of the day, coefficient of variation 1.64 of the
times between arrivals, variance over mean of counts per minute to 6 hours, the classes of GPUs asked, cores
and memory, quantiles of run time, and the patience that the never-served pods reveal.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Floats, Frozen, Slots
from celluler_sim.workloads.fitted import BurstyArrivals, Quantiles
from celluler_sim.workloads.profiles import hour_of_day_profile
from celluler_sim.workloads.replay import arrival_figures, figures

if TYPE_CHECKING:
    import pandas as pd

MIB_PER_GIB = 1024.0

ARRIVALS: Final = BurstyArrivals(
    per_second=10.2 / 3600, wander=((0.21, 100_000.0), (0.11, 5_400.0)), single=0.84, spread=20.0, step=60.0
)
"""Fitted to the variance over mean of counts per 1, 5, 10, 30, 60, 180, 360 and 1,440 minutes beside the hours."""

RUN_TIME: Final = Quantiles(
    (0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 1),
    (4, 22, 50, 71, 172, 626, 2_171, 7_177, 16_061, 35_819, 69_740, 139_933, 521_225, 979_590, 2_281_963),
)
"""Seconds, of the 6,533 pods scheduled in the last 30 days."""

PATIENCE: Final = Quantiles(
    (0, 0.011, 0.020, 0.052, 0.104, 0.2, 0.303, 0.402, 0.501, 0.601, 0.7, 0.808, 1),
    (1, 6, 18, 39, 56, 91, 127, 185, 316, 601, 1_287, 3_244, 86_400),
)
"""Seconds until a waiting pod gives up: the product-limit estimate (Kaplan and Meier, 1958) over the last 30 days.

A served pod shows only that its patience was at least its wait. Beyond 3,244 s, 13 pods still waited; the law is closed
at one day, an assumption.
"""

_SHAPES: Final = {  # (cores, MiB) asked for, a GPU where GPUs are asked, and how many pods of the last 30 days
    "none": (
        (12.5, 57344, 331), (32, 49152, 284), (8, 30517, 154), (15.4, 51200, 114), (16.5, 51200, 88), (8, 15625, 11),
    ),
    "part": (
        (3.152, 5600, 1079), (11.908, 47104, 589), (8, 30517, 417), (4, 22888, 183), (4, 15258, 160),
        (4.152, 10600, 128), (4, 30517, 93), (6, 6144, 39), (6, 22888, 25),
    ),
    "whole": (
        (11.3, 49152, 857), (11.4, 48128, 495), (3.152, 5600, 276), (18.708, 64512, 220), (9.81, 41560, 178),
        (15.7, 58368, 152), (11.908, 47104, 147), (12, 24576, 139), (4, 24576, 94), (14.2, 58368, 93),
        (16, 32768, 81), (8, 16384, 81),
    ),
}  # fmt: skip
_CLASSES: Final = {"none": 0.1395, "part": 0.3811, "whole": 0.4794}
_PART: Final = (  # 1/1000 of a GPU, pods
    (810, 1028), (470, 678), (320, 303), (650, 247), (460, 101), (230, 93), (590, 70), (160, 66), (550, 61),
    (220, 49), (370, 47), (110, 20), (480, 17), (330, 7), (50, 6),
)  # fmt: skip
_WHOLE: Final = ((1, 3456), (2, 15), (4, 15), (8, 40))  # GPUs, pods

NODE_SHAPES: Final = (  # model, GPUs, cores, GiB, nodes: the whole node list of the trace
    ("A10", 1, 128, 1024, 2), ("G2", 8, 96, 384, 549), ("G3", 8, 128, 768, 39), ("P100", 1, 8, 60, 3),
    ("P100", 2, 8, 60, 2), ("P100", 2, 16, 120, 107), ("P100", 2, 64, 256, 22), ("T4", 2, 104, 512, 387),
    ("T4", 4, 96, 384, 17), ("V100M16", 1, 8, 32, 19), ("V100M16", 4, 32, 128, 28), ("V100M16", 8, 64, 256, 7),
    ("V100M16", 8, 82, 336, 1), ("V100M32", 4, 48, 368, 9), ("V100M32", 8, 96, 768, 21), ("", 0, 32, 64, 10),
    ("", 0, 32, 128, 23), ("", 0, 32, 256, 129), ("", 0, 64, 128, 4), ("", 0, 64, 256, 8), ("", 0, 64, 512, 22),
    ("", 0, 96, 384, 30), ("", 0, 96, 512, 59), ("", 0, 96, 768, 1), ("", 0, 104, 192, 1), ("", 0, 104, 512, 20),
    ("", 0, 104, 768, 3),
)  # fmt: skip


@dataclass(frozen=True)
class Nodes(Frozen):
    """The machines of a cluster, one per row."""

    model: npt.NDArray[np.str_]  # (n,) GPU model, empty: no GPU
    gpus: Floats  #   (n,)
    cores: Floats  #  (n,)
    memory: Floats  # (n,) GiB

    def __len__(self) -> int:
        """Return the number of nodes."""
        return len(self.gpus)

    def take(self, rows: Slots) -> Nodes:
        """Return some of the nodes."""
        return Nodes(self.model[rows], self.gpus[rows], self.cores[rows], self.memory[rows])

    def sample(self, share: float) -> Nodes:
        """Return a share of the nodes of every model, at least one of each, evenly spaced through the list.

        Within a model the list is sorted by GPUs and cores, so large and small nodes keep their proportion.
        """
        order = np.lexsort((self.cores, self.gpus, self.model))
        rows = []
        for model in np.unique(self.model):
            of_model = order[self.model[order] == model]
            n = max(1, round(len(of_model) * share))
            rows.append(of_model[((np.arange(n) + 0.5) * len(of_model) / n).astype(np.int64)])
        return self.take(np.sort(np.concatenate(rows)))


@dataclass(frozen=True)
class Pods(Frozen):
    """The tasks of a cluster, one per row, by time of creation."""

    created: Floats  #   (n,) s
    wait: Floats  #      (n,) s until it was scheduled, or until it gave up (NaN: not known)
    served: npt.NDArray[np.bool_]  # (n,) whether it was ever scheduled
    run: Floats  #       (n,) s (NaN: never ran)
    gpus: Floats  #      (n,) GPUs asked; below 1: part of one
    cores: Floats  #     (n,)
    memory: Floats  #    (n,) GiB
    spec: npt.NDArray[np.str_]  # (n,) GPU models that will do, separated by a bar; empty: any
    number: Slots  #     (n,) row in the file

    def __len__(self) -> int:
        """Return the number of pods."""
        return len(self.created)

    def take(self, rows: npt.NDArray[np.bool_]) -> Pods:
        """Return the pods that are marked."""
        return Pods(**{name: getattr(self, name)[rows] for name in self.__dataclass_fields__})

    def since(self, moment: float, *, carry_over: bool = False) -> Pods:
        """Return the pods created at ``moment`` or later, with times counted from it.

        With ``carry_over`` those already running then come too, as created at 0 with what is left of their run.
        """
        left = self.created + self.wait + self.run - moment
        kept = self.take((self.created >= moment) | ((left > 0) & self.served & carry_over))
        old = kept.created < moment
        run = np.where(old, kept.created + kept.wait + kept.run - moment, kept.run)
        wait = np.where(old, 0.0, kept.wait)
        return replace(kept, created=np.maximum(kept.created - moment, 0.0), run=run, wait=wait)


def nodes_from(frame: pd.DataFrame) -> Nodes:
    """Return the nodes of a table read by `read_nodes`."""
    return Nodes(
        model=frame["model"].to_numpy(dtype=np.str_),
        gpus=frame["gpu"].to_numpy(np.float64),
        cores=frame["cpu_milli"].to_numpy(np.float64) / 1000,
        memory=frame["memory_mib"].to_numpy(np.float64) / MIB_PER_GIB,
    )


def pods_from(frame: pd.DataFrame) -> Pods:
    """Return the pods of a table read by `read_pods`."""
    created, deleted = frame["creation_time"].to_numpy(np.float64), frame["deletion_time"].to_numpy(np.float64)
    scheduled = frame["scheduled_time"].to_numpy(np.float64)
    served = ~np.isnan(scheduled)
    return Pods(
        created=created,
        wait=np.where(served, scheduled, deleted) - created,
        served=served,
        run=deleted - scheduled,
        gpus=frame["num_gpu"].to_numpy(np.float64) * frame["gpu_milli"].to_numpy(np.float64) / 1000,
        cores=frame["cpu_milli"].to_numpy(np.float64) / 1000,
        memory=frame["memory_mib"].to_numpy(np.float64) / MIB_PER_GIB,
        spec=frame["gpu_spec"].to_numpy(dtype=np.str_),
        number=np.arange(len(frame)),
    )


def cluster_nodes() -> Nodes:
    """Return the trace's 1,523 nodes, by model; the shapes are in the code, so no file is needed."""
    count = [shape[4] for shape in NODE_SHAPES]
    model, gpus, cores, memory = (np.repeat([shape[k] for shape in NODE_SHAPES], count) for k in range(4))
    return Nodes(model.astype(np.str_), gpus.astype(np.float64), cores.astype(np.float64), memory.astype(np.float64))


def cluster_jobs(rng: np.random.Generator, seconds: float = 30 * 86400.0) -> Pods:
    """Generate ``seconds`` of pods like those of the trace's last 30 days (what is fitted: see the module).

    Nobody has waited yet: ``wait`` is NaN and every pod has a run time. Any GPU model will do.
    """
    created = ARRIVALS.times(rng, seconds, hour_of_day_profile("cluster"))
    n = len(created)
    kind = rng.choice(len(_CLASSES), n, p=_weights(tuple(_CLASSES.values())))
    part = rng.choice([milli / 1000 for milli, _ in _PART], n, p=_weights([pods for _, pods in _PART]))
    whole = rng.choice([gpus for gpus, _ in _WHOLE], n, p=_weights([pods for _, pods in _WHOLE]))
    gpus = np.choose(kind, [np.zeros(n), part, whole])
    shapes = [rng.choice(len(s), n, p=_weights([pods for _, _, pods in s])) for s in _SHAPES.values()]
    cores, memory = (
        np.choose(kind, [np.array([row[k] for row in s])[i] for s, i in zip(_SHAPES.values(), shapes, strict=True)])
        for k in (0, 1)
    )
    return Pods(
        created=created,
        wait=np.full(n, np.nan),
        served=np.ones(n, np.bool_),
        run=RUN_TIME.at(rng.random(n)),
        gpus=gpus,
        cores=cores * np.maximum(gpus, 1),
        memory=memory / MIB_PER_GIB * np.maximum(gpus, 1),
        spec=np.full(n, ""),
        number=np.arange(n),
    )


def _weights(counts: tuple[float, ...] | list[int]) -> Floats:
    weights = np.array(counts, dtype=np.float64)
    return np.asarray(weights / weights.sum())


def patience_beyond(wait: Floats, uniform: Floats) -> Floats:
    """Draw the patience of pods that are known to have waited ``wait`` seconds: the law's part above it, (n,) s."""
    seen = PATIENCE.below(np.maximum(np.nan_to_num(wait), 0.0))
    return np.maximum(PATIENCE.at(seen + uniform * (1 - seen)), np.nan_to_num(wait))


def trace_facts(pods: Pods, begin: float = 0.0) -> dict[str, float]:
    """Return the figures of the pods created at ``begin`` or later, and the GPUs that all pods held from then on.

    Of generated pods, the waits are not known and left out.
    """
    recent = pods.take(pods.created >= begin)
    span = float(recent.created.max() - begin)
    in_use, peak = gpus_in_use(pods, begin, begin + span)
    facts = {
        "pods": float(len(recent)),
        "span_s": span,
        **arrival_figures(recent.created, span, 3600.0, "hour"),
        "share_never_scheduled": 1.0 - float(recent.served.mean()),
        **figures("run", recent.run[recent.served], (0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99), "s"),
        "gpus_in_use_mean": in_use,
        "gpus_in_use_peak": peak,
        "gpu_hours": float(np.nansum(recent.gpus * recent.run) / 3600.0),
    }
    waits = recent.wait[recent.served]
    if np.isnan(waits).any():
        return facts
    waited = figures("wait", waits, (0.5, 0.75, 0.9, 0.95, 0.99), "s")
    return {**facts, **waited, "share_no_wait": float((waits == 0).mean())}


def gpus_in_use(pods: Pods, start: float, end: float) -> tuple[float, float]:
    """Return the time-weighted mean and the peak of the GPUs held in [start, end], every pod at its own time."""
    ran = pods.take(pods.served)
    begun = ran.created + np.nan_to_num(ran.wait)
    moments = np.clip(np.concatenate([begun, begun + ran.run]), start, end)
    change = np.concatenate([ran.gpus, -ran.gpus])
    order = np.argsort(moments, kind="stable")
    held = np.cumsum(change[order])
    lasts = np.diff(moments[order], append=end)
    if not lasts.sum() > 0:
        return 0.0, 0.0
    return float(np.sum(held * lasts) / (end - start)), float(held[lasts > 0].max())
