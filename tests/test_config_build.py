"""Building typed configurations from plain mappings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celluler_sim.config_build import build, defaults, describe, expected, open_tables, to_mapping
from celluler_sim.errors import ScenarioError, require


@dataclass(frozen=True, kw_only=True)
class Inner:
    """A part."""

    share: float = 0.5  # of the whole, [0, 1]

    def __post_init__(self) -> None:
        require("share", self.share, at_least=0, at_most=1)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One field of every kind."""

    path: str  # where it is read from
    price: float = 100.0  # PRANA per unit
    count: int = 3
    split: bool = True
    cycle: Literal["smooth", "none"] = "none"
    limit: float | None = None
    bar: Literal["auto"] | bool = "auto"
    patience: float = float("inf")
    window: tuple[float, float] = (0.0, 60.0)
    names: tuple[str, ...] = ()
    sizes: list[int] = field(
        default_factory=lambda: [
            1,
            2,
        ]
    )  # powers of two
    mix: dict[str, float] = field(default_factory=lambda: {"a": 1.0})
    inner: Inner = field(default_factory=Inner)
    noted: Annotated[int, "units"] = 1
    cache: Any = field(default=None, metadata={"key": False})


def refused(mapping: dict[str, Any], path: str = "rule") -> str:
    with pytest.raises(ScenarioError) as caught:
        build(Rule, {"path": "x", **mapping}, path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_values_of_every_kind():
    """Each kind of field takes its kind of value; an int will do for a number."""
    rule = build(
        Rule,
        {
            "path": "x", "price": 5, "count": 4, "split": False, "cycle": "smooth", "limit": 2, "bar": True,
            "window": [1, 2], "names": ["a", "b"], "sizes": [8], "mix": {"b": 1}, "inner": {"share": 1}, "noted": 2,
        },
    )  # fmt: skip
    assert rule == Rule(
        path="x", price=5.0, count=4, split=False, cycle="smooth", limit=2.0, bar=True, window=(1.0, 2.0),
        names=("a", "b"), sizes=[8], mix={"b": 1.0}, inner=Inner(share=1.0), noted=2,
    )  # fmt: skip
    assert isinstance(rule.price, float)
    assert isinstance(rule.inner.share, float)


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"prise": 1}, "unknown key rule.prise; did you mean rule.price?"),
        ({"cache": 1}, "unknown key rule.cache; did you mean rule.cycle?"),
        ({"inner": {"shares": 1}}, "unknown key rule.inner.shares; did you mean rule.inner.share?"),
        ({"_target_": "os.system"}, "unknown key rule._target_; rule has path, price"),
        ({"mix": {"_target_": 1}}, "unknown key rule.mix._target_"),
        ({"price": "abc"}, "rule.price must be a number, got 'abc'"),
        ({"price": "5"}, "rule.price must be a number, got '5'"),
        ({"price": True}, "rule.price must be a number, got true"),
        ({"price": None}, "rule.price must be a number, got null"),
        ({"price": [1]}, "rule.price must be a number, got [1]"),
        ({"price": float("nan")}, "rule.price must be a finite number, got nan"),
        ({"price": float("inf")}, "rule.price must be a finite number, got inf"),
        ({"mix": {"a": float("nan")}}, "rule.mix.a must be a finite number, got nan"),
        ({"window": [0, float("inf")]}, "rule.window[1] must be a finite number, got inf"),
        ({"count": 1.0}, "rule.count must be a whole number, got 1.0"),
        ({"count": True}, "rule.count must be a whole number, got true"),
        ({"split": 1}, "rule.split must be true or false, got 1"),
        ({"path": 1}, "rule.path must be text, got 1"),
        ({"cycle": "smoth"}, "rule.cycle must be one of smooth, none, got 'smoth'"),
        ({"limit": "x"}, "rule.limit must be a number or null, got 'x'"),
        ({"bar": 1}, "rule.bar must be auto or true or false, got 1"),
        ({"window": [1]}, "rule.window must have 2 entries, got [1]"),
        ({"names": "a"}, "rule.names must be a list of texts, got 'a'"),
        ({"names": ["a", 2]}, "rule.names[1] must be text, got 2"),
        ({"sizes": {"a": 1}}, "rule.sizes must be a list of whole numbers, got {'a': 1}"),
        ({"mix": [1]}, "rule.mix must be a mapping of names to numbers, got [1]"),
        ({"mix": {"a": "x"}}, "rule.mix.a must be a number, got 'x'"),
        ({"inner": 5}, "rule.inner must be a mapping of keys to values, got 5"),
        ({"inner": {"share": 2}}, "rule.inner.share must be >= 0 and <= 1, got 2"),
    ],
)
def test_refusals_name_key_rule_and_value(mapping: dict[str, Any], message: str):
    assert refused(mapping).startswith(message)


