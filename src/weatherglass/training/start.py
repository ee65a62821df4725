"""Where a training starts: a fresh network, or one with a checkpoint's weights; and what of it may stay fresh."""

from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import torch
from torch import nn

from weatherglass.errors import UserError
from weatherglass.models.backbone import Backbone
from weatherglass.models.checkpoint import Checkpoint, fit_checkpoint, load_checkpoint

Kind = TypeVar("Kind", bound=nn.Module)


@dataclass(frozen=True)
class Started(Generic[Kind]):
    """A network with its first weights."""

    network: Kind
    remarks: tuple[str, ...] = ()
    """What of a checkpoint fitted, for people."""

    def in_layout(self, channels_last: bool) -> "Started[Kind]":
        """With the weights in the memory layout of the recipe."""
        if channels_last:
            self.network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        return self


def fill_classifier(model: nn.Module, start: str) -> str:
    """Load a classifier's weights; those of the last layer are left out where the classes differ in number."""
    return _fill(model, load_checkpoint(start), fresh=classifier_names(model), whose="the last layer")


def fill_dense(model: nn.Module, backbone: Backbone, start: str, *, heads: tuple[str, ...]) -> str:
    """Load a whole dense network, parts of whose heads are left out where they differ; or a classifier, or a published
    dense network, into the backbone. `heads` are the beginnings of names that only a whole one of ours has."""
    checkpoint = load_checkpoint(start)
    names = tuple(checkpoint.state_dict)
    if any(name.startswith("backbone.") for name in names) and any(name.startswith(heads) for name in names):
        return _fill(model, checkpoint, fresh=heads, whose="the head")
    renamed = replace(checkpoint, state_dict=backbone.classifier_weights(checkpoint.state_dict))
    return _fill(backbone.whole, renamed, fresh=("learnable_downsample.",), whose="what no classifier has")


def classifier_names(model: nn.Module) -> tuple[str, ...]:
    """The beginnings of the names of the classifier's weights: one, or two where a teacher's logits have their own."""
    heads = classifiers(model)
    return tuple(f"{name}." for name, module in model.named_modules() if any(module is head for head in heads))


def classifiers(model: Any) -> tuple[nn.Module, ...]:
    """The last layers of a timm model."""
    found = model.get_classifier()
    return tuple(found) if isinstance(found, tuple | list) else (found,)


def _fill(model: nn.Module, checkpoint: Checkpoint, *, fresh: tuple[str, ...], whose: str) -> str:
    """Load what fits, position tables interpolated; one line about it.

    Raises `UserError` where more than `fresh` would keep its initial weights.
    """
    report = fit_checkpoint(model, checkpoint, strict=False, ignore_mismatched=True, resize_positions=True)
    if any(not name.startswith(fresh) for name in (*report.missing, *report.mismatched)):
        raise UserError(
            f"network.start={checkpoint.path} is no start for this network: {report}. Only {whose} may be made anew; "
            "give network.name and network.arguments of the network that was trained, or leave network.start out."
        )
    return f"{checkpoint.path} is the start: {report}."
