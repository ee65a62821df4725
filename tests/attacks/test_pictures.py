"""Numbers of perturbations whose structure is known."""

import pytest
import torch

from weatherglass.attacks.pictures import (
    border_scores,
    coherence,
    describe,
    foreground_concentration,
    mean_magnitude,
    mean_spectrum,
    panel,
    picture_of,
    ring_spectrum,
)


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("offset", [0, 3])
def test_constant_patches_jump_at_their_borders_alone(offset: int) -> None:
    patches = noise(4, 3, 5, 5).repeat_interleave(8, dim=2).repeat_interleave(8, dim=3)
    moved = patches[:, :, 8 - offset : 40 - offset, 8 - offset : 40 - offset]
    scores = border_scores(moved, 8)
    assert max(range(8), key=scores.__getitem__) == offset
    assert scores[offset] == float("inf")
    assert describe(moved, 8).aligned == (offset == 0)


def test_noise_has_no_borders_and_no_coherence() -> None:
    plain = noise(64, 3, 32, 32)
    assert all(score == pytest.approx(1, abs=0.05) for score in border_scores(plain, 8))
    assert coherence(plain) == pytest.approx(0, abs=0.01)
    smooth = noise(16, 3, 8, 8).repeat_interleave(8, dim=2).repeat_interleave(8, dim=3)
    assert coherence(smooth) > 0.8


def test_patches_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        border_scores(noise(1, 3, 8, 8), 8)


def test_the_spectrum_of_a_wave_is_in_its_ring() -> None:
    position = torch.arange(64).float()
    coarse = torch.cos(2 * torch.pi * 2 / 64 * position).expand(1, 3, 64, 64)
    fine = torch.cos(2 * torch.pi * 30 / 64 * position).expand(1, 3, 64, 64)
    assert ring_spectrum(coarse)[0] == pytest.approx(1, abs=1e-6)
    assert ring_spectrum(fine)[7] == pytest.approx(1, abs=1e-6)
    assert sum(ring_spectrum(noise(2, 3, 32, 32))) == pytest.approx(1)
    assert ring_spectrum(torch.zeros(1, 3, 8, 8)) == [0.0] * 8


def test_foreground_concentration() -> None:
    magnitude, foreground = torch.ones(2, 10, 10), torch.zeros(2, 10, 10, dtype=torch.bool)
    foreground[:, :5, :5] = True
    magnitude[1] = foreground[1].float()
    assert foreground_concentration(magnitude, foreground).tolist() == pytest.approx([1.0, 4.0])


def test_means_over_images() -> None:
    perturbation = torch.zeros(2, 3, 8, 8)
    perturbation[0, :, 2, 3], perturbation[1, :, 2, 3] = 0.5, -0.5
    assert mean_magnitude(perturbation)[2, 3] == 0.5
    assert mean_magnitude(perturbation).sum() == 0.5
    wave = torch.cos(2 * torch.pi * 2 / 8 * torch.arange(8)).expand(1, 3, 8, 8)
    spectrum = mean_spectrum(wave)
    assert spectrum.argmax().item() in (4 * 8 + 2, 4 * 8 + 6)  # two cycles across, none down
    assert spectrum[4, 4] == pytest.approx(0, abs=1e-4)


def test_pictures_are_grey_where_nothing_changes() -> None:
    perturbation = torch.zeros(3, 2, 2)
    perturbation[0, 0, 0] = 0.1
    picture = picture_of(perturbation, 0.1)
    assert picture[0, 0, 0] == 1
    assert picture[1, 1, 1] == 0.5
    sheet = panel(torch.rand(2, 3, 4, 4), [noise(2, 3, 4, 4)] * 3, enlarge=2)
    assert sheet.shape == (3, 4 * 12, 4 * 12)  # two images, their mean and the spectrum
    assert panel(torch.rand(5, 3, 4, 4), [noise(5, 3, 4, 4)], shown=1).shape == (3, 3 * 8, 2 * 8)
    assert 0 <= float(sheet.min()) <= float(sheet.max()) <= 1
