"""Pools and trust at once: members that overstate what they bring, who finds out, and what it is worth to them."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from celluler_sim import resume
from celluler_sim.checkpoint import store
from celluler_sim.economy import Economy
from celluler_sim.errors import ScenarioError
from celluler_sim.run import run_scenario
from celluler_sim.scenario import Scenario, compose
from tests.institutions.pools_worlds import SMALL
from tests.institutions.trust_worlds import changed, now, stepped, table, trust_of

TRUST = (
    "trust=standard", "verification=spot_checks", "reputation=beta", "penalty=additive", "trust.bond_prana=100000",
    "trust.failure_rate=0", "trust.quality.latency_ms=1000",
)  # fmt: skip
LOYAL = ("pools.formation=none", "pools.behaviours={loyal:1.0}")
LIARS = "trust.fraud.shares={misreport:0.4}"
LONE = "trust.fraud.shares={misreport:0.3}"  # one of the eight cells
NOBODY = "verification=none"


@functools.cache
def _base() -> Scenario:
    return changed(compose("resource_pool", [*SMALL, *LOYAL]), *TRUST)


def pooled(*more: str, ticks: int = 16) -> Economy:
    """Return a small economy with two pools and trust, after some ticks."""
    return stepped(Economy(changed(_base(), *more)), ticks)


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Return every table of a run."""
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*.parquet"))}


def liars_of(economy: Economy) -> np.ndarray:
    """Return the slots of members that overstate."""
    return np.flatnonzero(trust_of(economy).conduct.fraud >= 0)


def test_pools_share_by_what_members_say_and_sell_what_there_is() -> None:
    """At a depth of one half liars say twice what they have; the pool's offer, and its customers, see the truth."""
    economy = pooled(LIARS, NOBODY)
    rows, liars = table(economy, "reports"), liars_of(economy)
    assert 1 < len(liars) < 7
    assert (rows.overstated == np.isin(rows.member, liars)).all()
    assert np.allclose(rows.said, rows.held * np.where(rows.overstated, 2.0, 1.0))
    assert (rows.believed == rows.said).all()
    members, pools = table(economy, "pool_members"), economy.institutions[0]
    first = members[(members.period == 0) & (members.pool == 0)]
    said = pools.register.said[first.member]
    assert np.allclose(first.contribution, (said / said.sum(axis=0)).mean(axis=1))
    assert np.isclose(economy.providers["capacity"][8], pools.register.amount[first.member, 0].sum())
    deliveries = table(economy, "deliveries")
    assert len(deliveries) > 20
    assert not deliveries.cheated.any()
    assert (deliveries.found == deliveries.claimed).all()


def test_what_a_lie_brings_is_what_its_author_gets_more_than_for_the_truth() -> None:
    """The gain of one liar in the books is, to rounding, its first payout less that in the same world without lies."""
    economy, honest = pooled(LONE, NOBODY, ticks=8), pooled("trust.fraud.shares={misreport:0.0}", NOBODY, ticks=8)
    (liar,) = liars_of(economy)
    rows = table(economy, "reports")
    gain = rows[rows.overstated].gain_prana
    assert len(gain) == 1
    paid = [table(e, "pool_members").set_index("member").paid_prana.astype(float) for e in (economy, honest)]
    more = paid[0] - paid[1]
    assert gain.iloc[0] > 1.0
    assert np.isclose(gain.iloc[0], more[liar])
    assert np.isclose(more.sum(), 0.0, atol=1e-6)  # the others of its pool pay for it
    assert (more.drop(liar) <= 1e-9).all()


