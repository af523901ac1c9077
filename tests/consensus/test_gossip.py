"""Gossip, finality and the consensus of a scenario that is made of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from celluler_sim.config_build import build, to_mapping
from celluler_sim.consensus.base import NetworkStats
from celluler_sim.consensus.faults import FaultPlan, parse
from celluler_sim.consensus.finality_kernels import by_member, enter, finalise
from celluler_sim.consensus.gossip import HashgraphConsensus
from celluler_sim.consensus.network import GossipNetwork
from celluler_sim.consensus.syncs import BATCH, Gossip, Requests, Schedule
from celluler_sim.consensus.topology import Topology
from celluler_sim.consensus.weave import least_supermajority
from celluler_sim.errors import ScenarioError
from celluler_sim.mechanisms.base import registered
from celluler_sim.streams import Streams, mix64
from tests.consensus.networks import make, received, transactions
from tests.consensus.random_gossip import agree, history

# ---- gossip by hand --------------------------------------------------------------------------------------------------


def by_hand(syncs, n=3, delay=0.2, bandwidth=np.inf, patience=np.inf, faults=(), until=100.0):
    """Return the events, after the first n, that syncs (time, asker, asked) make: (creator, parents, time) of each."""
    plan = FaultPlan(parse(faults, n), n)
    run = Gossip(plan, np.full((n, n), delay), bandwidth, np.zeros(n), patience)
    time, asker, asked = (np.array(column) for column in zip(*syncs, strict=True))
    none = np.zeros(len(syncs))
    run.start(Requests(time.astype(float), asker, asked, none, none, none))
    made = run.run(until)
    return [
        (int(c), int(s), int(o), round(float(t), 6))
        for c, s, o, t in zip(made.creator, made.self_parent, made.other_parent, made.created, strict=True)
    ]


def test_a_sync_takes_what_the_other_had_when_it_answered():
    """0 asks 1 at 1.0: 1 answers at 1.2 with event 1, though it makes event 3 at 1.3, and the answer lands at 1.4."""
    events = by_hand([(0.9, 1, 2), (1.0, 0, 1), (2.0, 0, 1)])
    assert events == [(1, 1, 2, 1.3), (0, 0, 1, 1.4), (0, 4, 3, 2.4)]


def test_an_answer_becomes_an_event_on_whatever_its_asker_has_by_then():
    """Two answers on their way to 0 at once: the second event has the first as its self-parent."""
    assert by_hand([(1.0, 0, 1), (1.1, 0, 2)]) == [(0, 0, 1, 1.4), (0, 3, 2, 1.5)]


def test_bandwidth_makes_large_syncs_slow():
    """At 10 events/s: 2 has 3 events that 0 lacks, so its answer takes 0.3 s more; 1 has one, 0.1 s."""
    syncs = [(1.0, 2, 1), (2.0, 2, 1), (3.0, 0, 2), (9.0, 0, 1)]
    times = [event[3] for event in by_hand(syncs, bandwidth=10.0)]
    assert times == [1.5, 2.4, 3.8, 9.4]  # 2 learns 1 of 1; nothing new; 0 learns 3 of 2 and 1 of 1; nothing new


def test_an_answer_that_takes_too_long_is_of_no_use():
    """With 0.2 s each way a patience of 0.1 s lets no answer count."""
    assert by_hand([(1.0, 0, 1)], patience=0.1) == []


def test_delay_holds_up_requests_and_answers_alike():
    """0 sends everything 1 s late: its request is answered at 2.2 s, and its own answer lands at 2.4 s, not at 1.4."""
    late = [{"kind": "delay", "members": [0], "seconds": 1.0}]
    assert by_hand([(1.0, 0, 1), (1.9, 1, 2)], faults=late) == [(1, 1, 2, 2.3), (0, 0, 1, 2.4)]
    assert by_hand([(1.0, 0, 1), (1.7, 1, 2)], faults=late) == [(1, 1, 2, 2.1), (0, 0, 3, 2.4)]
    assert by_hand([(1.0, 1, 0)], faults=late) == [(1, 1, 0, 2.4)]


def test_nothing_reaches_or_leaves_a_crashed_member():
    """Down from 1 to 2 s: its own sync is lost, so is one that reaches it, and an answer that lands then."""
    down = [{"kind": "crash", "members": [1], "start_s": 1.0, "end_s": 2.0}]
    syncs = [(0.7, 1, 0), (0.9, 0, 1), (1.5, 1, 2), (2.0, 2, 1)]
    assert by_hand(syncs, faults=down) == [(2, 2, 1, 2.4)]


def test_a_partition_cuts_requests_and_answers():
    """0 and 1 apart from 1.1 s: an answer under way lands, a request under way gets no answer."""
    split = [{"kind": "partition", "groups": [[0], [1]], "start_s": 1.1}]
    assert by_hand([(0.8, 0, 1), (1.0, 1, 0), (1.2, 0, 1), (1.2, 2, 1)], faults=split) == [
        (0, 0, 1, 1.2),
        (2, 2, 1, 1.6),
    ]


def test_a_forker_extends_the_branch_that_it_shows():
    """Forker 0 shows 1 one branch and 2 another: what it makes from each goes on that branch, both from event 0."""
    fork = [{"kind": "equivocation", "members": [0], "groups": [[1], [2]], "end_s": 5.0}]
    syncs = [(1.0, 0, 1), (2.0, 0, 2), (3.0, 1, 0), (4.0, 2, 0), (6.0, 0, 1), (7.0, 2, 0)]
    assert by_hand(syncs, delay=0.0, faults=fork) == [
        (0, 0, 1, 1.0),  # event 3, first branch
        (0, 0, 2, 2.0),  # event 4, second branch: a fork
        (1, 1, 3, 3.0),
        (2, 2, 4, 4.0),
        (0, 3, 5, 6.0),  # honest again: it goes on with the first branch
        (2, 6, 7, 7.0),
    ]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0.5, 179.5), max_size=6), st.booleans())
def test_steps_of_any_size_make_the_same_events(cuts, limited):
    """Running to 180 s at once or with stops anywhere, with faults and slow links, gives the same events."""
    faults = parse(
        [
            {"kind": "equivocation", "members": [0], "start_s": 20, "end_s": 90},
            {"kind": "partition", "groups": [[1, 2], [3, 4]], "start_s": 50, "end_s": 80},
            {"kind": "delay", "members": [2], "seconds": 2.5, "start_s": 10, "end_s": 130},
        ],
        5,
    )
    made = []
    for stops in ([180.0], [*sorted(cuts), 180.0]):
        topology = Topology(jitter_seconds=0.3)
        run = Gossip(FaultPlan(faults, 5), topology.delay(5), 20.0 if limited else np.inf, np.zeros(5), 60.0)
        schedule = Schedule(Streams(3), topology.neighbours(5, 1), 0.2, 0.3)  # two periods
        parts = []
        for stop in stops:
            while schedule.drawn < stop:
                run.start(schedule.draw())
            parts.append(run.run(stop))
        names = ("creator", "self_parent", "other_parent", "created", "stamp")
        made.append([np.concatenate([getattr(part, name) for part in parts]).tolist() for name in names])
        made[-1].append(sum(part.forks for part in parts))
    assert made[0] == made[1]
    assert len(made[0][0]) > 500
    assert made[0][-1] >= 1


def test_syncs_start_at_their_rate_with_everybody_alike():
    """At 2 s between syncs 10 members start 300 a minute; each asks all others about equally often, never itself."""
    schedule = Schedule(Streams(5), Topology().neighbours(10, 0), 2.0, 0.0)
    drawn = [schedule.draw() for _ in range(4)]
    asker, asked = (np.concatenate([getattr(r, name) for r in drawn]) for name in ("asker", "asked"))
    assert len(asker) == pytest.approx(schedule.drawn * 5, rel=0.03)
    assert schedule.drawn == pytest.approx(4 * BATCH / 5)
    counts = np.zeros((10, 10), int)
    np.add.at(counts, (asker, asked), 1)
    assert not np.diag(counts).any()
    off = counts[~np.eye(10, dtype=bool)]
    assert off.min() > 0.6 * off.mean()
    assert off.max() < 1.4 * off.mean()
    gaps = np.diff(np.sort(np.concatenate([r.time for r in drawn])))
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.05)  # exponential: a Poisson process


# ---- transactions ----------------------------------------------------------------------------------------------------


def test_a_transaction_enters_its_validators_next_event():
    """Events of 0 at 1 and 4 s, of 1 at 2 and 3 s: handed to 0 at 1 s exactly it is too late for the first."""
    creator, created = np.array([0, 1, 1, 0]), np.array([1.0, 2.0, 3.0, 4.0])
    place = enter(
        *by_member(creator, 3), created, np.array([0, 0, 1, 1, 1, 2]), np.array([0.5, 1.0, 1.9, 2.5, 3.0, 0.0])
    )
    assert place.tolist() == [0, 3, 1, 2, -1, -1]


def test_final_is_when_more_than_half_of_the_stake_has_decided():
    """Stakes 2, 1, 1: round 1 is decided by the first at 1 s, which is half; by the second at 3 s, which is more."""
    backing, final, reached = np.zeros(4, np.int64), np.full(4, np.nan), np.zeros(3, np.int64)
    creator, created = np.array([0, 0, 1, 2, 1]), np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    decided, weight = np.array([1, 2, 1, 3, 2]), np.array([2, 1, 1])
    last = finalise(creator, created, decided, reached, weight, 4, backing, final, 1, 0)
    assert last == 2
    assert final[:3].tolist()[:2] == [3.0, 4.0]
    assert np.isnan(final[2])
    assert reached.tolist() == [2, 2, 3]


def submit_steadily(network, seconds, n, per_second=1.0, tick=60.0):
    """Hand in transactions evenly, tick by tick, and return what became final and what expired, tick by tick."""
    ordered, expired, first = [], [], 0
    for k in range(round(seconds / tick)):
        count = round(tick * per_second)
        entries = [(k * tick + (i + 0.5) / per_second, (first + i) % n) for i in range(count)]
        network.submit(transactions(entries, first))
        first += count
        ordered.append(network.advance((k + 1) * tick))
        expired.append(network.expire((k + 1) * tick))
    return ordered, expired


def test_every_transaction_is_ordered_once_and_in_one_order():
    """Final times never fall along the order, follow submission, and nothing is lost."""
    network = make()
    ordered, expired = submit_steadily(network, 600, 10, per_second=3)
    number, final, agreed = (
        np.concatenate([getattr(o, name) for o in ordered]) for name in ("number", "final", "consensus")
    )
    submitted = (number + 0.5) / 3
    assert len(set(number.tolist())) == len(number)
    assert sum(map(len, expired)) == 0
    assert len(number) + network.pending() == 1800
    assert (np.diff(final) >= 0).all()
    assert (final > submitted).all()
    assert all(60 * k <= o.final.min() and o.final.max() <= 60 * (k + 1) for k, o in enumerate(ordered))
    assert np.median(agreed - submitted) == pytest.approx(3.4, abs=0.4)  # 1 s to the next event, ln 10 + 0.1 to spread
    assert (np.abs(agreed - submitted - 3.5) < 15).all()


def test_finality_takes_about_twenty_intervals_at_ten_validators():
    """19 u to decide (measured), 1 until the next event, and some until half of the members know: 20 to 24."""
    network = make(seed=4, gossip_interval_seconds=0.5, topology=Topology(delay_seconds=0.0))
    ordered, _ = submit_steadily(network, 600, 10, per_second=2)
    latency = np.concatenate([o.final - (o.number + 0.5) / 2 for o in ordered])
    assert 20 < latency.mean() / 0.5 < 24
    assert 25 < np.quantile(latency, 0.95) / 0.5 < 32


def test_transactions_of_one_event_come_in_order_of_submission():
    """Many handed to one validator within 50 ms mostly share an event; they keep their order, ties by number."""
    network = make()
    entries = [(10.0 + 0.001 * (49 - k // 2), 3) for k in range(100)]  # two at each moment, the latest first
    network.submit(transactions(entries))
    ordered = network.advance(100.0)
    assert len(set(ordered.consensus.tolist())) < 3
    time = np.array([time for time, _ in entries])[ordered.number]
    assert (np.diff(time) >= 0).all()
    assert ((np.diff(time) > 0) | (np.diff(ordered.number) == 1)).all()


def test_final_is_when_members_know():
    """A second opinion: each member's own view, rebuilt for each of its events, says when it has ordered what."""
    network = make(2, validators=4, minimum_stake=0.0, stake=(3.0, 2.0, 2.0, 2.0), window_rounds=500)
    network.submit(transactions([(k / 2, k % 4) for k in range(120)]))
    ordered = network.advance(60.0)
    events = received(network)
    signature = mix64(network.streams.key("gossip.signature"), np.arange(len(events)))
    heads = np.array([np.flatnonzero(events.creator == m).max() for m in range(4)])
    h = history(4, [events], signature, heads, (3, 2, 2, 2))
    rules = network.rule.rules()
    knows = np.zeros(4, np.int64)  # how long the order is that each member has
    length_at: list[tuple[float, int]] = []
    for event in range(len(h)):
        known = np.flatnonzero([h.ancestry[event] >> e & 1 for e in range(event + 1)])
        member = int(h.creator[event])
        knows[member] = len(agree(h, known, rules).order)
        best = max(k for k in knows if sum((3, 2, 2, 2)[m] for m in range(4) if knows[m] >= k) > 4.5)
        length_at.append((float(h.created[event]), int(best)))
    whole = agree(h, rules=rules)
    place = {int(e): p for p, e in enumerate(whole.order)}
    expected = []
    for k in range(120):
        mine = np.flatnonzero((h.creator == k % 4) & (h.created > k / 2))
        position = place.get(int(mine[0]), 10**9) if len(mine) else 10**9
        final = next((time for time, length in length_at if length > position), None)
        if final is not None:
            expected.append((position, k / 2, k, final, float(whole.time[position])))
    expected.sort()
    assert [e[2] for e in expected] == ordered.number.tolist()
    assert [e[3] for e in expected] == ordered.final.tolist()
    assert [e[4] for e in expected] == ordered.consensus.tolist()
    assert 60 < len(expected) < 120


