"""What a user of timm expects of our models, on one micro model of each family."""

import subprocess
import sys
import warnings
from typing import Any

import pytest
import timm
import torch
from timm.optim import param_groups_layer_decay, param_groups_weight_decay
from torch import nn

import weatherglass as wg
from weatherglass.errors import UnknownName, UserError
from weatherglass.models.checkpoint import fit_checkpoint
from weatherglass.models.names import ALIASES, MODELS, model_name
from weatherglass.models.paper_models import PAPER_MODELS

MICRO = ["fan_vit_micro_32", "fan_hybrid_micro_32", "fan_swin_micro_32", "fan_convnext_micro_32"]
CONTROLS = [name for name in MODELS if name.startswith("fan_vit_micro_32_")]


def slow(name: str) -> object:
    return pytest.param(name, marks=pytest.mark.slow)


def images(count: int = 2, size: int = 32, channels: int = 3) -> torch.Tensor:
    return torch.randn(count, channels, size, size, generator=torch.Generator().manual_seed(0))


def build(name: str, **options: object) -> nn.Module:
    torch.manual_seed(0)
    return timm.create_model(name, **options).eval()


@pytest.mark.parametrize(
    "order",
    [
        "import weatherglass, timm",
        pytest.param("import timm, weatherglass", marks=pytest.mark.slow),
        pytest.param("import weatherglass.models.fan, timm", marks=pytest.mark.slow),
    ],
)
def test_timm_knows_our_models_after_the_import(order: str) -> None:
    code = f"{order}; assert timm.is_model('fan_small_12_p16_224') and timm.is_model('fan_vit_micro_32')"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_importing_weatherglass_imports_no_torch() -> None:
    code = "import sys, weatherglass, weatherglass.models.names; assert not {'torch', 'timm'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_name_and_alias_is_registered_and_papers_map_to_models() -> None:
    assert all(timm.is_model(name) for name in (*MODELS, *ALIASES))
    assert all(timm.is_model(name.removeprefix("timm/")) for name in PAPER_MODELS.values())
    assert model_name("fan_vit_small").name == "fan_small_12_p16_224"
    with pytest.raises(UnknownName, match="Did you mean"):
        wg.create_model("fan_vit_smal")


@pytest.mark.parametrize("name", [name for name in MODELS if "micro" in name])
def test_micro_sizes_stay_under_three_mebibytes(name: str) -> None:
    model = build(name)
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == MODELS[name].parameters
    assert 4 * count < 3 * 2**20
    size = MODELS[name].image_size
    with torch.no_grad():
        assert model(images(2, size)).shape == (2, 10)


@pytest.mark.parametrize(
    "name", [n for n in MODELS if n.startswith(("fan_convnext", "fan_vit_small", "rvt", "resnet50"))]
)
def test_sizes_of_the_large_ones_that_have_no_golden_file(name: str) -> None:
    with torch.device("meta"):
        model = timm.create_model(name)
    assert sum(parameter.numel() for parameter in model.parameters()) == MODELS[name].parameters


@pytest.mark.parametrize("name", MICRO)
def test_classifier(name: str) -> None:
    model = build(name, num_classes=7, in_chans=1)
    assert model(images(channels=1)).shape == (2, 7)
    assert isinstance(model.get_classifier(), nn.Linear)
    model.reset_classifier(3)
    assert model(images(channels=1)).shape == (2, 3)
    model.reset_classifier(0)
    assert model(images(channels=1)).shape == (2, model.num_features)
    assert build(name, num_classes=0)(images()).shape == (2, model.num_features)


@pytest.mark.parametrize("name", MICRO)
def test_forward_is_features_then_head(name: str) -> None:
    model = build(name)
    with torch.no_grad():
        features = model.forward_features(images())
        torch.testing.assert_close(model.forward_head(features), model(images()), atol=1e-5, rtol=1e-5)
        assert model.forward_head(features, pre_logits=True).shape == (2, model.num_features)


