"""Compiled form of the counter-based draws in `celluler_sim.streams`: the same numbers, without temporaries."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit


@njit(cache=True)  # type: ignore[untyped-decorator]
def uniforms(key: np.uint64, slots: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return `Draws.uniform` of the stream ``key`` at ``slots``, (n,)."""
    out = np.empty(len(slots))
    for i in range(len(slots)):
        z = key + (np.uint64(slots[i]) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
        out[i] = min(np.float64(z >> np.uint64(11)) * 2.0**-53 + 2.0**-54, 1.0 - 2.0**-53)  # the sum may round to 1
    return out