def test_one_step_or_two_give_the_same():
    """Advancing to 120 s at once or by odd steps yields the same transactions, times and order."""
    faults = ({"kind": "equivocation", "members": [0], "start_s": 20, "end_s": 90},)
    results = []
    for stops in ([120.0], [0.5, 7.0, 59.9, 60.0, 60.1, 61.0, 119.0, 120.0]):
        network = make(faults=faults, validators=7, minimum_stake=0.0, bandwidth=50.0)
        network.submit(transactions([(k / 3, k % 7) for k in range(330)]))
        parts = [network.advance(stop) for stop in stops]
        results.append(
            [np.concatenate([getattr(p, name) for p in parts]).tolist() for name in ("number", "final", "consensus")]
        )
    assert results[0] == results[1]
    assert len(results[0][0]) > 200


@settings(max_examples=12, deadline=None)
@given(st.floats(0.0, 400.0), st.sampled_from([7.0, 30.0, 60.0]))
def test_running_ahead_of_the_market_changes_nothing(ahead, step):
    """Gossip that is ahead by any time gives the same order, times, counts and expiries, tick by tick."""
    faults = (
        {"kind": "equivocation", "members": [0], "start_s": 20, "end_s": 90},
        {"kind": "withholding", "members": [1, 2], "share": 0.5, "start_s": 10, "end_s": 70},
        {"kind": "crash", "members": [3, 4, 5], "start_s": 60, "end_s": 200},
    )
    rule = HashgraphConsensus(
        minimum_stake=0.0, gossip_interval_seconds=1.0, faults=faults, timeout_seconds=60.0, coin=3
    )
    outcomes = []
    for seconds in (0.0, ahead):
        network, seen = GossipNetwork(rule, Streams(8), ahead=seconds), []
        for k in range(round(240 / step)):
            network.submit(transactions([(step * (k + i / 10), i % 7) for i in range(10)], first=10 * k))
            ordered = network.advance(step * (k + 1))
            gone = network.expire(step * (k + 1))
            seen += [ordered.number, ordered.final, ordered.consensus, gone, network.stats]
        outcomes.append([x if isinstance(x, NetworkStats) else x.tolist() for x in seen])
    assert outcomes[0] == outcomes[1]
    assert sum(s.forks for s in outcomes[0] if isinstance(s, NetworkStats)) > 0