def test_names_may_look_like_numbers():
    """YAML reads ``{8: 0.5}`` with a number as the name."""
    assert build(Rule, {"path": "x", "mix": {8: 0.5}}).mix == {"8": 0.5}


def test_required_key():
    with pytest.raises(ScenarioError, match=r"^rule\.path is required: give it text$"):
        build(Rule, {}, "rule")


def test_infinity_is_allowed_where_it_is_the_default():
    assert build(Rule, {"path": "x", "patience": float("inf")}).patience == float("inf")
    assert refused({"patience": "inf"}) == "rule.patience must be a number, got 'inf'"


@pytest.mark.parametrize(
    ("raised", "path", "message"),
    [
        (ScenarioError("low must be < high"), "agents.makers", "agents.makers.low must be < high"),
        (ScenarioError("agents.makers.low must be < high"), "agents.makers", "agents.makers.low must be < high"),
        (ScenarioError("shares must sum to 1"), "agents.makers", "agents.makers: shares must sum to 1"),
        (ScenarioError("low must be < high"), "", "low must be < high"),
        (ValueError("bad\nvalue"), "pricing", "pricing was refused: bad value"),
    ],
)
def test_what_a_class_refuses_carries_its_path(raised: Exception, path: str, message: str):
    @dataclass(frozen=True)
    class Picky:
        low: float = 0.0

        def __post_init__(self) -> None:
            raise raised

    with pytest.raises(ScenarioError) as caught:
        build(Picky, {}, path)
    assert str(caught.value) == message


def test_given_values_are_no_keys():
    assert build(Rule, {"path": "x"}, given={"cache": 7}).cache == 7
    assert "cache" not in to_mapping(Rule(path="x"))


plain_numbers = st.floats(allow_nan=False, allow_infinity=False)
rules = st.builds(
    Rule,
    path=st.text(),
    price=plain_numbers,
    count=st.integers(),
    split=st.booleans(),
    cycle=st.sampled_from(["smooth", "none"]),
    limit=st.none() | plain_numbers,
    bar=st.just("auto") | st.booleans(),
    window=st.tuples(plain_numbers, plain_numbers),
    names=st.lists(st.text()).map(tuple),
    sizes=st.lists(st.integers()),
    mix=st.dictionaries(st.text(alphabet="abc", min_size=1), plain_numbers),
    inner=st.builds(Inner, share=st.floats(0, 1)),
)


@given(rules)
def test_to_mapping_is_the_inverse_of_build(rule: Rule):
    assert build(Rule, to_mapping(rule)) == rule


@given(
    st.none() | st.booleans() | st.text() | st.lists(st.integers()) | st.dictionaries(st.text(), st.integers()),
    st.sampled_from(["price", "window", "inner"]),
)
def test_no_other_value_passes_for_a_number(value: Any, name: str):
    """Whatever is not a number is refused, in one line, wherever a number belongs."""
    wrapped = {"price": value, "window": [0, value], "inner": {"share": value}}[name]
    assert "must be a number, got" in refused({name: wrapped})


def test_defaults_leave_out_what_is_required():
    found = defaults(Rule)
    assert "path" not in found
    assert found["window"] == [0.0, 60.0]
    assert found["inner"] == {"share": 0.5}


def test_open_tables_are_those_with_free_names():
    assert list(open_tables(Rule, "rule")) == ["rule.mix"]


def test_describe_reads_comments():
    rows = {row.key: row for row in describe(Rule, "rule")}
    assert rows["rule.path"] == ("rule.path", "text", "required", "where it is read from")
    assert rows["rule.price"] == ("rule.price", "a number", "100", "PRANA per unit")
    assert rows["rule.inner.share"] == ("rule.inner.share", "a number", "0.5", "of the whole, [0, 1]")
    assert rows["rule.sizes"].doc == "powers of two"
    assert rows["rule.limit"].default == "null"
    assert "rule.cache" not in rows


def test_expected_in_words():
    assert expected(dict[str, tuple[str, ...]]) == "a mapping of names to lists of texts"
