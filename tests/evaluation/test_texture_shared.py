"""The two published networks follow texture as often as was measured on the same stimuli by other code."""

import importlib.util
from pathlib import Path

import pytest
import torchvision.models

from weatherglass.data.load import load_data
from weatherglass.evaluation.evaluate import EvaluationSettings, evaluate
from weatherglass.evaluation.texture import texture_summary
from weatherglass.models.predictor import TorchPredictor
from weatherglass.types import Preprocessing

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "cifar_models.py"
IMAGENET = Preprocessing(
    size=(224, 224),
    resize=256,
    interpolation="bilinear",
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    source="test",
)


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "weights", "expected"),
    [
        ("mobilenet_v2", "imagenet_mobilenet_v2_torchvision_int8.npz", 0.220),
        ("squeezenet1_0", "imagenet_squeezenet1_0_pruned.npz", 0.254),
    ],
)
def test_shape_bias_of_published_networks(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, weights: str, expected: float
) -> None:
    monkeypatch.setenv("WEIGHTS", str(shared_data / "data" / "weights"))
    spec = importlib.util.spec_from_file_location("cifar_models", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    network = example.with_weights(torchvision.models.get_model(name, weights=None), weights)
    predictor = TorchPredictor(network, name=name, preprocessing=IMAGENET, device="cpu")
    folder = shared_data / "data" / "cue_conflict"
    settings = EvaluationSettings(outputs="categories16")
    done = evaluate(
        predictor,
        data=load_data(f"cue-conflict:{folder / 'cue_conflict.zip'}"),
        store=tmp_path / "conflict",
        disturbances=["clean"],
        settings=settings,
    )
    found = texture_summary(done.runs[0]).overall
    assert found.stimuli == 448
    assert found.bias is not None
    assert found.bias.value == pytest.approx(expected, abs=0.01)
    for kind in ("edges", "silhouettes"):
        data = load_data(f"cue-conflict:{folder / f'{kind}.zip'}", limit=32)
        store = tmp_path / kind
        done = evaluate(predictor, data=data, store=store, disturbances=["clean"], settings=settings)
        assert done.runs[0].records["clean"].scores["top1"] > 1 / 16
