"""Compiled loops that draw arrivals: births of a Poisson process, renewals with bursts, slowly wandering rates.

Every draw is a counter-based one (SplitMix64, as in `celluler_sim.streams`), so it belongs to its slot alone.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from celluler_sim.book import Floats, Slots

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)
_ONE = np.uint64(1)
_S11, _S27, _S30, _S31, _S40 = np.uint64(11), np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(40)

_BLOCK = 256  # slots hashed at a stretch: without a branch the compiler uses vector instructions
_PIECE = 32.0  # births expected in one inversion: above, exp(-m) loses digits and the search grows long


@njit(cache=True, inline="always")  # type: ignore[untyped-decorator]
def _uniform(key: np.uint64, position: np.uint64) -> float:
    """Return `Draws(key).uniform` at one position, in (0, 1)."""
    z = key + (position + _ONE) * _GOLDEN
    z = (z ^ (z >> _S30)) * _MIX1
    z = (z ^ (z >> _S27)) * _MIX2
    z ^= z >> _S31
    return float(np.int64(z >> _S11)) * 2.0**-53 + 2.0**-54


@njit(cache=True)  # type: ignore[untyped-decorator]
def _poisson(key: np.uint64, slot: np.uint64, mean: float) -> int:
    """Return one Poisson draw: inversion, in pieces of at most `_PIECE` expected births."""
    pieces = max(1, math.ceil(mean / _PIECE))
    part = mean / pieces
    total = 0
    for piece in range(pieces):
        u = _uniform(key, slot + (np.uint64(piece) << _S40))
        probability = math.exp(-part)
        below = probability
        count = 0
        while u > below and probability > 0.0:
            count += 1
            probability *= part / count
            below += probability
        total += count
    return total


@njit(cache=True)  # type: ignore[untyped-decorator]
def _mark(key: np.uint64, rate: Floats, seconds: float, first: int, marked: npt.NDArray[np.bool_]) -> None:
    """Mark the slots that may have a birth, without exp: since 1 - m <= exp(-m), a draw below 1 - m means none."""
    for j in range(marked.shape[0]):
        z = key + np.uint64(first + j + 1) * _GOLDEN
        z = (z ^ (z >> _S30)) * _MIX1
        z = (z ^ (z >> _S27)) * _MIX2
        z ^= z >> _S31
        u = float(np.int64(z >> _S11)) * 2.0**-53 + 2.0**-54
        marked[j] = not u < 1.0 - rate[first + j] * seconds


@njit(cache=True)  # type: ignore[untyped-decorator]
def _scan_births(key: np.uint64, rate: Floats, seconds: float, slots: Slots, nth: Slots) -> int:
    """Write the slot and the number of each birth, as far as there is room; return how many there are."""
    n = 0
    block = np.empty(_BLOCK, np.bool_)
    for first in range(0, rate.shape[0], _BLOCK):
        marked = block[: min(_BLOCK, rate.shape[0] - first)]
        _mark(key, rate, seconds, first, marked)
        for j in range(marked.shape[0]):
            mean = rate[first + j] * seconds
            if not marked[j] or not mean > 0.0:
                continue
            for k in range(_poisson(key, np.uint64(first + j), mean)):
                if n < slots.shape[0]:
                    slots[n], nth[n] = first + j, k
                n += 1
    return n


def births(key: int, rate: Floats, seconds: float) -> tuple[Slots, Slots]:
    """Draw how many jobs each slot's Poisson process brings forth.

    Parameters
    ----------
    key
        Root of the draws; slot ``i`` uses the uniform at position ``i``.
    rate
        (n_slots,) births per second; NaN and negative rates bring none.
    seconds
        Length of the interval times the mean factor on the rates in it.

    Returns
    -------
    slots, nth
        (n_births,) slot of each birth, ascending, and its number among the slot's births in this interval, from 0.
    """
    room = len(rate) // 16 + 64
    while True:
        slots, nth = np.empty(room, np.int64), np.empty(room, np.int64)
        n = _scan_births(np.uint64(key), rate, seconds, slots, nth)
        if n <= room:
            return slots[:n], nth[:n]
        room = n


@njit(cache=True)  # type: ignore[untyped-decorator]
def _normal(key: np.uint64, at: np.uint64) -> float:
    """Return a standard normal by Box and Muller (1958), from positions ``at`` and ``at + 1``."""
    radius = math.sqrt(-2.0 * math.log(_uniform(key, at)))
    return radius * math.cos(2.0 * math.pi * _uniform(key, at + _ONE))


@njit(cache=True)  # type: ignore[untyped-decorator]
def _gamma(key: np.uint64, at: np.uint64, shape: float) -> tuple[float, np.uint64]:
    """Return a gamma draw of unit scale and the next free position: Marsaglia and Tsang (2000)."""
    boost = 1.0
    if shape < 1.0:
        boost = _uniform(key, at) ** (1.0 / shape)
        at += _ONE
        shape += 1.0
    d = shape - 1.0 / 3.0
    c = 1.0 / math.sqrt(9.0 * d)
    while True:
        x = _normal(key, at)
        u = _uniform(key, at + np.uint64(2))
        at += np.uint64(3)
        v = (1.0 + c * x) ** 3
        if v > 0.0 and math.log(u) < 0.5 * x * x + d - d * v + d * math.log(v):
            return boost * d * v, at


@njit(cache=True)  # type: ignore[untyped-decorator]
def _gap(key: np.uint64, at: np.uint64, shape: float, weibull: bool) -> tuple[float, np.uint64]:
    """Return one gap of unit scale and the next free position."""
    if weibull:
        return (-math.log(_uniform(key, at))) ** (1.0 / shape), at + _ONE
    x, at = _gamma(key, at, shape)
    return x, at


@njit(cache=True)  # type: ignore[untyped-decorator]
def _covering_gap(key: np.uint64, at: np.uint64, shape: float, weibull: bool) -> tuple[float, np.uint64]:
    """Return a gap that covers a random moment, and so is longer: the law of the gaps, weighted by length."""
    x, at = _gamma(key, at, 1.0 + 1.0 / shape if weibull else 1.0 + shape)
    return x ** (1.0 / shape) if weibull else x, at


@njit(cache=True)  # type: ignore[untyped-decorator]
def renewals(
    keys: npt.NDArray[np.uint64],
    rate: Floats,
    shape: Floats,
    weibull: npt.NDArray[np.bool_],
    length: float,
) -> tuple[Slots, Floats]:
    """Draw the arrivals of stationary renewal processes in a window of ``length`` seconds, one process a row.

    The first gap is what a random moment sees of the gap it falls into (a uniform share of a length-biased gap), so the
    expected number of arrivals is exactly ``rate * length`` however bursty they are.

    Parameters
    ----------
    keys
        (n,) root of each process's draws.
    rate, shape
        (n,) arrivals per second (0: none) and shape of the gaps' law.
    weibull
        (n,) whether the gaps are Weibull; otherwise gamma.
    length
        Seconds.

    Returns
    -------
    row, time
        (n_arrivals,) the process and the time in [0, length), ascending within a process.
    """
    rows, times = np.empty(1024, np.int64), np.empty(1024, np.float64)
    n = 0
    for i in range(rate.shape[0]):
        if not rate[i] > 0.0:
            continue
        unit = math.gamma(1.0 + 1.0 / shape[i]) if weibull[i] else shape[i]  # mean gap at unit scale
        scale = 1.0 / (rate[i] * unit)
        gap, at = _covering_gap(keys[i], np.uint64(0), shape[i], weibull[i])
        time = gap * scale * _uniform(keys[i], at)
        at += _ONE
        while time < length:
            if n == rows.shape[0]:
                rows, times = np.append(rows, np.empty_like(rows)), np.append(times, np.empty_like(times))
            rows[n], times[n] = i, time
            n += 1
            gap, at = _gap(keys[i], at, shape[i], weibull[i])
            time += gap * scale
    return rows[:n], times[:n]


@njit(cache=True)  # type: ignore[untyped-decorator]
def wander(noise: Floats, keep: float, spread: float) -> Floats:
    """Return a stationary first-order autoregression, (n,), driven by (n,) standard normals.

    ``keep`` is the correlation of neighbours, ``spread`` the standard deviation.
    """
    path = np.empty_like(noise)
    step = math.sqrt(1.0 - keep * keep)
    state = noise[0]
    path[0] = state * spread
    for k in range(1, noise.shape[0]):
        state = keep * state + step * noise[k]
        path[k] = state * spread
    return path
