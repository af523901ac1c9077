"""Where replicates run: in this process, in a pool of processes, on a Dask cluster. Family ``executor``.

Each is a `concurrent.futures.Executor` while it is open. Which one is chosen changes how long an experiment takes and
nothing else: every replicate is computed from its configuration and its world alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from celluler_sim.errors import ScenarioError, require
from celluler_sim.mechanisms.base import register


class ExecutorRule(Protocol):
    """A place to run tasks."""

    @property
    def parallel(self) -> int:
        """How many tasks run at the same time."""
        ...

    def open(self) -> Any:
        """Return a context manager that gives a `concurrent.futures.Executor`."""
        ...


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class InThisProcess(Executor):
    """Runs a task when it is submitted and returns its future done."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run ``fn`` now; what it raises is kept in the future, as an executor must. Ctrl-C passes."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - the one who asks for the result gets it
            future.set_exception(error)
        return future


@register("executor", "serial")
@dataclass(frozen=True, kw_only=True)
class Serial:
    """One replicate after another in this process."""

    @property
    def parallel(self) -> int:
        """One at a time."""
        return 1

    @contextmanager
    def open(self) -> Iterator[Executor]:
        """Give the executor."""
        yield InThisProcess()


@register("executor", "processes")
@dataclass(frozen=True, kw_only=True)
class Processes:
    """A pool of fresh processes on this machine, one a core."""

    workers: int = 0  # processes; 0: one for each core

    def __post_init__(self) -> None:
        """Check ranges."""
        require("executor.workers", self.workers, at_least=0)

    @property
    def parallel(self) -> int:
        """One for each process."""
        return self.workers or cores()

    @contextmanager
    def open(self) -> Iterator[Executor]:
        """Start the pool; what still waits when it is left is dropped."""
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        pool = ProcessPoolExecutor(self.parallel, get_context("spawn"), initializer=_quiet)
        try:
            yield pool
        finally:
            pool.shutdown(cancel_futures=True)


def _quiet() -> None:
    """Leave Ctrl-C to the process that asked for the work."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)


@register("executor", "dask")
@dataclass(frozen=True, kw_only=True)
class Dask:
    """A Dask cluster: that of a scheduler's address, or a local one."""

    address: str = ""  # of a scheduler, tcp://host:8786; empty: a cluster on this machine for as long as it is needed
    workers: int = 0  # processes of the local cluster; 0: one for each core

    def __post_init__(self) -> None:
        """Check ranges."""
        require("executor.workers", self.workers, at_least=0)

    @property
    def parallel(self) -> int:
        """Processes of the local cluster; of another one it is not known before it is asked."""
        return self.workers or cores()

    @contextmanager
    def open(self) -> Iterator[Executor]:
        """Connect, or start the local cluster."""
        try:
            from distributed import Client, LocalCluster
        except ImportError as error:
            remedy = "pip install 'celluler-sim[dask]', or choose executor=processes"
            raise ScenarioError(
                f"executor=dask needs the package distributed, which is not installed: {remedy}"
            ) from error
        if self.address:
            with _connected(Client, self.address) as client:
                yield client.get_executor(pure=False)
            return
        with (
            LocalCluster(self.parallel, threads_per_worker=1, dashboard_address=None) as cluster,
            Client(cluster) as client,
        ):
            yield client.get_executor(pure=False)


@contextmanager
def _connected(client: Callable[..., Any], address: str) -> Iterator[Any]:
    try:
        connection = client(address, timeout="10s")
    except (OSError, ValueError, TimeoutError) as error:
        rule = "must be that of a running Dask scheduler, such as tcp://host:8786"
        raise ScenarioError(f"executor.address {rule}; got {address!r}: {type(error).__name__}") from error
    with connection:
        yield connection
