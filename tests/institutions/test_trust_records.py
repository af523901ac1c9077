"""Trust and governance in checkpoints, in the summary and in pictures; scenarios say what they can keep."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from celluler_sim import load_run, resume
from celluler_sim.analysis.plots import PLOTS
from celluler_sim.analysis.plots_trust import idle
from celluler_sim.analysis.trust import (
    detection_delay,
    governance_figures,
    money_saved,
    trust_figures,
    truth_and_accused,
)
from celluler_sim.checkpoint import store
from celluler_sim.run import run_scenario
from celluler_sim.scenario import Scenario, compose
from tests.institutions.trust_worlds import stepped, table, world

BUSY = (
    "trust=standard", "verification=spot_checks", "verification.probability=0.5", "trust.bond_prana=1000",
    "trust.fine_multiple=2", "trust.fraud.learning=reinforcement", "trust.fraud.propensity=0.5", "penalty.slash=0.5",
    "trust.fraud.shares={overclaim:0.3,ring:0.3,sybil:0.2}", "reputation=eigentrust", "governance=on_chain",
    "voting.period_seconds=2400", "screens=bid_rotation", "trust.screen_every=4",
    "governance.proposals={p:{changes:['pricing=linear'],at_s:600,support:1},q:{changes:['pricing=x']}}",
)  # fmt: skip
NAMES = ("deliveries", "penalties", "reputation", "rings", "proposals", "votes")


def busy(ticks: int = 12) -> Scenario:
    """Return a small scenario with everything at once."""
    return replace(world(*BUSY).setup, name="busy", ticks=ticks)


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Return every table of a run."""
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*.parquet"))}


