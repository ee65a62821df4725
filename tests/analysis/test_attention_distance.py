"""Restricted attention: what is masked, in fused and written-out attention alike, and what stays untouched."""

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from weatherglass.analysis.attention_calls import AttentionCalls, watching
from weatherglass.analysis.attention_distance import (
    AttentionDistance,
    allowed_pairs,
    grid_distances,
    parse_attention_distance,
    restricted_attention,
)
from weatherglass.analysis.attention_pairs import attention_pairs
from weatherglass.analysis.redundancy import cost_of
from weatherglass.analysis.structure import Block, find_structure
from weatherglass.errors import UserError
from weatherglass.models.predictor import TorchPredictor
from weatherglass.studies.distance import DistanceSettings, restrictions

SWIN = {"depths": (2, 2), "embed_dim": 24, "num_heads": (2, 4), "img_size": 64, "window_size": 4}
VIT = {"depth": 2, "embed_dim": 48, "num_heads": 3, "img_size": 64}
ATTENTIVE = {
    "vit": ("vit_small_patch16_224", 64, VIT),
    "registers": ("vit_small_patch14_reg4_dinov2", 56, VIT | {"img_size": 56}),
    "swin": ("swin_tiny_patch4_window7_224", 64, SWIN),
    "swin v2": ("swinv2_tiny_window8_256", 64, SWIN),
    "pvt": ("pvt_v2_b0", 64, {}),
    "cait": ("cait_xxs24_224", 64, {"depth": 2, "img_size": 64}),
    "beit": ("beit_base_patch16_224", 64, VIT),
    "fan": ("fan_vit_micro_32", 32, {}),
}


def build(name: str) -> tuple[nn.Module, Tensor]:
    import weatherglass.models.registration  # noqa: F401

    architecture, size, options = ATTENTIVE[name]
    torch.manual_seed(0)
    model = timm.create_model(architecture, **options).eval()
    for parameter in model.parameters():
        if parameter.ndim == 1:  # layer scales and late norms start near zero, which would hide every effect
            nn.init.uniform_(parameter, 0.5, 1)
    return model, torch.randn(2, 3, size, size)


@pytest.fixture(params=[True, False], ids=["fused", "written out"])
def vit_either_way(request: pytest.FixtureRequest, vit: nn.Module) -> nn.Module:
    for block in vit.blocks:  # pyright: ignore
        block.attn.fused_attn = request.param
    return vit


@pytest.mark.parametrize("name", ATTENTIVE)
def test_full_distance_is_the_baseline_bit_for_bit(name: str) -> None:
    model, images = build(name)
    structure = find_structure(model, images.shape[2])
    side = max(max(block.layout.grid) for block in structure.trunk)
    with torch.no_grad():
        baseline = model(images)
        with restricted_attention(model, AttentionDistance(side - 1), structure):
            assert torch.equal(model(images), baseline)
        with restricted_attention(model, AttentionDistance(1), structure):
            restricted = model(images)
        assert not torch.equal(restricted, baseline)
        assert restricted.isfinite().all()
        assert torch.equal(model(images), baseline)


@pytest.mark.parametrize("metric", ["chebyshev", "euclidean", "manhattan"])
def test_distance_zero_has_no_nan(vit_either_way: nn.Module, images: Tensor, metric: str) -> None:
    with torch.no_grad():
        for limit in (AttentionDistance(0, metric), AttentionDistance(9, metric, beyond=True)):
            with restricted_attention(vit_either_way, limit):
                assert vit_either_way(images).isfinite().all()


def test_fused_and_written_out_attention_are_restricted_alike(vit: nn.Module, images: Tensor) -> None:
    outputs = []
    for fused in (True, False):
        for block in vit.blocks:  # pyright: ignore
            block.attn.fused_attn = fused
        with torch.no_grad(), restricted_attention(vit, AttentionDistance(1)):
            outputs.append(vit(images))
    torch.testing.assert_close(outputs[0], outputs[1], rtol=1e-4, atol=1e-5)


