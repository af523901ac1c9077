"""Every registered pricing rule keeps the laws it claims; and each check notices a rule that does not."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any, ClassVar, Literal, get_args, get_origin, get_type_hints

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from celluler_sim.book import Load
from celluler_sim.errors import ScenarioError
from celluler_sim.mechanisms import pricing
from celluler_sim.mechanisms.base import claims_of, registered
from celluler_sim.mechanisms.laws import Law
from celluler_sim.mechanisms.pricing_law_checks import PRICING_LAW_CHECKS, Situation, broken_claims

RANGES = {"base_price": (0.01, 1e6), "window_seconds": (2.0, 7200.0)}


@st.composite
def rules(draw: st.DrawFn, cls: type) -> Any:
    """Return an instance: choices, switches, base price and window drawn, other parameters at their defaults."""
    chosen: dict[str, Any] = {}
    for name, hint in get_type_hints(cls).items():
        if get_origin(hint) is Literal:
            chosen[name] = draw(st.sampled_from(get_args(hint)))
        elif hint is bool:
            chosen[name] = draw(st.booleans())
        elif name in RANGES:
            chosen[name] = draw(st.floats(*RANGES[name]))
    try:
        return cls(**chosen)
    except ScenarioError:
        assume(False)  # noqa: FBT003 - Hypothesis's own spelling of "not this one"


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    """Return a market of any size and load, quoted at the ends of whole minutes."""
    share, capacity = st.floats(0.0, 1.0), draw(st.floats(1e-3, 1e9))
    prices = st.lists(st.floats(0.0, 1e6), max_size=5).map(np.array)
    load = Load(
        time=draw(st.floats(0.0, 1e7)),
        elapsed=60.0 * draw(st.integers(1, 5)),
        utilisation=draw(share),
        used=draw(share) * capacity,
        capacity=capacity,
        last_price=draw(st.floats(0.01, 1e6)),
    )
    scale = 2.0 ** draw(st.integers(-20, 20))  # a power of two is exact, so that the floor scales along
    return Situation(load, draw(prices), draw(prices), draw(share), draw(st.floats(0.0, 1e6)), scale)


@pytest.mark.parametrize("name", registered("pricing"))
@given(data=st.data(), situation=situations())
def test_every_claim_holds(name: str, data: st.DataObject, situation: Situation):
    assert broken_claims(data.draw(rules(registered("pricing")[name])), situation) == []


def test_every_rule_claims_something_that_can_be_checked():
    for cls in registered("pricing").values():
        assert Law.INDIVIDUALLY_RATIONAL in cls.claims
        assert (cls.claims | set(getattr(cls, "claims_when", {}))) <= set(PRICING_LAW_CHECKS)


def test_claims_follow_the_parameters():
    by_cycle = {cycle: claims_of(pricing.SlidingWindow(cycle=cycle)) for cycle in ("none", "smooth", "sawtooth")}
    clock = {Law.STATIONARY, Law.CONTINUOUS_IN_TIME}
    assert by_cycle["none"] - by_cycle["sawtooth"] == clock
    assert by_cycle["none"] - by_cycle["smooth"] == {Law.STATIONARY}
    assert Law.CONTINUOUS_IN_TIME not in claims_of(pricing.SlidingWindow(cycle="smooth", window_seconds=100))
    assert Law.HOMOGENEOUS not in claims_of(pricing.Eip1559(exact=True))


BUSY = Situation(
    load=Load(time=100.0, elapsed=60.0, utilisation=0.5, used=9.0, capacity=10.0, last_price=100.0),
    ask=np.array([50.0, 80.0]), bid=np.array([300.0]), busier=0.5, later=1000.0, scale=2.0,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Odd(pricing.UniformPrice):
    """A rule that breaks a law, or several, and claims them all."""

    why: str
    formula: Callable[[float, Load], float]
    claims: ClassVar[frozenset[Law]] = frozenset(PRICING_LAW_CHECKS)

    def price(self, load: Load) -> float:
        """Return the price by the formula."""
        return self.formula(self.base_price, load)

    def price_bounds(self) -> tuple[float, float]:
        """Return half the price at which the rule starts as its upper bound."""
        return 0.0, self.base_price / 2


@dataclass(frozen=True, kw_only=True)
class OneForAll(pricing.Fixed):
    """Returns one price whatever the number of offers."""

    def quote(self, load: Load, ask: np.ndarray) -> np.ndarray:
        """Return one price."""
        return np.array([self.base_price])


ASKED = count()
WRONG = [
    (
        Odd(why="takes another price than it quoted", formula=lambda base, _: base + next(ASKED)),
        "INDIVIDUALLY_RATIONAL",
    ),
    (Odd(why="quotes no number", formula=lambda *_: float("nan")), "INDIVIDUALLY_RATIONAL"),
    (Odd(why="pays the consumer", formula=lambda base, _: -base), "INDIVIDUALLY_RATIONAL"),
    (OneForAll(), "INDIVIDUALLY_RATIONAL"),
    (Odd(why="adds 5 PRANA whatever they are worth", formula=lambda base, _: base + 5), "HOMOGENEOUS"),
    (Odd(why="charges for size", formula=lambda base, load: base * load.capacity), "HOMOGENEOUS"),
    (pricing.Eip1559(exact=True, base_price=7e-18, floor=0.0), "HOMOGENEOUS"),
    (Odd(why="cheaper when busy", formula=lambda base, load: base * (2 - load.utilisation)), "MONOTONE_IN_LOAD"),
    (Odd(why="cheaper when busy now", formula=lambda base, load: base / (1 + load.used)), "MONOTONE_IN_LOAD"),
    (pricing.SlidingWindow(cycle="sawtooth"), "CONTINUOUS_IN_TIME"),
    (pricing.SlidingWindow(cycle="smooth", window_seconds=100), "CONTINUOUS_IN_TIME"),
    (pricing.Eip1559(block_seconds=5), "CONTINUOUS_IN_TIME"),
    (Odd(why="rises untold", formula=lambda base, load: base + load.time / 3600), "CONTINUOUS_IN_TIME"),
    (Odd(why="rises", formula=lambda base, load: base + load.time / 3600), "STATIONARY"),
    (pricing.SlidingWindow(cycle="sawtooth"), "STATIONARY"),
    (pricing.SlidingWindow(cycle="smooth"), "STATIONARY"),
    (Odd(why="leaves its bounds", formula=lambda base, _: base), "BOUNDED"),
]


@pytest.mark.parametrize(("rule", "law"), WRONG, ids=lambda x: x if isinstance(x, str) else getattr(x, "why", None))
def test_checks_have_teeth(rule: Any, law: str):
    last_price = min(BUSY.load.last_price, rule.base_price)
    situation = dataclasses.replace(BUSY, load=dataclasses.replace(BUSY.load, last_price=last_price))
    assert PRICING_LAW_CHECKS[Law[law]](rule, situation)


def test_a_claim_without_a_check_is_named():
    @dataclass(frozen=True, kw_only=True)
    class Boastful(pricing.Fixed):
        claims: ClassVar[frozenset[Law]] = frozenset({Law.ENVY_FREE})

    assert broken_claims(Boastful(), BUSY) == ["Boastful claims ENVY_FREE: is no law of pricing rules"]


@given(situation=situations())
def test_a_quote_leaves_its_input_alone(situation: Situation):
    ask = situation.ask.copy()
    for cls in registered("pricing").values():
        quote = cls().quote(situation.load, situation.ask)
        assert not np.shares_memory(quote, situation.ask)
    assert np.array_equal(ask, situation.ask)
