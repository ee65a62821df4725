"""Names in the published FAN checkpoints, old and dense-prediction ones, as the models here spell them."""

from collections.abc import Mapping

from torch import Tensor, nn

BACKBONES = ("backbone.", "encoder.", "model.")
"""Prefixes under which segmentation and detection checkpoints keep the backbone, beside heads of other names."""

DERIVED = ("attn_mask", "relative_position_index")
"""Last words of the names of Swin's tables, which are not learned but follow from image size and window."""


def fan_state_dict(state: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """The entries of `state` under the names that `model` uses; entries nobody knows keep theirs.

    Understood are backbone prefixes of dense-prediction checkpoints, the early `pos_embeder.` for `pos_embed.`, a
    fused `qkv` of the class attention, and Swin's index and mask tables, which belong to an image size and are
    left to the model where theirs differ.
    """
    wanted = model.state_dict()
    state = _backbone(state, wanted)
    state = {name.replace("pos_embeder.", "pos_embed."): tensor for name, tensor in state.items()}
    renamed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        head, _, leaf = name.rpartition(".qkv.")
        if name not in wanted and head and f"{head}.q.{leaf}" in wanted and f"{head}.k.{leaf}" in wanted:
            for letter, part in zip("qkv", tensor.chunk(3), strict=True):
                renamed[f"{head}.{letter}.{leaf}"] = part
        else:
            renamed[name] = tensor
    return {
        name: tensor
        for name, tensor in renamed.items()
        if not (name.endswith(DERIVED) and (name not in wanted or wanted[name].shape != tensor.shape))
    }


def _backbone(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The part under a backbone prefix, where that and not the whole has the model's names."""
    if any(name in wanted for name in state):
        return state
    for prefix in BACKBONES:
        inner = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
        if any(name in wanted for name in inner):
            return inner
    return state
