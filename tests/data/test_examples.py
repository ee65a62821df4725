"""The examples with real weights and images reach the accuracy their authors publish."""

from pathlib import Path

import pytest
import torch

from weatherglass.data.classes import check_classes
from weatherglass.data.geometry import prepare
from weatherglass.data.load import load_data
from weatherglass.models.load import load_predictor

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def accuracy(model: str, data: str, limit: int | None = None) -> float:
    """Top-1 in percent."""
    predictor = load_predictor(f"{EXAMPLES}/{model}", device="cpu")
    shown = check_classes(load_data(f"{EXAMPLES}/{data}", limit=limit), predictor)
    right = 0
    with torch.inference_mode():
        for start in range(0, len(shown), 100):
            rows = range(start, min(start + 100, len(shown)))
            images = torch.stack([prepare(shown.image(row), predictor.preprocessing) for row in rows])
            right += int((predictor(images / 255).argmax(1).numpy() == shown.labels[start : rows.stop]).sum())
    return 100 * right / len(shown)


@pytest.fixture
def references(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHEETS", str(shared_data / "data"))
    monkeypatch.setenv("WEIGHTS", str(shared_data / "data" / "weights"))


@pytest.mark.shared
@pytest.mark.usefixtures("references")
def test_cifar_models_on_a_part() -> None:
    assert accuracy("cifar_models.py:resnet20", "shared_sheets.py:cifar10_test", 1000) == pytest.approx(91.73, abs=2)
    assert accuracy("cifar_models.py:resnet2b", "shared_sheets.py:cifar10_test", 1000) == pytest.approx(69.25, abs=3)


@pytest.mark.shared
@pytest.mark.usefixtures("references")
def test_resnet20_on_the_natural_shift() -> None:
    assert accuracy("cifar_models.py:resnet20", "shared_sheets.py:natural_shift") == pytest.approx(60.3, abs=0.2)


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.usefixtures("references")
def test_published_accuracy() -> None:
    assert accuracy("cifar_models.py:resnet20", "shared_sheets.py:cifar10_test") == pytest.approx(91.73, abs=0.1)
    assert accuracy("cifar_models.py:resnet2b", "shared_sheets.py:cifar10_test") == pytest.approx(69.25, abs=0.1)
    assert accuracy("imagenet_models.py:mobilenet_v2", "shared_sheets.py:imagenet_photos") == pytest.approx(84, abs=1)
    assert accuracy("imagenet_models.py:squeezenet1_0", "shared_sheets.py:imagenet_photos") == pytest.approx(63, abs=1)


def test_the_small_examples_run_without_anything() -> None:
    assert accuracy("own_model.py:nearest_mean", "own_data.py:ink_on_paper", 100) < 50
    predictor = load_predictor(f"{EXAMPLES}/own_model.py:nearest_mean", device="cpu")
    digits = load_data("digits:test")
    with torch.inference_mode():
        output = predictor(torch.stack([digits.image(row) for row in range(len(digits))]) / 255)
    assert (output.argmax(1).numpy() == digits.labels).mean() > 0.85
