"""Traits drawn by slot: one more agent changes no other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from celluler_sim.book import Floats, Slots
from celluler_sim.streams import Streams


def lognormal(streams: Streams, name: str, slots: Slots, cv: float, tick: int = 0) -> Floats:
    """Return lognormal factors with median 1 and this coefficient of variation, (n,)."""
    return np.asarray(np.exp(np.sqrt(np.log1p(cv * cv)) * streams.draws(name, tick).normal(slots)))


def pick(streams: Streams, name: str, slots: Slots, shares: Sequence[float], tick: int = 0) -> Slots:
    """Return one entry per slot, (n,), index into ``shares``, each drawn with its share."""
    edges = np.cumsum(shares) / np.sum(shares)
    return np.searchsorted(edges[:-1], streams.draws(name, tick).uniform(slots), side="right")
