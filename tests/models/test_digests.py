"""Equal digests mean equal functions: what decides a user's network counts, what differs between machines does not."""

import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import timm
import torch
from torch import nn

from weatherglass.models.digests import digest_of, digest_of_own
from weatherglass.models.load import load_predictor
from weatherglass.models.predictor import TorchPredictor
from weatherglass.user_code import user_sources

DIGESTS = (digest_of, digest_of_own)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 3, 2), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Dropout(0.5), nn.Linear(4, 6))


@pytest.mark.parametrize("digest", DIGESTS)
def test_weights_buffers_and_parts_count(digest: Callable[[nn.Module], str]) -> None:
    first, same = network(), network()
    assert digest(first) == digest(same)
    digests = {digest(first)}
    with torch.no_grad():
        same[6].weight[0, 0] += 1e-6  # pyright: ignore
    digests.add(digest(same))
    other = network()
    other[1].running_mean += 1  # pyright: ignore
    digests.add(digest(other))
    activation = network()
    activation[2] = nn.GELU()
    digests.add(digest(activation))
    assert len(digests) == 4


@dataclass
class Settings:
    width: int
    rates: tuple[float, ...] = (0.5,)


class Holder:
    """No setting: it says nothing of what it does."""


def with_attribute(value: Any) -> nn.Module:
    module = network()
    module[2].chosen = value  # pyright: ignore
    return module


def plain_part(scale: float) -> nn.Module:
    part = network()
    with torch.no_grad():
        part[6].weight *= scale  # pyright: ignore
    return part


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (0.5, 0.25),
        (True, False),
        ("avg", "max"),
        ((1, 2), (2, 1)),
        ([None, 1], [1, None]),
        ({"a": 1, "b": 2}, {"a": 2, "b": 1}),
        ({1, 2}, {1, 3}),
        (torch.relu, torch.tanh),
        (functools.partial(torch.add, alpha=1), functools.partial(torch.add, alpha=2)),
        (torch.tensor([1.0, 2.0]), torch.tensor([1.0, 3.0])),
        (np.arange(3), np.arange(1, 4)),
        (torch.float32, torch.float64),
        (Settings(3), Settings(3, (0.1,))),
        (SimpleNamespace(width=3), SimpleNamespace(width=4)),
        ([plain_part(1.0)], [plain_part(2.0)]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_plain_attributes_of_own_networks_count(one: Any, other: Any) -> None:
    assert digest_of_own(with_attribute(one)) == digest_of_own(with_attribute(one))
    assert digest_of_own(with_attribute(one)) != digest_of_own(with_attribute(other))
    assert digest_of(with_attribute(one)) == digest_of(with_attribute(other))  # a name decides those of the others


def test_what_differs_between_machines_and_processes_does_not_count() -> None:
    values = [Holder(), Holder(), object(), "/home/one/weights.pt", "/mnt/other.pt", torch.device("cpu")]
    assert len({digest_of_own(with_attribute(value)) for value in values}) == 1
    assert digest_of_own(network().train()) == digest_of_own(network().eval())


def test_settings_and_networks_may_hold_each_other() -> None:
    itself: dict[str, Any] = {"width": 3}
    itself |= {str(number): itself for number in range(100)}
    assert digest_of_own(with_attribute(itself)) == digest_of_own(with_attribute(itself))

    def pair(scale: float) -> nn.Module:
        part = plain_part(scale)
        whole = with_attribute([part])
        part[2].owner = [whole]  # pyright: ignore
        return whole

    assert digest_of_own(pair(1.0)) == digest_of_own(pair(1.0)) != digest_of_own(pair(2.0))


def test_settings_of_library_networks_in_own_hands() -> None:
    def vit(pool: str) -> nn.Module:
        torch.manual_seed(0)
        return timm.create_model(
            "vit_tiny_patch16_224", num_classes=2, img_size=32, depth=1, global_pool=pool, fc_norm=False
        )

    token, averaged, scaled = vit("token"), vit("avg"), vit("token")
    scaled.blocks[0].attn.scale *= 2  # pyright: ignore
    predictors = [TorchPredictor(module, name="vit", classes=2, device="cpu") for module in (token, averaged, scaled)]
    assert len({predictor.digest for predictor in predictors}) == 3
    assert TorchPredictor(vit("token"), name="vit", classes=2, device="cpu").digest == predictors[0].digest


# -------------------------------------------------------------------------------------------------- the user's files

FILES = {
    "my_factory.py": """
import timm
from my_package.blocks import scaled

def build():
    import my_late
    return scaled(timm.create_model("resnet10t", num_classes=2), my_late.FACTOR)

def predictor():
    from weatherglass.models.predictor import TorchPredictor
    return TorchPredictor(build(), name="own", device="cpu")
""",
    "my_late.py": "FACTOR = 1\n",
    "my_package/__init__.py": "",
    "my_package/blocks.py": "from . import operations\n\ndef scaled(network, factor):\n    return network\n",
    "my_package/operations.py": "import json, numpy, torch\n\ndef same(network):\n    return network\n",
    "my_package/unused.py": "raise RuntimeError\n",
    "my_script.py": "import my_factory\n",
}


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., str]:
    """Digest of the model in a copy of the files, one of them edited, as a new process would load it."""

    def loaded(folder: str, edited: str | None = None, factory: str = "build") -> str:
        for name in [name for name in sys.modules if name.startswith(("my_", "weatherglass_user_"))]:
            del sys.modules[name]
        for name, text in FILES.items():
            file = tmp_path / folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text + ("# edited\n" if name == edited else ""))
        return load_predictor(f"{tmp_path / folder / 'my_factory.py'}:{factory}", device="cpu").digest

    return loaded


