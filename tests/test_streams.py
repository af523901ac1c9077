"""Named random streams: golden values, uniformity, independence, and that nothing shifts anything else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from celluler_sim.streams import Draws, Streams, mix64

SLOTS = np.arange(200_000)
MASK = (1 << 64) - 1


def splitmix64(seed, n):
    """Return the first ``n`` outputs of Vigna's reference implementation, in Python's own integers."""
    found, state = [], seed
    for _ in range(n):
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        found.append(z ^ (z >> 31))
    return found


def test_published_values():
    """The first five outputs of SplitMix64 with seed 1234567, as printed with its reference implementation."""
    known = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821]
    assert mix64(1234567, np.arange(5)).tolist() == known == splitmix64(1234567, 5)


@settings(deadline=None)
@given(st.integers(0, MASK), st.lists(st.integers(0, 2**62), max_size=5))
def test_any_position_and_key(key, slots):
    """Position n of a stream is SplitMix64 of key + n steps, modulo 2**64."""
    golden = 0x9E3779B97F4A7C15
    expected = [splitmix64((key + golden * slot) & MASK, 1)[0] for slot in slots]
    assert mix64(key, np.array(slots, np.int64)).tolist() == expected


@settings(deadline=None)
@given(st.integers(0, 2**32), st.text(max_size=10), st.integers(0, 10**6), st.lists(st.integers(0, 2**62), max_size=5))
def test_the_compiled_draws_are_the_same_numbers(seed, name, tick, slots):
    """The kernel gives the upper 53 bits of `mix64`, moved by half a step off zero and one."""
    draws = Streams(seed).draws(name, tick)
    slots = np.array(slots, np.int64)
    expected = [min((z >> 11) * 2.0**-53 + 2.0**-54, 1 - 2.0**-53) for z in mix64(draws.key, slots).tolist()]
    assert draws.uniform(slots).tolist() == expected


def test_the_largest_and_the_smallest_draw():
    """The slots whose SplitMix64 output is all ones and all zeros: both draws lie inside (0, 1)."""
    assert mix64(0, np.array([8454462832853231295, -1])).tolist() == [MASK, 0]
    draws, slots = Draws(0), np.array([8454462832853231295, -1])
    assert draws.uniform(slots).tolist() == [1 - 2.0**-53, 2.0**-54]
    assert np.isfinite(draws.normal(slots)).all()


def test_golden_values():
    """What these streams gave when the first tables were written, they give on every machine and version."""
    streams = Streams(7, 2)
    assert [streams.key("demand", tick) for tick in (0, 3)] == [2720091613761993446, 618644190826426831]
    assert streams.draws("demand", 3).uniform(np.array([0, 1, 10**9])).tolist() == [
        0.03101459366802589,
        0.21158460389799488,
        0.5613832318663268,
    ]
    assert streams.at("demand", 3).random(2).tolist() == [0.9902122396188991, 0.6395253467307376]


def test_uniforms_are_uniform():
    """200,000 draws pass Kolmogorov-Smirnov and a chi-square over 1,000 cells, at several names and ticks."""
    for name, tick in (("demand", 0), ("demand", 1), ("provider.cost", 0), ("", 10**6)):
        u = Streams(1).draws(name, tick).uniform(SLOTS)
        assert 0 < u.min() < u.max() < 1
        assert stats.kstest(u, "uniform").pvalue > 1e-4
        assert stats.chisquare(np.bincount((u * 1000).astype(int), minlength=1000)).pvalue > 1e-4


def test_other_distributions():
    """Exponentials and normals have their law, and are those of the same slot's uniform."""
    draws = Streams(1).draws("demand")
    assert stats.kstest(draws.exponential(SLOTS), "expon").pvalue > 1e-4
    assert stats.kstest(draws.normal(SLOTS), "norm").pvalue > 1e-4
    np.testing.assert_allclose(np.exp(-draws.exponential(SLOTS)), draws.uniform(SLOTS))
    np.testing.assert_allclose(stats.norm.cdf(draws.normal(SLOTS[:999])), draws.uniform(SLOTS[:999]))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((Streams(1), "a", 0), (Streams(1), "b", 0)),  # names
        ((Streams(1), "a", 0), (Streams(1), "a", 1)),  # ticks
        ((Streams(1), "a", 0), (Streams(2), "a", 0)),  # seeds
        ((Streams(1, 0), "a", 0), (Streams(1, 1), "a", 0)),  # replicates
    ],
)
def test_streams_are_independent(one, other):
    """Neither the same slots nor neighbouring ones of two streams are correlated; joint cells are equally full."""
    u, v = (streams.draws(name, tick).uniform(SLOTS) for streams, name, tick in (one, other))
    for shift in (0, 1, 2, 17):
        assert abs(np.corrcoef(u[shift:], v[: len(v) - shift])[0, 1]) < 5 / np.sqrt(len(u))
    cells = np.bincount((u * 20).astype(int) * 20 + (v * 20).astype(int), minlength=400)
    assert stats.chisquare(cells).pvalue > 1e-4
    a, b = (streams.at(name, tick).random(50_000) for streams, name, tick in (one, other))
    assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(50_000)


def test_slots_within_a_stream_are_independent():
    """Draws of slots that lie 1, 2, 64 and 4096 apart are not correlated."""
    u = Streams(3).draws("demand").uniform(SLOTS)
    for lag in (1, 2, 64, 4096):
        assert abs(np.corrcoef(u[lag:], u[:-lag])[0, 1]) < 5 / np.sqrt(len(u) - lag)


def test_nothing_is_confused_with_anything_else():
    """Seed 1 replicate 11 is not seed 11 replicate 1, and a name that ends in a digit is not another tick."""
    keys = {Streams(s, r).key(n, t) for s in (1, 11) for r in (1, 11) for n in ("a", "a1", "a/1") for t in (0, 1, 11)}
    assert len(keys) == 2 * 2 * 3 * 3


def test_a_draw_belongs_to_its_slot():
    """Which other slots are asked, in which order, before or after, changes nothing."""
    streams = Streams(5)
    draws = streams.draws("demand", 4)
    whole = draws.uniform(np.arange(100))
    assert draws.uniform(np.array([90, 3, 3])).tolist() == whole[[90, 3, 3]].tolist()
    streams.at("other", 4).random(1000)
    assert streams.at("demand", 4).random(3).tolist() == Streams(5).at("demand", 4).random(9)[:3].tolist()


def test_roots_are_noted():
    """The manifest needs the root at tick 0 of every stream used, also of those first used later."""
    streams = Streams(5)
    streams.at("late", 9)
    streams.draws("early")
    assert streams.roots == {"late": Streams(5).key("late"), "early": Streams(5).key("early")}
