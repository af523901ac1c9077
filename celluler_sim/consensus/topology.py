"""Who may sync with whom, and how long a message takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from celluler_sim.book import Floats, Slots
from celluler_sim.errors import ScenarioError, require

REWIRED = 0.1  # share of edges that a small world rewires
GRAPHS = ("complete", "ring", "star", "small_world", "random_regular", "scale_free")


@dataclass(frozen=True)
class Neighbours:
    """For each member the others that it may sync with, one member's after the other's."""

    first: Slots  #  (n,) where a member's neighbours begin in `member`
    degree: Slots  # (n,) how many it has
    member: Slots  # (sum of degrees,)

    def pick(self, asker: Slots, uniform: Floats) -> Slots:
        """Return a neighbour for each asker, all equally likely, by one uniform in [0, 1) each."""
        return self.member[self.first[asker] + (uniform * self.degree[asker]).astype(np.int64)]


@dataclass(frozen=True, kw_only=True)
class Topology:
    """A graph of members and the delay of a message from region to region.

    The graphs are those of networkx: complete, cycle, star, connected Watts-Strogatz, random regular, Barabasi-Albert.
    """

    graph: Literal["complete", "ring", "star", "small_world", "random_regular", "scale_free"] = "complete"
    degree: int = 4  # neighbours of a member in small_world and random_regular, mean number in scale_free
    delay_seconds: float | tuple[tuple[float, ...], ...] = (
        0.05  # s one way; or a row per sending, a column per receiving region
    )
    regions: tuple[int, ...] = ()  # region of each member, from 0; empty: members take turns
    jitter_seconds: float = 0.0  # s, mean of what is added to every delay (exponential)

    def __post_init__(self) -> None:
        """Check the ranges."""
        key = "consensus.topology"
        if self.graph not in GRAPHS:
            raise ScenarioError(f"{key}.graph must be one of {', '.join(GRAPHS)}, got {self.graph!r}")
        require(f"{key}.degree", self.degree, at_least=2)
        require(f"{key}.jitter_seconds", self.jitter_seconds, at_least=0, unit="s")
        rows = self._delays()
        for row in rows:
            if len(row) != len(rows):
                raise ScenarioError(f"{key}.delay_seconds must be square: {len(rows)} rows, but a row of {len(row)}")
            for delay in row:
                require(f"{key}.delay_seconds", delay, at_least=0, unit="s")
        for region in self.regions:
            require(f"{key}.regions", region, at_least=0, below=len(rows))

    def _delays(self) -> tuple[tuple[float, ...], ...]:
        d = self.delay_seconds
        return ((float(d),),) if isinstance(d, (int, float)) else d

    def check(self, n: int) -> None:
        """Refuse what does not fit ``n`` members."""
        key = "consensus.topology"
        if self.regions and len(self.regions) != n:
            raise ScenarioError(f"{key}.regions must name one region per validator ({n}), got {len(self.regions)}")
        if self.graph in ("small_world", "random_regular", "scale_free"):
            require(f"{key}.degree", self.degree, below=n)
        if self.graph == "random_regular" and self.degree * n % 2:
            raise ScenarioError(f"{key}.degree must be even where consensus.validators is odd, got {self.degree}")

    def delay(self, n: int) -> Floats:
        """Return the seconds that a message takes from each member to each other one, (n, n)."""
        between = np.array(self._delays(), np.float64)
        region = np.array(self.regions, np.int64) if self.regions else np.arange(n) % len(between)
        return between[np.ix_(region, region)]

    def neighbours(self, n: int, seed: int) -> Neighbours:
        """Return who may sync with whom; ``seed`` draws the graphs that are random."""
        if self.graph == "complete":
            others = np.arange(n * (n - 1)).reshape(n, n - 1) % (n - 1)
            others += others >= np.arange(n)[:, None]
            return Neighbours(np.arange(n) * (n - 1), np.full(n, n - 1), others.ravel())
        graph = self._draw(n, seed % 2**32)
        lists = [sorted(graph.neighbors(i)) for i in range(n)]
        degree = np.array([len(one) for one in lists])
        return Neighbours(np.cumsum(degree) - degree, degree, np.concatenate(lists).astype(np.int64))

    def _draw(self, n: int, seed: int) -> Any:
        import networkx as nx

        if self.graph == "ring":
            return nx.cycle_graph(n)
        if self.graph == "star":
            return nx.star_graph(n - 1)
        if self.graph == "small_world":
            return nx.connected_watts_strogatz_graph(n, self.degree, REWIRED, seed=seed)
        if self.graph == "scale_free":
            return nx.barabasi_albert_graph(n, self.degree // 2, seed=seed)
        for attempt in range(100):
            graph = nx.random_regular_graph(self.degree, n, seed=seed + attempt)
            if nx.is_connected(graph):
                return graph
        raise ScenarioError(f"consensus.topology.degree {self.degree} gave no connected graph of {n} members; raise it")
