"""Who the customers of a language model are: each client's rate and burstiness over time, and its tokens.

Taken from the trace of Xiang et al. (2025), or generated from laws fitted to it. The generator reproduces, for each of
its two models: total rate, how unequal the clients are (Gini coefficient, share of the largest), the quantiles
of the coefficient of variation of a client's times between requests, how much of it belongs to the client rather than
to the window, the share of windows in which clients are active, the hours of the day, and mean tokens by client.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Floats, Frozen
from celluler_sim.errors import TraceError
from celluler_sim.workloads.fitted import Quantiles
from celluler_sim.workloads.profiles import hour_of_day_profile

if TYPE_CHECKING:
    import pandas as pd

WINDOW = 600.0
"""Seconds over which a client's rate and burstiness are taken as constant."""
TOKEN_WINDOW = 21600.0
"""Seconds over which a client's token counts have one mean."""
_P90_OVER_P10 = 2.563  # standard deviations between the 10 % and the 90 % quantile of a normal
_WIDEST = 2.0  # of log tokens: beyond, quantiles on a few requests say little


@dataclass(frozen=True)
class Clients(Frozen):
    """What each client asks for, by window of 10 minutes; tokens by window of 6 hours."""

    rate: Floats  #    (n_clients, n_windows) requests/s
    cv: Floats  #      (n_clients, n_windows) of the times between requests
    weibull: npt.NDArray[np.bool_]  # (n_clients, n_windows) whether their law is Weibull; otherwise gamma
    context: Floats  # (n_clients, n_token_windows) mean tokens read
    context_spread: Floats  #   (n_clients, n_token_windows) standard deviation of their log
    generated: Floats  #        (n_clients, n_token_windows) mean tokens written
    generated_spread: Floats  # (n_clients, n_token_windows) standard deviation of their log

    @property
    def seconds(self) -> float:
        """Length of the record."""
        return float(self.rate.shape[1] * WINDOW)


@dataclass(frozen=True)
class ClientLaw:
    """What was fitted to one model's clients."""

    clients: int
    days: float
    rate: float  # requests/s of all clients, mean
    share: Quantiles  # a client's mean rate over the mean client's
    active: tuple[float, ...]  # share of windows with requests, from the smallest to the largest client, evenly spaced
    run: float  # mean windows on end in which a client that is always active is so; proportionally less for the others
    wander: tuple[float, float]  # standard deviation of a client's log rate, and s over which it is forgotten
    profile: str
    cv: Quantiles
    own: float  # share of the variance of log CV that lies between clients
    weibull: float  # share of active windows whose best law is Weibull
    context: Quantiles  # mean tokens of a client
    generated: Quantiles
    context_spread: float  # standard deviation of log tokens within a client, median
    generated_spread: float


LAWS: Final = {
    "m-small": ClientLaw(
        clients=43,
        days=14,
        rate=1174.4,
        share=Quantiles(
            (0, 0.05, 0.15, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 1),
            (0.00061, 0.00122, 0.00297, 0.00902, 0.05458, 0.37863, 0.67228, 2.66809, 5.91935, 11.48746, 12.84698),
        ),
        active=(0.008, 0.024, 0.258, 0.260, 0.724, 0.932, 0.981),
        run=150.0,
        wander=(0.6, 7200.0),
        profile="llm_m_small",
        cv=Quantiles(
            (0, 0.01, 0.05, 0.103, 0.25, 0.5, 0.64, 0.75, 0.9, 0.95, 0.99, 0.999, 1),
            (0.05, 0.503, 0.925, 1.0, 1.059, 1.214, 1.5, 2.469, 5.525, 9.098, 26.73, 72.7, 100),
        ),
        own=0.62,
        weibull=0.30,
        context=Quantiles((0, 0.05, 0.25, 0.5, 0.75, 0.95, 1), (18.2, 38.8, 198.7, 455.9, 1001.5, 2411.3, 6914.5)),
        generated=Quantiles((0, 0.05, 0.25, 0.5, 0.75, 0.95, 1), (1, 1.3, 21.2, 43.1, 91.5, 197.7, 2485.5)),
        context_spread=0.18,
        generated_spread=0.47,
    ),
    "deepseek-r1": ClientLaw(
        clients=73,
        days=1,
        rate=16.0,
        share=Quantiles(
            (0, 0.05, 0.15, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.993, 1),
            (0.00475, 0.01637, 0.02459, 0.05409, 0.25989, 0.70128, 1.37188, 2.24254, 3.53486, 5.74, 20.87, 35),
        ),
        active=(0.014, 0.027, 0.081, 0.253, 0.604, 0.497, 0.559),
        run=40.0,
        wander=(0.3, 7200.0),
        profile="llm_deepseek",
        cv=Quantiles(
            (0, 0.01, 0.05, 0.25, 0.5, 0.726, 0.75, 0.9, 0.95, 0.99, 0.999, 1),
            (0.2, 0.51, 0.721, 0.923, 1.031, 1.5, 1.661, 3.954, 5.806, 9.695, 18.38, 20.1),
        ),
        own=0.52,
        weibull=0.17,
        context=Quantiles((0, 0.05, 0.25, 0.5, 0.75, 0.95, 1), (38, 67.4, 137.5, 450.8, 1182.3, 5908.2, 17006)),
        generated=Quantiles((0, 0.05, 0.25, 0.5, 0.75, 0.95, 1), (243.9, 297.9, 416.2, 659.8, 1000.1, 2096.4, 16185)),
        context_spread=0.45,
        generated_spread=0.42,
    ),
}


