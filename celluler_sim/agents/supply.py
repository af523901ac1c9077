"""The providers of an economy in time: they enter, revise what they ask, and leave; it shows once it is ordered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from celluler_sim.agents import provider as providers_
from celluler_sim.agents.provider import DAY, Provider, ProviderMaker
from celluler_sim.book import Floats, Slots
from celluler_sim.consensus.base import OFFER, WITHDRAW
from celluler_sim.markets.rows import Rows
from celluler_sim.population import Population

if TYPE_CHECKING:
    from celluler_sim.economy import Economy, Tick


class SupplySide:
    """Makes the providers, and decides for them once a tick.

    Parameters
    ----------
    economy
        Of which the scenario, the ledger, the streams and the consensus are used.
    """

    def __init__(self, economy: Economy) -> None:
        setup, machines = economy.setup, economy.setup.workload.machines()
        self.economy = economy
        self.rules = providers_.behaviours(setup.agents.providers)
        self.maker = ProviderMaker(
            setup.agents.providers, economy.streams, setup.market.unit_size, setup.consensus.n_validators, machines
        )
        self.providers = Population(economy, Provider)
        self.orders = Rows(number=np.int64, provider=np.int64, ask=np.float64)  # of transactions not final yet
        self._n_entrants = 0
        self._day_price = setup.pricing.base_price
        self._day_utilisation = 0.5
        n = setup.agents.providers.count if machines is None else len(machines.capacity)
        self._add(np.arange(n), "provider", offering=True)

    def _add(self, serial: Slots, family: str, *, offering: bool) -> Slots:
        traits, config = self.maker.make(serial, family), self.economy.setup.agents.providers
        cost = traits.energy_cost + traits.capital_cost
        markup, tick = np.full(len(serial), config.markup), max(self.economy.steps - 1, 0)
        ask = providers_.asks(cost, markup, traits.behaviour, self.rules, tick)
        return self.providers.add(
            len(serial), account=self.economy.ledger.open_accounts(len(serial)), kind=traits.kind,
            capacity=traits.capacity, quality=traits.quality, energy_cost=traits.energy_cost,
            capital_cost=traits.capital_cost, ask=ask, markup=markup, use=config.target_use,
            behaviour=traits.behaviour, validator=traits.validator, offering=offering,
        )  # fmt: skip

    def take_in(self, kind: npt.NDArray[np.int8], number: Slots) -> None:
        """Let the offers and withdrawals that have become final count: their kinds and numbers, (n,) each."""
        places = np.searchsorted(self.orders["number"], number)
        said = self.orders.rows(places)
        self.orders.drop(places)
        offers = kind == OFFER
        self.providers["ask"][said["provider"][offers]] = said["ask"][offers]
        self.providers["offering"][said["provider"]] = offers

    def forget(self, number: Slots) -> None:
        """Drop what has expired before it was ordered."""
        self.orders.drop(np.flatnonzero(np.isin(self.orders["number"], number)))

    def learn(self, tick: Tick, utilisation: float) -> None:
        """Let providers account for profit, revise asks, leave and enter."""
        p, config, market = self.providers, self.economy.setup.agents.providers, self.economy.market
        p["busy"][:] = market.busy(p.size)
        p["earning"][:] = market.earning(p.size)
        providers_.account_profit(p, tick.seconds)
        weight = -np.expm1(-tick.seconds / DAY)
        self._day_price += (market.last_price - self._day_price) * weight
        self._day_utilisation += (utilisation - self._day_utilisation) * weight
        self._revise_asks(tick)
        leaving = np.flatnonzero(p.active & p["offering"] & (p["losing_s"] > config.exit_after_s))
        p["losing_s"][leaving] = 0.0
        self.send(WITHDRAW, leaving, p["ask"][leaving], tick)
        drained = np.flatnonzero(p.active & ~p["offering"] & (p["busy"] == 0))
        if len(drained):
            p.remove(np.setdiff1d(drained, self.orders.alive()["provider"]))
        if self.economy.setup.workload.machines() is None:
            self._enter(tick)

    def _revise_asks(self, tick: Tick) -> None:
        p, config = self.providers, self.economy.setup.agents.providers
        slots = providers_.repricing(p, config, self.economy.streams, tick.number, tick.seconds)
        slots = slots[p["offering"][slots]]  # who is leaving does not come back by revising an ask
        if not len(slots):
            return
        cost = p["energy_cost"][slots] + p["capital_cost"][slots]
        p["markup"][slots] = providers_.revised_markup(p["markup"][slots], p["use"][slots], config)
        ask = providers_.asks(cost, p["markup"][slots], p["behaviour"][slots], self.rules, tick.number)
        changed = ask != p["ask"][slots]
        self.send(OFFER, slots[changed], ask[changed], tick)

    def _enter(self, tick: Tick) -> None:
        """Would-be providers look at yesterday's price and utilisation and enter if a unit would pay its cost."""
        config = self.economy.setup.agents.providers
        n = providers_.candidates(config, self.economy.streams, tick.number, tick.seconds, config.count)
        serial = self._n_entrants + np.arange(n)
        self._n_entrants += n
        if not n:
            return
        traits = self.maker.make(serial, "entrant")
        earns = (self._day_price - traits.energy_cost) * self._day_utilisation
        serial = serial[earns > traits.capital_cost * (1 + config.hurdle)]
        if len(serial):
            slots = self._add(serial, "entrant", offering=False)
            self.send(OFFER, slots, self.providers["ask"][slots], tick)

    def send(self, kind: int, slots: Slots, ask: Floats, tick: Tick) -> None:
        """Submit an offer or a withdrawal for each of some providers at the end of a tick.

        Parameters
        ----------
        kind
            `consensus.base.OFFER` or ``WITHDRAW``.
        slots, ask
            Providers and what each asks from then on, (n,) each, PRANA per unit.
        """
        if not len(slots):
            return
        p = self.providers
        validator = p["validator"][slots].astype(np.int64)
        number = self.economy.submit(kind, p["account"][slots], validator, np.full(len(slots), tick.end))
        self.orders.append(number=number, provider=slots, ask=ask)