def test_the_same_seed_gives_the_same_run_and_another_one_does_not():
    """All randomness comes from the streams of the run."""
    first, again, other = (submit_steadily(make(seed, clock_skew_seconds=1.0), 120, 10)[0][1] for seed in (1, 1, 2))
    assert first.final.tolist() == again.final.tolist()
    assert first.number.tolist() == again.number.tolist()
    assert first.final.tolist() != other.final.tolist()


def test_what_is_not_final_in_time_expires_and_is_never_ordered():
    """With 20 s of patience and 22 to finality about half expires: each is reported once, at its time."""
    network = make(timeout_seconds=20.0)
    ordered, expired = submit_steadily(network, 600, 10, per_second=2, tick=10.0)
    done, gone = np.concatenate([o.number for o in ordered]), np.concatenate(expired)
    assert len(np.intersect1d(done, gone)) == 0
    assert len(done) + len(gone) + network.pending() == 1200
    assert len(done) > 100
    assert len(gone) > 400
    final = np.concatenate([o.final for o in ordered])
    assert (final - (done + 0.5) / 2 <= 20).all()
    assert (np.diff(final) >= 0).all()
    for k, numbers in enumerate(expired):
        age = 10 * (k + 1) - (numbers + 0.5) / 2
        assert ((age > 20) & (age <= 30)).all()


