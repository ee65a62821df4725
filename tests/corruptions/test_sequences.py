"""Perturbation sequences: what changes from frame to frame, seeding, and the geometry of the original's libraries."""

import cv2
import numpy as np
import pytest
import torch
import torchvision.transforms.functional as transforms
from PIL import Image

from weatherglass.corruptions.perturbations import PERTURBATION_SUITES, PERTURBATIONS, Grain
from weatherglass.corruptions.sequences import Perturbed, parse_sequence
from weatherglass.errors import UnknownName, UserError
from weatherglass.types import Batch

every_perturbation = pytest.mark.parametrize("name", PERTURBATIONS)


def smooth(count: int, height: int, width: int) -> torch.Tensor:
    generator = np.random.default_rng(0)
    coarse = generator.uniform(20, 235, (count, 5, 7, 3)).astype(np.float32)
    pictures = [cv2.resize(one, (width, height), interpolation=cv2.INTER_CUBIC) for one in coarse]
    return torch.from_numpy(np.clip(pictures, 0, 255).astype(np.uint8)).permute(0, 3, 1, 2).contiguous()


def frames(images: torch.Tensor, text: str, ids: tuple[str, ...] = ("a", "b", "c"), seed: int = 0) -> torch.Tensor:
    batch = Batch(images, torch.zeros(len(images), dtype=torch.long), ids[: len(images)])
    return torch.stack(list(parse_sequence(text).frames_of_input(batch, seed=seed)))


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return smooth(3, 33, 41)


@every_perturbation
def test_frames_keep_shape_type_and_range_and_differ(images: torch.Tensor, name: str) -> None:
    before = images.clone()
    for pictures in (images, images.float() / 255):
        found = frames(pictures, f"sequence:{name}")
        assert found.dtype == pictures.dtype
        assert found.shape[1:] == pictures.shape
        assert found.shape[0] == PERTURBATIONS[name].level(32).frames
        if pictures.dtype != torch.uint8:
            assert 0 <= found.min() <= found.max() <= 1
    assert torch.equal(images, before)
    steps = frames(images, f"sequence:{name}").float().diff(dim=0).abs().amax(dim=(1, 2, 3, 4))
    assert (steps > 0).float().mean() > 0.9


@every_perturbation
def test_frames_depend_on_seed_and_id_alone(images: torch.Tensor, name: str) -> None:
    whole = frames(images, f"sequence:{name}")
    assert torch.equal(frames(images[[2, 0]], f"sequence:{name}", ids=("c", "a")), whole[:, [2, 0]])
    random = PERTURBATIONS[name].noise or name in ("snow", "spatter")
    assert torch.equal(frames(images, f"sequence:{name}", seed=1), whole) != random


@pytest.mark.parametrize(("side", "count"), [(224, 41), (64, 31), (32, 16)])
def test_constants_follow_the_size(side: int, count: int) -> None:
    assert len(frames(smooth(1, side, side), "sequence:translate")) == count
    assert f"{count} frames" in Perturbed("translate").protocol(side, side)["sequence"]
    assert "16 frames" in Perturbed("translate", calibration=32).protocol(224, 224)["sequence"]


def test_what_moves_moves_as_it_says(images: torch.Tensor) -> None:
    moved = frames(images, "sequence:translate")
    assert torch.equal(moved[7], images)
    assert torch.equal(moved[9][..., 2:], images[..., :-2])
    assert not moved[9][..., :2].any()
    assert torch.equal(moved[0][..., :-7], images[..., 7:])
    dark_to_bright = frames(images, "sequence:brightness").float().mean(dim=(1, 2, 3, 4))
    assert (dark_to_bright.diff() > 0).all()
    assert torch.equal(frames(images, "sequence:brightness")[15], images)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("rotate", lambda i: {"angle": i - 15, "scale": 1.0, "shear": [0.0, 0.0]}),
        ("shear", lambda i: {"angle": 0, "scale": 1.0, "shear": [float(i - 15), 0.0]}),
        ("scale", lambda i: {"angle": 0, "scale": (40 + 2.5 * i) / 100, "shear": [0.0, 0.0]}),
    ],
)
def test_geometry_is_that_of_torchvision(name: str, options) -> None:
    picture = smooth(1, 224, 224)
    found = frames(picture, f"sequence:{name}")[:, 0]
    original = Image.fromarray(picture[0].permute(1, 2, 0).numpy())
    for i in (0, 5, 20, 30):
        wanted = transforms.affine(  # of a PIL image, as the published frames were made
            original,  # pyright: ignore[reportArgumentType]
            translate=[0, 0],
            interpolation=transforms.InterpolationMode.BILINEAR,
            **options(i),
        )
        difference = np.abs(np.asarray(wanted).astype(int) - found[i].permute(1, 2, 0).numpy())
        assert np.mean(difference <= 1) > 0.98  # they part at the seam to black


