"""The small trained networks that ship, and files that say which network they hold."""

import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

from weatherglass.data.load import load_data
from weatherglass.errors import UserError
from weatherglass.models.checkpoint import save_weights
from weatherglass.models.described import METADATA_KEY, build_network, describe
from weatherglass.models.load import load_predictor
from weatherglass.models.trained import TRAINED_MODELS
from weatherglass.training.recipes import RECIPES

WEIGHTS = Path(str(files("weatherglass.models"))) / "weights"


@pytest.mark.parametrize("name", TRAINED_MODELS)
def test_a_shipped_network_is_small_and_says_where_it_comes_from(name: str) -> None:
    path = WEIGHTS / f"{name}.safetensors"
    assert path.stat().st_size < 3 * 2**20
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    recipe = json.loads(metadata["weatherglass.recipe"])
    assert recipe["name"] == TRAINED_MODELS[name].recipe
    assert recipe["network"]["name"] == RECIPES[recipe["name"]].network.name
    facts = json.loads(metadata["weatherglass.training"])
    assert facts["epochs"] == facts["of epochs"]
    assert {"data digest", "commit", "torch"} <= facts.keys()
    predictor = load_predictor(name)
    assert predictor.parameters == TRAINED_MODELS[name].parameters
    assert (predictor.classes, predictor.preprocessing.size) == (10, (32, 32))
    assert predictor.class_names is not None
    assert predictor.class_names[0] == ("0" if name.startswith("digits") else "airplane")
    assert load_predictor(name, pretrained=False).digest != predictor.digest


def stated_accuracy(name: str) -> float:
    with safe_open(WEIGHTS / f"{name}.safetensors", framework="pt") as file:
        return json.loads(file.metadata()[METADATA_KEY])["scores"]["accuracy"]


@pytest.mark.parametrize("name", [name for name in TRAINED_MODELS if name.startswith("digits")])
def test_a_network_of_the_demo_scores_what_its_file_says(name: str) -> None:
    data = load_data("digits:test")
    images = torch.stack([data.image(index) for index in range(len(data))]).float() / 255
    predictor = load_predictor(name, device="cpu")
    with torch.inference_mode():
        right = predictor(images).argmax(1) == torch.from_numpy(data.labels)
    assert right.float().mean().item() == pytest.approx(stated_accuracy(name), abs=1.5 / len(data))
    assert stated_accuracy(name) > 0.97


@pytest.mark.parametrize("name", [name for name in TRAINED_MODELS if name.startswith("cifar10")])
def test_a_shipped_network_scores_what_its_file_says(name: str, shared_data: Path) -> None:
    """On one of the four sheets of CIFAR-10's test images: within four standard deviations."""
    folder = shared_data / "data" / "cifar10"
    sheet = np.array(Image.open(folder / "test_00.webp").convert("RGB"))
    tiles = sheet.reshape(50, 32, 50, 32, 3).swapaxes(1, 2).reshape(-1, 32, 32, 3)[:1000]
    labels = torch.from_numpy(np.load(folder / "labels.npz")["test_labels"][:1000].astype(np.int64))
    predictor = load_predictor(name, device="cpu")
    with torch.inference_mode():
        images = torch.from_numpy(tiles).permute(0, 3, 1, 2).float() / 255
        right = torch.cat([predictor(part).argmax(1) for part in images.split(250)]) == labels
    assert describe(WEIGHTS / f"{name}.safetensors") is not None
    stated = stated_accuracy(name)
    assert right.float().mean().item() == pytest.approx(stated, abs=4 * (stated * (1 - stated) / 1000) ** 0.5)


def test_weights_without_a_description_still_need_their_architecture(tmp_path: Path) -> None:
    path = tmp_path / "plain.safetensors"
    save_weights(build_network("vit_micro_32", {"depths": [1]}, classes=10), path)
    with pytest.raises(UserError, match="holds weights, not a model: name the architecture"):
        load_predictor(str(path))
    save_weights(build_network("vit_micro_32", {"depths": [1]}, classes=10), path, {METADATA_KEY: '{"name": 3}'})
    with pytest.raises(UserError, match="does not say which network it belongs to"):
        load_predictor(str(path))


def test_an_argument_that_a_network_does_not_take() -> None:
    with pytest.raises(UserError, match="vit_micro_32 cannot be built with blocks=3"):
        build_network("vit_micro_32", {"blocks": 3}, classes=10)
