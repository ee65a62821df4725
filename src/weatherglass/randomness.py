"""Random numbers that belong to a sample: row i depends on (seed, sample id, label) and on nothing else.

A counter-based generator: the number at position p of a stream is a 64-bit hash of (key of the row, p). There is no
state, so batch size, order, workers, threads, chunks, resuming and the device change nothing, and the global
generators of torch and NumPy are neither read nor moved. Integer arithmetic makes CPU, CUDA and the compiled
kernels (which use `stream_keys` and the same hash) agree bit for bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from math import prod

import numpy as np
import torch
from jaxtyping import Float, Int, UInt64
from torch import Tensor

# Stafford's variant 13 of the 64-bit finaliser (the constants of SplitMix64: Steele, Lea and Flood, "Fast Splittable
# Pseudorandom Number Generators", 2014). The counter is spread by the golden ratio and xor-ed with the key.
GOLDEN = 0x9E3779B97F4A7C15
FIRST_MULTIPLIER = 0xBF58476D1CE4E5B9
SECOND_MULTIPLIER = 0x94D049BB133111EB

NORMAL_LEVELS = 1 << 16
"""Normal numbers take this many equally likely values, from -4.27 to +4.27, with mean 0 and variance 1."""


@dataclass(frozen=True)
class Draws:
    """The random numbers of a batch: one row a sample, one independent stream for each name asked for.

    The same (seed, id, label, stream) always gives the same numbers, in whatever batch the sample stands. An integer
    id is the same as its decimal text. Asking twice for a stream gives the same numbers twice.
    """

    seed: int
    ids: Sequence[str | int]
    """Sample ids, in batch order."""
    label: str
    """What the numbers are for, e.g. 'fog@3'; draws with different labels are independent."""

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, rows: slice) -> "Draws":
        """The draws of some rows: `draws[4:8]` holds what rows 4..7 of the whole batch hold."""
        return Draws(self.seed, self.ids[rows], self.label)

    def child(self, label: str) -> "Draws":
        """Draws independent of these, for a part of the work: `draws.child("restart 2")`."""
        return Draws(self.seed, self.ids, f"{self.label}/{label}")

    def stream_keys(self, stream: str) -> UInt64[np.ndarray, " rows"]:
        """One 64-bit key a row: number p of the stream is `hash(key, p)`."""
        text = f"{self.seed}:{len(self.label)}:{self.label}:{len(stream)}:{stream}:"
        start = blake2b(text.encode(), digest_size=8)
        keys = np.empty(len(self.ids), np.uint64)
        for row, sample in enumerate(self.ids):
            digest = start.copy()
            digest.update(str(sample).encode())
            keys[row] = int.from_bytes(digest.digest(), "little")
        return keys

    def uniform(self, stream: str, *shape: int, device: torch.device | str = "cpu") -> Float[Tensor, "rows ..."]:
        """float32 in [0, 1), 24 random bits each; shape (rows, *shape)."""
        words = self._bits(stream, 2, shape, torch.int32, device)
        return ((words >> 8) & 0xFFFFFF).float().mul_(2.0**-24)

    def normal(self, stream: str, *shape: int, device: torch.device | str = "cpu") -> Float[Tensor, "rows ..."]:
        """float32 with mean 0 and variance 1; shape (rows, *shape). See `NORMAL_LEVELS` for the resolution."""
        table = normal_table(torch.device(device))
        # Read as signed, the upper half of the draws counts from the end of the table: the same entries.
        return table.take(self._bits(stream, 4, shape, torch.int16, device).long())

    def integers(
        self, stream: str, high: int, *shape: int, device: torch.device | str = "cpu"
    ) -> Int[Tensor, "rows ..."]:
        """int64 in [0, high), high up to 2**31; shape (rows, *shape). The bias is below high / 2**32."""
        if not 0 < high <= 1 << 31:
            raise ValueError(f"high must lie in 1..2**31, got {high}.")
        words = self._bits(stream, 2, shape, torch.int32, device).long() & 0xFFFFFFFF
        return (words * high) >> 32

    def bits16(self, stream: str, *shape: int, device: torch.device | str = "cpu") -> Int[Tensor, "rows ..."]:
        """int32 in [0, 65536), four to a hash: the cheapest numbers, which the noise kernels live on."""
        return self._bits(stream, 4, shape, torch.int16, device).int() & 0xFFFF

    def _bits(
        self, stream: str, per_hash: int, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device | str
    ) -> Tensor:
        count = prod(shape)
        keys = torch.from_numpy(self.stream_keys(stream).view(np.int64)).to(device)
        hashes = hash64(keys[:, None], torch.arange(-(-count // per_hash), device=device))
        return hashes.view(dtype)[:, :count].reshape(len(self.ids), *shape)


def hash64(keys: Int[Tensor, "rows 1"], counters: Int[Tensor, " count"]) -> Int[Tensor, "rows count"]:
    """The 64-bit hash of (key, counter) as int64, whose products wrap as unsigned ones do."""
    bits = keys ^ (counters * _signed(GOLDEN))
    bits = (bits ^ _shift_right(bits, 30)).mul_(_signed(FIRST_MULTIPLIER))
    bits = (bits ^ _shift_right(bits, 27)).mul_(_signed(SECOND_MULTIPLIER))
    return bits ^ _shift_right(bits, 31)


def _shift_right(bits: Tensor, places: int) -> Tensor:
    # int64 shifts copy the sign bit; the mask makes the shift logical.
    return (bits >> places).bitwise_and_((1 << (64 - places)) - 1)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


@lru_cache(maxsize=8)
def normal_table(device: torch.device) -> Float[Tensor, " levels"]:
    """The inverse normal distribution function at the middles of `NORMAL_LEVELS` equal parts, scaled to variance 1."""
    middles = (torch.arange(NORMAL_LEVELS, dtype=torch.float64) + 0.5) / NORMAL_LEVELS
    values = torch.special.ndtri(middles)
    return (values / values.square().mean().sqrt()).float().to(device)
