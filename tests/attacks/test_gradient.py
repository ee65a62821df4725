"""Attacks reach the known optimum, stay in their ball, and leave the model as it was."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from attack_models import Convolutional, Linear, batch_of
from torch import Tensor, nn

from weatherglass.attacks.disturbance import Attacked
from weatherglass.attacks.gradient import Ascent
from weatherglass.attacks.norms import perturbation_norm
from weatherglass.attacks.objective import Objective
from weatherglass.attacks.parse import parse_attack
from weatherglass.types import Predictor

PredictorOf = Callable[..., Predictor]
TEXTS = ["fgsm@4/255", "pgd-10@4/255", "pgd-10:start=random,restarts=2@4/255", "pgd_l2-10@0.5", "mifgsm@4/255"]


def loss_of(predictor: Predictor, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return torch.nn.functional.cross_entropy(predictor(images).double(), labels, reduction="none")


def margin_of(predictor: Predictor, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """By how much the true output exceeds the largest other."""
    with torch.no_grad():
        logits = predictor(images).double()
    true = logits.gather(1, labels[:, None])
    return true.squeeze(1) - logits.scatter(1, labels[:, None], -torch.inf).amax(dim=1)


def accuracy(predictor: Predictor, images: torch.Tensor, labels: torch.Tensor) -> float:
    with torch.no_grad():
        return float((predictor(images).argmax(dim=1) == labels).float().mean())


@pytest.mark.parametrize("text", ["fgsm@2/255", "pgd:exit=never@2/255", "mifgsm@2/255"])
def test_the_max_norm_optimum_of_a_linear_model_is_reached(predictor_of: PredictorOf, text: str) -> None:
    model = Linear(2, scale=0.02)
    predictor = predictor_of(model)
    batch = batch_of(predictor)
    attack = parse_attack(text)
    found = attack.of_input(batch, predictor, seed=0)
    # Two classes: the loss falls with the difference of the logits, which falls most along -sign of its weights.
    difference = (model.weights[1] - model.weights[0]).detach().view(1, 3, 8, 8).sign()
    away = torch.where(batch.labels == 0, 1.0, -1.0)[:, None, None, None]
    assert torch.allclose(found, batch.images + attack.radius * away * difference, atol=1e-6)


def test_the_euclidean_optimum_of_a_linear_model_is_reached(predictor_of: PredictorOf) -> None:
    model = Linear(2, scale=0.02)
    predictor = predictor_of(model)
    batch = batch_of(predictor)
    found = parse_attack("pgd_l2:exit=never@0.5").of_input(batch, predictor, seed=0)
    difference = (model.weights[1] - model.weights[0]).detach().view(1, 3, 8, 8)
    away = torch.where(batch.labels == 0, 1.0, -1.0)[:, None, None, None]
    assert torch.allclose(found, batch.images + 0.5 * away * difference / difference.norm(), atol=1e-5)


@pytest.mark.parametrize("text", TEXTS)
def test_perturbations_stay_in_the_ball_and_in_the_box(predictor_of: PredictorOf, text: str) -> None:
    predictor = predictor_of(Convolutional())
    batch = batch_of(predictor, low=0.0, high=1.0)
    attack = parse_attack(text)
    found = attack.of_input(batch, predictor, seed=0)
    assert float(perturbation_norm(found - batch.images, attack.threat.norm).max()) <= attack.radius + 1e-6
    assert float(found.min()) >= 0
    assert float(found.max()) <= 1
    assert loss_of(predictor, found, batch.labels).mean() > loss_of(predictor, batch.images, batch.labels).mean()


@pytest.mark.parametrize("text", TEXTS)
def test_radius_zero_is_clean(predictor_of: PredictorOf, text: str) -> None:
    predictor = predictor_of(Convolutional())
    batch = batch_of(predictor)
    found = replace(parse_attack(text), radius=0.0).of_input(batch, predictor, seed=0)
    assert torch.equal(found, batch.images)


@pytest.mark.parametrize("name", ["fgsm", "pgd-20", "pgd_l2-20"])
def test_a_larger_radius_is_never_better_for_the_model(predictor_of: PredictorOf, name: str) -> None:
    predictor = predictor_of(Convolutional())
    batch = batch_of(predictor, 128)
    radii = [0.0, 0.2, 0.5, 1.0, 2.0] if "l2" in name else [0.0, 1 / 255, 2 / 255, 4 / 255, 16 / 255]
    kept = [
        accuracy(
            predictor, replace(parse_attack(f"{name}@0"), radius=r).of_input(batch, predictor, seed=0), batch.labels
        )
        for r in radii
    ]
    assert kept[0] == 1
    assert kept == sorted(kept, reverse=True)
    assert kept[-1] < 0.2


def test_stronger_attacks_are_stronger_and_noise_is_weak(predictor_of: PredictorOf) -> None:
    predictor = predictor_of(Convolutional())
    batch = batch_of(predictor, 128)
    kept = {
        text: accuracy(predictor, parse_attack(f"{text}@3/255").of_input(batch, predictor, seed=0), batch.labels)
        for text in ("random_sign", "fgsm", "pgd", "pgd:restarts=3")
    }
    assert kept["pgd:restarts=3"] <= kept["pgd"] <= kept["fgsm"] < kept["random_sign"] - 0.3


def test_early_exit_changes_the_loss_but_not_the_accuracy(predictor_of: PredictorOf) -> None:
    predictor = predictor_of(Convolutional())
    batch = batch_of(predictor, 128)
    early, full = (
        parse_attack(f"pgd-20{option}@2/255").of_input(batch, predictor, seed=0) for option in ("", ":exit=never")
    )
    assert accuracy(predictor, early, batch.labels) == accuracy(predictor, full, batch.labels)
    assert loss_of(predictor, full, batch.labels).mean() > loss_of(predictor, early, batch.labels).mean()


@pytest.mark.parametrize("text", [*TEXTS, "autoattack:version=apgd@4/255"])
def test_the_model_stays_as_it_was(predictor_of: PredictorOf, text: str) -> None:
    if "autoattack" in text:
        pytest.importorskip("pyautoattack")
    module = Convolutional()
    predictor = predictor_of(module)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    modes = {name: part.training for name, part in module.named_modules()}
    random_state = torch.get_rng_state()
    parse_attack(text).of_input(batch_of(predictor, 40), predictor, seed=0)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert {name: part.training for name, part in module.named_modules()} == modes
    assert all(parameter.grad is None and parameter.requires_grad for parameter in module.parameters())
    assert torch.equal(torch.get_rng_state(), random_state)


@pytest.mark.parametrize("text", ["fgsm@2/255", "pgd-5@2/255", "pgd_l2-5@0.1", "mifgsm-3@2/255"])
@pytest.mark.parametrize(
    ("classes", "scale", "precision"), [(2, 300.0, "float32"), (3, 300.0, "float32"), (2, 3.0, "float16")]
)
def test_a_confident_model_still_has_a_gradient(
    predictor_of: PredictorOf, text: str, classes: int, scale: float, precision: str
) -> None:
    """The cross-entropy of a model that is sure of itself, and its gradient, underflow to 0."""
    predictor = predictor_of(Linear(classes, scale=scale), precision=precision)
    batch = batch_of(predictor, 64)
    found = parse_attack(text).of_input(batch, predictor, seed=0)
    moved = (found != batch.images).flatten(1).any(dim=1)
    assert moved.all()
    assert (margin_of(predictor, found, batch.labels) < margin_of(predictor, batch.images, batch.labels)).all()


def test_the_objective_is_the_cross_entropy_in_another_measure(predictor_of: PredictorOf) -> None:
    predictor = predictor_of(Convolutional())
    batch = batch_of(predictor, 40)
    seen = Objective(predictor, batch.labels)(batch.images)
    assert torch.allclose(seen.height.exp().log1p(), loss_of(predictor, batch.images, batch.labels))
    leaf = batch.images.clone().requires_grad_()
    loss = torch.nn.functional.cross_entropy(predictor(leaf).double(), batch.labels, reduction="none")
    (gradient,) = torch.autograd.grad(loss.sum(), leaf)
    wrong = -torch.expm1(-loss.detach()).float()[:, None, None, None]
    assert seen.gradient is not None
    assert torch.allclose(seen.gradient * wrong, gradient, rtol=1e-3, atol=1e-6)


class Ruled(nn.Module):
    """Only the first `allowed` of three outputs can win; the others are minus infinity."""

    def __init__(self, allowed: int, classes: int = 3) -> None:
        super().__init__()
        self.inner = Linear(classes, scale=0.02)
        self.allowed = allowed

    def forward(self, images: Tensor) -> Tensor:
        logits = self.inner(images)
        return logits.masked_fill(torch.arange(logits.shape[1]) >= self.allowed, -torch.inf)


@pytest.mark.parametrize(("allowed", "classes", "moves"), [(2, 3, True), (1, 3, False), (1, 1, False)])
def test_outputs_that_cannot_win_give_no_direction(
    predictor_of: PredictorOf, allowed: int, classes: int, moves: bool
) -> None:
    predictor = predictor_of(Ruled(allowed, classes))
    batch = batch_of(predictor, 8)
    for text in ("fgsm@2/255", "pgd-3:exit=never@2/255"):
        found = parse_attack(text).of_input(batch, predictor, seed=0)
        assert bool((found != batch.images).any()) is moves


def test_text_forms_come_back() -> None:
    for text in (
        "pgd@8/255",
        "pgd-50@2/255",
        "pgd-50:restarts=2,start=random@0.25/255",
        "pgd_l2:step=0.1@0.5",
        "fgsm@1/255",
        "mifgsm-20:momentum=0.9@8/255",
        "autoattack:version=apgd@8/255",
        "pgd:exit=never@0.123",
    ):
        assert str(parse_attack(text)) == text
    assert str(parse_attack("pgd:steps=40@0.0313725490196")) == "pgd@8/255"
    assert parse_attack("pgd@8/255") == Attacked("pgd", 8 / 255, Ascent(steps=40))
