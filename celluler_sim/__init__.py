"""celluler_sim: a laboratory for the economics of a decentralised compute market."""

from __future__ import annotations
