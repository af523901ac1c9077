"""The tables a run writes: columns, types, units, meaning. Everything that names a column reads it from here."""

from __future__ import annotations

from dataclasses import dataclass

from celluler_sim.institutions.trust_tables import TABLES as TRUST_TABLES


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
kind|string||pay, lock, release, stake, unstake, slash, fee, share, model, data or penalty
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
type|string||provider, consumer, trainer, data_provider or model_consumer
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
events|int64||events that validators created (0 where nobody gossips, as the next three)
rounds|int64||rounds decided, counted when the first validator could decide them
coins|int64||of these, rounds that were decided only after a round of coins
forks|int64||events created whose creator had made another one on the same self-parent
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

POOLS = _table(
    "pools",
    "one row per pool and period, at the payout",
    "period pool",
    """
period|int64||number of the period, from 0
time_s|float64|s|its end
pool|int64||number of the pool
provider|int64||slot of the provider as which it sells
members|int64||how many it has
capacity|float64|units/s|compute of its members
busy|float64|units/s|compute in use, mean over the period
memory|float64|GiB|memory of its members
memory_used|float64|GiB|allocated at the period's end
storage|float64|TiB|storage of its members
storage_used|float64|TiB|allocated at the period's end
worth_prana|float64|PRANA|what all its members together could have earned less energy
alone_prana|float64|PRANA|sum of what each could have earned alone
received_prana|decimal|PRANA|money in its account, all of it paid out
energy_prana|float64|PRANA|part of it that pays for the members' energy
profit_prana|float64|PRANA|the rest, shared by the sharing rule
excess_prana|float64|PRANA|most by which some of its members could have done better together than by their shares
better_outside|int64||members that would have done better alone
""",
)

POOL_MEMBERS = _table(
    "pool_members",
    "one row per member and period, at the payout",
    "period member",
    """
period|int64||number of the period, from 0
member|int64||slot of the member, and of its provider
pool|int64||number of its pool (-1: alone)
contribution|float64|share|mean of its shares in the pool's resources (NaN: alone)
share_prana|float64|PRANA|its share in the worth of the pool (NaN: alone)
standard_error_prana|float64|PRANA|of that share; 0 where it is exact (NaN: alone)
outside_prana|float64|PRANA|what it could have earned alone less energy
better_outside|bool||that is more than its share
blocking|bool||it and others of the pool could have done better together than by their shares
unhappy|int64||periods in a row in which it would have done better alone
paid_prana|decimal|PRANA|what the pool paid it
""",
)

POOL_MOVES = _table(
    "pool_moves",
    "one row per entry, exit and expulsion, refused ones too",
    "move",
    """
move|int64||number of the move, in the order of execution
tick|int64||tick in which it was executed
kind|string||join, leave, expel, dissolve or expired
member|int64||slot of the member
pool|int64||number of the pool
accepted|bool||false where an entry was refused
""",
)

TRAININGS = _table(
    "trainings",
    "one row per order of a model that is closed, and those still open at the end",
    "training",
    """
training|int64||number of the order, in order of birth
consumer|int64||slot of the model consumer
trainer|int64||slot of the trainer (-1: none was found)
task|string||what is to be trained
status|string||accepted, refused (claim), failed (training), reneged, expired, waiting or training
submitted_s|float64|s|when it was ordered
started_s|float64|s|when training began (NaN: never)
ended_s|float64|s|when it was closed (NaN: still open)
accelerators|int64||accelerators rented
work|float64|units|compute bought
wanted|float64|[0, 1]|quality ordered
claimed|float64|[0, 1]|quality the trainer stated (NaN: not trained)
quality|float64|[0, 1]|quality it really has
score|float64|[0, 1]|mean of the folds that decided
spread|float64|[0, 1]|standard deviation between those folds
overstatement|float64|[0, 1]|by how much the trainer overstates
disputed|bool||a refusal was disputed
training_done|float64|share|training done, 1: what the task's target takes
data|float64|share|share of the task's full data it was trained on
latency_ms|float64|ms|latency of the model
energy_kwh|float64|kWh|energy that the training took
value_prana|float64|PRANA|what the model ordered is worth to the consumer
agreed_prana|float64|PRANA|most that was to be paid
paid_prana|float64|PRANA|paid by the consumer
data_prana|float64|PRANA|of that, to data providers
compute_prana|float64|PRANA|paid by the trainer for compute
fees_prana|float64|PRANA|paid by the trainer to validators
penalty_prana|float64|PRANA|taken from the trainer
""",
)

VALIDATIONS = _table(
    "validations",
    "one row per panel of validators that judged a model",
    "training stage",
    """
training|int64||number of the order
tick|int64||tick of the judgement
stage|int64||0 first panel, 1 appeal
folds|int64||validators of the panel
claimed|float64|[0, 1]|quality claimed
quality|float64|[0, 1]|quality it really has
mean|float64|[0, 1]|mean score of the folds
spread|float64|[0, 1]|standard deviation between folds
error|float64|[0, 1]|standard error of the mean
statistic|float64||claim less mean over that error
p_value|float64||chance of such a mean or a lower one if the claim were true
refused|bool||the claim was refused
""",
)

DATASETS = _table(
    "datasets",
    "one row per data set and accepted model that it was used for",
    "training dataset",
    """
training|int64||number of the order
dataset|int64||slot of the data provider
task|string||what its data is for
size|float64|share|share of the task's full data it has
copy_of|int64||slot of the provider whose set it copies (-1: its own)
share_prana|float64|PRANA|its share of what the data added to the price, by the sharing rule
error_prana|float64|PRANA|standard error of that share (0: exact)
paid_prana|float64|PRANA|paid to it
""",
)

PROVISIONS = _table(
    "provisions",
    "one row per attempt to provision an order through both markets",
    "provision",
    """
provision|int64||number of the attempt
tick|int64||tick it was made in
training|int64||number of the order
trainer|int64||slot of the trainer (-1: none)
stage|string||how far it came: check, quote, reserve, execute or done
reason|string||why it went no further (empty: done)
amount|float64|units/s|capacity wanted
work|float64|units|compute wanted
price_prana|float64|PRANA/unit|mean price quoted (NaN: none)
reserved_prana|float64|PRANA|taken into escrow by all parties together (0: nothing)
job|int64||number of the resource market's job (-1: none)
""",
)

TABLES: dict[str, Table] = {
    t.name: t
    for t in (
        MARKETS, JOBS, FILLS, TRANSACTIONS, TRANSFERS, AGENTS, BOOK, CONSENSUS, POOLS, POOL_MEMBERS, POOL_MOVES,
        TRAININGS, VALIDATIONS, DATASETS, PROVISIONS,
        *(_table(*table) for table in TRUST_TABLES),
    )
}  # fmt: skip
