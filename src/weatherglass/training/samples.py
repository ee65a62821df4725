"""Training samples: in which order, on which process, and how each is augmented.

The order of an epoch follows from (seed, epoch), the augmentation of a sample from (seed, epoch, copy, sample id).
There is no state to save: a run that goes on in the middle of an epoch sees what it would have seen, with any number
of loading processes.
"""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from weatherglass.errors import UserError
from weatherglass.randomness import Draws
from weatherglass.training.recipe import Recipe
from weatherglass.types import ImageData


class Place(NamedTuple):
    """One sample of an epoch: which image, and which of its augmented copies."""

    sample: int
    epoch: int
    copy: int


def epoch_order(samples: int, epoch: int, *, seed: int, repeats: int = 1) -> Int[np.ndarray, "places 2"]:
    """The (index, copy) of every sample of an epoch, shuffled.

    With `repeats` above 1, repeated augmentation (Hoffer et al. 2020, as DeiT does it): the shuffled images stand
    `repeats` times in a row, and the epoch ends after as many samples as there are images, rounded down to 256 where
    there are so many.
    """
    key = Draws(seed, (epoch,), "training order").stream_keys("shuffle")[0]
    shuffled = np.random.default_rng(int(key)).permutation(samples)
    if repeats == 1:
        return np.stack([shuffled, np.zeros_like(shuffled)], axis=1)
    order = np.stack([np.repeat(shuffled, repeats), np.tile(np.arange(repeats), samples)], axis=1)
    return order[: epoch_length(samples, repeats)]


def epoch_length(samples: int, repeats: int = 1) -> int:
    """How many samples `epoch_order` gives."""
    return samples if repeats == 1 else samples // 256 * 256 or samples


def dealt(batch: Sequence[Any], part: int, parts: int) -> list[Any]:
    """The share of one of `parts` workers (processes, or accumulated parts) in a batch.

    Position i and its mirror image, batch - 1 - i, go to the same part and are mirror images there too, so that
    Mixup, which pairs mirror images, mixes the same pairs however many parts there are. Neighbours go to
    different parts: copies of an image are spread, as repeated augmentation wants. An odd share (a batch of two on two
    parts) cannot be paired and is dealt in turn.
    """
    if len(batch) % (2 * parts):
        return list(batch[part::parts])
    half = len(batch) // 2
    lower = range(part, half, parts)
    return [batch[i] for i in lower] + [batch[len(batch) - 1 - i] for i in reversed(lower)]


class AugmentedImages(Dataset[tuple[Tensor, int]]):
    """Images as the recipe wants them for training: augmented and normalised, with their labels."""

    def __init__(self, data: ImageData, recipe: Recipe) -> None:
        self.data = data
        self.seed = recipe.seed
        self.transform = training_transform(recipe)

    def __getitem__(self, place: Place) -> tuple[Float[Tensor, "3 height width"], int]:
        pixels = self.data.image(place.sample)
        image = Image.fromarray(pixels.permute(1, 2, 0).numpy())
        draws = Draws(self.seed, (self.data.ids[place.sample],), f"training epoch {place.epoch} copy {place.copy}")
        with seeded_libraries(int(draws.stream_keys("augmentation")[0])):
            return self.transform(image), int(self.data.labels[place.sample])


def training_transform(recipe: Recipe) -> Any:
    """timm's transforms with the recipe's numbers: PIL image to normalised float32."""
    from timm.data.transforms_factory import create_transform
    from torchvision import transforms

    chosen = recipe.augmentation
    try:
        transform = create_transform(
            recipe.image_size,
            is_training=True,
            scale=chosen.scale,
            hflip=chosen.flip,
            color_jitter=chosen.colour_jitter or None,  # pyright: ignore[reportArgumentType]
            auto_augment=chosen.policy or None,
            interpolation=chosen.interpolation,
            mean=recipe.mean,
            std=recipe.std,
            re_prob=chosen.erasing,
            re_mode="pixel",
            re_count=1,
        )
    except (AssertionError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"augmentation.policy '{chosen.policy}' is none that timm knows ({error}): give a form such as "
            "'rand-m9-mstd0.5-inc1', '3a', or ''."
        ) from None
    _allow_black(transform)
    if chosen.crop == "resized":
        return transform
    interpolation = transforms.InterpolationMode(
        "bicubic" if chosen.interpolation == "random" else chosen.interpolation
    )
    steps: list[Any] = [
        transforms.Resize(recipe.image_size, interpolation),
        transforms.CenterCrop(recipe.image_size),
    ]
    if chosen.crop == "padded" and chosen.padding:
        steps.append(transforms.RandomCrop(recipe.image_size, chosen.padding, padding_mode="reflect"))
    # timm has no other crop; the random resized one stands first in its list.
    return transforms.Compose([*steps, *transform.transforms[1:]])  # pyright: ignore[reportAttributeAccessIssue]


def _allow_black(transform: Any) -> None:
    """Let RandAugment posterise to 0 bits, as it asks for at magnitude 10 ('m9-mstd0.5' reaches it by chance).

    Pillow used to answer with a black image and now with an error.
    """
    from timm.data.auto_augment import posterize

    for step in transform.transforms:
        policies = [getattr(step, "ops", []), *getattr(step, "policy", [])]
        for operation in (operation for operations in policies for operation in operations):
            if operation.aug_fn is posterize:
                operation.aug_fn = _posterised


def _posterised(image: Image.Image, bits_to_keep: int, **options: Any) -> Image.Image:
    """A function of the module, so that it can be sent to a process that loads samples."""
    from timm.data.auto_augment import posterize

    return posterize(image, bits_to_keep) if bits_to_keep > 0 else Image.new(image.mode, image.size)


@contextmanager
def seeded_libraries(key: int) -> Iterator[None]:
    """The global generators of Python, NumPy and torch follow from `key` inside, and are as before afterwards.

    timm's and torchvision's transforms draw from all three and take no generator.
    """
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(key)
    np.random.seed(key & 0xFFFFFFFF)
    torch.default_generator.manual_seed(key & 0x7FFFFFFFFFFFFFFF)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
