"""The consumers of an economy in time: jobs are born, and each is decided upon until it is submitted or given up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from celluler_sim.agents import consumer as consumers_
from celluler_sim.agents.consumer import Consumer, ConsumerMaker
from celluler_sim.behaviours.consumer import Outlook, Wants
from celluler_sim.ledger import SUPPLY_PRANA, Amounts
from celluler_sim.markets.rows import Columns, Rows, pick
from celluler_sim.population import Population

if TYPE_CHECKING:
    from celluler_sim.economy import Economy, Tick


class DemandSide:
    """Makes the consumers, and holds their jobs until they are submitted.

    Parameters
    ----------
    economy
        Of which the scenario, the ledger, the streams and the market's last price are used.
    """

    def __init__(self, economy: Economy) -> None:
        f, i, setup = np.float64, np.int64, economy.setup
        self.economy = economy
        self.held = Rows(
            {"when": np.inf},
            job=i,
            consumer=i,
            born=f,
            when=f,
            value=f,
            amount=f,
            work=f,
            deadline=f,
            give_up=f,
            kinds=np.uint64,
            demand=(f, economy.market.n_resources),
        )
        self.rules = consumers_.behaviours(setup.agents.consumers)
        given = setup.workload.n_consumers()
        n = setup.agents.consumers.count if given is None else given
        maker = ConsumerMaker(setup.agents.consumers, economy.streams, setup.consensus.n_validators)
        endowment = Amounts.from_prana(maker.endowments(n, SUPPLY_PRANA))
        self.consumers = Population(economy, Consumer)
        self.consumers.add(n, account=economy.ledger.open_accounts(n, endowment), **maker.make(n))

    def bear(self, tick: Tick) -> None:
        """Have the tick's jobs be born."""
        setup, streams = self.economy.setup, self.economy.streams
        rate = self.consumers["rate"] * self.consumers.active
        born = setup.workload.arrivals(streams, tick.number, tick.start, tick.end, rate)
        value, patience = consumers_.appraise(born, setup.agents.consumers, streams)
        give_up = born.born + patience
        self.held.append(
            job=self.economy.number_jobs(len(born)), consumer=born.consumer, born=born.born, when=born.born,
            value=value, amount=born.amount, work=born.work, give_up=give_up, kinds=born.kinds, demand=born.demand,
            deadline=give_up + setup.agents.consumers.deadline_stretch * born.work / born.amount,
        )  # fmt: skip

    def decide(self, tick: Tick) -> tuple[Columns, Columns]:
        """Have every consumer with a job on its mind decide about it.

        Returns
        -------
        ready, given_up
            Jobs to be submitted within the tick, at ``when`` (s) with a ``bid`` (PRANA per unit), and jobs that will
            not be. The others stay held.
        """
        setup, streams, market = self.economy.setup, self.economy.streams, self.economy.market
        rows = np.flatnonzero(self.held["when"] < tick.end)
        if activation := setup.disturb.activation:
            rows = streams.at(f"disturb.activation.{activation}", tick.number).permutation(rows)
        jobs = self.held.take(rows)
        now = np.maximum(jobs["when"], tick.start)
        pricing = setup.pricing
        outlook = Outlook(
            market.last_price, pricing.time_factor, pricing.window_seconds, setup.agents.consumers.postpone_s
        )
        uniform = consumers_.job_draws(streams, "consumer.decision", jobs["consumer"], jobs["born"], tick.number)
        behaviour = self.consumers["behaviour"][jobs["consumer"]]
        wants = Wants(now, jobs["value"], jobs["work"], jobs["give_up"])
        decision = consumers_.decide(wants, behaviour, self.rules, outlook, uniform, tick.number)
        jobs["when"], jobs["bid"] = decision.when, decision.bid
        later = decision.again | (decision.when >= tick.end)
        gives_up = later & (decision.when > jobs["give_up"])
        hold = pick(jobs, later & ~gives_up)
        del hold["bid"]
        self.held.append(**hold)
        return pick(jobs, ~later), pick(jobs, gives_up)
