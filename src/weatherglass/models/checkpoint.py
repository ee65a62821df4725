"""Reading weights from files, for the whole project: without running code from them, and saying what did not fit.

A checkpoint is a `.safetensors` file or anything `torch.save` wrote (`.pt`, `.pth`, `.pth.tar`, `.ckpt`). Training
programs wrap the weights in many ways; `load_checkpoint` unwraps them and records how.
"""

import argparse
import pickle
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from weatherglass.errors import UserError
from weatherglass.models.checkpoint_numbers import NUMBERS

RAW_KEYS = ("state_dict", "model", "model_state_dict", "model_state", "net", "module", "weights")
"""Where training programs keep the weights, in the order in which they are tried."""

EMA_KEYS = ("state_dict_ema", "model_ema", "ema_state_dict", "ema")
"""Where they keep the moving average of the weights."""

WRAPPERS = ("module.", "_orig_mod.")
"""Prefixes that parallel and compiled wrappers put before every name."""


@dataclass(frozen=True)
class Checkpoint:
    """Weights read from a file."""

    path: Path
    state_dict: Mapping[str, Tensor]
    """Names and tensors on the CPU, wrapper prefixes removed."""
    source: str
    """The entry of the file that the weights came from, e.g. 'state_dict_ema'; '' where the file is the weights."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """The other entries of the file as far as they are plain values (epoch, arch, arguments, ...)."""

    @property
    def is_ema(self) -> bool:
        return self.source in EMA_KEYS


@dataclass(frozen=True)
class FitReport:
    """How a checkpoint fitted a model, by name."""

    loaded: int
    """Tensors that went into the model."""
    missing: tuple[str, ...] = ()
    """What the model has and the checkpoint lacks; without counters and tables that are not learned."""
    unexpected: tuple[str, ...] = ()
    """What the checkpoint has and the model lacks."""
    mismatched: tuple[str, ...] = ()
    """Names with different shapes, e.g. 'head.weight: (1000, 384) in the checkpoint, (10, 384) in the model'."""
    resized: tuple[str, ...] = ()
    """Position tables that were interpolated, among those loaded."""

    @property
    def exact(self) -> bool:
        """Whether every name and shape agreed."""
        return not (self.missing or self.unexpected or self.mismatched or self.resized)

    def __str__(self) -> str:
        parts = [f"{self.loaded} tensors fit"]
        lists = {
            "interpolated": self.resized,
            "missing": self.missing,
            "unexpected": self.unexpected,
            "of other shape": self.mismatched,
        }
        parts += [f"{len(names)} {word} ({_some(names)})" for word, names in lists.items() if names]
        return ", ".join(parts)


def load_checkpoint(path: str | Path, *, ema: bool | None = None) -> Checkpoint:
    """Read the weights in a file.

    Args:
        path: a `.safetensors` file or one that `torch.save` wrote.
        ema: True takes the moving average and fails where there is none, False the weights themselves; None takes
            the weights, or the average where the file holds nothing else.

    Raises:
        UserError: the file is absent, damaged, holds no weights, or asks to run code while it is read.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"There is no checkpoint at {path}.")
    if path.suffix == ".safetensors":
        content: Any = _read_safetensors(path)
        metadata: dict[str, Any] = _safetensors_metadata(path)
    else:
        content, metadata = _read_torch(path), {}
    source, state = _select(path, content, ema)
    if isinstance(content, Mapping) and source:
        metadata |= {str(key): value for key, value in content.items() if _is_plain(value)}
    return Checkpoint(path, MappingProxyType(_without_wrappers(state)), source, MappingProxyType(metadata))


def fit_checkpoint(
    model: nn.Module,
    checkpoint: Checkpoint | Mapping[str, Tensor],
    *,
    strict: bool = True,
    ignore_mismatched: bool = False,
    resize_positions: bool = False,
) -> FitReport:
    """Load a checkpoint into a model, in place.

    Args:
        model: takes the weights; names of the published FAN checkpoints and their dense-prediction backbones are
            recognised.
        checkpoint: what `load_checkpoint` returned, or a state dict.
        strict: every name and shape must agree. Otherwise what agrees is loaded and the report lists the rest.
        ignore_mismatched: with `strict=False`, skip tensors of another shape (a head with other classes) instead
            of refusing them.
        resize_positions: interpolate learned position tables of another image size, for fine-tuning at this one.

    Raises:
        UserError: with `strict`, when anything does not fit; always, when nothing does or a shape disagrees.
    """
    from weatherglass.models.position_tables import resized_tables
    from weatherglass.models.published_names import DERIVED, fan_state_dict

    origin = str(checkpoint.path) if isinstance(checkpoint, Checkpoint) else "the state dict"
    state = dict(checkpoint.state_dict if isinstance(checkpoint, Checkpoint) else checkpoint)
    state = fan_state_dict(state, model)
    resized = resized_tables(state, model) if resize_positions else {}
    state |= resized
    wanted = model.state_dict()
    mismatched = {name for name in wanted.keys() & state.keys() if wanted[name].shape != state[name].shape}
    fitting = {name: state[name] for name in wanted if name in state and name not in mismatched}
    unlearned = {name for name, _ in model.named_buffers() if name.endswith((*DERIVED, "num_batches_tracked"))}
    report = FitReport(
        loaded=len(fitting),
        missing=tuple(name for name in wanted if name not in state and name not in unlearned),
        unexpected=tuple(name for name in state if name not in wanted),
        mismatched=tuple(
            f"{name}: {tuple(state[name].shape)} in the checkpoint, {tuple(wanted[name].shape)} in the model"
            for name in wanted
            if name in mismatched
        ),
        resized=tuple(resized),
    )
    _refuse_misfit(report, origin, model, strict=strict, ignore_mismatched=ignore_mismatched)
    model.load_state_dict(fitting, strict=False)
    return report


