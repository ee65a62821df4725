"""The structure of a network, found from outside: its residual blocks in order, their branches, their tokens.

Nothing is believed because of its name. A module counts as a residual block when silencing some of its children
makes it return its input bit for bit; this is searched on a copy with random weights (so that no zero of an
initialisation passes for silence) and checked again on the network itself. Names only tell token mixing from channel
mixing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from weatherglass.analysis.layouts import Layout, layout_of, single_tensor
from weatherglass.analysis.silencing import branch_children, branch_kinds, is_silent_identity
from weatherglass.analysis.tracing import Call, evaluation_mode, trace
from weatherglass.errors import UserError

Grid = tuple[int, int]


LEAST_COVERAGE = 0.03
"""Share of a network's parameters that lies in the blocks that were read; less is a misreading."""

HOW_TO_DESCRIBE = (
    "If it has residual blocks, describe them: model.residual_branches = {'layers.0': {'token_mixing': "
    "'layers.0.mixer', 'channel_mixing': 'layers.0.ffn'}, ...}; the description is verified."
)


class UnreadableStructure(UserError):
    """No residual blocks were found in a network."""


@dataclass(frozen=True)
class Branch:
    """One residual branch: the module whose output is added to the stream."""

    name: str
    """Name of the module in the network, e.g. 'blocks.3.attn'."""
    kind: str
    """'token_mixing', 'channel_mixing', or 'mixed' where one branch does both (ConvNeXt, ResNet)."""
    block: str


@dataclass(frozen=True)
class Block:
    """A residual block that becomes the identity when its branches are silenced (verified)."""

    name: str
    branches: tuple[Branch, ...]
    layout: Layout
    """How the block's output holds tokens."""
    stream: int
    """Which positional input is the residual stream: 0, or 1 in CaiT's class-attention blocks."""
    is_readout: bool
    """Whether only a class token flows through it."""


@dataclass(frozen=True)
class FixedBlock:
    """A block of the same class as others that cannot be removed, e.g. because it changes the resolution."""

    name: str
    reason: str
    layout: Layout | None


@dataclass(frozen=True)
class Structure:
    """What was found in a network for images of one size."""

    blocks: tuple[Block, ...]
    """In the order in which they are computed."""
    fixed: tuple[FixedBlock, ...]
    layers: tuple[tuple[str, Layout], ...]
    """Every block, removable or not, with the layout of its output: what similarity and noise decay look at."""
    size: Grid
    """Height and width of the images it was found with."""

    @property
    def branches(self) -> tuple[Branch, ...]:
        return tuple(branch for block in self.blocks for branch in block.branches)

    @property
    def trunk(self) -> tuple[Block, ...]:
        """The blocks that patch tokens or maps flow through: all but class-attention blocks."""
        return tuple(block for block in self.blocks if not block.is_readout)

    def of_kind(self, kind: str) -> tuple[Branch, ...]:
        return tuple(branch for branch in self.branches if branch.kind == kind)

    def resolve(self, names: Sequence[str]) -> tuple[Branch, ...]:
        """The branches that `names` mean: 'blocks.3' (both), 'blocks.3.attn', 'blocks.3.token_mixing', or a kind.

        Raises `UserError` for a name that is no residual branch, or a block that is not removable.
        """
        table: dict[str, list[Branch]] = {}
        for block in self.blocks:
            table[block.name] = list(block.branches)
            for branch in block.branches:
                for key in (branch.name, f"{block.name}.{branch.kind}", branch.kind):
                    table.setdefault(key, []).append(branch)
        chosen: list[Branch] = []
        for name in names:
            if name not in table:
                raise UserError(self._unknown(name, table))
            chosen += table[name]
        return tuple(dict.fromkeys(chosen))

    def _unknown(self, name: str, table: Mapping[str, object]) -> str:
        from difflib import get_close_matches

        for fixed in self.fixed:
            if fixed.name == name:
                return f"The block '{name}' cannot be removed: {fixed.reason}."
        near = get_close_matches(name, list(table), n=3)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        return (
            f"'{name}' is no residual branch of this model.{hint} It has {len(self.blocks)} blocks: "
            f"{self.blocks[0].name} ... {self.blocks[-1].name}, e.g. {self.blocks[0].branches[0].name}."
        )


def find_structure(model: nn.Module, size: Grid | int | None = None) -> Structure:
    """The residual blocks of `model` for images of `size` pixels, verified.

    `size` None takes what the model declares, else 224 or 32 pixels, whichever it accepts. A model may describe
    itself by an attribute `residual_branches` (block name -> {kind: branch name}); the description is verified
    too. Raises `UnreadableStructure` where there is no residual block; `UserError` where a description is wrong.
    """
    with evaluation_mode(model), torch.no_grad():
        calls, used = _traced(model, size)
        named = {module: name for name, module in model.named_modules()}
        described = getattr(model, "residual_branches", None)
        found = _searched(calls, named) if described is None else _described(model, calls, described)
        if not found:
            raise UnreadableStructure(_nothing_found(model, calls, named))
        structure = _assembled(model, calls, found, named, used)
        if described is None:
            _check_coverage(model, structure)
        return structure


def declared_size(model: nn.Module) -> Grid | None:
    """Height and width of the images a model says it wants."""
    preprocessing = getattr(model, "preprocessing", None)
    if getattr(preprocessing, "size", None):
        return preprocessing.size  # pyright: ignore[reportOptionalMemberAccess]
    for holder, attribute in ((getattr(model, "patch_embed", None), "img_size"), (model, "img_size")):
        size = getattr(holder, attribute, None)
        if isinstance(size, int):
            return size, size
        if isinstance(size, tuple | list) and len(size) == 2 and all(isinstance(side, int) for side in size):
            return size[0], size[1]
    for attribute in ("pretrained_cfg", "default_cfg"):
        declared = (getattr(model, attribute, None) or {}).get("input_size")
        if declared:
            return declared[1], declared[2]
    return None


