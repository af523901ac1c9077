"""Screens and reputation rules on real data; figures close to what the data's own page states, and no leaks."""

import numpy as np
import pytest

from celluler_sim.analysis.trust_data import (
    Otc,
    Procurement,
    area,
    early_detection,
    early_path,
    otc,
    placebo,
    procurement,
    screens_of_auctions,
    screens_of_bidders,
)
from celluler_sim.mechanisms.eigentrust import EigenTrust
from celluler_sim.mechanisms.reputation import Beta, Exponential, Mean
from celluler_sim.mechanisms.screens import BidRotation, PriceVariance
from tests.shared_data import shared


@pytest.fixture(scope="module")
def auctions() -> Procurement:
    return procurement(shared("data/procurement_auctions_tsuchiura"))


@pytest.fixture(scope="module")
def traders() -> Otc:
    return otc(shared("data/trust_bitcoin_otc"))


def test_area_by_hand():
    """A NaN is left out; of the rest one pair of two is ranked rightly."""
    found = area([True, False, False, True], [0.5, 0.4, 0.6, np.nan])
    assert (found.auc, found.cheats, found.honest) == (0.5, 1, 2)
    assert found.base_rate == pytest.approx(1 / 3)


def test_screens_reach_on_real_bids_what_is_known_of_them(auctions: Procurement):
    """Winning bid 0.59 and 0.58, low spread 0.58 and 0.55, small gap 0.53 and 0.52: to 0.01 of the published areas."""
    found = screens_of_auctions(auctions)
    known = {"winning bid": (0.59, 0.58), "low spread": (0.58, 0.55), "small gap": (0.53, 0.52)}
    for name, (without, with_floor) in known.items():
        assert found[name, False].auc == pytest.approx(without, abs=0.011)
        assert found[name, True].auc == pytest.approx(with_floor, abs=0.011)


def test_no_screen_is_better_than_such_marks_allow(auctions: Procurement):
    """An area above 0.65 on these marks would be a leak; below 0.45 a sign turned."""
    assert all(0.45 < found.auc < 0.65 for found in screens_of_auctions(auctions).values())


def test_the_mark_of_bidders_is_made_from_how_often_they_took_part(auctions: Procurement):
    """Counting auctions, without looking at one bid, ranks bidders perfectly: a screen of bidders must not count."""
    screens = screens_of_bidders(auctions, {"price_variance": PriceVariance()})
    assert screens["price_variance"][1].auc > 0.99


def test_bids_dealt_out_anew_tell_nothing(auctions: Procurement):
    """With participation as it was and bids of others, screens of bidders are at chance: they do not read the mark."""
    rules = {"price_variance": PriceVariance(shuffles=49), "bid_rotation": BidRotation(shuffles=49)}
    dealt = [screens_of_bidders(placebo(auctions, seed), rules) for seed in range(6)]
    for name in rules:
        assert np.mean([found[name][0].auc for found in dealt]) == pytest.approx(0.5, abs=0.1)


def test_a_placebo_keeps_who_took_part_and_what_was_bid(auctions: Procurement):
    other = placebo(auctions, 1)
    assert np.array_equal(np.sort(other.bids.amount), np.sort(auctions.bids.amount))
    pairs = [sorted(zip(b.auction.tolist(), b.bidder.tolist(), strict=True)) for b in (other.bids, auctions.bids)]
    assert pairs[0] == pairs[1]


@pytest.mark.parametrize("rule", [Beta(), Exponential(), Mean()], ids=lambda r: r.name)
def test_five_ratings_tell_most_frauds(traders: Otc, rule):
    """Chance is 0.5; five ratings reach above 0.85, one above 0.7, and more ratings never much less than fewer."""
    path = early_path(traders, {"rule": rule}, (1, 5, 10))["rule"]
    assert path[0] > 0.7
    assert path[1] > 0.85
    assert np.all(np.diff(path) > -0.02)


def test_labels_rest_in_part_on_the_ratings(traders: Otc):
    """All ratings together reach 0.99, as the rule "mean below 0" does; without labelled raters it is less."""
    everything = 10**9
    assert early_detection(traders, Mean(), everything).auc > 0.99
    assert early_detection(traders, Mean(), everything, independent=True).auc < 0.985


def test_eigentrust_is_slow_where_trust_is_scarce(traders: Otc):
    """It reads praise alone, and from everybody alike here: above chance, below the rules that read blame."""
    found = early_detection(traders, EigenTrust(), 5).auc
    assert 0.6 < found < early_detection(traders, Beta(), 5).auc
