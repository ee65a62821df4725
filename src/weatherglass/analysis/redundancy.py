"""What silencing saves: multiply-adds of every branch, and of attention within a distance (protocol card 33)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from weatherglass.analysis.attention_distance import AttentionDistance, kept_share
from weatherglass.analysis.disturbed import module_of
from weatherglass.analysis.lesions import Lesioned
from weatherglass.analysis.structure import Branch, Structure, find_structure
from weatherglass.types import Disturbance, Predictor


@dataclass(frozen=True)
class Cost:
    """Multiply-adds of one image."""

    whole: int
    branches: dict[str, int]
    """By branch."""
    attention: dict[str, int]
    """By block: the products query key^T and weights value, which a mask on the distance makes sparse."""
    structure: Structure

    def kept(self, disturbance: Disturbance) -> float | None:
        """Share of the multiply-adds left under a disturbance of the model; None for others.

        For restricted attention it is what a sparse implementation would need; masking saves nothing by itself.
        """
        if isinstance(disturbance, Lesioned):
            saved = sum(self.branches[branch.name] for branch in disturbance.branches(self.structure))
            return 1 - saved / self.whole
        if isinstance(disturbance, AttentionDistance) and not disturbance.beyond:
            saved = 0.0
            for name, block in disturbance.blocks(self.structure).items():
                share = kept_share(block.layout.grid, disturbance.distance, disturbance.metric)
                saved += self.attention.get(name, 0) * (1 - share)
            return 1 - saved / self.whole
        return None


def cost_of(predictor: Predictor, size: tuple[int, int]) -> Cost:
    """Count the multiply-adds of one image of `size` pixels, whole and by branch."""
    model = module_of(predictor)
    structure = find_structure(model, size)
    counter = FlopCounterMode(display=False)
    like = next(model.parameters(), torch.zeros(1))
    with torch.no_grad(), counter:
        model(torch.zeros(1, 3, *size).to(like))
    counts = counter.get_flop_counts()
    root = type(model).__name__

    def of(name: str) -> int:
        return sum(counts.get(f"{root}.{name}", {}).values()) // 2

    attention = {}
    for block in structure.trunk:
        tokens = block.layout.tokens + block.layout.prefix
        if any(isinstance(part, nn.Linear) for part in model.get_submodule(block.name).modules()):
            attention[block.name] = 2 * tokens * tokens * block.layout.channels
    branches = {branch.name: _span(structure, of, branch) for branch in structure.branches}
    return Cost(sum(counts["Global"].values()) // 2, branches, attention, structure)


def _span(structure: Structure, of: Callable[[str], int], branch: Branch) -> int:
    """What a branch costs: all of its block where it is the only one, an even share where it ends in a mere norm."""
    siblings = next(len(block.branches) for block in structure.blocks if block.name == branch.block)
    return of(branch.block) if siblings == 1 else of(branch.name) or of(branch.block) // siblings
