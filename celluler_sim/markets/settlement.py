"""What a market owes, gathered over a tick and then carried out by the ledger at once."""

from __future__ import annotations

import numpy as np

from celluler_sim.book import Floats, Slots
from celluler_sim.errors import InvariantError
from celluler_sim.ledger import Amounts, Ledger, split_groups
from celluler_sim.markets.rows import Columns


class Settlement:
    """Payments out of escrow and refunds of it, until they are carried out."""

    def __init__(self) -> None:
        self._payments: list[tuple[Slots, Slots, Amounts]] = []
        self._refunds: list[tuple[Slots, Amounts]] = []

    def pay(self, source: Slots, target: Slots, amounts: Amounts) -> None:
        """Note what accounts owe others, (n,) each, all of it in escrow."""
        self._payments.append((source, target, amounts))

    def refund(self, account: Slots, amounts: Amounts) -> None:
        """Note what accounts get back from escrow, (n,) each."""
        self._refunds.append((account, amounts))

    def forget_refunds(self, kept: int) -> None:
        """Take back all refunds noted after the first ``kept``."""
        del self._refunds[kept:]

    @property
    def n_refunds(self) -> int:
        """Number of batches of refunds that are due."""
        return len(self._refunds)

    def withhold(self, fills: Columns, jobs: Columns, due: Amounts, share: Floats) -> tuple[Amounts, Floats, Floats]:
        """Give consumers back what was not earned.

        Parameters
        ----------
        fills, jobs
            What has ended.
        due
            What each fill would be paid, (n_fills,).
        share
            Share of it that was earned, (n_fills,), [0, 1].

        Returns
        -------
        What is still due, (n_fills,), and per job the PRANA given back and the work missing, (n_jobs,) each.
        """
        parts = split_groups(due, np.stack([share, 1 - share], axis=1).ravel(), 2 * np.arange(len(share)))
        self.refund(fills["account"], parts[1::2])
        job = np.searchsorted(jobs["job"], fills["job"], sorter=(by := np.argsort(jobs["job"], kind="stable")))
        missing = (1 - share) * fills["work"]
        back = np.zeros(len(by))
        lost = back.copy()
        np.add.at(back, by[job], missing * fills["price"])
        np.add.at(lost, by[job], missing)
        return parts[::2], back, lost

    def skim(self, fills: Columns, due: Amounts, proposers: Slots) -> Amounts:
        """Let proposers have what they took; return what is left for the providers, (n_fills,).

        ``proposers`` are the accounts of those that may propose, by number.
        """
        rows = np.flatnonzero(fills["skim"] > 0)
        if not len(rows):
            return due
        shares = np.stack([fills["skim"][rows], fills["price"][rows] - fills["skim"][rows]], axis=1)
        parts = split_groups(due[rows], shares.ravel(), 2 * np.arange(len(rows)))
        self.pay(fills["account"][rows], proposers[fills["proposer"][rows]], parts[::2])
        hi, lo = due.hi.copy(), due.lo.copy()
        hi[rows], lo[rows] = parts.hi[1::2], parts.lo[1::2]
        return Amounts(hi, lo)

    def carry_out(self, ledger: Ledger, tick: int) -> None:
        """Have the ledger execute everything that is due.

        Raises
        ------
        InvariantError
            The ledger refused a payment: it was not in escrow.
        """
        refused = [ledger.pay_escrow(*payment, "pay") for payment in self._payments]
        refused += [ledger.release(*refund) for refund in self._refunds]
        if any(r.any() for r in refused):
            raise InvariantError(f"tick {tick}: what is due must be in escrow, got a payment the ledger refused")
        self._payments.clear()
        self._refunds.clear()
