"""The ledger against sums worked by hand, against Python integers, and against the shared conservation cases."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from celluler_sim import ledger_kernels as kernels
from celluler_sim.errors import CellulerError, InvariantError
from celluler_sim.ledger import (
    MOST_PRANA,
    SUPPLY_PRANA,
    TREASURY,
    UNITS,
    Amounts,
    Ledger,
    LedgerError,
    split_fee,
    split_groups,
    split_units,
)
from tests.shared_data import shared

SUPPLY = 10**27
BUCKETS = ("free", "escrow", "stake")
MOVES = {  # kind: bucket it leaves, bucket it enters
    "pay": ("free", "free"),
    "lock": ("free", "escrow"),
    "release": ("escrow", "free"),
    "pay_escrow": ("escrow", "free"),
    "stake": ("free", "stake"),
    "unstake": ("stake", "free"),
    "slash": ("stake", "free"),
}

money = st.one_of(
    st.integers(0, SUPPLY),
    st.sampled_from([0, 1, UNITS - 1, UNITS, UNITS + 1, SUPPLY - 1, SUPPLY, 2**64 - 1, 2**64, 18 * UNITS + UNITS // 2]),
    st.integers(0, 3 * UNITS),
)


def column(*values):
    return np.array(values, np.int64)


def opened(*units):
    """Return a ledger whose accounts 1, 2, … hold the units given."""
    ledger = Ledger()
    ledger.open_accounts(len(units), Amounts.from_units(units))
    return ledger


def free(ledger):
    return ledger.amounts(slice(1, None)).to_units()


# --- amounts -----------------------------------------------------------------------------------------------------


def test_prana_by_hand():
    """0.1 as a float is 0.10000000000000000555…, 10**17 + 5.55 units; a third of a unit is none, two thirds are one."""
    amounts = Amounts.from_prana([0.1, 2.5, 0.0, -0.0, 1e9, 1e-18 / 3, 2e-18 / 3])
    assert amounts.to_units() == [10**17 + 6, 25 * 10**17, 0, 0, SUPPLY, 0, 1]
    assert amounts.hi.tolist() == [0, 2, 0, 0, SUPPLY_PRANA, 0, 0]


def test_halves_go_to_the_even_unit():
    """An odd multiple of 2**-19 PRANA ends in half a unit: 1, 3 and 5 halves of 5**18 round to even."""
    halves = np.array([1, 3, 5]) * 2.0**-19
    assert Amounts.from_prana(halves).to_units() == [1907348632812, 5722045898438, 9536743164062]


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.floats(0, 1e9) | st.floats(0, 1e-15) | st.floats(0, 2.0), max_size=20))
def test_floats_are_rounded_once(values):
    """Every float becomes the unit nearest to its exact value, ties to even, as Python's fractions round."""
    assert Amounts.from_prana(values).to_units() == [round(Fraction(v) * UNITS) for v in values]


@pytest.mark.parametrize("bits", range(1, 120))
def test_every_binary_scale_is_rounded(bits):
    """All places where the binary point can lie, with the longest mantissa and with a tie."""
    values = [(2.0**53 - 1) * 2.0**-bits, 3 * 2.0**-bits, 1 * 2.0**-bits]
    values = [v for v in values if v <= SUPPLY_PRANA]
    assert Amounts.from_prana(values).to_units() == [round(Fraction(v) * UNITS) for v in values]


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.floats(0, 1e9), max_size=20))
def test_floats_come_back(values):
    """To units and back moves a float by at most half a unit and the last place."""
    np.testing.assert_allclose(Amounts.from_prana(values).to_prana(), values, rtol=2.3e-16, atol=0.5e-18)


@pytest.mark.parametrize("value", [float("nan"), -1e-18, 1.0000001e9, float("inf"), -float("inf")])
def test_impossible_floats_are_refused(value):
    """NaN, a negative amount and more than the supply: the message names value and row."""
    with pytest.raises(LedgerError, match=r"amounts must be >= 0 and <= 1000000000 PRANA, got .* in row 1"):
        Amounts.from_prana([1.0, value])


