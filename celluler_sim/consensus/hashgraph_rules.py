"""What a hashgraph is given: its rules, its members' stakes, and events as they arrive.

Everything is checked here, once, and turned into the integers and arrays that the compiled kernels read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from celluler_sim.config_build import show
from celluler_sim.consensus import hashgraph_state as state
from celluler_sim.errors import ScenarioError, require

MOST_MEMBERS = 4096
NO_WINDOW = 1 << 40
_ORDERS = ("paper", "generation", "hedera", "lamport")
_MEDIANS = ("lower", "mean", "upper")
_EXACT = 1 << 30  # stakes that add up to less are their own weights
_MOST = 1 << 110  # that stakes may add up to, divided by their greatest common divisor


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What implementations of the algorithm do differently. The defaults are the paper's, but for ``order``.

    Parameters
    ----------
    threshold
        Share of the total stake of a supermajority, an exact fraction: ``"2/3"``, ``"67/100"``, ``"0.67"``.
    strict
        Whether a supermajority must exceed that share, or only reach it.
    coin
        Every coin-th round of voting is a coin round; less than 3 can end a round with too few judges.
    first_round
        Round of an event without parents.
    fork_rule
        ``hide``: an event sees nothing by a creator of whom it descends from a fork; ``none``: it sees all ancestors.
    equal_parents
        Whether only an event whose parents all share one round may be promoted (Hedera).
    judge_rule
        If a creator has two famous witnesses in a round: ``drop`` both, or take the one with the ``min`` signature.
    received_after
        Whether the round received must exceed the round created (Babble).
    median
        Of an even number of times: the ``upper`` or ``lower`` one of the middle two, or their ``mean``.
    weighted
        Whether the median is weighted by the judges' stake.
    order
        What breaks ties of round received and consensus time: ``paper``, the whitened signature; ``generation``, before
        it the generation; ``hedera``, before that the times around the median; ``lamport``, the generation and the
        plain signature.
    """

    threshold: str | float = "2/3"
    strict: bool = True
    coin: int = 10
    first_round: int = 1
    fork_rule: Literal["hide", "none"] = "hide"
    equal_parents: bool = False
    judge_rule: Literal["drop", "min"] = "drop"
    received_after: bool = False
    median: Literal["upper", "lower", "mean"] = "upper"
    weighted: bool = False
    order: Literal["paper", "generation", "hedera", "lamport"] = "generation"

    def __post_init__(self) -> None:
        """Check ranges."""
        share = self.share
        if not 0 < share <= 1 or (share == 1 and self.strict):
            limit = "above 0 and below 1" if self.strict else "above 0 and at most 1"
            raise ScenarioError(f"threshold must be {limit}, got {self.threshold}")
        require("coin", self.coin, at_least=2)
        require("first_round", self.first_round, at_least=0, at_most=1_000_000)

    @property
    def share(self) -> Fraction:
        """The threshold as an exact fraction; a decimal number means what it says, not its nearest float."""
        try:
            return Fraction(str(self.threshold))
        except (ValueError, ZeroDivisionError):
            raise ScenarioError(f'threshold must be a fraction such as "2/3", got {show(self.threshold)}') from None

    def need(self, total: int) -> int:
        """Return the least whole stake that is a supermajority of ``total``."""
        least = self.share * total
        return math.floor(least) + 1 if self.strict else math.ceil(least)


