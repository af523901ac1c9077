"""Readers of bids and ratings: the published files pass, and damage is named by file, line and column."""

import gzip
from pathlib import Path

import pytest

from celluler_sim.errors import TraceError
from celluler_sim.workloads.trust_readers import BIDS, read_bids, read_trust_labels, read_trust_ratings
from tests.shared_data import shared

RATINGS = "6,2,4,1289241911.7\n6,5,-2,1289241941.5\n1,15,10,1289243140.4\n"
LABELS = "215,+1\n132,-1\n"
GOOD = {
    "pid": 15, "bidder_id": 3, "date": 20070607, "year": 2007, "quarter": 2, "month": 6, "day": 7,
    "reserveprice": 1000, "minprice": 800, "bid": 950, "norm_bid": 0.95, "num_bidders": 2, "winner": 1, "loser": 0,
}  # fmt: skip


def bids(**changes: object) -> str:
    """Return a file of one bid."""
    row = dict.fromkeys(BIDS.names, "0") | {"num_bidders": "1"} | {k: str(v) for k, v in (GOOD | changes).items()}
    return ",".join(BIDS.names) + "\n" + ",".join(row[name] for name in BIDS.names) + "\n"


def test_published_bids():
    """The README's counts: 6,013 bids in 1,565 auctions, 269 firms, 68 of them long-run bidders."""
    rows = read_bids(shared("data/procurement_auctions_tsuchiura"))
    assert len(rows) == 6013
    assert rows["pid"].nunique() == 1565
    assert rows["bidder_id"].nunique() == 269
    assert rows.loc[rows["is_cartel"] == 1, "bidder_id"].nunique() == 68


def test_published_ratings_and_labels():
    """The README's counts: 35,592 ratings among 5,881 members; 180 fraudulent and 136 trustworthy."""
    rows, labels = (read(shared("data/trust_bitcoin_otc")) for read in (read_trust_ratings, read_trust_labels))
    assert len(rows) == 35592
    assert len(set(rows["source"]) | set(rows["target"])) == 5881
    assert labels["label"].value_counts().to_dict() == {-1: 180, 1: 136}


def test_small_files(tmp_path: Path):
    (tmp_path / "otc_network.csv").write_text(RATINGS)
    with gzip.open(tmp_path / "otc_gt.csv.gz", "wt") as file:
        file.write(LABELS)
    (tmp_path / "bids.csv").write_text(bids())
    assert read_trust_ratings(tmp_path)["rating"].tolist() == [4, -2, 10]
    assert read_trust_labels(tmp_path)["label"].tolist() == [1, -1]
    assert read_bids(tmp_path)["bid"].tolist() == [950.0]


DAMAGED = [
    (read_trust_ratings, "otc_network.csv", RATINGS.replace("-2", "-11"), "line 2, column rating"),
    (read_trust_ratings, "otc_network.csv", RATINGS.replace("-2", "0"), "line 2, column rating"),
    (read_trust_ratings, "otc_network.csv", RATINGS.replace("6,5", "6,6"), "line 2, column target"),
    (read_trust_ratings, "otc_network.csv", RATINGS.replace("1289243140.4", "1289241900"), "line 3, column time"),
    (read_trust_ratings, "otc_network.csv", RATINGS.replace("15,", "x,"), "line 3, column target"),
    (read_trust_ratings, "otc_network.csv", RATINGS.replace(",10,", ","), "line 3: must be 4 cells"),
    (read_trust_labels, "otc_gt.csv", LABELS.replace("-1", "0"), "line 2, column label"),
    (read_trust_labels, "otc_gt.csv", LABELS.replace("132", "215"), "line 2, column member"),
    (read_bids, "bids.csv", bids(winner=2), "line 2, column winner"),
    (read_bids, "bids.csv", bids(loser=1), "line 2, column loser"),
    (read_bids, "bids.csv", bids(minprice=2000), "line 2, column minprice"),
    (read_bids, "bids.csv", bids(reserveprice="-5"), "line 2, column reserveprice"),
    (read_bids, "bids.csv", bids().replace("reserveprice", "price"), "line 1: column reserveprice"),
]


@pytest.mark.parametrize(("read", "name", "text", "where"), DAMAGED, ids=[f"{d[1]}-{i}" for i, d in enumerate(DAMAGED)])
def test_damage_is_named(tmp_path: Path, read, name: str, text: str, where: str):
    (tmp_path / name).write_text(text)
    with pytest.raises(TraceError, match=where) as error:
        read(tmp_path)
    assert name in str(error.value)
    assert "\n" not in str(error.value)
