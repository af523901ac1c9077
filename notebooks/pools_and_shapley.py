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
# # Who stays in a pool?
#
# Some jobs are larger than any machine. Others want more memory than the one machine has and more accelerators than
# the next. Cells that put their machines together can serve them, and then have to divide what they earned. If the rule
# gives somebody less than it would have alone, it leaves, and takes its machines along.
#
# This notebook first divides the worth of one small pool by hand, then lets pools live in a market under four rules,
# with the same cells, the same jobs and the same luck each time. No number below is typed in: every sentence with a
# figure in it is written by the cell above it.

# %%
import os

import numpy as np
import pandas as pd
from IPython.display import Markdown

import celluler_sim
from celluler_sim.mechanisms.games import CoalitionalGame
from celluler_sim.mechanisms.sharing import Equal, NormalisedMarginal, Nucleolus, Shapley

SEED = 1
TICKS = 4 * min(96, int(os.environ.get("CELLULER_NOTEBOOK_TICKS", "96")))  # quarters of an hour
PERIOD = 21_600  # s between two payouts

# %% [markdown]
# ## One pool on paper
#
# Three members. The first two earn 100 together and nothing apart, say because a job needs the compute of the one and
# the memory of the other. The third earns 10, with them or without.

# %%
worth = np.array([0, 0, 0, 100, 10, 10, 10, 110.0])  # of each coalition, by bitmask
game = CoalitionalGame(3, lambda masks: worth[masks.astype(int)])
rng = np.random.default_rng(0)
rules = {"Shapley": Shapley(), "nucleolus": Nucleolus(), "equal": Equal(), "last marginal": NormalisedMarginal()}
paper = pd.DataFrame({name: rule.shares(game, rng).value for name, rule in rules.items()}, index=["first", "second", "third"])
paper.round(2)

# %%
third = paper.loc["third"]
Markdown(
    f"The Shapley value pays the third {third['Shapley']:.0f}, what it adds in whatever order they come. The last marginals "
    f"are {', '.join(f'{m:.0f}' for m in game.last_marginals)}: each of the first two is credited with the whole 100, so "
    f"they sum to {game.last_marginals.sum():.0f} where there is {game.grand:.0f} to share. Scaled down, the third is left with "
    f"{third['last marginal']:.2f} of the {game.alone[2]:.0f} it has alone. A shortcut that divides by last marginals takes from "
    f"those who need nobody."
)

# %% [markdown]
# ## Pools in a market
#
# Eighteen cells of 4 or 8 accelerators, each with more or less memory and storage. Jobs want up to 24 accelerators and
# run on one offer or not at all. Three pools exist at the start; a pool sells as one provider. Every six hours it pays out
# what it received: first everybody's energy, then the profit by the rule. What a coalition is worth is found by serving,
# with its machines alone, the jobs that were there, with the rest of the pool as a rival. Who has been better off alone
# at two payouts in a row leaves; who finds a better pool that would have it moves there.

# %%
run = celluler_sim.simulate("resource_pool", [f"ticks={TICKS}"], seed=SEED)
runs = {"shapley": run, **run.variants}

# %%
run.plot.pool_shares()

# %%
first = {name: other.tables["pool_members"].query("period == 0 and pool >= 0") for name, other in runs.items()}
underpaid = pd.Series({name: int(rows.better_outside.sum()) for name, rows in first.items()})
pools = run.tables["pools"].query("period == 0")
Markdown(
    f"At the first payout the members and the jobs are still the same under all rules. Together the pools could have "
    f"earned {pools.worth_prana.sum():,.0f} PRANA, their members one by one {pools.alone_prana.sum():,.0f}: that is the synergy, "
    f"and nobody assumed it. Of {len(first['shapley'])} members so many would have had more alone: "
    + ", ".join(f"{count} under `{name}`" for name, count in underpaid.items())
    + "."
)

# %% [markdown]
# ## Who leaves

# %%
run.plot.pool_membership()

# %%
names = {
    "pool_membership_share": "in a pool",
    "pool_exits": "exits",
    "pool_better_outside_share": "better off alone",
    "pool_synergy": "together over alone",
    "served_work_units": "work served",
}
table = pd.DataFrame({name: {text: other.summary[key] for key, text in names.items()} for name, other in runs.items()}).T
table.astype(float).round(3)

# %%
most, least = table["in a pool"].astype(float).idxmax(), table["in a pool"].astype(float).idxmin()
work = table["work served"].astype(float)
Markdown(
    f"In this world most members stay under `{most}` ({table.loc[most, 'in a pool']:.0%} of the time) and fewest under `{least}` "
    f"({table.loc[least, 'in a pool']:.0%}). The market serves {work.max():,.0f} units of work under `{work.idxmax()}` and "
    f"{work.min():,.0f} under `{work.idxmin()}`."
)

# %% [markdown]
# ## From nothing
#
# Do pools come about by themselves? In `pool_formation` everybody starts alone. Groups merge if nobody in them loses,
# or members look around one by one; a variant without pools shows what would have been served.

# %%
formed = celluler_sim.simulate("pool_formation", [f"ticks={TICKS}"], seed=SEED)
ways = {"merge_and_split": formed, **formed.variants}
formed.plot.pool_membership()

# %%
served = {name: other.summary["served_work_units"] for name, other in ways.items()}
last = {name: other.tables["pool_members"] for name, other in ways.items() if len(other.tables["pool_members"])}
pooled = {name: (rows[rows.period == rows.period.max()].pool >= 0).mean() for name, rows in last.items()}
Markdown(
    "At the end "
    + ", ".join(f"{share:.0%} of the members are in a pool under `{name}`" for name, share in pooled.items())
    + f". With pools by `merge_and_split` the market serves {served['merge_and_split']:,.0f} units, without any "
    f"{served['alone']:,.0f}."
)

# %% [markdown]
# ## Money
#
# Payouts are exact. In every period the members of a pool receive, to the last of 18 decimals, what it had.

# %%
transfers = run.tables["transfers"].query("kind == 'share'")
received = run.tables["pools"].received_prana
Markdown(
    f"{len(transfers):,} payments of {sum(transfers.amount_prana):,} PRANA. The pools that had members at a payout held "
    f"{sum(received):,} PRANA; the rest, {sum(transfers.amount_prana) - sum(received):,f}, came in for pools after "
    f"everybody had left, and went to their last members."
)

# %% [markdown]
# ## How many orders are enough
#
# Beyond some two dozen members the Shapley value is sampled. The error of plain sampling falls with the square root of
# the number of orders, along the dashed line. Rotating each order through all places errs less. Reversing each order
# helps where members complement each other, and is the worst choice here: in a vote that a bare majority decides, the
# member that tips an order tips its reverse too, so the second look sees nothing new.

# %%
from celluler_sim.analysis.plots_sampling import convergence, draw
from celluler_sim.mechanisms.game_forms import weighted_voting

vote = weighted_voting(13, [5, 4, 4, 3, 3, 2, 2, 1, 1])
draw(convergence(vote, [16, 64, 256, 1024], repetitions=20))

# %% [markdown]
# ## What this does not show
#
# This was one random world; `python -m benchmarks.resource_pool` repeats it in thirty and gives intervals. What somebody
# could have earned alone is reckoned from jobs that came to a market in which it was not alone, and a member that leaves
# is a rival of those who stay, which the reckoning knows, but other pools do not answer. See `docs/design/pools.md`.
