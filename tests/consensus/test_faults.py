"""Faults: what they do to a network, when, and what is refused."""

import numpy as np
import pytest

from celluler_sim.consensus.faults import KINDS, FaultPlan, parse
from celluler_sim.consensus.gossip import HashgraphConsensus
from celluler_sim.consensus.network import GossipNetwork
from celluler_sim.errors import ScenarioError
from celluler_sim.streams import Streams
from tests.consensus.networks import make, received, transactions

N = 4


def plan(*faults: dict[str, object]) -> FaultPlan:
    return FaultPlan(parse(faults, N), N)


def at(time: float, p: FaultPlan) -> int:
    return int(p.phase(np.array([time]))[0])


# ---- the plan --------------------------------------------------------------------------------------------------------


def test_faults_begin_and_end_on_time():
    """Two crashes that overlap from 20 to 30 s, by hand: 0 is down in [10, 30), 1 in [20, 40)."""
    p = plan(
        {"kind": "crash", "members": [0], "start_s": 10, "end_s": 30},
        {"kind": "crash", "members": [1], "start_s": 20, "end_s": 40},
    )
    down = {t: np.flatnonzero(~p.up[at(t, p)]).tolist() for t in (0, 9.99, 10, 19.99, 20, 29.99, 30, 40)}
    assert down == {0: [], 9.99: [], 10: [0], 19.99: [0], 20: [0, 1], 29.99: [0, 1], 30: [1], 40: []}
    assert (p.answers == p.up).all()


def test_a_fault_without_end_lasts():
    """What has no end acts until the run is over."""
    p = plan({"kind": "silence", "members": [2], "start_s": 5})
    assert not p.up[at(1e9, p), 2]


def test_partition_cuts_both_ways_and_leaves_others_alone():
    """Groups 0 and 1, 2: the links between them are cut, those of member 3 are not."""
    p = plan({"kind": "partition", "groups": [[0], [1, 2]], "end_s": 7})
    cut = {(int(a), int(b)) for a, b in np.argwhere(~p.link[at(3, p)])}
    assert cut == {(0, 1), (0, 2), (1, 0), (2, 0)}
    assert p.link[at(7, p)].all()


def test_delays_and_clocks_add_up():
    """Two delays and two offsets of one member that overlap are the sum of both."""
    p = plan(
        {"kind": "delay", "members": [1, 2], "seconds": 2},
        {"kind": "delay", "members": [2], "seconds": 3, "start_s": 10},
        {"kind": "clock", "members": [0], "offset_s": -4},
        {"kind": "clock", "members": [0], "offset_s": 1, "start_s": 10},
    )
    assert p.lag[at(0, p)].tolist() == [0, 2, 2, 0]
    assert p.lag[at(10, p)].tolist() == [0, 2, 5, 0]
    assert p.offset[[at(0, p), at(10, p)], 0].tolist() == [-4, -3]


def test_forkers_show_each_group_a_branch():
    """Without groups the others take turns: forker 1 shows 0 and 3 its first branch and 2 its second."""
    p = plan({"kind": "equivocation", "members": [1]})
    assert p.side[at(0, p), 1].tolist() == [0, -1, 1, 0]
    assert p.branches == 2
    assert plan({"kind": "equivocation", "members": [1], "groups": [[0], [2], [3]]}).branches == 3


