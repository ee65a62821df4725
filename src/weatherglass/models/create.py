"""`weatherglass.create_model`: a model of this package by name, with weights from a file if one is given."""

from pathlib import Path

from torch import nn

from weatherglass.errors import UserError
from weatherglass.models.names import model_name


def create_model(
    name: str,
    *,
    num_classes: int | None = None,
    in_chans: int = 3,
    img_size: int | tuple[int, int] | None = None,
    drop_path_rate: float = 0.0,
    checkpoint: str | Path | None = None,
    ema: bool | None = None,
) -> nn.Module:
    """A freshly initialised model, or one with the weights of a checkpoint.

    The model is timm's as well: `timm.create_model(name, ...)` builds the same one and takes timm's other arguments.

    Args:
        name: a name or an alias from `weatherglass list models`.
        num_classes: outputs; None takes the number the model is published with (10 for the micro sizes).
        in_chans: image channels.
        img_size: nominal height and width in pixels; None takes the model's own.
        drop_path_rate: stochastic depth.
        checkpoint: file to take the weights from, see `load_checkpoint`; every name and shape must agree.
        ema: which weights of the checkpoint, see `load_checkpoint`.

    Raises:
        UnknownName: no such model.
        UserError: the checkpoint cannot be read or does not fit, or an argument makes no sense.
    """
    import timm

    import weatherglass.models.registration  # noqa: F401  (tells timm about our models)

    model_name(name)
    if num_classes is not None and num_classes < 0:
        raise UserError(f"num_classes must be 0 (no classifier) or more, got {num_classes}.")
    model = timm.create_model(
        name, num_classes=num_classes, in_chans=in_chans, img_size=img_size, drop_path_rate=drop_path_rate
    )
    if checkpoint is not None:
        from weatherglass.models.checkpoint import fit_checkpoint, load_checkpoint

        fit_checkpoint(model, load_checkpoint(checkpoint, ema=ema))
    return model
