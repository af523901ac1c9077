"""Plots of consensus: each shows the numbers that it should, and says so where it has none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import celluler_sim
from celluler_sim.analysis import plots
from celluler_sim.analysis import plots_hashgraph as h
from celluler_sim.analysis.plots_ordering import idle, ordered_runs
from celluler_sim.consensus.hashgraph import Hashgraph
from celluler_sim.report import worth_drawing
from tests.analysis.fake_run import FakeRun
from tests.analysis.test_ordering import sales, transactions

ORDERING = ("hashgraph", "consensus", "finality", "fairness", "extracted")
pytestmark = pytest.mark.filterwarnings("error")


def run_of(tables, consensus, variants=None):
    """Return a run of these tables with its summary."""
    summary = plots_summary(tables)
    return FakeRun({"consensus": consensus, "tick_seconds": 60.0}, {}, summary, tables, variants=variants or {})


def plots_summary(tables):
    """Return the figures of order only."""
    from celluler_sim.analysis.ordering import ordering_figures

    return ordering_figures(tables)


@pytest.fixture(scope="module")
def attacked():
    """Return a short run of the scenario with one fair and one greedy variant."""
    more = ["ticks=40", "workload.surge_hour=0.4", "record.optimum_every=0"]
    return celluler_sim.simulate("ordering_attack", more, seed=3)


def texts(figure):
    """Return everything written in the axes of a figure."""
    return " ".join(t.get_text() for ax in figure.axes for t in ax.texts)


def test_every_plot_of_a_run_under_attack_shows_something(attacked):
    """The base run is a hashgraph, the variants extract: all four have axes, and the report wants them."""
    for name in ORDERING:
        figure = plots.PLOTS[name](attacked)
        assert figure.axes[0].axison, name
        assert figure.png().startswith(b"\x89PNG")
    assert set(ORDERING) <= set(worth_drawing(attacked))


def test_silence_where_nothing_happened():
    """One transaction under fifo, final at once: nothing to show, and sentences that say so."""
    run = run_of(transactions([0.0], [0]), {"name": "fifo"})
    assert all(idle(run)[name] for name in ORDERING)
    said = {name: texts(plots.PLOTS[name](run)) for name in ORDERING}
    assert "weaves no hashgraph" in said["hashgraph"]
    assert "final the moment it was submitted" in said["finality"]
    assert "no transaction" in said["fairness"]
    assert "nothing was extracted" in said["extracted"]


def test_runs_of_one_consensus_are_drawn_once():
    """Variants that change pricing alone have the same order of transactions."""
    same, other = (run_of(transactions([0.0], [0]), {"name": n}) for n in ("fifo", "leader"))
    run = run_of(transactions([0.0], [0]), {"name": "fifo"}, {"linear": same, "greedy": other})
    assert list(ordered_runs(run)) == ["fifo", "greedy"]


def test_finality_by_hand():
    """Latencies 1, 2 and 6 s: the median is marked at 2, the bars hold three transactions."""
    left, right = plots.finality(run_of(transactions([0, 1, 3], [0, 1, 2], [1, 3, 9]), {"name": "x"})).axes
    assert sum(bar.get_height() for bar in left.patches) == 3
    assert "median 2 s" in " ".join(t.get_text() for t in left.texts)
    x, y = right.lines[0].get_data()
    assert y[np.searchsorted(x, 1.5)] == pytest.approx(1 / 3)


def test_fairness_by_hand():
    """With a gossip interval of 2 s, the pair 1 s apart is turned round, those 2 and 3 s apart are not."""
    consensus = {"name": "hashgraph", "gossip_interval_seconds": 2.0}
    ax, moved = plots.fairness(run_of(transactions([0, 1, 3], [1, 0, 2]), consensus)).axes
    assert moved.lines[0].get_xydata().tolist() == [[1.0, pytest.approx(2 / 3)]]  # two of three are one place off
    measured = ax.containers[0].lines[0].get_ydata()
    assert list(measured[:3]) == [1, 0, 0]
    assert np.isnan(measured[3:]).all()
    assert ax.get_xticklabels()[0].get_text() == "0–1\n(0–0.5)"
    assert any("reference" in str(x.get_label()) for x in ax.lines)
    residual = next(patch for patch in ax.patches if patch.get_label() == "below two gossip intervals")
    assert residual.get_x() + residual.get_width() == 2.5  # the first three bins


def test_reference_points_need_a_gossip_interval():
    """Where nobody gossips, bins are seconds and there is nothing to hold them against."""
    ax, _ = plots.fairness(run_of(transactions([0, 1, 3], [1, 0, 2]), {"name": "leader"})).axes
    assert not any("reference" in str(x.get_label()) for x in ax.lines)


def test_extracted_by_hand():
    """500 PRANA, all paid by the consumer who spent 3,000."""
    left, right = plots.extracted(run_of(sales(), {"name": "leader"})).axes
    assert sum(bar.get_width() for bar in left.patches) == 500
    assert list(right.lines[0].get_ydata()) == pytest.approx([0, 1 / 6])


def gossip(members=4, syncs=150):
    """Return a case of random pull gossip: somebody syncs with somebody else and makes one event."""
    rng = np.random.default_rng(7)
    events = [{"id": f"e{m}", "creator": m, "self_parent": None, "other_parents": []} for m in range(members)]
    head = [e["id"] for e in events]
    for i in range(members, members + syncs):
        a, b = rng.choice(members, 2, replace=False).tolist()
        events.append({"id": f"e{i}", "creator": a, "self_parent": head[a], "other_parents": [head[b]]})
        head[a] = f"e{i}"
    return {"stakes": [1] * members, "params": {}, "events": events}


def test_the_way_to_the_judges_is_a_way():
    """Every edge is a parent and its child, every judge is reached, and the event is their common ancestor."""
    graph = h._of_case(gossip())
    way = h.path_to_judges(graph)
    assert all(a in graph.parents[b] for a, b in way.edges)
    assert {way.event, *way.judges} <= {x for edge in way.edges for x in edge}
    into = {b for _, b in way.edges}
    assert {a for a, _ in way.edges} - into == {way.event}
    assert all(graph.round[j] == way.round and graph.fame[j] == 1 for j in way.judges)


def test_a_case_and_its_graph_look_the_same():
    """What is read back from a `Hashgraph` is what the case says: members, rounds, witnesses, judges, parents."""
    case = gossip()
    graph = Hashgraph(case["stakes"], window_rounds=None, words=4)
    place = {e["id"]: i for i, e in enumerate(case["events"])}
    for i, e in enumerate(case["events"]):
        own = None if e["self_parent"] is None else place[e["self_parent"]]
        graph.add(e["creator"], own, [place[p] for p in e["other_parents"]], float(i), i)
    told, read = h._of_case(case), h._of_graph(graph)
    for name in ("member", "round", "witness"):
        assert (getattr(told, name) == getattr(read, name)).all(), name
    assert {k: set(v) for k, v in told.judges.items() if k in read.judges} == {
        k: set(v) for k, v in read.judges.items()
    }
    assert all(set(r) <= set(t) for t, r in zip(told.parents, read.parents, strict=True))
    assert sum(map(len, read.parents)) > 0.8 * sum(map(len, told.parents))  # but those that brought no news


def test_both_can_be_drawn():
    """A case and an empty one."""
    assert h.draw_hashgraph(gossip()).png().startswith(b"\x89PNG")
    assert "no event" in texts(h.draw_hashgraph({"stakes": [1], "events": []}))


def test_too_many_members_are_not_drawn():
    """Chains of 40 members would be a thicket; the figure says so."""
    run = run_of(transactions([0.0], [0]), {"name": "hashgraph", "validators": 40})
    assert "40 chains" in texts(plots.hashgraph(run))


def test_a_clock_that_runs_backwards_does_not_turn_the_picture_round():
    """Where a child's time is before its parent's, events are drawn in the order of their creation."""
    case = gossip(syncs=20)
    for i, e in enumerate(case["events"]):
        e["timestamp"] = -i
    assert not h._of_case(case).timed


# ---- consensus at work ----------------------------------------------------------------------------------------------


def at_work(members, rounds, pending=0, expired=0, latency=20.0, faults=()):
    """Return a run of three ticks of a minute whose validators gossip every 2 s."""
    ticks = {"tick": np.arange(3), "rounds": rounds, "pending": pending, "expired": expired, "latency_p50_s": latency}
    tables = transactions([0, 1, 3], [0, 1, 2], [latency, latency + 1, latency + 3])
    tables = {**tables, "consensus": pd.DataFrame({**ticks, "events": 90 * members})}
    consensus = {"name": "hashgraph", "validators": members, "gossip_interval_seconds": 2.0, "faults": faults}
    return run_of(tables, consensus)


def test_consensus_over_time_by_hand():
    """Three ticks: 12 rounds a minute, 4 pending, 2 expired; the fault from 60 to 120 s is shaded as such."""
    run = at_work(4, 12, 4, 2, faults=[{"kind": "silence", "members": [0], "start_s": 60.0, "end_s": 120.0}])
    figure = plots.PLOTS["consensus"](run)
    values = [ax.lines[0].get_ydata().tolist() for ax in figure.axes]
    assert values == [[20.0] * 3, [4.0] * 3, [2.0] * 3, [12.0] * 3]
    shade = figure.axes[0].patches[0]
    assert (shade.get_x() * 3600, shade.get_width() * 3600) == (pytest.approx(60), pytest.approx(60))
    assert shade.get_label() == "silence (of the run itself)"


def test_members_by_hand():
    """Three sizes with finality of 20, 30 and 40 s are 10, 15 and 20 intervals; 270 events in 12 rounds are 22.5."""
    run = at_work(4, 4)
    run.variants |= {"eight": at_work(8, 4, latency=30.0), "sixteen": at_work(16, 4, latency=40.0)}
    left, right = plots.PLOTS["members"](run).axes
    assert left.lines[0].get_xydata().tolist() == [[4, 10], [8, 15], [16, 20]]
    assert right.lines[0].get_ydata().tolist() == [22.5] * 3  # 270 events a member in 12 rounds
    assert not idle(run)["members"]
    assert idle(at_work(4, 4))["members"]
    assert not plots.PLOTS["members"](at_work(4, 4)).axes[0].axison


def test_no_tick_no_curve():
    """Without a row in the table of consensus there is a sentence instead of axes."""
    figure = plots.PLOTS["consensus"](run_of(transactions([0.0], [0]), {"name": "fifo"}))
    assert "no tick was recorded" in texts(figure)
