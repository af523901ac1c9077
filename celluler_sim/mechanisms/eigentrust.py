"""EigenTrust: trust flows along who rated whom, and springs from those who are trusted beforehand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from celluler_sim.book import Floats, Slots
from celluler_sim.errors import ScenarioError, require
from celluler_sim.mechanisms.base import register
from celluler_sim.mechanisms.laws import Law
from celluler_sim.mechanisms.reputation import Exponential, Links, Ratings, Standing

ROUNDS = 100_000  # of the iteration at most; with a restart share of 0.15 about 170 are needed


def eigentrust(links: Links, pretrusted: Floats, restart: float, tolerance: float = 1e-12) -> Floats:
    """Return the global trust of every agent, (n_agents,), with sum 1.

    Steps, with p the pre-trusted distribution and a the restart share:

    1. c_ij = max(s_ij, 0) / sum_j max(s_ij, 0); who trusts nobody trusts as p does.
    2. t = p. So whom no chain of trust reaches from the pre-trusted has exactly 0 throughout.
    3. t <- (1 - a) C' t + a p, until what is left to move is below ``tolerance``.

    Parameters
    ----------
    links
        s_ij, as rows.
    pretrusted
        (n_agents,), >= 0, not all 0; scaled to sum 1.
    restart
        a, [0, 1].

    References
    ----------
    Kamvar, Schlosser and Garcia-Molina (2003), The EigenTrust algorithm for reputation management in P2P networks.
    """
    require("reputation.restart", restart, at_least=0, at_most=1)
    if not (np.isfinite(pretrusted).all() and (pretrusted >= 0).all() and pretrusted.sum() > 0):
        raise ScenarioError(
            "reputation: pre-trusted weights must be finite numbers >= 0, one of them > 0; correct them"
        )
    n, p = len(pretrusted), np.asarray(pretrusted, dtype=np.float64) / np.sum(pretrusted)
    given = np.maximum(links.balance, 0.0)
    total = np.bincount(links.truster, given, n)
    share = given / np.where(total > 0, total, 1.0)[links.truster]
    silent = total <= 0
    t: Floats = p
    left = tolerance * (restart / (1 - restart) if 0 < restart < 1 else 1.0)
    for _ in range(ROUNDS):
        flow = np.bincount(links.trustee, share * t[links.truster], n) + t[silent].sum() * p
        new = (1 - restart) * flow + restart * p
        moved, t = float(np.abs(new - t).sum()), new / new.sum()
        if moved <= left or moved == 0.0:
            return t
        if moved <= 4e-16 * n:  # nothing but rounding moves
            return t
    raise ScenarioError(f"reputation.restart must be > 0 where trust runs in circles, got {restart:g}; raise it")


@register("reputation", "eigentrust")
@dataclass(frozen=True, kw_only=True)
class EigenTrust(Exponential):
    """Global trust over who rated whom: praise counts as much as the one who gives it is trusted.

    An agent whose trust t equals the mean trust r of the pre-trusted scores 1/2: merit = t / (t + r). Identities that
    no trusted agent ever praised have t = 0 and change nobody else's score, however many there are, as long as they
    are not pre-trusted themselves; weighting pre-trust by stake has that effect. The metrics are smoothed outcomes, as
    under `exponential`; what the market itself measured moves them and no trust.
    """

    restart: float = 0.15  # share of trust that springs from the pre-trusted in every round
    neutral: float = 0.5  # ratings above it build trust, those below it take it away
    tolerance: float = 1e-9  # trust that may be left to move when the iteration stops

    claims: ClassVar[frozenset[Law]] = frozenset({
        Law.SCORES_BOUNDED, Law.BLIND_TO_NAMES, Law.SYBIL_BOUNDED, Law.TICK_FREE,
    })  # fmt: skip

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        require("reputation.restart", self.restart, above=0, at_most=1)
        require("reputation.neutral", self.neutral, at_least=0, below=1)
        require("reputation.tolerance", self.tolerance, above=0, at_most=1e-3)

    def linked(self, standing: Standing, ratings: Ratings) -> Links:
        """Return the links with what these ratings add, value less `neutral` each; praise of oneself counts nothing."""
        rows = (ratings.rater >= 0) & (ratings.rater != ratings.ratee)
        old, n = standing.links, max(len(standing), 1)
        key = np.concatenate([old.truster * n + old.trustee, ratings.rater[rows] * n + ratings.ratee[rows]])
        added = np.concatenate([old.balance, ratings.value[rows] - self.neutral])
        pairs, number = np.unique(key, return_inverse=True)
        balance: Floats = np.bincount(number.reshape(-1), added, len(pairs)).astype(np.float64)
        return Links(pairs // n, pairs % n, balance)

    def judged(self, standing: Standing, pretrusted: Floats | None) -> Standing:
        """Return the standing with metrics from its counts and merit from its links."""
        standing = super().judged(standing, pretrusted)
        if not len(standing):
            return standing
        p = np.ones(len(standing)) if pretrusted is None else np.asarray(pretrusted, dtype=np.float64)
        trust = eigentrust(standing.links, p, self.restart, self.tolerance)
        return replace(standing, trust=trust, merit=trust / (trust + float(trust @ p / p.sum())))


def dense(local_trust: Floats) -> Links:
    """Return a matrix of local trust, (n_agents, n_agents), row i what i thinks of the others, as links."""
    matrix = np.asarray(local_trust, dtype=np.float64)
    truster, trustee = np.nonzero(matrix)
    return Links(_slots(truster), _slots(trustee), matrix[truster, trustee])


def _slots(column: np.ndarray[tuple[int], np.dtype[np.intp]]) -> Slots:
    return column.astype(np.int64)
