# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What fair ordering is worth
#
# In a market where orders trade one by one, it matters who comes first: the first buyer gets the cheapest machine.
# Somebody has to decide who was first. If one party does, it can sell places, buy ahead of others, or leave them out. A
# hashgraph gives that power to nobody: validators gossip, and the order follows from who heard what when.
#
# This notebook runs one market under several ways of ordering its transactions, with the same agents, the same jobs and
# the same luck each time, and asks what the difference is in money. No number below is typed in: every sentence with
# a figure in it is written by the cell above it.

# %%
import os

import pandas as pd
from IPython.display import Markdown

import celluler_sim

SEED = 1
TICKS = min(240, int(os.environ.get("CELLULER_NOTEBOOK_TICKS", "240")))  # minutes of market time
SURGE = TICKS / 120  # h, in the middle

run = celluler_sim.simulate("ordering_attack", [f"ticks={TICKS}", f"workload.surge_hour={SURGE}"], seed=SEED)
runs = {"hashgraph": run, **run.variants}

# %%
s = run.summary
Markdown(
    f"In {TICKS / 60:.1f} hours **{s['jobs_submitted']:,.0f} jobs** met {s['n_providers_start']:.0f} providers with "
    f"different asks; {s['served_share']:.0%} of the jobs decided were served, at "
    f"{s['mean_price_paid_prana']:.0f} PRANA a unit on average. All of that under `hashgraph`; beside it the same market ran "
    f"under {', '.join(f'`{name}`' for name in run.variants)}."
)

# %% [markdown]
# ## How an order comes about
#
# Every dot below is an event: a validator has asked another one what it knows, and signed that it did. Nobody votes.
# Each can work out from the graph alone how all others would, and so all arrive at the same order. The star's place in
# time is settled by the thick lines: when word of it reached those whose rings it leads to.

# %%
run.plot.hashgraph()

# %%
run.plot.finality()

# %%
Markdown(
    f"Half of all transactions are final within {s['finality_p50_s']:.1f} s, 95 % within {s['finality_p95_s']:.1f} s. "
    f"That is the price of having no leader: under `leader_honest` the median is "
    f"{runs['leader_honest'].summary['finality_p50_s']:.1f} s, under `leader_censoring`, where a request waits until its own "
    f"validator's turn, {runs['leader_censoring'].summary['finality_p50_s']:.1f} s."
)

# %% [markdown]
# ## How fair it is
#
# Fair would be: whoever submits first is first. Take all pairs of transactions, sort them by the time between the two,
# and count how often the later one came first.

# %%
run.plot.fairness()

# %%
order = pd.DataFrame(
    {
        name: {
            "wrong way round": other.summary["ordered_against_submission_share"],
            "places off": other.summary["rank_displacement_mean"],
        }
        for name, other in runs.items()
    }
).T.astype(float)
order.assign(**{"wrong way round": order["wrong way round"].map("{:.1%}".format)}).round(2)

# %%
fairest = order["wrong way round"].drop("fifo").idxmin()
greedy = order.loc["leader_front_running", "wrong way round"] / order.loc["hashgraph", "wrong way round"]
Markdown(
    f"Of pairs at most ten seconds apart, `hashgraph` turns {order.loc['hashgraph', 'wrong way round']:.1%} round, a "
    f"front-running leader {greedy:.1f} times that share. Nothing is as fair as `fifo`, which knows the true order and "
    f"cannot be built; of the others `{fairest}` turns fewest round"
    + (
        ": as long as everybody is honest, a leader that lets transactions in as they come is the fairer one, because word "
        "reaches it sooner than a gossip interval. What the hashgraph offers is that nobody has to be trusted to be honest."
        if fairest == "leader_honest"
        else "."
    )
)

# %% [markdown]
# The hashgraph's unfairness is real, but nobody chooses it: two transactions within a gossip interval of each other are
# nearly a coin toss, whoever sent them. A leader's is different. It picks.
#
# ## What it is worth
#
# A leader that runs ahead buys the cheapest machine before each request that it can read, and hands it on at the next
# dearer ask. One that sandwiches goes up to the most that the request would have paid.

# %%
run.plot.extracted()

# %%
money = pd.DataFrame(
    {
        name: {
            "consumers gain": other.summary["consumer_surplus_prana"],
            "providers gain": other.summary["provider_surplus_prana"],
            "proposers extract": other.summary["extracted_prana"],
            "of spending": other.summary["extracted_share_of_spending"],
        }
        for name, other in runs.items()
    }
).T.astype(float)
money["consumers lose"] = money.loc["fifo", "consumers gain"] - money["consumers gain"]
money.assign(**{"of spending": money["of spending"].map("{:.1%}".format)}).round(0)

# %%
lost, taken = money["consumers lose"], money["proposers extract"]
front, sandwich = "leader_front_running", "leader_sandwiching"


def against_fifo(name):
    """Say what consumers lose or gain against perfect order."""
    share = abs(lost[name]) / money.loc["fifo", "consumers gain"]
    return f"{share:.1%} {'less' if lost[name] > 0 else 'more'} than under `fifo`"


Markdown(
    f"**Consumers** gain {against_fifo(front)} under a front-running leader, {against_fifo(sandwich)} under one that "
    f"sandwiches, and {against_fifo('hashgraph')} under the hashgraph. What proposers take is {taken[front]:,.0f} and "
    f"{taken[sandwich]:,.0f} PRANA, {money.loc[front, 'of spending']:.1%} and {money.loc[sandwich, 'of spending']:.1%} of all "
    f"that consumers pay; under the hashgraph it is {taken['hashgraph']:,.0f}. Measured so, having the hashgraph instead "
    f"of a leader that sandwiches is worth {money.loc['hashgraph', 'consumers gain'] - money.loc[sandwich, 'consumers gain']:,.0f} "
    f"PRANA to consumers in {TICKS / 60:.1f} hours."
)

# %% [markdown]
# Who pays? The tables say it job by job: `skim_prana` of a fill is what a proposer took of a unit's price.

# %%
fills = runs[sandwich].tables["fills"]
fills = fills.assign(paid=fills.price_prana * fills.work, taken=fills.skim_prana * fills.work)
consumers = fills.groupby("consumer")[["paid", "taken"]].sum()
consumers["group"] = pd.qcut(consumers.paid.rank(method="first"), 5, labels=["least", "2", "3", "4", "most"])
groups = consumers.groupby("group", observed=True)[["paid", "taken"]].sum()
groups["share"] = groups.taken / groups.paid
groups.assign(share=groups.share.map("{:.1%}".format)).round(0)

# %%
Markdown(
    f"Of what a sandwiching leader takes, the fifth of consumers who spend most pay "
    f"{groups.taken['most'] / groups.taken.sum():.0%} and those who spend least {groups.taken['least'] / groups.taken.sum():.0%}. "
    f"As a share of what they spend, it hits the group `{groups.share.idxmax()}` hardest ({groups.share.max():.0%}) and the "
    f"group `{groups.share.idxmin()}` least ({groups.share.min():.0%})."
)

# %% [markdown]
# ## What this does not show
#
# This was one random world, and small differences between the honest rules are its luck; the benchmark
# `python -m benchmarks.ordering_attack` repeats it in thirty worlds and gives intervals. Consumers here do not learn to
# hide their bids from a leader who reads them, nor do validators leave one that cheats. And the hashgraph's validators
# were all honest: the scenarios `byzantine_validators` and `network_partition` are about those that are not.
