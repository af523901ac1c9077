"""Coalitions as bitmasks: bit i of a mask is set where member i is in.

Up to 64 members a coalition is one ``uint64`` and several of them are a column, (m,). Above that it is a row of
``ceil(n / 64)`` words, (m, words), member i being bit ``i % 64`` of word ``i // 64``.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Floats, Masks

Membership = npt.NDArray[np.bool_]
WORD = 64  # members to a word
_BYTE = 8  # members to a table of partial sums


def words(n: int) -> int:
    """Return how many 64-bit words hold a coalition of ``n`` members."""
    return -(-n // WORD)


def masks_of(membership: npt.ArrayLike) -> Masks:
    """Return the masks, (m,) or (m, words), of a matrix of who is in, (m, n) boolean.

    >>> masks_of([[True, False, True], [False, False, False]])
    array([5, 0], dtype=uint64)
    """
    rows = np.asarray(membership, dtype=np.bool_)
    m, n = rows.shape
    packed = np.zeros((m, _BYTE * max(words(n), 1)), np.uint8)
    packed[:, : -(-n // _BYTE)] = np.packbits(rows, axis=1, bitorder="little")
    masks = packed.view("<u8").astype(np.uint64, copy=False)
    return masks[:, 0].copy() if n <= WORD else masks


def members(masks: Masks, n: int) -> Membership:
    """Return who is in each coalition, (m, n) boolean.

    >>> members(np.array([5], dtype=np.uint64), 3)
    array([[ True, False,  True]])
    """
    return np.unpackbits(_bytes(masks), axis=1, bitorder="little", count=n).astype(np.bool_)


def mask(who: Iterable[int], n: int) -> Masks:
    """Return the mask of one coalition, (1,) or (1, words), from its members' numbers."""
    row = np.zeros((1, n), np.bool_)
    row[0, list(who)] = True
    return masks_of(row)


def coalition_sums(masks: Masks, values: npt.ArrayLike) -> Floats:
    """Return the sum of ``values`` over the members of each coalition, (m,).

    ``values`` is (n,). Eight members at a time are looked up in a table of their 256 partial sums.

    >>> coalition_sums(np.array([0, 5], dtype=np.uint64), [1.0, 10.0, 100.0])
    array([  0., 101.])
    """
    x, by_byte = np.asarray(values, dtype=np.float64), _bytes(masks)
    total = np.zeros(len(by_byte))
    for first in range(0, len(x), _BYTE):
        total += subset_sums(x[first : first + _BYTE]).take(by_byte[:, first // _BYTE])
    return total


def sizes(masks: Masks) -> npt.NDArray[np.int64]:
    """Return how many members each coalition has, (m,)."""
    return np.asarray(_BITS.take(_bytes(masks)).sum(axis=1))


def subset_sums(values: Floats) -> Floats:
    """Return the sum of ``values``, (k,), over every subset, (2**k,), by mask.

    >>> subset_sums(np.array([1.0, 10.0]))
    array([ 0.,  1., 10., 11.])
    """
    total = np.zeros(1)
    for value in values:
        total = np.concatenate((total, total + value))
    return total


def sums_by_member(figures: Floats) -> tuple[Floats, float]:
    """Return, for each of k members, the sum of ``figures``, (2**k,) by mask, over coalitions with it; and the sum.

    Folding the upper half onto the lower one, member by member, takes two additions a coalition instead of k.

    >>> sums_by_member(np.array([0.0, 1.0, 10.0, 11.0]))
    (array([12., 21.]), 22.0)
    """
    k = len(figures).bit_length() - 1
    found = np.empty(k)
    for member in reversed(range(k)):
        half = 1 << member
        found[member] = figures[half:].sum()
        figures = figures[:half] + figures[half:]
    return found, float(figures[0])


def _bytes(masks: Masks) -> npt.NDArray[np.uint8]:
    """Return each mask's bytes, lowest first, (m, 8 * words)."""
    rows = np.ascontiguousarray(masks, dtype="<u8")
    return rows.view(np.uint8).reshape(len(rows), -1)


_BITS = np.array([byte.bit_count() for byte in range(256)], dtype=np.int64)