def test_a_stopped_run_with_trust_and_a_vote_continues_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped before, and after, a vote that changes the price rule; all tables are those of a run without a stop."""
    run_scenario(busy(), tmp_path / "whole")
    for stop in (1, 3):
        real = store.write
        written: list[Any] = []

        def counted(*args: Any, real: Any = real, written: list[Any] = written, stop: int = stop, **more: Any) -> Any:
            written.append(real(*args, **more))
            if len(written) == stop:
                raise KeyboardInterrupt
            return written[-1]

        with monkeypatch.context() as patch:
            patch.setattr(store, "write", counted)
            with pytest.raises(KeyboardInterrupt):
                run_scenario(replace(busy(), checkpoint_every=3), tmp_path / f"stopped{stop}")
        resume(tmp_path / f"stopped{stop}")
        assert bytes_of(tmp_path / f"stopped{stop}") == bytes_of(tmp_path / "whole")
    assert load_run(tmp_path / "whole").tables["proposals"].status.tolist() == ["executed", "refused"]


def tables_by_hand() -> dict[str, pd.DataFrame]:
    """Return three providers: 0 honest, 1 and 2 cheats, of whom 1 is accused."""
    deliveries = pd.DataFrame({
        "fill": range(4), "tick": [0, 1, 2, 3], "provider": [0, 1, 1, 2], "cheated": [False, True, True, True],
        "price_prana": [10.0, 20.0, 20.0, 50.0], "earned_prana": [10.0, 20.0, 10.0, 50.0],
        "lost_prana": [0.0, 10.0, 0.0, 25.0], "check_prana": [1.0, 0.0, 1.0, 0.0], "latency_ms": 25.0,
        "suspicion": [0.1, 0.0, 1.0, 0.0], "guilty": [False, False, True, False],
    })  # fmt: skip
    penalties = pd.DataFrame({
        "provider": [1, 0], "tick": [4, 4], "kind": "accusation", "appeal": ["none", "granted"],
        "slashed_prana": [5.0, 0.0], "cheat": [True, False],
    })  # fmt: skip
    checks = pd.DataFrame({"tick": [0, 2], "kind": "delivery", "unpaid": [0, 3], "paid_prana": [1.0, 1.0]})
    reports = pd.DataFrame({
        "member": [1, 1, 3, 1], "tick": 5, "overstated": [True, True, False, True], "held": 1.0,
        "said": [2.0, 2.0, 1.0, 2.0], "believed": [2.0, 1.0, 1.0, 2.0], "gain_prana": [7.0, 4.0, 0.0, -1.0],
    })  # fmt: skip
    reputation = pd.DataFrame({
        "tick": 4, "provider": [0, 1, 2], "score": [0.9, 0.1, 0.95], "fraud": ["honest", "overclaim", "overclaim"],
        "admitted": [True, False, True], "propensity": [0.0, 1.0, 0.5],
    })  # fmt: skip
    return {
        "deliveries": deliveries, "penalties": penalties, "reputation": reputation, "checks": checks,
        "reports": reports,
    }  # fmt: skip


def test_figures_by_hand() -> None:
    """35 of 100 PRANA are lost; one of two cheats is accused, nobody honest for good, after three ticks."""
    tables = tables_by_hand()
    found = trust_figures(tables, {"tick_seconds": 60.0})
    assert found["fraud_share"] == 0.75
    assert found["fraud_loss_share"] == pytest.approx(0.35)
    assert (found["withheld_prana"], found["checks_prana"], found["slashed_prana"]) == (10.0, 2.0, 5.0)
    assert (found["withheld_share"], found["breaches_per_provider"]) == (0.1, 0.0)
    assert (found["detection_precision"], found["detection_recall"], found["false_alarm_share"]) == (1.0, 0.5, 0.0)
    assert found["detection_delay_s"] == detection_delay(tables, 60.0) == 180.0
    assert found["reputation_auc"] == 0.5
    assert (found["cheats_admitted_share"], found["honest_admitted_share"]) == (0.5, 1.0)
    assert found["cheating_propensity"] == 0.75
    assert (found["recovered_prana"], found["wrongly_taken_prana"]) == (10.0 + 4.0 + 5.0, 0.0)
    assert (found["recovered_per_prana"], found["checks_unpaid"]) == (9.5, 3.0)
    assert (found["overstated_share"], found["misreport_gain_prana"]) == (0.75, 6.0)


def test_members_that_overstate_are_cheats_too() -> None:
    """Of members 4 and 5, who sell nothing themselves, 4 lied first in tick 6 and is accused in tick 8."""
    tables = tables_by_hand()
    reports = pd.DataFrame({"member": [4, 5, 4], "tick": [6, 6, 9], "overstated": [True, False, True]})
    more = pd.DataFrame({"provider": [4], "tick": [8], "kind": "accusation", "appeal": "none"})
    tables |= {"reports": reports, "penalties": pd.concat([tables["penalties"], more])}
    truth, accused = truth_and_accused(tables)
    assert truth.tolist() == [False, True, True, True, False]
    assert accused.tolist() == [False, True, False, True, False]
    assert detection_delay(tables, 1.0) == (3 + 2) / 2


def test_money_saved_against_spent_by_hand() -> None:
    """Without checks 60 of 120 would be lost, so 50 of 100; 35 were, so 15 were prevented for 2."""
    blind = {"deliveries": pd.DataFrame({"price_prana": [120.0], "lost_prana": [60.0]})}
    money = money_saved(tables_by_hand(), blind)
    assert (money.prevented, money.spent, money.recovered, money.wrongly) == (15.0, 2.0, 19.0, 0.0)
    assert (money.net, money.per_prana) == (13.0, 7.5)


def test_figures_of_no_trust_are_none() -> None:
    """Where there is no trust and no vote, nothing is said."""
    assert set(trust_figures({}, {}).values()) == {None}
    assert set(governance_figures({}).values()) == {None}


def test_governance_figures_by_hand() -> None:
    """Stakes 6, 3 and 1: one voter holds a majority, and has all power there is."""
    votes = pd.DataFrame({"proposal": 0, "voter": range(3), "stake_prana": [6.0, 3.0, 1.0], "power": [1.0, 0.0, 0.0]})
    proposals = pd.DataFrame({
        "proposal": [0, 1], "status": ["executed", "refused"], "turnout": [0.9, 0.0], "approval": [1.0, 0.0],
        "bribes_prana": [2.0, 0.0],
    })  # fmt: skip
    found = governance_figures({"votes": votes, "proposals": proposals})
    assert found == {
        "proposals_executed": 1.0, "proposals_refused": 1.0, "mean_turnout": 0.9, "mean_approval": 1.0,
        "bribes_prana": 2.0, "largest_stake_share": 0.6, "largest_power_share": 1.0, "nakamoto_votes": 1.0,
    }  # fmt: skip


def test_every_picture_is_drawn_with_data_and_without() -> None:
    """Pictures of trust draw a run that has some, and say so of a run that has none."""
    economy = stepped(world(*BUSY), 14)
    full = SimpleNamespace(
        tables={name: table(economy, name) for name in NAMES}, config=economy.setup.to_mapping(), variants={}
    )  # fmt: skip
    empty = SimpleNamespace(tables={}, config={}, variants={})
    assert not any(idle(full).values())
    assert all(idle(empty).values())
    for name in idle(full):
        for run in (full, empty):
            figure = PLOTS[name](run)
            assert figure.axes


@pytest.mark.parametrize(
    "name", ["quality_of_service", "fraud_wave", "collusion_ring", "reputation_attack", "governance_vote"]
)
def test_scenarios_compose_with_their_claims_and_variants(name: str) -> None:
    """Each states three conclusions or more, and all its variants are valid scenarios."""
    scenario = compose(name)
    assert len(scenario.claims) >= 3
    assert scenario.audit.overrides
    for variant in list(scenario.variants)[:2]:
        assert scenario.variant(variant).mechanisms
    assert np.isfinite(scenario.tick_seconds)
