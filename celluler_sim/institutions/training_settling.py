"""From the end of a training to the last payment: quality, verdict, price, data, money."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from celluler_sim.book import Floats, Slots
from celluler_sim.institutions.base import Columns
from celluler_sim.institutions.training_data import DataWorth, share_data_worth
from celluler_sim.institutions.training_judging import (
    Judgement,
    Till,
    judge_claims,
    log_verdicts,
    prana_units,
    units_of,
)
from celluler_sim.institutions.training_orders import luck
from celluler_sim.ledger import UNITS
from celluler_sim.mechanisms.base import guarded

if TYPE_CHECKING:
    from celluler_sim.economy import Tick
    from celluler_sim.institutions.training_market import TrainingInstitution

PAID = ("paid", "data_paid", "fees_paid", "penalty")


class Settling:
    """Settles the trainings of one market."""

    def __init__(self, market: TrainingInstitution) -> None:
        self.market, self.rule, self.streams = market, market.rule, market.streams
        self.till = Till(market.ledger)

    def settle(self, done: Columns, compute: Floats, delivered: Floats, tick: Tick) -> None:
        """Judge and pay trainings that have ended.

        Parameters
        ----------
        done
            Their orders.
        compute
            What each trainer paid for compute, (n,) PRANA.
        delivered
            Share of the compute that providers delivered, (n,).
        """
        m = self.market
        training, quality = self.outcome(done, delivered)
        overstatement = m.trainers["overstatement"][done["trainer"]]
        claimed = np.minimum(quality + overstatement, 1.0)
        home = m.trainers["validator"][done["trainer"]].astype(np.int64) % self.rule.validators
        honest = overstatement == 0
        judgement, verdicts = judge_claims(self.rule, self.streams, done, quality, claimed, home, honest)
        log_verdicts(m.economy.recorder, tick.number, done["training"], quality, claimed, verdicts, judgement)
        basis = claimed if self.rule.pays == "claim" else judgement.score
        paid = [self._settle_one(done, i, float(training[i]), basis, judgement, tick) for i in range(len(quality))]
        m.log.closed(
            done, ["refused" if r else "accepted" for r in judgement.refused], np.full(len(paid), tick.end),
            claimed=claimed, quality=quality, score=judgement.score, spread=judgement.spread,
            overstatement=overstatement, disputed=judgement.disputed, training_done=training, compute=compute,
            **{name: np.array([p[name] for p in paid]) for name in PAID},
        )  # fmt: skip

    def outcome(self, done: Columns, delivered: Floats) -> tuple[Floats, Floats]:
        """Return the training done and the quality that came of it, (n,) each.

        Runs of one system differ: the time to target by a lognormal factor, the error by a normal difference; both as
        much as in the real runs.
        """
        from scipy.special import ndtri

        z = ndtri(luck(self.streams, "training.luck", done["consumer"], done["born"], 2))
        kinds = [self.market.tasks[k] for k in done["task"].tolist()]
        cv, sd = np.array([k.time_cv for k in kinds]), np.array([k.score_sd for k in kinds])
        training = done["planned"] * delivered * np.exp(-np.sqrt(np.log1p(cv**2)) * z[:, 0])
        quality = np.zeros(len(kinds))
        for i in np.flatnonzero(training > 0):
            error = kinds[i].curve.error(training[i : i + 1], float(done["data"][i])) + sd[i] * z[i, 1]
            quality[i] = kinds[i].of_error(error)[0]
        return training, quality

    def _settle_one(
        self, done: Columns, i: int, training: float, basis: Floats, judgement: Judgement, tick: Tick
    ) -> dict[str, float]:
        """Pay one model's parties out of what was reserved, and return what was paid, PRANA."""
        m, slot = self.market, int(done["trainer"][i])
        trainer = int(m.trainers["account"][slot])
        consumer = int(m.consumers["account"][done["consumer"][i]])
        agreed, bond = units_of(done, "agreed", i), units_of(done, "bond", i)
        fees = self._pay_validators(done, i, trainer, judgement) / UNITS
        m.trainers["spent"][slot] += fees
        sets = m.sets.pop(int(done["training"][i]))
        if judgement.refused[i]:
            self.till.release(consumer, agreed)
            self.till.forfeit(trainer, bond)
            m.trainers["caught"][slot] += 1
            m.trainers["earned"][slot] -= bond / UNITS
            return dict(zip(PAID, (0.0, 0.0, fees, bond / UNITS), strict=True))
        self.till.release(trainer, bond)
        price = self._price(done, i)
        paid = min(prana_units(float(price(basis[i : i + 1])[0])), agreed)
        parts = self._data_parts(done, i, training, sets, price, float(basis[i]), paid, tick)
        if parts:
            self.till.pay(consumer, m.data["account"][sets].tolist(), parts, "data")
        self.till.pay(consumer, [trainer], [paid - sum(parts)], "model")
        self.till.release(consumer, agreed - paid)
        self._note_sale(done, i, float(basis[i]), paid, sum(parts))
        return dict(zip(PAID, (paid / UNITS, sum(parts) / UNITS, fees, 0.0), strict=True))

    def _pay_validators(self, done: Columns, i: int, trainer: int, judgement: Judgement) -> int:
        """Pay those who sat on a panel, return the rest of what was set aside; return what was paid, in units."""
        judges = judgement.panel[i].tolist() + (judgement.appeal[i].tolist() if judgement.disputed[i] else [])
        fees = units_of(done, "fees", i)
        fee = min(prana_units(self.rule.fee_prana), fees // len(judges))
        self.till.pay(trainer, self.market.validators[judges].tolist(), [fee] * len(judges), "fee")
        self.till.release(trainer, fees - fee * len(judges))
        return fee * len(judges)

    def _note_sale(self, done: Columns, i: int, score: float, paid: int, to_data: int) -> None:
        """Count a model sold in its trainer's and its consumer's columns; a worse one is worth less in proportion."""
        m, slot, buyer = self.market, int(done["trainer"][i]), int(done["consumer"][i])
        m.trainers["sold"][slot] += 1
        m.trainers["earned"][slot] += (paid - to_data) / UNITS
        m.consumers["bought"][buyer] += 1
        m.consumers["spent"][buyer] += paid / UNITS
        worth = float(done["value"][i]) * min(1.0, score / float(done["wanted"][i]))
        m.consumers["surplus"][buyer] += worth - paid / UNITS

    def _price(self, done: Columns, i: int) -> Callable[[Floats], Floats]:
        """Return the price of one order as a function of the quality that it came to."""
        kind = self.market.tasks[int(done["task"][i])]
        latency = float(done["latency"][i]) / self.rule.consumers.latency_ms
        energy = float(done["energy"][i]) / (kind.energy * float(done["planned"][i]))
        hours, wanted = float(done["hours"][i]), float(done["wanted"][i])
        return lambda quality: self.rule.prices.price(hours, wanted, quality, latency, energy)

    def _data_parts(
        self, done: Columns, i: int, training: float, sets: Slots, price: Callable[[Floats], Floats], basis: float,
        paid: int, tick: Tick,
    ) -> list[int]:  # fmt: skip
        """Return what each data set's owner gets of one model's price, in units; none where there was no data.

        What data added is counted at the score that pays: the quality that each coalition's data would have given is
        moved by as much as the score differs from what the learning curve gives with all of it.
        """
        m, order = self.market, int(done["training"][i])
        if not len(sets) or training <= 0:
            return []
        kind, x = m.tasks[int(done["task"][i])], np.array(training)
        shift = basis - float(kind.quality(x, float(done["data"][i])))

        def priced(data: Floats) -> Floats:
            return price(np.clip(kind.quality(x, data) + shift, 0.0, 1.0))

        worth = DataWorth(m.data["shards"][sets], self.rule.public_data, priced)
        rule, rng = m.economy.setup.mechanisms["sharing"], self.streams.at("training.sharing", order)
        whole, shares = guarded("sharing", rule, tick.number, lambda: share_data_worth(worth, rule, rng))
        parts = shares.payout_units(min(prana_units(whole * self.rule.data_share), paid))
        prana = np.array([part / UNITS for part in parts])
        m.data["earned"][sets] += prana
        m.data["credited"][sets] += prana
        m.log.datasets(order, kind.name, sets, shares, prana)
        return parts
