"""What a delivery earns, what it is fined, and what a fraud came to for its author."""

from __future__ import annotations

import numpy as np

from celluler_sim.book import Floats
from celluler_sim.institutions.trust import StandardTrust
from celluler_sim.institutions.trust_conduct import Conduct, Deliveries
from celluler_sim.institutions.trust_judging import Findings, offence_of
from celluler_sim.mechanisms.penalties import OFFENCES, Penalty
from celluler_sim.mechanisms.verification import Verification

DOWNTIME = OFFENCES.index("downtime")


def consequences(
    rule: StandardTrust, penalty: Penalty, verification: Verification, price: Floats, d: Deliveries, f: Findings
) -> tuple[Floats, Floats]:
    """Return the share of its price that each delivery earned, [0, 1], and what it is fined, PRANA, both (n,).

    1. What the customer saw missing is not paid (`refunds`), nor what a check found missing (`forfeits`).
    2. Of the rest the customer gets a compensation by the gravity of the breach.
    3. The fine is a multiple of what was charged for work that a check found missing.
    """
    unpaid = np.maximum(np.where(d.failed, d.missing, 0.0) * rule.refunds, f.missing * rule.forfeits)
    severity = penalty.severity(np.array([DOWNTIME, offence_of(verification)]))
    owed = price * (1.0 - unpaid)
    earned = owed - rule.quality.compensated(owed, np.maximum(severity[0] * d.failed, severity[1] * f.guilty))
    share = np.divide(earned, price, out=1.0 - unpaid, where=price > 0)
    return np.clip(share, 0.0, 1.0), rule.fine_multiple * f.missing * price


def payoffs(
    rule: StandardTrust, conduct: Conduct, price: Floats, cost: Floats, d: Deliveries, share: Floats, fine: Floats
) -> Floats:
    """Return what each fraud came to against an honest delivery, over the most that was at stake, (n,), [-1, 1].

    Parameters
    ----------
    price, cost
        Of the whole delivery, (n,) PRANA: what was agreed, and what doing the work costs.
    share, fine
        See `consequences`.
    """
    overcharge = d.missing * price
    gain = conduct.gains(d, overcharge, d.missing * cost)
    sold_twice = conduct.trait("gains", d.provider) == "price"
    stake = np.where(sold_twice, overcharge, price) + rule.fine_multiple * overcharge
    payoff = np.where(d.cheated, gain - (1.0 - share) * price - fine, 0.0)
    return np.asarray(np.clip(payoff / np.where(stake > 0, stake, 1.0), -1.0, 1.0))
