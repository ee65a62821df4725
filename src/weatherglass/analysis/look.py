"""Rollout and class activation of many images, clean beside disturbed."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from weatherglass.analysis.attention_maps import attention_rollout, class_activation
from weatherglass.analysis.labels import labelled_for
from weatherglass.analysis.recording import image_batches
from weatherglass.errors import UserError
from weatherglass.types import Disturbance, ImageData, Predictor

HEAT = np.array([(0, 0, 0), (60, 20, 90), (180, 50, 80), (245, 140, 40), (255, 245, 170)], dtype=np.float64)


@dataclass(frozen=True)
class Looks:
    """Maps of where a model looks."""

    clean: UInt8[np.ndarray, "shown height width 3"]
    """The first few images."""
    disturbed: UInt8[np.ndarray, "shown height width 3"]
    maps: dict[str, tuple[Tensor, Tensor]]
    """'rollout' (where attention is global) and 'activation' -> maps of the clean and of the disturbed images."""
    agreement: dict[str, Float[np.ndarray, " images"]]
    """Correlation over the grid between the clean and the disturbed map of each image."""

    @property
    def columns(self) -> list[str]:
        """What the columns of the contact sheet show."""
        return ["clean", *(f"{m}, clean" for m in self.maps), "disturbed", *(f"{m}, disturbed" for m in self.maps)]


def looks(
    predictor: Predictor,
    data: ImageData,
    disturbance: Disturbance,
    *,
    seed: int = 0,
    pictures: int = 8,
    batch_size: int = 16,
) -> Looks:
    """Both kinds of map for clean and disturbed images; the activation is of the class predicted on the clean ones.

    Rollout is left out for models whose attention is not global. The first `pictures` images are kept to be shown.
    Raises `UserError` as `labelled_for` does.
    """
    shown: list[list[Tensor]] = [[], []]
    maps: dict[str, list[list[Tensor]]] = {"rollout": [[], []], "activation": [[], []]}
    for batch in image_batches(labelled_for(data, predictor, [disturbance]), predictor, batch_size):
        changed = disturbance.of_input(batch, predictor, seed=seed)
        versions = (batch.images, changed.float() / 255 if changed.dtype == torch.uint8 else changed)
        with torch.no_grad():
            classes = predictor(batch.images).argmax(dim=1)
        for side, images in enumerate(versions):
            few = images[: max(0, pictures - sum(map(len, shown[side])))]
            shown[side].append((few * 255).round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu())
            maps["activation"][side].append(class_activation(predictor, images, classes).cpu())
            if "rollout" in maps:
                try:
                    maps["rollout"][side].append(attention_rollout(predictor, images).cpu())
                except UserError:
                    del maps["rollout"]
    joined = {name: (torch.cat(sides[0]), torch.cat(sides[1])) for name, sides in maps.items()}
    clean, disturbed = (torch.cat(parts).numpy() for parts in shown)
    return Looks(clean, disturbed, joined, {name: correlation(*pair) for name, pair in joined.items()})


def correlation(
    first: Float[Tensor, "images rows columns"], second: Float[Tensor, "images rows columns"]
) -> Float[np.ndarray, " images"]:
    """Pearson correlation of two maps over the grid; 0 where one of them is constant."""
    one, two = (maps.flatten(1).double() - maps.flatten(1).double().mean(1, keepdim=True) for maps in (first, second))
    scale = one.norm(dim=1) * two.norm(dim=1)
    return torch.where(scale > 0, (one * two).sum(1) / scale.clamp_min(1e-30), 0.0).numpy()


def looks_sheet(found: Looks, count: int, *, side: int = 80) -> UInt8[np.ndarray, "height width 3"]:
    """One row an image; columns as `found.columns` says."""
    from PIL import Image

    rows = []
    for index in range(min(count, len(found.clean))):
        parts = []
        for version, pictures in enumerate((found.clean, found.disturbed)):
            parts.append(pictures[index])
            parts += [heat(pair[version][index]) for pair in found.maps.values()]
        resized = [np.array(Image.fromarray(part).resize((side, side), Image.Resampling.BILINEAR)) for part in parts]
        framed = [np.pad(part, ((2, 2), (2, 2), (0, 0)), constant_values=255) for part in resized]
        rows.append(np.concatenate(framed, axis=1))
    return np.concatenate(rows)


def heat(values: Float[Tensor, "rows columns"]) -> UInt8[np.ndarray, "rows columns 3"]:
    """A map from dark (its least) to bright (its most)."""
    low, high = float(values.min()), float(values.max())
    place = ((values.numpy() - low) / max(high - low, 1e-12)) * (len(HEAT) - 1)
    index = np.minimum(place.astype(int), len(HEAT) - 2)
    share = (place - index)[..., None]
    return (HEAT[index] * (1 - share) + HEAT[index + 1] * share).round().astype(np.uint8)
