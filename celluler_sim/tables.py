"""The tables a run writes: columns, types, units, meaning. Everything that names a column reads it from here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TableColumn:
    """One column of one table."""

    name: str
    dtype: str  # int64 | int32 | int8 | float64 | bool | string | decimal (exact PRANA, decimal128(38, 18))
    unit: str
    meaning: str


@dataclass(frozen=True)
class Table:
    """One table: its key says by what it is sorted."""

    name: str
    meaning: str
    key: tuple[str, ...]
    columns: tuple[TableColumn, ...]


def _table(name: str, meaning: str, key: str, rows: str) -> Table:
    columns = tuple(TableColumn(*(cell.strip() for cell in row.split("|"))) for row in rows.strip().split("\n"))
    return Table(name, meaning, tuple(key.split()), columns)


MARKETS = _table(
    "markets",
    "one row per market and tick",
    "tick market",
    """
tick|int64||number of the tick, from 0
time_s|float64|s|end of the tick, when the market cleared
market|string||name of the market
price_prana|float64|PRANA/unit|mean price quoted over the offers, weighted by capacity
utilisation|float64|share|capacity in use over capacity on offer, mean over the tick
window_utilisation|float64|share|the same, time-weighted over the pricing window
capacity|float64|units/s|capacity on offer, in use or not
busy|float64|units/s|capacity in use, mean over the tick
providers|int64||providers active
queue|int64||requests waiting after clearing
demand|float64|units/s|capacity wanted by the requests that stood at clearing
submitted|int64||requests submitted in the tick
ordered|int64||requests that became final in the tick
granted|int64||requests that started
finished|int64||requests that finished
reneged|int64||requests that gave up waiting
expired|int64||requests not final before the consensus timeout
refused|int64||requests whose budget did not cover their bid
postponed|int64||jobs held back by their consumer at the end of the tick
sold_work|float64|units|work of the requests that started
consumer_surplus_prana|float64|PRANA|value less price of the requests that started
provider_surplus_prana|float64|PRANA|price less unit cost of the requests that started
skimmed_prana|float64|PRANA|what proposers take of the price of the requests that started
revenue_prana|float64|PRANA|paid to providers for requests that finished
gain_prana|float64|PRANA/s|gain from trade per second of this clearing
optimum_prana|float64|PRANA/s|largest possible gain from trade per second on the same book (NaN where not computed)
relaxed|bool||a share cap could not be met and was relaxed
""",
)

JOBS = _table(
    "jobs",
    "one row per job that has left the market, and those still in it at the end",
    "job",
    """
job|int64||number of the job, in order of birth
consumer|int64||slot of the consumer
market|string||name of the market
status|string||finished, reneged, expired, refused, waiting or running
born_s|float64|s|when the consumer first wanted it
submitted_s|float64|s|when the request was submitted
started_s|float64|s|when service began (NaN: never)
finished_s|float64|s|when the job left the market (NaN: still in it)
wait_s|float64|s|started less born (NaN: never started)
work|float64|units|size of the job
amount|float64|units/s|capacity wanted
granted|float64|units/s|capacity received
value_prana|float64|PRANA/unit|what a unit is worth to the consumer
price_prana|float64|PRANA/unit|mean price paid a unit (NaN: never started)
paid_prana|float64|PRANA|paid so far
""",
)

FILLS = _table(
    "fills",
    "one row per grant of one provider's capacity to one job",
    "fill",
    """
fill|int64||number of the fill
tick|int64||tick of the clearing
market|string||name of the market
job|int64||number of the job
consumer|int64||slot of the consumer
provider|int64||slot of the provider
quantity|float64|units/s|capacity granted
price_prana|float64|PRANA/unit|price agreed
skim_prana|float64|PRANA/unit|part of it that a block's proposer takes
proposer|int64||validator that takes it (-1: nobody)
work|float64|units|work to be delivered by this provider
start_s|float64|s|when service begins
end_s|float64|s|when it ends
""",
)

TRANSACTIONS = _table(
    "transactions",
    "one row per transaction that became final or expired",
    "transaction",
    """
transaction|int64||number of the transaction, in order of submission
kind|string||request, offer, withdraw, join, leave, proposal, vote, stake, training or dataset
sender|int64||account number of the sender
validator|int64||validator it was handed to
submitted_s|float64|s|when it was submitted
consensus_s|float64|s|its consensus time (NaN: expired)
final_s|float64|s|when it became final (NaN: expired)
order|int64||its place in the total order (-1: expired)
""",
)

TRANSFERS = _table(
    "transfers",
    "one row per movement of PRANA, refused ones too",
    "transfer",
    """
transfer|int64||number of the transfer
tick|int64||tick it was executed in
kind|string||pay, lock, release, stake, unstake, slash or fee
source|int64||account number
target|int64||account number
amount_prana|decimal|PRANA|amount moved, exact
refused|bool||the balance did not cover it
""",
)

AGENTS = _table(
    "agents",
    "one row per agent and sampled tick",
    "tick type slot",
    """
tick|int64||number of the tick
type|string||provider or consumer
slot|int64||slot of the agent in its population
behaviour|string||strategy it follows
active|bool||whether it is in the market
balance_prana|float64|PRANA|free balance
escrow_prana|float64|PRANA|locked for open requests
ask_prana|float64|PRANA/unit|ask of a provider (NaN: consumer)
capacity|float64|units/s|capacity of a provider (NaN: consumer)
busy|float64|units/s|capacity in use of a provider (NaN: consumer)
earned_prana|float64|PRANA|revenue of a provider so far, spending of a consumer so far
surplus_prana|float64|PRANA|profit of a provider, surplus of a consumer so far
""",
)

CONSENSUS = _table(
    "consensus",
    "one row per tick",
    "tick",
    """
tick|int64||number of the tick
submitted|int64||transactions submitted
ordered|int64||transactions that became final
pending|int64||transactions waiting for finality at the end of the tick
expired|int64||transactions not final within the timeout
latency_p50_s|float64|s|median time from submission to finality (NaN: none)
latency_p95_s|float64|s|95 % quantile of the same
""",
)

BOOK = _table(
    "book",
    "supply and demand at the busiest clearing",
    "tick market side row",
    """
tick|int64||tick of the clearing
market|string||name of the market
side|string||request or offer
row|int64||number of the row on its side
price_prana|float64|PRANA/unit|bid of a request (running ones too), ask of an offer
quantity|float64|units/s|capacity wanted or held, capacity on offer, in use or not
""",
)

TABLES: dict[str, Table] = {t.name: t for t in (MARKETS, JOBS, FILLS, TRANSACTIONS, TRANSFERS, AGENTS, BOOK, CONSENSUS)}