def save_weights(model: nn.Module, path: str | Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write a model's weights as safetensors, aside and renamed; who may read them follows the umask."""
    from safetensors.torch import save_file

    path = Path(path)
    aside = path.with_name(f".{path.name}.part")
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    try:
        aside.touch()
        mode = aside.stat().st_mode
        save_file(tensors, aside, metadata={"format": "pt", **(metadata or {})})
        aside.chmod(mode)  # safetensors puts a file in place that its owner alone may read
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


# ------------------------------------------------------------------------------------------------------ reading


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is not a readable safetensors file: {error}.") from error


def _safetensors_metadata(path: Path) -> dict[str, Any]:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return dict(file.metadata() or {})


def _read_torch(path: Path) -> Any:
    # argparse.Namespace is what timm's and the FAN authors' training programs store beside the weights. Building
    # one runs no code: it is an empty object whose attributes are set from the file.
    try:
        with torch.serialization.safe_globals([argparse.Namespace, *NUMBERS]), warnings.catch_warnings():
            # torch remarks on pickles that it did not write; whether this one can be read is said below.
            warnings.simplefilter("ignore", UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path} was not read: {_blocked(error)}. Save its weights alone with "
            "torch.save(model.state_dict(), ...) where you trust the file, and load that."
        ) from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError, AttributeError) as error:
        raise UserError(f"{path} is not a readable checkpoint ({str(error).splitlines()[0]}).") from error


def _blocked(error: pickle.UnpicklingError) -> str:
    """What the file wanted to construct, in few words."""
    text = str(error)
    for marker in ("Unsupported global: GLOBAL ", "Unsupported class ", "GLOBAL "):
        if marker in text:
            return f"reading it would run code from the file (it holds a '{text.split(marker)[1].split()[0]}')"
    return "it does not hold plain weights and reading it could run code"


# ---------------------------------------------------------------------------------------------------- selecting


def _select(path: Path, content: Any, ema: bool | None) -> tuple[str, Mapping[str, Tensor]]:
    """The entry with the weights, and the weights."""
    if not isinstance(content, Mapping):
        raise UserError(f"{path} holds a {type(content).__name__}, not a dictionary of weights.")
    raw = _entry(content, RAW_KEYS)
    averaged = _entry(content, EMA_KEYS)
    if ema and averaged is None:
        raise UserError(f"{path} holds no moving average of the weights (none of {', '.join(EMA_KEYS)}).")
    if ema or (raw is None and averaged is not None and ema is None):
        assert averaged is not None
        return averaged
    if raw is not None:
        return raw
    tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    if not tensors:
        raise UserError(f"{path} holds no weights; its entries are: {_some([str(key) for key in content])}.")
    return "", tensors


def _entry(content: Mapping[Any, Any], keys: tuple[str, ...]) -> tuple[str, Mapping[str, Tensor]] | None:
    for key in keys:
        inner = content.get(key)
        if isinstance(inner, Mapping) and any(isinstance(value, Tensor) for value in inner.values()):
            return key, {str(name): value for name, value in inner.items() if isinstance(value, Tensor)}
    return None


def _without_wrappers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    names = dict(state)
    stripped = True
    while stripped and names:
        stripped = False
        for prefix in WRAPPERS:
            if all(name.startswith(prefix) for name in names):
                names = {name.removeprefix(prefix): tensor for name, tensor in names.items()}
                stripped = True
    return names


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str | argparse.Namespace)


# ------------------------------------------------------------------------------------------------------- fitting


def _refuse_misfit(report: FitReport, origin: str, model: nn.Module, *, strict: bool, ignore_mismatched: bool) -> None:
    name = type(model).__name__
    if not report.loaded:
        raise UserError(f"Nothing in {origin} fits a {name}; it holds {_some(report.unexpected)}: another model?")
    classifier = [line for line in report.mismatched if line.split(".")[0] in ("head", "fc", "classifier")]
    if report.mismatched and not ignore_mismatched:
        if len(classifier) == len(report.mismatched):
            raise UserError(
                f"{origin} has another number of classes than the model ({classifier[0]}); "
                "create the model with that num_classes."
            )
        raise UserError(f"{origin} is of another size than this {name}: {_some(report.mismatched)}.")
    if strict and not report.exact:
        raise UserError(f"{origin} does not fit this {name}: {report}.")


def _some(names: tuple[str, ...] | list[str], count: int = 3) -> str:
    more = f", ... {len(names)} in all" if len(names) > count else ""
    return ", ".join(names[:count]) + more
