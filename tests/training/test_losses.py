"""Mixed targets and distillation against hand-computed cases."""

from dataclasses import replace
from math import log

import pytest
import torch
from recipes_small import SMALL, small

from weatherglass.data.load import load_data
from weatherglass.errors import UserError
from weatherglass.training.classification import Classification, load_teacher, soft_cross_entropy
from weatherglass.training.distillation import distilled_loss, hard_loss, soft_loss
from weatherglass.training.recipe import Distillation, Mixing, Network
from weatherglass.training.samples import Place


def objective(mixing: Mixing) -> Classification:
    return Classification(small(mixing=mixing), load_data("digits:train"), None)


def test_smoothed_targets_without_mixing() -> None:
    images, labels = torch.rand(2, 3, 32, 32), torch.tensor([3, 0])
    kept, targets = objective(Mixing(smoothing=0.1)).mixed(images, labels, key=1)
    assert kept is images
    expected = torch.full((2, 10), 0.01)
    expected[0, 3] = expected[1, 0] = 0.91
    torch.testing.assert_close(targets, expected)


@pytest.mark.parametrize("mixing", [Mixing(mixup=0.8), Mixing(cutmix=1.0), Mixing(mixup=0.8, cutmix=1.0)])
def test_mixed_targets_tell_the_share_of_each_image(mixing: Mixing) -> None:
    mixing = replace(mixing, smoothing=0.0)
    levels = torch.arange(8.0).view(8, 1, 1, 1).expand(8, 3, 32, 32)
    labels = torch.arange(8)
    for key in range(20):
        images, targets = objective(mixing).mixed(levels.clone(), labels, key=key)
        torch.testing.assert_close(targets.sum(1), torch.ones(8))
        # Every pixel of image i has the level i or 7 - i, so that the mean is the mean level of the targets.
        torch.testing.assert_close(images.mean((1, 2, 3)), targets[:, :8] @ torch.arange(8.0))
        again, _ = objective(mixing).mixed(levels.clone(), labels, key=key)
        assert torch.equal(images, again)


def test_cross_entropy_with_soft_targets() -> None:
    logits = torch.log(torch.tensor([[0.5, 0.25, 0.25]]))
    assert soft_cross_entropy(logits, torch.tensor([[0.5, 0.5, 0.0]])).item() == pytest.approx(
        0.5 * log(2) + 0.5 * log(4)
    )


def test_hard_distillation_learns_the_teachers_decision() -> None:
    student = torch.log(torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]]))
    teacher = torch.tensor([[1.0, 3.0, 2.0], [0.0, 9.0, 1.0]])
    assert hard_loss(student, teacher).item() == pytest.approx((log(4) - log(0.8)) / 2)
    mixed = distilled_loss(torch.tensor(2.0), student, teacher, Distillation("hard", teacher="any", weight=0.25))
    assert mixed.item() == pytest.approx(0.75 * 2 + 0.25 * (log(4) - log(0.8)) / 2)


def test_soft_distillation_is_a_divergence_times_the_squared_temperature() -> None:
    student, teacher = torch.log(torch.tensor([[0.5, 0.5]])), torch.log(torch.tensor([[0.9, 0.1]]))
    divergence = 0.9 * log(0.9 / 0.5) + 0.1 * log(0.1 / 0.5)
    assert soft_loss(student, teacher).item() == pytest.approx(divergence / 2, rel=1e-5)
    assert soft_loss(student, teacher, reduction="batchmean").item() == pytest.approx(divergence, rel=1e-5)
    # At temperature 2 the probabilities are those of halved logits.
    warm = torch.softmax(teacher / 2, 1)[0]
    expected = 4 * sum(float(p) * log(float(p) / 0.5) for p in warm)
    assert soft_loss(student, teacher, temperature=2.0, reduction="batchmean").item() == pytest.approx(
        expected, rel=1e-5
    )
    assert soft_loss(teacher, teacher).item() == pytest.approx(0, abs=1e-7)


def test_a_distillation_token_learns_from_the_teacher_and_labels_from_the_classifier() -> None:
    recipe = small(
        network=Network("timm/deit_tiny_distilled_patch16_224", {"depth": 1, "embed_dim": 24, "num_heads": 2}),
        image_size=32,
        mixing=Mixing(smoothing=0.0),
        distillation=Distillation("hard", teacher="digits_cnn"),
    )
    learned = Classification(recipe, load_data("digits:train"), None)
    model = learned.build().train()
    batch = learned.collate(samples(learned))
    loss = learned.loss(model, batch, key=0, device=torch.device("cpu"))
    with torch.no_grad():
        label_logits, token_logits = model(batch[0])
        pixels = batch[0] * torch.tensor(recipe.std).view(3, 1, 1) + torch.tensor(recipe.mean).view(3, 1, 1)
        taught = load_teacher(recipe, torch.device("cpu"), 10)(pixels).argmax(1)
        expected = (
            torch.nn.functional.cross_entropy(label_logits, batch[1])
            + torch.nn.functional.cross_entropy(token_logits, taught)
        ) / 2
    torch.testing.assert_close(loss.detach(), expected)
    model.eval()
    assert model(batch[0]).shape == (2, 10)


def samples(learned: Classification) -> list[tuple[torch.Tensor, int]]:
    return [learned.dataset[Place(index, 0, 0)] for index in range(2)]


def test_a_teacher_of_other_classes_is_refused() -> None:
    recipe = replace(SMALL, distillation=Distillation("hard", teacher="digits_cnn"))
    with pytest.raises(UserError, match="has 10 classes, the training data 100"):
        load_teacher(recipe, torch.device("cpu"), 100)


def test_validation_of_other_classes_is_refused() -> None:
    class Renamed:
        classes = ("zero", "one")
        name = "other"

    with pytest.raises(UserError, match="other has other classes than digits:train"):
        Classification(SMALL, load_data("digits:train"), Renamed())
