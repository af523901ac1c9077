"""Arrays as blocks of memory: what shares memory before shares it again afterwards, with the same layout."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Block = tuple[int, int]  # bytes, address modulo `ALIGNMENT`

ALIGNMENT = 64
_PLAIN = re.compile(r"[<>|=][biufcSUMmV]\d+(\[\d*[A-Za-z]+\])?")


def describe_dtype(dtype: np.dtype[Any]) -> Any:
    """Return a dtype as plain values; `ValueError` for one that holds Python objects or is nested."""
    if dtype.hasobject:
        raise ValueError(f"dtype {dtype} holds Python objects")
    if dtype.fields is None:
        if dtype.subdtype is not None or not _PLAIN.fullmatch(dtype.str):
            raise ValueError(f"dtype {dtype} is not plain")
        return dtype.str
    fields = [(name, *dtype.fields[name][:2]) for name in dtype.names or ()]
    return {
        "names": [name for name, _, _ in fields],
        "formats": [describe_dtype(kind) for _, kind, _ in fields],
        "offsets": [offset for _, _, offset in fields],
        "itemsize": dtype.itemsize,
        "aligned": dtype.isalignedstruct,
    }


def dtype_from(described: Any) -> np.dtype[Any]:
    """Return the dtype that `describe_dtype` described; `ValueError` for anything else."""
    if isinstance(described, str) and _PLAIN.fullmatch(described):
        return np.dtype(described)
    if isinstance(described, dict) and described.keys() == {"names", "formats", "offsets", "itemsize", "aligned"}:
        formats = [dtype_from(kind) for kind in described["formats"] if isinstance(kind, str)]
        return np.dtype({**described, "formats": formats}, align=bool(described["aligned"]))  # type: ignore[call-overload, no-any-return]
    raise ValueError(f"dtype {str(described)[:60]!r}, which is none")


def span(array: Array) -> tuple[int, int]:
    """Return the first address of an array's memory and the one after its last."""
    if not array.size:
        return 0, 0
    first = last = array.__array_interface__["data"][0]
    for length, stride in zip(array.shape, array.strides, strict=True):
        first, last = first + min(0, (length - 1) * stride), last + max(0, (length - 1) * stride)
    return first, last + array.itemsize


def merge(arrays: Mapping[int, Array]) -> tuple[list[tuple[int, int]], dict[int, tuple[int, int]]]:
    """Merge the memory of arrays into blocks that do not overlap.

    Returns
    -------
    list
        First address of each block and the one after its last.
    dict
        For each array its block, and where in it its first element stands, in bytes.
    """
    blocks: list[tuple[int, int]] = []
    places: dict[int, tuple[int, int]] = {}
    for first, last, key in sorted((*span(array), key) for key, array in arrays.items()):
        if first == last:
            places[key] = (-1, 0)
        elif blocks and first < blocks[-1][1]:
            blocks[-1] = blocks[-1][0], max(blocks[-1][1], last)
        else:
            blocks.append((first, last))
        if first != last:
            places[key] = len(blocks) - 1, arrays[key].__array_interface__["data"][0] - blocks[-1][0]
    return blocks, places


def raw(first: int, last: int) -> memoryview:
    """Return the memory from one address to another, which belongs to arrays that are alive."""
    return memoryview((ctypes.c_ubyte * (last - first)).from_address(first))


def room(block: Block) -> Array:
    """Return a fresh block of bytes, aligned as the stored one was."""
    size, offset = block
    space = np.empty(size + 2 * ALIGNMENT, np.uint8)
    start = (offset - space.__array_interface__["data"][0]) % ALIGNMENT
    return space[start : start + size]


def array_in(
    block: Array, offset: int, dtype: np.dtype[Any], shape: Sequence[int], strides: Sequence[int], *, writeable: bool
) -> Array:
    """Return the array that lies in a block; `ValueError` where it would reach beyond it or repeat it."""
    if any(not isinstance(n, int) or n < 0 for n in shape):
        raise ValueError("an array of a shape that is none")
    size = int(np.prod([int(n) for n in shape], dtype=object)) * dtype.itemsize
    if size > len(block):
        raise ValueError("an array larger than its memory")
    if not size:
        return np.empty(tuple(shape), dtype)
    array: Array = np.ndarray(tuple(shape), dtype, block.data, offset, tuple(strides))
    array.flags.writeable = writeable
    return array
