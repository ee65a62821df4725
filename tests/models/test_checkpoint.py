"""Checkpoints: every wrapping of training programs, no code from files, clear words about what does not fit."""

import argparse
import io
import json
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from click.testing import CliRunner

import weatherglass as wg
from weatherglass.errors import UserError
from weatherglass.models.checkpoint import fit_checkpoint, load_checkpoint, save_weights
from weatherglass.models.checkpoint_numbers import NUMBERS
from weatherglass.models.dense_backbone import FanDenseBackbone, dense_state_dict

NAME = "fan_vit_micro_32"


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    return wg.create_model(NAME).state_dict()


def same(left: dict, right: dict) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)


def test_the_authors_form(tmp_path: Path, state: dict) -> None:
    """state_dict, state_dict_ema, module. prefixes, and a Namespace of arguments."""
    averaged = {f"module.{key}": value + 1 for key, value in state.items()}
    wrapped = {f"module.{key}": value for key, value in state.items()}
    path = tmp_path / "model_best.pth.tar"
    arguments = argparse.Namespace(model=NAME, lr=0.1)
    torch.save({"epoch": 3, "state_dict": wrapped, "state_dict_ema": averaged, "args": arguments}, path)
    plain, ema = load_checkpoint(path), load_checkpoint(path, ema=True)
    assert same(dict(plain.state_dict), state) and plain.source == "state_dict" and not plain.is_ema
    assert ema.is_ema and plain.metadata["epoch"] == 3 and plain.metadata["args"].model == NAME
    assert fit_checkpoint(wg.create_model(NAME), plain).exact
    assert same(wg.create_model(NAME, checkpoint=path).state_dict(), state)


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"model": s}, lambda s: {"state_dict_ema": s}])
def test_other_forms(tmp_path: Path, state: dict, wrap) -> None:
    torch.save(wrap(state), tmp_path / "weights.pth")
    assert same(dict(load_checkpoint(tmp_path / "weights.pth").state_dict), state)


