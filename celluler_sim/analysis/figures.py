"""Names, units and meanings of a summary's figures, and how they are put into words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np


class FigureInfo(NamedTuple):
    """What one figure is: for tables, reports and documentation."""

    label: str
    unit: str
    meaning: str


_TEXT = """
# Price
mean_price_prana|mean price|PRANA/unit|price quoted, mean over time: each tick with an offer counts the same
mean_price_paid_prana|mean price paid|PRANA/unit|price agreed, weighted by the work that was sold at it
price_p95_prana|price, 95 % quantile|PRANA/unit|in 95 % of the ticks the price quoted was at most this
price_max_prana|highest price|PRANA/unit|largest price quoted in any tick
# Use
mean_utilisation|mean utilisation|share|capacity in use over capacity on offer, both summed over all ticks
peak_utilisation|peak utilisation|share|largest utilisation of any tick
mean_queue|mean queue|requests|requests still waiting after a clearing, mean over ticks
peak_queue|longest queue|requests|most requests that waited after one clearing
requested_work_units|work requested|units|work of all jobs submitted
served_work_units|work served|units|work of the jobs that started
# Service
served_share|jobs served|share|jobs that started, of all jobs but those still waiting at the end
served_work_share|work served, share|share|the same by work: a large job counts for more than a small one
unserved_share|jobs not served|share|jobs that gave up, expired or were refused, of the same jobs
reneged_share|jobs that gave up|share|jobs whose consumer stopped waiting, of the same jobs
mean_wait_s|mean wait|s|from the moment a job was wanted to its start, over jobs that started
wait_p50_s|median wait|s|half of the jobs that started had waited at most this long
wait_p90_s|wait, 90 % quantile|s|90 % of the jobs that started had waited at most this long
wait_p95_s|wait, 95 % quantile|s|95 % of the jobs that started had waited at most this long
wait_p99_s|wait, 99 % quantile|s|99 % of the jobs that started had waited at most this long
wait_zero_share|jobs without a wait|share|of the jobs that started, those that waited at most one tick
mean_wait_reneged_s|mean wait before giving up|s|from the moment a job was wanted to the moment its consumer gave up
mean_service_s|mean length of service|s|from start to end, over jobs that finished
service_p50_s|median length of service|s|half of the jobs that finished were served at most this long
arrivals_per_hour|arrivals|jobs/h|jobs wanted per hour of simulated time
arrivals_per_second|arrivals in a second|jobs/s|the same per second
interarrival_cv|variation of arrivals|index|standard deviation over mean of the times between jobs: 1 for a Poisson process
jobs_submitted|jobs submitted|jobs|all jobs that reached the market
jobs_finished|jobs finished|jobs|served to the end
jobs_running|jobs running|jobs|being served when the run ended
jobs_waiting|jobs waiting|jobs|neither started nor gone when the run ended
jobs_unfinished|jobs unfinished|jobs|running or waiting when the run ended
jobs_reneged|jobs reneged|jobs|gave up waiting
jobs_expired|jobs expired|jobs|not final before the consensus timeout
jobs_refused|jobs refused|jobs|the budget did not cover the bid
jobs_postponed|jobs postponed|jobs|held back by their consumers when the run ended, never submitted
# Welfare
consumer_surplus_prana|consumer surplus|PRANA|value less price of the jobs that started
provider_surplus_prana|provider surplus|PRANA|price less unit cost of the jobs that started
welfare_prana|welfare|PRANA|consumer and provider surplus together
welfare_share_of_optimum|welfare against the optimum|share|gain from trade over the largest possible, summed over the ticks where it was computed
revenue_prana|revenue|PRANA|paid to providers for jobs that finished
# Distribution
gini_revenue|Gini of revenue|index|over providers, those without revenue included: 0 all equal, 1 one has all
jain_served|Jain index of service|index|of each consumer's share of work served, over consumers whose jobs were decided: 1 all equal
hhi_providers|HHI of providers|index|sum of squared shares of the work sold: 1 one sells all, 1/n all equal
nakamoto_half|providers for a majority|providers|fewest providers that sold more than half of the work
relaxed_ticks_share|ticks with a relaxed cap|share|ticks in which a share cap could not be met
# Ordering
ordered_against_submission_share|pairs ordered the wrong way round|share|of pairs of transactions submitted at most 10 s apart, those of which the later came first
rank_displacement_mean|mean shift in the order|places|by how many places a transaction is off its place by submission time
finality_p50_s|median time to finality|s|half of the transactions that became final did so at most this long after submission
finality_p95_s|finality, 95 % quantile|s|95 % of the transactions that became final did so at most this long after submission
extracted_prana|extracted by position|PRANA|what proposers took by where they put a request in the order, of the price of the jobs that started
extracted_share_of_spending|extracted, share of spending|share|the same over what consumers paid for the jobs that started
# Pools
pool_membership_share|members in a pool|share|of all members, mean over the payouts
pool_better_outside_share|better off alone|share|of members in a pool at a payout, those whose worth alone exceeded their share
pool_blocking_share|better off with some others|share|of the same, those in a coalition worth more than its members' shares
pool_core_share|divisions in the core|share|of all pools and periods, those in which no coalition could have done better
pool_synergy|worth together over alone|index|what pools could earn over the sum of what their members could earn alone, all periods together
pool_exits|exits from pools|moves|members that left or were expelled
pool_paid_prana|paid out by pools|PRANA|to their members
# Training
models_ordered|models ordered|models|orders of models that were submitted
models_accepted_share|models accepted|share|orders that ended with a model accepted, of those that have ended
model_wait_s|wait for a trainer|s|from the order to the start of training, mean over models accepted
mean_model_price_prana|mean price of a model|PRANA|paid by consumers, mean over models accepted
model_quality_share|quality against order|share|true quality over the quality ordered, mean over models accepted
model_data_share|data used|share|share of its task's full data that a model was trained on, mean over models accepted
model_energy_kwh|energy of training|kWh|energy of all trainings, by the fit to metered runs
model_revenue_prana|spent on models|PRANA|paid by consumers for models
model_compute_prana|compute for models|PRANA|paid by trainers in the resource market
model_data_prana|paid for data|PRANA|paid to data providers, out of what models cost
provisions_done_share|provisions that went through|share|attempts to provision an order through both markets that were carried out
overstated_refused_share|overstatements refused|share|overstated claims that the first panel refused: the power of its test
overstated_caught_share|overstatements caught|share|the same for good, after disputes
honest_refused_share|true claims refused|share|true claims that the first panel refused: its false alarms
honest_caught_share|true claims lost|share|the same for good, after disputes
disputed_share|results disputed|share|models whose refusal was disputed, of all judged
# Trust
fraud_share|deliveries that were frauds|share|of all deliveries, those of which something was missing on purpose
fraud_loss_prana|lost to fraud|PRANA|paid for work that was not done
fraud_loss_share|lost to fraud, share|share|the same over the price of all deliveries
withheld_prana|withheld from providers|PRANA|price of deliveries that was not paid: seen or found missing, and compensation
withheld_share|withheld from providers, share|share|the same over the price of all deliveries
checks_prana|spent on checks|PRANA|paid to those who looked at deliveries, reports, bids and trades
checks_unpaid|checks not paid for|checks|chosen, but not made since whoever pays had no money
recovered_prana|recovered by checks|PRANA|found missing and not paid, and what cheats lost of their bonds
recovered_per_prana|recovered per PRANA spent on checks|ratio|the same over what checks cost
wrongly_taken_prana|taken from the honest|PRANA|the same of providers that did not cheat, what appeals gave back left out
overstated_share|reports that were overstated|share|of what members of pools said they bring, reports above the truth
misreport_gain_prana|gained by overstating|PRANA|what members of pools got more than for the truth
slashed_prana|slashed from bonds|PRANA|fines, and what accusations and breaches cost
detection_precision|accusations that were right|share|cheats among providers accused, those acquitted left out
detection_recall|cheats accused|share|of providers that cheated, those accused at least once
false_alarm_share|honest providers accused|share|of the honest, those accused for good
detection_delay_s|time to an accusation|s|from a cheat's first fraud, mean over cheats accused
reputation_auc|reputation tells cheats apart|index|chance that a cheat's reputation at the end is below an honest provider's, of those that have delivered: 0.5 by luck
cheats_admitted_share|cheats let in|share|of the cheats, those let into the market at the end
honest_admitted_share|honest providers let in|share|of the honest, the same
cheating_propensity|readiness to cheat|share|chance that a cheat cheats on a delivery, mean at the end
mean_latency_ms|latency|ms|mean time to an answer, over deliveries
breaches|breaches of service|breaches|of the quality of service agreed
breaches_per_provider|breaches per provider|breaches|the same per provider that delivered
rings_holding_share|rings that hold|share|of colluding rings, those that had not broken by the end
# Governance
proposals_executed|proposals executed|proposals|passed and put into force
proposals_refused|proposals refused|proposals|invalid when they were submitted
mean_turnout|turnout|share|weight that took part in a vote, mean over counts
mean_approval|approval|share|yes over yes and no, mean over counts
bribes_prana|paid for votes|PRANA|to voters whose vote was bought
largest_stake_share|largest stake|share|of all stake, at the first count
largest_power_share|power of the strongest voter|share|its normalised Banzhaf index, at the first count
nakamoto_votes|voters for a majority|voters|fewest that hold more than half of the stake
# Size
n_providers_start|providers at the start|providers|active in the first tick
n_providers_end|providers at the end|providers|active in the last tick
n_consumers|consumers with a job|consumers|consumers that submitted at least one job
n_ticks|ticks|ticks|steps simulated
simulated_s|simulated time|s|length of the run on the market's clock
# Speed
simulation_seconds|computing time|s|wall-clock time the simulation proper took
agent_steps_per_second|agent-steps per second||agents times ticks over that time
"""  # noqa: E501


def _parse(text: str) -> tuple[dict[str, FigureInfo], dict[str, tuple[str, ...]]]:
    figures, sections = {}, {}
    for block in text.strip().removeprefix("# ").split("\n# "):
        heading, *lines = block.strip().split("\n")
        rows = [line.split("|") for line in lines]
        figures.update({name: FigureInfo(*cells) for name, *cells in rows})
        sections[heading] = tuple(row[0] for row in rows)
    return figures, sections


FIGURES, SECTIONS = _parse(_TEXT)

TRACE_PAIRS = {  # a fact of a trace and the figure to hold against it; equal names need no entry
    "jobs": "jobs_submitted",
    "requests": "jobs_submitted",
    "replayed_pods": "jobs_submitted",
    "replayed_requests": "jobs_submitted",
    "replayed_work": "requested_work_units",
    "replayed_nodes": "n_providers_start",
    "share_never_scheduled": "unserved_share",
    "utilisation": "mean_utilisation",
    "wait_mean_s": "mean_wait_s",
    "share_no_wait": "wait_zero_share",
    "run_mean_s": "mean_service_s",
    "run_p50_s": "service_p50_s",
    "span_s": "simulated_s",
    "duration_s": "simulated_s",
    "clients": "n_consumers",
    "replayed_requests_per_second": "arrivals_per_second",
}


def trace_pairs(summary: Mapping[str, Any]) -> list[tuple[str, str | None]]:
    """Return each figure of the workload with the simulated one to hold against it, or None; pairs come first."""
    pairs: list[tuple[str, str | None]] = []
    for name in summary:
        if name.startswith("trace_"):
            fact = name.removeprefix("trace_")
            pairs.append((name, fact if fact in FIGURES else TRACE_PAIRS.get(fact)))
    return sorted(pairs, key=lambda pair: pair[1] is None)


def human(value: float | None, unit: str) -> str:
    """Return a figure for reading: shares in per cent, times in a fitting unit, large sums in millions.

    >>> human(0.8312, "share"), human(7500.0, "s"), human(12_340_000.0, "PRANA"), human(None, "s")
    ('83.1 %', '2.1 h', '12.34 million PRANA', 'none')
    """
    if value is None or not np.isfinite(value):
        return "none"
    if unit == "share":
        return f"{100 * value:.1f} %"
    if unit == "s":
        return _duration(value)
    if unit == "index":
        return f"{value:.3f}" if abs(value) >= 0.1 else f"{value:.3g}"
    return f"{_number(value)} {unit}".rstrip()


def _duration(seconds: float) -> str:
    for size, name in ((172_800.0, "d"), (7_200.0, "h"), (120.0, "min")):
        if abs(seconds) >= size:
            return f"{seconds / {'d': 86_400.0, 'h': 3_600.0, 'min': 60.0}[name]:.1f} {name}"
    return f"{seconds:.3g} s"


def _number(value: float) -> str:
    if abs(value) >= 1e15:
        return f"{value:.3g}"
    for size, name in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if abs(value) >= size:
            return f"{value / size:,.2f} {name}"
    if abs(value) >= 1000 or value == round(value):
        return f"{value:,.0f}"
    return f"{value:,.2f}" if abs(value) >= 10 else f"{value:.3g}"


def format_table(summary: Mapping[str, Any]) -> str:
    """Return the summary as aligned lines for the terminal, in sections, with units.

    Figures that are none or a count of zero jobs are left out.
    """
    lines: list[str] = []
    for heading, names in SECTIONS.items():
        rows = [(FIGURES[n].label, human(summary.get(n), FIGURES[n].unit)) for n in names if _worth_a_line(summary, n)]
        if rows:
            lines += ["", heading, *(_line(*row) for row in rows)]
    if pairs := trace_pairs(summary):
        lines += ["", "Workload, and what the run made of it"]
        for name, partner in pairs:
            lines.append(_line(*_trace_row(summary, name, partner)))
    return "\n".join(lines[1:])


def _worth_a_line(summary: Mapping[str, Any], name: str) -> bool:
    value = summary.get(name)
    return value is not None and not (name.startswith("jobs_") and name != "jobs_submitted" and value == 0)


def _line(label: str, value: str) -> str:
    return f"  {label:<30} {value:>24}"


def _trace_row(summary: Mapping[str, Any], name: str, partner: str | None) -> tuple[str, str]:
    unit = trace_unit(name, partner)
    text = human(summary[name], unit)
    return trace_label(name), f"{text} (run: {human(summary[partner], unit)})" if partner else text


def trace_label(name: str) -> str:
    """Return the words for a trace figure: its name without prefix and unit.

    >>> trace_label("trace_wait_mean_s")
    'wait mean'
    """
    words = name.removeprefix("trace_").split("_")
    return " ".join(words[:-1] if words[-1] in ("s", "prana", "units") and len(words) > 1 else words)


def trace_unit(name: str, partner: str | None) -> str:
    """Return the unit of a trace figure: that of its simulated partner, else what its name says.

    >>> trace_unit("trace_run_p90_s", None), trace_unit("trace_share_late", None), trace_unit("trace_nodes", None)
    ('s', 'share', '')
    """
    if partner:
        return FIGURES[partner].unit
    words = name.split("_")
    endings = {"s": "s", "prana": "PRANA", "units": "units", "cv": "index"}
    return "share" if {"share", "utilisation"} & set(words) else endings.get(words[-1], "")