@pytest.mark.parametrize("name", MICRO)
def test_intermediates_are_what_the_modules_return(name: str) -> None:
    model = build(name)
    with torch.no_grad():
        final, maps = model.forward_intermediates(images())
        assert len(maps) == len(model.feature_info)
        for each, info in zip(maps, model.feature_info, strict=True):
            assert each.shape == (2, info["num_chs"], 32 // info["reduction"], 32 // info["reduction"])
        torch.testing.assert_close(final, model.forward_features(images()))
        some = model.forward_intermediates(images(), indices=[0, -1], intermediates_only=True, stop_early=True)
        for part, index in zip(some, (0, -1), strict=True):
            torch.testing.assert_close(part, maps[index])
        extractor = timm.create_model(name, features_only=True, out_indices=(0, 1)).eval()
        extractor.model.load_state_dict(model.state_dict(), strict=False)
        for part, whole in zip(extractor(images()), maps, strict=False):
            torch.testing.assert_close(part, whole)
        assert extractor.feature_info.channels() == [info["num_chs"] for info in model.feature_info[:2]]
    with pytest.raises(UserError, match="Feature maps must be chosen"):
        model.forward_intermediates(images(), indices=[99])


@pytest.mark.parametrize("name", MICRO)
def test_default_features_only(name: str) -> None:
    maps = timm.create_model(name, features_only=True).eval()(images())
    assert len(maps) >= 3


@pytest.mark.parametrize("name", MICRO)
def test_any_size_at_run_time(name: str) -> None:
    with torch.no_grad():
        assert build(name)(images(size=64)).shape == (2, 10)
        assert build(name, img_size=64)(images(size=64)).shape == (2, 10)


def test_swin_of_another_nominal_size_computes_the_same() -> None:
    model, larger = build("fan_swin_micro_32"), timm.create_model("fan_swin_micro_32", img_size=64).eval()
    assert fit_checkpoint(larger, model.state_dict()).exact
    with torch.no_grad():
        torch.testing.assert_close(model(images(size=64)), larger(images(size=64)))
    larger.load_state_dict(model.state_dict())  # torch's own way is as strict, and leaves the masks alone too


def test_swin_with_other_windows_is_refused() -> None:
    smaller = timm.create_model("fan_swin_micro_32", img_size=16)
    with pytest.raises(UserError, match=r"relative_position_bias_table: \(49, 4\) in the checkpoint, \(9, 4\)"):
        fit_checkpoint(smaller, build("fan_swin_micro_32").state_dict())


def test_swin_masks_follow_the_grid_and_not_the_number_of_windows() -> None:
    """32 x 128 and 64 x 64 pixels have as many windows, in another order."""
    square, wide = build("fan_swin_micro_32", img_size=64), build("fan_swin_micro_32", img_size=(32, 128))
    weights = {name: tensor for name, tensor in square.state_dict().items() if not name.endswith("attn_mask")}
    wide.load_state_dict(weights)
    pixels = images(size=64)
    with torch.no_grad():
        assert torch.equal(wide(pixels), square(pixels))
        wide.load_state_dict(square.state_dict())
        assert torch.equal(wide(pixels.reshape(2, 3, 32, 128)), square(pixels.reshape(2, 3, 32, 128)))


@pytest.mark.parametrize("name", MICRO)
def test_optimiser_groups(name: str) -> None:
    model = build(name)
    groups = param_groups_weight_decay(model, 0.05, model.no_weight_decay())
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))
    scales = {
        group["lr_scale"] for group in param_groups_layer_decay(model, no_weight_decay_list=model.no_weight_decay())
    }
    assert len(scales) >= 6  # stem, blocks, head


@pytest.mark.parametrize("name", MICRO)
def test_checkpointing_changes_no_gradient(name: str) -> None:
    gradients = []
    for enable in (False, True):
        model = build(name)
        model.set_grad_checkpointing(enable)
        model(images()).square().sum().backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    for plain, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, recomputed)