def test_weights_are_zero_beyond_the_distance_and_rows_sum_to_one(vit_either_way: nn.Module, images: Tensor) -> None:
    structure = find_structure(vit_either_way)
    limit = AttentionDistance(1)
    kept: list[Tensor] = []
    calls = AttentionCalls(lambda block, q, k: allowed_pairs(limit, block, q, k), lambda block, w: kept.append(w))
    blocks = {block.name: block for block in structure.trunk}
    with torch.no_grad(), watching(vit_either_way, blocks, calls):
        vit_either_way(images)
    far = grid_distances((4, 4), (4, 4)) > 1
    assert len(kept) == 4
    for weights in kept:
        assert (weights[:, :, 1:, 1:][:, :, far] == 0).all()
        assert (weights[:, :, :, 0] > 0).all()
        torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]))


def test_far_pixels_cannot_reach_a_token_through_one_block(vit: nn.Module, images: Tensor) -> None:
    """A check from outside, without any mask: what a token becomes does not depend on far tokens."""
    structure = find_structure(vit)
    images = images.clone().requires_grad_()
    seen: list[Tensor] = []
    handle = vit.get_submodule("blocks.0").register_forward_hook(lambda m, i, output: seen.append(output))  # pyright: ignore
    with restricted_attention(vit, AttentionDistance(1), structure):
        vit(images)
    handle.remove()
    (gradient,) = torch.autograd.grad(seen[0][:, 1].sum(), images)  # the token in the top left corner
    assert gradient[:, :, :16, :16].abs().sum() > 0
    assert gradient[:, :, 16:].abs().sum() == 0
    assert gradient[:, :, :, 16:].abs().sum() == 0


def test_only_the_chosen_blocks_are_restricted(vit: nn.Module, images: Tensor) -> None:
    met: list[str] = []
    structure = find_structure(vit)
    for limit, expected in (
        (AttentionDistance(0, first=-2), ["blocks.2", "blocks.3"]),
        (AttentionDistance(0, last=0), ["blocks.0"]),
        (AttentionDistance(0, last=-1), [f"blocks.{i}" for i in range(4)]),
    ):
        assert list(limit.blocks(structure)) == expected
    calls = AttentionCalls(lambda block, q, k: met.append(block.name))
    with watching(vit, AttentionDistance(0, first=-2).blocks(structure), calls), torch.no_grad():
        vit(images)
    assert met == ["blocks.2", "blocks.3"]


def block_of(vit: nn.Module) -> Block:
    return find_structure(vit).blocks[0]


def test_masks_are_symmetric_and_complementary(vit: nn.Module) -> None:
    block = block_of(vit)
    for distance in (1, 2):
        near = allowed_pairs(AttentionDistance(distance), block, 17, 17)
        beyond = allowed_pairs(AttentionDistance(distance, beyond=True), block, 17, 17)
        assert near is not None and beyond is not None
        assert torch.equal(near, near.T)
        assert torch.equal((near & beyond)[1:, 1:], torch.eye(16, dtype=torch.bool))
        assert (near | beyond).all()
        assert near[0].all() and near[:, 0].all()
    blind = allowed_pairs(AttentionDistance(3, class_reads=False), block, 17, 17)
    assert blind is not None
    assert blind[0].sum() == 1 and blind[1:].all()


def test_distances_by_hand() -> None:
    assert grid_distances((2, 3), (2, 3))[0].tolist() == [0, 1, 2, 1, 1, 2]
    assert grid_distances((2, 3), (2, 3), "manhattan")[0].tolist() == [0, 1, 2, 1, 2, 3]
    assert grid_distances((4, 4), (2, 2))[0].tolist() == [0.5, 2.5, 2.5, 2.5]


WITHIN_ONE = {
    "vit": ((4 * 4 - 2 * 3) ** 2 + 33) / 17**2,  # by row times by column, and the class token reads and is read by all
    "swin": (4 * 4 - 2 * 3) ** 2 / 16**2,
    "swin v2": (4 * 4 - 2 * 3) ** 2 / 16**2,
    "cait": (4 * 4 - 2 * 3) ** 2 / 16**2,
    "fan": (3 * 8 - 2) ** 2 / 64**2,
}


