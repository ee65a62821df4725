"""Which of a model's feature maps are wanted, in the words of timm's `forward_intermediates` and `out_indices`."""

from collections.abc import Sequence

from weatherglass.errors import UserError

Indices = int | Sequence[int] | None


def wanted_maps(count: int, indices: Indices) -> tuple[list[int], int]:
    """Positions in 0..count-1 and the largest of them.

    `indices` is a number of maps from the end, positions (negative ones count from the end), or None for all.
    """
    if indices is None:
        indices = count
    positions = list(range(-indices, 0)) if isinstance(indices, int) else list(indices)
    if not positions or not all(-count <= position < count for position in positions):
        raise UserError(f"Feature maps must be chosen from 0 to {count - 1} (or the last 1 to {count}), got {indices}.")
    positions = [position % count for position in positions]
    return positions, max(positions)