def test_lies_pay_where_nobody_looks_and_cost_where_all_are_checked() -> None:
    """Liars get more than honest they would; checked each time, they lose their fines, and the gain if forfeited."""

    def wealth(*more: str) -> float:
        economy = pooled(*more, ticks=40)
        who = liars_of(pooled(LIARS, ticks=0))
        account = economy.providers["account"][who]
        slashed = table(economy, "penalties")
        fines = slashed[(slashed.kind == "fine") & slashed.provider.isin(who)].slashed_prana.astype(float).sum()
        paid = economy.institutions[0].members["paid"][who].sum()
        assert (economy.ledger.staked(account) <= 100_000).all()
        return float(paid - fines)

    never = ("trust.accumulation.false_alarm_rate=1e-300",)  # fines only: nobody is shut out of a pool
    truthful = wealth("trust.fraud.shares={misreport:0.0}", NOBODY)
    unseen = wealth(LIARS, NOBODY)
    fined = wealth(LIARS, "verification.probability=1", "trust.fine_multiple=2", "trust.forfeits=false", *never)
    forfeit = wealth(LIARS, "verification.probability=1", "trust.fine_multiple=2", *never)
    assert unseen > 1.05 * truthful
    assert forfeit < fined < truthful


def test_a_check_puts_the_books_right_and_fines_what_the_lie_was_worth() -> None:
    """With all reports checked and gains forfeited pools pay by the truth, and fines are thrice each lie's gain."""
    economy = pooled(LIARS, "verification.probability=1", "trust.fine_multiple=3")
    rows, penalties = table(economy, "reports"), table(economy, "penalties")
    lies = rows[rows.overstated]
    assert len(lies) > 2
    assert lies.guilty.all()
    assert not rows[~rows.overstated].guilty.any()
    assert np.allclose(rows.believed, rows.held)
    assert np.allclose(lies.fine_prana, 3 * lies.gain_prana.clip(lower=0))
    fines = penalties[penalties.kind == "fine"]
    assert set(fines.offence) == {"profit_manipulation"}
    assert np.isclose(float(fines.slashed_prana.sum()), lies.fine_prana.sum())
    assert economy.ledger.total() == economy.ledger.supply


def test_who_is_accused_of_misreports_is_fined_shut_out_and_no_honest_member_is() -> None:
    """Found often, liars are accused of profit manipulation, suspended, expelled from their pool, and not let in."""
    economy = pooled(LIARS, "verification.probability=1", "trust.suspension_s=1e9", ticks=40)
    penalties, moves = table(economy, "penalties"), table(economy, "pool_moves")
    accused = penalties[penalties.kind == "accusation"]
    liars = set(liars_of(economy))
    assert set(accused.provider) == liars
    assert set(accused.offence) == {"profit_manipulation"}
    assert set(moves[moves.kind == "expel"].member) == liars
    pools = economy.institutions[0]
    assert not np.isin(pools.members["pool"][list(liars)], [0, 1]).any()
    pools._join(min(liars), 0, now(economy))
    assert not table(economy, "pool_moves").accepted.iloc[-1]


def test_rules_that_do_not_measure_find_no_misreport() -> None:
    """Repeating work and counting failures say nothing of a machine that is not there."""
    for rule in ("redundant_execution", "reputation_tracking"):
        rows = table(pooled(LIARS, f"verification={rule}", "verification.probability=1"), "reports")
        assert rows.overstated.any()
        assert not rows.checked.any()


def test_checks_of_reports_do_not_read_a_hidden_type() -> None:
    """With the column of types shuffled once reports are made, the same reports are found wanting."""
    economy = pooled(LIARS, "verification.probability=0.7", ticks=7)
    book, pools = trust_of(economy).reports, economy.institutions[0]
    who = np.flatnonzero(pools.members["pool"] >= 0)
    book.said(who, pools.register.amount[who])
    fraud, found = trust_of(economy).conduct.fraud.copy(), []
    for order in (np.arange(len(fraud)), np.random.default_rng(2).permutation(len(fraud))):
        trust_of(economy).conduct.fraud = fraud[order]
        f = book._examined(who)
        found.append(np.concatenate([f.checked, f.guilty, f.missing, f.verdicts.agent, f.verdicts.score]))
    assert found[0][len(who) :].any()
    assert np.array_equal(*found)


