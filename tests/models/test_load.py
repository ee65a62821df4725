"""From a name to a predictor: what each form gives, and what a wrong one is answered."""

from pathlib import Path

import pytest
import torch

from weatherglass.errors import UserError
from weatherglass.models.load import load_predictor
from weatherglass.models.predictor import TorchPredictor
from weatherglass.models.preprocessing import PreprocessingOverride

FACTORY = """
import torch
from neighbour import WIDTH
from weatherglass.types import Preprocessing

class Small(torch.nn.Module):
    preprocessing = Preprocessing(size=(8, 8), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    class_names = ("cat", "dog")

    def __init__(self):
        super().__init__()
        self.head = torch.nn.Linear(3, 2)

    def forward(self, images):
        return self.head(images.mean(dim=(2, 3)))

def small():
    return Small()

def timm_style():
    model = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(3, 4))
    model.default_cfg = {"input_size": (3, 32, 48), "crop_pct": 0.5, "crop_mode": "squash", "interpolation": "bilinear",
                         "mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6)}
    return model

def nothing_declared():
    return torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(3, 5))

def none():
    pass

def number():
    return 3

def fails():
    return {}["weights"]

def needs(width):
    return Small()
"""


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    (tmp_path / "neighbour.py").write_text("WIDTH = 8\n")
    path = tmp_path / "mine.py"
    path.write_text(FACTORY)
    return path


def test_user_factory_declares_preprocessing(model_file: Path) -> None:
    predictor = load_predictor(f"{model_file}:small", device="cpu")
    assert predictor.name == f"{model_file}:small"
    assert predictor.preprocessing.size == (8, 8)
    assert predictor.preprocessing.source == "factory"
    assert (predictor.classes, predictor.class_names, predictor.parameters) == (2, ("cat", "dog"), 8)
    images = torch.rand(4, 3, 8, 8)
    head = predictor.module.head  # pyright: ignore[reportAttributeAccessIssue]
    expected = head(((images - 0.5) / 0.25).mean(dim=(2, 3)))
    torch.testing.assert_close(predictor(images), expected)


def test_random_weights_are_the_same_every_time_and_leave_the_generator_alone(model_file: Path) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    digests = {load_predictor(f"{model_file}:small", device="cpu").digest for _ in range(2)}
    assert len(digests) == 1
    assert torch.equal(before, torch.get_rng_state())


def test_timm_style_config_of_a_user_module(model_file: Path) -> None:
    preprocessing = load_predictor(f"{model_file}:timm_style", device="cpu").preprocessing
    assert preprocessing.geometry == "resize 64x96 bilinear, crop 32x48"
    assert preprocessing.normalisation == "mean 0.1 0.2 0.3, std 0.4 0.5 0.6"
    assert preprocessing.source == "factory"