def test_members_without_a_vote_are_still_served():
    """A validator below the minimum stake has no vote, yet what is handed to it is ordered as anybody's."""
    network = make(validators=5, stake=(100.0, 100.0, 100.0, 100.0, 1.0))
    network.submit(transactions([(k, 4) for k in range(50)]))
    assert len(network.advance(100.0).number) == 50


def test_clock_skew_is_constant_and_has_its_deviation():
    """Each member's events are ahead by the same offset; over 300 members its deviation is that asked for."""
    network = make(validators=300, minimum_stake=0.0, clock_skew_seconds=2.0, gossip_interval_seconds=20.0)
    network.advance(60.0)
    events = received(network)
    ahead = events.stamp - events.created
    first = ahead[:300]
    assert ahead == pytest.approx(first[events.creator], abs=1e-9)
    assert first.std() == pytest.approx(2.0, rel=0.15)
    assert abs(first.mean()) < 0.4


def test_stats_count_what_happened():
    """Events, rounds and expiries of each call; over a run they add up."""
    network = make(faults=({"kind": "crash", "members": [0, 1, 2, 3], "start_s": 60, "end_s": 600},))
    stats, expired, number = [], [], 0
    for tick in range(10):
        network.submit(transactions([(60 * tick + 1.0 + k, k % 10) for k in range(20)], number))
        number += 20
        network.advance(60.0 * (tick + 1))
        expired.append(len(network.expire(60.0 * (tick + 1))))
        stats.append(network.stats)
    assert sum(s.events for s in stats) == len(received(network)) - 10
    events = received(network)
    heads = [np.flatnonzero(events.creator == m).max() for m in range(10)]
    assert sum(s.rounds for s in stats) == network.hashgraph.decided(np.array(heads)).max()
    assert [s.expired for s in stats] == expired
    assert sum(expired) > 50
    assert stats[0].rounds >= 5
    assert stats[5].rounds == 0
    assert all(s.forks == s.coins == 0 for s in stats)


