"""The market under the hashgraph: what a standstill does to money and jobs, and whose stake votes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from celluler_sim.consensus.base import NetworkStats
from celluler_sim.consensus.fifo import Fifo
from celluler_sim.consensus.gossip import HashgraphConsensus
from celluler_sim.consensus.leader import Leader
from celluler_sim.consensus.network import GossipNetwork
from celluler_sim.economy import Economy
from celluler_sim.errors import ScenarioError
from celluler_sim.ledger import SUPPLY_PRANA, Amounts
from celluler_sim.results import Tables
from celluler_sim.streams import Streams
from tests.consensus.networks import make, transactions
from tests.economies import economy, run, tables

START, END, TIMEOUT = 600.0, 1500.0, 300.0
BUSY = {
    "record.agents_every": 0,
    "agents.providers.count": 20,
    "agents.consumers.count": 60,
    "agents.consumers.jobs_per_day": 300.0,
    "agents.consumers.behaviours": {"truthful": 1.0},
    "agents.consumers.patience_s": 1e6,
}


def market(silent: int, ticks: int = 45, **consensus: object) -> Economy:
    """Return an economy of seven validators, so many of them silent from 600 to 1500 s, stepped with its books kept."""
    faults = [{"kind": "silence", "members": list(range(silent)), "start_s": START, "end_s": END}] if silent else []
    rule = {"name": "hashgraph", "gossip_interval_seconds": 1.0, "timeout_seconds": TIMEOUT, "faults": faults}
    world = economy({**BUSY, "consensus": {**rule, **consensus}})
    for _ in range(ticks):
        world.step()
        assert world.ledger.total() == SUPPLY_PRANA * 10**18
        open_ = [
            Amounts(rows["escrow_hi"], rows["escrow_lo"]).sum_units()
            for rows in (world.market.mempool.alive(), world.market.waiting.alive())
        ]
        fills = world.market.fills.alive()
        due = Amounts(fills["due_hi"], fills["due_lo"]).sum_units()
        assert world.ledger.amounts(slice(None), "escrow").sum_units() == sum(open_) + due
        sent = world.sent.alive()["submitted"]
        assert (sent >= (world.steps * 60.0) - TIMEOUT).all()
    return world


def requests(rows: Tables) -> pd.DataFrame:
    """Return the transactions by time of submission."""
    return rows["transactions"].sort_values("submitted_s")


def test_a_third_of_silent_stake_stops_the_market_and_it_resumes_by_itself():
    """3 of 7 silent from 600 to 1500 s: no order, every escrow back after 300 s, nothing lost, then all goes on."""
    world = market(3)
    n_sent, waiting = world._n_transactions, len(world.sent)
    rows = tables(world)
    t = requests(rows)
    assert len(t) + waiting == n_sent
    assert not t["transaction"].duplicated().any()
    final = t["final_s"]
    assert not ((final > START + 30) & (final < END)).any()
    stranded = t[(t["submitted_s"] > START) & (t["submitted_s"] < END - TIMEOUT)]
    assert len(stranded) > 50
    assert (stranded["order"] == -1).all()
    later = t[(t["submitted_s"] > END) & (t["submitted_s"] < 2500)]
    assert len(later) > 50
    assert (later["order"] >= 0).all()
    assert (later["final_s"] - later["submitted_s"]).median() < 40
    expired = rows["jobs"][rows["jobs"]["status"] == "expired"]
    assert len(expired) == (t["order"] == -1).sum() - (t[t["order"] == -1]["kind"] != "request").sum()
    age = 60 * np.ceil(expired["finished_s"] / 60) - expired["submitted_s"]
    assert ((age > TIMEOUT) & (age <= TIMEOUT + 60)).all()
    moved = rows["transfers"]
    back = moved[(moved["kind"] == "release") & (moved["tick"] > START / 60 + 2) & (moved["tick"] < END / 60)]
    assert len(back) >= len(expired[expired["finished_s"] < END]) > 50
    c = rows["consensus"]
    still = c[(c["tick"] > START / 60 + 1) & (c["tick"] < END / 60)]
    assert still["rounds"].sum() == still["ordered"].sum() == 0
    assert still["events"].min() > 50  # the four that are left go on gossiping
    assert c["expired"].sum() == (t["order"] == -1).sum()
    assert c[c["tick"] > END / 60]["rounds"].min() > 0


def test_under_a_third_all_goes_on_and_nothing_ordered_changes():
    """2 of 7 silent: nothing handed to the others expires, and what was final before them is as it is without them."""
    plain, faulty = (tables(market(silent)) for silent in (0, 2))
    one, other = requests(plain), requests(faulty)
    early = one["final_s"] < START
    assert early.sum() > 50
    pd.testing.assert_frame_equal(
        one[early].reset_index(drop=True), other[other["final_s"] < START].reset_index(drop=True)
    )
    spoken = other[other["validator"] >= 2]
    assert (spoken["order"] >= 0).all()
    assert (spoken["final_s"] - spoken["submitted_s"]).max() < 120
    during = faulty["consensus"]["tick"].between(START / 60 + 1, END / 60 - 1)
    assert (faulty["consensus"]["rounds"][during] > 0).all()
    assert (other["order"] == -1).sum() == ((other["order"] == -1) & (other["validator"] < 2)).sum() > 0


def test_the_order_grows_at_its_end_only():
    """Whatever the faults, numbers in the order follow the time of finality: later ones come behind earlier ones."""
    for silent in (2, 3):
        t = tables(market(silent))["transactions"]
        t = t[t["order"] >= 0].sort_values("order")
        assert t["order"].tolist() == list(range(len(t)))
        assert t["final_s"].is_monotonic_increasing


def test_the_table_says_what_validators_do():
    """Seven validators at 1 s make about 420 events a minute; fifo and leader make none."""
    rows = tables(market(0, ticks=5))["consensus"]
    assert rows["events"].between(360, 480).all()
    assert rows["rounds"].iloc[2:].between(8, 15).all()  # a round takes about 5.5 intervals
    for name in ("fifo", "leader"):
        none = tables(run(economy({"consensus": {"name": name}}), 5))["consensus"]
        assert not none[["events", "rounds", "coins", "forks"]].to_numpy().any()


def test_statistics_add_up():
    """Two stretches together have the sums of both."""
    assert NetworkStats(1, 2, 3, 4, 5) + NetworkStats(10, 20, 30, 40, 50) == NetworkStats(11, 22, 33, 44, 55)


# ---- stakes that change ----------------------------------------------------------------------------------------------


def test_votes_follow_stakes_from_the_end_of_an_epoch_on():
    """Four equal members, one silent: they go on. Once the other three's stakes are slashed to half, they cannot."""
    silent = [{"kind": "silence", "members": [3]}]
    finals = {}
    for slashed in (False, True):
        network = make(validators=4, stake=(100.0,) * 4, faults=silent, epoch_seconds=120.0, timeout_seconds=1000.0)
        network.submit(transactions([(k, k % 3) for k in range(300)]))
        if slashed:
            network.weigh(np.array([50.0, 50.0, 50.0, 100.0]))
        parts = [network.advance(60.0 * (k + 1)) for k in range(6)]
        finals[slashed] = np.concatenate([part.final for part in parts])
    assert finals[False].max() > 290
    before = finals[True]
    assert before.max() <= 120  # 150 of 250 is less than 67 %
    assert before.tolist() == finals[False][: len(before)].tolist()


