"""The file of a checkpoint: a header of plain JSON, then blocks of memory, each at a multiple of 64 bytes.

    bytes 0-31   the word of `MAGIC`, the header's length, CRC-32 of the header and of all that follows it
    header       JSON: `about` (tick, versions ...), `nodes` and `arrays` of `graph`, sizes of the `blocks`
    blocks       bytes, no more than the header says and the file holds

Nothing is compressed, so a file takes no more memory than its size; nothing is pickled, so nothing is executed.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from celluler_sim.checkpoint import memory
from celluler_sim.checkpoint.graph import Encoder, Node
from celluler_sim.errors import ResultsError
from celluler_sim.trust import fresh_file

MAGIC = b"celluler-ckpt-1\n"
PREFIX = struct.Struct("<16sQII")
MOST_HEADER = 1 << 27
"""Bytes of a header, 128 MiB: some 200 times that of an economy with a million agents."""

MOST_BYTES = 1 << 36
"""Bytes of a checkpoint, 64 GiB."""

ERRORS = (
    ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError,
    ImportError, struct.error,
)  # fmt: skip
"""What a damaged or crafted file may make ordinary code raise."""


@dataclass(frozen=True)
class Content:
    """What a checkpoint file holds."""

    about: Mapping[str, Any]  # plain values: tick, versions, marks of the tables
    root: Mapping[str, Any]  # the economy's own attributes, as values of nodes
    nodes: list[Node]
    arrays: Mapping[int, np.ndarray[Any, Any]]  # by node


def damaged(path: Path, what: object) -> ResultsError:
    """Return the error for a file that is no checkpoint, or one that cannot be used."""
    return ResultsError(f"checkpoint {path} must be whole, got {' '.join(str(what).split())[:200]}; remove the file")


def write(path: Path, about: Mapping[str, Any], root: Mapping[str, Any], encoder: Encoder) -> int:
    """Write a checkpoint under another name and rename it; return its size in bytes. `OSError` where it cannot be."""
    spans, places = memory.merge(encoder.arrays)
    blocks = [(last - first, first % memory.ALIGNMENT) for first, last in spans]
    header = {"about": about, "root": root, "nodes": encoder.nodes, "arrays": places, "blocks": blocks}
    text = json.dumps(header, separators=(",", ":")).encode()
    partial = path.with_name(f"{path.name}.partial")
    try:
        with fresh_file(partial) as file:
            file.write(PREFIX.pack(MAGIC, len(text), zlib.crc32(text), 0))
            file.write(text)
            check = 0
            for first, last in spans:
                _pad(file)
                content = memory.raw(first, last)
                check = zlib.crc32(content, check)
                file.write(content)
            size = file.tell()
            file.seek(0)
            file.write(PREFIX.pack(MAGIC, len(text), zlib.crc32(text), check))
        os.replace(partial, path)  # noqa: PTH105
    except OSError:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise
    return size


def _pad(file: BinaryIO) -> None:
    file.write(b"\0" * (-file.tell() % memory.ALIGNMENT))


def read_about(path: Path) -> dict[str, Any]:
    """Return what a checkpoint says about itself, its header checked; `ResultsError` where it is damaged."""
    with _open(path) as file:
        about = _header(path, file)[0].get("about")
    if not isinstance(about, dict):
        raise damaged(path, "a header that says nothing about itself")
    return about


def read(path: Path) -> Content:
    """Return a checkpoint's content; `ResultsError` where it is damaged or none."""
    with _open(path) as file:
        header, check = _header(path, file)
        try:
            blocks = _blocks(file, header["blocks"], check, path.stat().st_size)
            nodes, places = header["nodes"], header["arrays"]
            arrays = {
                number: _array(nodes[number], places[str(number)], blocks)
                for number in range(len(nodes))
                if nodes[number][0] == "array"
            }
            return Content(dict(header["about"]), dict(header["root"]), nodes, arrays)
        except ERRORS as error:
            raise damaged(path, error) from error


def _open(path: Path) -> BinaryIO:
    try:
        if not MOST_BYTES > path.stat().st_size >= PREFIX.size:
            raise damaged(path, f"{path.stat().st_size} bytes")
        return path.open("rb")
    except ResultsError:
        raise
    except OSError as error:
        raise damaged(path, error.strerror or error) from error


def _header(path: Path, file: BinaryIO) -> tuple[dict[str, Any], int]:
    """Return the header and the checksum of what follows."""
    try:
        magic, length, check, rest = PREFIX.unpack(file.read(PREFIX.size))
        if magic != MAGIC:
            raise ValueError("a file of another kind")
        if length > MOST_HEADER:
            raise ValueError(f"a header of {length} bytes, more than {MOST_HEADER}")
        text = file.read(length)
        if len(text) != length or zlib.crc32(text) != check:
            raise ValueError("a header that is cut off or altered")
        header = json.loads(text)
        if not isinstance(header, dict):
            raise TypeError("a header that is no mapping")
    except (OSError, *ERRORS) as error:
        raise damaged(path, error) from error
    return header, rest


def _blocks(file: BinaryIO, sizes: list[list[int]], check: int, most: int) -> list[np.ndarray[Any, Any]]:
    blocks, found, total = [], 0, 0
    for size, offset in sizes:
        total += size
        if not (isinstance(size, int) and isinstance(offset, int) and size > 0 and total <= most):
            raise ValueError("blocks larger than the file")
        file.seek(-file.tell() % memory.ALIGNMENT, os.SEEK_CUR)
        block = memory.room((size, offset))
        if file.readinto(block.data) != size:  # type: ignore[attr-defined]
            raise ValueError("an end before its time")
        found = zlib.crc32(block.data, found)
        blocks.append(block)
    if found != check:
        raise ValueError("blocks that were altered")
    return blocks


def _array(node: Node, place: list[int], blocks: list[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    _, dtype, shape, strides, writeable = node
    block, offset = place
    home = blocks[block] if block >= 0 else np.empty(0, np.uint8)
    return memory.array_in(home, offset, memory.dtype_from(dtype), shape, strides, writeable=bool(writeable))
