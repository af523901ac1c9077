"""Collusion screens in a running market: rings that take turns, and sellers whose buyers are themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from celluler_sim.economy import Economy
from celluler_sim.mechanisms.bids import Dealings
from tests.institutions.trust_worlds import TRUST, stepped, table, trust_of, trusting, world

RING = (
    "pricing=posted", "verification=none", "agents.providers.count=3", "agents.providers.hardware={A100_SXM4:1.0}",
    "market.min_quality=0", "trust.fraud.shares={ring:1.0}", "trust.ring.period_s=1200", "trust.ring.markup=1.0",
    "trust.ring.discount=0.95", "trust.quality.latency_ms=1000", "agents.consumers.count=30", "trust.screen_s=1200",
    "trust.screen_every=24", "agents.providers.reprice_per_half_hour=0",
)  # fmt: skip
QUICK = ("screens.shuffles=19", "screens.false_alarm_rate=0.05")


def watched(economy: Economy, ticks: int) -> list[tuple[Dealings, int]]:
    """Run an economy, and return what its screen was shown, and how many providers there were, look by look."""
    screening, seen = trust_of(economy).screening, []
    real = screening._screened

    def shown(dealings: Dealings, tick: Any) -> Any:
        seen.append((dealings, economy.providers.size))
        return real(dealings, tick)

    screening._screened = shown
    stepped(economy, ticks)
    return seen


def colluders(economy: Economy) -> set[int]:
    """Return who was accused of collusion so far."""
    rows = table(economy, "penalties")
    return set(rows[(rows.kind == "accusation") & (rows.offence == "collusion")].provider)


def test_a_ring_that_takes_turns_is_found_by_its_turns() -> None:
    """After two looks at 24 periods each all three members are accused, though one sells an eighth of the others."""
    economy = trusting(*RING, "screens=bid_rotation", ticks=96)
    assert trust_of(economy).rings.holds == [True]
    assert colluders(economy) == {0, 1, 2}


@pytest.mark.parametrize("other", ["trust.ring.turns=lot", "trust.fraud.shares={ring:0.0}"])
def test_no_turns_are_seen_where_there_are_none(other: str) -> None:
    """A ring that draws lots does not take turns, and competitors that keep their asks do not either."""
    assert not colluders(trusting(*RING, other, "screens=bid_rotation", ticks=96))


def test_whoever_asks_least_wins_an_auction_and_not_whoever_sells_most() -> None:
    """Asks of 3, 2, 2 with sales of 9, 1, 5: the third wins, the largest seller of those that ask least."""
    economy = trusting(*RING, "trust.fraud.shares={ring:0.0}", ticks=1)
    screening = trust_of(economy).screening
    economy.providers["ask"][:] = [3.0, 2.0, 2.0]
    for sold, won in (([9.0, 1.0, 5.0], [False, False, True]), ([0.0, 0.0, 0.0], [False] * 3)):
        screening.sales.work = np.array(sold)
        screening._bids.clear()
        screening._close_period()
        assert screening._bids[0][3].tolist() == won


def test_sellers_whose_buyers_are_themselves_are_a_community() -> None:
    """Wash traders, and nobody else, are accused by the trade graph; a ring leaves no trace in it."""
    market = ("pricing=posted", "verification=none", "agents.providers.count=10", "trust.screen_every=1",
              "trust.screen_s=12000", "trust.quality.latency_ms=1000", "screens=trade_communities",
              "agents.providers.hardware={A100_SXM4:1.0}", "market.min_quality=0", *QUICK)  # fmt: skip
    economy = trusting(*market, "trust.fraud.shares={wash_trade:0.3}", "trust.fraud.names=3", ticks=20)
    cheats = set(np.flatnonzero(trust_of(economy).conduct.fraud >= 0).tolist())
    assert 1 < len(cheats) < 6
    assert colluders(economy) == cheats
    assert not colluders(trusting(*RING, "screens=trade_communities", *QUICK, "trust.screen_every=9", ticks=20))


def test_buyers_keep_their_place_in_the_trade_graph_when_sellers_come() -> None:
    """While providers enter, as many buyers are in the graph as consumers were served, each of the right number."""
    economy = world(*TRUST, "screens=bid_rotation", "trust.screen_every=20", "trust.screen_s=1200",
                    "agents.providers.entry_per_day=20", "agents.providers.hurdle=0")  # fmt: skip
    before = economy.providers.size
    ((dealings, size),) = watched(economy, 40)
    fills = table(economy, "fills")
    assert size > before + 3
    assert set(dealings.trades.buyer - size) == set(fills.consumer)
    assert len(dealings.trades) == fills.job.nunique()
    assert set(dealings.trades.period) == set(fills.tick)
