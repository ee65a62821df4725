"""Recorded facts about the published FAN models, and the rule that fills a model with known weights."""

import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Golden:
    """The folder of golden files."""

    folder: Path

    def read(self, name: str) -> dict[str, Any]:
        return json.loads((self.folder / f"{name}.json").read_text())

    def images(self, size: str, count: int = 2, dtype: torch.dtype = torch.float32) -> Tensor:
        """The input of the golden runs; `size` is 'HEIGHTxWIDTH'."""
        height, width = map(int, size.split("x"))
        images = np.random.RandomState(0).standard_normal((2, 3, height, width)).astype(np.float32)
        return torch.from_numpy(images[:count]).to(dtype)


@pytest.fixture(scope="session")
def golden(shared_data: Path) -> Golden:
    folder = shared_data / "golden" / "fan"
    if not folder.is_dir():
        pytest.skip(f"the golden files of the FAN family are not at {folder}")
    return Golden(folder)


def fill_by_rule(model: nn.Module) -> nn.Module:
    """Give every tensor the value that follows from its name and shape (the rule beside the golden files)."""
    state = model.state_dict()
    for name, tensor in state.items():
        leaf = name.rpartition(".")[2]
        if leaf in ("num_batches_tracked", "relative_position_index", "attn_mask"):
            continue
        shape = tuple(tensor.shape)
        noise = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
        if leaf == "running_var":
            value = 1 + 0.1 * np.abs(noise)
        elif leaf in ("running_mean", "bias"):
            value = 0.1 * noise
        elif leaf in ("cls_token", "relative_position_bias_table"):
            value = noise
        elif leaf == "weight" and len(shape) > 1:
            value = (4 if name.endswith("mlp.q.weight") else 2) * noise / np.sqrt(np.prod(shape[1:]))
        else:
            value = (4 if name.endswith("norm2.weight") else 1) * (1 + 0.1 * noise)
        state[name] = torch.from_numpy(np.asarray(value, dtype=np.float32))
    model.load_state_dict(state)
    return model


@pytest.fixture(scope="session")
def fill() -> Any:
    return fill_by_rule
