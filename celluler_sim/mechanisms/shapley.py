"""The Shapley value and its relatives, exactly: every coalition looked at once, or a closed form.

The Shapley value (Shapley 1953) pays member i its marginal contribution v(S + i) - v(S), averaged over all orders in
which the members could arrive. With p(s) = 1 / (n C(n-1, s)) the chance that exactly a given S of size s is there
before i,

    phi_i = sum over S with i of v(S) (p(s-1) + p(s))  -  sum over all S of v(S) p(s).

The second sum is the same for all, and the first ones for all members come from one folding of the table, so the
whole costs two additions a coalition: nearly all the time goes into asking for the worths.
"""

from __future__ import annotations

from collections.abc import Callable
from math import comb

import numpy as np

from celluler_sim.book import Floats
from celluler_sim.mechanisms import coalitions
from celluler_sim.mechanisms.games import CHUNK_BITS, CoalitionalGame


def shapley_weights(n: int) -> Floats:
    """Return the chance that a given coalition of s others arrives before a member, (n,), by s."""
    return np.array([1.0 / (n * comb(n - 1, s)) for s in range(n)])


def banzhaf_weights(n: int) -> Floats:
    """Return the chance of each coalition of others if everybody comes or not by the toss of a coin, (n,), by s."""
    return np.full(n, 0.5 ** (n - 1))


def semivalue(game: CoalitionalGame, p: Floats) -> Floats:
    """Return sum over S without i of p(|S|) (v(S + i) - v(S)) for each member i, (n,), exactly.

    ``p`` is (n,), by size. Time and memory: the worths of all 2**n coalitions, 65,536 at a time, so <= 24 members.
    """
    low = min(game.n, CHUNK_BITS)
    with_member = np.concatenate(([0.0], p)) + np.concatenate((p, [0.0]))  # by size of the coalition, 0 to n
    without = np.concatenate((p, [0.0]))
    size = coalitions.sizes(np.arange(1 << low, dtype=np.uint64))
    factors: dict[int, tuple[Floats, Floats]] = {}
    value, total = np.zeros(game.n), []
    for first, worth in game.chunks():
        present = first >> low
        more = present.bit_count()
        if more not in factors:
            factors[more] = with_member[size + more], without[size + more]
        found, whole = coalitions.sums_by_member(worth * factors[more][0])
        value[:low] += found
        value[low:] += [whole if present >> i & 1 else 0.0 for i in range(game.n - low)]
        total.append(float(worth @ factors[more][1]))
    return np.asarray(value - np.sum(total))


def exact_shapley(game: CoalitionalGame) -> Floats:
    """Return the Shapley value, (n,), by the game's closed form or by looking at every coalition (<= 24 members)."""
    return _closed(game.shapley_value) if game.shapley_value else semivalue(game, shapley_weights(game.n))


def exact_banzhaf(game: CoalitionalGame) -> Floats:
    """Return the Banzhaf value, (n,), not normalised: the marginal averaged over all coalitions of the others."""
    return _closed(game.banzhaf_value) if game.banzhaf_value else semivalue(game, banzhaf_weights(game.n))


def _closed(form: Callable[[], Floats]) -> Floats:
    return np.array(form(), dtype=np.float64)


def last_marginal_shares(game: CoalitionalGame) -> Floats | None:
    """Return the seed's shortcut, (n,): the worth of all divided by everybody's last marginal contribution.

    x_i = v(N) m_i / sum of m, with m_i = v(N) - v(N without i). None where the m sum to 0: the rule divides by it.
    """
    m = game.last_marginals
    whole = float(m.sum())
    return None if abs(whole) <= 1e-12 * max(1.0, abs(game.grand)) else game.grand * m / whole