def test_coins_are_counted():
    """With coins from the third round of voting on, some of many elections at four validators take them."""
    counts = {}
    for coin in (3, 10):
        network = make(validators=4, coin=coin)
        network.advance(3000.0)
        counts[coin] = network.stats.coins
    assert 20 < counts[3] < 200
    assert counts[10] <= 3


def test_slow_topologies_take_longer():
    """On a ring of 16 news travels by neighbours: finality takes far longer than where everybody meets everybody."""
    latency = {}
    for graph in ("complete", "random_regular", "ring"):
        network = make(validators=16, minimum_stake=0.0, topology=Topology(graph=graph), timeout_seconds=1000.0)
        network.submit(transactions([(k, k % 16) for k in range(200)]))
        ordered = network.advance(800.0)
        latency[graph] = np.median(ordered.final - ordered.number)
    assert latency["complete"] < latency["random_regular"] < latency["ring"] / 1.3


# ---- stakes and configuration ----------------------------------------------------------------------------------------


def test_minimum_stake_by_hand():
    """Of 500, 400, 90 and 10 the last two are below a tenth of 1000: they have no vote and leave the total."""
    rule = HashgraphConsensus(validators=4, stake=(500.0, 400.0, 90.0, 10.0))
    assert rule.weights() == [500, 400, 0, 0]
    assert rule.stakes().tolist() == [500, 400, 90, 10]
    exact = HashgraphConsensus(validators=10)
    assert len(set(exact.weights())) == 1
    assert exact.weights()[0] > 0  # exactly a tenth is not below it
    assert exact.stakes().sum() == pytest.approx(exact.total_stake)


