"""Our conflict stimuli keep the shape's outline and the texture's pixels."""

import pytest
import torch

from weatherglass.attacks.stimuli import conflict_stimuli
from weatherglass.errors import UserError


def disk(size: int = 48) -> torch.Tensor:
    """A dark disk on a bright ground."""
    place = torch.arange(size) - (size - 1) / 2
    inside = place[:, None].square() + place[None, :].square() < (size / 3) ** 2
    return torch.where(inside, 0.1, 0.9).expand(1, 3, size, size).clone()


def stripes(size: int = 48) -> torch.Tensor:
    """Red stripes, dark on the left and bright on the right."""
    wave = 0.2 * torch.sin(torch.arange(size) * 2.0)[:, None] + torch.linspace(0.2, 0.8, size)[None, :]
    image = torch.zeros(1, 3, size, size)
    image[0, 0] = wave.clamp(0, 1)
    return image


def test_outline_of_the_shape_colour_of_the_texture() -> None:
    shape, texture = disk(), stripes()
    made = conflict_stimuli(shape, texture, patch=8)
    assert made.shape == shape.shape
    assert 0 <= float(made.min()) <= float(made.max()) <= 1
    assert float(made[:, 1:].max()) == 0
    brightness = torch.stack([made[0, 0].flatten(), shape[0, 0].flatten()])
    assert float(torch.corrcoef(brightness)[0, 1]) > 0.7
    # Stripes run along the rows of both: neighbouring rows differ, which they do not in the disk.
    assert float(made[0, 0, :, 24].diff().abs().mean()) > 3 * float(shape[0, 0, :, 24].diff().abs().mean())
    assert torch.equal(made, conflict_stimuli(shape, texture, patch=8))


def test_an_image_in_its_own_texture_is_itself() -> None:
    image = torch.rand(2, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(conflict_stimuli(image, image, patch=4), image, atol=1e-5)


def test_sizes_off_the_grid_are_covered() -> None:
    generator = torch.Generator().manual_seed(0)
    shape, texture = torch.rand(1, 3, 21, 30, generator=generator), torch.rand(1, 3, 21, 30, generator=generator)
    assert torch.isfinite(conflict_stimuli(shape, texture, patch=8)).all()


@pytest.mark.parametrize("patch", [3, 0, 100])
def test_patches_that_do_not_fit(patch: int) -> None:
    with pytest.raises(UserError, match="even side"):
        conflict_stimuli(disk(), stripes(), patch=patch)
    with pytest.raises(UserError, match="one size"):
        conflict_stimuli(disk(), stripes(24), patch=8)
