"""The activations of every block of a network, batch by batch: memory does not grow with the number of images."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from weatherglass.analysis.disturbed import module_of
from weatherglass.analysis.layouts import MAP, Layout, layout_of, single_tensor
from weatherglass.analysis.structure import Structure, UnreadableStructure, find_structure
from weatherglass.analysis.tracing import Call, hooked
from weatherglass.data.geometry import prepare
from weatherglass.errors import UserError
from weatherglass.types import Batch, ImageData, Images, Predictor

EMBEDDING = "embedding"


@dataclass(frozen=True)
class Layer:
    """Where activations are read."""

    name: str
    """Name of the module whose output is read; `EMBEDDING` for what enters the first block."""
    layout: Layout
    downsamples: bool = False
    """Whether the grid is smaller than that of the layer before."""


@dataclass
class Recording:
    """What the layers returned for one batch. References, not copies; the tokens are views."""

    layers: tuple[Layer, ...]
    outputs: dict[str, Any] = field(default_factory=dict)

    def patches(self, layer: Layer) -> Float[Tensor, "batch tokens channels"]:
        return layer.layout.patches(self.outputs[layer.name])

    def class_tokens(self, layer: Layer) -> Float[Tensor, "batch prefix channels"]:
        return layer.layout.class_tokens(self.outputs[layer.name])


class Recorder:
    """Runs a predictor and keeps what its layers return."""

    def __init__(self, predictor: Predictor, size: tuple[int, int]) -> None:
        self.predictor = predictor
        self.module = module_of(predictor)
        self.layers = layers_of(self.module, size)

    def __call__(self, images: Images) -> Recording:
        """The activations for images in [0, 1] on the predictor's device."""
        recording = Recording(self.layers)

        def keep(name: str) -> Any:
            def hook(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
                recording.outputs[name] = output

            return hook

        def keep_input(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            recording.outputs[EMBEDDING] = inputs[0]

        handles = [self.module.get_submodule(one.name).register_forward_hook(keep(one.name)) for one in self.layers[1:]]
        handles.append(self.module.get_submodule(self.layers[1].name).register_forward_pre_hook(keep_input))
        with hooked(handles):
            self.predictor(images)
        return recording


def layers_of(model: nn.Module, size: tuple[int, int]) -> tuple[Layer, ...]:
    """The embedding and every block; for networks without residual blocks the steps of their longest sequence."""
    try:
        named = find_structure(model, size).layers
    except UnreadableStructure:
        named = _repeated_layers(model, size) or _sequence_layers(model, size)
    first = _embedding_layout(model, named[0], size)
    layouts = [(EMBEDDING, first), *named]
    return tuple(
        Layer(name, layout, position > 0 and layout.tokens < layouts[position - 1][1].tokens)
        for position, (name, layout) in enumerate(layouts)
    )


def _embedding_layout(model: nn.Module, first: tuple[str, Layout], size: tuple[int, int]) -> Layout:
    """The layout of what enters the first block; its module runs once with a hook."""
    seen: list[tuple[nn.Module, tuple[Any, ...]]] = []
    handle = model.get_submodule(first[0]).register_forward_pre_hook(
        lambda module, inputs: seen.append((module, inputs))
    )
    _probe(model, size, handle)
    module, inputs = seen[0]
    entering = single_tensor(inputs[0])
    if entering.ndim == 4 and first[1].form == MAP:
        return Layout(MAP, (entering.shape[2], entering.shape[3]), 0, entering.shape[1])
    return layout_of(model, Call(module, inputs, {}, entering), size)


def _repeated_layers(model: nn.Module, size: tuple[int, int]) -> list[tuple[str, Layout]]:
    """For networks whose blocks cannot be silenced (each changes the shape): the class of part that occurs most often.

    Empty where no class of module with children returns maps at least three times.
    """
    outputs: dict[str, Tensor] = {}
    composed = {name: part for name, part in model.named_modules() if name and any(True for _ in part.children())}
    composed = {name: part for name, part in composed.items() if type(part) is not nn.Sequential}
    handles = [
        part.register_forward_hook(lambda m, i, output, name=name: outputs.update({name: output}))
        for name, part in composed.items()
    ]
    _probe(model, size, *handles)
    maps = {name: output for name, output in outputs.items() if isinstance(output, Tensor) and output.ndim == 4}
    classes = [type(composed[name]) for name in maps]
    if not classes or max(classes.count(one) for one in classes) < 3:
        return []
    chosen = max(classes, key=classes.count)
    found = [(name, output) for name, output in maps.items() if type(composed[name]) is chosen]
    return [(name, Layout(MAP, (o.shape[2], o.shape[3]), 0, o.shape[1])) for name, o in found]


def _sequence_layers(model: nn.Module, size: tuple[int, int]) -> list[tuple[str, Layout]]:
    """For VGG, SqueezeNet: the steps of the longest `Sequential`, each from one with weights up to the next."""
    sequences = [(name, part) for name, part in model.named_modules() if isinstance(part, nn.Sequential)]
    if not sequences:
        raise UserError(f"{type(model).__name__} has neither residual blocks nor a sequence of layers to look at.")
    prefix, longest = max(sequences, key=lambda item: len(item[1]))
    ends: list[str] = []
    for name, child in longest.named_children():
        full = f"{prefix}.{name}" if prefix else name
        has_weights = any(parameter.ndim > 1 for parameter in child.parameters())
        if has_weights or not ends:
            ends.append(full)
        else:
            ends[-1] = full
    outputs: dict[str, Tensor] = {}
    handles = [
        model.get_submodule(name).register_forward_hook(lambda m, i, output, name=name: outputs.update({name: output}))
        for name in ends
    ]
    _probe(model, size, *handles)
    maps = {name: output for name, output in outputs.items() if isinstance(output, Tensor) and output.ndim == 4}
    if len(maps) < 2:
        raise UserError(f"{type(model).__name__} has neither residual blocks nor a sequence of maps to look at.")
    return [(name, Layout(MAP, (o.shape[2], o.shape[3]), 0, o.shape[1])) for name, o in maps.items()]


def _probe(model: nn.Module, size: tuple[int, int], *handles: torch.utils.hooks.RemovableHandle) -> None:
    like = next(model.parameters(), torch.zeros(1))
    with hooked(list(handles)), torch.no_grad():
        model(torch.zeros(2, 3, *size).to(like))


def image_batches(data: ImageData, predictor: Predictor, batch_size: int) -> Iterator[Batch]:
    """The images of `data` with the predictor's geometry, float32 in [0, 1] on its device, in order."""
    for start in range(0, len(data), batch_size):
        rows = range(start, min(start + batch_size, len(data)))
        images = [prepare(data.image(row), predictor.preprocessing) for row in rows]
        if len({image.shape for image in images}) > 1:
            raise UserError(f"The images of {data.name} differ in size and {predictor.name} declares none: --size")
        labels = torch.from_numpy(data.labels[rows.start : rows.stop])
        ids = data.ids[rows.start : rows.stop]
        yield Batch(torch.stack(images).to(predictor.device).float() / 255, labels, ids)


def structure_for(predictor: Predictor, images: Images) -> Structure:
    """The structure of a predictor's network at the size of `images`."""
    return find_structure(module_of(predictor), (images.shape[2], images.shape[3]))