def test_broken_stakes_are_weighed_in_millionths():
    """0.25 and 0.5 PRANA vote as 250000 and 500000, whatever the size of stakes."""
    assert HashgraphConsensus(validators=2, stake=(0.25, 0.5)).weights() == [250_000, 500_000]


def test_pareto_stakes_are_unequal_and_add_up():
    """The largest of 100 holders has more than a tenth, the upper fifth about two thirds of the stake."""
    stakes = np.sort(HashgraphConsensus(validators=100, stake="pareto", minimum_stake=0.0).stakes())
    assert stakes.sum() == pytest.approx(100_000_000)
    assert stakes[-1] / stakes.sum() > 0.1
    assert 0.55 < stakes[-20:].sum() / stakes.sum() < 0.8


def test_least_supermajority_counts_the_largest():
    """Of 5, 3, 1, 1 it takes two members to hold 7 and three to hold 9."""
    assert [least_supermajority([1, 5, 1, 3], need) for need in (5, 7, 9)] == [1, 2, 3]


def test_it_is_chosen_by_name_and_built_from_a_mapping():
    """Every key survives the way to a mapping and back."""
    cls = registered("consensus")["hashgraph"]
    given = {
        "validators": 4,
        "stake": [1, 2, 3, 4],
        "threshold": "2/3",
        "strict": True,
        "topology": {"graph": "ring", "delay_seconds": [[0.1, 0.2], [0.3, 0.1]], "regions": [0, 0, 1, 1]},
        "faults": [{"kind": "crash", "members": [3], "start_s": 100, "end_s": 400}],
    }
    rule = build(cls, given, "consensus")
    assert rule.n_validators == 4
    assert build(cls, to_mapping(rule), "consensus") == rule
    assert rule.rules().need(3) == 3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"validators": 1}, "consensus.validators must be >= 2, got 1"),
        (
            {"validators": 11},
            "consensus.minimum_stake must leave a validator with a vote; the largest of 11 has 0.0909",
        ),
        ({"stake": [1, 2]}, r"consensus.stake must give one stake per validator \(7\), got 2"),
        ({"stake": "equl"}, "consensus.stake must be one of equal, pareto or a list of numbers, got 'equl'"),
        ({"validators": 2, "stake": [1, -1]}, "consensus.stake must be >= 0 PRANA, got -1"),
        ({"validators": 2, "stake": [0, 0]}, "consensus.minimum_stake must leave a validator with a vote"),
        ({"minimum_stake": 1.0}, "consensus.minimum_stake must be >= 0 and < 1, got 1"),
        ({"threshold": "x"}, "consensus.threshold must be a fraction"),
        ({"threshold": "4/3"}, "consensus.threshold must be above 0"),
        ({"coin": 1}, "consensus.coin must be >= 2, got 1"),
        ({"median": "middle"}, "consensus.median must be one of upper, lower, mean, got 'middle'"),
        ({"gossip_interval_seconds": 0}, "consensus.gossip_interval_seconds must be > 0 s, got 0"),
        ({"timeout_seconds": 0}, "consensus.timeout_seconds must be > 0 s, got 0"),
        ({"bandwidth": 0}, "consensus.bandwidth must be > 0 events/s, got 0"),
        ({"clock_skew_seconds": -1}, "consensus.clock_skew_seconds must be >= 0 s, got -1"),
        ({"window_rounds": 2}, "consensus.window_rounds must be >= 4, got 2"),
        ({"total_stake": 0}, "consensus.total_stake must be > 0 PRANA, got 0"),
        ({"topology": {"graph": "rng"}}, "consensus.topology.graph must be one of complete"),
        ({"topology": {"delay_seconds": -1}}, "consensus.topology.delay_seconds must be >= 0 s, got -1"),
        ({"topology": {"delay_seconds": [[1, 2]]}}, "consensus.topology.delay_seconds must be square"),
        ({"topology": {"regions": [0] * 9}}, r"consensus.topology.regions must name one region per validator \(7\)"),
        ({"topology": {"regions": [1] * 7}}, "consensus.topology.regions must be >= 0 and < 1, got 1"),
        ({"topology": {"graph": "small_world", "degree": 10}}, "consensus.topology.degree must be < 7, got 10"),
        ({"topology": {"jitter_seconds": -1}}, "consensus.topology.jitter_seconds must be >= 0 s, got -1"),
    ],
)
def test_what_is_refused(given, message):
    """Every refusal is one line that names the key, the rule and the value."""
    with pytest.raises(ScenarioError, match=message) as caught:
        build(HashgraphConsensus, given, "consensus")
    assert "\n" not in str(caught.value)