def test_every_file_of_the_user_that_is_imported_counts(load: Callable[..., str]) -> None:
    whole = load("one")
    assert load("two") == whole
    for number, name in enumerate(["my_factory.py", "my_late.py", "my_package/blocks.py", "my_package/operations.py"]):
        assert load(f"edited{number}", name) != whole
    for number, name in enumerate(["my_script.py", "my_package/unused.py"]):
        assert load(f"beside{number}", name) == whole


def test_a_predictor_of_the_factory_is_identified_by_its_code(load: Callable[..., str]) -> None:
    assert load("one", factory="predictor") == load("two", factory="predictor")
    assert load("one", factory="predictor") != load("three", "my_late.py", factory="predictor")


def test_modules_and_installed_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in FILES.items():
        for folder in ("project", "site-packages"):
            file = tmp_path / folder / name.replace("my_", f"{folder[:4]}_")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text.replace("my_", f"{folder[:4]}_"))
    (tmp_path / "site-packages" / "site_package" / "broken.py").write_text("def (:")
    (tmp_path / "project" / "proj_package" / "more.py").write_text("import site_late\nfrom .operations import same\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site-packages"))
    monkeypatch.syspath_prepend(str(tmp_path / "project"))

    def names(spec: str) -> set[str]:
        return {str(path.relative_to(tmp_path.resolve())) for path in user_sources(spec)}

    inside = {f"project/proj_package/{name}.py" for name in ("__init__", "more", "operations")}
    assert names("proj_package.more:build") == inside
    # An installed package counts where the factory itself is in it.
    assert names("site_package.blocks:scaled") == {
        f"site-packages/site_package/{name}.py" for name in ("__init__", "blocks", "operations")
    }


def test_the_digest_of_named_networks_does_not_move() -> None:
    """Kept cells of named networks are found by it: another value here makes users measure everything anew."""
    module = nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2), nn.ReLU())
    for value in module.state_dict().values():
        value.fill_(1)
    assert digest_of(module) == "f13c683ae1bfa94aec3a7250c5c7d3ae"