def _traced(model: nn.Module, size: Grid | int | None) -> tuple[list[Call], Grid]:
    """Every call of a module with children, for two images of noise."""
    wanted = (size, size) if isinstance(size, int) else size
    sizes = [wanted] if wanted else [declared_size(model) or (224, 224), (224, 224), (32, 32)]
    like = next(model.parameters(), torch.zeros(1))
    failure: Exception | None = None
    for height, width in dict.fromkeys(sizes):
        generator = torch.Generator().manual_seed(0)
        images = torch.randn(2, 3, height, width, generator=generator).to(like)
        try:
            return trace(model, images), (height, width)
        except (RuntimeError, ValueError, AssertionError, IndexError, UserError) as error:
            failure = failure or error
    raise UserError(
        f"{type(model).__name__} fails on images of {sizes[0][0]}x{sizes[0][1]} pixels "
        f"({str(failure).splitlines()[0][:120]}): give the size it wants."
    )


Found = dict[nn.Module, tuple[Call, int, tuple[str, ...], Mapping[str, str]]]
"""Block -> its call, the input that is the stream, the branches below it, and their kinds where they are given."""


def _searched(calls: list[Call], named: Mapping[nn.Module, str]) -> Found:
    """The outermost modules that become the identity when some of their children are silenced."""
    found: Found = {}
    known: dict[tuple[object, ...], tuple[str, ...] | None] = {}
    for call in calls:
        module = call.module
        if any(named[module].startswith(f"{named[block]}.") for block in found):
            continue
        for stream in call.streams:
            signature = (type(module), tuple((n, type(c)) for n, c in module.named_children()), stream)
            if signature not in known:
                known[signature] = branch_children(call, stream)
            children = known[signature]
            if children and is_silent_identity(module, call, stream, children):
                found[module] = (call, stream, children, {})
                break
    return found


def _described(model: nn.Module, calls: list[Call], described: Mapping[str, Mapping[str, str]]) -> Found:
    """The blocks that the model itself names, each verified."""
    by_module = {call.module: call for call in calls}
    found: Found = {}
    for name, branches in described.items():
        try:
            block = model.get_submodule(name)
            for branch in branches.values():
                model.get_submodule(branch)
        except AttributeError as error:
            raise UserError(f"residual_branches of {type(model).__name__}: {error}.") from None
        call = by_module.get(block)
        outside = [branch for branch in branches.values() if not branch.startswith(f"{name}.")]
        if outside:
            raise UserError(f"residual_branches of {type(model).__name__}: '{outside[0]}' is not inside '{name}'.")
        below = {branch.removeprefix(f"{name}."): kind for kind, branch in branches.items()}
        streams = call.streams if call else ()
        for stream in streams:
            assert call is not None
            if is_silent_identity(block, call, stream, tuple(below)):
                found[block] = (call, stream, tuple(below), below)
                break
        else:
            raise UserError(
                f"residual_branches of {type(model).__name__}: with {', '.join(branches.values())} silenced, "
                f"'{name}' does not return its input."
            )
    return found


def _assembled(
    model: nn.Module, calls: list[Call], found: Found, named: Mapping[nn.Module, str], size: Grid
) -> Structure:
    classes = {type(module) for module in found}
    blocks, fixed, layers = [], [], []
    for call in calls:
        name, module = named[call.module], call.module
        if module in found:
            _, stream, children, kinds = found[module]
            layout = layout_of(model, call, size)
            told = branch_kinds(module, children)
            branches = tuple(
                Branch(f"{name}.{child}", kinds.get(child, kind), name)
                for child, kind in zip(children, told, strict=True)
            )
            blocks.append(Block(name, branches, layout, stream, is_readout=layout.tokens == 0))
            if layout.tokens:
                layers.append((name, layout))
        elif type(module) in classes:
            same = single_tensor(call.output).shape == single_tensor(call.inputs).shape
            reason = "it scales or projects its input beside the branch" if same else "it changes the shape"
            layout = layout_of(model, call, size)
            fixed.append(FixedBlock(name, reason, layout))
            layers.append((name, layout))
    return Structure(tuple(blocks), tuple(fixed), tuple(layers), size)


def _check_coverage(model: nn.Module, structure: Structure) -> None:
    """Refuse a reading that leaves most of the network out, such as DaViT's positional encodings alone."""
    names = [*(block.name for block in structure.blocks), *(block.name for block in structure.fixed)]
    covered = sum(p.numel() for name in names for p in model.get_submodule(name).parameters())
    share = covered / max(sum(p.numel() for p in model.parameters()), 1)
    if share < LEAST_COVERAGE:
        raise UnreadableStructure(
            f"{type(model).__name__}: the {len(structure.blocks)} residual blocks that could be read "
            f"({structure.blocks[0].name}, ...) hold only {share:.0%} of the parameters; the rest is built in another "
            f"way. {HOW_TO_DESCRIBE}"
        )


def _nothing_found(model: nn.Module, calls: list[Call], named: Mapping[nn.Module, str]) -> str:
    tried = sorted({type(call.module).__name__ for call in calls if call.streams})
    return (
        f"{type(model).__name__} has no residual block that could be read. Looked for: a module that returns its input "
        f"exactly when up to three of its direct children are silenced; tried {len(tried)} classes"
        f"{' (' + ', '.join(tried[:6]) + ')' if tried else ''}. {HOW_TO_DESCRIBE}"
    )