def test_nothing_declared_is_said(model_file: Path) -> None:
    predictor = load_predictor(f"{model_file}:nothing_declared", device="cpu")
    assert predictor.preprocessing.geometry == "none"
    assert predictor.preprocessing.source == "none declared"
    assert predictor.classes == 5


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("none", "returned None; it must return a torch.nn.Module"),
        ("number", "returned a int"),
        ("fails", r"failed at .*mine.py line \d+: KeyError: 'weights'"),
        ("needs", "needs the arguments width"),
        ("smal", "Did you mean small"),
    ],
)
def test_factory_mistakes_take_one_line(model_file: Path, factory: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        load_predictor(f"{model_file}:{factory}", device="cpu")
    assert "\n" not in str(caught.value)


def test_a_file_with_a_syntax_error_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def model(:\n    pass\n")
    with pytest.raises(UserError, match=r"broken.py line 1: SyntaxError"):
        load_predictor(f"{tmp_path}/broken.py:model")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("resnet18", "Did you mean timm/resnet18"),
        ("alexnet", "Did you mean torchvision/alexnet"),
        ("timm/resnet81", "Did you mean timm/resnet"),
        ("timm/resnet18.nothing", "Known: a1_in1k"),
        ("torchvision/resnet19", "Did you mean resnet18"),
        ("absent.py:model", "There is no file absent.py"),
        ("no_such_module_here:model", "no importable module"),
        ("weights.pth", "--checkpoint weights.pth"),
        ("nothing at all", "A model is given as timm/NAME"),
    ],
)
def test_unknown_models_are_answered_with_the_way_on(spec: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_predictor(spec)


def test_timm_model_with_random_weights_and_its_own_preprocessing() -> None:
    predictor = load_predictor("timm/resnet10t.c3_in1k", pretrained=False, classes=7, device="cpu")
    assert predictor.preprocessing.geometry == "resize 201 bicubic, crop 176x176"
    assert predictor.preprocessing.source == "timm"
    assert (predictor.classes, predictor.class_names) == (7, None)
    assert predictor(torch.rand(2, 3, 64, 64)).shape == (2, 7)


def test_torchvision_model_with_random_weights() -> None:
    predictor = load_predictor("torchvision/squeezenet1_1", pretrained=False, device="cpu")
    assert predictor.preprocessing.geometry == "resize 256 bilinear, crop 224x224"
    assert predictor.class_names is not None
    assert predictor.class_names[:2] == ("tench", "goldfish")


def test_preprocessing_is_overridden_part_by_part(model_file: Path) -> None:
    override = PreprocessingOverride.parse("resize 40 bilinear, crop 32, std 0.2")
    preprocessing = load_predictor(f"{model_file}:small", device="cpu", preprocessing=override).preprocessing
    assert preprocessing.geometry == "resize 40 bilinear, crop 32x32"
    assert preprocessing.normalisation == "mean 0.5 0.5 0.5, std 0.2 0.2 0.2"
    assert preprocessing.source == "factory, overridden"
    none = PreprocessingOverride.parse("geometry none")
    assert load_predictor(f"{model_file}:small", device="cpu", preprocessing=none).preprocessing.geometry == "none"


@pytest.mark.parametrize(
    "text", ["resize", "resize 2 cubic", "crop 3x", "mean 0.5 0.5", "blur 3", "std 0", "std inf", "mean nan"]
)
def test_wrong_preprocessing_text(text: str) -> None:
    with pytest.raises(UserError):
        PreprocessingOverride.parse(text)


def test_options_that_do_not_apply_are_refused(model_file: Path) -> None:
    with pytest.raises(UserError, match="pretrained"):
        load_predictor(f"{model_file}:small", pretrained=True)


@pytest.mark.parametrize(("device", "precision"), [("cuda:99", "float32"), ("gpu", "float32"), ("cpu", "float8")])
def test_wrong_device_or_precision(model_file: Path, device: str, precision: str) -> None:
    with pytest.raises(UserError):
        load_predictor(f"{model_file}:small", device=device, precision=precision)


def test_our_networks_by_name() -> None:
    predictor = load_predictor("fan_vit_micro_32", pretrained=False, device="cpu")
    assert predictor(torch.rand(1, 3, 32, 32)).shape == (1, 10)
    assert predictor.preprocessing.source == "weatherglass"
    with pytest.raises(UserError, match="give --checkpoint FILE, or --random"):
        load_predictor("fan_vit_micro_32")
    with pytest.raises(UserError, match="Did you mean fan_vit_micro_32"):
        load_predictor("fan_vit_micro_23")


def test_a_local_checkpoint(tmp_path: Path) -> None:
    source = load_predictor("timm/resnet10t", pretrained=False, classes=5, device="cpu")
    assert isinstance(source, TorchPredictor)
    state = {f"module.{name}": tensor + 0.01 for name, tensor in source.module.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "mine.pth")
    loaded = load_predictor("timm/resnet10t", checkpoint=tmp_path / "mine.pth", classes=5, device="cpu")
    assert loaded.digest != source.digest
    with pytest.raises(UserError, match="another number of classes"):
        load_predictor("timm/resnet10t", checkpoint=tmp_path / "mine.pth", device="cpu")
    with pytest.raises(UserError, match="is of another size than this MobileNetV3"):
        load_predictor("timm/mobilenetv3_small_050", checkpoint=tmp_path / "mine.pth", device="cpu")
    with pytest.raises(UserError, match="no checkpoint at"):
        load_predictor("timm/resnet10t", checkpoint=tmp_path / "absent.pth", device="cpu")


def test_published_weights_without_a_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import socket

    def unreachable(*arguments: object, **options: object) -> None:
        raise socket.gaierror("no name resolution here")

    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError, match=r"could not be fetched.*--checkpoint FILE, or --random"):
        load_predictor("timm/resnet10t.c3_in1k")
    with pytest.raises(UserError, match="publishes no weights"):
        load_predictor("timm/coatnet_0_224")
