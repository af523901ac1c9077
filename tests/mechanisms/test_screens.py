"""Collusion screens by hand, and what each sees of a ring."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from celluler_sim.analysis.detection import curve
from celluler_sim.errors import ScenarioError
from celluler_sim.mechanisms.bids import Bids, Dealings, Trades, figures
from celluler_sim.mechanisms.screens import BidRotation, Combined, CoverBids, MissingBids, NoScreen, PriceVariance
from celluler_sim.mechanisms.trade_graph import TradeCommunities, communities, scan
from tests.mechanisms.honest import bids, trades

RING = (0, 1, 2)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_figures_by_hand():
    """Bids 90, 100 and 110 of a reserve of 100: lowest 0.9, sd/mean 0.1, gap 0.1, distance 0.1 / sd(1, 1.1)."""
    f = figures(Bids.of([5, 5, 5, 8], [1, 2, 3, 1], [110, 90, 100, 70], scale=100))
    assert f.bids.tolist() == [3, 1]
    assert_allclose(f.lowest, [0.9, 0.7])
    assert_allclose(f.spread, [0.1, np.nan])
    assert_allclose(f.gap, [0.1, np.nan])
    assert_allclose(f.distance, [0.1 / np.sqrt(0.005), np.nan])


def test_winners_are_the_lowest_unless_told():
    assert Bids.of([0, 0], [4, 5], [2.0, 1.0]).won.tolist() == [True, False]
    assert Bids.of([0, 0], [4, 5], [2.0, 1.0], won=[True, False]).won.tolist() == [False, True]


def test_turns_are_regular():
    """Bidder 0 wins every third of 60 auctions against 1 and 2, who take the other turns: all three are flagged."""
    turn = np.repeat(np.arange(60), 3)
    bidder = np.tile(np.arange(3), 60)
    rotation = Bids.of(turn, bidder, np.where(bidder == turn % 3, 1.0, 1.1))
    assert BidRotation().screen(Dealings(rotation), rng()).accused.tolist() == [0, 1, 2]


def test_wins_by_lot_are_not_regular():
    """The same auctions with the winner drawn anew each time: nobody is flagged."""
    turn = np.repeat(np.arange(60), 3)
    bidder = np.tile(np.arange(3), 60)
    winner = rng(4).integers(0, 3, 60)
    lots = Bids.of(turn, bidder, np.where(bidder == winner[turn], 1.0, 1.1))
    assert BidRotation().screen(Dealings(lots), rng()).accused.tolist() == []


def test_who_always_wins_does_not_take_turns():
    """Every order of eight wins in eight auctions is the same, so it is no evidence: p is 1."""
    rows = np.repeat(np.arange(8), 2)
    always = Bids.of(rows, np.tile([0, 1], 8), np.tile([1.0, 2.0], 8))
    verdicts = BidRotation().screen(Dealings(always), rng())
    assert verdicts.agent.tolist() == [0]
    assert_allclose(verdicts.score, 0.0, atol=1e-12)


def test_missing_bids_by_hand():
    """Two bidders whose gaps are ten times 0.007 and never below 0.005: chance 2^-10; at seven, 2^-7 is not enough."""
    for auctions, accused in ((10, [0, 1]), (9, [0, 1]), (8, [0, 1])):
        rows = np.repeat(np.arange(auctions), 2)
        apart = Bids.of(rows, np.tile([0, 1], auctions), np.tile([0.9, 0.907], auctions))
        verdicts = MissingBids().screen(Dealings(apart), rng())
        assert_allclose(1 - verdicts.score, 0.5**auctions)
        assert verdicts.accused.tolist() == accused
    near = Bids.of(rows, np.tile([0, 1], auctions), np.tile([0.9, 0.903], auctions))
    assert MissingBids().screen(Dealings(near), rng()).accused.tolist() == []


def worlds(rule) -> tuple[np.ndarray, np.ndarray, int, int]:
    """Return (whether each bidder is in the ring, its score, members flagged, others flagged) over three worlds."""
    found = [rule.screen(Dealings(bids(rng(seed), ring=RING)), rng()) for seed in range(3)]
    member = np.concatenate([np.isin(verdicts.agent, RING) for verdicts in found])
    flagged = np.concatenate([verdicts.flagged for verdicts in found])
    score = np.concatenate([verdicts.score for verdicts in found])
    return member, score, int((flagged & member).sum()), int((flagged & ~member).sum())


@pytest.mark.parametrize("rule", [PriceVariance(), CoverBids(), BidRotation(), Combined()], ids=lambda r: r.name)
def test_members_of_a_ring_look_worse_than_others(rule):
    """Nine members against 27 others: nine in ten pairs are ranked rightly."""
    member, score, _, _ = worlds(rule)
    assert curve(member, score).auc > 0.9


@pytest.mark.parametrize("rule", [BidRotation(), Combined()], ids=lambda r: r.name)
def test_a_ring_that_takes_turns_is_flagged(rule):
    """All nine members, and at most two of the 27 others."""
    _, _, members, others = worlds(rule)
    assert members == 9
    assert others <= 2


def test_wash_trades_are_a_community_of_their_own():
    """60 sales to and fro among four agents, beside 150 at random: the four are flagged, and no other seller is."""
    verdicts = TradeCommunities(shuffles=99).screen(Dealings(trades=trades(rng(1), ring=60)), rng())
    assert set(verdicts.accused) >= {0, 1, 12, 13}
    assert set(verdicts.accused[verdicts.accused < 12]) == {0, 1}


def test_several_communities_are_found_one_after_another():
    """Two pairs of a seller and a buyer of its own, of 20 and of 40 sales: both are flagged, the 60 others are not."""
    r = rng(4)
    seller, buyer = r.integers(0, 8, 60), r.integers(10, 24, 60)
    graph = Trades.of([*seller, *[8] * 20, *[9] * 40], [*buyer, *[24] * 20, *[25] * 40])
    assert TradeCommunities().screen(Dealings(trades=graph), rng()).accused.tolist() == [8, 9, 24, 25]


def test_who_was_not_there_could_not_have_been_met():
    """Six sellers in two shifts, each with buyers of its own hours: chance within a shift, a community without it."""
    r, shift = rng(5), np.repeat([0, 1], 60)
    seller, buyer = r.integers(0, 3, 120) + 3 * shift, 10 + r.integers(0, 8, 120) + 8 * shift
    together = TradeCommunities().screen(Dealings(trades=Trades.of(seller, buyer)), rng())
    apart = TradeCommunities().screen(Dealings(trades=Trades.of(seller, buyer, shift)), rng())
    assert together.flagged.any()
    assert not apart.flagged.any()


def test_any_false_accusation_of_communities_is_as_rare_as_stated():
    """In 40 honest graphs at a rate of 0.2: some community is accused in at most 0.2 + 3 standard errors of them."""
    rule, anybody = TradeCommunities(shuffles=19, false_alarm_rate=0.2, minimum=2), []
    for seed in range(40):
        r = rng(seed)
        graph = Trades.of(r.integers(0, 6, 24), r.integers(6, 12, 24))
        anybody.append(rule.screen(Dealings(trades=graph), r).flagged.any())
    assert np.mean(anybody) <= 0.2 + 3 * np.sqrt(0.2 * 0.8 / 40)


def test_the_likelihood_ratio_by_hand():
    """Two pairs with two sales each: each community has k = 2 of T = 4, e = 1: 2 ln 2 + 2 ln(2/3) in it."""
    pairs = Trades.of([0, 0, 1, 1], [2, 2, 3, 3])
    assert communities(pairs, 4, rng())[[0, 1]].tolist() == communities(pairs, 4, rng())[[2, 3]].tolist()
    assert_allclose(scan(pairs, 4, rng()).ratio, 2 * np.log(2) + 2 * np.log(2 / 3))


def test_excess_by_hand():
    """The same pairs: k - e = 1 with one seller and one buyer; were each pair alone in its period, all is expected."""
    pairs = Trades.of([0, 0, 1, 1], [2, 2, 3, 3])
    assert_allclose(scan(pairs, 4, rng()).excess, 1.0)
    alone = scan(Trades(pairs.seller, pairs.buyer, np.array([0, 0, 1, 1])), 4, rng())
    assert_allclose(alone.excess, 0.0)
    assert_allclose(alone.ratio, 0.0)


def test_the_answer_hangs_on_the_stream_alone():
    dealings = Dealings(bids(rng(3)), trades(rng(3)))
    for rule in (PriceVariance(), BidRotation(), TradeCommunities(shuffles=19)):
        first, again = (rule.screen(dealings, rng(9)) for _ in range(2))
        assert first.score.tobytes() == again.score.tobytes()


def test_nothing_to_look_at():
    for rule in (
        PriceVariance(),
        CoverBids(),
        BidRotation(),
        MissingBids(),
        TradeCommunities(),
        Combined(),
        NoScreen(),
    ):
        verdicts = rule.screen(Dealings(), rng())
        assert len(verdicts.agent) == 0
        assert verdicts.cost == 0.0


def test_refusals():
    with pytest.raises(ScenarioError, match=r"bids.amount over bids.scale must be > 0, got 0.0"):
        Bids.of([0], [0], [0.0])
    with pytest.raises(ScenarioError, match=r"screens.shuffles must be >= 19, got 5"):
        PriceVariance(shuffles=5)
