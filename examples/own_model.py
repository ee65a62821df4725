"""A model of your own: `weatherglass evaluate examples/own_model.py:nearest_mean --data digits:test`.

The factory takes no arguments and returns a `torch.nn.Module`. Three attributes are read where the module has them:
`preprocessing`, `class_names`, and timm's `pretrained_cfg`. Run as a program, this file writes the model in two
formats that hold a network and its weights together.
"""

import torch
from torch import Tensor, nn

from weatherglass import load_data
from weatherglass.types import Preprocessing


class NearestMean(nn.Module):
    """The class whose mean picture is nearest: -|x - m|^2, as a linear layer."""

    preprocessing = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    class_names = tuple("0123456789")

    def __init__(self, means: Tensor) -> None:
        super().__init__()
        self.head = nn.Linear(means.shape[1], len(means))
        self.head.weight.data = 2 * means
        self.head.bias.data = -means.square().sum(dim=1)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(images.mean(dim=1).flatten(1)) / 100


def nearest_mean() -> nn.Module:
    """Means of the 1,200 training digits, normalised as `preprocessing` says."""
    digits = load_data("digits:train")
    pixels = torch.stack([digits.image(index) for index in range(len(digits))]) / 255
    flat = ((pixels - 0.5) / 0.5).mean(dim=1).flatten(1)
    labels = torch.from_numpy(digits.labels)
    return NearestMean(torch.stack([flat[labels == digit].mean(dim=0) for digit in range(10)]))


def main() -> None:
    """Write nearest_mean.pt2 and nearest_mean.onnx."""
    model, images = nearest_mean().eval(), torch.rand(2, 3, 32, 32)
    any_batch = ({0: torch.export.Dim.DYNAMIC},)
    torch.export.save(torch.export.export(model, (images,), dynamic_shapes=any_batch), "nearest_mean.pt2")
    torch.onnx.export(model, (images,), "nearest_mean.onnx", dynamic_shapes=any_batch, external_data=False)


if __name__ == "__main__":
    main()