# ---- topology --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("graph", ["complete", "ring", "star", "small_world", "random_regular", "scale_free"])
@pytest.mark.parametrize("n", [6, 16])
def test_graphs_are_connected_and_mutual(graph, n):
    """Whoever may be asked may ask, nobody asks itself, and everybody can be reached."""
    neighbours = Topology(graph=graph).neighbours(n, seed=3)
    lists = [
        set(neighbours.member[first : first + degree].tolist())
        for first, degree in zip(neighbours.first, neighbours.degree, strict=True)
    ]
    assert all(a in lists[b] and a != b for a in range(n) for b in lists[a])
    reached, border = {0}, {0}
    while border:
        border = set().union(*(lists[a] for a in border)) - reached
        reached |= border
    assert reached == set(range(n))
    degrees = sorted(map(len, lists))
    expected = {"complete": [n - 1] * n, "ring": [2] * n, "star": [1] * (n - 1) + [n - 1], "random_regular": [4] * n}
    assert degrees == expected.get(graph, degrees)


def test_delays_between_regions_by_hand():
    """Members 0 and 2 in region 0, 1 and 3 in region 1 by turns: rows send, columns receive."""
    delay = Topology(delay_seconds=((0.01, 0.1), (0.2, 0.02))).delay(4)
    assert delay.tolist() == [
        [0.01, 0.1, 0.01, 0.1],
        [0.2, 0.02, 0.2, 0.02],
        [0.01, 0.1, 0.01, 0.1],
        [0.2, 0.02, 0.2, 0.02],
    ]
    named = Topology(delay_seconds=((0.01, 0.1), (0.2, 0.02)), regions=(0, 0, 1)).delay(3)
    assert named[0].tolist() == [0.01, 0.01, 0.1]


def test_picks_cover_all_neighbours_evenly():
    """A uniform in [0, 1) picks the k-th of d neighbours from k/d on."""
    ring = Topology(graph="ring").neighbours(5, seed=0)
    assert ring.pick(np.array([0, 0, 3, 3]), np.array([0.0, 0.5, 0.499, 0.999])).tolist() == [1, 4, 2, 4]