def test_silence_can_be_passive_or_secret():
    """Passive: answers, but creates nothing. Secret: creates, but does not answer."""
    passive = plan({"kind": "silence", "members": [0], "answers": True})
    secret = plan({"kind": "silence", "members": [0], "creates": True})
    assert (passive.up[-1, 0], passive.answers[-1, 0]) == (False, True)
    assert (secret.up[-1, 0], secret.answers[-1, 0]) == (True, False)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"kind": "crsh", "members": [1]}, "kind must be one of crash, silence, .*, got 'crsh'; did you mean crash"),
        ({"members": [1]}, "kind must be one of"),
        ({"kind": "crash"}, r"members is required"),
        ({"kind": "crash", "members": []}, "members must name at least one validator"),
        ({"kind": "crash", "members": [4]}, "must name validators 0 to 3, got 4"),
        ({"kind": "crash", "members": [-1]}, "must name validators 0 to 3, got -1"),
        ({"kind": "crash", "members": [1], "start_s": -1}, "start_s must be >= 0 s, got -1"),
        ({"kind": "crash", "members": [1], "start_s": 5, "end_s": 5}, r"end_s must be > start_s \(5 s\), got 5"),
        ({"kind": "crash", "members": [1], "until": 5}, r"unknown key consensus.faults\[1\].until"),
        ({"kind": "delay", "members": [1], "seconds": -2}, "seconds must be >= 0 s, got -2"),
        ({"kind": "delay", "members": [1]}, "seconds is required"),
        ({"kind": "clock", "members": [1], "offset_s": float("nan")}, "offset_s must be a finite number"),
        ({"kind": "partition", "groups": [[0, 1]]}, "groups must be two or more lists"),
        ({"kind": "partition", "groups": [[0], []]}, "groups must be two or more lists"),
        ({"kind": "partition", "groups": [[0, 1], [1, 2]]}, "groups must not share a validator"),
        ({"kind": "partition", "groups": [[0], [9]]}, "must name validators 0 to 3, got 9"),
        ({"kind": "equivocation", "members": [0], "groups": [[0], [1]]}, "groups must not share a validator"),
        ({"kind": "withholding", "members": [0]}, "accounts or share must say"),
        ({"kind": "withholding", "members": [0], "share": 0.5, "accounts": [1]}, "accounts or share must say"),
        ({"kind": "withholding", "members": [0], "share": 1.5}, r"share must be >= 0 and <= 1, got 1.5"),
        ({"kind": "silence", "members": [0], "creates": True, "answers": True}, "must not both be true"),
    ],
)
def test_what_is_refused(fault, message):
    """Every refusal is one line that names the fault by its place in the list."""
    with pytest.raises(ScenarioError, match=message) as caught:
        parse([{"kind": "crash", "members": [0]}, fault], N)
    assert "consensus.faults[1]" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_kind_says_what_it_does():
    """All seven kinds can be named in a scenario and explain themselves."""
    assert set(KINDS) == {"crash", "silence", "equivocation", "partition", "delay", "withholding", "clock"}
    assert all(len(cls.__doc__.split("\n")[0]) > 20 for cls in KINDS.values())


# ---- in a network ----------------------------------------------------------------------------------------------------


def test_nothing_happens_before_a_fault_begins():
    """A fault at 100 s leaves every event until then as it was: faults draw nothing from other streams."""
    faults = [
        {"kind": "equivocation", "members": [0], "start_s": 100},
        {"kind": "delay", "members": [1], "seconds": 3, "start_s": 100},
        {"kind": "crash", "members": [2], "start_s": 100},
    ]
    runs = []
    for given in ([], faults):
        network = make(faults=given)
        network.advance(200)
        runs.append(network)
    plain, faulty = (np.concatenate([part.created for part in network.history]) for network in runs)
    before = plain < 100
    assert before.sum() > 300
    assert np.array_equal(plain[before], faulty[faulty < 100])
    assert not np.array_equal(plain[~before][:50], faulty[faulty >= 100][:50])


def test_crashed_member_is_away_and_comes_back():
    """A member down from 50 to 100 s creates nothing then; what was handed to it waits, and is ordered afterwards."""
    network = make(faults=[{"kind": "crash", "members": [2], "start_s": 50, "end_s": 100}])
    network.submit(transactions([(60.0, 2), (61.0, 1)]))
    network.advance(99.0)
    assert network.pending() == 1
    ordered = network.advance(200.0)
    own = np.concatenate([part.created[part.creator == 2] for part in network.history])
    assert not ((own >= 50) & (own < 100)).any()
    assert (own > 100).sum() > 50
    assert ordered.number.tolist() == [0]
    assert ordered.consensus[0] > 100


@pytest.mark.parametrize(
    "bad", [{"kind": "crash", "members": [0, 1, 2, 3]}, {"kind": "partition", "groups": [[*range(5)], [*range(5, 10)]]}]
)
def test_without_a_supermajority_ordering_stops_expires_and_resumes(bad):
    """Four of ten down, or five and five apart, for 400 s: nothing is ordered, all expires, then it goes on."""
    network = make(faults=[{**bad, "start_s": 100, "end_s": 500}])
    ordered, expired, number = [], [], 0
    for tick in range(15):
        start = 60.0 * tick
        network.submit(transactions([(start + s, s % 10) for s in range(60)], first=number))
        number += 60
        ordered.append(network.advance(start + 60))
        expired.append(network.expire(start + 60))
    finals = np.concatenate([o.final for o in ordered])
    done, gone = np.concatenate([o.number for o in ordered]), np.concatenate(expired)
    assert not ((finals > 112) & (finals < 500)).any()
    assert len(np.intersect1d(done, gone)) == 0
    assert len(done) + len(gone) + network.pending() == number
    assert (finals > 500).sum() > 350
    in_time = (gone >= 110) & (gone < 190)
    assert in_time.sum() == 80  # every one handed in from 110 to 190 s


