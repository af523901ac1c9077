"""The error of sampling falls as theory says."""

from __future__ import annotations

import numpy as np

from celluler_sim.analysis.plots_sampling import convergence, draw
from celluler_sim.mechanisms.game_forms import weighted_voting


def test_plain_sampling_errs_as_theory_says_and_the_others_less():
    """A vote of nine: sixteen times the orders, a quarter of the error; rotations err less, reversals by sqrt 2 more.

    The vote is its own dual: the member that tips an order tips its reverse, so the second look sees nothing new.
    """
    found = convergence(weighted_voting(13, [5, 4, 4, 3, 3, 2, 2, 1, 1]), [64, 1024], repetitions=60)
    assert np.allclose(found.error["plain"] / found.theory, 1.0, atol=0.15)
    assert 3.2 < found.error["plain"][0] / found.error["plain"][1] < 5.0
    assert found.error["stratified"][1] < found.error["plain"][1]
    assert np.allclose(found.error["antithetic"] / found.theory, np.sqrt(2), atol=0.2)
    (axes,) = draw(found).axes
    assert len(axes.lines) == 4
    assert axes.get_xscale() == axes.get_yscale() == "log"
