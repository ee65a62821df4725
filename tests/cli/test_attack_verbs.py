"""The verbs around attacks, called in this process."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from weatherglass.cli.main import weatherglass
from weatherglass.data.load import load_data
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
    assert panel.shape == (4 * 132, 3 * 132, 3)  # two images, mean magnitude, mean spectrum
    with pytest.raises(UserError, match="another --patch"):
        call(*("perturbations", "digits_cnn", "--data", "digits:test", "--limit", "10", "--patch", "30"))


def test_masks_tell_how_much_falls_on_the_object(tmp_path: Path) -> None:
    data = load_data("digits:test", limit=6)
    arguments = ("perturbations", "digits_cnn", "--data", "digits:test", "--limit", "6", "--patch", "4")
    arguments = (*arguments, "--attack", "fgsm@8/255", "--output", str(tmp_path / "panel.png"))
    masks = tmp_path / "masks"
    with pytest.raises(UserError, match="has no mask for"):
        call(*arguments, "--masks", str(masks))
    for sample in data.ids:
        path = (masks / sample).with_suffix(".png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (32, 32), 255).save(path)
    said = call(*arguments, "--masks", str(masks), "--json")
    everywhere = json.loads(said[: said.rindex("}") + 1])["digits_cnn"]
    assert everywhere["foreground_gradient"] == pytest.approx(1)
    assert len(everywhere["border_scores"]) == 4
    for index, sample in enumerate(data.ids):
        Image.fromarray((data.image(index)[0] > 60).numpy()).save((masks / sample).with_suffix(".png"))
    assert "foreground" in call(*arguments, "--masks", str(masks))


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
