"""How good are the rules of trust? ``python -m benchmarks.trust [folder of shared data]``.

Prints the figures of `docs/design/trust.md`: false accusations in 200 honest populations, a colluding pair under every
reputation rule, and, where the data are there, screens on real bids and reputation rules on real ratings.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from celluler_sim.analysis import trust_data
from celluler_sim.conf.choices import import_mechanisms
from celluler_sim.mechanisms.base import registered
from celluler_sim.mechanisms.bids import Dealings
from celluler_sim.mechanisms.screens import MissingBids
from celluler_sim.mechanisms.trade_graph import TradeCommunities
from celluler_sim.mechanisms.verification import Verification
from celluler_sim.streams import Streams
from tests.mechanisms.honest import population
from tests.mechanisms.test_reputation import scores_of_pair

PRAISE = (0, 10, 90, 1000)  # mutual praises of the pair


def detectors() -> dict[str, Any]:
    """Return every detector with its defaults, and those whose defaults hardly ever look, set so that they do."""
    names = [(f, name) for f in ("verification", "screens") for name in registered(f) if name != "none"]
    rules = {name: registered(family)[name]() for family, name in names}
    rules["trade_communities"] = TradeCommunities(shuffles=19, false_alarm_rate=0.05)  # 99 take five times as long
    rules["missing_bids, close 0.03"] = MissingBids(close=0.03)
    for name in ("spot_checks", "profit_audit"):
        sharp = registered("verification")[name](probability=1.0, tolerance=0.0)
        rules[f"{name}, every row, no tolerance"] = sharp
    return rules


def honest(replicates: int = 200) -> None:
    """Print how many honest agents each detector accuses, and check it against the stated rate."""
    print(f"{replicates} honest populations: accused of looked at, share, its standard error, stated")
    populations = population(replicates, seed=11)
    for name, rule in detectors().items():
        if isinstance(rule, Verification):
            evidence = enumerate(populations.evidence)
            found = [rule.inspect(e, Streams(1).draws("verification", tick)) for tick, e in evidence]
        else:
            found = [rule.screen(d, np.random.default_rng(i)) for i, d in enumerate(populations.dealings)]
        share = np.array([v.flagged.mean() for v in found if len(v.agent)])
        error = float(share.std() / np.sqrt(max(len(share), 1)))
        accused, looked = sum(int(v.flagged.sum()) for v in found), sum(len(v.agent) for v in found)
        rate = rule.false_alarm_rate
        print(
            f"  {name:40} {accused:5} of {looked:5}  {accused / max(looked, 1):.4f}  {error:.4f}  {rate:g}", flush=True
        )
        assert accused / max(looked, 1) <= rate + 3 * error, name


def pair() -> None:
    """Print what mutual praise does to the score of two cheats whom ten honest agents rated 0.1 each."""
    print(f"score of a colluding pair after {', '.join(map(str, PRAISE))} mutual praises, and of the honest")
    for name, cls in registered("reputation").items():
        rule = cls(performance_weight=0.0, fairness_weight=0.0)
        scores = [scores_of_pair(rule, praise) for praise in PRAISE]
        print(f"  {name:12}", *(f"{cheats:6.3f}" for cheats, _ in scores), f"   {scores[-1][1]:.3f}")


def real(folder: Path) -> None:
    """Print areas under the curve on real bids and real ratings."""
    bids = trust_data.procurement(folder / "procurement_auctions_tsuchiura")
    print("figures of auctions against the mark: without, with a minimum price (standard error)")
    found = trust_data.screens_of_auctions(bids)
    for name in dict.fromkeys(name for name, _ in found):
        print(
            f"  {name:12}",
            *(f"{found[name, floor].auc:.3f} ({found[name, floor].error:.3f})" for floor in (False, True)),
        )
    print("screens of bidders against the mark: scores, participation alone, bids dealt out anew; flagged")
    screens = {n: r for n, r in detectors().items() if n in registered("screens") and n != "trade_communities"}
    dealt = [trust_data.screens_of_bidders(trust_data.placebo(bids, seed), screens) for seed in range(20)]
    for name, (scores, often) in trust_data.screens_of_bidders(bids, screens).items():
        chance = np.mean([each[name][0].auc for each in dealt])
        verdicts = screens[name].screen(Dealings(bids.bids), np.random.Generator(np.random.PCG64(0)))
        marked = bids.long_run[np.searchsorted(bids.bidder, verdicts.agent)]
        flagged = [f"{int((verdicts.flagged & who).sum())} of {int(who.sum())}" for who in (marked, ~marked)]
        print(
            f"  {name:16} {scores.auc:.3f} ({scores.error:.3f})  {often.auc:.3f}  {chance:.3f}  {' and '.join(flagged)}"
        )
    traders, ks = trust_data.otc(folder / "trust_bitcoin_otc"), (1, 3, 5, 10, 10**9)
    print("reputation against labels after 1, 3, 5, 10 and all ratings; after 5 without labelled raters")
    for name, cls in registered("reputation").items():
        path = trust_data.early_path(traders, {name: cls()}, ks)[name]
        other = trust_data.early_detection(traders, cls(), 5, independent=True)
        print(f"  {name:12}", *(f"{auc:.3f}" for auc in path), f"  {other.auc:.3f} ({other.cheats} and {other.honest})")


def main() -> None:
    """Print everything."""
    import_mechanisms()
    pair()
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[2] / "shared" / "data"
    if folder.exists():
        real(folder)
    honest()


if __name__ == "__main__":
    main()