@pytest.mark.parametrize("name", [*MICRO, *CONTROLS])
def test_samples_do_not_meet_and_results_repeat(name: str) -> None:
    model = build(name)
    with torch.no_grad():
        together = model(images(4))
        torch.testing.assert_close(model(images(4)), together, atol=0, rtol=0)
        alone = torch.cat([model(image[None]) for image in images(4)])
    torch.testing.assert_close(alone, together, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", [*MICRO, *CONTROLS])
def test_every_parameter_gets_a_gradient_in_training(name: str) -> None:
    model = timm.create_model(name, drop_path_rate=0.1)
    model.train()(images(4)).square().sum().backward()
    assert [key for key, parameter in model.named_parameters() if parameter.grad is None] == []


@pytest.mark.parametrize("name", ["fan_vit_micro_32", "fan_hybrid_micro_32", "fan_swin_micro_32"])
def test_bfloat16_training_stays_finite(name: str) -> None:
    torch.manual_seed(0)
    model = timm.create_model(name).train()
    optimiser = torch.optim.AdamW(model.parameters(), 1e-3)
    inputs, targets = images(8), torch.arange(8)
    first = None
    for _ in range(200 if name == "fan_vit_micro_32" else 30):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = nn.functional.cross_entropy(model(inputs), targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        assert torch.isfinite(loss)
        first = loss.item() if first is None else first
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())
    assert loss.item() < 0.5 * first


@pytest.mark.parametrize("size", [8, 16, 33, 48])
def test_swin_refuses_sizes_that_do_not_divide(size: int) -> None:
    with pytest.raises(UserError, match=f"must be multiples of 32 pixels for this Swin, got {size}x{size}"):
        build("fan_swin_micro_32")(images(size=size))


def test_swin_takes_what_its_own_windows_divide() -> None:
    smaller = build("fan_swin_micro_32", img_size=16)  # windows of 4, 4 and 2 tokens
    with torch.no_grad():
        assert smaller(images(size=48)).shape == (2, 10)
    with pytest.raises(UserError, match="multiples of 16 pixels"):
        smaller(images(size=8))


def test_wrong_inputs_are_answered_in_one_line() -> None:
    with pytest.raises(UserError, match="in_chans=4"):
        build("fan_vit_micro_32")(images(channels=4))
    with pytest.raises(UserError, match="at least 4x4"):
        build("fan_hybrid_micro_32")(images(size=3))
    with pytest.raises(UserError, match="global_pool must be"):
        build("fan_vit_micro_32", global_pool="max")
    with pytest.raises(UserError, match="not downloaded"):
        timm.create_model("fan_tiny_12_p16_224", pretrained=True)


@pytest.mark.parametrize("name", ["fan_vit_micro_32", *(slow(name) for name in MICRO[1:])])
def test_export_to_onnx(name: str, tmp_path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    model = build(name)
    path = tmp_path / "model.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's exporter announces its own changes
        exported = torch.export.export(model, (images(),))
        torch.onnx.export(model, (images(),), str(path), dynamo=True, verbose=False)
    with torch.no_grad():
        expected = model(images())
        torch.testing.assert_close(exported.module()(images()), expected, atol=1e-5, rtol=1e-5)
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = torch.from_numpy(session.run(None, {session.get_inputs()[0].name: images().numpy()})[0])
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ["fan_vit_micro_32", *(slow(name) for name in MICRO[1:])])
def test_compiles_without_graph_breaks(name: str) -> None:
    model = build(name)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        torch.testing.assert_close(compiled(images()), model(images()), atol=1e-5, rtol=1e-5)
    torch._dynamo.reset()


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("fan_vit_micro_32", {"heads": 7}),
        ("fan_vit_micro_32", {"channel_heads": 3}),
        ("fan_swin_micro_32", {"heads": (1, 2, 3)}),
        ("vit_micro_32", {"heads": (0,)}),
    ],
)
def test_heads_that_do_not_divide_the_width_are_named(name: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=f"{next(iter(arguments))}=. does not divide the width"):
        timm.create_model(name, **arguments)


def test_channel_heads_group_the_channel_attention_alone() -> None:
    both, tokens = (timm.create_model("fan_vit_micro_32", heads=2, channel_heads=each) for each in (None, 5))
    assert [block.attn.heads for block in tokens.blocks] == [2] * 5
    assert [len(block.mlp.temperature) for block in tokens.blocks] == [5] * 5
    assert [len(block.mlp.temperature) for block in both.blocks] == [2] * 5
