"""Attention forms against direct evaluation of their equations, and their gradients in float64."""

import pytest
import torch
import torch.nn.functional as F

from weatherglass.models.channel_attention import ConvolutionalMlp, channel_processing
from weatherglass.models.fan_blocks import ClassAttention, TokenMixing
from weatherglass.models.linear import Linear, linear
from weatherglass.models.windows import WindowAttention

GRID = (3, 4)


def tokens(batch: int = 2, width: int = 8) -> torch.Tensor:
    return torch.randn(batch, 12, width, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def randomised(module: torch.nn.Module) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(1)
    for parameter in module.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.5 + 0.5 * (parameter.dim() < 2)
    for name, buffer in module.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer.copy_(torch.rand(buffer.shape, generator=generator) + 0.5)
    return module.double().eval()


@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize("grid", [(3, 4), (1, 1), (1, 5), (2, 2)])
def test_folded_mlp_is_the_mlp(grid: tuple[int, int], skip: bool) -> None:
    mlp = randomised(ConvolutionalMlp(8, 16, skip=skip))
    x = tokens()[:, :1].expand(-1, grid[0] * grid[1], -1) + torch.arange(grid[0] * grid[1])[:, None]
    hidden, branch = mlp.fc1(x), mlp.dwconv
    features = hidden.transpose(1, 2).reshape(2, 16, *grid)
    scaled = mlp.gamma[:, None, None] * branch.conv2(branch.bn(F.gelu(branch.conv1(features))))
    torch.testing.assert_close(branch(features, mlp.gamma), scaled, atol=1e-10, rtol=1e-10)
    expected = mlp.fc2(scaled.flatten(2).transpose(1, 2) + (hidden if skip else 0))
    torch.testing.assert_close(mlp(x, grid), expected, atol=1e-10, rtol=1e-10)


def test_efficient_channel_attention_is_its_formula() -> None:
    module = randomised(channel_processing("eca", 8, 2, 16))
    x = tokens()
    query = F.linear(x, module.q.weight, module.q.bias).softmax(1)
    key = x.softmax(1).reshape(2, 12, 2, 4).mean(3)
    agreement = torch.einsum("bthc,bth->bhc", query.reshape(2, 12, 2, 4), key)
    gate = (torch.sigmoid(agreement) * module.temperature[:, 0]).reshape(2, 1, 8)
    torch.testing.assert_close(module.gate(x), gate)
    torch.testing.assert_close(module(x, GRID), gate * module.norm_v(module.mlp_v(x, GRID)))


def test_gate_stays_in_its_range() -> None:
    module = randomised(channel_processing("eca", 8, 2, 16))
    module.temperature.data.fill_(2.0)
    gate = module.gate(20 * tokens())
    assert gate.min() > 1.0 and gate.max() < 2 * 0.7311


def test_equation_7_as_printed() -> None:
    module = randomised(channel_processing("eca_paper", 8, 2, 16))
    x = tokens()
    gate = torch.sigmoid(
        (x.softmax(1) @ module.q.weight.T).transpose(1, 2) @ x.mean(2, keepdim=True).softmax(1) / 12**0.5
    )
    torch.testing.assert_close(module(x, GRID), gate.transpose(1, 2) * module.mlp_v(x, GRID))


def test_equation_6() -> None:
    module = randomised(channel_processing("sa", 8, 1, 16))
    x = tokens()
    scores = module.q(x).transpose(1, 2) @ module.k(x) / 12**0.5
    torch.testing.assert_close(module.attention(x).sum(3), torch.ones(2, 1, 8).double())
    torch.testing.assert_close(
        module(x, GRID), (scores.softmax(2) @ module.mlp_v(x, GRID).transpose(1, 2)).transpose(1, 2)
    )


def test_constant_gate_and_plain_mlp() -> None:
    x = tokens()
    module = randomised(channel_processing("constant", 8, 2, 16))
    expected = 0.5 * module.temperature.flatten().repeat_interleave(4) * module.norm_v(module.mlp_v(x, GRID))
    torch.testing.assert_close(module(x, GRID), expected)
    assert isinstance(channel_processing("mlp", 8, 2, 16), ConvolutionalMlp)


def test_class_attention_is_attention_with_one_query() -> None:
    module = randomised(ClassAttention(8, 2))
    x = tokens()
    query, key, value = (
        layer(part).unflatten(2, (2, -1)).transpose(1, 2)
        for layer, part in ((module.q, x[:, :1]), (module.k, x), (module.v, x))
    )
    expected = module.proj(F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))
    torch.testing.assert_close(module(x), expected)


@pytest.mark.parametrize("kind", ["eca", "eca_paper", "se", "sa", "constant", "mlp"])
@pytest.mark.parametrize("training", [True, False])
def test_gradcheck_of_channel_processing(kind: str, training: bool) -> None:
    module = randomised(channel_processing(kind, 4, 2, 8)).train(training)
    assert torch.autograd.gradcheck(lambda x: module(x, (2, 2)), tokens(2, 4)[:, :4].clone().requires_grad_())


@pytest.mark.parametrize("module", [TokenMixing(4, 2), ClassAttention(4, 2), WindowAttention(4, 2, 2)])
def test_gradcheck_of_attention(module: torch.nn.Module) -> None:
    module = randomised(module)
    assert torch.autograd.gradcheck(module, tokens(2, 4)[:, :4].clone().requires_grad_())


def test_onednn_linear_is_linear() -> None:
    layer = Linear(24, 40)
    x = torch.randn(5, 7, 24, requires_grad=True)
    upstream = torch.randn(5, 7, 40)
    results = [function(x, layer.weight, layer.bias) for function in (linear, F.linear)]
    torch.testing.assert_close(*results, atol=1e-5, rtol=1e-5)
    gradients = [torch.autograd.grad(result, (x, layer.weight, layer.bias), upstream) for result in results]
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    assert torch.autograd.grad(linear(x, layer.weight).square().sum(), x, create_graph=True)[0].requires_grad
    torch.testing.assert_close(torch.func.vmap(layer)(x), layer(x), atol=1e-5, rtol=1e-5)
