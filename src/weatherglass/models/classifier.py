"""What the networks of this package share with timm's: pooled features, a classifier, and maps from within."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from weatherglass.errors import UserError
from weatherglass.models.channel_attention import Grid, Tokens, tokens_to_map
from weatherglass.models.convnext import Map
from weatherglass.models.feature_maps import Indices, wanted_maps
from weatherglass.models.linear import Linear

OUTPUT_FORMATS = ("NCHW", "NHWC", "NLC")


class ImageClassifier(nn.Module, ABC):
    """An image classifier with the methods of a timm model. Abstract: a network says how images become features.

    Args:
        width: channels of the features.
        num_classes: outputs; 0 leaves the head out.
        in_chans: image channels.
        img_size: nominal size.
        global_pool: one of `poolings`.
    """

    poolings: ClassVar[dict[str, str]] = {"avg": "the mean", "": "all features"}
    """Names that `global_pool` accepts, and what each means."""
    norm: nn.Module
    head_drop: nn.Module
    head: nn.Module
    feature_info: list[dict[str, str | int]]
    """One row a map of `forward_intermediates`: channels, reduction and module."""

    def __init__(
        self, width: int, *, num_classes: int, in_chans: int, img_size: int | tuple[int, int], global_pool: str
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.in_chans = in_chans
        self.img_size = (img_size, img_size) if isinstance(img_size, int) else tuple(img_size)
        self.embed_dim = self.num_features = self.head_hidden_size = width
        self.global_pool = self._checked_pooling(global_pool)
        self.grad_checkpointing = False

    def _add_head(self, norm: nn.Module, drop_rate: float) -> None:
        """The last modules of every network; called when the others are there, which fixes the order of weights."""
        self.norm = norm
        self.head_drop = nn.Dropout(drop_rate)
        self.head = Linear(self.embed_dim, self.num_classes) if self.num_classes > 0 else nn.Identity()

    # ------------------------------------------------------------------------------- what a network says of itself

    @abstractmethod
    def _look(self, images: Map, last: int) -> tuple[list[tuple[Tokens, Grid]], Tensor]:
        """The maps of `feature_info` up to position `last` at least, and the features behind them."""

    @abstractmethod
    def _drop_behind(self, last: int) -> None:
        """Remove the modules that the maps up to position `last` do not need."""

    def _finished(self, features: Tensor) -> Tensor:
        """What `forward_features` returns of the features."""
        return self.norm(features)

    def _pooled(self, features: Tensor) -> Tensor:
        return features.mean(dim=1) if self.global_pool == "avg" else features

    # ----------------------------------------------------------------------------------------------------- forward

    def forward(self, images: Map) -> Float[Tensor, "batch classes"]:
        return self.forward_head(self.forward_features(images))

    def forward_features(self, images: Map) -> Tensor:
        """The features before pooling."""
        return self._finished(self._look(images, len(self.feature_info) - 1)[1])

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:
        """Pool the features of `forward_features` and classify; `pre_logits` stops before the classifier."""
        features = self.head_drop(self._pooled(features))
        return features if pre_logits else self.head(features)

    def forward_intermediates(
        self,
        x: Map,
        indices: Indices = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> list[Tensor] | tuple[Tensor, list[Tensor]]:
        """Maps from within, in the order of `feature_info`.

        Args:
            x: images.
            indices: which maps; an integer takes that many from the end, None all.
            norm: apply the final normalisation to the maps of its width.
            stop_early: compute nothing behind the last map.
            output_fmt: 'NCHW' or 'NHWC' maps, or 'NLC' tokens.
            intermediates_only: return the maps alone rather than (features, maps).
        """
        if output_fmt not in OUTPUT_FORMATS:
            raise UserError(f"output_fmt must be one of {', '.join(OUTPUT_FORMATS)}, got '{output_fmt}'.")
        take, last = wanted_maps(len(self.feature_info), indices)
        found, features = self._look(x, last if stop_early else len(self.feature_info) - 1)
        chosen = [found[index] for index in take]
        if norm:
            chosen = [(self.norm(each) if each.shape[2] == self.embed_dim else each, grid) for each, grid in chosen]
        outputs = [_formatted(tokens, grid, output_fmt) for tokens, grid in chosen]
        return outputs if intermediates_only else (self._finished(features), outputs)

    def prune_intermediate_layers(
        self, indices: Indices = 1, prune_norm: bool = False, prune_head: bool = True
    ) -> list[int]:
        """Drop what lies behind the last wanted map, for `features_only`."""
        take, last = wanted_maps(len(self.feature_info), indices)
        self._drop_behind(last)
        if prune_norm:
            self.norm = nn.Identity()
        if prune_head:
            self.reset_classifier(0, "")
        return take

    # --------------------------------------------------------------------------------------------- timm's protocol

    def get_classifier(self) -> nn.Module:
        return self.head

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """A fresh classifier for `num_classes` outputs; 0 leaves it out."""
        self.num_classes = num_classes
        if global_pool is not None:
            self.global_pool = self._checked_pooling(global_pool)
        head = Linear(self.embed_dim, num_classes) if num_classes > 0 else nn.Identity()
        self.head = head.apply(initialise_linear).to(next(self.parameters()))

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recompute the activations of every block in the backward pass instead of keeping them."""
        self.grad_checkpointing = enable

    @property
    def _recompute(self) -> bool:
        return self.grad_checkpointing and torch.is_grad_enabled()

    def no_weight_decay(self) -> set[str]:
        """Nothing besides vectors: the published training decayed temperatures and relative positions too."""
        return set()

    def _checked_images(self, images: Tensor) -> Map:
        """The images, or one line about what is wrong with them."""
        channels = self.in_chans
        if images.dim() != 4 or images.shape[1] != channels:
            raise UserError(
                f"Images must have the shape (batch, {channels}, height, width), got {tuple(images.shape)}."
                + (f" For other channel counts create the model with in_chans={images.shape[1]}." * (images.dim() == 4))
            )
        return images

    def _checked_pooling(self, global_pool: str) -> str:
        if global_pool not in self.poolings:
            accepted = ", ".join(f"'{name}' ({meaning})" for name, meaning in self.poolings.items())
            raise UserError(f"global_pool must be one of {accepted}, got '{global_pool}'.")
        return global_pool


def _formatted(tokens: Tokens, grid: Grid, output_fmt: str) -> Tensor:
    if output_fmt == "NLC":
        return tokens
    features = tokens_to_map(tokens, grid)
    return features.contiguous() if output_fmt == "NCHW" else features.permute(0, 2, 3, 1)


def initialise_linear(module: nn.Module) -> None:
    """Truncated normal weights of standard deviation 0.02, zero bias; for `Module.apply`."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def drop_path_ramp(last: float, depths: tuple[int, ...]) -> list[list[float]]:
    """Rates that rise linearly from 0 in the first block to `last` in the last one, by stage."""
    total, rates, position = max(1, sum(depths) - 1), [], 0
    for depth in depths:
        rates.append([last * (position + index) / total for index in range(depth)])
        position += depth
    return rates
