"""Where a network looks: attention rollout, and a class activation map that works on token grids and on maps.

Rollout: Abnar and Zuidema, "Quantifying Attention Flow in Transformers", ACL 2020. The activation map is Grad-CAM
(Selvaraju et al., ICCV 2017) on the output of a block: channels weighted by the mean gradient of the class.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from weatherglass.analysis.attention_calls import AttentionCalls, require_attention, watching
from weatherglass.analysis.disturbed import module_of
from weatherglass.analysis.layouts import single_tensor
from weatherglass.analysis.recording import structure_for
from weatherglass.analysis.silencing import TOKEN_MIXING
from weatherglass.analysis.tracing import hooked
from weatherglass.errors import UserError
from weatherglass.types import Images, Predictor

Maps = Float[Tensor, "batch rows columns"]


def attention_rollout(predictor: Predictor, images: Images) -> Maps:
    """How much each patch flows into the read-out, if attention is all that flows; a map sums to 1.

    Attention is averaged over heads, mixed half and half with the identity, and multiplied over the blocks. The row
    of the class token is returned; without one in the trunk, the mean over all patch tokens. Raises `UserError`
    where attention is not global (windows, reduced keys).
    """
    structure = structure_for(predictor, images)
    blocks = {b.name: b for b in structure.trunk if any(branch.kind == TOKEN_MIXING for branch in b.branches)}
    if not blocks:
        raise UserError(f"{predictor.name} has no token-mixing branches, so there is no attention to follow.")
    kept: dict[str, Tensor] = {}
    calls = AttentionCalls(keep=lambda block, weights: kept.update({block.name: weights.mean(dim=1)}))
    with torch.no_grad(), watching(module_of(predictor), blocks, calls):
        predictor(images)
    require_attention(blocks, calls.seen)
    layout = next(iter(blocks.values())).layout
    count = layout.tokens + layout.prefix
    flow = torch.eye(count, device=images.device).expand(len(images), count, count)
    for name in blocks:
        if kept[name].shape != flow.shape:
            raise UserError(f"In {name} attention is not over all {count} tokens: rollout is not defined.")
        mixed = 0.5 * kept[name] + 0.5 * torch.eye(count, device=images.device)
        flow = (mixed / mixed.sum(dim=2, keepdim=True)) @ flow
    read = flow[:, 0, layout.prefix :] if layout.prefix else flow.mean(dim=1)
    return (read / read.sum(dim=1, keepdim=True)).unflatten(1, layout.grid)


def class_activation(
    predictor: Predictor, images: Images, classes: Tensor | None = None, *, block: str | None = None
) -> Maps:
    """Grad-CAM of `classes` (None: the predicted ones), in [0, 1] for each image.

    `block` None takes the last block whose patches still reach the read-out: the last but one where a class token is
    read, the last elsewhere.
    """
    structure = structure_for(predictor, images)
    trunk = [one for one in structure.trunk if one.layout.tokens > 1]
    if block is None:
        reads_class = trunk[-1].layout.prefix > 0 and len(trunk) > 1
        chosen = trunk[-2] if reads_class else trunk[-1]
    else:
        by_name = {one.name: one for one in trunk}
        if block not in by_name:
            raise UserError(f"There is no block '{block}'; blocks: {trunk[0].name} ... {trunk[-1].name}.")
        chosen = by_name[block]
    seen: list[Tensor] = []
    module = module_of(predictor).get_submodule(chosen.name)
    hook = module.register_forward_hook(lambda m, inputs, output: seen.append(single_tensor(output)))
    with torch.enable_grad(), hooked([hook]):
        logits = predictor(images.detach().requires_grad_())
        wanted = logits.argmax(dim=1) if classes is None else classes
        (gradient,) = torch.autograd.grad(logits.gather(1, wanted[:, None]).sum(), seen[0])
    weights = chosen.layout.patches(gradient).mean(dim=1, keepdim=True)
    maps = (chosen.layout.patches(seen[0].detach()) * weights).sum(dim=2).relu()
    return (maps / maps.amax(dim=1, keepdim=True).clamp_min(1e-12)).unflatten(1, chosen.layout.grid)
