"""Cheats in a running market: what they deliver, what it costs them, and that nobody who judges knows who they are."""

from __future__ import annotations

import numpy as np
import pytest

from celluler_sim.consensus.base import STAKE
from celluler_sim.errors import ScenarioError
from celluler_sim.institutions.trust_judging import examine
from celluler_sim.institutions.trust_running import RunningTrust
from celluler_sim.ledger import TREASURY, Amounts
from tests.institutions.trust_worlds import TRUST, now, stepped, table, trust_of, trusting, world


def test_overclaimers_are_paid_for_nothing_where_nobody_looks() -> None:
    """Half the work is missing, all of it is paid, and no penalty falls."""
    economy = trusting("verification=none", "trust.fraud.shares={overclaim:0.4}")
    rows = table(economy, "deliveries")
    cheats = rows[rows.cheated]
    assert len(cheats) > 10
    assert np.allclose(cheats.found, cheats.claimed / 2)
    assert np.allclose(cheats.earned_prana, cheats.price_prana)
    assert np.allclose(cheats.lost_prana, cheats.price_prana / 2)
    assert not table(economy, "penalties").kind.isin(["fine", "accusation"]).any()
    assert (rows[~rows.cheated].lost_prana == 0).all()


def test_a_check_withholds_fines_and_accuses() -> None:
    """Where every delivery is checked, what is missing is not paid and fined twofold, and cheats are accused."""
    economy = trusting("verification.probability=1", "trust.fraud.shares={overclaim:0.4}", "trust.fine_multiple=2")
    rows, penalties = table(economy, "deliveries"), table(economy, "penalties")
    cheats = rows[rows.cheated]
    assert len(cheats) > 5
    assert cheats.guilty.all()
    assert not rows[~rows.cheated].guilty.any()
    assert np.allclose(cheats.earned_prana, cheats.price_prana / 2)
    assert np.allclose(cheats.fine_prana, cheats.price_prana)
    fines = penalties[penalties.kind == "fine"]
    assert np.isclose(float(fines.slashed_prana.sum()), cheats.fine_prana.sum())
    accused = penalties[penalties.kind == "accusation"]
    assert len(accused)
    assert accused.cheat.all()


def test_money_is_exact_and_fines_reach_the_treasury() -> None:
    """What bonds lose the treasury has, less what it pays for checks, to the unit."""
    economy = world(*TRUST, "verification.probability=1", "trust.fraud.shares={overclaim:0.4}", "trust.fine_multiple=2")
    before = economy.ledger.units(TREASURY)
    stepped(economy, 30)
    taken = sum(int(v.scaleb(18)) for v in table(economy, "penalties").slashed_prana)
    assert taken > 0
    spent = sum(int(v.scaleb(18)) for v in table(economy, "checks").paid_prana)
    assert spent == 10**18 * int(table(economy, "deliveries").checked.sum()) > 0
    assert economy.ledger.units(TREASURY) == before + taken - spent
    assert economy.ledger.total() == economy.ledger.supply


def test_a_customer_does_not_pay_for_what_it_saw_missing() -> None:
    """No-shows earn nothing where failures are refunded, and everything where they are not."""
    for refunds, earned in (("true", 0.0), ("false", 1.0)):
        rows = table(trusting("trust.fraud.shares={no_show:0.4}", f"trust.refunds={refunds}"), "deliveries")
        cheats = rows[rows.cheated & ~rows.guilty]
        assert len(cheats) > 5
        assert np.allclose(cheats.earned_prana, earned * cheats.price_prana)


def test_compensation_goes_by_the_gravity_of_the_breach() -> None:
    """A customer gets back half of a half, by the weight 0.5 of false provisioning and a compensation of 0.5."""
    economy = trusting(
        "verification.probability=1", "trust.fraud.shares={overclaim:0.4}", "trust.quality.compensation=0.5",
        "trust.forfeits=false",
    )  # fmt: skip
    rows = table(economy, "deliveries")
    cheats = rows[rows.guilty]
    assert np.allclose(cheats.earned_prana, 0.75 * cheats.price_prana)


def test_reputation_keeps_cheats_out() -> None:
    """Once reputations are in, cheats sell a smaller share than they did where reputation does not matter."""
    more = ("verification.probability=0.5", "trust.fraud.shares={overclaim:0.4}", "trust.quality.latency_ms=1000")
    share = []
    for least in (0.0, 0.45):
        rows = table(trusting(*more, f"trust.min_reputation={least}", ticks=40), "deliveries")
        late = rows[rows.tick >= 20]
        share.append(late.cheated.mean())
    assert share[1] < share[0] / 2


