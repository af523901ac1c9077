"""Proposals, votes and their execution in a running market."""

from __future__ import annotations

import numpy as np
import pytest

from celluler_sim.economy import Economy
from celluler_sim.errors import MechanismError, ScenarioError
from celluler_sim.institutions import governance_changes
from celluler_sim.institutions.governance_changes import changed, execute
from celluler_sim.mechanisms.pricing import Linear, SlidingWindow
from celluler_sim.scenario import compose
from tests.institutions.trust_worlds import SMALL, governance_of, stepped, table, trust_of, world

CHAIN = ("governance=on_chain", "voting.period_seconds=1200")


def proposed(changes: str, *more: str, ticks: int = 12, **facts: object) -> Economy:
    """Return an economy some ticks after a proposal was made in tick 2."""
    said = ",".join(f"{k}:{v}" for k, v in {"at_s": 1200, "support": 1, **facts}.items())
    return stepped(world(*CHAIN, f"governance.proposals={{p:{{changes:[{changes}],{said}}}}}", *more), ticks)


def test_a_passed_proposal_changes_the_price_rule_from_the_very_next_tick() -> None:
    """The count is at the end of tick 3; prices of tick 3 are the old rule's, those of tick 4 the new rule's."""
    economy, plain = proposed("'pricing=fixed'"), stepped(world(), 12)
    row = table(economy, "proposals").iloc[0]
    assert (row.status, row.effective_tick, row.closed_s) == ("executed", 4, 2400.0)
    new, old = table(economy, "markets").price_prana, table(plain, "markets").price_prana
    assert np.array_equal(new[:4], old[:4])
    assert (new[4:] == 100.0).all()
    assert (old[4:] != 100.0).all()


def test_two_of_three_equal_stakes_fail_at_67_hundredths_and_67_of_100_pass() -> None:
    """0.67 is 67/100: 2/3 is less; and the smallest unit of stake less than 67 of 100 is less, too."""
    for stakes, passes in (([1, 1, 1], False), ([33, 34, 33], True)):
        economy = world(
            *CHAIN, f"governance.voters.count={len(stakes)}", "governance.proposals={p:{changes:['pricing=fixed']}}"
        )
        governance = governance_of(economy)
        motion = governance.motions[0]
        governance.stakes = type(governance.stakes).from_prana(np.array(stakes, float))
        held = economy.ledger.amounts(governance.account, "stake")
        economy.ledger.unstake(governance.account, held)
        economy.ledger.stake(governance.account, governance.stakes)
        motion.ballots = {0: (1, -1, False), 1: (1, -1, False), 2: (-1, -1, False)}
        voting = economy.setup.mechanisms["voting"]
        tally = voting.tally(governance.ballots(motion))
        assert tally.passed is passes
        if passes:
            economy.ledger.unstake(governance.account[:1], type(held).from_units([1]))
            assert not voting.tally(governance.ballots(motion)).passed


@pytest.mark.parametrize(
    "change",
    [
        "pricing.base_price=-5", "pricing.base_price=abc", "pricing=lineer", "pricing.bse_price=5",
        "market.min_quality=2",         "voting.quorum=1.5", "allocation.max_share=7", "pricing",
    ],
)  # fmt: skip
def test_a_bad_value_is_refused_at_submission_in_the_words_of_yaml(change: str) -> None:
    """The reason in the table is the line that composing the scenario with the same change gives."""
    with pytest.raises(ScenarioError) as refused:
        compose("compute_congestion", [*SMALL, change])
    row = table(proposed(f"'{change}'", ticks=3), "proposals").iloc[0]
    assert row.status == "refused"
    assert row.reason == str(refused.value)


@pytest.mark.parametrize(
    "change", ["pricing=linear", "pricing.base_price=80", "allocation=first_come", "market.min_quality=0.5"]
)
def test_a_change_is_what_composing_with_it_gives(change: str) -> None:
    """A running economy gets the rules that a scenario with the same override has."""
    setup = compose("compute_congestion", [*SMALL, "pricing.base_price=90"])
    wanted = compose("compute_congestion", [*SMALL, "pricing.base_price=90", change]) if "base" not in change else None
    got = changed(setup, [change])
    if wanted is not None:
        assert got.to_mapping() == wanted.to_mapping()
    else:
        assert got.pricing.base_price == 80
    assert got.workload is setup.workload


def test_what_is_not_up_for_a_vote_is_refused() -> None:
    """Who the agents are, and how consensus works, is nobody's to decide."""
    for change in ("agents.providers.count=3", "consensus=leader", "ticks=5", "trust.fraud.depth=0"):
        row = table(proposed(f"'{change}'", ticks=3), "proposals").iloc[0]
        assert row.status == "refused"
        assert row.reason.startswith("a proposal may change pricing,")


