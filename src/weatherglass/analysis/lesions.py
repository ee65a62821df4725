"""Lesions: silence residual branches of a trained network and see what is lost (protocol: no fine-tuning).

Bhojanapalli et al., "Understanding Robustness of Transformers for Image Classification", ICCV 2021, section 4. A
lesion is a hook for a while; no parameter is touched, so the network is bit-identical afterwards, also after an
exception.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from weatherglass.analysis.disturbed import DisturbedPredictor, module_of
from weatherglass.analysis.silencing import CHANNEL_MIXING, TOKEN_MIXING, zeros_instead
from weatherglass.analysis.structure import Branch, Structure, find_structure
from weatherglass.analysis.tracing import hooked
from weatherglass.errors import UserError
from weatherglass.randomness import Draws
from weatherglass.types import Disturbance, Predictor

PREFIX = "lesion:"

ITEMS = {
    "blocks": "whole blocks",
    "attentions": "token-mixing branches",
    "mlps": "channel-mixing branches",
    "branches": "branches of any kind",
    "pairs": "one token-mixing and one channel-mixing branch each, from different blocks",
}
"""What can be drawn at random."""

_RANDOM = re.compile(r"random-(\d{1,9})-([a-z]+)(?:-after-(\d{1,9}))?(?:#(-?\d{1,18}))?")


@contextmanager
def lesion(model: nn.Module, branches: Sequence[str], *, structure: Structure | None = None) -> Iterator[None]:
    """Silence residual branches of `model` within the `with` block.

    `branches` holds names of branches ('blocks.3.attn', or 'blocks.3.token_mixing' in any model), of blocks
    ('blocks.3': all its branches), or a kind ('channel_mixing': all of them). `structure` spares the search where
    it is known. Raises `UserError` for a name that is no removable branch.
    """
    structure = structure or find_structure(model)
    chosen = structure.resolve(branches)
    with hooked([model.get_submodule(one.name).register_forward_hook(zeros_instead) for one in chosen]):
        yield


@dataclass(frozen=True)
class RandomItems:
    """Some items of one kind, drawn uniformly without replacement."""

    count: int
    items: str
    """One of `ITEMS`."""
    after: int = 0
    """The first blocks, which are spared."""
    repeat: int = 0
    """Which draw."""

    def __str__(self) -> str:
        after = f"-after-{self.after}" if self.after else ""
        return f"random-{self.count}-{self.items}{after}#{self.repeat}"

    def draw(self, structure: Structure) -> tuple[Branch, ...]:
        """The branches to silence. Raises `UserError` where the model has fewer items."""
        blocks = structure.trunk[self.after :]
        attentions = [b for block in blocks for b in block.branches if b.kind == TOKEN_MIXING]
        mlps = [b for block in blocks for b in block.branches if b.kind == CHANNEL_MIXING]
        match self.items:
            case "blocks":
                names = self._order([block.name for block in blocks], "blocks")[: self.count]
                return structure.resolve(names)
            case "pairs":
                return self._pairs(attentions, mlps)
            case items:
                pool = {"attentions": attentions, "mlps": mlps}.get(items, [b for k in blocks for b in k.branches])
                return structure.resolve(self._order([branch.name for branch in pool], items)[: self.count])

    def _pairs(self, attentions: list[Branch], mlps: list[Branch]) -> tuple[Branch, ...]:
        """`count` attentions and as many MLPs, no two from one block while there are blocks enough."""
        order = self._order(list(dict.fromkeys(branch.block for branch in attentions)), "pairs", 2 * self.count)
        first, second = set(order[: self.count]), set(order[self.count : 2 * self.count])
        chosen = [b for b in attentions if b.block in first] + [b for b in mlps if b.block in second]
        return tuple(chosen)

    def _order(self, names: Sequence[str], pool: str, needed: int | None = None) -> list[str]:
        if (needed or self.count) > len(names):
            raise UserError(f"'{self}' needs {needed or self.count} {pool}; the model has {len(names)}.")
        label = f"lesion/random-{self.count}-{self.items}-after-{self.after}"
        numbers = Draws(self.repeat, tuple(names), label).uniform("order", 1).flatten().tolist()
        return [name for _, name in sorted(zip(numbers, names, strict=True))]


@dataclass(frozen=True)
class Lesioned(Disturbance):
    """Residual branches of the model silenced while it predicts."""

    targets: tuple[str, ...] = ()
    """Names as `lesion` takes them."""
    random: RandomItems | None = None
    """Drawn ones instead."""

    def __str__(self) -> str:
        return PREFIX + (str(self.random) if self.random else ",".join(self.targets))

    @property
    def keeps_layout(self) -> bool:
        return True

    @property
    def family(self) -> str:
        return "lesion"

    def protocol(self, height: int, width: int) -> dict[str, str]:
        return {"lesion": "output of the branch replaced by zero, no fine-tuning"}

    def branches(self, structure: Structure) -> tuple[Branch, ...]:
        """What is silenced in a model of this structure."""
        return self.random.draw(structure) if self.random else structure.resolve(self.targets)

    @contextmanager
    def of_model(self, predictor: Predictor) -> Iterator[Predictor]:
        """The lesioned model. Raises `UserError` for models without readable structure or without such branches."""
        yield DisturbedPredictor(predictor, self._silenced)

    def _silenced(self, model: nn.Module, structure: Structure) -> AbstractContextManager[None]:
        names = [branch.name for branch in self.branches(structure)]
        return lesion(model, names, structure=structure)


def parse_lesion(text: str) -> Lesioned:
    """'lesion:blocks.3.mlp,blocks.4' or 'lesion:random-4-blocks#2' as a `Lesioned`. Raises `UserError`."""
    body = text.removeprefix(PREFIX)
    if not body:
        raise UserError("A lesion names what is silenced, e.g. lesion:blocks.3.mlp or lesion:random-4-blocks#0.")
    if not body.startswith("random-"):
        return Lesioned(tuple(part.strip() for part in body.split(",")))
    found = _RANDOM.fullmatch(body)
    if found is None or found[2] not in ITEMS:
        raise UserError(
            f"'{text}' is no random lesion; write random-COUNT-ITEMS[-after-BLOCKS][#REPEAT] with ITEMS one of "
            f"{', '.join(ITEMS)}."
        )
    return Lesioned(random=RandomItems(int(found[1]), found[2], int(found[3] or 0), int(found[4] or 0)))


def single_lesions(structure: Structure) -> list[Lesioned]:
    """Every block and every branch on its own: experiment 1."""
    wholes = [Lesioned((block.name,)) for block in structure.trunk if len(block.branches) > 1]
    parts = [Lesioned((branch.name,)) for block in structure.trunk for branch in block.branches]
    return [*wholes, *parts]


def random_lesions(
    structure: Structure, *, items: Sequence[str] = ("blocks",), repeats: int = 5, after: int = 0, seed: int = 0
) -> list[Lesioned]:
    """Experiment 2: k = 1, 2, ... items of each kind, `repeats` draws of each k, the first `after` blocks spared."""
    made = []
    for kind in items:
        for count in range(1, available(structure, kind, after) + 1):
            made += [Lesioned(random=RandomItems(count, kind, after, repeat)) for repeat in _draws(repeats, seed)]
    return made


def equal_count_lesions(structure: Structure, *, repeats: int = 5, after: int = 0, seed: int = 0) -> list[Lesioned]:
    """Experiment 3: k blocks, 2k branches, and k attentions with k MLPs of other blocks."""
    most = available(structure, "pairs", after)
    rows: list[tuple[str, Callable[[int], int]]] = [
        ("blocks", lambda k: k),
        ("branches", lambda k: 2 * k),
        ("pairs", lambda k: k),
    ]
    return [
        Lesioned(random=RandomItems(number(count), items, after, repeat))
        for count in range(1, most + 1)
        for items, number in rows
        for repeat in _draws(repeats, seed)
    ]


def _draws(repeats: int, seed: int) -> range:
    """Which draws belong to a seed: no two seeds share one, and their names say all that decides them."""
    return range(seed * repeats, (seed + 1) * repeats)


def available(structure: Structure, items: str, after: int = 0) -> int:
    """How many items of a kind there are to silence at most."""
    blocks = structure.trunk[after:]
    branches = [branch for block in blocks for branch in block.branches]
    attentions = sum(branch.kind == TOKEN_MIXING for branch in branches)
    mlps = sum(branch.kind == CHANNEL_MIXING for branch in branches)
    pairs = min(len({b.block for b in branches if b.kind == TOKEN_MIXING}) // 2, mlps)
    counts = {"blocks": len(blocks), "attentions": attentions, "mlps": mlps, "branches": len(branches), "pairs": pairs}
    return counts[items]


def structure_of(predictor: Predictor, size: tuple[int, int] | None = None) -> Structure:
    """The structure of a predictor's module for images of `size` pixels (None: what it declares)."""
    return find_structure(module_of(predictor), size or predictor.preprocessing.size)


def head_on_embedding(model: nn.Module, images: torch.Tensor, structure: Structure) -> torch.Tensor:
    """What the network says with every residual branch silenced: its head on its embedding."""
    with lesion(model, [block.name for block in structure.blocks], structure=structure):
        return model(images)
