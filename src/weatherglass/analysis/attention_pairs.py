"""Between which tokens a model attends, block by block, and what share of these pairs a restriction leaves.

Read off one forward pass: the pairs of a Swin lie within its windows, those of a PVT between tokens and reduced keys.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from weatherglass.analysis.attention_calls import AttentionCalls, require_attention, watching
from weatherglass.analysis.attention_distance import AttentionDistance, allowed_pairs, grid_distances, grids_of
from weatherglass.analysis.structure import Block, Structure
from weatherglass.analysis.tracing import evaluation_mode

Maps = Counter[tuple[int, int]]
"""(queries, keys) of attention maps -> how many there are: one for each head and window."""


@dataclass(frozen=True)
class AttentionPairs:
    """The pairs (query, key) in the attention of one image, class tokens included."""

    structure: Structure
    maps: Mapping[str, Maps]
    """By name of the block, for every block with attention, in the order of computation."""

    @property
    def blocks(self) -> list[Block]:
        """The blocks with attention, in the order of computation."""
        return list(AttentionDistance(0).blocks(self.structure).values())

    def shares(self, limit: AttentionDistance) -> dict[str, float]:
        """Share of its pairs that each block keeps under a restriction, in [0, 1]; 1 where it is not restricted."""
        restricted = limit.blocks(self.structure)
        return {
            name: _kept(limit, restricted[name], maps) / _count(maps) if name in restricted else 1.0
            for name, maps in self.maps.items()
        }

    def share(self, limit: AttentionDistance) -> float:
        """Share of all pairs of all blocks that is kept under a restriction, in [0, 1]."""
        shares = self.shares(limit)
        return sum(shares[name] * _count(maps) for name, maps in self.maps.items()) / sum(
            map(_count, self.maps.values())
        )

    def farthest(self, metric: str) -> float:
        """Largest distance of a pair of patches, in tokens: from there on nothing is restricted."""
        blocks = {block.name: block for block in self.blocks}
        grids = {grids_of(blocks[name], *shape)[:2] for name, maps in self.maps.items() for shape in maps}
        return max(float(grid_distances(*pair, metric).max()) for pair in grids)


def attention_pairs(model: nn.Module, structure: Structure) -> AttentionPairs:
    """The pairs of `model` for images of the size of its `structure`.

    Raises `UserError` where a block has no attention between tokens, or one in which distances are not defined.
    """
    blocks = AttentionDistance(0).blocks(structure)
    maps: dict[str, Maps] = {name: Counter() for name in blocks}

    def count(block: Block, weights: Tensor) -> None:
        queries, keys = weights.shape[-2:]
        maps[block.name][queries, keys] += math.prod(weights.shape[:-2])

    calls = AttentionCalls(keep=count)
    like = next(model.parameters(), torch.zeros(1))
    with torch.no_grad(), evaluation_mode(model), watching(model, blocks, calls):
        model(torch.zeros(1, 3, *structure.size).to(like))
    require_attention(blocks, calls.seen)
    found = AttentionPairs(structure, maps)
    found.farthest("chebyshev")  # grids that have no distances are told here, before anything is measured
    return found


def _count(maps: Maps) -> int:
    """Pairs in all maps."""
    return sum(queries * keys * number for (queries, keys), number in maps.items())


def _kept(limit: AttentionDistance, block: Block, maps: Maps) -> int:
    """Those of them that a restriction leaves."""
    kept = 0
    for (queries, keys), number in maps.items():
        allowed = allowed_pairs(limit, block, queries, keys)
        kept += number * (queries * keys if allowed is None else int(allowed.sum()))
    return kept