def test_wrong_results_are_found_by_repeating_and_not_by_measuring() -> None:
    """A meter sees no capacity missing where the answer is made up; a majority does see it."""
    found = {}
    for rule in ("spot_checks", "redundant_execution"):
        economy = trusting(
            f"verification={rule}", "verification.probability=1", "trust.fraud.shares={wrong_result:0.2}", ticks=25
        )
        rows = table(economy, "deliveries")
        assert rows.wrong.any()
        found[rule] = rows[rows.guilty]
    assert len(found["redundant_execution"])
    assert found["redundant_execution"].wrong.all()


def test_bonds_are_lent_and_slashed_and_filled_up_again() -> None:
    """An accusation of weight 0.5 with a slash of 1 takes half of the bond, and earnings fill it up again."""
    economy = trusting(
        "verification.probability=1", "trust.fraud.shares={overclaim:0.3}", "penalty.slash=1", "trust.bond_prana=100"
    )
    penalties = table(economy, "penalties")
    accused = penalties[penalties.kind == "accusation"]
    assert float(accused.slashed_prana.iloc[0]) == 50.0
    p = economy.providers
    free, staked = economy.ledger.balance(p["account"]), economy.ledger.staked(p["account"])
    assert (staked <= 100.0).all()
    sent = table(economy, "transactions")
    assert (sent.kind == "stake").any()
    waits = np.isin(np.arange(len(free)), trust_of(economy).bonds.sent.alive()["provider"])
    assert ((staked >= 100.0) | (free == 0) | waits).all()


def test_a_bond_is_added_to_when_the_transaction_is_final_and_not_before() -> None:
    """A provider short of 40 with 25 of its own sends once; 25 are locked in the next tick, and expiry locks none."""
    economy = trusting("trust.bond_prana=100", "agents.consumers.jobs_per_day=0.0001", ticks=1)
    trust, ledger = trust_of(economy), economy.ledger
    account = economy.providers["account"][:2]
    ledger.slash(account, Amounts.from_prana(np.array([40.0, 40.0])))
    ledger.pay(np.array([TREASURY, TREASURY]), account, Amounts.from_prana(np.array([25.0, 25.0])))
    trust.bonds.refill(now(economy))
    trust.bonds.refill(now(economy))
    assert trust.bonds.sent.alive()["provider"].tolist() == [0, 1]
    assert ledger.staked(account).tolist() == [60.0, 60.0]
    trust.expired(trust.bonds.sent.alive()["number"][1:], now(economy))
    trust.ordered(STAKE, trust.bonds.sent.alive()["number"], np.zeros(1), now(economy))
    assert ledger.staked(account).tolist() == [85.0, 60.0]
    assert ledger.balance(account).tolist() == [0.0, 25.0]


def test_a_false_accusation_is_taken_back_on_appeal() -> None:
    """Who is accused though nothing was missing gets reputation and bond back, and whoever deserved it does not."""
    economy = trusting("penalty.slash=1", "trust.fraud.shares={overclaim:0.3}", ticks=1)
    trust = trust_of(economy)
    honest = np.flatnonzero(trust.conduct.fraud < 0)[:1]
    score, staked = trust.scores[honest], economy.ledger.staked(economy.providers["account"][honest])
    trust.accuse(honest, 3, now(economy))
    assert np.allclose(trust.scores[honest], score)
    assert np.array_equal(economy.ledger.staked(economy.providers["account"][honest]), staked)
    cheat = np.flatnonzero(trust.conduct.fraud >= 0)[:1]
    trust.short[cheat], trust.conduct.tainted[cheat] = 0.5, True
    before = trust.scores[cheat]
    trust.accuse(cheat, 3, now(economy))
    assert (trust.scores[cheat] < before).all()
    assert economy.ledger.staked(economy.providers["account"][cheat])[0] < 100_000
    assert table(economy, "penalties").appeal.iloc[-2:].tolist() == ["granted", "none"]


