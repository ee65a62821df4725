"""The contract of the structure finder, over many architectures, and what it says where it must refuse."""

from pathlib import Path

import pytest
import timm
import torch
from architectures import ARCHITECTURES, Architecture
from torch import Tensor, nn

from weatherglass.analysis.layouts import single_tensor
from weatherglass.analysis.lesions import lesion
from weatherglass.analysis.structure import Structure, UnreadableStructure, find_structure
from weatherglass.errors import UserError

PAGE = Path(__file__).parents[2] / "docs" / "analysis.md"


def cases(*, read: bool) -> list[object]:
    """The architectures that are read, or refused; the large ones for the slow run."""
    chosen = [one for one in ARCHITECTURES if bool(one.blocks) == read]
    return [pytest.param(one, id=one.name, marks=[pytest.mark.slow] if one.slow else []) for one in chosen]


def test_at_least_25_architectures_are_read_in_every_run() -> None:
    assert sum(bool(one.blocks) and not one.slow for one in ARCHITECTURES) >= 25


def test_the_page_names_every_architecture_and_every_reason() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert not [one.name for one in ARCHITECTURES if f"`{one.name}`" not in page]
    assert not [one.name for one in ARCHITECTURES if one.refused not in page]
    read = [one for one in ARCHITECTURES if one.blocks]
    assert f"{len(read)} are read, {len(ARCHITECTURES) - len(read)} are refused" in page


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("architecture", cases(read=True))
def test_blocks_are_found_and_become_the_identity(architecture: Architecture) -> None:
    torch.manual_seed(0)
    model = timm.create_model(architecture.name, **architecture.options).eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    structure = find_structure(model, architecture.size)
    assert len(structure.blocks) == architecture.blocks
    assert len(structure.blocks[-1].branches) == architecture.branches
    images = torch.randn(2, 3, architecture.size, architecture.size)
    for block in (structure.blocks[0], structure.blocks[-1]):
        check_identity(model, images, structure, block.name, block.stream)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(not module._forward_hooks for module in model.modules())


def check_identity(model: nn.Module, images: Tensor, structure: Structure, name: str, stream: int) -> None:
    """With its branches silenced the block passes on what it got."""
    seen: list[tuple[Tensor, Tensor]] = []

    def keep(_: nn.Module, inputs: tuple[Tensor, ...], output: object) -> None:
        seen.append((inputs[stream].clone(), single_tensor(output).clone()))

    handle = model.get_submodule(name).register_forward_hook(keep)
    with torch.no_grad():
        model(images)
        with lesion(model, [name], structure=structure):
            model(images)
    handle.remove()
    (whole_in, whole_out), (silent_in, silent_out) = seen
    assert torch.equal(silent_in, silent_out)
    assert torch.equal(whole_in, silent_in)
    assert whole_out.shape == silent_out.shape


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("architecture", cases(read=False))
def test_what_cannot_be_read_is_refused_with_the_reason(architecture: Architecture) -> None:
    assert architecture.refused
    model = timm.create_model(architecture.name, **architecture.options)
    with pytest.raises(UnreadableStructure, match="residual_branches"):
        find_structure(model, architecture.size)


def test_kinds_grids_and_prefixes(vit: nn.Module) -> None:
    structure = find_structure(vit)
    assert [branch.name for branch in structure.of_kind("token_mixing")] == [f"blocks.{i}.attn" for i in range(4)]
    assert [branch.name for branch in structure.of_kind("channel_mixing")] == [f"blocks.{i}.mlp" for i in range(4)]
    layout = structure.blocks[0].layout
    assert (layout.grid, layout.prefix, layout.channels) == ((4, 4), 1, 32)


def test_grid_follows_the_aspect_of_the_image() -> None:
    model = timm.create_model("vit_small_patch16_224", depth=1, embed_dim=48, num_heads=3, dynamic_img_size=True)
    structure = find_structure(model, (32, 96))
    assert structure.blocks[0].layout.grid == (2, 6)


def test_tokens_stand_row_by_row(vit: nn.Module, images: Tensor) -> None:
    """A change in the top right corner of the image moves the token at the end of the first row."""
    structure = find_structure(vit)
    layout = structure.blocks[0].layout
    changed = images.clone()
    changed[:, :, :8, -8:] += 1
    seen: list[Tensor] = []
    handle = vit.get_submodule("blocks.0").register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        vit(images)
        vit(changed)
    handle.remove()
    difference = (layout.patches(seen[0]) - layout.patches(seen[1])).norm(dim=2)
    assert (difference.argmax(1) == layout.grid[1] - 1).all()
    assert (difference > 0).sum() == len(images)


class Unusual(nn.Module):
    """Residual, but computed where no module can be silenced on its own."""

    def __init__(self) -> None:
        super().__init__()
        self.mixer, self.ffn = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens + self.ffn(self.mixer(tokens).relu()) * self.mixer(tokens).sigmoid()


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 8, 8, 8)
        self.layers = nn.ModuleList([Unusual(), Unusual()])

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.embed(images).flatten(2).transpose(1, 2)
        for layer in self.layers:
            tokens = layer(tokens)
        return tokens.mean(1)


def test_a_model_may_describe_itself_and_is_verified() -> None:
    model = Net().eval()
    model.residual_branches = {f"layers.{i}": {"mixed": f"layers.{i}.ffn"} for i in range(2)}  # pyright: ignore
    structure = find_structure(model, 32)
    assert [branch.name for branch in structure.branches] == ["layers.0.ffn", "layers.1.ffn"]
    model.residual_branches = {"layers.0": {"mixed": "layers.0.mixer"}}  # pyright: ignore
    with pytest.raises(UserError, match="does not return its input"):
        find_structure(model, 32)
    model.residual_branches = {"layers.0": {"mixed": "embed"}}  # pyright: ignore
    with pytest.raises(UserError, match="not inside"):
        find_structure(model, 32)
    model.residual_branches = {"layers.0": {"mixed": "layers.0.nothing"}}  # pyright: ignore
    with pytest.raises(UserError, match="nothing"):
        find_structure(model, 32)


def test_names_are_resolved_or_answered(vit: nn.Module) -> None:
    structure = find_structure(vit)
    assert [b.name for b in structure.resolve(["blocks.2"])] == ["blocks.2.attn", "blocks.2.mlp"]
    assert structure.resolve(["blocks.2.token_mixing"]) == structure.resolve(["blocks.2.attn"])
    assert len(structure.resolve(["channel_mixing"])) == 4
    with pytest.raises(UserError, match=r"Did you mean blocks\.3\.attn"):
        structure.resolve(["blocks.3.atn"])


def test_a_block_that_changes_the_resolution_stays(images: Tensor) -> None:
    model = timm.create_model("resnet18").eval()
    structure = find_structure(model, 64)
    with pytest.raises(UserError, match="changes the shape"):
        structure.resolve(["layer2.0"])


def test_training_mode_is_given_back(vit: nn.Module) -> None:
    vit.train()
    vit.blocks[1].eval()  # pyright: ignore
    find_structure(vit)
    assert vit.training and not vit.blocks[1].training  # pyright: ignore
