"""What silencing saves: multiply-adds of every branch, and of restricted attention (protocol card 33)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from weatherglass.analysis.attention_calls import AttentionCalls, attention_name
from weatherglass.analysis.attention_distance import AttentionDistance
from weatherglass.analysis.attention_pairs import AttentionPairs, attention_pairs
from weatherglass.analysis.disturbed import module_of
from weatherglass.analysis.lesions import Lesioned
from weatherglass.analysis.silencing import TOKEN_MIXING
from weatherglass.analysis.structure import Branch, Structure, find_structure
from weatherglass.errors import UserError
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
    pairs: AttentionPairs | None
    """Between which tokens the products are; None where the model has no attention to restrict."""

    def kept(self, disturbance: Disturbance) -> float | None:
        """Share of the multiply-adds left under a disturbance of the model; None for others.

        For restricted attention it is what a sparse implementation would need; masking saves nothing by itself.
        """
        if isinstance(disturbance, Lesioned):
            saved = sum(self.branches[branch.name] for branch in disturbance.branches(self.structure))
            return 1 - saved / self.whole
        if isinstance(disturbance, AttentionDistance) and self.pairs:
            shares = self.pairs.shares(disturbance)
            saved = sum(self.attention[name] * (1 - share) for name, share in shares.items())
            return 1 - saved / self.whole
        return None


def cost_of(predictor: Predictor, size: tuple[int, int]) -> Cost:
    """Count the multiply-adds of one image of `size` pixels, whole and by branch."""
    model = module_of(predictor)
    structure = find_structure(model, size)
    counter = FlopCounterMode(display=False)
    like = next(model.parameters(), torch.zeros(1))
    # Beside a function mode nn.MultiheadAttention leaves its fast path, whose operations are not counted. Gradients
    # are on because the counter's hooks fail on views of parameters that were made without (CaiT's class token).
    with torch.enable_grad(), AttentionCalls(), counter:
        model(torch.zeros(1, 3, *size).to(like))
    counts = counter.get_flop_counts()
    root = type(model).__name__

    def of(name: str, products: bool = False) -> int:
        inside = counts.get(f"{root}.{name}", {})
        return sum(flops for operation, flops in inside.items() if _is_product(operation) or not products) // 2

    try:
        pairs = attention_pairs(model, structure)
    except UserError:  # a CNN, attention over channels
        pairs = None
    attention = {
        block.name: sum(
            of(attention_name(model, one.name), products=True) for one in block.branches if one.kind == TOKEN_MIXING
        )
        for block in (pairs.blocks if pairs else ())
    }
    branches = {branch.name: _span(structure, of, branch) for branch in structure.branches}
    return Cost(sum(counts["Global"].values()) // 2, branches, attention, structure, pairs)


def _is_product(operation: object) -> bool:
    """Whether a counted operation multiplies activations with each other, as attention does and layers do not."""
    return any(word in str(operation) for word in ("bmm", "attention"))


def _span(structure: Structure, of: Callable[[str], int], branch: Branch) -> int:
    """What a branch costs: all of its block where it is the only one, an even share where it ends in a mere norm."""
    siblings = next(len(block.branches) for block in structure.blocks if block.name == branch.block)
    return of(branch.block) if siblings == 1 else of(branch.name) or of(branch.block) // siblings
