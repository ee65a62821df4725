"""Learned position tables at another image size: interpolated, as ViT, DeiT and Swin are fine-tuned."""

from collections.abc import Mapping
from math import isqrt

from torch import Tensor, nn

ABSOLUTE, RELATIVE = "pos_embed", "relative_position_bias_table"


def resized_tables(state: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """The position tables of `state` that have another size than the model's, brought to its size.

    One vector a token is interpolated bicubically over the grid of patches, tokens without a place (class,
    distillation, registers) stay as they are (Touvron et al., "Training data-efficient image transformers", ICML 2021,
    section 6); biases of a window likewise, as Swin's code does. Both were learned on squares. Tables of another
    width, or of another number of tokens without a place, are another network's and are left out.
    """
    wanted = model.state_dict()
    resized = {}
    for name, table in state.items():
        place, _, leaf = name.rpartition(".")
        if leaf not in (ABSOLUTE, RELATIVE) or name not in wanted or table.shape == wanted[name].shape:
            continue
        owner, resize = model.get_submodule(place), _absolute if leaf == ABSOLUTE else _relative
        fitting = resize(table, wanted[name], owner)
        if fitting is not None:
            resized[name] = fitting
    return resized


def _absolute(table: Tensor, wanted: Tensor, owner: nn.Module) -> Tensor | None:
    """(1, tokens, width) for the owner's grid of patches."""
    from timm.layers.pos_embed import resample_abs_pos_embed

    grid = getattr(getattr(owner, "patch_embed", None), "grid_size", None)
    if grid is None or table.ndim != 3 or wanted.ndim != 3 or table.shape[2] != wanted.shape[2]:
        return None
    placeless = wanted.shape[1] - grid[0] * grid[1]
    patches = table.shape[1] - placeless
    if placeless < 0 or patches < 1 or isqrt(patches) ** 2 != patches:
        return None
    return resample_abs_pos_embed(table, list(grid), num_prefix_tokens=placeless)


def _relative(table: Tensor, wanted: Tensor, owner: nn.Module) -> Tensor | None:
    """((2 side - 1)^2, heads) for the owner's window."""
    from timm.layers.pos_embed_rel import resize_rel_pos_bias_table_simple

    rows, columns = getattr(owner, "window_size", None) or (getattr(owner, "window", 0),) * 2
    offsets = (2 * rows - 1) * (2 * columns - 1)
    if table.ndim != 2 or table.shape[1] != wanted.shape[1] or len(wanted) != offsets:
        return None
    if isqrt(len(table)) ** 2 != len(table):
        return None
    return resize_rel_pos_bias_table_simple(table, new_window_size=(rows, columns), new_bias_shape=tuple(wanted.shape))
