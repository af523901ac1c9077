"""Providers sell capacity: machines with a cost, an ask that is seldom revised, and the choice to come or go."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from celluler_sim.agents.config import ProviderConfig
from celluler_sim.behaviours.provider import ProviderBehaviour
from celluler_sim.book import Floats, Slots
from celluler_sim.cellagent import CellAgent
from celluler_sim.column import Column
from celluler_sim.errors import MechanismError
from celluler_sim.mechanisms.base import guarded, registered
from celluler_sim.population import Population
from celluler_sim.streams import Streams
from celluler_sim.workloads.base import Machines
from celluler_sim.workloads.hardware import hardware, unit_cost

HALF_HOUR = 1800.0
DAY = 86_400.0


class Provider(CellAgent):
    """A cell that sells compute."""

    account = Column(np.int64, doc="account number in the ledger")
    kind = Column(np.int8, doc="hardware kind, index into the economy's list")
    capacity = Column(np.float64, unit="units/s", doc="what it can deliver in all")
    quality = Column(np.float64, unit="[0, 1]", doc="quality of its service")
    energy_cost = Column(np.float64, unit="PRANA/unit", doc="energy for a unit of work")
    capital_cost = Column(np.float64, unit="PRANA/unit", doc="write-off per unit of work at full use")
    ask = Column(np.float64, unit="PRANA/unit", doc="least price it accepts")
    markup = Column(np.float64, unit="share", doc="over unit cost, of those whose strategy has one")
    use = Column(np.float64, unit="share", doc="exponential mean of its own utilisation over a day")
    behaviour = Column(np.int8, doc="strategy, index into the economy's list")
    validator = Column(np.int32, doc="validator it is attached to")
    offering = Column(np.bool_, doc="its offer has been ordered and not withdrawn")
    busy = Column(np.float64, unit="units/s", doc="capacity in use")
    earning = Column(np.float64, unit="PRANA/s", doc="rate at which running jobs will pay")
    earned = Column(np.float64, unit="PRANA", doc="revenue received so far")
    profit = Column(np.float64, unit="PRANA", doc="accrued revenue less energy and capital so far")
    losing_s = Column(np.float64, unit="s", doc="how long its daily mean profit has been negative")
    margin = Column(np.float64, unit="PRANA/s", doc="exponential mean of its profit rate over a day")

    @property
    def unit_cost(self) -> float:
        """Energy and capital, PRANA per unit."""
        return float(self.energy_cost + self.capital_cost)


@dataclass(frozen=True)
class ProviderTraits:
    """What new providers are like, one row each."""

    kind: Slots  #     (n,)
    capacity: Floats  # (n,) units/s
    quality: Floats  # (n,) [0, 1]
    energy_cost: Floats  #  (n,) PRANA per unit
    capital_cost: Floats  # (n,) PRANA per unit
    behaviour: Slots  # (n,)
    validator: Slots  # (n,)


@dataclass(frozen=True)
class ProviderMaker:
    """Draws providers' traits; every draw is indexed by a serial number, so that more providers change no other."""

    config: ProviderConfig
    streams: Streams
    unit_size: float  # FLOP-seconds per unit
    n_validators: int
    machines: Machines | None = None

    @property
    def hardware(self) -> tuple[str, ...]:
        """Names of the hardware kinds, by index."""
        if self.machines is not None:
            return self.machines.hardware
        return tuple(self.config.hardware)

    def make(self, serial: Slots, family: str = "provider") -> ProviderTraits:
        """Return the traits of the providers with these serial numbers."""
        c = self.config
        if self.machines is None:
            kind = self._pick(f"{family}.hardware", serial, list(c.hardware.values()))
            capacity = self._accelerators(family, serial) * self._flops()[kind] / self.unit_size
        else:
            kind, capacity = self.machines.kind[serial], self.machines.capacity[serial]
        spread = self._lognormal(f"{family}.cost", serial, c.cost_cv)
        energy, capital = unit_cost(
            list(self.hardware), unit_size=self.unit_size, usd_per_prana=c.usd_per_prana, pue=c.pue,
            electricity_usd_per_kwh=c.electricity_usd_per_kwh, lifetime_years=c.lifetime_years,
        )  # fmt: skip
        uniform = self.streams.draws(f"{family}.quality").uniform(serial)
        n_validators = self.n_validators
        return ProviderTraits(
            kind=kind,
            capacity=capacity,
            quality=c.quality_low + (c.quality_high - c.quality_low) * uniform,
            energy_cost=energy[kind] * spread,
            capital_cost=capital[kind] * spread,
            behaviour=self._pick(f"{family}.behaviour", serial, list(c.behaviours.values())),
            validator=(self.streams.draws(f"{family}.validator").uniform(serial) * n_validators).astype(np.int64),
        )

    def _flops(self) -> Floats:
        return np.array([hardware(name).flops for name in self.hardware])

    def _accelerators(self, family: str, serial: Slots) -> Floats:
        draw = self._lognormal(f"{family}.accelerators", serial, self.config.accelerators_cv)
        return np.maximum(1.0, np.round(self.config.accelerators * draw))

    def _lognormal(self, name: str, serial: Slots, cv: float) -> Floats:
        sigma2 = np.log1p(cv * cv)
        return np.asarray(np.exp(np.sqrt(sigma2) * self.streams.draws(name).normal(serial) - sigma2 / 2))

    def _pick(self, name: str, serial: Slots, shares: list[float]) -> Slots:
        edges = np.cumsum(shares) / np.sum(shares)
        return np.searchsorted(edges[:-1], self.streams.draws(name).uniform(serial), side="right")


