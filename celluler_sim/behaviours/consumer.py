"""How a consumer decides when to ask for service and what to bid. Families ``consumer_behaviour``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from celluler_sim.book import Floats, Frozen
from celluler_sim.mechanisms.base import register


@dataclass(frozen=True)
class Wants(Frozen):
    """Jobs about which their consumers decide now."""

    now: Floats  #     (n,) s, the moment of the decision
    value: Floats  #   (n,) PRANA per unit
    work: Floats  #    (n,) units
    give_up: Floats  # (n,) s, service that begins later is of no use


@dataclass(frozen=True)
class Outlook:
    """What everybody knows: the last quote and how the clock alone will move it."""

    price: float  #   PRANA per unit
    time_factor: Callable[[Floats], Floats]  # of time in s, see `Pricing.time_factor`
    period: float  #  s, period of the time factor
    postpone_s: float  # s, mean time until a postponed job is looked at again


@dataclass(frozen=True)
class Decision(Frozen):
    """When each job is submitted and at what bid."""

    when: Floats  # (n,) s: the request's submission, or the moment of the next decision where `again`
    bid: Floats  #  (n,) PRANA per unit
    again: np.ndarray[tuple[int], np.dtype[np.bool_]]  # (n,) decide anew at `when` instead of submitting


class ConsumerBehaviour(Protocol):
    """A consumer's strategy."""

    def decide(self, wants: Wants, outlook: Outlook, uniform: Floats) -> Decision:
        """Return when to submit and what to bid; ``uniform`` holds one draw in (0, 1) per job."""
        ...


@register("consumer_behaviour", "truthful")
@dataclass(frozen=True)
class Truthful:
    """Ask at once and bid what the work is worth."""

    def decide(self, wants: Wants, outlook: Outlook, uniform: Floats) -> Decision:  # noqa: ARG002 - needs neither
        """Return submission at once."""
        return Decision(when=wants.now, bid=wants.value, again=np.zeros(len(wants.now), bool))


@register("consumer_behaviour", "elastic")
@dataclass(frozen=True)
class Elastic:
    """Look at the price first: ask if it is worth it, otherwise look again after a while."""

    def decide(self, wants: Wants, outlook: Outlook, uniform: Floats) -> Decision:
        """Return submission where price <= value, a later look elsewhere."""
        dear = outlook.price > wants.value
        when = wants.now + np.where(dear, -np.log(uniform) * outlook.postpone_s, 0.0)
        return Decision(when=when, bid=wants.value, again=dear)


@register("consumer_behaviour", "strategic_timing")
@dataclass(frozen=True)
class StrategicTiming:
    """Wait for the cheap part of the price cycle, as far as patience allows; where there is no cycle, ask at once."""

    def decide(self, wants: Wants, outlook: Outlook, uniform: Floats) -> Decision:  # noqa: ARG002 - foreseeable
        """Return the earliest moment with the smallest time factor between now and giving up, on a grid of 1/60 period.

        Step 1: candidates are now and the grid points after it, within one period and before giving up.
        Step 2: choose the candidate with the smallest factor; the earliest of equals.
        """
        step = outlook.period / 60.0
        ahead = np.arange(1, 61)
        grid = (np.floor(wants.now / step)[:, None] + ahead) * step
        times = np.concatenate([wants.now[:, None], grid], axis=1)
        factor = outlook.time_factor(times)
        useful = times <= (wants.give_up * (1 - 1e-12))[:, None]
        useful[:, 0] = True
        best = np.argmin(np.where(useful, np.round(factor, 12), np.inf), axis=1)
        when = times[np.arange(len(times)), best]
        return Decision(when=when, bid=wants.value, again=np.zeros(len(when), bool))
