"""Compiled arithmetic of the ledger: money in two integer limbs, moved, summed, rounded and split exactly.

An amount is ``hi`` whole PRANA and ``lo`` units of 1e-18 PRANA, ``0 <= lo < 10**18``. Neither 10**27 nor the
products below fit 64 bits, so products and quotients are carried in two 64-bit words. Unsigned constants are spelled
out because mixing signed and unsigned words would turn the result into a float.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

Words = npt.NDArray[np.uint64]
Limbs = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

BASE = 10**18  # units in one PRANA
_BASE = np.uint64(BASE)
_ZERO, _ONE, _HALF_WORD = np.uint64(0), np.uint64(1), np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)  # the lower half of a word
_TOP = np.uint64(1 << 63)  # the highest bit of a word
_FRACTION_BITS, _EXPONENT_BIAS = np.uint64(52), 1075  # a float64 is mantissa * 2**(exponent - 1075)
_FEW = 16  # groups up to this size are searched part by part


@njit(cache=True)  # type: ignore[untyped-decorator]
def move(
    giving: Limbs, source: Limbs, taking: Limbs, target: Limbs, hi: Limbs, lo: Limbs, refused: Mask
) -> None:  # fmt: skip
    """Carry out transfers in row order, in place; one that its source cannot cover is refused and changes nothing.

    Parameters
    ----------
    giving, taking : (n_accounts, 2) buckets the amounts leave and enter; may be the same array
    source, target : (n,) rows of ``giving`` and of ``taking``
    hi, lo : (n,) amounts, not negative
    refused : (n,) false on entry, set true where refused
    """
    for i in range(len(source)):
        s, t = source[i], target[i]
        left_hi, left_lo = giving[s, 0] - hi[i], giving[s, 1] - lo[i]
        if left_lo < 0:
            left_lo += BASE
            left_hi -= 1
        if left_hi < 0:
            refused[i] = True
            continue
        giving[s, 0], giving[s, 1] = left_hi, left_lo
        # read after the write above: source and target may be one cell
        new_hi, new_lo = taking[t, 0] + hi[i], taking[t, 1] + lo[i]
        if new_lo >= BASE:
            new_lo -= BASE
            new_hi += 1
        taking[t, 0], taking[t, 1] = new_hi, new_lo


@njit(cache=True)  # type: ignore[untyped-decorator]
def sum_halves(bucket: Limbs) -> tuple[int, int, int, int, bool]:
    """Sum the limbs of ``bucket``, (n, 2), in halves of 32 bits, which cannot overflow below 2**31 rows.

    Returns
    -------
    The sums of the upper and lower halves of ``hi``, the same of ``lo``, and whether every amount is well formed
    (``hi >= 0`` and ``0 <= lo < 10**18``).
    """
    hi_upper = hi_lower = lo_upper = lo_lower = signs = 0
    for i in range(len(bucket)):
        hi, lo = bucket[i, 0], bucket[i, 1]
        hi_upper += hi >> 32
        hi_lower += hi & 0xFFFFFFFF
        lo_upper += lo >> 32
        lo_lower += lo & 0xFFFFFFFF
        signs |= hi | lo | (BASE - 1 - lo)  # the sign bit is set if any of the three is negative
    return hi_upper, hi_lower, lo_upper, lo_lower, signs >= 0


@njit(cache=True)  # type: ignore[untyped-decorator]
def multiply(a: np.uint64, b: np.uint64) -> tuple[np.uint64, np.uint64]:
    """Return ``a * b`` as its upper and lower word."""
    a1, a0 = a >> _HALF_WORD, a & _LOW
    b1, b0 = b >> _HALF_WORD, b & _LOW
    low, cross1, cross2 = a0 * b0, a1 * b0, a0 * b1
    middle = (low >> _HALF_WORD) + (cross1 & _LOW) + (cross2 & _LOW)
    upper = a1 * b1 + (cross1 >> _HALF_WORD) + (cross2 >> _HALF_WORD) + (middle >> _HALF_WORD)
    return upper, (middle << _HALF_WORD) | (low & _LOW)


@njit(cache=True)  # type: ignore[untyped-decorator]
def _next_digit(rest: np.uint64, digit: np.uint64, divisor: np.uint64) -> tuple[np.uint64, np.uint64]:
    """Divide ``rest * 2**32 + digit`` by ``divisor``: quotient (below 2**32) and remainder; see `divide`."""
    d1, d0 = divisor >> _HALF_WORD, divisor & _LOW
    guess = rest // d1
    over = rest - guess * d1
    # a guess is at most 2**32 + 1, because divisor >= 2**63: no product or shift below leaves a word
    while guess * d0 > ((over << _HALF_WORD) | digit):
        guess -= _ONE
        over += d1
        if over > _LOW:
            break
    return guess, ((rest << _HALF_WORD) | digit) - guess * divisor


@njit(cache=True)  # type: ignore[untyped-decorator]
def divide(upper: np.uint64, lower: np.uint64, divisor: np.uint64) -> tuple[np.uint64, np.uint64]:
    """Return quotient and remainder of the two-word ``(upper, lower)`` by ``divisor``.

    Needs ``divisor >= 2**63`` and ``upper < divisor``. Knuth (1997), The Art of Computer Programming 2, algorithm D,
    with two digits of 32 bits.
    """
    q1, rest = _next_digit(upper, lower >> _HALF_WORD, divisor)
    q0, rest = _next_digit(rest, lower & _LOW, divisor)
    return (q1 << _HALF_WORD) | q0, rest


@njit(cache=True)  # type: ignore[untyped-decorator]
def _shift_half_even(upper: np.uint64, lower: np.uint64, bits: int) -> np.uint64:
    """Return ``(upper, lower) / 2**bits`` rounded half to even, for 0 < bits < 128 and a result below 2**64."""
    if bits <= 64:
        kept = upper if bits == 64 else (upper << np.uint64(64 - bits)) | (lower >> np.uint64(bits))
        rest, tail, half = lower, _ZERO, _ONE << np.uint64(bits - 1)
        if bits < 64:
            rest = lower & ((_ONE << np.uint64(bits)) - _ONE)
    else:
        kept = upper >> np.uint64(bits - 64)
        rest, tail = upper & ((_ONE << np.uint64(bits - 64)) - _ONE), lower
        half = _ONE << np.uint64(bits - 65)
    if rest > half or (rest == half and (tail > _ZERO or kept & _ONE)):
        kept += _ONE
    return kept


@njit(cache=True)  # type: ignore[untyped-decorator]
def round_floats(bits: Limbs, hi: Limbs, lo: Limbs) -> None:
    """Write the amounts nearest to floats given by their bit patterns, (n,), each in [0, 2**63); half to even.

    A float is ``mantissa * 2**-scale``. Its whole part is a shift; its fraction times 10**18 is a product of at most
    113 bits, shifted by ``scale`` and rounded once. A fraction below 1 has at most 53 bits, so at least 2**-53 (111
    units) is missing to the next whole PRANA, and rounding never carries into ``hi``.
    """
    for i in range(len(bits)):
        word = np.uint64(bits[i]) & ~_TOP  # a negative zero is a zero
        exponent = int(word >> _FRACTION_BITS)
        mantissa = (word & ((_ONE << _FRACTION_BITS) - _ONE)) | (_ONE << _FRACTION_BITS)
        scale = _EXPONENT_BIAS - exponent  # 1075 for zero and the subnormals, whose mantissa has no such leading bit
        hi[i] = lo[i] = 0
        if scale <= 0:
            hi[i] = np.int64(mantissa << np.uint64(-scale))
        elif scale < 128:  # the others are below half a unit
            fraction = mantissa
            if scale <= 52:
                hi[i] = np.int64(mantissa >> np.uint64(scale))
                fraction = mantissa & ((_ONE << np.uint64(scale)) - _ONE)
            upper, lower = multiply(fraction, _BASE)
            lo[i] = np.int64(_shift_half_even(upper, lower, scale))


@njit(cache=True)  # type: ignore[untyped-decorator]
def join_words(hi: Limbs, lo: Limbs, words: Words) -> None:
    """Write ``hi * 10**18 + lo`` as lower and upper word, (n, 2): the layout of Arrow's decimal128."""
    for i in range(len(hi)):
        upper, lower = multiply(np.uint64(hi[i]), _BASE)
        total = lower + np.uint64(lo[i])
        words[i, 0] = total
        words[i, 1] = upper + _ONE if total < lower else upper


