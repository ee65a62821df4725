"""Models whose worst perturbation is known in closed form, and images for them."""

import torch
from torch import Tensor, nn

from weatherglass.types import Batch, Predictor


class Linear(nn.Module):
    """logits = weights . pixels + bias, on 8x8 images."""

    def __init__(self, classes: int = 2, scale: float = 1.0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.weights = nn.Parameter(scale * torch.randn(classes, 3 * 8 * 8, generator=generator))
        self.bias = nn.Parameter(-0.5 * self.weights.detach().sum(dim=1))

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) @ self.weights.T + self.bias


class Convolutional(nn.Module):
    """Small, curved, with batch normalisation and dropout, whose modes an attack must leave alone."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(1)
            self.layers = nn.Sequential(
                nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.GELU(), nn.Dropout(0.5), nn.Conv2d(8, 10, 4)
            )

    def forward(self, images: Tensor) -> Tensor:
        return 20 * self.layers(images).flatten(1)


def batch_of(predictor: Predictor, samples: int = 70, low: float = 0.2, high: float = 0.8) -> Batch:
    """Random images whose labels are what the predictor sees in them."""
    generator = torch.Generator().manual_seed(0)
    images = low + (high - low) * torch.rand(samples, 3, 8, 8, generator=generator)
    with torch.no_grad():
        labels = predictor(images).argmax(dim=1)
    return Batch(images, labels, tuple(f"{index:03d}" for index in range(samples)))