def test_nothing_is_lost_or_ordered_twice_when_votes_change():
    """A change at 100 s: what was not final by then enters the new graph; all is ordered once, in 200 s."""
    network = make(validators=5, stake=(10.0, 20.0, 30.0, 20.0, 20.0), epoch_seconds=100.0)
    network.submit(transactions([(k / 2, k % 5) for k in range(300)]))
    first = network.advance(90.0)
    network.weigh(np.array([30.0, 20.0, 30.0, 20.0, 20.0]))
    second, third = network.advance(130.0), network.advance(250.0)
    numbers = np.concatenate([part.number for part in (first, second, third)])
    final = np.concatenate([part.final for part in (first, second, third)])
    assert sorted(numbers.tolist()) == list(range(300))
    assert (np.diff(final) >= 0).all()
    assert network.stats.events > 500
    again = make(validators=5, stake=(10.0, 20.0, 30.0, 20.0, 20.0), epoch_seconds=100.0)
    again.submit(transactions([(k / 2, k % 5) for k in range(300)]))
    again.weigh(np.array([30.0, 20.0, 30.0, 20.0, 20.0]))  # said earlier, it counts from the same moment
    whole = again.advance(250.0)
    assert whole.number.tolist() == numbers.tolist()
    assert whole.final.tolist() == final.tolist()


def test_equal_votes_begin_no_new_graph():
    """An epoch that ends without a change leaves every event as it was."""
    short, long = make(epoch_seconds=30.0), make()
    for network in (short, long):
        network.weigh(network.rule.stakes())
        network.submit(transactions([(k, k % 10) for k in range(90)]))
    assert short.advance(120.0).final.tolist() == long.advance(120.0).final.tolist()


def test_where_nobody_would_be_left_with_a_vote_votes_stay():
    """All stakes gone: the last votes hold, or nothing would ever be ordered again."""
    network = make(epoch_seconds=30.0)
    network.weigh(np.zeros(10))
    network.submit(transactions([(40.0, 3)]))
    assert len(network.advance(120.0).number) == 1


def test_slashing_in_the_ledger_reaches_the_votes():
    """Validators 0 and 1 lose nearly all stake in the ledger: from the next epoch on they have no vote."""
    world = market(0, ticks=2, epoch_seconds=300.0)
    accounts = world.validators[:2]
    world.ledger.slash(accounts, Amounts.from_prana(np.full(2, 14_000_000.0)))
    run(world, 2)
    assert isinstance(world.network, GossipNetwork)
    assert min(world.network._weave.votes) > 0
    run(world, 3)
    assert np.flatnonzero(world.network._weave.votes).tolist() == [2, 3, 4, 5, 6]


def test_proposers_are_drawn_by_the_stakes_that_are_locked():
    """With all stake on one of three it proposes every block from the next epoch on; before, all three do."""
    network = Leader(validators=3, block_seconds=1.0, delay_seconds=0.0, epoch_seconds=300.0).open(Streams(2))
    drawn = []
    for until in (300.0, 600.0):
        network.weigh(np.array([0.0, 5.0, 0.0]))
        before = network._block
        network.advance(until)
        drawn.append([])
        for block in range(before, network._block):
            network._block = block
            drawn[-1].append(network._proposer())
        network._block += 1
    early = np.bincount(drawn[0], minlength=3)
    assert early.min() > 75
    assert set(drawn[1]) == {1}


def test_perfect_order_knows_no_epochs():
    """Fifo has no votes to change."""
    network = Fifo().open(Streams(1))
    network.weigh(np.ones(1))
    assert network.next_epoch == np.inf


@pytest.mark.parametrize("rule", [HashgraphConsensus, Leader])
def test_epochs_have_a_length(rule):
    """An epoch of no time is refused."""
    with pytest.raises(ScenarioError, match=r"consensus\.epoch_seconds must be > 0 s, got 0"):
        rule(epoch_seconds=0.0)
