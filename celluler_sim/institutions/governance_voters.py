"""How holders of stake vote. Family ``voter_behaviour``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Floats, Frozen, Slots
from celluler_sim.mechanisms.base import register
from celluler_sim.mechanisms.voting import ABSENT, NO, NOBODY, YES

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Question(Frozen):
    """What voters are asked, one row a voter."""

    voter: Slots  #   (n,) number
    favours: Bools  # (n,) whether it is in favour by itself
    larger: Slots  #  (n,) the voter with the next larger stake, `NOBODY` for the largest
    bribe: float  # PRANA offered for each PRANA of stake that votes in favour
    price: Floats  #  (n,) PRANA for each PRANA of stake at which a voter against it would sell


@dataclass(frozen=True)
class Answer(Frozen):
    """What voters do."""

    vote: Slots  #     (n,) `YES`, `NO`, `ABSTAIN` or `ABSENT`
    delegate: Slots  # (n,) who votes for an absent one, or `NOBODY`
    bribed: Bools  #   (n,) whether the vote was bought


class VoterBehaviour(Protocol):
    """A voter's strategy."""

    def answer(self, question: Question) -> Answer:
        """Return what voters with this strategy do, (n,) rows."""
        ...


def opinion(question: Question) -> Answer:
    """Return the votes of those who vote as they think."""
    n = len(question.voter)
    return Answer(np.where(question.favours, YES, NO), np.full(n, NOBODY), np.zeros(n, np.bool_))


@register("voter_behaviour", "sincere")
@dataclass(frozen=True)
class Sincere:
    """Vote as one thinks."""

    def answer(self, question: Question) -> Answer:
        """Return everybody's own opinion."""
        return opinion(question)


@register("voter_behaviour", "apathetic")
@dataclass(frozen=True)
class Apathetic:
    """Do not vote."""

    def answer(self, question: Question) -> Answer:
        """Return that all are absent."""
        n = len(question.voter)
        return Answer(np.full(n, ABSENT), np.full(n, NOBODY), np.zeros(n, np.bool_))


@register("voter_behaviour", "delegating")
@dataclass(frozen=True)
class Delegating:
    """Leave the vote to whoever has the next larger stake; the largest votes itself."""

    def answer(self, question: Question) -> Answer:
        """Return who votes for whom; it counts where the rule of ``voting`` knows delegates."""
        top = question.larger == NOBODY
        vote = np.where(top, opinion(question).vote, ABSENT)
        return Answer(vote, question.larger.copy(), np.zeros(len(top), np.bool_))


@register("voter_behaviour", "venal")
@dataclass(frozen=True)
class Venal:
    """Vote as one thinks, unless somebody pays one's price for the other way."""

    def answer(self, question: Question) -> Answer:
        """Return opinions, but yes where the bribe reaches the price."""
        sold = ~question.favours & (question.bribe > 0) & (question.bribe >= question.price)
        own = opinion(question)
        return Answer(np.where(sold, YES, own.vote), own.delegate.copy(), sold)
