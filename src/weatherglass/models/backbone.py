"""A network as feature maps for dense tasks: our FANs as the release builds them, everything else through timm."""

from collections.abc import Mapping
from typing import Any, Literal

from jaxtyping import Float
from torch import Tensor, nn

from weatherglass.errors import UserError
from weatherglass.models.configuration import ConvNeXtStem, FanConfig
from weatherglass.models.convnext import Map
from weatherglass.models.dense_backbone import TAPS, FanDenseBackbone, dense_state_dict
from weatherglass.models.names import ALIASES, MODELS

VIT_LEVELS = 4
"""Maps taken from a network of one stride, at the quarters of its blocks."""

Task = Literal["segmentation", "detection"]


class Backbone(nn.Module):
    """A timm network as feature maps, with their channels; our FANs as the release builds them for the task."""

    def __init__(self, name: str, options: Mapping[str, Any] | None = None, task: Task = "segmentation") -> None:
        """`options` go to timm: `pretrained`, `drop_path_rate`, `output_stride`, what the network itself takes."""
        super().__init__()
        self.body, self.channels, self.strides = _maps_of(name, dict(options or {}), task)

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> list[Map]:
        """Finest first."""
        return list(self.body(images))

    @property
    def reduction(self) -> int:
        """The largest stride; sizes of images must be multiples of it."""
        return max(self.strides)

    @property
    def whole(self) -> nn.Module:
        """The network that weights of a classifier fit."""
        return getattr(self.body, "model", self.body)

    def classifier_weights(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Weights of a classifier, or of a published dense network, under the names of `whole`."""
        if isinstance(self.body, FanDenseBackbone):
            return dense_state_dict(state)
        # timm takes some networks apart for their maps and calls 'stages.0', say, 'stages_0'.
        wanted = self.whole.state_dict().keys()
        flat = {name: name.replace(".", "_", 1) for name in state}
        return {flat[name] if name not in wanted and flat[name] in wanted else name: state[name] for name in state}

    def recompute_activations(self) -> None:
        """Recompute them in the backward pass: less memory, about a third more time.

        Raises `UserError` where the network cannot.
        """
        network = self.whole
        target: Any = network if hasattr(network, "set_grad_checkpointing") else getattr(network, "body", network)
        if not hasattr(target, "set_grad_checkpointing"):
            raise UserError("network.gradient_checkpointing: this backbone cannot recompute its activations.")
        target.set_grad_checkpointing(True)


def positions_and_tokens(model: nn.Module) -> set[str]:
    """Names of learned positions and class tokens, which training does not decay."""
    exempt = ("relative_position_bias_table", "pos_embed", "cls_token")
    return {name for name, _ in model.named_parameters() if name.endswith(exempt)}


def _maps_of(name: str, options: dict[str, Any], task: Task) -> tuple[nn.Module, list[int], list[int]]:
    """The network, the channels of its maps, and their strides in pixels of the image."""
    name = ALIASES.get(name, name)
    if name in TAPS and options.keys() <= {"drop_path_rate"}:
        return _fan_maps(name, options.get("drop_path_rate", 0.0), task)
    from weatherglass.models.published import check_timm_name

    timm_name = name.removeprefix("timm/")
    check_timm_name(timm_name, bool(options.get("pretrained")))
    try:
        model = _features(timm_name, options)
        strides = model.feature_info.reduction()
        if len(set(strides)) == 1:  # a plain transformer, whose blocks all have one stride
            options = options | _transformer_levels(timm_name, options)
            model = _features(timm_name, options)
        elif len(strides) == 5:  # the stem of a convolutional network is no level of these heads
            model = _features(timm_name, options | {"out_indices": (1, 2, 3, 4)})
    except (RuntimeError, AttributeError, AssertionError, IndexError, TypeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"'{name}' cannot be a backbone: timm gives no feature maps of it ({reason}).") from error
    return model, list(model.feature_info.channels()), list(model.feature_info.reduction())


def _fan_maps(name: str, drop_path: float, task: Task) -> tuple[nn.Module, list[int], list[int]]:
    """The maps of the release; a FAN-ViT has no form of its own for detection and keeps that of segmentation."""
    config = MODELS[name].config
    hybrid = isinstance(config, FanConfig) and isinstance(config.stem, ConvNeXtStem)
    body = FanDenseBackbone(name, task if hybrid else "segmentation", drop_path_rate=drop_path)
    return body, body.channels, body.strides


def _features(name: str, options: dict[str, Any]) -> Any:
    import timm

    import weatherglass.models.registration  # noqa: F401  (tells timm about our models)

    if name.startswith("swin") and name not in MODELS:  # or it takes one size, and gives maps with channels last
        options = {"strict_img_size": False, "feature_cls": "getter"} | options
    return timm.create_model(name, features_only=True, **options)


def _transformer_levels(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Options that take the maps at the quarters of a transformer's blocks, at any image size."""
    import timm

    whole: Any = timm.create_model(name, num_classes=0, **{k: v for k, v in options.items() if k != "pretrained"})
    blocks = len(whole.feature_info)
    levels = tuple(round((i + 1) * blocks / VIT_LEVELS) - 1 for i in range(VIT_LEVELS))
    flexible = {"dynamic_img_size": True} if hasattr(whole, "dynamic_img_size") and name not in MODELS else {}
    return {"out_indices": levels, **flexible}