def test_order_survives_the_split():
    """What the majority of seven orders during a partition stays, and the three's transactions follow when it heals."""
    split = {"kind": "partition", "groups": [[*range(7)], [7, 8, 9]], "start_s": 60, "end_s": 150}
    network = make(faults=[split])
    network.submit(transactions([(61.0 + k, k % 10) for k in range(60)]))
    during = network.advance(150.0)
    after = network.advance(250.0)
    assert all(number % 10 < 7 for number in during.number)
    assert len(during.number) >= 25
    assert {int(number) for number in after.number if number % 10 >= 7} == {k for k in range(60) if k % 10 >= 7}


def test_withheld_transactions_wait_for_the_end():
    """Member 1 leaves out account 7 until 90 s; other accounts and other members' transactions pass."""
    fault = {"kind": "withholding", "members": [1], "accounts": [7], "start_s": 10, "end_s": 90}
    network = make(faults=[fault])
    network.submit(transactions([(20.0, 1), (20.0, 1), (20.0, 2)], sender=[7, 8, 7]))
    first, rest = network.advance(89.0), network.advance(200.0)
    assert sorted(first.number.tolist()) == [1, 2]
    assert rest.number.tolist() == [0]
    assert rest.consensus[0] > 90


def test_withholding_by_share_takes_about_that_share_of_accounts():
    """With a share of 0.3 about 30 % of accounts wait at that member, always the same ones."""
    network = make(faults=[{"kind": "withholding", "members": list(range(10)), "share": 0.3}])
    network.submit(transactions([(1.0, k % 10) for k in range(600)], sender=list(range(300)) * 2))
    done = network.advance(100.0).number % 300
    accounts, times = np.unique(done, return_counts=True)
    assert (times == 2).all()
    assert 0.62 < len(accounts) / 300 < 0.78


def test_lying_clock_shows_in_its_own_events_only():
    """Member 3's clock is an hour ahead in [30, 60): its events say so, and consensus times hardly move."""
    fault = {"kind": "clock", "members": [3], "offset_s": 3600, "start_s": 30, "end_s": 60}
    network = make(faults=[fault])
    network.submit(transactions([(1.0 + k, k % 10) for k in range(80)]))
    ordered = network.advance(150.0)
    events = received(network)
    late = events.stamp - events.created
    lied = (events.creator == 3) & (events.created >= 30) & (events.created < 60)
    assert lied.sum() > 10
    assert (late[lied] == 3600).all()
    assert (late[~lied] == 0).all()
    assert (np.abs(ordered.consensus - ordered.number - 1) < 20).all()


def test_forkers_are_counted_and_harmless_under_the_bound():
    """Three forkers of ten: forks are seen, everything handed to the others is ordered, and once only."""
    network = make(faults=[{"kind": "equivocation", "members": [0, 1, 2], "start_s": 20, "end_s": 60}])
    forks, numbers = 0, []
    network.submit(transactions([(k, 3 + k % 7) for k in range(100)]))
    for until in (50, 100, 200, 300):
        numbers += network.advance(until).number.tolist()
        forks += network.stats.forks
    assert forks >= 3
    assert sorted(numbers) == list(range(100))


def test_delayed_messages_arrive_late():
    """Member 4 sends everything 5 s late: its transactions take about 5 s longer, or its events that much more."""
    latency = []
    for faults in ([], [{"kind": "delay", "members": [4], "seconds": 5.0}]):
        network = make(faults=faults)
        network.submit(transactions([(k / 2, 4) for k in range(400)]))
        ordered = network.advance(400.0)
        latency.append(np.median(ordered.consensus - ordered.number / 2))
    assert latency[1] - latency[0] == pytest.approx(5, abs=1.5)


def test_faults_are_part_of_the_configuration():
    """The consensus takes them as mappings and refuses them by their place in the list."""
    rule = HashgraphConsensus(faults=({"kind": "crash", "members": [6]},))
    assert isinstance(rule.open(Streams(1)), GossipNetwork)
    with pytest.raises(ScenarioError, match=r"consensus.faults\[0\] must name validators 0 to 3, got 9"):
        HashgraphConsensus(validators=4, faults=({"kind": "crash", "members": [9]},))
