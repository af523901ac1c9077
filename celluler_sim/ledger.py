"""PRANA accounts, exact to the 18th decimal. Nothing else moves money.

The supply is 10**27 units of 1e-18 PRANA, more than a 64-bit integer or a float holds, so every amount is two limbs:
``hi`` whole PRANA and ``lo`` units. An account has three buckets: free, escrow (locked for an open request) and
stake. Batches are carried out strictly in row order; a row that its source cannot cover is refused and leaves no
trace; a batch that makes no sense is refused whole by `LedgerError`.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from celluler_sim import ledger_kernels as kernels
from celluler_sim.book import Frozen
from celluler_sim.errors import CellulerError, InvariantError

if TYPE_CHECKING:
    import pyarrow as pa

Floats = npt.NDArray[np.float64]
Limbs = npt.NDArray[np.int64]
Accounts = npt.NDArray[np.int64]
Refused = npt.NDArray[np.bool_]
Bucket = Literal["free", "escrow", "stake"]

UNITS = kernels.BASE  # units in one PRANA
SUPPLY_PRANA = 10**9
MOST_PRANA = 2**63 - 1024  # the largest float that fits `hi`
TREASURY = 0  # its account number


class LedgerError(CellulerError, ValueError):
    """An amount, account or batch that no ledger could book; nothing has moved."""


def _column(name: str, values: Any, kinds: str, dtype: type) -> npt.NDArray[Any]:
    """Return ``values`` as a contiguous read-only column, without a copy where it is one already."""
    column = np.asarray(values)
    if column.ndim != 1 or (column.dtype.kind not in kinds and column.size):
        raise LedgerError(f"{name} must be one column of {dtype.__name__}, got {column.dtype} of shape {column.shape}")
    view: npt.NDArray[Any] = np.ascontiguousarray(column, dtype).view()
    view.flags.writeable = False  # one type for the compiled kernels, whatever the caller's flag
    return view


def _require_one_length(name: str, *lengths: int) -> None:
    """Raise `LedgerError` unless all lengths are the same."""
    if len(set(lengths)) > 1:
        raise LedgerError(f"{name} needs columns of one length, got {' and '.join(map(str, lengths))}")


def _checked_bps(bps: int) -> int:
    """Return ``bps`` if it is a fee in basis points, or raise `LedgerError`."""
    if not 0 <= operator.index(bps) <= 10_000:
        raise LedgerError(f"a fee must be >= 0 and <= 10000 basis points, got {bps}")
    return bps


@dataclass(frozen=True, eq=False)
class Amounts:
    """A column of exact amounts of PRANA, none of them negative; read-only.

    >>> Amounts.from_prana(np.array([0.1, 2.0])).to_units()
    [100000000000000006, 2000000000000000000]
    """

    hi: Limbs  # (n,) whole PRANA, >= 0
    lo: Limbs  # (n,) units of 1e-18 PRANA, 0 <= lo < 10**18

    def __post_init__(self) -> None:
        """Make both limbs contiguous read-only int64 columns and refuse amounts that are not well formed."""
        for name in ("hi", "lo"):
            object.__setattr__(self, name, _column(f"amounts.{name}", getattr(self, name), "iu", np.int64))
        _require_one_length("amounts", len(self.hi), len(self.lo))
        if len(self) and (self.hi.min() < 0 or self.lo.min() < 0 or self.lo.max() >= UNITS):
            row = int(np.argmax((self.hi < 0) | (self.lo < 0) | (self.lo >= UNITS)))
            raise LedgerError(
                f"amounts must have hi >= 0 PRANA and 0 <= lo < 10**18 units, got {self.hi[row]} and {self.lo[row]} "
                f"in row {row}; a negative amount is a transfer the other way round"
            )

    @classmethod
    def trusted(cls, hi: Limbs, lo: Limbs) -> Amounts:
        """Return amounts without looking at them: both limbs are contiguous int64 columns, owned, and well formed."""
        amounts = object.__new__(cls)
        for name, limb in (("hi", hi), ("lo", lo)):
            limb.flags.writeable = False
            object.__setattr__(amounts, name, limb)
        return amounts

    @classmethod
    def from_prana(cls, prana: npt.ArrayLike, supply_prana: int = SUPPLY_PRANA) -> Amounts:
        """Return amounts in PRANA, (n,), each rounded once, half to even, to a unit.

        Raises `LedgerError` for NaN, a negative amount or one above the supply.
        """
        values = np.ascontiguousarray(np.atleast_1d(np.asarray(prana, np.float64)))
        bad = ~((values >= 0) & (values <= min(supply_prana, MOST_PRANA)))
        if bad.any():
            row = int(np.argmax(bad))
            raise LedgerError(f"amounts must be >= 0 and <= {supply_prana} PRANA, got {values.flat[row]} in row {row}")
        hi, lo = np.empty(values.shape, np.int64), np.empty(values.shape, np.int64)
        kernels.round_floats(_column("amounts", values.view(np.int64), "i", np.int64), hi, lo)
        return cls.trusted(hi, lo)

    @classmethod
    def from_units(cls, units: Iterable[int]) -> Amounts:
        """Return amounts given in units of 1e-18 PRANA."""
        whole = [operator.index(u) for u in units]
        for row, u in enumerate(whole):
            if not 0 <= u // UNITS <= MOST_PRANA:
                raise LedgerError(f"amounts must be >= 0 and <= {MOST_PRANA} PRANA, got {u} units in row {row}")
        return cls(np.array([u // UNITS for u in whole], np.int64), np.array([u % UNITS for u in whole], np.int64))

    def __len__(self) -> int:
        """Return the number of amounts."""
        return len(self.hi)

    def __getitem__(self, rows: Any) -> Amounts:
        """Return the amounts of ``rows``: a slice, a mask or row numbers."""
        return Amounts(self.hi[rows], self.lo[rows])

    def __add__(self, other: Amounts) -> Amounts:
        """Return the sums, row by row; `LedgerError` above 2**63 PRANA."""
        _require_one_length("amounts", len(self), len(other))
        lo = self.lo + other.lo
        carry = lo >= UNITS
        return Amounts(self.hi + other.hi + carry, lo - carry * UNITS)

    def __sub__(self, other: Amounts) -> Amounts:
        """Return the differences, row by row; `LedgerError` where one would be negative."""
        _require_one_length("amounts", len(self), len(other))
        lo = self.lo - other.lo
        borrow = lo < 0
        return Amounts(self.hi - other.hi - borrow, lo + borrow * UNITS)

    def fee(self, bps: int) -> Amounts:
        """Return ``floor(amount * bps / 10000)``, row by row: a fee in basis points, 0 to 10000."""
        return Amounts(*kernels.basis_points(self.hi, self.lo, _checked_bps(bps)))

    def sum_units(self) -> int:
        """Return the exact sum in units."""
        return kernels.sum_units(np.stack((self.hi, self.lo), axis=1))[0]

    def to_prana(self) -> Floats:
        """Return floats, (n,), PRANA, good to the last place but one."""
        return self.hi + self.lo / UNITS

    def to_units(self) -> list[int]:
        """Return Python integers, in units."""
        return [h * UNITS + u for h, u in zip(self.hi.tolist(), self.lo.tolist(), strict=True)]

    def to_decimal128(self) -> pa.Decimal128Array:
        """Return an exact Arrow column of PRANA, decimal128(38, 18)."""
        import pyarrow as pa

        words = np.empty((len(self), 2), np.uint64)
        kernels.join_words(self.hi, self.lo, words)
        return pa.Array.from_buffers(pa.decimal128(38, 18), len(self), [None, pa.py_buffer(words)])


@dataclass(frozen=True, eq=False)
class Transfers(Frozen):
    """One batch as it was carried out; read-only copies."""

    kind: str  #        the method called, or the name its caller gave
    source: Accounts  # (n,)
    target: Accounts  # (n,)
    amounts: Amounts  # (n,)
    refused: Refused  # (n,) true where the source could not cover it and nothing moved


class Ledger:
    """Every account of PRANA; account 0 is the treasury, which starts with the whole supply.

    >>> ledger = Ledger()
    >>> ann, bob = ledger.open_accounts(2, Amounts.from_prana([5.0, 1.0]))
    >>> ledger.pay(np.array([ann, bob]), np.array([bob, ann]), Amounts.from_prana([2.0, 3.5]))
    array([False,  True])
    >>> ledger.balance(np.array([ann, bob]))
    array([3., 3.])
    """

    def __init__(self, supply_prana: int = SUPPLY_PRANA) -> None:
        if not 0 < supply_prana <= MOST_PRANA:
            raise LedgerError(f"supply_prana must be > 0 and <= {MOST_PRANA} PRANA, got {supply_prana}")
        self.supply = supply_prana * UNITS  # units
        self.journal: list[Transfers] | None = None  # set to [] to have every batch logged
        self._n = 1
        self._held: dict[Bucket, Limbs] = {  # (capacity, 2) hi and lo each; stake only once something is staked
            "free": np.array([[supply_prana, 0]], np.int64),
            "escrow": np.zeros((1, 2), np.int64),
        }

    def __len__(self) -> int:
        """Return the number of accounts, the treasury among them."""
        return self._n

    @property
    def nbytes(self) -> int:
        """Bytes held by the columns, reserve included."""
        return sum(bucket.nbytes for bucket in self._held.values())

    def open_accounts(self, n: int, endowment: Amounts | None = None) -> Accounts:
        """Open ``n`` accounts, endowed by the treasury, and return their numbers, (n,).

        Raises `LedgerError` if the treasury cannot cover the endowment; then none is opened.
        """
        if n < 0:
            raise LedgerError(f"open_accounts needs n >= 0, got {n}")
        if endowment is not None:
            _require_one_length("open_accounts", n, len(endowment))
            self._require_cover(endowment)
        numbers = np.arange(self._n, self._n + n)
        self._reserve(self._n + n)
        self._n += n
        if endowment is not None:
            self._move("pay", "free", np.zeros(n, np.int64), "free", numbers, endowment)
        return numbers

    def pay(self, source: Accounts, target: Accounts, amounts: Amounts, kind: str = "pay") -> Refused:
        """Move free PRANA from source to target, in row order, (n,); return which rows were refused, (n,)."""
        return self._move(kind, "free", source, "free", target, amounts)

    def lock(self, account: Accounts, amounts: Amounts) -> Refused:
        """Move free PRANA into the same account's escrow; return which rows were refused, (n,)."""
        return self._move("lock", "free", account, "escrow", account, amounts)

    def release(self, account: Accounts, amounts: Amounts) -> Refused:
        """Move escrow back to the same account's free PRANA; return which rows were refused, (n,)."""
        return self._move("release", "escrow", account, "free", account, amounts)

    def pay_escrow(self, source: Accounts, target: Accounts, amounts: Amounts, kind: str = "pay_escrow") -> Refused:
        """Move the source's escrow to the target's free PRANA; return which rows were refused, (n,)."""
        return self._move(kind, "escrow", source, "free", target, amounts)

    def stake(self, account: Accounts, amounts: Amounts) -> Refused:
        """Move free PRANA into the same account's stake; return which rows were refused, (n,)."""
        return self._move("stake", "free", account, "stake", account, amounts)

    def unstake(self, account: Accounts, amounts: Amounts) -> Refused:
        """Move stake back to the same account's free PRANA; return which rows were refused, (n,)."""
        return self._move("unstake", "stake", account, "free", account, amounts)

    def slash(self, account: Accounts, amounts: Amounts) -> Refused:
        """Move stake to the treasury; return which rows were refused, (n,)."""
        return self._move("slash", "stake", account, "free", np.full(np.shape(account), TREASURY), amounts)

    def balance(self, accounts: Accounts | slice = slice(None)) -> Floats:
        """Return the free PRANA of ``accounts`` (all by default) as floats."""
        return self.amounts(accounts, "free").to_prana()

    def escrow(self, accounts: Accounts | slice = slice(None)) -> Floats:
        """Return the PRANA in escrow of ``accounts`` (all by default) as floats."""
        return self.amounts(accounts, "escrow").to_prana()

    def staked(self, accounts: Accounts | slice = slice(None)) -> Floats:
        """Return the staked PRANA of ``accounts`` (all by default) as floats."""
        return self.amounts(accounts, "stake").to_prana()

    def amounts(self, accounts: Accounts | slice = slice(None), bucket: Bucket = "free") -> Amounts:
        """Return what one bucket of ``accounts`` (all by default) holds, exactly."""
        held = self._held.get(bucket, np.broadcast_to(np.int64(0), (self._n, 2)))[: self._n]  # nothing staked yet
        cells = held[accounts] if isinstance(accounts, slice) else held.take(self._checked(bucket, accounts), axis=0)
        return Amounts.trusted(cells[:, 0].copy(), cells[:, 1].copy())

    def units(self, account: int, bucket: Bucket = "free") -> int:
        """Return what one bucket of one account holds, exactly, in units."""
        return self.amounts(np.array([account]), bucket).to_units()[0]

    def total(self) -> int:
        """Return the exact sum of all buckets of all accounts, in units."""
        return sum(kernels.sum_units(b[: self._n])[0] for b in self._held.values())

    def check(self, tick: int) -> None:
        """Raise `InvariantError` unless the accounts sum to the supply, to the unit, and none is below zero."""
        total = 0
        for name, bucket in self._held.items():
            units, sound = kernels.sum_units(bucket[: self._n])
            total += units
            if not sound:
                hi, lo = bucket[: self._n].T
                account = int(np.argmax((hi < 0) | (lo < 0) | (lo >= UNITS)))
                raise InvariantError(f"tick {tick}: {name} of account {account} must be >= 0, got {hi[account]} PRANA")
        if total != self.supply:
            raise InvariantError(
                f"tick {tick}: accounts must sum to {self.supply} units, got a difference of {total - self.supply:+d}"
            )

    def drain(self) -> list[Transfers]:
        """Return the batches logged since the last call, in order, and forget them; none while `journal` is None."""
        batches = self.journal or []
        self.journal = None if self.journal is None else []
        return batches

    def _require_cover(self, endowment: Amounts) -> None:
        """Raise `LedgerError` unless the treasury can pay the whole endowment."""
        needed, held = endowment.sum_units(), self.units(TREASURY)
        if needed > held:
            raise LedgerError(
                f"endowments must be <= {held // UNITS}.{held % UNITS:018d} PRANA, what the treasury holds, got "
                f"{needed // UNITS}.{needed % UNITS:018d} PRANA; endow less or raise supply_prana"
            )

    def _reserve(self, n: int) -> None:
        """Make room for ``n`` accounts: exactly that many, or a quarter more than before if that is more."""
        capacity = len(self._held["free"])
        if n <= capacity:
            return
        for name, bucket in self._held.items():
            self._held[name] = np.zeros((max(n, capacity + capacity // 4), 2), np.int64)
            self._held[name][: self._n] = bucket[: self._n]

    def _checked(self, name: str, accounts: Any) -> Accounts:
        """Return ``accounts`` as a read-only column of known account numbers, or raise `LedgerError`."""
        column = _column(name, accounts, "iu", np.int64)
        if len(column) and column.view(np.uint64).max() >= self._n:  # as unsigned, a negative number is a huge one
            row = int(np.argmax((column < 0) | (column >= self._n)))
            raise LedgerError(
                f"{name} must be accounts 0 to {self._n - 1}, got {column[row]} in row {row}; open_accounts makes more"
            )
        return column

    def _move(
        self, kind: str, giving: Bucket, source: Accounts, taking: Bucket, target: Accounts, amounts: Amounts
    ) -> Refused:  # fmt: skip
        """Check a batch, carry it out and log it."""
        source, target = self._checked(f"{kind}: source", source), self._checked(f"{kind}: target", target)
        _require_one_length(kind, len(source), len(target), len(amounts))
        if "stake" in (giving, taking) and "stake" not in self._held:
            self._held["stake"] = np.zeros_like(self._held["free"])
        refused = np.zeros(len(source), np.bool_)
        kernels.move(self._held[giving], source, self._held[taking], target, amounts.hi, amounts.lo, refused)
        if self.journal is not None:
            moved = Amounts.trusted(amounts.hi.copy(), amounts.lo.copy())
            self.journal.append(Transfers(kind, source.copy(), target.copy(), moved, refused.copy()))
        return refused


def split_units(total: int, weights: Sequence[int]) -> list[int]:
    """Split ``total`` units by integer weights with largest remainders (Hamilton 1792); exact.

    1. Give every part the floor of its exact share.
    2. Give the units left over one each to the largest remainders, ties to the lowest index.

    >>> split_units(2, [1, 1, 1])
    [1, 1, 0]
    """
    total, weights = operator.index(total), [operator.index(w) for w in weights]
    whole = sum(weights)
    if total < 0 or min(weights, default=0) < 0 or (total > 0 and whole == 0):
        raise LedgerError(f"a split needs a total >= 0 and weights >= 0, not all 0, got {total} units by {weights}")
    shares = [divmod(total * w, max(whole, 1)) for w in weights]
    parts = [floor for floor, _ in shares]
    by_remainder = sorted(range(len(parts)), key=lambda i: -shares[i][1])  # a stable sort keeps ties in order
    for i in by_remainder[: total - sum(parts)]:
        parts[i] += 1
    return parts


def split_fee(amount_units: int, bps: int, weights: Sequence[int]) -> tuple[int, list[int]]:
    """Take ``floor(amount * bps / 10000)`` as fee and split the rest: fee and parts, which sum to the amount.

    >>> split_fee(1001, 250, [1, 1])
    (25, [488, 488])
    """
    fee = operator.index(amount_units) * _checked_bps(bps) // 10_000
    return fee, split_units(amount_units - fee, weights)


def split_groups(total: Amounts, weight: npt.ArrayLike, start: npt.ArrayLike) -> Amounts:
    """Split each group's total over its parts by largest remainders, ties to the lowest index.

    The parts of a group follow one another; they sum exactly to its total, and each is within a unit of its share by
    the weights as quantised: multiples of 2**-53 of the power of two above the group's largest weight (coarser above
    2047 parts), so small integers and equal weights are exact.

    Parameters
    ----------
    total : (n_groups,) what is split
    weight : (n_parts,) finite, not negative, any scale
    start : (n_groups,) row of each group's first part, ascending from 0

    Returns
    -------
    The parts, (n_parts,). `LedgerError` for other shapes or weights and for a group with money but no weight above 0.
    """
    shares = _column("split: weight", weight, "iuf", np.float64)
    first = _column("split: start", start, "iu", np.int64)
    _require_one_length("split", len(total), len(first))
    bounds = np.concatenate((first, [len(shares)]))
    if bounds[0] != 0 or (np.diff(bounds) < 0).any():
        raise LedgerError(f"split: start must ascend from 0 to at most {len(shares)}, got {first.tolist()[:5]}")
    bad = ~(np.isfinite(shares) & (shares >= 0))
    if bad.any():
        row = int(np.argmax(bad))
        raise LedgerError(f"split: weight must be finite and >= 0, got {shares[row]} in row {row}")
    hi, lo = np.empty(len(shares), np.int64), np.empty(len(shares), np.int64)
    group = kernels.split_groups(total.hi, total.lo, shares, bounds, hi, lo)
    if group >= 0:
        raise LedgerError(f"split: a total above 0 needs a weight above 0, got none in group {group}")
    return Amounts.trusted(hi, lo)
