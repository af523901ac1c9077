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
# # When does cheating stop to pay?
#
# A provider that sells capacity it does not have is paid for nothing, unless somebody looks. How often must one look?
# Becker's answer of 1968 needs two numbers: what a fraud brings, and what it costs when it is found. This notebook puts
# cheats that know neither, and learn from what happens to them, before checks of all frequencies, first by themselves
# and then in a running market. Every figure below is written by the cell above it.

# %%
import os

import numpy as np
import pandas as pd
from IPython.display import Markdown

import celluler_sim
from celluler_sim.analysis.cartel import rotation_discount
from celluler_sim.analysis.deterrence import READINGS, Fraud, crossing
from celluler_sim.institutions.trust_laboratory import RingTrial, Sweep

TICKS = min(144, int(os.environ.get("CELLULER_NOTEBOOK_TICKS", "144")))
REPLICATES = 3 if TICKS == 144 else 2

# %% [markdown]
# ## The threshold, by learning
#
# Two hundred cheats deliver once a tick; the fine is three times what the fraud brings. Where the gain is kept and the
# fine comes on top, the threshold is one check in three; where what was found missing is not paid either, one in four.

# %%
rows = []
for reading in READINGS:
    sweep = Sweep(learning="replicator", reading=reading, agents=200, ticks=150)
    theory = Fraud(gain=sweep.depth, fine=3 * sweep.depth).threshold(reading)
    p = theory + np.array([-0.15, -0.05, 0.05, 0.15])
    shares = sweep.shares(p, REPLICATES)
    at = crossing(p, shares)
    rows.append((reading, theory, at.at, at.low, at.high, *shares.mean(axis=0)))
table = pd.DataFrame(
    rows, columns=["gain", "theory", "half cheat at", "from", "to", *(f"{d:+.2f}" for d in p - theory)]
)
table.round(3)

# %%
Markdown(
    " ".join(
        f"With the gain {r[0]}, cheating falls through one half at {r[2]:.3f} (95 %: {r[3]:.3f} to {r[4]:.3f}); theory "
        f"says {r[1]:.3f}."
        for r in rows
    )
)

# %% [markdown]
# ## In a market
#
# A quarter of the providers overclaim. The runs are the same day in the same world; what differs is how many deliveries
# are checked.

# %%
found = {}
for p in (0.0, 0.2, 0.7):
    over = [f"verification.probability={p}", f"ticks={TICKS}", "tick_seconds=600", "progress=false"]
    run = celluler_sim.simulate("fraud_wave", overrides=over)
    found[p] = {
        k: run.summary[k]
        for k in ("fraud_loss_share", "cheating_propensity", "cheats_admitted_share", "checks_prana", "slashed_prana")
    }
pd.DataFrame(found).T.round(3)

# %%
Markdown(
    f"Without checks {found[0.0]['fraud_loss_share']:.1%} of all money is paid for nothing; with one delivery in five "
    f"checked it is {found[0.2]['fraud_loss_share']:.1%}."
)

# %%
run.plot.reputations()

# %% [markdown]
# ## Rings
#
# Sellers that agree on prices take turns at winning. Each of them asks itself whether to undercut once and face
# competition ever after. It depends on what it gives for the future.

# %%
rings = pd.DataFrame(
    [
        (
            n,
            rotation_discount(n),
            *(RingTrial(size=n, discount=d, turns="rotation").broken() < 0 for d in (0.6, 0.7, 0.9)),
        )
        for n in (2, 3, 4)
    ],
    columns=["members", "holds from", "0.6", "0.7", "0.9"],
)
rings.round(3)
