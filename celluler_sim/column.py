"""Columns: what a class of agents keeps per row, declared like a dataclass field, stored as one array."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[Any]

_KINDS = "biuf"  # bool, integer, unsigned, float: what a memoryview reads and writes as Python scalars


class Column(property):
    """One attribute of an agent class, kept as one array over all its agents.

    ``agent.ask`` reads and writes one cell as a Python scalar, ``population["ask"]`` is the whole column, and
    ``Provider.ask`` is this description.

    Parameters
    ----------
    dtype
        Boolean, integer, float of 32 or 64 bits, or ``object`` for anything else (slower, and counted as a pointer).
    default
        Value of a new row that is given none.
    unit, doc
        What a reader needs to know: unit and meaning.

    Raises
    ------
    TypeError, ValueError
        If the dtype cannot be stored or does not hold the default.

    Examples
    --------
    >>> class Shop:
    ...     price = Column(float, default=9.5, unit="PRANA", doc="price of a loaf")
    >>> Shop.price.name, Shop.price.dtype, Shop.price.default
    ('price', dtype('float64'), 9.5)
    """

    def __init__(self, dtype: npt.DTypeLike, default: Any = 0, unit: str = "", doc: str = "") -> None:
        super().__init__()
        self.name = ""
        self.unit = unit
        self.doc = doc
        self.dtype = _storable(np.dtype(dtype))
        self.default = self.fit(default, "Column default").item()

    def __set_name__(self, owner: type, name: str) -> None:
        """Learn the attribute's name and build its accessors."""
        self.name = name
        # a property with closures: the attribute look-up stays in C, one Python frame a read
        super().__init__(_reader(name), _writer(self, name))
        self.__doc__ = self.doc  # Python 3.11 leaves the doc of a property's subclass to the subclass

    @property
    def blank(self) -> bool:
        """Whether the default is all zero bits, so that fresh memory needs no filling."""
        return self.dtype.kind != "O" and not any(np.array(self.default, self.dtype).tobytes())

    def fit(self, value: Any, name: str, n: int | None = None) -> Values:
        """Return ``value`` as this column's dtype, losing nothing but float precision.

        Parameters
        ----------
        value
            A scalar; with ``n`` also a sequence of that length.
        name
            How an error calls it.
        n
            Number of rows, or None where only a scalar will do.

        Returns
        -------
        numpy.ndarray
            Shape () or (n,), of this column's dtype.

        Raises
        ------
        TypeError, ValueError
            Naming the column, what it holds, and the value or shape that does not fit.
        """
        if self.dtype.kind == "O":
            return deal(value, n)
        try:
            given = np.asarray(value)
        except ValueError:  # ragged nested sequences
            given = np.asarray(value, object)
        if given.ndim and given.shape != (n,):
            wanted = "a scalar" if n is None else f"a scalar or of shape ({n},)"
            raise ValueError(f"{name} must be {wanted}, got shape {given.shape}")
        if given.dtype.kind not in (_KINDS if self.dtype.kind == "f" else "biu"):
            raise TypeError(f"{name} must be {self.dtype}, got {_shown(value)}")
        fitted = given.astype(self.dtype, copy=False)
        if self.dtype.kind != "f" and not np.can_cast(given.dtype, self.dtype) and np.any(fitted != given):
            raise ValueError(f"{name} must fit into {self.dtype}, got {given[fitted != given].flat[0]}")
        return fitted


def _storable(dtype: np.dtype[Any]) -> np.dtype[Any]:
    small = dtype.kind == "f" and dtype.itemsize not in (4, 8)
    if dtype.kind not in _KINDS + "O" or small or not dtype.isnative:
        raise TypeError(f"a Column must be bool, integer, float32, float64 or object, got {dtype}")
    return dtype


def deal(value: Any, n: int | None) -> Values:
    """Return a sequence of ``n`` as an object array, (n,), anything else as one object, (): Mesa's create_agents."""
    each = isinstance(value, list | tuple | np.ndarray) or type(value).__name__ == "Series"  # pandas stays optional
    if n is not None and each and len(value) == n:
        return np.fromiter(value, object, n)
    cell = np.empty((), object)
    cell[()] = value
    return cell


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _reader(name: str) -> Callable[[Any], Any]:
    def read(agent: Any) -> Any:
        return agent._cells[name][agent.slot]  # noqa: SLF001

    return read


def _writer(column: Column, name: str) -> Callable[[Any, Any], None]:
    def write(agent: Any, value: Any) -> None:
        try:
            agent._cells[name][agent.slot] = value  # noqa: SLF001
        except (TypeError, ValueError) as error:
            wanted = f"{type(agent).__name__}.{name} must be {column.dtype}"
            raise type(error)(f"{wanted}, got {_shown(value)}") from None

    def write_bool(agent: Any, value: Any) -> None:
        if value not in (0, 1):  # a memoryview would store the truth of anything
            raise TypeError(f"{type(agent).__name__}.{name} must be bool, got {_shown(value)}")
        write(agent, value)

    return write_bool if column.dtype.kind == "b" else write
