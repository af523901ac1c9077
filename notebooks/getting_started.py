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
# # Getting started
#
# One market, one day, one change of rule. This notebook shows where everything is: how to run a scenario, how to read its
# figures, tables and pictures, and how to run the same world again under another rule.

# %%
import os

from IPython.display import Markdown

import celluler_sim

TICKS = int(os.environ.get("CELLULER_NOTEBOOK_TICKS", "1440"))  # how finely the day is cut: fewer is quicker
DAY = [f"ticks={TICKS}", f"tick_seconds={86_400 / TICKS}"]

run = celluler_sim.simulate("compute_congestion", DAY, seed=1)
run.summary["mean_price_prana"], run.summary["served_share"]

# %% [markdown]
# ## Figures
#
# `run.summary` holds a number for every question that is asked often. What each means is in the reference, and in
# `FIGURES`.

# %%
from celluler_sim.analysis.figures import FIGURES

for name in ("mean_price_prana", "mean_utilisation", "served_share", "mean_wait_s", "gini_revenue"):
    print(f"{FIGURES[name].label:28} {run.summary[name]:10.3f} {FIGURES[name].unit:12} {FIGURES[name].meaning}")

# %% [markdown]
# ## Tables
#
# Everything that happened is in data frames: one row per market and tick, per job, per grant, per transaction, per movement
# of money. Units are kept beside them.

# %%
print(list(run.tables))
run.tables["markets"][["time_s", "price_prana", "utilisation", "queue"]].tail()

# %%
run.tables.units("markets")["price_prana"]

# %% [markdown]
# ## Pictures
#
# `dir(run.plot)` names them all; `run.report()` puts them into one page.

# %%
run.plot.price()

# %% [markdown]
# ## Another rule, the same world
#
# A rule is named as on the command line. With the same seed every job is born at the same second, with the same size, value
# and patience: what differs is the rule's doing.

# %%
linear = celluler_sim.simulate("compute_congestion", [*DAY, "pricing=linear"], seed=1)
jobs, others = run.tables["jobs"], linear.tables["jobs"]
same = (jobs.set_index("job")["value_prana"] == others.set_index("job")["value_prana"]).all()
Markdown(
    f"Same jobs: **{same}**. The quadratic rule quotes {run.summary['mean_price_prana']:.0f} PRANA a unit on average, "
    f"the linear one {linear.summary['mean_price_prana']:.0f}; it serves {run.summary['served_share']:.0%} of the jobs, "
    f"the linear one {linear.summary['served_share']:.0%}."
)

# %% [markdown]
# ## One world is an anecdote
#
# `compare` runs both in several worlds and says how sure the difference is. Here three short ones, to be quick.

# %%
short = "ticks=30 executor=serial"
found = celluler_sim.compare(f"{short} pricing=linear", short, replicates=3, executor="serial")
price = found.figures["mean_price_prana"]
print(f"{price.difference:+.1f} PRANA per unit [{price.low:.1f}, {price.high:.1f}]")
