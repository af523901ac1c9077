"""Loaders of the data that rules of trust are held against: real sealed bids, and real ratings with fraud labels.

Columns keep the publisher's names and units. Whatever is wrong with a file is one `TraceError` that names file, line
and column.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from celluler_sim.workloads.csvfile import Column, Layout, Rule, read_table

if TYPE_CHECKING:
    import pandas as pd

_YEN = 1e13
_MEMBERS = 1e9
_FLAGS = (
    "winner", "loser", "belowminprice", "minpriceauction", "is_cartel", "auction_cartelized", "auctionhadnowinner",
    "water", "road", "pipe", "sewer", "renewal", "renovation", "repair", "maintenance", "dismantling", "refurbishment",
    "restoration", "design", "outsourcing", "survey", "research", "consulting", "construction",
    "window2", "window1", "window2Xpolicy", "window1Xpolicy", "entry_1_future_network",
)  # fmt: skip
_REST = (
    "bidresult_simple", "bidresult", "postelec", "real_gdp", "datee", "lnGDP", "bidder_index", "entry_1_past_network",
    "total_common_experience", "participated_auction_reserve", "participated_auction_size",
    "participated_auction_norm_win",
)  # fmt: skip

BIDS = Layout(
    trace="the bids of procurement_auctions_tsuchiura",
    files=("bids.csv", "tsuchiura_data.csv"),
    columns=(
        Column("pid", "int", 0, _MEMBERS),
        Column("bidder_id", "int", 0, _MEMBERS),
        Column("date", "int", 19000101, 22000101),
        Column("year", "int", 1900, 2200),
        Column("quarter", "int", 1, 4),
        Column("month", "int", 1, 12),
        Column("day", "int", 1, 31),
        Column("reserveprice", "float", 1, _YEN),
        Column("minprice", "float", 1, _YEN, empty=True),
        Column("bid", "float", 1, _YEN, empty=True),
        Column("norm_bid", "float", 0, 1e3, empty=True),
        Column("fracreserve", "float", 0, 1, empty=True),
        Column("num_bidders", "int", 1, 1000),
        Column("num_participated", "int", 0, _MEMBERS),
        Column("min_participation_in_auction", "int", 0, _MEMBERS),
        Column("total_participation", "int", 0, _MEMBERS),
        Column("num_entrants", "int", 0, 1000),
        *(Column(name, "int", 0, 1) for name in _FLAGS),
        *(Column(name, "float", float("-inf"), empty=True) for name in _REST),
    ),
    rules=(
        Rule("loser", "1 where winner is 0, and 0 where it is 1", lambda rows: rows["winner"] == rows["loser"]),
        Rule("minprice", "at most the reserve price", lambda rows: rows["minprice"] > rows["reserveprice"]),
    ),
)

RATINGS = Layout(
    trace="the ratings of trust_bitcoin_otc",
    files=("otc_network.csv", "soc-sign-bitcoinotc.csv"),
    columns=(
        Column("source", "int", 0, _MEMBERS),
        Column("target", "int", 0, _MEMBERS),
        Column("rating", "int", -10, 10),
        Column("time", "float", 0, 1e11),
    ),
    sorted_by="time",
    rules=(
        Rule("target", "another member than the source", lambda rows: rows["source"] == rows["target"]),
        Rule("rating", "anything but 0", lambda rows: rows["rating"] == 0),
    ),
    header=False,
)

LABELS = Layout(
    trace="the fraud labels of trust_bitcoin_otc",
    files=("otc_gt.csv",),
    columns=(Column("member", "int", 0, _MEMBERS), Column("label", "int", -1, 1)),
    rules=(
        Rule("label", "1 or -1", lambda rows: rows["label"] == 0),
        Rule("member", "there only once", lambda rows: rows["member"].duplicated()),
    ),
    header=False,
)


def read_bids(path: str | Path) -> pd.DataFrame:
    """Return sealed bids for public works, one a row: amounts in yen, dates as yyyymmdd, marks 1 for yes.

    References
    ----------
    Chassang and Ortner (2019), Collusion in auctions with constrained bids. Licence MIT.
    """
    return read_table(path, BIDS)


def read_trust_ratings(path: str | Path) -> pd.DataFrame:
    """Return ratings of traders by traders, one a row: -10 (total distrust) to 10 (total trust), Unix seconds.

    References
    ----------
    Kumar, Spezzano, Subrahmanian and Faloutsos (2016), Edge weight prediction in weighted signed networks.
    """
    return read_table(path, RATINGS)


def read_trust_labels(path: str | Path) -> pd.DataFrame:
    """Return members and whether they are known as trustworthy (1) or fraudulent (-1).

    The labels were made from ratings by the platform's founder and those he trusted, so a rule that reads ratings is in
    part held against itself.

    References
    ----------
    Kumar, Hooi, Makhija, Kumar, Subrahmanian and Faloutsos (2018), REV2: fraudulent user prediction in rating
    platforms.
    """
    return read_table(path, LABELS)
