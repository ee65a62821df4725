"""Small networks for the tests of the analyses."""

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import nn


@pytest.fixture(autouse=True)
def one_thread():
    """Small tensors: a second thread only waits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def vit() -> nn.Module:
    """Four blocks, 16 patch tokens and a class token, 32x32 pixels."""
    torch.manual_seed(0)
    return VisionTransformer(img_size=32, patch_size=8, embed_dim=32, depth=4, num_heads=4, num_classes=10).eval()


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