def test_safetensors_round_trip(tmp_path: Path) -> None:
    model = wg.create_model(NAME)
    save_weights(model, tmp_path / "w.safetensors", {"note": "yes"})
    checkpoint = load_checkpoint(tmp_path / "w.safetensors")
    assert same(dict(checkpoint.state_dict), model.state_dict())
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_who_may_read_weights_follows_the_umask(umask: int, mode: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        save_weights(torch.nn.Linear(2, 2), tmp_path / "w.safetensors")
    finally:
        os.umask(before)
    assert oct((tmp_path / "w.safetensors").stat().st_mode & 0o777) == oct(mode)


class Evil:
    def __reduce__(self):
        return (print, ("code from a checkpoint has run",))


def test_code_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    torch.save({"state_dict": {}, "extra": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(UserError, match="would run code from the file"):
        load_checkpoint(tmp_path / "evil.pth")
    (tmp_path / "raw.pth").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(UserError):
        load_checkpoint(tmp_path / "raw.pth")
    assert "has run" not in capsys.readouterr().out


def test_numbers_of_numpy_are_numbers(tmp_path: Path, state: dict) -> None:
    """As training programs store a best metric; the names are those of NumPy 2 and, in old files, NumPy 1."""
    numbers = {
        "metric": np.float64(71.25),
        "epoch": np.int32(7),
        "done": np.bool_(True),
        "big": np.array(2.5, ">f4")[()],
    }
    torch.save({"state_dict": state, **numbers}, tmp_path / "new.pth")
    assert load_checkpoint(tmp_path / "new.pth").metadata == {"metric": 71.25, "epoch": 7, "done": True, "big": 2.5}
    old = pickle.dumps({"state_dict": {"w": 1}, "metric": np.float64(2.5)}, 2).replace(b"numpy._core", b"numpy.core")
    with torch.serialization.safe_globals(NUMBERS):
        assert torch.load(io.BytesIO(_zipped(old)), weights_only=True)["metric"] == 2.5


@pytest.mark.parametrize("value", [np.zeros(2), np.dtype("V8"), np.dtype([("a", "O")]), np.void(b"12345678")])
def test_nothing_else_of_numpy_is_built(tmp_path: Path, state: dict, value: object) -> None:
    torch.save({"state_dict": state, "value": value}, tmp_path / "in.pth")
    with pytest.raises(UserError, match=r"would run code|which is no number"):
        load_checkpoint(tmp_path / "in.pth")


def _zipped(pickled: bytes) -> bytes:
    """A file as `torch.save` writes it, with another pickle inside."""
    saved, changed = io.BytesIO(), io.BytesIO()
    torch.save({}, saved)
    with zipfile.ZipFile(saved) as before, zipfile.ZipFile(changed, "w") as after:
        for member in before.infolist():
            after.writestr(member, pickled if member.filename.endswith("data.pkl") else before.read(member))
    return changed.getvalue()


def test_what_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no checkpoint at"):
        load_checkpoint(tmp_path / "absent.pth")
    for name in ("noise.pth", "noise.safetensors"):
        (tmp_path / name).write_bytes(b"\x00noise" * 10)
        with pytest.raises(UserError):
            load_checkpoint(tmp_path / name)
    torch.save({"epoch": 1}, tmp_path / "empty.pth")
    with pytest.raises(UserError, match="holds no weights"):
        load_checkpoint(tmp_path / "empty.pth")
    torch.save({"state_dict": {"w": torch.zeros(1)}}, tmp_path / "raw.pth")
    with pytest.raises(UserError, match="no moving average"):
        load_checkpoint(tmp_path / "raw.pth", ema=True)


def test_what_does_not_fit_is_named(state: dict) -> None:
    with pytest.raises(UserError, match="another number of classes"):
        fit_checkpoint(wg.create_model(NAME, num_classes=7), state)
    with pytest.raises(UserError, match="fits a FanSwin"):
        fit_checkpoint(wg.create_model("fan_swin_micro_32"), {"a.b": torch.zeros(1)})
    partial = {key: value for key, value in state.items() if key != "norm.bias"} | {"surplus": torch.zeros(1)}
    with pytest.raises(UserError, match=r"1 missing \(norm.bias\), 1 unexpected \(surplus\)"):
        fit_checkpoint(wg.create_model(NAME), partial)
    report = fit_checkpoint(wg.create_model(NAME), partial, strict=False)
    assert report.missing == ("norm.bias",) and report.unexpected == ("surplus",)
    report = fit_checkpoint(wg.create_model(NAME, num_classes=7), state, strict=False, ignore_mismatched=True)
    assert len(report.mismatched) == 2


def test_old_names(state: dict) -> None:
    old = {}
    for key, value in state.items():
        old[key.replace("pos_embed.", "pos_embeder.")] = value
    for block in (0, 1):
        for leaf in ("weight", "bias"):
            stem = f"cls_attn_blocks.{block}.attn"
            old[f"{stem}.qkv.{leaf}"] = torch.cat([old.pop(f"{stem}.{letter}.{leaf}") for letter in "qkv"])
    model = wg.create_model(NAME)
    assert fit_checkpoint(model, old).exact
    assert same(model.state_dict(), state)


def test_timm_loads_a_local_copy(tmp_path: Path, state: dict) -> None:
    torch.save({"state_dict": state, "args": argparse.Namespace()}, tmp_path / "local.pth.tar")
    overlay = {"file": str(tmp_path / "local.pth.tar")}
    model = timm.create_model(NAME, pretrained=True, pretrained_cfg_overlay=overlay)
    assert same(model.state_dict(), state)
    fresh = timm.create_model(NAME, pretrained=True, pretrained_cfg_overlay=overlay, num_classes=4, in_chans=1)
    assert fresh(torch.zeros(2, 1, 32, 32)).shape == (2, 4)


def test_convert(tmp_path: Path, state: dict) -> None:
    from weatherglass.cli.convert import command

    torch.save({"state_dict": state}, tmp_path / "in.pth.tar")
    output = tmp_path / "out.safetensors"
    result = CliRunner().invoke(command, [str(tmp_path / "in.pth.tar"), str(output), "--model", NAME])
    assert result.exit_code == 0, result.output
    assert same(dict(load_checkpoint(output).state_dict), state)
    assert json.loads((tmp_path / "out.safetensors.json").read_text())["num_classes"] == 10


@pytest.mark.parametrize("task", ["segmentation", "detection"])
@pytest.mark.parametrize("name", ["fan_tiny_8_p4_hybrid", "fan_small_12_p16_224"])
def test_dense_backbones(golden, fill, name: str, task: str) -> None:
    recorded = golden.read(f"dense_{task}")["variants"]
    if name not in recorded:
        with pytest.raises(UserError, match="hybrids"):
            FanDenseBackbone(name, task)
        return
    backbone = FanDenseBackbone(name, task)
    assert sum(parameter.numel() for parameter in backbone.parameters()) == recorded[name]["num_params"]
    reference = {key.removeprefix("body."): value for key, value in backbone.state_dict().items()}
    holder = fill(_Named(reference))
    published = {f"backbone.{key}": value for key, value in holder.state_dict().items()}
    assert fit_checkpoint(backbone, dense_state_dict(published)).exact
    backbone.double().eval()
    with torch.no_grad():
        maps = backbone(golden.images("64x96", dtype=torch.float64))
    for each, entry in zip(maps, recorded[name]["outputs"]["64x96"]["maps"], strict=True):
        assert list(each.shape) == entry["shape"]
        first = torch.tensor(entry["first16"], dtype=torch.float64)
        torch.testing.assert_close(each.flatten()[:16], first, atol=1e-8, rtol=0)


class _Named:
    """Just enough of a module for the filling rule: a state dict."""

    def __init__(self, state: dict[str, torch.Tensor]) -> None:
        self.state = state

    def state_dict(self) -> dict[str, torch.Tensor]:
        return self.state

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        self.state = state