@pytest.mark.parametrize("name", WITHIN_ONE)
def test_shares_and_costs_are_of_the_pairs_that_the_model_computes(name: str) -> None:
    model, images = build(name)
    size = images.shape[2]
    cost = cost_of(TorchPredictor(model, name=name, classes=10, device="cpu"), (size, size))
    assert cost.pairs is not None
    block = cost.pairs.blocks[0]
    layout, ((queries, keys),) = block.layout, cost.pairs.maps[block.name]
    windows = layout.tokens // queries if queries < layout.tokens else 1
    assert cost.attention[block.name] == 2 * windows * queries * keys * layout.channels
    assert cost.pairs.shares(AttentionDistance(1))[block.name] == pytest.approx(WITHIN_ONE[name])
    assert cost.pairs.share(AttentionDistance(7)) == cost.kept(AttentionDistance(7)) == 1


def test_the_cost_of_attention_in_one_piece_is_counted() -> None:
    """`nn.MultiheadAttention` has a fast path whose operations no counter knows."""
    options = {"image_size": 32, "patch_size": 8, "num_layers": 2, "num_heads": 2, "hidden_dim": 32, "mlp_dim": 64}
    model = torchvision.models.VisionTransformer(**options).eval()
    cost = cost_of(TorchPredictor(model, name="vit", classes=1000, device="cpu"), (32, 32))
    block = "encoder.layers.encoder_layer_0"
    assert cost.attention[block] == 2 * 17 * 17 * 32
    assert cost.branches[f"{block}.self_attention"] == 4 * 17 * 32 * 32 + 2 * 17 * 17 * 32


@pytest.mark.parametrize(("metric", "side", "corner"), [("chebyshev", 3, 3), ("euclidean", 3, 5), ("manhattan", 3, 6)])
def test_distances_are_studied_up_to_where_nothing_is_restricted(metric: str, side: int, corner: int) -> None:
    """In windows of 4 x 4 tokens, on a grid of 16 x 16."""
    model, images = build("swin")
    pairs = attention_pairs(model, find_structure(model, images.shape[2]))
    studied = restrictions(pairs, DistanceSettings(metric, near=0))
    within = {x: pairs.share(limit) for name, x, limit in studied if name == "within"}
    assert list(within) == list(range(corner + 1))
    assert within[0] == 1 / 16 and within[corner] == 1
    assert all(within[x] < 1 for x in range(side)) and list(within.values()) == sorted(within.values())
    beyond = {x: pairs.share(limit) for name, x, limit in studied if name == "beyond"}
    assert beyond == pytest.approx({x: 1 - share + 1 / 16 for x, share in within.items()})  # a token sees itself
    late = {x: pairs.share(limit) for name, x, limit in studied if name == "late"}
    per_block = [32, 32, 16, 16]  # maps: windows times heads
    kept = {m: 1 - 15 / 16 * sum(per_block[-m:]) / sum(per_block) for m in range(1, 5)}
    assert late == pytest.approx(kept)
    xcit = timm.create_model("xcit_nano_12_p16_224", depth=2, img_size=96).eval()
    with pytest.raises(UserError, match="distance"), torch.no_grad(), restricted_attention(xcit, AttentionDistance(1)):
        xcit(torch.randn(1, 3, 96, 96))
    resnet = timm.create_model("resnet18").eval()
    with (
        pytest.raises(UserError, match="no token-mixing"),
        restricted_attention(resnet, AttentionDistance(1), find_structure(resnet, 64)),
    ):
        pass


def test_text_forms_are_stable() -> None:
    for text in (
        "attention_distance@3",
        "attention_distance:euclidean@1.5",
        "attention_distance:from=-2@0",
        "attention_distance:until=3,beyond,class-blind@1",
    ):
        assert str(parse_attention_distance(text)) == text
    for wrong in ("attention_distance", "attention_distance:far@2", "attention_distance@-1"):
        with pytest.raises(UserError):
            parse_attention_distance(wrong)


def test_nothing_stays_after_an_exception(vit: nn.Module, images: Tensor) -> None:
    with torch.no_grad():
        baseline = vit(images)
        with pytest.raises(KeyboardInterrupt), restricted_attention(vit, AttentionDistance(0)):
            raise KeyboardInterrupt
        assert torch.equal(vit(images), baseline)
    assert all(not module._forward_hooks and not module._forward_pre_hooks for module in vit.modules())
