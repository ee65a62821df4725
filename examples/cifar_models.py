"""Your own models: two small CIFAR-10 networks that no library carries, given as `file.py:factory`.

    WEIGHTS=path/to/weights weatherglass evaluate examples/cifar_models.py:resnet20 --data ...

A factory takes no arguments and returns a `torch.nn.Module`. Its attribute `preprocessing` says how the images are to
be normalised; the module itself gets normalised images and must not normalise again.
"""

import os
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from weatherglass.types import Preprocessing

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


class ShortcutBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut without parameters (He et al. 2016, CIFAR form, option A)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.stride = outputs // inputs
        self.conv1 = nn.Conv2d(inputs, outputs, 3, self.stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, images: Tensor) -> Tensor:
        hidden = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(images)))))
        if self.stride > 1:  # every second pixel; a quarter of the output channels of zeros on each side
            border = hidden.shape[1] // 4
            images = F.pad(images[:, :, ::2, ::2], (0, 0, 0, 0, border, border))
        return F.relu(hidden + images)


class ResNet20(nn.Module):
    """CIFAR ResNet-20: 0.27 million parameters."""

    preprocessing = Preprocessing(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    class_names = CLASSES

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(*(ShortcutBlock(16, 16) for _ in range(3)))
        self.layer2 = nn.Sequential(ShortcutBlock(16, 32), *(ShortcutBlock(32, 32) for _ in range(2)))
        self.layer3 = nn.Sequential(ShortcutBlock(32, 64), *(ShortcutBlock(64, 64) for _ in range(2)))
        self.linear = nn.Linear(64, 10)

    def forward(self, images: Tensor) -> Tensor:
        hidden = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(images))))))
        return self.linear(hidden.mean(dim=(2, 3)))


class PlainBlock(nn.Module):
    """Two 3x3 convolutions without batch normalisation; a 1x1 convolution on the shortcut where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1)
        self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride)) if stride > 1 else nn.Sequential()

    def forward(self, images: Tensor) -> Tensor:
        return F.relu(self.conv2(F.relu(self.conv1(images))) + self.shortcut(images))


class ResNet2B(nn.Module):
    """A ResNet of two blocks, small enough for formal verification."""

    preprocessing = Preprocessing(mean=(0.4914, 0.4822, 0.4465), std=(0.2471, 0.2435, 0.2616))
    class_names = CLASSES

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, 2, 1)
        self.layer1 = nn.Sequential(PlainBlock(8, 16, 2), PlainBlock(16, 16, 1))
        self.linear1 = nn.Linear(1024, 100)
        self.linear2 = nn.Linear(100, 10)

    def forward(self, images: Tensor) -> Tensor:
        hidden = self.layer1(F.relu(self.conv1(images)))
        return self.linear2(F.relu(self.linear1(hidden.flatten(1))))


def resnet20() -> nn.Module:
    """ResNet-20 with the weights `cifar10_resnet20.npz`."""
    return with_weights(ResNet20(), "cifar10_resnet20.npz")


def resnet2b() -> nn.Module:
    """ResNet-2B, adversarially trained, with the weights `cifar10_resnet2b_adv2.npz`."""
    return with_weights(ResNet2B(), "cifar10_resnet2b_adv2.npz")


def with_weights(model: nn.Module, file: str) -> nn.Module:
    """`model` with the arrays of an .npz file; an int8 array is multiplied by its `<name>.scale`."""
    path = Path(os.environ.get("WEIGHTS", "../shared/data/weights")) / file
    arrays = np.load(path)
    names = [name for name in arrays.files if not name.endswith(".scale")]
    state = {
        name: torch.from_numpy(arrays[name] * arrays[f"{name}.scale"] if f"{name}.scale" in arrays else arrays[name])
        for name in names
    }
    missing, unexpected = model.load_state_dict(state, strict=False)
    lacking = [name for name in missing if not name.endswith("num_batches_tracked")]
    if lacking or unexpected:
        raise ValueError(f"{path} does not fit: without {lacking}, left over {unexpected}")
    return model
