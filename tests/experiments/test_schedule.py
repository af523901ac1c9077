"""Batches, shared executors, and what happens when one dies."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celluler_sim.errors import ResultsError
from celluler_sim.experiments import schedule
from celluler_sim.experiments.executors import Dask, Processes, Serial
from celluler_sim.experiments.schedule import kept_open, stream
from celluler_sim.experiments.worlds import Job
from celluler_sim.scenario import compose


@dataclass(frozen=True)
class Counting:
    """An executor that counts how often it is opened and answers without simulating."""

    opened: list[int]
    parallel: int = 2

    def __hash__(self) -> int:
        return 1

    @contextmanager
    def open(self) -> Iterator[Executor]:
        self.opened.append(1)
        yield Answering()


class Answering(Executor):
    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result([(job.number, {"replicate": job.replicate, "duration_s": 0.001}) for job in args[0]])
        return future


@given(st.integers(0, 300))
def test_every_job_is_answered_once(n: int):
    rows = [entry for some in stream([Job(i, "", i) for i in range(n)], Counting([])) for entry in some]
    assert sorted(number for number, _ in rows) == list(range(n))


def test_batches_grow_with_what_is_known():
    """Nothing known: one at a time. 1 ms a run: as many as half a second holds, 64 at most, fewer towards the end."""
    assert schedule._batch_size(None, 1000, 2) == 1
    assert schedule._batch_size(0.001, 1000, 2) == 64
    assert schedule._batch_size(0.1, 1000, 2) == 5
    assert schedule._batch_size(0.001, 20, 2) == 5
    assert schedule._batch_size(9.0, 1000, 2) == 1


def test_an_executor_is_shared_within_a_sweep_and_only_there():
    rule = Counting([])
    with kept_open():
        for _ in range(3):
            list(stream([Job(0, "", 0)], rule))
    assert len(rule.opened) == 1
    list(stream([Job(0, "", 0)], rule))
    assert len(rule.opened) == 2


class Dying(Answering):
    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_exception(OSError("killed"))
        return future


def test_a_dead_executor_is_one_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(f"{__name__}.Answering", Dying)
    with pytest.raises(ResultsError, match="executor must keep its processes alive, got OSError") as caught:
        list(stream([Job(0, "", 0)], Counting([])))
    assert "\n" not in str(caught.value)


class DyingOnce(Answering):
    died = 0

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        if args[0][0].number == 3 and not DyingOnce.died:
            DyingOnce.died += 1
            raise BrokenProcessPool
        return super().submit(fn, *args, **kwargs)


def test_what_a_dead_process_had_is_run_again(monkeypatch: pytest.MonkeyPatch):
    """One process dies at job 3: every job is answered all the same, once, by an executor that was opened anew."""
    monkeypatch.setattr(f"{__name__}.Answering", DyingOnce)
    rule = Counting([])
    with kept_open():
        rows = [entry for some in stream([Job(i, "", i) for i in range(9)], rule) for entry in some]
    assert sorted(number for number, _ in rows) == list(range(9))
    assert (DyingOnce.died, len(rule.opened)) == (1, 2)


def test_executors_are_chosen_like_any_rule(small: list[str]):
    """The last choice wins within a list of overrides only by replacing: `executor` is a config group."""
    plain = [text for text in small if not text.startswith("executor")]
    assert compose(None, [*plain]).executor == Processes()
    assert compose(None, [*plain, "executor=processes", "executor.workers=3"]).executor == Processes(workers=3)
    assert compose(None, [*plain, "executor=dask", "executor.address=tcp://a:1"]).executor == Dask(address="tcp://a:1")
    assert compose(None, small).executor == Serial()


def test_the_executor_does_not_change_what_is_computed(small: list[str]):
    other = [text.replace("serial", "processes") for text in small]
    assert compose(None, small).config_hash == compose(None, other).config_hash
