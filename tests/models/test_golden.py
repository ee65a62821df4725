"""The FAN models against numbers recorded from the published implementation."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import weatherglass.models.registration  # noqa: F401
from weatherglass.models.names import MODELS

RELEASED = [name for name, model in MODELS.items() if "p16_224" in name or "p4_hybrid" in name or "window7" in name]
TINY = ["fan_tiny_12_p16_224", "fan_tiny_8_p4_hybrid", "fan_swin_tiny_patch4_window7_224"]
HYBRIDS = [name for name in RELEASED if "hybrid" in name]
FAST_SIZES = {name: [] if "large" in name.lower() else ["64x96"] for name in RELEASED}
FAST_SIZES |= {name: ["64x96", "100x75", "224x224"] for name in TINY}


def mark_large(name: str) -> Any:
    return pytest.param(name, marks=pytest.mark.slow) if "large" in name.lower() else name


def test_there_are_fourteen_released_models() -> None:
    assert len(RELEASED) == 14


@pytest.mark.parametrize("name", RELEASED)
def test_names_shapes_and_sizes(golden: Any, name: str) -> None:
    recorded = golden.read(name)
    with torch.device("meta"):
        model = timm.create_model(name)
    layout = [[key, list(tensor.shape), str(tensor.dtype)[6:]] for key, tensor in model.state_dict().items()]
    assert layout == recorded["state_dict"]
    assert (
        sum(parameter.numel() for parameter in model.parameters()) == recorded["num_params"] == MODELS[name].parameters
    )
    for child, count in recorded["num_params_by_child"].items():
        if count:
            assert sum(parameter.numel() for parameter in getattr(model, child).parameters()) == count
    decayed = [parameter for key, parameter in model.named_parameters() if parameter.ndim > 1 and key != "cls_token"]
    if name == "fan_tiny_12_p16_224":
        assert len(decayed) == 126
        assert len(list(model.parameters())) - len(decayed) == 265


def assert_logits(model: nn.Module, golden: Any, entry: dict[str, Any], size: str) -> None:
    """float64 within 1e-9, float32 within ten times the gap of the published implementation."""
    count = entry["input_shape"][0]
    expected = torch.tensor(entry["logits_f64"], dtype=torch.float64)
    for dtype, tolerance in ((torch.float64, 1e-9), (torch.float32, 10 * entry["f32_f64_max_abs_diff"])):
        with torch.no_grad():
            logits = model.to(dtype)(golden.images(size, count, dtype)).double()
        torch.testing.assert_close(logits[:, : expected.shape[1]], expected, atol=tolerance, rtol=0)


@pytest.mark.parametrize("name", RELEASED)
def test_logits(golden: Any, fill: Callable, name: str) -> None:
    recorded = golden.read(name)["eval"]
    sizes = [size for size in FAST_SIZES[name] if size in recorded]
    if not sizes:
        pytest.skip("recorded only at sizes that the slow test covers")
    model = fill(timm.create_model(name)).eval()
    for size in sizes:
        assert_logits(model, golden, recorded[size], size)


@pytest.mark.slow
@pytest.mark.parametrize("name", RELEASED)
def test_logits_at_the_other_sizes(golden: Any, fill: Callable, name: str) -> None:
    recorded = golden.read(name)["eval"]
    model = fill(timm.create_model(name)).eval()
    for size in set(recorded) - set(FAST_SIZES[name]):
        if "swin" in name and size != "224x224":
            model = fill(timm.create_model(name, img_size=tuple(map(int, size.split("x"))))).eval()
        assert_logits(model, golden, recorded[size], size)


@pytest.mark.parametrize("name", [mark_large(name) for name in HYBRIDS])
def test_logits_with_biased_variance(golden: Any, fill: Callable, name: str) -> None:
    config = MODELS[name].config
    stem = dataclasses.replace(config.stem, biased_variance=True)
    model = fill(timm.create_model(name, stem=stem)).eval()
    recorded = golden.read(name)["eval_biased_layernorm"]
    assert_logits(model, golden, recorded["64x96"], "64x96")


def recorded_outputs(model: nn.Module, names: list[str], images: Tensor) -> dict[str, Tensor]:
    """What the named modules return; 'NAME:channel_attention' is the gate computed from the input of NAME."""
    outputs: dict[str, Tensor] = {}
    for name in names:
        module = model.get_submodule(name.removesuffix(":channel_attention"))

        def keep(module: nn.Module, inputs: Any, output: Any, name: str = name) -> None:
            if name.endswith(":channel_attention"):
                heads = len(module.temperature)
                output = module.gate(inputs[0]).unflatten(2, (heads, -1)).squeeze(1).unsqueeze(3)
            outputs[name] = output[0] if isinstance(output, tuple) else output

        module.register_forward_hook(keep)
    with torch.no_grad():
        outputs["head"] = model.forward_head(model.forward_features(images))
    return outputs


@pytest.mark.parametrize("name", ["fan_tiny_12_p16_224", "fan_tiny_8_p4_hybrid", "fan_small_12_p16_224_se_attn"])
def test_features(golden: Any, fill: Callable, name: str) -> None:
    assert_features(fill(timm.create_model(name)), golden, golden.read(name)["features_f64_64x96"], "64x96")


@pytest.mark.slow
def test_features_of_the_largest_hybrid(golden: Any, fill: Callable) -> None:
    name = "fan_Xlarge_16_p4_hybrid"
    assert_features(fill(timm.create_model(name)), golden, golden.read(name)["features_f64_64x96"], "64x96")


def test_features_with_biased_variance(golden: Any, fill: Callable) -> None:
    name = "fan_tiny_8_p4_hybrid"
    stem = dataclasses.replace(MODELS[name].config.stem, biased_variance=True)
    recorded = golden.read(name)["features_biased_layernorm_f64_64x96"]
    assert_features(fill(timm.create_model(name, stem=stem)), golden, recorded, "64x96")


def test_features_of_swin(golden: Any, fill: Callable) -> None:
    name = "fan_swin_tiny_patch4_window7_224"
    assert_features(fill(timm.create_model(name)), golden, golden.read(name)["features_f64_224x224"], "224x224")


def assert_features(model: nn.Module, golden: Any, recorded: dict[str, Any], size: str) -> None:
    outputs = recorded_outputs(model.double().eval(), list(recorded), golden.images(size, dtype=torch.float64))
    assert set(outputs) == set(recorded)
    for name, entry in recorded.items():
        output = outputs[name]
        if name == "pos_embed":
            output = output.expand(entry["shape"][0], -1, -1, -1)  # ours computes it once for the batch
        assert list(output.shape) == entry["shape"], name
        first = output.reshape(-1)[: len(entry["first16"])]
        torch.testing.assert_close(
            first, torch.tensor(entry["first16"], dtype=torch.float64), atol=1e-9, rtol=1e-10, msg=name
        )
        statistics = torch.stack([output.mean(), output.std(correction=0)])
        expected = torch.tensor([entry["mean"], entry["std"]], dtype=torch.float64)
        torch.testing.assert_close(statistics, expected, atol=1e-9, rtol=1e-10, msg=name)


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("mode", ["eval_mode", "train_mode"])
@pytest.mark.parametrize("name", TINY)
def test_gradients(golden: Any, fill: Callable, name: str, mode: str, biased: bool) -> None:
    prefix = "training_biased_layernorm_f64" if biased else "training_f64"
    recorded = golden.read(name)
    keys = [key for key in recorded if key.startswith(prefix)]
    if not keys:
        pytest.skip("no LayerNorm of this family has two forms")
    options = {"stem": dataclasses.replace(MODELS[name].config.stem, biased_variance=True)} if biased else {}
    model = fill(timm.create_model(name, drop_path_rate=0.0, **options)).double().train(mode == "train_mode")
    images = golden.images(keys[0].rpartition("_")[2], dtype=torch.float64).requires_grad_()
    logits = model(images)
    loss = F.cross_entropy(logits, torch.tensor(recorded[keys[0]][mode]["targets"]))
    loss.backward()
    statistics = recorded[keys[0]]["batchnorm_after_one_training_forward"]
    if "swin" in name and mode == "train_mode":
        # Swin's recorded training run had its default stochastic depth on, with unknown draws: only what lies
        # before the first draw can be compared.
        assert_statistics(dict(list(statistics.items())[:1]), model)
        return
    assert_gradients(recorded[keys[0]][mode], model, images, logits, loss)
    if mode == "train_mode":
        assert_statistics(statistics, model)


def assert_gradients(recorded: dict[str, Any], model: nn.Module, images: Tensor, logits: Tensor, loss: Tensor) -> None:
    assert loss.item() == pytest.approx(recorded["loss"], rel=1e-9)
    expected = torch.tensor(recorded["logits_f64_first32"], dtype=torch.float64)
    torch.testing.assert_close(logits[:, :32].detach(), expected, atol=1e-9, rtol=0)
    assert images.grad is not None
    first = torch.tensor(recorded["input_grad"]["first16"], dtype=torch.float64)
    torch.testing.assert_close(images.grad.flatten()[:16], first, atol=1e-11, rtol=1e-8)
    norms = {name: parameter.grad.norm().item() for name, parameter in model.named_parameters()}
    assert set(norms) == set(recorded["grad_l2_norms"])
    for name, norm in norms.items():
        if name in recorded["zero_grad_keys"]:
            assert norm < 1e-10, name
        else:
            assert norm == pytest.approx(recorded["grad_l2_norms"][name], rel=1e-7), name


def assert_statistics(recorded: dict[str, Any], model: nn.Module) -> None:
    for name, entry in recorded.items():
        norm = model.get_submodule(name)
        assert norm.num_batches_tracked == entry["num_batches_tracked"]
        for buffer in ("running_mean", "running_var"):
            first = torch.tensor(entry[f"{buffer}_first8"], dtype=torch.float64)
            torch.testing.assert_close(getattr(norm, buffer)[:8], first, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("name", TINY)
def test_stochastic_depth(golden: Any, name: str) -> None:
    recorded = golden.read(name)["drop_path"]
    model = timm.create_model(name, drop_path_rate=recorded["drop_path_rate"])
    rates = {key: module.drop_prob for key, module in model.named_modules() if hasattr(module, "drop_prob")}
    # The release builds a second module inside the channel attention and never calls it.
    assert rates == pytest.approx({k: v for k, v in recorded["modules"].items() if ".mlp." not in k}, abs=1e-6)


@pytest.mark.parametrize("name", TINY)
def test_initialisation(golden: Any, name: str) -> None:
    recorded = golden.read(name)["init_mean_std_absmax"]
    torch.manual_seed(0)
    state = timm.create_model(name).state_dict()
    for key, (mean, std, largest) in recorded.items():
        tensor = state[key].double()
        error = std / tensor.numel() ** 0.5
        assert tensor.mean().item() == pytest.approx(mean, abs=10 * error + 1e-6), key
        if tensor.numel() > 1:
            scale = tensor.std().item() if std else 0.0
            assert scale == pytest.approx(std, rel=8 / tensor.numel() ** 0.5 + 0.01, abs=1e-7), key
        if not std:
            assert tensor.abs().max().item() == pytest.approx(largest, abs=1e-6), key


def test_position_features(golden: Any) -> None:
    from weatherglass.models.fan_stem import FourierPositions

    for grid, forms in golden.read("positional_encoding").items():
        for form in ("floor", "no_floor"):
            tables = forms[form]
            positions = FourierPositions(64, paired=form == "floor").double()
            for side, length in zip("yx", map(int, grid.split("x")), strict=True):
                table = positions.table(length, positions.token_projection.weight)
                recorded = tables["y_table"] if side == "y" else tables["x_table_last_row"]
                expected = torch.tensor(recorded, dtype=torch.float64)
                found = table[: len(expected)] if side == "y" else table[-1]
                torch.testing.assert_close(found, expected, atol=1e-10, rtol=0)
