"""Closed forms of queueing theory that simulated markets are held against.

Symbols: a offered load in erlangs (arrival rate over service rate), c servers, mu service rate per server, lambda
arrival rate, all per the same unit of time. Arrivals are Poisson, service is first come first served.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from celluler_sim.book import Floats


def _check(name: str, value: float, *, above: float = 0.0, below: float = math.inf) -> None:
    if not (math.isfinite(value) and above < value < below):
        upper = f" and < {below:g}, else the queue grows for ever" if math.isfinite(below) else ""
        raise ValueError(f"{name} must be a finite number > {above:g}{upper}, got {value}")


def _check_servers(c: int) -> None:
    if c != int(c) or c < 1:
        raise ValueError(f"c must be a whole number of servers >= 1, got {c}")


def erlang_b(a: float, c: int) -> float:
    """Return the share of jobs blocked in M/G/c/c, no waiting room.

    B(a, 0) = 1, B(a, n) = a B(a, n-1) / (n + a B(a, n-1)): stable for any number of servers.

    References
    ----------
    Erlang (1917); Cooper (1981), Introduction to Queueing Theory.
    """
    _check("a", a)
    _check_servers(c)
    blocked = 1.0
    for n in range(1, int(c) + 1):
        blocked = a * blocked / (n + a * blocked)
    return blocked


def erlang_c(a: float, c: int) -> float:
    """Return the probability that a job must wait in M/M/c, a < c: c B / (c - a (1 - B))."""
    _check_servers(c)
    _check("a", a, below=c)
    blocked = erlang_b(a, c)
    return c * blocked / (c - a * (1 - blocked))


def mean_wait(a: float, c: int, mu: float) -> float:
    """Return the mean time spent waiting in M/M/c, those who need not wait included: C / (mu (c - a))."""
    return erlang_c(a, c) * mean_wait_given_wait(a, c, mu)


def mean_wait_given_wait(a: float, c: int, mu: float) -> float:
    """Return the mean wait of those who wait in M/M/c: 1 / (mu (c - a))."""
    _check("mu", mu)
    _check("a", a, below=c)
    return 1 / (mu * (c - a))


def mean_queue_length(a: float, c: int) -> float:
    """Return the mean number waiting in M/M/c, by Little's law: C a / (c - a)."""
    return erlang_c(a, c) * a / (c - a)


def wait_tail(a: float, c: int, mu: float, t: float) -> float:
    """Return P(wait > t), t >= 0, in M/M/c: C exp(-mu (c - a) t)."""
    _check("mu", mu)
    if not t >= 0:
        raise ValueError(f"t must be >= 0, got {t}")
    return erlang_c(a, c) * math.exp(-mu * (c - a) * t)


def mmck_states(a: float, c: int, capacity: int) -> Floats:
    """Return P(n jobs in the system), (capacity + 1,), of M/M/c/K with room for ``capacity`` >= c jobs, served or not.

    p(n) is proportional to the product of a/min(i, c) over i = 1..n. With capacity = c this is Erlang's loss system.
    """
    _check("a", a)
    _check_servers(c)
    if capacity != int(capacity) or capacity < c:
        raise ValueError(f"capacity must be a whole number >= c = {c}, got {capacity}")
    steps = np.log(a) - np.log(np.minimum(np.arange(1, int(capacity) + 1), c))
    weight = np.concatenate(([0.0], np.cumsum(steps)))
    weight = np.exp(weight - weight.max())
    return np.asarray(weight / weight.sum())


@dataclass(frozen=True)
class MM1:
    """The M/M/1 queue; letters as in the source.

    References
    ----------
    Kleinrock (1975), Queueing Systems, volume 1.

    >>> MM1(arrival_rate=1, service_rate=2).W
    1.0
    """

    arrival_rate: float
    service_rate: float

    def __post_init__(self) -> None:
        """Refuse a queue that has no steady state."""
        _check("service_rate", self.service_rate)
        _check("arrival_rate", self.arrival_rate, below=self.service_rate)

    @property
    def rho(self) -> float:
        """Share of time the server is busy."""
        return self.arrival_rate / self.service_rate

    @property
    def L(self) -> float:  # noqa: N802 - the letter of the literature
        """Mean number in the system."""
        return self.arrival_rate * self.W

    @property
    def Lq(self) -> float:  # noqa: N802 - the letter of the literature
        """Mean number waiting."""
        return self.rho * self.L

    @property
    def W(self) -> float:  # noqa: N802 - the letter of the literature
        """Mean time in the system."""
        return 1 / (self.service_rate - self.arrival_rate)

    @property
    def Wq(self) -> float:  # noqa: N802 - the letter of the literature
        """Mean time spent waiting."""
        return self.rho * self.W

    def p(self, n: int) -> float:
        """Return P(n in the system), n = 0, 1, 2, ..."""
        if n != int(n) or n < 0:
            raise ValueError(f"n must be a whole number >= 0, got {n}")
        return float((1 - self.rho) * self.rho**n)

    def quantile_W(self, probability: float) -> float:  # noqa: N802 - the letter of the literature
        """Return the time in the system that ``probability`` of the jobs stay below; it is exponential."""
        if not 0 <= probability < 1:
            raise ValueError(f"probability must be >= 0 and < 1, got {probability}")
        return -math.log1p(-probability) * self.W


def mg1_wait(arrival_rate: float, service_rate: float, scv: float) -> float:
    """Return the mean wait in M/G/1, ``scv`` the squared coefficient of variation of service time: Wq (1 + scv) / 2.

    References
    ----------
    Pollaczek (1930); Khinchine (1932).
    """
    if not (math.isfinite(scv) and scv >= 0):
        raise ValueError(f"scv must be a finite number >= 0, got {scv}")
    return MM1(arrival_rate, service_rate).Wq * (1 + scv) / 2


def md1_wait(arrival_rate: float, service_rate: float) -> float:
    """Return the mean wait in M/D/1, service always equally long: half of that in M/M/1."""
    return mg1_wait(arrival_rate, service_rate, 0.0)
