"""How the output of a block holds tokens: as rows with a class token before them, or as a map."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jaxtyping import Float
from torch import Tensor, nn

from weatherglass.errors import UserError

if TYPE_CHECKING:
    from weatherglass.analysis.tracing import Call

Grid = tuple[int, int]
ROWS, MAP, MAP_CHANNELS_LAST = "rows", "map", "map, channels last"


@dataclass(frozen=True)
class Layout:
    """Where the tokens stand in a block's output."""

    form: str
    """'rows' (batch, prefix + tokens, channels), 'map' (batch, channels, height, width), or 'map, channels last'."""
    grid: Grid
    """Height and width in tokens; (0, 0) where only a class token flows."""
    prefix: int
    """Class and register tokens that stand before the patch tokens."""
    channels: int

    @property
    def tokens(self) -> int:
        """Patch tokens."""
        return self.grid[0] * self.grid[1]

    def patches(self, output: Any) -> Float[Tensor, "batch tokens channels"]:
        """The patch tokens, row by row of the grid; a view."""
        tensor = single_tensor(output)
        if self.form == ROWS:
            return tensor[:, self.prefix :]
        if self.form == MAP:
            return tensor.flatten(2).transpose(1, 2)
        return tensor.flatten(1, 2)

    def class_tokens(self, output: Any) -> Float[Tensor, "batch prefix channels"]:
        """The class and register tokens."""
        if not self.prefix:
            raise UserError("There is no class token in this block.")
        return single_tensor(output)[:, : self.prefix]


def single_tensor(output: Any) -> Tensor:
    """The tensor in what a module returned, or the first of several."""
    if isinstance(output, Tensor):
        return output
    if isinstance(output, tuple | list) and output:
        return single_tensor(output[0])
    raise TypeError(f"no tensor in {type(output).__name__}")


def layout_of(model: nn.Module, call: "Call", size: Grid) -> Layout:
    """The layout of a block's output, for images of `size` pixels. Raises `UserError` where the grid stays unknown."""
    output = single_tensor(call.output)
    if output.ndim == 4:
        if _channels_last(call.module, output):
            return Layout(MAP_CHANNELS_LAST, (output.shape[1], output.shape[2]), 0, output.shape[3])
        return Layout(MAP, (output.shape[2], output.shape[3]), 0, output.shape[1])
    count, channels = output.shape[1], output.shape[2]
    if count <= 2:
        return Layout(ROWS, (0, 0), count, channels)
    for grid in _told_grids(call):
        prefix = count - grid[0] * grid[1]
        if 0 <= prefix <= 8:
            return Layout(ROWS, grid, prefix, channels)
    prefixes = [getattr(model, "num_prefix_tokens", None), 0, 1, 2, *range(3, 9)]
    for prefix in (number for number in prefixes if isinstance(number, int)):
        grid = _grid_of(count - prefix, size)
        if grid is not None:
            return Layout(ROWS, grid, prefix, channels)
    raise UserError(f"{count} tokens of {type(call.module).__name__} form no grid for images of {size[0]}x{size[1]}.")


def _told_grids(call: "Call") -> list[Grid]:
    """Grids among the arguments of a block: (height, width), or two integers in a row."""
    values = [*call.inputs, *call.keywords.values()]
    told = [
        (int(value[0]), int(value[1]))
        for value in values
        if isinstance(value, tuple | list) and len(value) == 2 and all(isinstance(side, int) for side in value)
    ]
    whole = [value for value in values if type(value) is int]
    return [*told, (whole[0], whole[1])] if len(whole) >= 2 else told


def _grid_of(count: int, size: Grid) -> Grid | None:
    """The grid of `count` tokens with the aspect of the image."""
    if count <= 0:
        return None
    height = round(math.sqrt(count * size[0] / size[1]))
    if height and count % height == 0 and abs(count // height - height * size[1] / size[0]) < 1:
        return height, count // height
    return None


def _channels_last(module: nn.Module, output: Tensor) -> bool:
    """Whether a map ends in its channels, judged by the widths of the norms, linear maps and convolutions inside."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d) and part.in_channels == output.shape[1] and part.groups == 1:
            return False
        if isinstance(part, nn.BatchNorm2d) and part.num_features == output.shape[1]:
            return False
        if isinstance(part, nn.Conv2d) and part.in_channels == part.groups == output.shape[1] != output.shape[3]:
            return False
        if isinstance(part, nn.LayerNorm) and part.normalized_shape == (output.shape[3],) != (output.shape[1],):
            return True
        if isinstance(part, nn.Linear) and part.in_features == output.shape[3] != output.shape[1]:
            return True
    # The two sides agree with the channels: transformers keep them last, convolutions first.
    return not any(isinstance(part, nn.Conv2d) for part in module.modules())
