"""Coalitional games with transferable utility: what every group of members would be worth on its own.

A game is a function over arrays of bitmasks (see `coalitions`), so that a rule which needs all 2**n coalitions, or
thousands of random ones, asks for them in one call. `game_forms` builds the games of the textbooks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Floats, Masks
from celluler_sim.errors import CellulerError
from celluler_sim.mechanisms import coalitions

Worth = Callable[[Masks], npt.ArrayLike]

TABLE_MEMBERS = 24  # most members of whose game every coalition is looked at
KEPT_MEMBERS = 20  # most members of whose game the worth of every coalition is kept
CHUNK_BITS = 16  # coalitions evaluated in one call, as a power of two


class GameError(CellulerError, ValueError):
    """A coalitional game that makes no sense; the message names member or coalition."""


@dataclass(frozen=True, eq=False)
class CoalitionalGame:
    """n members and the worth of each coalition of them.

    >>> pair = CoalitionalGame(2, lambda masks: np.where(masks == 3, 10.0, 0.0))
    >>> pair.grand, pair.last_marginals.tolist()
    (10.0, [10.0, 10.0])

    Raises
    ------
    GameError
        If there is no member, the empty coalition has a worth, or contributions or unions do not fit the members.
        Asking for a worth raises it too where the function returns anything but one finite number per coalition.
    """

    n: int  # members, >= 1
    worth: Worth  # masks, (m,) uint64 or (m, words) above 64 members -> (m,) worths; masks are read-only
    contribution: Floats | None = None  # (n,) >= 0, what each member brought, in any one unit; for `proportional`
    unions: Sequence[Sequence[int]] | None = None  # a partition of the members 0 to n - 1; for `owen`
    shapley_value: Callable[[], Floats] | None = None  # the closed form, (n,), where the game has one
    banzhaf_value: Callable[[], Floats] | None = None  # likewise, not normalised

    def __post_init__(self) -> None:
        """Check what can be checked without looking at every coalition."""
        if self.n < 1:
            raise GameError(f"game.n must be >= 1 member, got {self.n}; a pool without members shares nothing")
        empty = float(self.evaluate(self.no_members)[0])
        if empty != 0.0:
            raise GameError(f"game.worth of the empty coalition must be 0, got {empty:g}; subtract it from every worth")
        if self.contribution is not None:
            object.__setattr__(self, "contribution", _checked_contribution(self.contribution, self.n))
        if self.unions is not None:
            object.__setattr__(self, "unions", _checked_unions(self.unions, self.n))

    @property
    def no_members(self) -> Masks:
        """The empty coalition, (1,) or (1, words)."""
        return coalitions.mask((), self.n)

    @property
    def all_members(self) -> Masks:
        """The grand coalition, (1,) or (1, words)."""
        return coalitions.mask(range(self.n), self.n)

    def evaluate(self, masks: Masks) -> Floats:
        """Return the worth of each coalition, (m,), checked."""
        masks = np.asarray(masks, dtype=np.uint64).view()
        masks.flags.writeable = False
        found = np.asarray(self.worth(masks))
        if found.shape != masks.shape[:1] or found.dtype.kind not in "biuf":
            rule = f"must return one number for each of {len(masks)} coalitions"
            raise GameError(f"game.worth {rule}, got {found.dtype} of shape {found.shape}")
        worth = found.astype(np.float64)
        if not np.isfinite(worth).all():
            row = int(np.argmin(np.isfinite(worth)))
            who = np.flatnonzero(coalitions.members(masks[row : row + 1], self.n)[0]).tolist()
            raise GameError(f"game.worth must be finite for every coalition, got {worth[row]} for members {who}")
        return worth

    @cached_property
    def grand(self) -> float:
        """Worth of all members together."""
        return float(self.evaluate(self.all_members)[0])

    @cached_property
    def alone(self) -> Floats:
        """Worth of each member alone, (n,)."""
        return self.evaluate(coalitions.masks_of(np.eye(self.n, dtype=np.bool_)))

    @cached_property
    def last_marginals(self) -> Floats:
        """What the worth of all would lose if one member were missing, (n,)."""
        return self.grand - self.evaluate(coalitions.masks_of(~np.eye(self.n, dtype=np.bool_)))

    def chunks(self) -> Iterator[tuple[int, Floats]]:
        """Yield (first mask, worths of the 2**min(n, 16) coalitions that start there) until all have been seen."""
        if self.n > TABLE_MEMBERS:
            raise GameError(f"a rule that looks at every coalition needs <= {TABLE_MEMBERS} members, got {self.n}")
        low = min(self.n, CHUNK_BITS)
        offsets = np.arange(1 << low, dtype=np.uint64)
        for first in range(0, 1 << self.n, 1 << low):
            yield first, self.evaluate(offsets + np.uint64(first))

    @property
    def table(self) -> Floats:
        """Worth of every coalition, (2**n,) by mask; kept for later up to 20 members."""
        return self._kept if self.n <= KEPT_MEMBERS else self._table()

    @cached_property
    def _kept(self) -> Floats:
        return self._table()

    def _table(self) -> Floats:
        found = np.empty(1 << min(self.n, TABLE_MEMBERS))
        for first, worth in self.chunks():
            found[first : first + len(worth)] = worth
        found.flags.writeable = False
        return found

    def tabled(self) -> CoalitionalGame:
        """Return the same game with every worth looked up once: worth it where several rules share one dear game."""
        table = self.table
        return replace(self, worth=lambda masks: table[masks.astype(np.int64)])

    def restricted(self, who: Sequence[int]) -> CoalitionalGame:
        """Return the game among ``who`` alone, numbered 0 to len(who) - 1; closed forms and unions are left behind."""
        chosen = list(who)

        def worth(masks: Masks) -> npt.ArrayLike:
            rows = np.zeros((len(masks), self.n), np.bool_)
            rows[:, chosen] = coalitions.members(masks, len(chosen))
            return self.worth(coalitions.masks_of(rows))

        brought = None if self.contribution is None else self.contribution[chosen]
        return CoalitionalGame(len(chosen), worth, contribution=brought)


def _checked_contribution(contribution: npt.ArrayLike, n: int) -> Floats:
    """Return one contribution a member, read-only, or raise `GameError`."""
    brought = np.array(contribution, dtype=np.float64)
    if brought.shape != (n,) or not np.all(np.isfinite(brought) & (brought >= 0)):
        raise GameError(f"game.contribution must be {n} finite numbers >= 0, one a member, got {brought.tolist()}")
    brought.flags.writeable = False
    return brought


def _checked_unions(unions: Sequence[Sequence[int]], n: int) -> tuple[tuple[int, ...], ...]:
    """Return the unions as tuples, or raise `GameError` unless each member is in exactly one."""
    found = tuple(tuple(int(i) for i in union) for union in unions)
    if sorted(i for union in found for i in union) != list(range(n)) or not all(found):
        raise GameError(f"game.unions must put each of the members 0 to {n - 1} into one union, got {list(found)}")
    return found
