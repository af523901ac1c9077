"""What becomes of trained models: validators score them, claims stand or fall, and everybody is paid to the unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Floats, Slots
from celluler_sim.errors import InvariantError
from celluler_sim.institutions.training_orders import Columns, luck
from celluler_sim.ledger import TREASURY, UNITS, Amounts, Ledger
from celluler_sim.mechanisms.cross_validation import CrossValidation, Verdict, independent_panel

if TYPE_CHECKING:
    from celluler_sim.institutions.training import TrainingMarket
    from celluler_sim.recorder import Recorder
    from celluler_sim.streams import Streams

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Judgement:
    """What the validators decided about n models."""

    score: Floats  #   (n,) mean of the folds that decided
    spread: Floats  #  (n,) between those folds
    disputed: Bools  # (n,)
    refused: Bools  #  (n,) for good
    panel: Slots  #    (n, folds) first panel
    appeal: Slots  #   (n, appeal_folds) second panel; of use where disputed


def judge_claims(
    rule: TrainingMarket, streams: Streams, orders: Columns, quality: Floats, claimed: Floats, home: Slots,
    honest: Bools,
) -> tuple[Judgement, list[Verdict]]:  # fmt: skip
    """Let panels judge models, (n,), and return the outcome with both panels' verdicts.

    1. ``folds`` validators, none of them the trainer's own (``home``), score each model.
    2. A refused claim is disputed by an honest trainer always, by another with its own probability.
    3. ``appeal_folds`` other validators score disputed models; their verdict is final, their mean is the score.
    """
    cv = rule.validation
    who = orders["consumer"], orders["born"]
    panel = independent_panel(luck(streams, "training.panel", *who, rule.validators), home[:, None], cv.folds)
    first = _verdict(cv, streams, "training.folds", orders, quality, claimed, cv.folds)
    bold = luck(streams, "training.dispute", *who, 1)[:, 0] < rule.trainers.disputing
    disputed = first.refused & (honest | bold)
    barred = np.concatenate([home[:, None], panel], axis=1)
    uniform = luck(streams, "training.appeal_panel", *who, rule.validators)
    appeal = independent_panel(uniform, barred, min(cv.appeal_folds, rule.validators - cv.folds - 1))
    second = _verdict(cv, streams, "training.appeal_folds", orders, quality, claimed, appeal.shape[1])
    return Judgement(
        score=np.where(disputed, second.mean, first.mean),
        spread=np.where(disputed, second.spread, first.spread),
        disputed=disputed,
        refused=first.refused & (~disputed | second.refused),
        panel=panel,
        appeal=appeal,
    ), [first, second]


def _verdict(
    cv: CrossValidation, streams: Streams, name: str, orders: Columns, quality: Floats, claimed: Floats, k: int
) -> Verdict:  # fmt: skip
    from scipy.special import ndtri

    u = luck(streams, name, orders["consumer"], orders["born"], 2 * k)
    return cv.judge(claimed, cv.scores(quality, ndtri(u[:, :k]), u[:, k:]))


def log_verdicts(
    recorder: Recorder, tick: int, training: Slots, quality: Floats, claimed: Floats, verdicts: list[Verdict],
    judgement: Judgement,
) -> None:  # fmt: skip
    """Write a row per panel that sat."""
    n = len(training)
    for stage, verdict in enumerate(verdicts):
        sat = judgement.disputed if stage else np.ones(n, np.bool_)
        rows = np.flatnonzero(sat)
        if not len(rows):
            continue
        folds = (judgement.appeal if stage else judgement.panel).shape[1]
        recorder.log(
            "validations", training=training[rows], tick=tick, stage=stage, folds=folds, claimed=claimed[rows],
            quality=quality[rows], mean=verdict.mean[rows], spread=verdict.spread[rows], error=verdict.error[rows],
            statistic=verdict.statistic[rows], p_value=verdict.p_value[rows], refused=verdict.refused[rows],
        )  # fmt: skip


def units_of(orders: Columns, name: str, row: int) -> int:
    """Return one amount of one order, in units of 1e-18 PRANA."""
    return int(orders[f"{name}_hi"][row]) * UNITS + int(orders[f"{name}_lo"][row])


def prana_units(prana: float) -> int:
    """Return an amount in units, rounded once."""
    return Amounts.from_prana(prana).to_units()[0]


@dataclass
class Till:
    """Payments out of escrow and releases of it, carried out together; nothing in it may be refused."""

    ledger: Ledger

    def pay(self, source: int, targets: list[int], units: list[int], kind: str) -> None:
        """Move parts of one account's escrow to others."""
        if targets:
            refused = self.ledger.pay_escrow(
                np.full(len(targets), source), np.array(targets), Amounts.from_units(units), kind
            )
            self._check(refused, kind)

    def release(self, account: int, units: int) -> None:
        """Return escrow to its owner."""
        if units:
            self._check(self.ledger.release(np.array([account]), Amounts.from_units([units])), "release")

    def forfeit(self, account: int, units: int) -> None:
        """Move escrow to the treasury."""
        if units:
            self.pay(account, [TREASURY], [units], "penalty")

    @staticmethod
    def _check(refused: npt.NDArray[np.bool_], kind: str) -> None:
        if refused.any():
            raise InvariantError(f"training: what is due must be in escrow, got a {kind} that the ledger refused")