def clients_from(rates: pd.DataFrame, tokens: pd.DataFrame) -> Clients:
    """Return the clients of tables read by `read_llm_client_rates` and `read_llm_client_tokens`.

    A window without token figures takes the client's mean over its others, a client without any (the trace
    lacks five) the median client's.
    """
    names, row = np.unique(rates["client"].to_numpy(), return_inverse=True)
    starts, column = np.unique(rates["time_s"].to_numpy(), return_inverse=True)
    if np.any(np.diff(starts) != WINDOW):
        gap = int(np.argmax(np.diff(starts) != WINDOW))
        raise TraceError(f"client rates, column time_s: must go in steps of {WINDOW:g} s, got {starts[gap : gap + 2]}")
    rate, cv, weibull = np.zeros((3, len(names), len(starts)))
    rate[row, column] = rates["rate"].to_numpy(np.float64)
    cv[row, column] = rates["cv"].to_numpy(np.float64)
    weibull[row, column] = (rates["pattern"] == "Weibull").to_numpy(np.float64)
    n_windows = int(np.ceil(len(starts) * WINDOW / TOKEN_WINDOW))
    context, generated = (_tokens(tokens, side, names, n_windows) for side in ("input", "output"))
    return Clients(rate, cv, weibull > 0, *context, *generated)