@pytest.mark.parametrize("rule", ["spot_checks", "profit_audit", "redundant_execution", "reputation_tracking"])
def test_no_detector_reads_a_hidden_type(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the column of types shuffled once deliveries are made, every decision on them is the same."""
    decisions: list[list[np.ndarray]] = []
    for shuffle in (False, True):
        made = RunningTrust._examined
        seen: list[np.ndarray] = []

        def examined(self, deliveries, tick, made=made, shuffle=shuffle, seen=seen):  # type: ignore[no-untyped-def]
            answers = self.conduct.answers  # what helpers answer is conduct, not judgement: let it see the true types
            fraud, propensity = self.conduct.fraud, self.conduct.propensity
            if shuffle:
                order = np.random.default_rng(5).permutation(len(fraud))

                def truthful(agent, item):  # type: ignore[no-untyped-def]
                    shown = self.conduct.fraud, self.conduct.propensity
                    self.conduct.fraud, self.conduct.propensity = fraud, propensity
                    try:
                        return answers(agent, item)
                    finally:
                        self.conduct.fraud, self.conduct.propensity = shown

                self.conduct.answers = truthful
                self.conduct.fraud, self.conduct.propensity = fraud[order], propensity[order]
            found = made(self, deliveries, tick)
            self.conduct.fraud, self.conduct.propensity, self.conduct.answers = fraud, propensity, answers
            seen.append(np.concatenate([found.guilty, found.missing, found.verdicts.agent, found.verdicts.score]))
            return found

        with monkeypatch.context() as patch:
            patch.setattr(RunningTrust, "_examined", examined)
            trusting(f"verification={rule}", "verification.probability=0.7", "trust.failure_rate=0.05",
                     "trust.fraud.shares={overclaim:0.2,wrong_result:0.1,no_show:0.1}", ticks=12)  # fmt: skip
        decisions.append(seen)
    assert any(len(d) for d in decisions[0])
    for left, right in zip(*decisions, strict=True):
        assert np.array_equal(left, right)


def test_admission_does_not_read_a_hidden_type() -> None:
    """With types shuffled at the end of a run, the same providers are let in and the same are accused next."""
    economy = trusting("verification.probability=0.5", "trust.fraud.shares={overclaim:0.4}", "trust.min_reputation=0.4")
    trust, slots = trust_of(economy), economy.providers.slots
    before = trust.admits(slots, now(economy)), trust.rule.accumulation.verdicts(trust.suspicion).score
    trust.conduct.fraud = np.random.default_rng(1).permutation(trust.conduct.fraud)
    assert not before[0].all()
    assert np.array_equal(trust.admits(slots, now(economy)), before[0])
    assert np.array_equal(trust.rule.accumulation.verdicts(trust.suspicion).score, before[1])


def test_the_examiner_is_handed_no_type() -> None:
    """What is handed to the examiner has no column that says who cheats."""
    from celluler_sim.institutions.trust_conduct import Conduct, Deliveries

    assert "cheated" in Deliveries.__dataclass_fields__
    evidence = Deliveries(*(np.ones(1, t) for t in (int, int, float, float, int, bool, bool))).evidence()
    assert {"cheated", "fraud", "propensity"}.isdisjoint(vars(evidence))
    assert Conduct not in examine.__annotations__.values()


def test_latency_follows_the_load() -> None:
    """A delivery at a busier provider is slower: the law of Sakasegawa at its load."""
    rows = table(trusting(), "deliveries")
    assert rows.latency_ms.min() >= 20.0
    assert rows.latency_ms.max() > 1.2 * rows.latency_ms.min()


def test_a_whitewasher_begins_anew() -> None:
    """Whose name is spoilt comes back with a newcomer's reputation, and is let in again."""
    economy = trusting(
        "trust.fraud.shares={whitewash:0.3}", "verification.probability=1", "trust.min_reputation=0.45", ticks=30
    )
    trust = trust_of(economy)
    assert trust.log.renamed > 0
    cheats = np.flatnonzero(trust.conduct.fraud >= 0)
    assert trust.admits(cheats, now(economy)).all()


@pytest.mark.parametrize(
    ("kind", "resists", "falls"), [("ballot_stuff", "eigentrust", "mean"), ("sybil", "eigentrust", "beta")]
)
def test_praise_lifts_cheats_where_any_rater_counts(kind: str, resists: str, falls: str) -> None:
    """A rule that counts every voice rates praised cheats higher than one where trust springs from those who spend."""
    mean = {}
    for rule in (resists, falls):
        economy = trusting(
            f"reputation={rule}", f"trust.fraud.shares={{{kind}:0.3}}", "verification.probability=1",
            "trust.accumulation.false_alarm_rate=0.000001", "trust.quality.latency_ms=1000", "trust.fraud.praises=5",
            ticks=25,
        )  # fmt: skip
        trust = trust_of(economy)
        sold = np.bincount(table(economy, "deliveries").provider, minlength=economy.providers.size) > 0
        merit, cheats = trust.standing.merit[trust.names.first :], trust.conduct.fraud >= 0
        mean[rule] = merit[cheats & sold].mean() / merit[~cheats & sold].mean()
    assert mean[resists] < 0.1
    assert mean[falls] > 0.5


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trust.fraud.shares={overclame:0.1}", "trust.fraud.shares must name some of"),
        ("trust.fraud.shares={overclaim:0.7,no_show:0.7}", "trust.fraud.shares must be <= 1"),
        ("trust.min_reputation=2", "trust.min_reputation must be"),
        ("trust.fraud.learning=guess", "trust.fraud.learning must be"),
        ("trust.check_fee=1.5", "trust.check_fee must be"),
        ("trust.ring.size=1", "trust.ring.size must be >= 2"),
    ],
)
def test_bad_values_are_refused(override: str, message: str) -> None:
    """A wrong value is refused with the key and what is allowed."""
    with pytest.raises(ScenarioError, match=message):
        world(*TRUST, override)
    with pytest.raises(ScenarioError, match="bond_prana must be > 0"):
        world("trust=standard", "trust.fine_multiple=2")
