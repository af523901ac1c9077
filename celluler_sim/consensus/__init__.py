"""Consensus: from submitted transactions to one total order."""

from celluler_sim.consensus import fifo as fifo
from celluler_sim.consensus.base import KINDS, Consensus, Network, Ordered, Transactions

__all__ = ["KINDS", "Consensus", "Network", "Ordered", "Transactions", "fifo"]
