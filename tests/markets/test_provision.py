"""When service begins: worked by hand, and against a model with lists of chunks of capacity."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from celluler_sim.markets.provision_kernels import available_since, by_request, chain_releases, start_times

NAN = float("nan")


def column(values, dtype=float):
    return np.array(list(values), dtype)


def starts(jobs, idle, releases, *, since=0.0, scale=1.0):
    """Return each job's start: ``jobs`` are (ready, give up, {offer: quantity}), ``releases`` (offer, amount, time)."""
    fills = [list(job[2].items()) for job in jobs]
    first = np.cumsum([0, *map(len, fills)])
    offer = column((o for job in fills for o, _ in job), np.int64)
    quantity = column(q * scale for job in fills for _, q in job)
    head, following = chain_releases(column((r[0] for r in releases), np.int64), len(idle))
    freed, at = column(r[1] * scale for r in releases), column(r[2] for r in releases)
    ready, give_up = column(job[0] for job in jobs), column(job[1] for job in jobs)
    free = column(i * scale for i in idle)
    return start_times(first, ready, give_up, offer, quantity, free, since, head, following, freed, at).tolist()


def test_idle_capacity_serves_at_once():
    """What has been free all along serves from the moment a request is final, but not before the tick."""
    assert starts([(63.0, 99.0, {0: 1}), (20.0, 99.0, {0: 1})], [2], [], since=60.0) == [63.0, 60.0]


def test_the_first_waits_less_than_the_second():
    """1 idle, 2 more at 5 s, 1 at 8 s: two jobs of 2 take 1 + 1 at 5 s, then the other 1 with the last at 8 s."""
    releases = [(0, 2, 5.0), (0, 1, 8.0)]
    assert starts([(0, 99, {0: 2}), (0, 99, {0: 2})], [1], releases) == [5.0, 8.0]


def test_who_cannot_wait_leaves_the_capacity_to_the_next():
    """As before, but the second gives up at 7 s: it uses nothing, and a third job of 1 begins at 5 s."""
    releases = [(0, 2, 5.0), (0, 1, 8.0)]
    jobs = [(0, 99, {0: 2}), (0, 7, {0: 2}), (0, 99, {0: 1}), (6, 99, {0: 1})]
    np.testing.assert_equal(starts(jobs, [1], releases), [5.0, NAN, 5.0, 8.0])


def test_a_job_of_two_providers_begins_when_both_are_free():
    """Offer 0 is free at once, offer 1 at 9 s: the job holds both from 9 s; what is left of offer 0 is not delayed."""
    assert starts([(2, 99, {0: 1, 1: 3}), (2, 99, {0: 1})], [2, 0], [(1, 3, 9.0)]) == [9.0, 2.0]


def test_giving_up_at_the_very_moment_of_the_start_is_in_time():
    """A job that waits until 5 s is served at 5 s."""
    assert starts([(0, 5.0, {0: 1})], [0], [(0, 1, 5.0)]) == [5.0]


chunks = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4), st.integers(0, 60)), max_size=12)
wants = st.tuples(
    st.integers(-30, 60), st.integers(0, 60), st.dictionaries(st.integers(0, 2), st.integers(1, 5), min_size=1)
)


def by_chunks(jobs, idle, releases):
    """The same with a list of (since when, how much) per offer; None where a job asks for more than there is."""
    free = [[(0, idle[p])] + [(t, q) for o, q, t in releases if o == p] for p in range(3)]
    found = []
    for ready, give_up, fills in jobs:
        taken, begin = {}, max(ready, 0)
        for offer, quantity in fills.items():
            taken[offer], rest = [], quantity
            for since, amount in free[offer]:
                used = min(rest, amount)
                rest -= used
                taken[offer].append((since, amount - used))
                begin = max(begin, since) if used else begin
            if rest:
                return None
        if begin <= give_up:
            for offer, left in taken.items():
                free[offer] = left
        found.append(float(begin) if begin <= give_up else NAN)
    return found


@settings(max_examples=150, deadline=None)
@given(st.lists(wants, max_size=10), st.lists(st.integers(0, 6), min_size=3, max_size=3), chunks)
def test_starts_against_chunks(jobs, idle, releases):
    """Any jobs that find room start as early as a list of chunks of capacity says; the unit does not matter."""
    releases = sorted(releases, key=lambda r: r[2])
    served = [job for k, job in enumerate(jobs) if by_chunks(jobs[: k + 1], idle, releases)]
    if (expected := by_chunks(served, idle, releases)) is None:
        served, expected = [], []
    for scale in (1.0, 1e-15, 1e15):
        np.testing.assert_equal(starts(served, idle, releases, scale=scale), expected)


def test_releases_are_chained_in_order_of_time():
    """Releases 0, 1 and 2 are at offers 1, 0 and 1, offer 2 has none."""
    head, following = chain_releases(np.array([1, 0, 1]), 3)
    assert (head.tolist(), following.tolist()) == ([1, 0, -1], [2, -1, -1])


def test_fills_by_request():
    """Fills 0 and 2 are of request 2, fill 1 of request 0: two requests have any."""
    jobs, first, order = by_request(np.array([2, 0, 2]), 4)
    assert (jobs.tolist(), first.tolist(), order.tolist()) == ([0, 2], [0, 1, 3], [1, 0, 2])


@given(st.lists(st.integers(0, 6), max_size=40))
@settings(deadline=None)
def test_fills_by_request_against_a_stable_sort(requests):
    """The order is NumPy's stable one, the offsets delimit each request."""
    column = np.array(requests, np.int64)
    jobs, first, order = by_request(column, 7)
    assert order.tolist() == np.argsort(column, kind="stable").tolist()
    assert jobs.tolist() == sorted(set(requests))
    groups = [set(column[order[first[j] : first[j + 1]]].tolist()) for j in range(len(jobs))]
    assert groups == [{job} for job in jobs.tolist()]
    assert first[-1] == len(requests)


@pytest.mark.parametrize(
    ("idle", "releases", "expected"),
    [
        (3, [(1, 5.0)], 0.0),  # 3 of 4 all along
        (1, [(2, 5.0), (1, 8.0)], 5.0),  # half of 4 is reached with the release at 5 s
        (0, [(1, 2.0), (3, 6.0)], 6.0),  # 1 of 4 is not the greater part
        (0, [], 0.0),
    ],
)
def test_since_when_the_greater_part_is_free(idle, releases, expected):
    """The moment at which half of what is free at the end of the tick was free."""
    head, following = chain_releases(np.zeros(len(releases), np.int64), 1)
    freed, at = column(r[0] for r in releases), column(r[1] for r in releases)
    assert available_since(np.array([float(idle)]), 0.0, head, following, freed, at).tolist() == [expected]