def check_stakes(stakes: Sequence[int], name: str = "stakes") -> tuple[int, ...]:
    """Return stakes divided by their greatest common divisor, or refuse them in one line."""
    if len(stakes) > MOST_MEMBERS:
        raise ScenarioError(f"{name} must be of at most {MOST_MEMBERS} members, got {len(stakes)}")
    for member, stake in enumerate(stakes):
        if isinstance(stake, (bool, np.bool_)) or not isinstance(stake, (int, np.integer)) or stake < 0:
            raise ScenarioError(f"{name}[{member}] must be a whole number >= 0, got {show(stake)}")
    if not any(stakes):
        raise ScenarioError(f"{name} must not all be zero, got {show(list(stakes))}; give at least one member stake")
    divisor = math.gcd(*(int(stake) for stake in stakes))
    parts = tuple(int(stake) // divisor for stake in stakes)
    if sum(parts) >= _MOST:
        raise ScenarioError(f"{name} must add up to less than 2**110 times their common divisor, got {sum(stakes)}")
    return parts


def split_signature(signature: int | bytes, words: int) -> tuple[list[int], int]:
    """Return a signature as words of 64 bits, most significant first, and its middle bit."""
    size = 8 * words
    if isinstance(signature, int):
        if not 0 <= signature < 1 << (8 * size):
            raise ScenarioError(f"signature must be from 0 to 2**{8 * size} - 1, got {signature}")
        signature = signature.to_bytes(size, "big")
    if not 0 < len(signature) <= size:
        raise ScenarioError(f"signature must have 1 to {size} bytes, got {len(signature)}")
    whole = signature.rjust(size, b"\0")
    return [int.from_bytes(whole[k : k + 8], "big") for k in range(0, size, 8)], signature[len(signature) // 2] & 1


def middle_bit(signature: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint8]:
    """Return the lowest bit of byte len/2 of signatures given as words, (m, words)."""
    words = signature.shape[1]
    shift = 56 if words % 2 == 0 else 24  # byte 0 or byte 4 of the middle word
    return (signature[:, words // 2] >> np.uint64(shift) & np.uint64(1)).astype(np.uint8)


def as_batch(
    words: int,
    creator: npt.ArrayLike,
    self_parent: npt.ArrayLike,
    other_parents: npt.ArrayLike,
    time: npt.ArrayLike,
    signature: npt.ArrayLike,
    coin: npt.ArrayLike | None,
) -> state.Batch:
    """Return events as arrays of the right types and shapes, see `Hashgraph.add_batch`; refuse other shapes."""
    signs = _table(np.ascontiguousarray(signature, np.uint64))
    batch = state.Batch(
        np.ascontiguousarray(creator, np.int64),
        np.ascontiguousarray(self_parent, np.int64),
        _table(np.ascontiguousarray(other_parents, np.int64)),
        np.ascontiguousarray(time, np.float64),
        signs,
        middle_bit(signs) if coin is None else np.ascontiguousarray(coin, np.uint8),
    )
    if len({len(part) for part in batch}) != 1 or signs.shape[1] != words:
        found: dict[str, npt.NDArray[np.generic]] = batch._asdict()
        shapes = ", ".join(f"{name} {part.shape}" for name, part in found.items())
        raise ScenarioError(f"a batch must have one length and {words} words a signature, got {shapes}")
    if not np.isfinite(batch.time).all():
        raise ScenarioError(f"time must be finite, got {batch.time[~np.isfinite(batch.time)][0]}")
    return batch


def _table(column: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return an array with a second axis, of length one where it had none."""
    return column if column.ndim > 1 else column[:, None]


def write_rules(graph: state.Graph, rules: Rules, stakes: tuple[int, ...], window: int | None) -> state.Graph:
    """Write stakes and parameters into a graph; return it."""
    total, members = sum(stakes), len(stakes)
    need = rules.need(total)
    exact = total < _EXACT
    weights = stakes if exact else [stake * _EXACT // total for stake in stakes]
    graph.low[:] = [stake % (1 << state.LIMB) for stake in stakes]
    graph.high[:] = [stake >> state.LIMB for stake in stakes]
    graph.weight[:] = weights
    graph.rest[:-1] = np.cumsum(graph.weight[::-1])[::-1]
    graph.rule[0] = (
        members,
        state.LIMB,
        need % (1 << state.LIMB),
        need >> state.LIMB,
        need if exact else -(-need * _EXACT // total),
        need if exact else need * _EXACT // total - members,
        rules.coin,
        rules.first_round,
        rules.fork_rule == "hide",
        rules.equal_parents,
        rules.judge_rule == "min",
        rules.received_after,
        _MEDIANS.index(rules.median),
        rules.weighted,
        _ORDERS.index(rules.order),
        NO_WINDOW if window is None else window,
    )
    graph.at["top"] = rules.first_round - 1
    for counter in ("keep", "undecided", "processed"):
        graph.at[counter] = rules.first_round
    return graph
