"""The plots of a run: each takes a `Run` and returns a matplotlib figure; no global state is touched."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from celluler_sim.analysis.plots_agents import lorenz, provider_shares, waiting
from celluler_sim.analysis.plots_compare import trace_facts, variants
from celluler_sim.analysis.plots_hashgraph import hashgraph
from celluler_sim.analysis.plots_market import price, queue, revenue, supply_demand, utilisation
from celluler_sim.analysis.plots_ordering import extracted, fairness, finality
from celluler_sim.analysis.reading import RunLike

if TYPE_CHECKING:
    from celluler_sim.analysis.picture import Picture

__all__ = [
    "CAPTIONS",
    "PLOTS",
    "extracted",
    "fairness",
    "finality",
    "hashgraph",
    "lorenz",
    "price",
    "provider_shares",
    "queue",
    "revenue",
    "supply_demand",
    "trace_facts",
    "utilisation",
    "variants",
    "waiting",
]

PLOTS: dict[str, Callable[[RunLike], Picture]] = {
    f.__name__: f
    for f in (
        price, utilisation, supply_demand, waiting, queue, revenue, lorenz, provider_shares, hashgraph, finality,
        fairness, extracted, variants, trace_facts
    )
}  # fmt: skip

CAPTIONS: dict[str, str] = {
    "price": (
        "The price quoted for a unit of work at each clearing; the dashed line is the base price. "
        "A shaded band, where there is one, spans the lowest and the highest price within a point of the line."
    ),
    "utilisation": (
        "The share of the capacity on offer that was in use: in each tick, and averaged over the window that the "
        "pricing rule looks at, which follows with a delay."
    ),
    "supply_demand": (
        "Read from the left: the blue line falls as consumers who would pay less are added, the orange line rises as "
        "providers who ask more are added; where they cross, the market would clear, and at the quoted price (dashed) "
        "the gap between them is the capacity left wanted or left idle."
    ),
    "waiting": (
        "On the left, how many of the jobs that started had waited how long; on the right, which share had waited at "
        "most that long, on a scale of factors. Jobs whose consumer gave up are counted apart, by the time until then."
    ),
    "queue": (
        "Above, the requests still waiting after each clearing; below, those that left without service: reneged (tired "
        "of waiting), expired (not ordered in time), refused (budget too small)."
    ),
    "revenue": (
        "Above, what providers were paid per hour for jobs that finished then; below, the sum so far. "
        "A job is paid when it ends, so revenue follows demand by the length of a job."
    ),
    "lorenz": (
        "How much of the total the poorest share of providers (or consumers) has: the further a curve sags below the "
        "diagonal, the less equal; twice the area between them is the Gini coefficient."
    ),
    "provider_shares": (
        "On the left, the providers that sold most, against the cap that the allocation rule sets on a provider's "
        "share of the capacity sold; on the right, all shares summed up, largest first: the earlier the line passes "
        "one half, the fewer providers hold a majority."
    ),
    "hashgraph": (
        "Each dot is an event, a message that names two earlier ones (lines): a column holds the events of one member, "
        "time runs upward, bands are rounds. Squares open a member's round; filled ones the others have voted famous. "
        "The star is one event, the thick lines its way to the judges (rings) that between them fix when it happened."
    ),
    "finality": (
        "How long a transaction takes from submission until the market may act on it: on the left how many took how "
        "long, on the right which share was final by then, under each way of ordering."
    ),
    "fairness": (
        "Of two transactions submitted this far apart, how often the later one is put first: at 50 % the order is a "
        "coin toss, at 0 % it follows submission. Bars are 95 % intervals; crosses are what a hashgraph does to its "
        "events where messages take no time. Closer than about two gossip intervals it does not tell them apart well."
    ),
    "extracted": (
        "On the left, what those who decide the order took from consumers, by who paid it (light: those who spend "
        "least), and by how much consumers as a whole are worse off; on the right, the same as a share of what they "
        "spent."
    ),
    "variants": (
        "On the left, the price under each set of rules in the same random world; on the right, by how much each "
        "figure differs from the run as configured (the vertical line): right of it is more."
    ),
    "trace_facts": (
        "What the workload (a trace, or a generator) says of itself, what the simulated market made of its jobs, and "
        "the ratio of the two: 1 where they agree."
    ),
}

for _plot in PLOTS.values():
    _plot.__module__ = __name__  # their public home, where `run.plot` and the documentation look for them
del _plot
