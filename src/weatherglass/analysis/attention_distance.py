"""Restricted attention: after training, tokens see only neighbours within a distance (protocol: no fine-tuning).

Bhojanapalli et al., ICCV 2021, section 4: logits of patch pairs farther apart than D are set to minus infinity and the
softmax renormalises. Distances are on the token grid of the block; the class token attends to all and is attended by
all. For windows (Swin) they are within the window; for reduced keys (PVT) between the centres of query and key cells.
At full distance nothing is masked and nothing is recomputed, so the outputs are those of the baseline bit for bit.
"""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from weatherglass.analysis.attention_calls import AttentionCalls, require_attention, watching
from weatherglass.analysis.disturbed import DisturbedPredictor
from weatherglass.analysis.silencing import TOKEN_MIXING
from weatherglass.analysis.structure import Block, Structure, find_structure
from weatherglass.errors import UserError
from weatherglass.types import Disturbance, Predictor

NAME = "attention_distance"
METRICS = ("chebyshev", "euclidean", "manhattan")


@dataclass(frozen=True)
class AttentionDistance(Disturbance):
    """Attention within a distance; a value of this class says how far, where, and by which measure."""

    distance: float
    """In tokens; 0: a token sees itself and the class token only."""
    metric: str = "chebyshev"
    """'chebyshev' max(|rows|, |columns|), 'euclidean', or 'manhattan'."""
    first: int = 0
    """First restricted block, counted over the blocks with attention."""
    last: int | None = None
    """Last restricted block, included; None: the last of all. Negative counts from the end."""
    beyond: bool = False
    """The complement: only pairs farther apart than `distance`, and every token itself."""
    class_reads: bool = True
    """Whether the class token may read the patches in the restricted blocks."""

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise UserError(f"The distance is {', '.join(METRICS[:2])} or {METRICS[2]}, not '{self.metric}'.")
        if not 0 <= self.distance < math.inf:
            raise UserError(f"The attention distance is a finite number of at least 0 tokens, got {self.distance:g}.")

    def __str__(self) -> str:
        return f"{self.kind}@{self.distance:g}"

    @property
    def kind(self) -> str:
        words = [self.metric] if self.metric != "chebyshev" else []
        words += [f"from={self.first}"] if self.first else []
        words += [f"until={self.last}"] if self.last is not None else []
        words += ["beyond"] if self.beyond else []
        words += ["class-blind"] if not self.class_reads else []
        return NAME + (":" + ",".join(words) if words else "")

    @property
    def keeps_layout(self) -> bool:
        return True

    @property
    def family(self) -> str:
        return "attention"

    @property
    def severity(self) -> float:
        return self.distance

    def protocol(self, height: int, width: int) -> dict[str, str]:
        return {"attention distance": "logits of forbidden pairs -inf before the softmax, no fine-tuning"}

    @contextmanager
    def of_model(self, predictor: Predictor) -> Iterator[Predictor]:
        """The restricted model. Raises `UserError` for models without attention between tokens."""
        yield DisturbedPredictor(predictor, lambda model, structure: restricted_attention(model, self, structure))

    def blocks(self, structure: Structure) -> dict[str, Block]:
        """The blocks that are restricted, by name."""
        attentive = [b for b in structure.trunk if any(branch.kind == TOKEN_MIXING for branch in b.branches)]
        if not attentive:
            raise UserError("The model has no token-mixing branches, so there is no attention to restrict.")
        last = len(attentive) - 1 if self.last is None else self.last + len(attentive) * (self.last < 0)
        first = self.first + len(attentive) * (self.first < 0)
        if not (0 <= first < len(attentive) and -1 <= last < len(attentive)):
            raise UserError(f"'{self}' names blocks beyond the {len(attentive)} that attend.")
        return {block.name: block for block in attentive[first : last + 1]}


@contextmanager
def restricted_attention(
    model: nn.Module, limit: AttentionDistance, structure: Structure | None = None
) -> Iterator[None]:
    """Restrict the attention of `model` within the `with` block; its outputs inside are the restricted ones.

    Raises `UserError` where a block turns out to have no attention between tokens, after its first forward pass.
    """
    structure = structure or find_structure(model)
    blocks = limit.blocks(structure)

    def mask(block: Block, queries: int, keys: int) -> Tensor | None:
        return allowed_pairs(limit, block, queries, keys)

    calls = AttentionCalls(mask)
    with watching(model, blocks, calls):
        yield
    if calls.seen or model.training:
        require_attention(blocks, calls.seen)
    else:
        raise UserError(
            f"No attention between tokens was met in {next(iter(blocks))} and the others: {type(model).__name__} mixes "
            "tokens in another way, which has no distance to restrict."
        )