def test_a_failed_execution_leaves_everything_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that breaks while it is put into force is rolled back, and the table says why."""
    economy = proposed("'pricing=linear'", ticks=3)
    before = economy.setup, economy.market.pricing, economy.market.window.seconds, economy.market.allocation

    def broken(economy: Economy, base: object, scenario: object) -> None:
        economy.market.pricing, economy.market.window.seconds = Linear(), 7.0
        raise MechanismError("pricing=linear must not break, got a fault")

    with monkeypatch.context() as patch:
        patch.setattr("celluler_sim.checkpoint.branching.adopt", broken)
        stepped(economy, 2)
    assert (economy.setup, economy.market.pricing, economy.market.window.seconds, economy.market.allocation) == before
    row = table(economy, "proposals").iloc[0]
    assert (row.status, row.effective_tick) == ("failed", -1)
    assert row.reason == "pricing=linear must not break, got a fault"
    assert row.passed
    stepped(economy, 3)
    assert isinstance(economy.market.pricing, SlidingWindow)


def test_a_proposal_that_another_one_has_made_impossible_fails_at_execution() -> None:
    """A parameter of the old price rule was valid when it was proposed, and is unknown once the rule is another."""
    first, second = "a:{changes:['pricing=fixed'],support:1}", "b:{changes:['pricing.cycle=none'],at_s:600,support:1}"
    two = f"governance.proposals={{{first},{second}}}"
    rows = table(stepped(world(*CHAIN, two), 12), "proposals").set_index("name")
    assert rows.status.to_dict() == {"a": "executed", "b": "failed"}
    assert rows.reason["b"].startswith("unknown key pricing.cycle")


def test_quorum_and_apathy() -> None:
    """Where all but the proposer stay at home, the quorum is missed."""
    economy = proposed("'pricing=fixed'", "governance.voters.behaviours={apathetic:1}")
    row = table(economy, "proposals").iloc[0]
    assert row.status == "rejected"
    assert row.turnout < 0.1
    assert row.approval == 1.0


def test_delegates_vote_for_those_who_stay_at_home() -> None:
    """With delegation the largest holder speaks for all; without, those who delegate are absent."""
    turnout = {}
    for rule in ("delegated", "stake_weighted"):
        economy = proposed(
            "'pricing=fixed'", f"voting={rule}", "governance.voters.behaviours={delegating:1}",
            "governance.voters.concentration=1",
        )  # fmt: skip
        turnout[rule] = table(economy, "proposals").turnout[0]
        votes = table(economy, "votes")
        assert np.isclose(votes.weight.sum(), 1.0)
        if rule == "delegated":
            assert votes.power.tolist() == [1.0] + [0.0] * (len(votes) - 1)
    assert turnout["delegated"] == 1.0
    assert turnout["stake_weighted"] < 0.5


def test_bought_votes_are_paid_for_and_turn_the_outcome() -> None:
    """Nobody but the proposer is in favour; with bribes above everybody's price all who can be paid vote yes."""
    more = ("governance.voters.behaviours={venal:1}", "governance.voters.count=5", "governance.voters.stake_prana=5000")
    assert table(proposed("'pricing=fixed'", *more, support=0), "proposals").status[0] == "rejected"
    economy = proposed("'pricing=fixed'", *more, support=0, bribe_prana=1.0)
    row = table(economy, "proposals").iloc[0]
    assert row.status == "executed"
    assert row.bribes_prana == 4000.0
    assert table(economy, "votes").bribed.sum() == 4
    assert economy.ledger.balance(governance_of(economy).account).tolist() == [6000.0] + [11_000.0] * 4
    poor = proposed("'pricing=fixed'", *more, "governance.voters.balance_prana=100", support=0, bribe_prana=1.0)
    assert not table(poor, "votes").bribed.any()


def test_square_roots_weigh_the_large_less() -> None:
    """Under the square root the largest of Zipf's stakes weighs less than by stake."""
    weight = {}
    for rule in ("stake_weighted", "quadratic"):
        economy = proposed("'pricing=fixed'", f"voting={rule}", "governance.voters.concentration=1")
        weight[rule] = table(economy, "votes").weight.to_numpy()
        assert np.isclose(weight[rule].sum(), 1.0)
    assert weight["quadratic"][0] < weight["stake_weighted"][0]
    assert np.allclose(
        weight["quadratic"] / weight["quadratic"][0], np.sqrt(weight["stake_weighted"] / weight["stake_weighted"][0])
    )


def test_power_is_not_stake() -> None:
    """With stakes 50, 49 and 1 and a threshold of 0.67 the third has no power, and the first two have half each."""
    economy = world(*CHAIN, "governance.voters.count=3", "governance.proposals={p:{changes:['pricing=fixed']}}")
    governance = governance_of(economy)
    from celluler_sim.mechanisms.voting import Ballots

    found = governance.power(Ballots.of([50, 49, 1], [1, 1, 1]), economy.setup.mechanisms["voting"])
    assert np.allclose(found, [0.5, 0.5, 0.0])


def test_a_vote_that_comes_late_does_not_count() -> None:
    """With a period shorter than a tick, votes are final after the count's deadline."""
    economy = proposed("'pricing=fixed'", "voting.period_seconds=1")
    row = table(economy, "proposals").iloc[0]
    assert (row.status, row.turnout) == ("rejected", 0.0)


def test_what_is_open_at_the_end_is_written_down() -> None:
    """A proposal whose vote is still open when the run ends has its row."""
    economy = proposed("'pricing=fixed'", ticks=3)
    economy.close()
    assert table(economy, "proposals").status.tolist() == ["open"]


def test_trust_terms_can_be_voted_on() -> None:
    """The reputation that admission takes is a matter of governance where there is trust."""
    economy = proposed("'trust.min_reputation=0.9'", "trust=standard")
    assert table(economy, "proposals").status[0] == "executed"
    assert trust_of(economy).rule.min_reputation == 0.9
    assert economy.latest["providers"] > 0


def test_votable_families_are_families() -> None:
    """What may be voted on exists."""
    assert set(governance_changes.FAMILIES) <= set(compose("compute_congestion").mechanisms)


def test_execute_changes_the_market_at_once() -> None:
    """`execute` renews whatever was copied from the old rules."""
    economy = world()
    execute(economy, ["pricing=fixed", "market.min_quality=0.1", "allocation=first_come"])
    assert (economy.market.pricing.name, economy.market.allocation.name) == ("fixed", "first_come")  # type: ignore[attr-defined]
    assert economy.market.min_quality == 0.1