@njit(cache=True)  # type: ignore[untyped-decorator]
def _quantise(weight: Floats, whole: Words) -> np.uint64:
    """Turn weights into integers in proportion, in place, and return their sum, at least 2**63 (0: no weight).

    The scale is a power of two, chosen so that the largest weight keeps all its 53 bits in a group of up to 2047
    parts and that the sum cannot overflow; weights that are small integers keep their exact ratios.
    """
    largest = 0.0
    for w in weight:
        largest = max(largest, w)
    if largest == 0.0:
        return _ZERO
    size = 0
    while len(weight) >> size:
        size += 1
    shift = min(53, 64 - size) - math.frexp(largest)[1]
    total = _ZERO
    for i in range(len(weight)):
        whole[i] = np.uint64(np.rint(math.ldexp(weight[i], shift)))
        total += whole[i]
    raised = _ZERO
    while not (total << raised) & _TOP:
        raised += _ONE
    for i in range(len(weight)):
        whole[i] <<= raised
    return total << raised


@njit(cache=True)  # type: ignore[untyped-decorator]
def _share(hi: np.uint64, lo: np.uint64, weight: np.uint64, total: np.uint64) -> tuple[np.uint64, np.uint64, np.uint64]:
    """Return ``floor((hi * 10**18 + lo) * weight / total)`` as two limbs and its remainder, exactly.

    Long division in base 10**18: first ``hi * weight``, then its remainder brought down to ``lo * weight``. Needs
    ``weight <= total`` and ``total >= 2**63``.
    """
    upper, lower = multiply(hi, weight)
    part_hi, rest = divide(upper, lower, total)
    upper, lower = multiply(rest, _BASE)
    extra_upper, extra_lower = multiply(lo, weight)
    lower += extra_lower
    upper += extra_upper + (_ONE if lower < extra_lower else _ZERO)
    part_lo, rest = divide(upper, lower, total)
    return part_hi + part_lo // _BASE, part_lo % _BASE, rest


