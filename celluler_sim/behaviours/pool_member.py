"""How a member of a pool decides whether to stay. Family ``pool_member_behaviour``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Floats, Frozen, Slots
from celluler_sim.mechanisms.base import register

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Standing(Frozen):
    """What members know at a period's end about themselves."""

    share: Floats  #   (n,) PRANA, their share of what the pool could earn in the period
    outside: Floats  # (n,) PRANA, what each could have earned in it alone
    unhappy: Slots  #  (n,) periods in a row, this one included, in which alone would have been better
    patience: int  #   periods in a row after which a member may leave


class PoolMemberBehaviour(Protocol):
    """A member's strategy."""

    moves: ClassVar[bool]  # whether it looks at other pools

    def leaves(self, standing: Standing) -> Bools:
        """Return who leaves its pool, (n,)."""
        ...


@register("pool_member_behaviour", "best_reply")
@dataclass(frozen=True)
class BestReply:
    """Leave once being alone has been better for some periods in a row; look at other pools now and then."""

    moves: ClassVar[bool] = True

    def leaves(self, standing: Standing) -> Bools:
        """Return those whose patience has ended."""
        return np.asarray(standing.unhappy >= standing.patience)


@register("pool_member_behaviour", "loyal")
@dataclass(frozen=True)
class Loyal:
    """Stay, whatever the pool pays."""

    moves: ClassVar[bool] = False

    def leaves(self, standing: Standing) -> Bools:
        """Return nobody."""
        return np.zeros(len(standing.share), np.bool_)
