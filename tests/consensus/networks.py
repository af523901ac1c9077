"""Networks and transactions for tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from celluler_sim.consensus.base import Transactions
from celluler_sim.consensus.gossip import HashgraphConsensus
from celluler_sim.consensus.network import GossipNetwork
from celluler_sim.consensus.syncs import Created
from celluler_sim.streams import Streams


def make(seed: int = 1, **settings: Any) -> GossipNetwork:
    """Return a network that keeps its events; ten validators, one second between syncs unless told otherwise."""
    rule = HashgraphConsensus(**{"validators": 10, "gossip_interval_seconds": 1.0, **settings})
    return GossipNetwork(rule, Streams(seed), history=[])


def transactions(
    entries: Sequence[tuple[float, int]], first: int = 0, sender: Sequence[int] | None = None
) -> Transactions:
    """Return transactions numbered from ``first``: the time (s) and the validator of each, and who sends it."""
    n = len(entries)
    return Transactions(
        number=np.arange(first, first + n),
        kind=np.zeros(n, np.int8),
        sender=np.arange(n) if sender is None else np.array(sender, np.int64),
        validator=np.array([validator for _, validator in entries], np.int64),
        submitted=np.array([time for time, _ in entries], np.float64),
    )


def received(network: GossipNetwork) -> Created:
    """Return all events that a network has created."""
    parts = network.history
    names = ("creator", "self_parent", "other_parent", "created", "stamp", "fork")
    columns = [np.concatenate([getattr(part, name) for part in parts]) for name in names]
    return Created(0, *columns)
