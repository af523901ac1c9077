"""What the market had to offer in a period, as the pools' books remember it: every job, and who served it when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Floats, Slots
from celluler_sim.markets.rows import Rows

if TYPE_CHECKING:
    from celluler_sim.institutions.pools_kernels import OfferedJobs

Columns = dict[str, npt.NDArray[Any]]
NOBODY = -1


class JobLog:
    """Jobs that have become final and are not long over, in consensus order."""

    def __init__(self, n_resources: int) -> None:
        f, i = np.float64, np.int64
        self._rows = Rows(
            {"latest": -np.inf, "end": -np.inf, "server": NOBODY},
            job=i, ready=f, latest=f, bid=f, amount=f, work=f, need=(f, 1 + n_resources), quote=f, server=i, start=f,
            end=f, price=f,
        )  # fmt: skip

    def __len__(self) -> int:
        """Return how many jobs it remembers."""
        return len(self._rows)

    def arrive(self, requests: Columns) -> None:
        """Note requests that became final, in consensus order; columns as in `ResourceMarket.waiting`."""
        need = np.concatenate([requests["amount"][:, None], requests["demand"]], axis=1)
        latest = np.minimum(requests["give_up"], requests["deadline"] - requests["work"] / requests["amount"])
        self._rows.append(
            job=requests["job"], ready=requests["ready"], latest=latest, bid=requests["bid"],
            amount=requests["amount"], work=requests["work"], need=need, quote=np.nan, server=NOBODY, start=np.nan,
            end=np.inf, price=np.nan,
        )  # fmt: skip

    def quote(self, price: float) -> None:
        """Note the market's price of this clearing for the jobs that have arrived since the last one."""
        rows = self._rows["quote"]
        rows[np.isnan(rows)] = price

    def served(self, fills: Columns) -> None:
        """Note who serves which job from when to when, and what the provider gets for it."""
        job = self._rows["job"]
        by = np.argsort(job, kind="stable")
        place = by[np.minimum(np.searchsorted(job, fills["job"], sorter=by), max(len(by) - 1, 0))]
        known = job[place] == fills["job"]
        rows = place[known]
        self._rows["server"][rows] = fills["provider"][known]
        self._rows["start"][rows], self._rows["end"][rows] = fills["start"][known], fills["end"][known]
        self._rows["price"][rows] = (fills["price"] - fills["skim"])[known]

    def offered(self, servers: Slots, since: float, until: float) -> OfferedJobs:
        """Return the jobs that ``servers`` served in [since, until) s, or nobody, in the order to serve them in.

        Those running at ``since`` come first, with what is left of them; then consensus order. A job that nobody
        served counts if its bid covers the price quoted when it came, at which it would have paid.
        """
        from celluler_sim.institutions.pools_kernels import OfferedJobs

        r = self._rows
        ours = np.isin(r["server"], servers) & (r["end"] > since) & (r["start"] < until)
        nobodys = (r["server"] == NOBODY) & (r["latest"] >= since) & (r["ready"] < until) & (r["bid"] >= r["quote"])
        rows = np.flatnonzero(ours | nobodys)
        ours = ours[rows]
        begun = ours & (r["start"][rows] < since)
        order = np.argsort(np.where(begun, -np.inf, np.maximum(r["ready"][rows], since)), kind="stable")
        rows, begun, ours = rows[order], begun[order], ours[order]
        left = np.where(begun, r["end"][rows] - since, r["work"][rows] / r["amount"][rows])
        return OfferedJobs(
            ready=np.maximum(np.where(begun, since, r["ready"][rows]), since),
            latest=np.where(begun, since, r["latest"][rows]),
            seconds=left,
            need=r["need"][rows],
            price=np.where(ours, r["price"][rows], r["quote"][rows]),
        )

    def done(self, servers: Slots, since: float, until: float) -> Floats:
        """Return the work that each of ``servers`` did in [since, until) s, (n_servers,) units."""
        r = self._rows
        mine = np.flatnonzero(r["server"] != NOBODY)
        seconds = np.minimum(r["end"][mine], until) - np.maximum(r["start"][mine], since)
        units = r["amount"][mine] * np.maximum(seconds, 0.0)
        return np.array([units[r["server"][mine] == server].sum() for server in servers])

    def forget(self, until: float) -> None:
        """Drop what was over by ``until`` (s)."""
        r = self._rows
        over = np.where(r["server"] == NOBODY, r["latest"] < until, r["end"] <= until)
        self._rows.drop(np.flatnonzero(over & r["alive"]))
