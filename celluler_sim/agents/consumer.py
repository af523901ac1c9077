"""Consumers buy capacity: jobs with a size, a value, a deadline and limited patience."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from celluler_sim.agents.config import ConsumerConfig
from celluler_sim.behaviours.consumer import ConsumerBehaviour, Decision, Outlook, Wants
from celluler_sim.book import Floats, Slots
from celluler_sim.cellagent import CellAgent
from celluler_sim.column import Column
from celluler_sim.errors import MechanismError
from celluler_sim.mechanisms.base import guarded, registered
from celluler_sim.streams import Streams, mix64
from celluler_sim.workloads.base import Jobs

DAY = 86_400.0


class Consumer(CellAgent):
    """A cell that buys compute."""

    account = Column(np.int64, doc="account number in the ledger")
    rate = Column(np.float64, unit="jobs/s", doc="how often it wants a job, daily mean")
    weight = Column(np.float64, doc="claim relative to others")
    behaviour = Column(np.int8, doc="strategy, index into the economy's list")
    validator = Column(np.int32, doc="validator it is attached to")
    spent = Column(np.float64, unit="PRANA", doc="paid so far")
    surplus = Column(np.float64, unit="PRANA", doc="value less price of finished jobs")


@dataclass(frozen=True)
class ConsumerMaker:
    """Draws consumers' traits; agent i gets the i-th draw, so that one more consumer changes no other."""

    config: ConsumerConfig
    streams: Streams
    n_validators: int

    def make(self, n: int) -> dict[str, Floats | Slots]:
        """Return the columns of ``n`` new consumers."""
        c = self.config
        return {
            "rate": self._lognormal("consumer.rate", n, c.jobs_cv) * (c.jobs_per_day / DAY),
            "weight": self._lognormal("consumer.weight", n, c.weight_cv),
            "behaviour": self._behaviour(n),
            "validator": self.streams.at("consumer.validator").integers(self.n_validators, size=n, dtype=np.int64),
        }

    def endowments(self, n: int, supply: float) -> Floats:
        """Return each consumer's initial PRANA, (n,): lognormal, together the configured share of the supply."""
        draw = self._lognormal("consumer.endowment", n, self.config.endowment_cv)
        share = min(self.config.endowment_share, 1 - 1e-13)  # floats that sum to the whole may exceed it by rounding
        return np.asarray(draw * (share * supply / draw.sum()))

    def _behaviour(self, n: int) -> Slots:
        shares = np.array(list(self.config.behaviours.values()))
        edges = np.cumsum(shares) / shares.sum()
        return np.searchsorted(edges[:-1], self.streams.at("consumer.behaviour").random(n), side="right")

    def _lognormal(self, name: str, n: int, cv: float) -> Floats:
        sigma2 = np.log1p(cv * cv)
        draw = self.streams.at(name).standard_normal(n)
        draw *= np.sqrt(sigma2)
        draw -= sigma2 / 2
        return np.asarray(np.exp(draw, out=draw))


def behaviours(config: ConsumerConfig) -> list[ConsumerBehaviour]:
    """Return the strategies of a scenario, by index."""
    return [registered("consumer_behaviour")[name]() for name in config.behaviours]


def job_draws(streams: Streams, name: str, consumer: Slots, born: Floats, tick: int = 0) -> Floats:
    """Return one uniform per job that depends on the job alone, (n,): on its consumer and the moment it was born."""
    identity = mix64(0, consumer) ^ born.view(np.uint64)
    return streams.draws(name, tick).uniform(identity.view(np.int64))


def appraise(jobs: Jobs, config: ConsumerConfig, streams: Streams) -> tuple[Floats, Floats]:
    """Return (value, patience) per job: the workload's own where it gives them, drawn otherwise.

    Value is lognormal in PRANA per unit, patience exponential in s.
    """
    from scipy.special import ndtri

    value, patience = jobs.value, jobs.patience
    if np.isnan(value).any():
        sigma = np.sqrt(np.log1p(config.value_cv**2))
        uniform = job_draws(streams, "consumer.value", jobs.consumer, jobs.born)
        value = np.where(np.isnan(value), config.value_median * np.exp(sigma * ndtri(uniform)), value)
    if np.isnan(patience).any():
        uniform = job_draws(streams, "consumer.patience", jobs.consumer, jobs.born)
        patience = np.where(np.isnan(patience), -np.log(uniform) * config.patience_s, patience)
    return value, patience


def decide(
    wants: Wants, behaviour: Slots, rules: list[ConsumerBehaviour], outlook: Outlook, u: Floats, tick: int = 0
) -> Decision:
    """Return every job's decision under its consumer's own strategy.

    Raises
    ------
    MechanismError
        A strategy raised, or decided about other jobs, bid what is no price, or submitted in the past.
    """
    if len(rules) == 1:
        return _decided(rules[0], wants, outlook, u, tick)
    when, bid, again = wants.now.copy(), wants.value.copy(), np.zeros(len(wants.now), bool)
    for code, rule in enumerate(rules):
        mine = np.flatnonzero(behaviour == code)
        if len(mine):
            part = Wants(wants.now[mine], wants.value[mine], wants.work[mine], wants.give_up[mine])
            d = _decided(rule, part, outlook, u[mine], tick)
            when[mine], bid[mine], again[mine] = d.when, d.bid, d.again
    return Decision(when, bid, again)


def _decided(rule: ConsumerBehaviour, wants: Wants, outlook: Outlook, u: Floats, tick: int) -> Decision:
    """Return one strategy's decision, checked."""

    def fail(must: str, value: object) -> NoReturn:
        name = getattr(rule, "name", type(rule).__name__)
        raise MechanismError(f"consumer_behaviour={name} must {must}, got {value}")

    def answer() -> Decision:
        d = rule.decide(wants, outlook, u)
        if not isinstance(d, Decision):
            fail("return a Decision", type(d).__name__)
        if any(np.shape(column) != wants.now.shape for column in (d.when, d.bid, d.again)):
            shapes = f"{np.shape(d.when)}, {np.shape(d.bid)} and {np.shape(d.again)}"
            fail(f"decide about each of {len(wants.now)} jobs", shapes)
        if not (np.isfinite(d.bid) & (d.bid >= 0)).all():
            fail("bid finite prices >= 0", d.bid[~(np.isfinite(d.bid) & (d.bid >= 0))][0])
        if not (d.when >= wants.now).all():
            fail("not submit before now", f"{d.when[~(d.when >= wants.now)][0]} s")
        return d

    return guarded("consumer_behaviour", rule, tick, answer)
