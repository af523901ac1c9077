"""Stable divisions by linear programming: least core and nucleolus.

The excess of a coalition is what it is worth more than what it gets. The least core holds the divisions whose largest
excess is smallest; the nucleolus (Schmeidler 1969) goes on with the second largest, and so on, until one is left.
Both are found by a sequence of linear programs (Maschler, Peleg and Shapley 1979):

1. Make the largest excess t of the coalitions still open as small as possible.
2. Coalitions with a positive dual price have excess t in *every* solution: fix what they get. There is at least one.
3. Coalitions whose share follows from what is fixed are closed. Repeat until all shares are fixed: at most n times.

Of the 2**n constraints a program sees only those that were broken earlier. They are looked for halfway between its
answer and the best division known so far (in-out separation, Ben-Ameur and Neto 2007): at the answers themselves,
corners of an unfinished polytope, it takes ten times as many. Solver: HiGHS (Huangfu and Hall 2018).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Floats
from celluler_sim.mechanisms import coalitions
from celluler_sim.mechanisms.games import KEPT_MEMBERS, CoalitionalGame, GameError

ROUNDING = 1e-9  # of the largest worth: an excess above another by less counts as equal
PRICED = 1e-7  # dual prices above this count as positive (those of one program sum to 1)
NEW_ROWS = 40  # broken constraints that are added at a time, of each kind


class _Lexicographic:
    """Make the largest shortfall of some coalitions small, then the next largest, and so on, under bounds on others.

    ``wanted`` and ``least`` are (2**n,) by mask, -inf where a coalition has none: the shortfall of S is
    wanted(S) - x(S), and x(S) >= least(S) must hold.
    """

    def __init__(self, n: int, total: float, wanted: Floats, least: Floats) -> None:
        figures = np.concatenate((wanted, least, [total]))
        self.scale = max(float(np.abs(figures[np.isfinite(figures)]).max()), 1e-300)
        self.n = n
        self.wanted, self.least = wanted / self.scale, least / self.scale
        self.open = np.isfinite(wanted)  # (2**n,) shortfall still to be made small
        self.rows: list[Floats] = []  # who is in each coalition whose share is fixed
        self.shares: list[float] = []  # and that share
        self.basis = np.zeros((0, n))  # orthonormal, of the same span as the rows
        self.price_rows = [1 << i for i in range(n)]  # constraints seen so far, as masks
        self.least_rows: list[int] = []
        self.best: Floats | None = None  # (n,) a division that keeps all bounds
        self.reached = np.inf  # its largest shortfall, or more
        self._fix((1 << n) - 1, total / self.scale)

    def solve(self) -> Floats:
        """Return the one division left, (n,)."""
        while len(self.rows) < self.n:
            self.stage()
        return np.linalg.solve(np.array(self.rows), np.array(self.shares)) * self.scale

    def stage(self) -> float:
        """Make the largest open shortfall as small as it gets, fix who must have it, and return it."""
        if self.best is not None:
            self.start_from(self.best)
        while True:
            priced = [s for s in self.price_rows if self.open[s]]
            answer = self._program(priced)
            t = float(answer.x[-1])
            if self._settled(answer.x[:-1], t):
                break
        prices = -answer.ineqlin.marginals
        for s, price in zip(priced, prices, strict=False):
            if price > PRICED:
                self._fix(s, float(self.wanted[s]) - t)
        for s, price in zip(self.least_rows, prices[len(priced) :], strict=False):
            if price > PRICED:
                self._fix(s, float(self.least[s]))
        self._close()
        return t * self.scale

    def _settled(self, outer: Floats, t: float) -> bool:
        """Return whether ``t`` can be reached; else add constraints that the answer (``outer``, ``t``) breaks.

        Those it breaks most, and those broken halfway to the best division known. A point halfway that breaks none is
        the new best one; the way left is then halved again, until it is nothing.
        """
        settled = not self._add_broken(outer, t)
        while not settled and self.best is not None:
            settled = self.reached <= t + 3 * ROUNDING
            if not settled and self._add_broken((self.best + outer) / 2, (self.reached + t) / 2):
                break
        return settled

    def _add_broken(self, x: Floats, t: float) -> bool:
        """Add the constraints that division ``x`` with largest shortfall ``t`` breaks most; return if there are any."""
        given = coalitions.subset_sums(x)
        short = np.where(self.open, self.wanted - given, -np.inf)
        broken, under = _worst(short - t), _worst(self.least - given)
        self.price_rows += [s for s in broken if s not in self.price_rows]
        self.least_rows += [s for s in under if s not in self.least_rows]
        if not under and short.max() < self.reached:
            self.best, self.reached = x, float(short.max())
        return bool(broken or under)

    def start_from(self, x: Floats) -> None:
        """Take ``x``, (n,), which keeps all bounds, for the best division known."""
        short = np.where(self.open, self.wanted - coalitions.subset_sums(x), -np.inf)
        self.best, self.reached = x, float(short.max())

    def _program(self, priced: list[int]) -> Any:
        """Solve: t as small as possible, x(S) + t >= wanted(S), x(S) >= least(S), fixed shares as they are."""
        from scipy.optimize import linprog

        members = self._members([*priced, *self.least_rows])
        eased = np.concatenate((np.ones(len(priced)), np.zeros(len(self.least_rows))))
        answer = linprog(
            np.concatenate((np.zeros(self.n), [1.0])),
            A_ub=-np.column_stack((members, eased)),
            b_ub=-np.concatenate((self.wanted[priced], self.least[self.least_rows])),
            A_eq=np.column_stack((np.array(self.rows), np.zeros(len(self.rows)))),
            b_eq=np.array(self.shares),
            bounds=(None, None),
            options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
        )
        if answer.x is None:
            raise GameError(f"no division satisfies the bounds of this game, got: {' '.join(answer.message.split())}")
        return answer

    def _members(self, masks: list[int]) -> Floats:
        return coalitions.members(np.array(masks, dtype=np.uint64), self.n).astype(np.float64)

    def _fix(self, s: int, share: float) -> None:
        """Fix what coalition ``s`` gets, unless it follows from what is fixed."""
        row = self._members([s])[0]
        rest = row - self.basis.T @ (self.basis @ row)
        rest -= self.basis.T @ (self.basis @ rest)
        length = float(np.linalg.norm(rest))
        if length > 1e-7:
            self.basis = np.vstack((self.basis, rest / length))
            self.rows.append(row)
            self.shares.append(share)

    def _close(self) -> None:
        """Close the coalitions whose share follows: those without a part outside the span of what is fixed.

        Two directions drawn at random outside the span tell them all at once: only such a coalition is orthogonal to
        both, but for a chance below 1e-12.
        """
        draws = np.random.default_rng(0).standard_normal((2, self.n))
        outside = draws - (draws @ self.basis.T) @ self.basis
        self.open &= np.max([np.abs(coalitions.subset_sums(d)) for d in outside], axis=0) > 1e-9


def _worst(violation: Floats) -> list[int]:
    """Return the masks of the constraints broken most, at most 40."""
    broken = np.flatnonzero(violation > ROUNDING)
    if len(broken) > NEW_ROWS:
        broken = broken[np.argpartition(-violation[broken], NEW_ROWS)[:NEW_ROWS]]
    return [int(s) for s in np.sort(broken)]


def _proper(game: CoalitionalGame) -> Floats:
    """Return the table of worths, -inf for nobody and for all."""
    if game.n > KEPT_MEMBERS:
        raise GameError(f"least core and nucleolus need <= {KEPT_MEMBERS} members, got {game.n}")
    table = game.table.copy()
    table[[0, -1]] = -np.inf
    return table


def _only_alone(n: int, worth: npt.ArrayLike) -> Floats:
    """Return a table that is -inf but for coalitions of one, which have ``worth``, (n,) or one number."""
    table = np.full(1 << n, -np.inf)
    table[1 << np.arange(n)] = worth
    return table


def nucleolus(game: CoalitionalGame) -> Floats:
    """Return the nucleolus, (n,): the division whose excesses, sorted downward, are lexicographically smallest.

    It is sought among divisions that give everybody at least what it is worth alone, as Schmeidler (1969) has it;
    where none can (the members alone are worth more than all together), among all divisions: the prenucleolus. <= 20
    members; time grows with 2**n and with the linear programs, some n of them.
    """
    if game.n == 1:
        return np.array([game.grand])
    rational = game.alone.sum() <= game.grand + ROUNDING * max(1e-300, float(np.abs(game.table).max()))
    least = np.minimum(game.alone, game.alone + (game.grand - game.alone.sum())) if rational else -np.inf
    return _Lexicographic(game.n, game.grand, _proper(game), _only_alone(game.n, least)).solve()


def least_core_epsilon(game: CoalitionalGame) -> float:
    """Return the smallest e such that some division gives every coalition, but for all, its worth less e.

    The core is not empty if and only if it is <= 0. It is 0 for one member, who has nobody to object. <= 20 members.
    """
    return 0.0 if game.n == 1 else _largest_excess(game)[0]


def _largest_excess(game: CoalitionalGame) -> tuple[float, Floats]:
    """Return how small the largest excess can be, and a division, (n,), that makes it so."""
    program = _Lexicographic(game.n, game.grand, _proper(game), np.full(1 << game.n, -np.inf))
    epsilon = program.stage()
    return epsilon, np.zeros(game.n) if program.best is None else program.best * program.scale


def least_core(game: CoalitionalGame) -> Floats:
    """Return one division of the least core, (n,): the one that treats the worst-off member best, then the next.

    The least core may hold many divisions; this choice among them is single and treats equals equally (the
    egalitarian selection, Arin and Inarra 2001). <= 20 members.
    """
    if game.n == 1:
        return np.array([game.grand])
    epsilon, known = _largest_excess(game)
    program = _Lexicographic(game.n, game.grand, _only_alone(game.n, 0.0), _proper(game) - epsilon)
    program.start_from(known / program.scale)
    return program.solve()


def is_nucleolus(game: CoalitionalGame, value: npt.ArrayLike) -> bool:
    """Return whether ``value``, (n,), is the nucleolus, by the criterion of Kohlberg (1971).

    For every level of excess the coalitions at or above it must leave no way to move: whatever shift y, summing to 0,
    takes from none of them (nor from a member who gets just what it is worth alone) must give to none of them.
    """
    from scipy.optimize import linprog

    x, table = np.asarray(value, dtype=np.float64), _proper(game)
    scale = max(float(np.abs(game.table).max()), 1e-300)
    if abs(float(x.sum()) - game.grand) > 1e-7 * scale:
        return False
    excess = (table - coalitions.subset_sums(x)) / scale
    at_least_alone = game.alone.sum() <= game.grand + ROUNDING * scale
    if at_least_alone and (x < game.alone - 1e-7 * scale).any():
        return False
    pinned = np.eye(game.n)[(x <= game.alone + 1e-7 * scale) & at_least_alone]
    order = np.argsort(-excess, kind="stable")[: len(table) - 2]
    steps = np.flatnonzero(np.diff(excess[order], append=-np.inf) < -1e-7) + 1
    for count in steps:
        rows = coalitions.members(order[:count].astype(np.uint64), game.n).astype(np.float64)
        bound = np.vstack((rows, pinned))
        moved = linprog(
            -rows.sum(axis=0), A_ub=-bound, b_ub=np.zeros(len(bound)), A_eq=np.ones((1, game.n)), b_eq=[0.0],
            bounds=(-1, 1),
        )  # fmt: skip
        if float(moved.fun or 0.0) < -1e-6:
            return False
        if np.linalg.matrix_rank(np.vstack((rows, np.ones(game.n)))) == game.n:
            return True
    return True