def test_liars_learn_from_checks() -> None:
    """Where a lie is found for sure and costs thrice its gain, liars lie less in the end; where nobody looks, more."""
    learn = ("trust.fraud.learning=reinforcement", "trust.fraud.propensity=0.5", "trust.fraud.reinforcement.rate=0.5",
             "trust.fine_multiple=3", "pools.period_s=1800")  # fmt: skip
    mean = {}
    for rule in ("verification=none", "verification=spot_checks"):
        economy = pooled("trust.fraud.shares={misreport:1.0}", rule, *learn,
                         *(["verification.probability=1"] if "spot" in rule else []), ticks=40)  # fmt: skip
        mean[rule] = trust_of(economy).conduct.propensity[:8].mean()
    assert mean["verification=none"] > 0.6
    assert mean["verification=spot_checks"] < 0.4


def test_a_pool_is_no_cheat_whatever_its_slot() -> None:
    """Where every provider overclaims, pools still deliver what they sell: fraud is their members' own affair."""
    economy = pooled("trust.fraud.shares={overclaim:1.0}", NOBODY)
    conduct, fronts = trust_of(economy).conduct, economy.institutions[0].fronts()
    assert fronts.tolist() == [8, 9]
    assert (conduct.fraud[:8] >= 0).all()
    assert (conduct.fraud[fronts] < 0).all()
    rows = table(economy, "deliveries")
    assert not rows[rows.provider >= 8].cheated.any()


@pytest.mark.slow
@pytest.mark.parametrize("formation", ["best_reply", "merge_and_split"])
def test_pools_that_form_under_trust_keep_every_unit_and_repeat_byte_by_byte(formation: str, tmp_path: Path) -> None:
    """With lies, checks, fines, a fee and changing pools the supply is exact each tick, and a second run the same."""
    setup = changed(
        _base(), "trust.fraud.shares={misreport:0.7,overclaim:0.3}", "trust.fine_multiple=2", "pools.initial=0",
        "verification.probability=0.5", f"pools.formation={formation}", "pools.behaviours={best_reply:1.0}",
        "pools.review_per_day=12", "trust.payer=fund", "trust.check_fee=0.02", "trust.suspension_s=7200",
        "trust.fraud.learning=replicator", "trust.fraud.propensity=0.8", "penalty.slash=0.5",
    )  # fmt: skip
    economy = Economy(setup)
    for _ in range(40):
        economy.step()  # `Ledger.check` in each
        free = economy.ledger.amounts(economy.providers["account"][economy.institutions[0].fronts()]).to_units()
        assert min(free, default=0) >= 0
    found = {name: table(economy, name) for name in ("reports", "pool_members", "pools", "checks")}
    assert found["reports"].overstated.any()
    assert found["checks"].kind.isin(["report"]).any()
    assert sum(found["pools"].received_prana) == sum(found["pool_members"].query("pool >= 0").paid_prana)
    runs = []
    for name in ("one", "two"):
        run_scenario(replace(setup, name="lies", ticks=24, variants={}), tmp_path / name)
        runs.append(bytes_of(tmp_path / name))
    assert runs[0] == runs[1]
    assert "reports.parquet" in runs[0]


def test_a_stopped_run_with_lies_continues_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """Stopped between two payouts; all tables are those of a run without a stop."""
    setup = changed(_base(), LIARS, "trust.fine_multiple=2", "verification.probability=0.5", "trust.payer=fund",
                    "trust.check_fee=0.02", "trust.fraud.learning=reinforcement")  # fmt: skip
    setup = replace(setup, name="lies", ticks=18, variants={})
    run_scenario(setup, tmp_path / "whole")
    real = store.write

    def first(*args: Any, **more: Any) -> Any:
        real(*args, **more)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(store, "write", first)
        with pytest.raises(KeyboardInterrupt):
            run_scenario(replace(setup, checkpoint_every=11), tmp_path / "stopped")
    resume(tmp_path / "stopped")
    assert bytes_of(tmp_path / "stopped") == bytes_of(tmp_path / "whole")


def test_a_lie_without_anything_behind_it_is_refused() -> None:
    """At a depth of 1 nothing of what is reported would be there, so any report would be infinite."""
    with pytest.raises(ScenarioError, match=r"trust\.fraud\.depth must be < 1 where .* has misreport"):
        pooled(LIARS, "trust.fraud.depth=1")
