"""Requests to a language model as jobs of a compute market, and where requests come from.

A dense model of N parameters takes about 2 N FLOP a token (Kaplan et al., 2020), read or written. A request is
served in ``context / prefill`` plus ``generated / decode`` seconds at the stated tokens per second, and asks for the
capacity that does its work in just that time.

The generators were fitted to one hour of a chat service (Patel et al., 2023): rate 5.53 per second, coefficient of
variation 1.09 of the times between requests, variance over mean of counts in 1 to 300 s, quantiles of
context and generated tokens and their rank correlation 0.07.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from celluler_sim.book import Floats, Frozen, Slots
from celluler_sim.errors import require
from celluler_sim.workloads.base import Jobs
from celluler_sim.workloads.fitted import BurstyArrivals, Quantiles
from celluler_sim.workloads.replay import arrival_figures, figures, told_apart, unconstrained

if TYPE_CHECKING:
    import pandas as pd

ARRIVALS: Final = BurstyArrivals(
    per_second=5.53, wander=((0.055, 700.0), (0.01, 5.0)), single=0.945, spread=0.04, step=0.5
)
"""Fitted to the variance over mean of counts per 1, 5, 10, 30, 60, 120 and 300 s of the 58 minutes."""

_P = (0, 0.01, 0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95, 0.99, 0.995, 0.999, 1)
CONTEXT_TOKENS: Final = Quantiles(
    _P, (2, 29, 181, 207, 387, 396, 403, 703, 1020, 1071, 1130, 1189, 1315, 2734, 4083, 4142, 4831, 6179, 14_050)
)
GENERATED_TOKENS: Final = Quantiles(
    _P, (7, 16, 41, 54, 77, 85, 91, 103, 129, 177, 384, 395, 400, 424, 451, 601, 643, 954, 1_000)
)
RANK_CORRELATION: Final = 0.07
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


@dataclass(frozen=True)
class Requests(Frozen):
    """Requests to a language model, one per row, by time."""

    time: Floats  #      (n,) s
    context: Floats  #   (n,) tokens read
    generated: Floats  # (n,) tokens written

    def __len__(self) -> int:
        """Return the number of requests."""
        return len(self.time)


@dataclass(frozen=True, kw_only=True)
class Serving:
    """What a request costs to serve: fields that the workloads of language models share."""

    parameters: float = 70e9  # of the model
    tokens_per_second: float = 40.0  # written, for one request
    prefill_tokens_per_second: float = 4000.0  # read, for one request

    def check_serving(self) -> None:
        """Check ranges; raises `ScenarioError`."""
        require("workload.parameters", self.parameters, above=0)
        require("workload.tokens_per_second", self.tokens_per_second, above=0, unit="tokens/s")
        require("workload.prefill_tokens_per_second", self.prefill_tokens_per_second, above=0, unit="tokens/s")

    def jobs(self, consumer: Slots, requests: Requests, unit_size: float) -> Jobs:
        """Return requests as jobs whose amount times service time is their work; empty requests count one token."""
        tokens = np.maximum(requests.context + requests.generated, 1.0)
        seconds = requests.context / self.prefill_tokens_per_second + requests.generated / self.tokens_per_second
        work = 2.0 * self.parameters * tokens / unit_size
        n = len(requests)
        kinds, demand = unconstrained(n)
        return Jobs(
            consumer=consumer,
            born=told_apart(requests.time, consumer),
            amount=work / np.maximum(seconds, 1.0 / self.prefill_tokens_per_second),
            work=work,
            patience=np.full(n, np.nan),
            value=np.full(n, np.nan),
            kinds=kinds,
            demand=demand,
        )


def requests_from(frame: pd.DataFrame) -> Requests:
    """Return the requests of a table read by `read_llm_requests`, with times from the first one."""
    nanoseconds = frame["TIMESTAMP"].astype("int64").to_numpy()
    return Requests(
        time=(nanoseconds - nanoseconds[0]) / 1e9,
        context=frame["ContextTokens"].to_numpy(np.float64),
        generated=frame["GeneratedTokens"].to_numpy(np.float64),
    )


def llm_request_generator(rng: np.random.Generator, seconds: float = 3501.7) -> Requests:
    """Generate ``seconds`` of requests like those of the chat service (what is fitted: see the module)."""
    from scipy.special import ndtr

    time = ARRIVALS.times(rng, seconds)
    first, second = rng.standard_normal((2, len(time)))
    normal = 2 * np.sin(np.pi * RANK_CORRELATION / 6)  # of the normal copula with that rank correlation: Pearson 1907
    other = normal * first + np.sqrt(1 - normal**2) * second
    return Requests(time, np.rint(CONTEXT_TOKENS.at(ndtr(first))), np.rint(GENERATED_TOKENS.at(ndtr(other))))


def request_facts(requests: Requests, parameters: float) -> dict[str, float]:
    """Return the figures of a stream of requests."""
    span = float(requests.time[-1] - requests.time[0])
    tokens = requests.context + requests.generated
    return {
        "requests": float(len(requests)),
        "span_s": span,
        **arrival_figures(requests.time, span, 1.0, "second"),
        **figures("context", requests.context, _QUANTILES, "tokens"),
        **figures("generated", requests.generated, _QUANTILES, "tokens"),
        "flop": float(2.0 * parameters * tokens.sum()),
    }
