"""The tables of trust and governance, as `celluler_sim.tables` takes them in: name, meaning, key, columns."""

from __future__ import annotations

DELIVERIES = (
    "deliveries",
    "one row per fill that ended, as it was and as it was judged",
    "fill",
    """
fill|int64||number of the fill
tick|int64||tick in which it ended
provider|int64||slot of the provider
consumer|int64||slot of the consumer
claimed|float64|units/s|capacity sold
found|float64|units/s|capacity that was there
wrong|bool||its result was wrong
failed|bool||the customer saw that something was missing
cheated|bool||on purpose; nobody who judges knows
latency_ms|float64|ms|mean time to an answer at the provider's load
checked|bool||it was looked at
guilty|bool||and found wanting
suspicion|float64|[0, 1]|what this tick's checks say of the provider
price_prana|float64|PRANA|price agreed
earned_prana|float64|PRANA|paid to the provider
lost_prana|float64|PRANA|of that, for work that was not done
fine_prana|float64|PRANA|fine for what was found missing
check_prana|float64|PRANA|what looking at it cost
""",
)

REPORTS = (
    "reports",
    "one row per member of a pool and period, as it was said and as it was judged",
    "report",
    """
report|int64||number of the report
tick|int64||tick of the payout
member|int64||slot of the member
held|float64|units/s|compute of its machines
said|float64|units/s|compute that it says it has; other resources in proportion
believed|float64|units/s|compute by which the pool paid
overstated|bool||it says more than is true; nobody who judges knows
checked|bool||it was looked at
guilty|bool||and found wanting
gain_prana|float64|PRANA|what the word, believed, brings over the truth
fine_prana|float64|PRANA|fine for that
check_prana|float64|PRANA|what looking at it cost
""",
)

CHECKS = (
    "checks",
    "one row per tick and kind of check, where there was something to look at",
    "tick kind",
    """
tick|int64||number of the tick
kind|string||delivery, report or screen
number|int64||looked at
unpaid|int64||chosen, but not looked at since there was no money for it
paid_prana|decimal|PRANA|paid to those who looked, exact
purse_prana|float64|PRANA|what whoever pays has left at the end of the tick
""",
)

PENALTIES = (
    "penalties",
    "one row per fine, accusation and breach of the quality of service",
    "penalty",
    """
penalty|int64||number of the penalty
tick|int64||tick of the judgement
provider|int64||slot of the provider
kind|string||fine, accusation or breach
offence|string||what it was for
slashed_prana|decimal|PRANA|taken out of its bond, exact
score|float64|[0, 1]|its reputation afterwards
appeal|string||none, rejected or granted
cheat|bool||it is one of those who cheat; nobody who judges knows
""",
)

REPUTATION = (
    "reputation",
    "one row per active provider and sampled tick",
    "tick provider",
    """
tick|int64||number of the tick
provider|int64||slot of the provider
score|float64|[0, 1]|its reputation
reliability|float64|[0, 1]|first metric of it
performance|float64|[0, 1]|second metric
fairness|float64|[0, 1]|third metric
penalty|float64|[0, 1]|what penalties took and time has not given back
suspicion|float64|[0, 1]|what is held against it, all checks together
admitted|bool||it is let into the market in the next tick, under this name
bond_prana|float64|PRANA|its bond
fraud|string||how it cheats, or honest; nobody who judges knows
propensity|float64|share|its chance to cheat on a delivery
""",
)

RINGS = (
    "rings",
    "one row per ring of colluding providers and period",
    "period ring",
    """
period|int64||number of the period, from 0
ring|int64||number of the ring
members|int64||how many it has
profit_prana|float64|PRANA|price less energy of what its members sold in the period
agreed|bool||its members had agreed on asks
holds|bool||nobody undercuts from the next period on
""",
)

PROPOSALS = (
    "proposals",
    "one row per proposal that was refused, counted, expired or is still open at the end",
    "proposal",
    """
proposal|int64||number of the proposal, in the order of the scenario
name|string||its name
changes|string||what it would change
status|string||refused, expired, rejected, executed, failed or open
reason|string||why it was refused or failed (empty: it was not)
submitted_s|float64|s|when it was submitted
opened_s|float64|s|when it was final and the vote began (NaN: never)
closed_s|float64|s|when the votes were counted (NaN: never)
effective_tick|int64||first tick under the new rules (-1: none)
yes|float64|PRANA|weight in favour (votes, where a rule weighs stakes otherwise)
no|float64|PRANA|weight against
total|float64|PRANA|weight of everybody entitled
turnout|float64|share|what counts for the quorum over the total
approval|float64|share|yes over yes and no
passed|bool||quorum and threshold were reached
bribes_prana|float64|PRANA|paid for votes
""",
)

VOTES = (
    "votes",
    "one row per voter and proposal counted",
    "proposal voter",
    """
proposal|int64||number of the proposal
voter|int64||number of the voter
behaviour|string||how it votes
stake_prana|decimal|PRANA|its stake at the count, exact
weight|float64|share|weight with which its own ballot counted, over the total
vote|string||yes, no, abstain or absent, as cast by itself
counted|string||what its stake was counted for, its delegate's vote included
delegate|int64||voter that votes for it where it is absent (-1: none)
power|float64|[0, 1]|its Banzhaf index, normalised to sum 1
bribed|bool||its vote was bought
""",
)

TABLES = (DELIVERIES, REPORTS, CHECKS, PENALTIES, REPUTATION, RINGS, PROPOSALS, VOTES)
