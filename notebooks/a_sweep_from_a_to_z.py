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
# # A sweep from A to Z
#
# Question: how does the base price move the share of jobs that are served, and does it matter which rule is built on it?
# A sweep runs every combination in several worlds, puts them into one table, and survives being stopped.

# %%
import matplotlib.pyplot as plt
from IPython.display import Markdown

import celluler_sim

SMALL = [
    "ticks=40", "tick_seconds=120", "agents.providers.count=20", "agents.consumers.count=180",
    "agents.consumers.jobs_per_day=30", "executor=serial",
]
OVER = {"pricing": ["sliding_window", "linear"], "pricing.base_price": [60, 120, 180]}
sweep = celluler_sim.sweep("compute_congestion", OVER, SMALL, replicates=4, folder="price_sweep")

# %% [markdown]
# ## One table
#
# A row per job and replicate, with every varied parameter, the seed, and every figure.

# %%
frame = sweep.frame(["pricing", "pricing.base_price", "seed", "served_share", "mean_price_prana"])
print(len(frame), "rows,", frame["seed"].nunique(), "different worlds")
frame.head()

# %% [markdown]
# ## Means with intervals

# %%
table = sweep.intervals("served_share")
table

# %%
figure, axes = plt.subplots(figsize=(7, 4))
for rule, rows in table.groupby("pricing"):
    axes.errorbar(
        rows["pricing.base_price"], rows["mean"], yerr=[rows["mean"] - rows["low"], rows["high"] - rows["mean"]],
        marker="o", capsize=3, label=rule,
    )
axes.set_xlabel("base price, PRANA per unit")
axes.set_ylabel("jobs served, share")
axes.legend(title="pricing")
figure

# %%
means = table.groupby("pricing.base_price")["mean"].mean()
Markdown(
    f"At a base price of {means.index.min():g} about {means.iloc[0]:.0%} of the jobs are served, "
    f"at {means.index.max():g} about {means.iloc[-1]:.0%}. Bars are 95 % intervals over four worlds each."
)

# %% [markdown]
# ## Stopped, and gone on with
#
# The same call again finds every job complete and runs nothing. After a crash it would run what is missing.

# %%
again = celluler_sim.sweep("compute_congestion", OVER, SMALL, replicates=4, folder="price_sweep")
again.frame(["served_share"]).equals(sweep.frame(["served_share"]))

# %% [markdown]
# ## Read it later
#
# `load_sweep` opens the folder without running anything.

# %%
later = celluler_sim.load_sweep("price_sweep")
later.tidy().head()