@njit(cache=True)  # type: ignore[untyped-decorator]
def _nth_largest(values: Words, n: int) -> np.uint64:
    """Return the ``n``-th largest value, found bit by bit from the highest: 64 passes whatever the size, no sort."""
    found = _ZERO
    for bit in range(63, -1, -1):
        guess = found | (_ONE << np.uint64(bit))
        reaching = 0
        for value in values:
            reaching += value >= guess
        if reaching >= n:
            found = guess
    return found


@njit(cache=True)  # type: ignore[untyped-decorator]
def _largest(remainder: Words, count: int) -> Limbs:
    """Return the rows of the ``count`` largest remainders, ties to the lowest row; may overwrite ``remainder``."""
    rows = np.empty(count, np.int64)
    if len(remainder) <= _FEW:
        for k in range(count):
            best = 0
            for i in range(1, len(remainder)):
                if remainder[i] > remainder[best]:
                    best = i
            rows[k] = best
            remainder[best] = _ZERO  # more parts have a remainder than there are units left over
        return rows
    least = _nth_largest(remainder, count)
    ties = count
    for value in remainder:
        ties -= value > least
    k = 0
    for i in range(len(remainder)):
        tied = remainder[i] == least and ties > 0
        ties -= tied
        if tied or remainder[i] > least:
            rows[k] = i
            k += 1
    return rows


@njit(cache=True)  # type: ignore[untyped-decorator]
def _split(hi: int, lo: int, weight: Floats, part_hi: Limbs, part_lo: Limbs) -> bool:
    """Split one amount over the parts of one group; false where there is money but no weight."""
    n = len(weight)
    whole = np.empty(n, np.uint64)
    total = _quantise(weight, whole)
    part_hi[:] = part_lo[:] = 0
    if total == _ZERO or (hi == 0 and lo == 0):
        return hi == 0 and lo == 0
    left_hi, left_lo = hi, lo
    for i in range(n):
        share_hi, share_lo, whole[i] = _share(np.uint64(hi), np.uint64(lo), whole[i], total)
        part_hi[i], part_lo[i] = np.int64(share_hi), np.int64(share_lo)
        left_hi -= part_hi[i]
        left_lo -= part_lo[i]
        if left_lo < 0:
            left_lo += BASE
            left_hi -= 1
    for i in _largest(whole, left_lo):  # fewer units are left over than there are parts
        part_lo[i] += 1
        if part_lo[i] == BASE:
            part_lo[i] = 0
            part_hi[i] += 1
    return True


@njit(cache=True)  # type: ignore[untyped-decorator]
def split_groups(
    hi: Limbs, lo: Limbs, weight: Floats, start: Limbs, part_hi: Limbs, part_lo: Limbs
) -> int:  # fmt: skip
    """Split amount ``g`` over parts ``start[g]`` to ``start[g + 1]`` by largest remainders.

    Parameters
    ----------
    hi, lo : (n_groups,) amounts
    weight : (n_parts,) finite, not negative
    start : (n_groups + 1,) offsets, the last one n_parts
    part_hi, part_lo : (n_parts,) written

    Returns
    -------
    The first group that has money but no weight, or -1.
    """
    for g in range(len(hi)):
        a, b = start[g], start[g + 1]
        if b - a == 1 and weight[a] > 0.0:
            part_hi[a], part_lo[a] = hi[g], lo[g]
        elif not _split(hi[g], lo[g], weight[a:b], part_hi[a:b], part_lo[a:b]):
            return g
    return -1


def sum_units(bucket: Limbs) -> tuple[int, bool]:
    """Return the exact sum of amounts, (n, 2), in units, and whether every one of them is well formed."""
    hi1, hi0, lo1, lo0, sound = sum_halves(bucket)
    return ((hi1 << 32) + hi0) * BASE + (lo1 << 32) + lo0, sound


def basis_points(hi: Limbs, lo: Limbs, bps: int) -> tuple[Limbs, Limbs]:
    """Return ``floor(amount * bps / 10000)`` as two limbs, (n,), for 0 <= bps <= 10000.

    Both limbs are divided by 10000 first, so that no product leaves 64 bits.
    """
    (hi, hi_rest), (lo, lo_rest) = np.divmod(hi, 10_000), np.divmod(lo, 10_000)
    whole, rest = np.divmod(hi_rest * bps, 10_000)
    units = rest * (BASE // 10_000) + lo * bps + lo_rest * bps // 10_000
    carry = units >= BASE
    return hi * bps + whole + carry, units - carry * BASE