def test_largest_amounts():
    """A ledger with the largest supply holds the largest float below 2**63 PRANA."""
    largest = Amounts.from_prana([float(MOST_PRANA)], supply_prana=MOST_PRANA)
    assert largest.to_units() == [(2**63 - 1024) * UNITS]
    with pytest.raises(LedgerError):
        Amounts.from_prana([2.0**63], supply_prana=2**63)
    with pytest.raises(LedgerError, match="got 9223372036854775808000000000000000000 units in row 0"):
        Amounts.from_units([2**63 * UNITS])


@pytest.mark.parametrize(
    ("hi", "lo"), [([-1], [0]), ([0], [-1]), ([0], [UNITS]), ([1, 2], [0]), ([0.5], [0]), ([[1]], [[0]]), (1, 0)]
)
def test_malformed_limbs_are_refused(hi, lo):
    """Negative limbs, a full carry, columns of two lengths, floats and other shapes are no amounts."""
    with pytest.raises(LedgerError):
        Amounts(np.array(hi), np.array(lo))


def test_amounts_are_read_only():
    """What was checked once cannot change afterwards."""
    with pytest.raises(ValueError, match="read-only"):
        Amounts.from_units([5]).hi[0] = -1


@settings(deadline=None)  # the first call compiles
@example([(UNITS - 1, 1), (UNITS, UNITS), (UNITS, 1)])
@given(st.lists(st.tuples(money, money), max_size=10))
def test_sums_and_differences(pairs):
    """Adding and taking away carry and borrow as integers do; a negative difference is refused."""
    high, low = Amounts.from_units([max(p) for p in pairs]), Amounts.from_units([min(p) for p in pairs])
    assert (high + low).to_units() == [a + b for a, b in pairs]
    assert (high - low).to_units() == [abs(a - b) for a, b in pairs]
    assert (high + low).sum_units() == sum(a + b for a, b in pairs)
    if any(a != b for a, b in pairs):
        with pytest.raises(LedgerError):
            low - high


def test_sums_of_large_amounts():
    """Three of the largest amounts sum to three times as much, far beyond a column."""
    assert Amounts.from_units([MOST_PRANA * UNITS + UNITS - 1] * 3).sum_units() == 3 * (MOST_PRANA * UNITS + UNITS - 1)


def test_sums_beyond_64_bits_and_unlike_columns_are_refused():
    """2**63 PRANA has no column, and one amount is not a column of two."""
    half = Amounts.from_units([2**62 * UNITS])
    with pytest.raises(LedgerError):
        half + half
    with pytest.raises(LedgerError, match="one length, got 1 and 2"):
        half + Amounts.from_units([1, 2])


