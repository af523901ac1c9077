"""The plots of a run: each takes a `Run` and returns a matplotlib figure; no global state is touched."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from celluler_sim.analysis.plots_agents import lorenz, provider_shares, waiting
from celluler_sim.analysis.plots_compare import trace_facts, variants
from celluler_sim.analysis.plots_consensus import consensus, members
from celluler_sim.analysis.plots_hashgraph import hashgraph
from celluler_sim.analysis.plots_market import price, queue, revenue, supply_demand, utilisation
from celluler_sim.analysis.plots_ordering import extracted, fairness, finality
from celluler_sim.analysis.plots_pools import pool_membership, pool_shares
from celluler_sim.analysis.plots_training import data_income, learning_curves, model_prices, validation
from celluler_sim.analysis.plots_trust import detection, deterrence, fraud_losses, reputations, voting_power
from celluler_sim.analysis.reading import RunLike

if TYPE_CHECKING:
    from celluler_sim.analysis.picture import Picture

__all__ = [
    "CAPTIONS",
    "PLOTS",
    "consensus",
    "data_income",
    "detection",
    "deterrence",
    "extracted",
    "fairness",
    "finality",
    "fraud_losses",
    "hashgraph",
    "learning_curves",
    "lorenz",
    "members",
    "model_prices",
    "pool_membership",
    "pool_shares",
    "price",
    "provider_shares",
    "queue",
    "reputations",
    "revenue",
    "supply_demand",
    "trace_facts",
    "utilisation",
    "validation",
    "variants",
    "voting_power",
    "waiting",
]

PLOTS: dict[str, Callable[[RunLike], Picture]] = {
    f.__name__: f
    for f in (
        price, utilisation, supply_demand, waiting, queue, revenue, lorenz, provider_shares, hashgraph,
        consensus, finality, members, fairness, extracted, pool_shares, pool_membership, learning_curves,
        model_prices, validation, data_income, reputations,
        detection, fraud_losses, deterrence, voting_power, variants, trace_facts
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
    "consensus": (
        "How consensus fares over time, under each way of ordering: how long transactions took that became final in a "
        "tick, how many still waited at its end, how many were given up because they were not final in time (their "
        "escrow returns), and how many rounds the validators decided. Shaded: when something was amiss with them."
    ),
    "finality": (
        "How long a transaction takes from submission until the market may act on it: on the left how many took how "
        "long, on the right which share was final by then, under each way of ordering."
    ),
    "members": (
        "How time to finality and the length of a round grow with the number of validators, in gossip intervals, the "
        "mean time between two events of a validator. Crosses are a hashgraph of equal members without delays: "
        "eightfold the members take not eightfold the time, but a few intervals more."
    ),
    "fairness": (
        "On the left, of two transactions submitted this far apart, how often the later one is put first: at 50 % the "
        "order is a coin toss, at 0 % it follows submission. Bars are 95 % intervals; crosses are what a hashgraph "
        "does to its events where messages take no time. Shaded is what stays unfair: within about two gossip "
        "intervals of each other nobody can tell who was first. On the right, by how many places transactions are off."
    ),
    "extracted": (
        "On the left, what those who decide the order took from consumers, by who paid it (light: those who spend "
        "least), and by how much consumers as a whole are worse off; on the right, the same as a share of what they "
        "spent."
    ),
    "pool_shares": (
        "What each sharing rule would give the members of one pool in its first period, when all rules still face the "
        "same members; below the black line a member would have had more alone. Bars are 95 % intervals of sampled "
        "shares; exact ones have none."
    ),
    "pool_membership": (
        "On the left, the share of the members that are in a pool at each payout; on the right, the share of these "
        "whose part of the pool's worth was less than what they could have earned alone."
    ),
    "learning_curves": (
        "Quality against the training done (1: what the task's target takes): medians of the real runs (dots), the "
        "power law fitted to them (line), and the models of this run (rings), which lie lower where there was less "
        "data than all of it."
    ),
    "model_prices": (
        "On the left, what each model accepted cost against the score that validators gave it, by task; on the right, "
        "what was paid of the price agreed against what was reached of the quality ordered."
    ),
    "validation": (
        "On the left, how far claims lie above the mean of the validators' folds, in standard errors; beyond the "
        "dashed line the first panel refuses. On the right, the share refused with its 95 % interval, beside the power "
        "that the folds' own variance gives the test."
    ),
    "data_income": (
        "On the left, how much of the task's full data models were trained on as time went by, under each rule of "
        "sharing; on the right, what a provider of data of its own and one of a copy were paid in all, on average."
    ),
    "reputations": (
        "The reputation of each provider as it goes along, thin, and the means of those who cheat and of those who do "
        "not, thick. Below the dashed line, where there is one, a provider is not let into the market."
    ),
    "detection": (
        "On the left, for every threshold, the share of cheats that would be flagged against the share of honest "
        "providers flagged with them (area 0.5: by luck); on the right, how many of the flags are right. Of providers "
        "that delivered something; who really cheats is known here, and to nobody in the market."
    ),
    "fraud_losses": (
        "What customers paid for work that was not done, what they got back or did not pay, what was slashed from "
        "bonds, and what the checks cost; each summed up from the start."
    ),
    "deterrence": (
        "How ready cheats still are to cheat once they have learned, against the share of deliveries that is checked, "
        "for the run and each of its variants; dashed, the share from which cheating does not pay."
    ),
    "voting_power": (
        "On the left, how often a voter turns the outcome against the stake it holds; on the dotted line power is "
        "stake. On the right, how much of all weight took part in the vote and how much of that was in favour, with "
        "the threshold."
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
