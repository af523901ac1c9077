"""Hands jobs to an executor in batches and gives their rows back as they finish."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from typing import Any

from celluler_sim.errors import CellulerError, ResultsError
from celluler_sim.experiments.executors import ExecutorRule
from celluler_sim.experiments.worlds import Job, Row, run_jobs

BATCH_SECONDS = 0.5  # of work handed over at once: long against handing over, short against the whole
MAX_BATCH = 64
TRIES = 2  # further ones, after a process died
Pool = tuple[Executor, int]

_kept: list[dict[ExecutorRule, Executor]] = []
_stack: list[ExitStack] = []


@contextmanager
def kept_open() -> Iterator[None]:
    """Let all experiments within share their executors: a sweep starts its processes once, not once a job."""
    with ExitStack() as stack:
        _kept.append({})
        _stack.append(stack)
        try:
            yield
        finally:
            _kept.pop()
            _stack.pop()


@contextmanager
def _opened(rule: ExecutorRule) -> Iterator[Executor]:
    if not _kept:
        with rule.open() as executor:
            yield executor
        return
    if rule not in _kept[-1]:
        _kept[-1][rule] = _stack[-1].enter_context(rule.open())
    yield _kept[-1][rule]


def stream(jobs: Sequence[Job], rule: ExecutorRule) -> Iterator[list[tuple[int, Row]]]:
    """Run jobs and yield (number, row) of some of them whenever some are done, in the order in which they finish.

    Closing the iterator drops what has not begun. Where a process dies, as one does that the system kills for its
    memory, what is missing is run again in new ones: a row does not depend on who computed it.

    Raises
    ------
    ResultsError
        Processes died time and again.
    """
    left = {job.number: job for job in jobs}
    for tries in range(TRIES, -1, -1):
        try:
            for rows in _stream(list(left.values()), rule):
                for number, _ in rows:
                    del left[number]
                yield rows
        except ExecutorDiedError:
            _forget(rule)
            if not tries:
                raise
        else:
            return


def _forget(rule: ExecutorRule) -> None:
    """Let the next experiment open its executor anew."""
    if _kept:
        _kept[-1].pop(rule, None)


def _stream(jobs: Sequence[Job], rule: ExecutorRule) -> Iterator[list[tuple[int, Row]]]:
    if not jobs:
        return
    with _opened(rule) as executor:
        waiting: set[Future[Any]] = set()
        ahead = 1 if rule.parallel == 1 else 2 * rule.parallel
        place, done, seconds = 0, 0, 0.0
        try:
            while place < len(jobs) or waiting:
                while place < len(jobs) and len(waiting) < ahead:
                    size = _batch_size(seconds / done if done else None, len(jobs) - place, rule.parallel)
                    waiting.add(_submit(executor, tuple(jobs[place : place + size])))
                    place += size
                ready, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                rows = [entry for future in ready for entry in _result(future)]
                done += len(rows)
                seconds += sum(float(row["duration_s"]) for _, row in rows)
                yield rows
        finally:
            for future in waiting:
                future.cancel()


def _batch_size(mean_seconds: float | None, left: int, parallel: int) -> int:
    """Return how many jobs to hand over at once: half a second's worth, but leave some for the others at the end."""
    if mean_seconds is None:
        return 1
    return max(1, min(int(BATCH_SECONDS / max(mean_seconds, 1e-6)), left // (2 * parallel), MAX_BATCH))


def _submit(executor: Executor, batch: tuple[Job, ...]) -> Future[Any]:
    try:
        return executor.submit(run_jobs, batch)
    except BrokenProcessPool as error:
        raise _died(error) from error


def _result(future: Future[Any]) -> list[tuple[int, Row]]:
    try:
        rows: list[tuple[int, Row]] = future.result()
    except CellulerError:
        raise
    except Exception as error:
        raise _died(error) from error
    return rows


class ExecutorDiedError(ResultsError):
    """A process of an executor died."""


def _died(error: Exception) -> ExecutorDiedError:
    return ExecutorDiedError(
        f"executor must keep its processes alive, got {type(error).__name__}: out of memory, killed, or a script "
        "without `if __name__ == '__main__':` around its calls; executor=serial runs in this process"
    )
