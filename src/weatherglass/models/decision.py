"""Predictors that decide among fewer things than the model has outputs: a mask of outputs, or groups of them."""

from collections.abc import Callable, Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from weatherglass.types import Images, Logits, Predictor


class Decided(Predictor):
    """The outputs of `inner`, turned by `rule` into those that compete. Everything else is that of `inner`."""

    def __init__(
        self, inner: Predictor, rule: Callable[[Logits], Logits], class_names: tuple[str, ...] | None, decision: str
    ) -> None:
        self.inner = inner
        self._rule, self._decision = rule, decision
        self.name, self.digest, self.preprocessing = inner.name, inner.digest, inner.preprocessing
        self.device, self.precision = inner.device, inner.precision
        self.differentiable, self.parameters = inner.differentiable, inner.parameters
        self.class_names = class_names
        self.classes = int(rule(torch.zeros(1, inner.classes)).shape[1])

    @property
    def decision(self) -> str:
        return self._decision

    @property
    def module(self) -> nn.Module | None:
        """The network behind the predictor, where there is one."""
        return getattr(self.inner, "module", None)

    def __call__(self, images: Images) -> Logits:
        return self._rule(self.inner(images))


def masked(predictor: Predictor, outputs: Sequence[int], name: str) -> Predictor:
    """Only `outputs` compete, in the order given; the largest of the others counts for nothing."""
    index = torch.tensor(outputs, device=predictor.device)
    names = predictor.class_names and tuple(predictor.class_names[output] for output in outputs)
    text = f"{name}: {len(outputs)} of {predictor.classes}"
    return Decided(predictor, lambda logits: logits[:, index.to(logits.device)], names, text)


def grouped(predictor: Predictor, groups: Mapping[str, Sequence[int]], name: str) -> Predictor:
    """The group with the largest mean probability wins; the new outputs are the logarithms of these means.

    Probabilities are those of the softmax over all outputs (Geirhos et al. 2019, section 2.2 and their code).
    """
    weights = torch.zeros(predictor.classes, len(groups), dtype=torch.float64)
    for column, outputs in enumerate(groups.values()):
        weights[list(outputs), column] = 1 / len(outputs)

    def rule(logits: Logits) -> Float[Tensor, "batch groups"]:
        probability = logits.double().softmax(dim=1) @ weights.to(logits.device)
        return probability.clamp(min=1e-300).log().float()

    text = f"{name}: {len(groups)} groups of {predictor.classes}, mean probability"
    return Decided(predictor, rule, tuple(groups), text)
