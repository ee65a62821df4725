"""The verbs around attacks, called in this process."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from weatherglass.cli.main import weatherglass
from weatherglass.errors import UserError


def call(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(weatherglass, list(arguments), catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.output


def test_perturbations_are_drawn_and_described(tmp_path: Path) -> None:
    output = tmp_path / "panel.png"
    said = call(
        *("perturbations", "digits_cnn", "--data", "digits:test", "--limit", "10", "--pictures", "2", "--patch", "4"),
        *("--attack", "pgd-2@8/255", "--output", str(output)),
    )
    assert "digits_cnn: border score" in said
    assert "10 images under pgd-2@8/255" in said
    panel = np.asarray(Image.open(output))
    assert panel.shape == (2 * 132, 3 * 132, 3)
    with pytest.raises(UserError, match="another --patch"):
        call(*("perturbations", "digits_cnn", "--data", "digits:test", "--limit", "10", "--patch", "30"))


def test_a_folder_is_validated(tmp_path: Path) -> None:
    (tmp_path / "n01440764").mkdir()
    said = call("validate", f"imagenet-sketch:{tmp_path}", code=1)
    assert "error: missing: 999 of 1000 classes" in said
    assert "error: empty" in said


def test_transfer_prints_both_matrices(tmp_path: Path) -> None:
    said = call(
        *("transfer", "digits_cnn", "digits_vit", "--data", "digits:test", "--limit", "10", "--attack", "fgsm@8/255"),
        *("--store", str(tmp_path / "run")),
    )
    assert "all models get right" in said
    assert "all 10 images" in said


def test_shape_bias_wants_an_imagenet_model(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    Image.new("RGB", (32, 32)).save(tmp_path / "cat" / "cat1-dog2.png")
    with pytest.raises(UserError, match="digits_cnn has 10"):
        call("shape-bias", "digits_cnn", "--data", f"cue-conflict:{tmp_path}", "--store", str(tmp_path / "run"))
