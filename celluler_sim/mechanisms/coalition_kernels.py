"""Compiled loops over coalitions and their parts."""

from __future__ import annotations

from numba import njit

from celluler_sim.book import Floats


@njit(cache=True)  # type: ignore[untyped-decorator]
def first_gainful_split(worth: Floats, slack: float) -> tuple[int, int]:
    """Return the first coalition worth less than two parts of it, and one of the parts; (0, 0) if there is none.

    ``worth`` is (2**n,) by mask. Looks at every coalition and every part of it, 3**n / 2 pairs.
    """
    for whole in range(1, len(worth)):
        part = (whole - 1) & whole
        while part > whole ^ part:
            if worth[whole] < worth[part] + worth[whole ^ part] - slack:
                return whole, part
            part = (part - 1) & whole
    return 0, 0
