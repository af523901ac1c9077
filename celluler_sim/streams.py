"""Named random streams, one per decision, for common random numbers.

A stream depends on ``(seed, replicate, name, tick)`` and on nothing else, so adding a mechanism, or letting
one draw more, shifts no other stream. Two forms:

* `Streams.at` gives a NumPy generator; drawing ``n`` values gives agent ``i`` the ``i``-th, whatever ``n`` is.
* `Streams.draws` gives counter-based draws *indexed by slot*: only the slots that need one pay for one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)


REPLICATE_STEP = 1 << 32  # replicate i of seed s is the same world as seed s + i * 2^32


def world_number(seed: int, replicate: int) -> int:
    """Return the one number that names a random world: a seed that gives it by itself, with replicate 0.

    >>> Streams(1, 3).key("demand") == Streams(world_number(1, 3)).key("demand")
    True
    """
    return seed + replicate * REPLICATE_STEP


def mix64(key: int, slots: npt.NDArray[np.integer]) -> npt.NDArray[np.uint64]:
    """Return the SplitMix64 output at position ``slots + 1`` of the stream that starts at ``key``.

    References
    ----------
    Steele, Lea and Flood (2014), Fast splittable pseudorandom number generators.
    """
    with np.errstate(over="ignore"):
        z = np.uint64(key) + (slots.astype(np.uint64) + np.uint64(1)) * _GOLDEN
        z = (z ^ (z >> np.uint64(30))) * _MIX1
        z = (z ^ (z >> np.uint64(27))) * _MIX2
        return np.asarray(z ^ (z >> np.uint64(31)))


@dataclass(frozen=True)
class Draws:
    """The draws of one decision at one tick, one per slot.

    >>> import numpy as np
    >>> d = Streams(7).draws("demand", 3)
    >>> bool(d.uniform(np.array([5]))[0] == d.uniform(np.arange(9))[5])
    True
    """

    key: int  # 64-bit root of this decision and tick

    def uniform(self, slots: npt.NDArray[np.integer]) -> Floats:
        """Return uniforms in (0, 1), one per slot, shape of ``slots``."""
        from celluler_sim.stream_kernels import uniforms

        return np.asarray(uniforms(np.uint64(self.key), np.asarray(slots).astype(np.int64, copy=False)))

    def exponential(self, slots: npt.NDArray[np.integer]) -> Floats:
        """Return unit exponentials, one per slot."""
        return -np.log(self.uniform(slots))

    def normal(self, slots: npt.NDArray[np.integer]) -> Floats:
        """Return standard normals, one per slot, by inversion of the distribution function."""
        from scipy.special import ndtri

        return np.asarray(ndtri(self.uniform(slots)))


@dataclass(frozen=True)
class Streams:
    """Independent random streams addressed by name and tick.

    >>> bool(Streams(7).at("demand", 3).random() == Streams(7).at("demand", 3).random())
    True
    """

    seed: int
    replicate: int = 0
    roots: dict[str, int] = field(default_factory=dict, compare=False, repr=False)  # of the streams used, at tick 0

    def key(self, name: str, tick: int = 0) -> int:
        """Return the 64-bit root of decision ``name`` at ``tick``."""
        if tick and name not in self.roots:
            self.roots[name] = self.key(name)
        replicate, seed = divmod(world_number(self.seed, self.replicate), REPLICATE_STEP)
        text = f"{seed}/{replicate}/{name}/{tick}".encode()
        root = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")
        if not tick:
            self.roots[name] = root
        return root

    def at(self, name: str, tick: int = 0) -> np.random.Generator:
        """Return the generator of decision ``name`` at ``tick``."""
        return np.random.Generator(np.random.PCG64(self.key(name, tick)))

    def draws(self, name: str, tick: int = 0) -> Draws:
        """Return the slot-indexed draws of decision ``name`` at ``tick``."""
        return Draws(self.key(name, tick))
