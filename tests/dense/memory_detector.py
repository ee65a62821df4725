"""A detector that remembers scenes: it names the objects of the one most like its image, the less alike the worse."""

import torch
from torch import Tensor, nn

from weatherglass.data.load import load_data
from weatherglass.types import DetectionData

SCENES = "scene-objects:6@48x64"


class MemoryDetector(nn.Module):
    """Boxes move, and scores fall, with the difference between the image and the remembered one."""

    task = "detection"

    def __init__(self, spec: str = SCENES, *, drift: float = 1.0, masks: bool = True) -> None:
        super().__init__()
        data = load_data(spec)
        assert isinstance(data, DetectionData)
        self.class_names = data.classes
        self.remembered = [data.image(index).float() / 255 for index in range(len(data))]
        self.objects = [data.objects(index) for index in range(len(data))]
        self.drift, self.masks = drift, masks
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        return [self._found(image) for image in images]

    def _found(self, image: Tensor) -> dict[str, Tensor]:
        alike = [(one - image).abs().mean().item() if one.shape == image.shape else 9.0 for one in self.remembered]
        nearest = min(range(len(alike)), key=alike.__getitem__)
        true, far = self.objects[nearest], alike[nearest]
        moves = torch.linspace(0.0, 100 * self.drift * far, len(true))
        found = {
            "boxes": torch.from_numpy(true.boxes).float() + moves[:, None],
            "labels": torch.from_numpy(true.classes) + 1,
            "scores": (torch.linspace(0.95, 0.6, len(true)) - far).clamp(0.01, 1),
        }
        if self.masks and true.masks is not None and true.masks.shape[1:] == image.shape[1:]:
            drawn = torch.from_numpy(true.masks).float()
            found["masks"] = torch.stack([one.roll(int(move), 1) for one, move in zip(drawn, moves, strict=True)])[
                :, None
            ]
        return found


def steady() -> MemoryDetector:
    """One that is hard to disturb."""
    return MemoryDetector(drift=0.3)


def shaky() -> MemoryDetector:
    """One that is easily disturbed."""
    return MemoryDetector(drift=1.5)


def boxes_only() -> MemoryDetector:
    """One that finds no masks."""
    return MemoryDetector(masks=False)