@settings(deadline=None)  # the first call compiles
@example([2**64 - 1, 2**64, 18 * UNITS + UNITS // 2, 2**122])
@given(st.lists(money | st.integers(0, MOST_PRANA * UNITS), max_size=20))
def test_decimals_are_exact(units):
    """Arrow's decimals hold the same digits, and the rows that are picked are the rows that come back."""
    amounts = Amounts.from_units(units)
    decimals = amounts.to_decimal128()
    decimals.validate(full=True)
    assert decimals.type == pa.decimal128(38, 18)
    assert [Fraction(d) * UNITS for d in decimals.to_pylist()] == units
    assert amounts[1::2].to_units() == units[1::2]


@settings(deadline=None)  # the first call compiles
@given(st.lists(money | st.integers(0, MOST_PRANA * UNITS), max_size=10), st.integers(0, 10_000))
def test_fees_are_floors(units, bps):
    """A fee in basis points is the floor of its exact share, for amounts of any size."""
    assert Amounts.from_units(units).fee(bps).to_units() == [u * bps // 10_000 for u in units]


def test_fees_carry():
    """33.33 % of 3.9 PRANA: 0.9999 of the whole and 0.29997 of the rest make 1.29987; and a sum of exactly 1."""
    assert Amounts.from_units([3 * UNITS + 300_030_003_000_301]).fee(3333).to_units() == [UNITS]
    assert Amounts.from_units([39 * UNITS // 10]).fee(3333).to_units() == [129987 * 10**13]


@pytest.mark.parametrize("bps", [-1, 10_001])
def test_fees_stay_within_the_amount(bps):
    """Less than nothing or more than all is no fee."""
    with pytest.raises(LedgerError, match="basis points"):
        Amounts.from_units([1]).fee(bps)


# --- splits ------------------------------------------------------------------------------------------------------


def conservation_cases():
    return [c for c in json.loads(shared("validation/cases.json").read_text()) if c["area"] == "conservation"]


def test_conservation_cases():
    """Every shared case of the area, by the integer rule and by the compiled one."""
    cases = conservation_cases()
    assert len(cases) >= 4
    for case in cases:
        inputs, expected = case["inputs"], case["expected"]
        total, weights = int(inputs.get("total_units", inputs.get("amount_units"))), inputs["weights"]
        fee, parts = split_fee(total, inputs.get("fee_bps", 0), weights)
        assert [str(p) for p in parts] == expected["parts"], case["id"]
        assert str(fee) == expected.get("fee", "0"), case["id"]
        amount = Amounts.from_units([total])
        taken = amount.fee(inputs.get("fee_bps", 0))
        assert taken.to_units() == [fee], case["id"]
        assert split_groups(amount - taken, weights, [0]).to_units() == parts, case["id"]
        if "floors_lost" in expected:
            assert total - sum(total * w // sum(weights) for w in weights) == expected["floors_lost"]


def test_split_by_hand():
    """10 units by 1:2:4 are 1.43, 2.86 and 5.71: floors 1, 2, 5, and the two left go to the second and third."""
    assert split_units(10, [1, 2, 4]) == [1, 3, 6]
    assert split_groups(Amounts.from_units([10]), [0.5, 1.0, 2.0], [0]).to_units() == [1, 3, 6]


def test_a_unit_left_over_carries():
    """Halves of two PRANA less one unit: the first gets a whole PRANA, the second one unit less."""
    parts = split_groups(Amounts.from_units([2 * UNITS - 1]), [1.0, 1.0], [0])
    assert (parts.hi.tolist(), parts.lo.tolist()) == ([1, 0], [0, UNITS - 1])


@pytest.mark.parametrize(("size", "top"), [(2047, 2**53 - 1), (2048, 2**52 - 1), (5000, 2**51 - 1)])
def test_large_groups_keep_their_weights(size, top):
    """As many parts as there are, of the largest weights that stay exact, neither overflow nor lose a bit."""
    weights = [top - k % 7 for k in range(size)]
    for total in (SUPPLY, size - 1):
        parts = split_groups(Amounts.from_units([total]), np.array(weights, float), [0])
        assert parts.to_units() == split_units(total, weights)


def test_ties_go_to_the_lowest_index():
    """2 units over 5 equal parts, and 20 over 30: the first ones get them."""
    assert (
        split_groups(Amounts.from_units([2, 20]), np.ones(35), [0, 5]).to_units()
        == [1, 1, 0, 0, 0] + [1] * 20 + [0] * 10
    )


sizes = st.integers(1, 6) | st.integers(15, 40) | st.sampled_from([511, 512, 700])


@settings(deadline=None, max_examples=60)
@given(st.data(), st.lists(st.tuples(money, sizes), max_size=4))
def test_compiled_split_equals_the_integer_rule(data, groups):
    """With whole weights both give the same parts, unit by unit, in small groups and in large ones."""
    weights, start, expected = [], [], []
    for total, size in groups:
        top = data.draw(st.sampled_from([1, 3, 1000, 2**52 - 1]))
        seed = data.draw(st.integers(0, 2**32))
        own = np.random.default_rng(seed).integers(0, top, size, endpoint=True)
        own[-1] = max(own[-1], 1)
        start.append(len(weights))
        weights += own.tolist()
        expected += split_units(total, own.tolist())
    parts = split_groups(Amounts.from_units([t for t, _ in groups]), np.array(weights, float), np.array(start, int))
    assert parts.to_units() == expected


@settings(deadline=None)
@given(money, st.lists(st.floats(0, 1.7e308), min_size=1, max_size=30), st.integers(-300, 0))
def test_parts_sum_to_the_total(total, weights, exponent):
    """Whatever the weights, the parts sum to the total and follow the weights to 53 bits."""
    weights = [*[w * 10.0**exponent for w in weights], 5e-324]
    parts = split_groups(Amounts.from_units([total]), weights, [0]).to_units()
    assert sum(parts) == total
    whole = sum(map(Fraction, weights))
    slack = 1 + Fraction(total * len(weights), 2**52)
    assert all(abs(p - total * Fraction(w) / whole) <= slack for p, w in zip(parts, weights, strict=True))


def test_empty_groups_and_nothing_to_split():
    """A group without parts or weight is fine as long as it has no money."""
    parts = split_groups(Amounts.from_units([0, 7, 0]), [0.0, 1.0, 0.0], [0, 1, 3])
    assert parts.to_units() == [0, 7, 0]
    assert split_groups(Amounts.from_units([]), [], []).to_units() == []
    assert split_units(0, []) == []


@pytest.mark.parametrize(
    ("weight", "start", "message"),
    [
        ([1.0, -1.0], [0, 1], "got -1.0 in row 1"),
        ([1.0, np.nan], [0, 1], "got nan in row 1"),
        ([1.0, np.inf], [0, 1], "got inf in row 1"),
        ([1.0, 0.0], [0, 1], "none in group 1"),
        ([1.0], [0, 1], "none in group 1"),
        ([1.0, 1.0], [0], "got 2 and 1"),
        ([1.0, 1.0], [1, 0], "ascend"),
        ([1.0, 1.0], [1, 1], "ascend"),
        ([1.0, 1.0], [0, 3], "ascend"),
        ([[1.0, 1.0]], [0, 1], "one column"),
    ],
)
def test_bad_splits_are_refused(weight, start, message):
    """Weights that are no weights, groups that are no groups, and money without anybody to have it."""
    with pytest.raises(LedgerError, match=message):
        split_groups(Amounts.from_units([5, 5 * UNITS]), weight, start)


@pytest.mark.parametrize(("total", "weights"), [(-1, [1]), (1, [1, -1]), (1, [3, -1]), (1, [0, 0]), (1, [])])
def test_bad_integer_splits_are_refused(total, weights):
    """The integer rule refuses the same."""
    with pytest.raises(LedgerError):
        split_units(total, weights)


@settings(deadline=None)  # the first call compiles
@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.integers(2**63, 2**64 - 1))
def test_wide_arithmetic(a, b, divisor):
    """Two-word products and quotients are those of Python's integers."""
    word = np.uint64
    upper, lower = kernels.multiply(word(a), word(b))
    assert (int(upper) << 64) + int(lower) == a * b
    upper = a % divisor
    quotient, rest = kernels.divide(word(upper), word(b), word(divisor))
    assert (int(quotient), int(rest)) == divmod((upper << 64) + b, divisor)


@pytest.mark.parametrize("kept", [2, 3, 63])
def test_half_goes_to_even_in_two_words(kept):
    """A half goes to the even neighbour; a unit more or less than a half goes to the nearer one."""
    for bits in range(2, 122):
        for beside, expected in ((0, kept + kept % 2), (1, kept + 1), (-1, kept)):
            upper, lower = divmod((kept << bits) + (1 << (bits - 1)) + beside, 2**64)
            assert kernels._shift_half_even(np.uint64(upper), np.uint64(lower), bits) == expected


@pytest.mark.parametrize("low", [0, 1, 2**32 - 1, 2**32, 2**63, 2**64 - 1])
@pytest.mark.parametrize("divisor", [2**63, 2**63 + 1, 2**63 + 2**32 - 1, 2**64 - 2**32, 2**64 - 1])
def test_division_at_its_edges(low, divisor):
    """Digits of all zeros and all ones make the guessed digit too large; it is put right."""
    for upper in (0, 1, 2**32 - 1, 2**32, divisor >> 1, divisor - 2**32, divisor - 1):
        quotient, rest = kernels.divide(np.uint64(upper), np.uint64(low), np.uint64(divisor))
        assert (int(quotient), int(rest)) == divmod((upper << 64) + low, divisor)


# --- transfers ---------------------------------------------------------------------------------------------------


def test_rows_are_carried_out_in_order():
    """Ann has 3 and Bob 0: Bob cannot pay before Ann has paid him, and can afterwards."""
    ledger = opened(3, 0)
    refused = ledger.pay(column(2, 1, 2), column(1, 2, 1), Amounts.from_units([1, 2, 1]))
    assert refused.tolist() == [True, False, False]
    assert free(ledger) == [2, 1]


def test_carry_and_borrow():
    """1.000…0 less one unit is 0.999…9, and giving it to 0.000…1 makes a whole PRANA again."""
    ledger = opened(UNITS, UNITS - 1)
    ledger.pay(column(1), column(2), Amounts.from_units([1]))
    assert free(ledger) == [UNITS - 1, UNITS]
    assert ledger.amounts(column(2, 1)).hi.tolist() == [1, 0]
    ledger.check(0)


def test_one_unit_too_many_is_refused():
    """With 1 PRANA and 5 units, 1 PRANA and 6 units are refused, 1 PRANA and 5 are not, and then one unit is."""
    ledger = opened(UNITS + 5, 0)
    refused = ledger.pay(column(1, 1, 1), column(2, 2, 2), Amounts.from_units([UNITS + 6, UNITS + 5, 1]))
    assert refused.tolist() == [True, False, True]
    assert free(ledger) == [0, UNITS + 5]


def test_the_whole_supply_moves():
    """All 10**27 units leave the treasury and come back; one more is refused."""
    ledger = Ledger()
    account = ledger.open_accounts(1)
    everything = Amounts.from_units([SUPPLY])
    assert not ledger.pay(column(TREASURY), account, everything).any()
    assert ledger.units(TREASURY) == 0
    assert ledger.units(1) == ledger.total() == SUPPLY
    assert ledger.pay(account, column(TREASURY), Amounts.from_units([SUPPLY + 1])).all()
    assert ledger.pay(account, column(TREASURY), Amounts(column(2**63 - 1), column(UNITS - 1))).all()
    assert not ledger.pay(account, column(TREASURY), everything).any()
    assert ledger.units(TREASURY) == SUPPLY


def test_paying_oneself_changes_nothing():
    """One pays oneself what one has, not more."""
    ledger = opened(UNITS)
    refused = ledger.pay(column(1, 1), column(1, 1), Amounts.from_units([UNITS, UNITS + 1]))
    assert refused.tolist() == [False, True]
    assert free(ledger) == [UNITS]


def test_escrow_by_hand():
    """Of 10 PRANA 6 are locked, 4 of them paid to Bob, 2 come back: Ann ends with 6 and Bob with 4."""
    ledger = opened(10 * UNITS, 0)
    ann, bob = column(1), column(2)
    assert not ledger.lock(ann, Amounts.from_prana([6.0]))[0]
    assert (ledger.balance(ann)[0], ledger.escrow(ann)[0]) == (4.0, 6.0)
    assert ledger.pay(ann, bob, Amounts.from_prana([5.0]))[0]  # what is locked cannot be paid freely
    assert not ledger.pay_escrow(ann, bob, Amounts.from_prana([4.0]))[0]
    assert ledger.release(ann, Amounts.from_prana([3.0]))[0]  # only 2 are left
    assert not ledger.release(ann, Amounts.from_prana([2.0]))[0]
    assert ledger.balance(slice(1, None)).tolist() == [6.0, 4.0]
    assert ledger.escrow().tolist() == [0.0, 0.0, 0.0]


def test_stakes_by_hand():
    """Of 5 PRANA 3 are staked, 1 is slashed to the treasury, 2 come back; the stake columns exist from then on."""
    ledger = opened(5 * UNITS)
    account, held = column(1), ledger.nbytes
    assert ledger.staked(account).tolist() == ledger.staked(slice(1, 2)).tolist() == [0.0]
    assert ledger.nbytes == held
    assert not ledger.stake(account, Amounts.from_prana([3.0]))[0]
    assert not ledger.slash(account, Amounts.from_prana([1.0]))[0]
    assert ledger.unstake(account, Amounts.from_prana([2.5]))[0]
    assert not ledger.unstake(account, Amounts.from_prana([1.5]))[0]
    assert ledger.units(1) == 35 * UNITS // 10
    assert ledger.staked(account).tolist() == [0.5]
    assert ledger.units(TREASURY) == SUPPLY - 4 * UNITS
    ledger.open_accounts(100)
    assert ledger.staked().sum() == 0.5
    ledger.check(1)


def test_endowments_come_from_the_treasury():
    """What the treasury does not have it cannot give, to the last unit, and then no account is opened."""
    ledger = Ledger(supply_prana=2)
    with pytest.raises(LedgerError, match=r"<= 2\.0{18} PRANA.* got 2\.0{17}1 PRANA"):
        ledger.open_accounts(2, Amounts.from_units([UNITS, UNITS + 1]))
    assert len(ledger) == 1
    assert ledger.open_accounts(2, Amounts.from_units([UNITS, UNITS])).tolist() == [1, 2]
    assert ledger.units(TREASURY) == 0
    ledger.check(0)
    with pytest.raises(LedgerError, match="got 3 and 2"):
        ledger.open_accounts(3, Amounts.from_units([0, 0]))
    with pytest.raises(LedgerError, match="n >= 0, got -1"):
        ledger.open_accounts(-1)


def test_accounts_take_32_bytes_and_survive_growth():
    """Opened at once they take 32 bytes each; opened one by one they keep what they hold."""
    ledger = Ledger()
    ledger.open_accounts(9_999)
    assert ledger.nbytes == 32 * 10_000
    ledger = Ledger()
    for k in range(1, 200):
        assert ledger.open_accounts(1, Amounts.from_units([k])).tolist() == [k]
    assert free(ledger) == list(range(1, 200))
    assert ledger.nbytes <= 32 * 200 * 1.25
    ledger.check(0)


@pytest.mark.parametrize(
    ("source", "target", "units", "message"),
    [
        ([1, 3], [2, 2], [1, 1], "pay: source must be accounts 0 to 2, got 3 in row 1"),
        ([1, 1], [2, -1], [1, 1], "pay: target must be accounts 0 to 2, got -1 in row 1"),
        ([1, 1], [2], [1, 1], "pay needs columns of one length, got 2 and 1 and 2"),
        ([1], [2], [1, 1], "pay needs columns of one length, got 1 and 1 and 2"),
        ([1.0], [2], [1], "pay: source must be one column of int64, got float64"),
        (1, 2, [1], "pay: source must be one column"),
    ],
)
def test_senseless_batches_are_refused_whole(source, target, units, message):
    """Not even the rows before the bad one are carried out, and nothing is logged."""
    ledger = opened(10, 10)
    ledger.journal = []
    with pytest.raises(LedgerError, match=message):
        ledger.pay(np.array(source), np.array(target), Amounts.from_units(units))
    assert free(ledger) == [10, 10]
    assert ledger.drain() == []


def test_errors_belong_to_the_family():
    """One class catches them all, and a value error it is."""
    assert issubclass(LedgerError, CellulerError)
    assert issubclass(LedgerError, ValueError)


@pytest.mark.parametrize("supply", [0, -1, 2**63])
def test_a_supply_fits_the_limbs(supply):
    """Nothing, less than nothing and 2**63 PRANA are no supply."""
    with pytest.raises(LedgerError, match="supply_prana"):
        Ledger(supply)


def test_an_empty_batch_is_nothing():
    """No rows, no refusals."""
    assert opened(1).pay(column(), column(), Amounts.from_units([])).shape == (0,)


# --- the invariant -----------------------------------------------------------------------------------------------


def test_a_lost_unit_is_named():
    """One unit made or lost anywhere is found, named with tick and difference."""
    ledger = opened(5, 5)
    ledger.stake(column(2), Amounts.from_units([2]))
    for bucket in BUCKETS:
        ledger._held[bucket][2, 1] += 1
        with pytest.raises(InvariantError, match=rf"tick 7: .*{SUPPLY} units, got a difference of \+1$"):
            ledger.check(7)
        ledger._held[bucket][2, 1] -= 1
    ledger._held["free"][1, 1] -= 2
    with pytest.raises(InvariantError, match=r"difference of -2$"):
        ledger.check(7)
    ledger._held["free"][1, 1] += 2
    ledger.check(7)


def test_a_negative_account_is_named():
    """Two errors that cancel are found too: an account below zero, or a carry that was not made."""
    ledger = opened(5, 5)
    ledger._held["free"][1, 0] -= 1
    ledger._held["free"][0, 0] += 1
    with pytest.raises(InvariantError, match="tick 3: free of account 1 must be >= 0, got -1 PRANA"):
        ledger.check(3)
    ledger = opened(UNITS)
    ledger._held["free"][1] = (0, UNITS)
    with pytest.raises(InvariantError, match="free of account 1"):
        ledger.check(3)


def test_sums_of_many_accounts_carry():
    """A million accounts of 999.999…9 PRANA hold 10**27 units less 10**6; the limbs alone would overflow."""
    ledger = Ledger()
    ledger.open_accounts(10**6, Amounts(np.full(10**6, 999), np.full(10**6, UNITS - 1)))
    assert ledger.units(TREASURY) == 10**6
    assert ledger.total() == SUPPLY
    ledger.check(0)


# --- the journal -------------------------------------------------------------------------------------------------


def test_the_journal_keeps_what_happened():
    """Refused rows are logged as such, in order, under the caller's name; draining empties it; None logs nothing."""
    ledger = opened(5, 0)
    assert ledger.drain() == []
    ledger.journal = []
    source = column(1, 1)
    ledger.pay(source, column(2, 2), Amounts.from_units([4, 4]), kind="fee")
    ledger.lock(column(2), Amounts.from_units([1]))
    source[:] = 0  # the log keeps its own copy
    fee, lock = ledger.drain()
    assert (fee.kind, fee.source.tolist(), fee.target.tolist()) == ("fee", [1, 1], [2, 2])
    assert (fee.amounts.to_units(), fee.refused.tolist()) == ([4, 4], [False, True])
    assert (lock.kind, lock.source.tolist(), lock.target.tolist()) == ("lock", [2], [2])
    assert ledger.drain() == []
    ledger.release(column(2), Amounts.from_units([1]))
    assert [batch.kind for batch in ledger.drain()] == ["release"]


# --- against Python integers -------------------------------------------------------------------------------------


class Reference:
    """The same ledger in Python integers, one transfer at a time."""

    def __init__(self, endowments):
        self.free = [SUPPLY - sum(endowments), *endowments]
        self.escrow = [0] * len(self.free)
        self.stake = [0] * len(self.free)

    def move(self, kind, source, target, units):
        """Return whether the transfer is refused."""
        giving, taking = (getattr(self, bucket) for bucket in MOVES[kind])
        if giving[source] < units:
            return True
        giving[source] -= units
        taking[target] += units
        return False


def both(ledger, reference, kind, rows):
    """Carry out ``rows`` of (source, target, units) on both sides; they must refuse the same; return how many."""
    source, target, units = ([row[k] for row in rows] for k in range(3))
    if kind == "slash":
        target = [TREASURY] * len(rows)
    elif not kind.startswith("pay"):
        target = source
    accounts = [column(*source)] + ([column(*target)] if kind.startswith("pay") else [])
    refused = getattr(ledger, kind)(*accounts, Amounts.from_units(units))
    assert refused.tolist() == [reference.move(kind, s, t, u) for s, t, u in zip(source, target, units, strict=True)]
    return int(refused.sum())


def assert_same(ledger, reference):
    for bucket in BUCKETS:
        assert ledger.amounts(bucket=bucket).to_units() == getattr(reference, bucket)
    assert ledger.total() == SUPPLY
    ledger.check(0)


def test_thousands_of_transfers_in_python_integers():
    """20,000 random transfers of all kinds among nine accounts, half of them near what is held."""
    rng = np.random.default_rng(5)
    endowments = [int(x) * int(y) for x, y in zip(rng.integers(0, 10**9, 8), rng.integers(0, 10**15, 8), strict=True)]
    ledger, reference = opened(*endowments), Reference(endowments)
    kinds, refusals = list(MOVES), 0
    for _ in range(400):
        kind = kinds[rng.integers(len(kinds))]
        rows = []
        for s, t, u in zip(rng.integers(0, 9, 50), rng.integers(0, 9, 50), rng.integers(0, 10**18, 50), strict=True):
            held = getattr(reference, MOVES[kind][0])[s]
            near = held + int(rng.integers(-2, 3)) - int(rng.integers(0, 2)) * held // int(rng.integers(1, 9))
            rows.append((int(s), int(t), max(near, 0) if u % 2 else int(u) * 10 ** int(rng.integers(0, 5))))
        refusals += both(ledger, reference, kind, rows)
        assert_same(ledger, reference)
    assert 4_000 < refusals < 16_000


class LedgerMachine(RuleBasedStateMachine):
    """Any history of batches and of new accounts: ledger and integers agree, and the journal retells it."""

    @initialize(endowments=st.lists(st.integers(0, SUPPLY // 6), max_size=5))
    def open(self, endowments):
        """Start with a treasury and up to five endowed accounts."""
        self.ledger, self.reference = opened(*endowments), Reference(endowments)
        self.retold = Reference(endowments)
        self.ledger.journal = []

    @rule(units=st.lists(money, max_size=3))
    def enter(self, units):
        """Open more accounts, or none where the treasury does not suffice."""
        if sum(units) > self.reference.free[TREASURY]:
            with pytest.raises(LedgerError, match="treasury"):
                self.ledger.open_accounts(len(units), Amounts.from_units(units))
            return
        numbers = self.ledger.open_accounts(len(units), Amounts.from_units(units)).tolist()
        for book in (self.reference, self.retold):
            for bucket in BUCKETS:
                getattr(book, bucket).extend([0] * len(units))
        for account, u in zip(numbers, units, strict=True):
            self.reference.move("pay", TREASURY, account, u)

    @rule(kind=st.sampled_from(sorted(MOVES)), data=st.data())
    def batch(self, kind, data):
        """One batch; some amounts are what the source holds at its start, or a unit beside it."""
        account, rows = st.integers(0, len(self.ledger) - 1), []
        for source, target, amount, nudge in data.draw(
            st.lists(st.tuples(account, account, st.none() | money, st.integers(-1, 1)), max_size=6)
        ):
            held = getattr(self.reference, MOVES[kind][0])[source]
            rows.append((source, target, max(held + nudge, 0) if amount is None else amount))
        both(self.ledger, self.reference, kind, rows)

    @invariant()
    def agree(self):
        """Every bucket of every account is the same on both sides, and after the journal alone."""
        if not hasattr(self, "ledger"):
            return
        assert_same(self.ledger, self.reference)
        for log in self.ledger.drain():
            columns = (log.source.tolist(), log.target.tolist(), log.amounts.to_units(), log.refused.tolist())
            for source, target, units, refused in zip(*columns, strict=True):
                if not refused:
                    self.retold.move(log.kind, source, target, units)
        assert_same(self.ledger, self.retold)


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(deadline=None, max_examples=50, stateful_step_count=30)