def allowed_pairs(
    limit: AttentionDistance, block: Block, queries: int, keys: int
) -> Bool[Tensor, "queries keys"] | None:
    """Which (query, key) pairs of a block may attend; None where all may."""
    query_grid, key_grid, prefix = grids_of(block, queries, keys)
    distances = grid_distances(query_grid, key_grid, limit.metric)
    near = distances <= limit.distance
    # A reduced grid may hold no key within the distance: the nearest one stays, as the token itself does elsewhere.
    nearest = distances <= distances.amin(dim=1, keepdim=True)
    patches = (~near if limit.beyond else near) | nearest
    allowed = torch.ones(queries, keys, dtype=torch.bool)
    allowed[prefix:, prefix:] = patches
    if prefix and not limit.class_reads:
        allowed[0, prefix:] = False
    return None if bool(allowed.all()) else allowed


def grids_of(block: Block, queries: int, keys: int) -> tuple[tuple[int, int], tuple[int, int], int]:
    """The grids of queries and keys, and how many class tokens stand before both."""
    layout = block.layout
    height, width = layout.grid
    if queries == keys == layout.tokens + layout.prefix:
        return layout.grid, layout.grid, layout.prefix
    if queries == layout.tokens and keys < queries:
        for step in range(2, max(height, width) + 1):
            reduced = (-(-height // step), -(-width // step))
            for grid in (reduced, (height // step, width // step)):
                if grid[0] * grid[1] == keys:
                    return layout.grid, grid, 0
        side = math.isqrt(keys)
        if side * side == keys:
            return layout.grid, (side, side), 0
    side = math.isqrt(queries)
    if queries == keys and side * side == queries and queries < layout.tokens:
        return (side, side), (side, side), 0
    raise UserError(
        f"{block.name} attends from {queries} to {keys} tokens, which fit neither its grid of {height}x{width} nor a "
        "square window: distances are not defined."
    )


@lru_cache(maxsize=64)
def grid_distances(
    query_grid: tuple[int, int], key_grid: tuple[int, int], metric: str = "chebyshev"
) -> Float[Tensor, "queries keys"]:
    """Distances between the cells of two grids over the same area, in cells of the query grid, row by row."""
    offsets = []
    for side, key_side in zip(query_grid, key_grid, strict=True):
        centres = (torch.arange(key_side) + 0.5) * (side / key_side) - 0.5
        offsets.append((torch.arange(side)[:, None] - centres[None, :]).abs())
    rows = offsets[0][:, None, :, None].expand(*query_grid, *key_grid).reshape(math.prod(query_grid), -1)
    columns = offsets[1][None, :, None, :].expand(*query_grid, *key_grid).reshape(math.prod(query_grid), -1)
    match metric:
        case "chebyshev":
            return torch.maximum(rows, columns)
        case "euclidean":
            return (rows.square() + columns.square()).sqrt()
        case _:
            return rows + columns


def parse_attention_distance(text: str) -> AttentionDistance:
    """'attention_distance@3', 'attention_distance:euclidean,from=6@2', '...:until=3,beyond@1', '...:from=-4@0'."""
    head, _, distance = text.partition("@")
    options = [word for word in head.partition(":")[2].split(",") if word]
    try:
        made = AttentionDistance(float(distance))
    except ValueError:
        raise UserError(f"'{text}' needs a distance in tokens: write e.g. {NAME}@3.") from None
    for word in options:
        made = _with_option(made, word, text)
    return made


def _with_option(made: AttentionDistance, word: str, text: str) -> AttentionDistance:
    from dataclasses import replace

    if word in METRICS:
        return replace(made, metric=word)
    if word == "beyond":
        return replace(made, beyond=True)
    if word == "class-blind":
        return replace(made, class_reads=False)
    if found := re.fullmatch(r"(from|until)=(-?\d{1,9})", word):
        number = int(found[2])
        return replace(made, first=number) if found[1] == "from" else replace(made, last=number)
    raise UserError(
        f"'{text}': there is no option '{word}'. Options: {', '.join(METRICS)}, from=BLOCK, until=BLOCK, beyond, "
        "class-blind."
    )