def behaviours(config: ProviderConfig) -> list[ProviderBehaviour]:
    """Return the strategies of a scenario, by index."""
    return [registered("provider_behaviour")[name]() for name in config.behaviours]


def asks(cost: Floats, markup: Floats, behaviour: Slots, rules: list[ProviderBehaviour], tick: int = 0) -> Floats:
    """Return each provider's ask under its own strategy, (n,) PRANA per unit.

    Raises
    ------
    MechanismError
        A strategy raised, or asked what is no price.
    """
    ask = np.empty_like(cost)
    for code, rule in enumerate(rules):
        mine = behaviour == code
        ask[mine] = _asked(rule, cost[mine], markup[mine], tick)
    return ask


def _asked(rule: ProviderBehaviour, cost: Floats, markup: Floats, tick: int) -> Floats:
    """Return the asks of one strategy, checked."""

    def answer() -> Floats:
        ask = np.asarray(rule.ask(cost, markup), float)
        if ask.shape != cost.shape or not (np.isfinite(ask) & (ask >= 0)).all():
            name = getattr(rule, "name", type(rule).__name__)
            raise MechanismError(f"provider_behaviour={name} must ask {len(cost)} finite prices >= 0, got {ask[:3]}")
        return ask

    return guarded("provider_behaviour", rule, tick, answer)


def account_profit(providers: Population[Provider], seconds: float) -> None:
    """Accrue each provider's profit over ``seconds``, note how long it has been losing money, and how busy it was.

    Profit rate = earning - energy * busy - capital * capacity; exponential means have a time constant of a day.
    """
    p, weight = providers, -np.expm1(-seconds / DAY)
    rate = p["earning"] - p["energy_cost"] * p["busy"] - p["capital_cost"] * p["capacity"]
    rate *= p.active
    p["profit"][:] += rate * seconds
    p["margin"][:] += (rate - p["margin"]) * weight
    p["use"][:] += (p["busy"] / np.maximum(p["capacity"], 1e-300) - p["use"]) * weight
    p["losing_s"][:] = np.where(p["margin"] < 0, p["losing_s"] + seconds, 0.0)


def revised_markup(markup: Floats, use: Floats, config: ProviderConfig) -> Floats:
    """Return the mark-ups after a look at one's own utilisation, (n,): busy providers raise theirs, idle ones cut it.

    m <- m exp(s (u - u*)): derivative-following reduced to what a seller sees without a model of demand (Greenwald
    and Kephart 1999), u* the utilisation it is content with.
    """
    return np.asarray(markup * np.exp(config.markup_response * (use - config.target_use)))


def repricing(
    providers: Population[Provider], config: ProviderConfig, streams: Streams, tick: int, seconds: float
) -> Slots:
    """Return the slots of the providers that revise their ask in this tick: sticky, as in real listings."""
    chance = -np.expm1(np.log1p(-config.reprice_per_half_hour) * seconds / HALF_HOUR)
    slots: Slots = providers.slots
    return np.asarray(slots[streams.draws("provider.reprice", tick).uniform(slots) < chance])


def candidates(config: ProviderConfig, streams: Streams, tick: int, seconds: float, count: int) -> int:
    """Return how many would-be providers look at the market in this tick (Poisson)."""
    mean = config.entry_per_day * count * seconds / DAY
    return int(streams.at("provider.entry", tick).poisson(mean))
