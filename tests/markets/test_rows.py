"""Rows against a list of dictionaries, and a few cases worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from celluler_sim.markets import rows as module
from celluler_sim.markets.rows import Rows


def jobs(n, *, first=0):
    """Return the columns of ``n`` jobs numbered from ``first``."""
    number = np.arange(first, first + n)
    return {"job": number, "end": number * 10.0, "need": np.column_stack([number, -number]) + 0.5}


def empty():
    return Rows({"end": np.inf}, job=np.int64, end=np.float64, need=(np.float64, 2))


def test_rows_come_and_go_by_hand():
    """Of jobs 0 to 4, 3 and 1 leave: the rest keeps its order and its numbers, the dead are blank and never picked."""
    rows = empty()
    rows.append(**jobs(5))
    gone = rows.take(np.array([3, 1]))
    assert (gone["job"].tolist(), gone["end"].tolist()) == ([3, 1], [30.0, 10.0])
    assert gone["need"].tolist() == [[3.5, -2.5], [1.5, -0.5]]
    assert (len(rows), rows.size) == (3, 5)
    assert rows["end"].tolist() == [0.0, np.inf, 20.0, np.inf, 40.0]
    assert rows.alive()["job"].tolist() == [0, 2, 4]
    rows.append(**jobs(1, first=9))
    assert rows["job"].tolist() == [0, 1, 2, 3, 4, 9]
    rows.drop(np.flatnonzero(rows["alive"]))
    assert (len(rows), rows.size, rows.alive()["job"].tolist()) == (0, 0, [])


def test_scalars_are_repeated_and_columns_are_live():
    """One number serves all rows of a batch; what is written to a column stays written."""
    rows = Rows(job=np.int64, price=np.float64)
    rows.append(job=np.array([4, 5]), price=2.0)
    rows["price"][1] = 7.0
    assert rows.alive()["price"].tolist() == [2.0, 7.0]
    rows.append(job=np.empty(0, np.int64), price=3.0)
    assert len(rows) == 2


def test_copies_do_not_follow():
    """What `rows` returns for row numbers, and what `take` returns, stays as it was; a slice is a live view."""
    rows = Rows(job=np.int64)
    rows.append(job=np.arange(5))
    copy, view, taken = rows.rows(np.array([0, 1])), rows.rows(slice(0, 2)), rows.take(np.array([4]))
    rows["job"][:] = 9
    assert [found["job"].tolist() for found in (copy, view, taken)] == [[0, 1], [9, 9], [4]]


def test_a_missing_column_is_refused_and_leaves_the_rows_as_they_were():
    """Every column must be given; one too many or of another length is refused as well."""
    rows = empty()
    rows.append(**jobs(2))
    with pytest.raises(KeyError, match="need"):
        rows.append(job=np.arange(3), end=0.0)
    with pytest.raises(ValueError, match="broadcast"):
        rows.append(**{**jobs(3), "end": np.zeros(2)})
    assert rows.alive()["job"].tolist() == [0, 1]
    rows.append(**jobs(1, first=2))
    assert rows.alive()["job"].tolist() == [0, 1, 2]


def test_cost_follows_what_is_alive():
    """Twenty thousand jobs come and go ten at a time: no more rows are kept than the slack and a few batches."""
    rows = empty()
    for k in range(2_000):
        rows.append(**jobs(10, first=10 * k))
        rows.drop(np.flatnonzero(rows["job"] * rows["alive"] < 10 * k))
        assert rows.size <= module.SLACK + 40
    assert rows.alive()["job"].tolist() == list(range(19_990, 20_000))


class RowsAgainstList(RuleBasedStateMachine):
    """The same calls on Rows and on a list of its living rows."""

    @initialize(slack=st.sampled_from([0, 3, 256]))
    def begin(self, slack):
        self.before, module.SLACK = module.SLACK, slack
        self.rows, self.living, self.count = empty(), [], 0

    def teardown(self):
        if hasattr(self, "before"):
            module.SLACK = self.before

    @rule(n=st.integers(0, 30))
    def append(self, n):
        self.rows.append(**jobs(n, first=self.count))
        self.living += range(self.count, self.count + n)
        self.count += n

    @rule(data=st.data())
    def take(self, data):
        chosen = data.draw(st.lists(st.sampled_from(self.living), unique=True)) if self.living else []
        number = {job: k for k, job in enumerate(self.rows["job"].tolist()) if self.rows["alive"][k]}
        taken = self.rows.take(np.array([number[job] for job in chosen], np.int64))
        assert taken["job"].tolist() == chosen
        assert taken["end"].tolist() == [job * 10.0 for job in chosen]
        self.living = [job for job in self.living if job not in chosen]

    @rule(at_most=st.integers(0, 300))
    def drop_what_ended(self, at_most):
        self.rows.drop(np.flatnonzero(self.rows["end"] <= at_most))
        self.living = [job for job in self.living if job * 10.0 > at_most]

    @invariant()
    def same(self):
        if not hasattr(self, "rows"):
            return
        found = self.rows.alive()
        assert len(self.rows) == len(self.living)
        assert found["job"].tolist() == self.living
        assert found["end"].tolist() == [job * 10.0 for job in self.living]
        assert found["need"].tolist() == [[job + 0.5, 0.5 - job] for job in self.living]
        assert self.rows.size == len(self.rows["end"]) >= len(self.living)
        assert np.isinf(self.rows["end"][~self.rows["alive"]]).all()


TestRowsAgainstList = RowsAgainstList.TestCase
TestRowsAgainstList.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
