"""Networks that tests share: quick, deterministic, and sensitive to what a test wants to see."""

import torch
from torch import Tensor, nn

from weatherglass.types import Preprocessing


class TemplateNetwork(nn.Module):
    """Compares an image with one random template a class; quick, and sensitive to every disturbance."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.templates = nn.Parameter(torch.rand(10, 3 * 32 * 32, generator=generator) - 0.5)
        self.preprocessing = Preprocessing(source="test")

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) @ self.templates.T


class NotANumber(TemplateNetwork):
    """Fails on dark images alone."""

    def forward(self, images: Tensor) -> Tensor:
        dark = images.mean(dim=(1, 2, 3)) < 0.12
        return torch.where(dark[:, None], torch.nan, super().forward(images))