def test_tilt_is_the_published_homography() -> None:
    picture = smooth(1, 224, 224)
    found = frames(picture, "sequence:tilt")[:, 0]
    angle, (height, width) = np.deg2rad(10), (224, 224)
    focal = np.hypot(height, width)
    about_x = np.array(
        [[1, 0, 0, 0], [0, np.cos(angle), -np.sin(angle), 0], [0, np.sin(angle), np.cos(angle), 0], [0, 0, 0, 1]]
    )
    about_y = np.array(
        [[np.cos(angle), 0, -np.sin(angle), 0], [0, 1, 0, 0], [np.sin(angle), 0, np.cos(angle), 0], [0, 0, 0, 1]]
    )
    away = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, focal], [0, 0, 0, 1]])
    onto = np.array([[1, 0, -width / 2], [0, 1, -height / 2], [0, 0, 0], [0, 0, 1]])
    seen = np.array([[focal, 0, width / 2, 0], [0, focal, height / 2, 0], [0, 0, 1, 0]])
    source = picture[0].permute(1, 2, 0).numpy()
    wanted = cv2.warpPerspective(source, seen @ away @ about_x @ about_y @ onto, (width, height))
    assert np.mean(np.abs(wanted.astype(int) - found[25].permute(1, 2, 0).numpy()) <= 1) > 0.98


def test_noise_starts_clean_and_grows_with_difficulty(images: torch.Tensor) -> None:
    for name in ("gaussian_noise", "shot_noise", "speckle_noise"):
        spread = []
        for text in (f"sequence:{name}", f"sequence:{name},difficulty=2", f"sequence:{name},difficulty=3"):
            found = frames(images, text)
            assert torch.equal(found[0], images)
            spread.append((found[1:].float() - images.float()).std().item())
        assert spread[0] < spread[1] < spread[2]
    level = PERTURBATIONS["gaussian_noise"].level(32)
    assert isinstance(level, Grain)
    noise = frames(torch.full((1, 3, 32, 32), 0.5), "sequence:gaussian_noise")[1:] - 0.5
    assert noise.std().item() == pytest.approx(level.values[0], rel=0.02)


def test_zoom_blur_is_a_running_mean(images: torch.Tensor) -> None:
    found = frames(images.float() / 255, "sequence:zoom_blur")
    assert torch.allclose(found[0], images.float() / 255, atol=1e-5)
    detail = found.diff(dim=-1).abs().mean(dim=(1, 2, 3, 4))
    assert detail[-1] < detail[0]


def test_drops_run_down() -> None:
    grey = torch.full((1, 3, 64, 64), 100, dtype=torch.uint8)
    found = frames(grey, "sequence:spatter").float().mean(dim=(1, 2, 4))  # frames rows
    wet = found - 100
    centre = (wet * torch.arange(64)).sum(dim=1) / wet.sum(dim=1)
    assert centre[10] > centre[0]


def test_texts_and_mistakes() -> None:
    for text in ("sequence:tilt", "sequence:shot_noise,difficulty=2"):
        assert str(parse_sequence(text)) == text
    assert parse_sequence("sequence:shot_noise,difficulty=1") == Perturbed("shot_noise")
    with pytest.raises(UnknownName, match="Did you mean tilt"):
        parse_sequence("sequence:titl")
    with pytest.raises(UserError, match="same frames at every difficulty"):
        parse_sequence("sequence:tilt,difficulty=2")
    with pytest.raises(UserError, match="1, 2 or 3"):
        parse_sequence("sequence:shot_noise,difficulty=4")
    with pytest.raises(UserError, match="one option"):
        parse_sequence("sequence:tilt,angle=3")


def test_the_suites_are_the_published_ones() -> None:
    assert len(PERTURBATION_SUITES["imagenet-p"].names) == 10
    names = {suite: set(item.names) for suite, item in PERTURBATION_SUITES.items()}
    assert names["imagenet-p"] ^ names["cifar10-p"] == {"snow", "spatter"}
    assert names["imagenet-p-extra"] == {"speckle_noise", "gaussian_blur", "spatter", "shear"}