def _tokens(tokens: pd.DataFrame, side: str, clients: npt.NDArray[np.int64], n_windows: int) -> tuple[Floats, Floats]:
    """Return mean and spread of the log of one side's tokens, (n_clients, n_windows) each, without gaps."""
    client = tokens["client"].to_numpy()
    column = (tokens["window_start_s"].to_numpy() // TOKEN_WINDOW).astype(np.int64)
    inside = (column < n_windows) & np.isin(client, clients)
    place = np.searchsorted(clients, client[inside]), column[inside]
    mean, low, high = (
        np.maximum(tokens[f"{side}_tokens_{part}"].to_numpy(np.float64), 1.0)[inside] for part in ("mean", "p10", "p90")
    )
    tables = np.full((2, len(clients), n_windows), np.nan)
    tables[0][place] = mean
    tables[1][place] = np.minimum(np.log(high / low) / _P90_OVER_P10, _WIDEST)
    return _filled(tables[0]), _filled(tables[1])


def _filled(table: Floats) -> Floats:
    """Return the table with gaps filled by the mean of their row, and empty rows by the median of the rows' means."""
    known = ~np.isnan(table)
    count = known.sum(axis=1)
    mean = np.nansum(table, axis=1) / np.maximum(count, 1)
    mean[count == 0] = np.median(mean[count > 0]) if count.any() else 1.0
    return np.where(known, table, mean[:, None])


def llm_client_generator(
    rng: np.random.Generator,
    model: Literal["m-small", "deepseek-r1"] = "m-small",
    days: float | None = None,
    clients: int | None = None,
) -> Clients:
    """Generate clients like those of one model (what is fitted: see the module).

    Every client's mean rate over the record is that of its rank, so the inequality is the fitted one in every run; when
    it is active, how bursty it is and how its rate wanders is drawn.
    """
    from scipy.special import ndtr, ndtri

    from celluler_sim.workloads.arrival_kernels import wander

    law = LAWS[model]
    n = clients or law.clients
    n_windows = max(1, round((days or law.days) * 86400 / WINDOW))
    rank = (np.arange(n) + 0.5) / n
    share = law.share.at(rank)
    active = _active(rng, np.interp(rank, np.linspace(0, 1, len(law.active)), law.active), law.run, n_windows)
    spread, memory = law.wander
    paths = np.array([wander(row, np.exp(-WINDOW / memory), spread) for row in rng.standard_normal((n, n_windows))])
    hour = (np.arange(n_windows) * WINDOW // 3600).astype(np.int64) % 24
    rate = np.exp(paths) * hour_of_day_profile(law.profile)[hour] * active
    rate *= (law.rate * share / share.sum() / rate.mean(axis=1))[:, None]
    own, window = ndtri(rng.permutation(rank))[:, None], rng.standard_normal((n, n_windows))
    cv = law.cv.at(ndtr(np.sqrt(law.own) * own + np.sqrt(1 - law.own) * window))
    n_tokens = int(np.ceil(n_windows * WINDOW / TOKEN_WINDOW))
    context, generated = (
        np.repeat(q.at(rng.permutation(rank))[:, None], n_tokens, axis=1) for q in (law.context, law.generated)
    )
    return Clients(
        rate=rate,
        cv=np.where(rate > 0, cv, 0.0),
        weibull=(rng.random((n, n_windows)) < law.weibull) & (rate > 0),
        context=context,
        context_spread=np.full_like(context, law.context_spread),
        generated=generated,
        generated_spread=np.full_like(generated, law.generated_spread),
    )


def _active(rng: np.random.Generator, share: Floats, longest: float, n_windows: int) -> npt.NDArray[np.bool_]:
    """Return when each client is active, (n_clients, n_windows): a two-state chain with the given shares of time."""
    run = np.maximum(longest * share, 1.0)
    rest = run * (1 - share) / share
    # a rest lasts one window at least: a client that is nearly always active runs on for longer instead
    stay = np.where(rest >= 1.0, 1 - 1 / run, np.maximum(1 - (1 - share) / share, 0))
    begin = np.where(rest >= 1.0, 1 / np.maximum(rest, 1.0), 1.0)
    state = rng.random(len(share)) < share
    table = np.empty((len(share), n_windows), np.bool_)
    for k, u in enumerate(rng.random((n_windows, len(share)))):
        table[:, k] = state
        state = np.where(state, u < stay, u < begin)
    silent = ~table.any(axis=1)
    table[silent, rng.integers(0, n_windows, int(silent.sum()))] = True
    return table


def client_facts(clients: Clients) -> dict[str, float]:
    """Return the figures of a set of clients."""
    total, own = clients.rate.sum(axis=0), np.sort(clients.rate.mean(axis=1))
    n = len(own)
    cv = clients.cv[clients.rate > 0]
    hour = (np.arange(len(total)) * WINDOW // 3600).astype(np.int64) % 24
    by_hour = np.bincount(hour, total) / np.maximum(np.bincount(hour), 1)
    by_hour = by_hour[np.bincount(hour) > 0] / total.mean()
    quantiles = {f"cv_p{round(100 * p):02d}": float(np.quantile(cv, p)) for p in (0.05, 0.25, 0.5, 0.75, 0.95)}
    return {
        "clients": float(n),
        "span_s": clients.seconds,
        "requests_per_second": float(total.mean()),
        "requests_per_second_peak": float(total.max()),
        "share_largest_client": float(own[-1] / own.sum()),
        "share_largest_5": float(own[-5:].sum() / own.sum()),
        "share_largest_10": float(own[-10:].sum() / own.sum()),
        "gini": float(np.sum((2 * np.arange(1, n + 1) - n - 1) * own) / (n * own.sum())),
        "share_windows_active": float((clients.rate > 0).mean()),
        **quantiles,
        "share_cv_above_1": float((cv > 1).mean()),
        "share_cv_above_1.5": float((cv > 1.5).mean()),
        "hour_lowest": float(by_hour.min()),
        "hour_highest": float(by_hour.max()),
        "context_tokens_p50": float(np.median(clients.context.mean(axis=1))),
        "generated_tokens_p50": float(np.median(clients.generated.mean(axis=1))),
    }
