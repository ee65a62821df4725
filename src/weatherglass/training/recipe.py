"""A training recipe as a value: everything that decides the weights, apart from the data and the seed's luck.

A recipe is a frozen record, reads from and writes to TOML, and is changed by copying (`with_settings`). The named ones
stand in `recipes.py`; the loop in `loop.py` reads a recipe and nothing else. No torch here.
"""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_type_hints

from weatherglass.errors import UnknownName, UserError

Value = bool | int | float | str | None
Precision = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class Network:
    """What is trained."""

    name: str
    """A name of `weatherglass list models`, or timm/NAME."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """More arguments of the model's constructor, e.g. depth = 8 or channel_processing = "sa"."""
    drop_path: float = 0.0
    """Stochastic depth: the chance that a residual branch is skipped for a sample."""
    start: str | None = None
    """Checkpoint to start from; a classifier of another number of classes is made anew."""
    head_scale: float = 1.0
    """Factor on the fresh classifier's weights (0.001 when fine-tuning, as ConvNeXt does)."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, about a third more time."""


@dataclass(frozen=True)
class Optimiser:
    """How weights follow gradients. Vectors, biases and what the model exempts are not decayed."""

    name: str = "adamw"
    """A name that timm.optim knows."""
    rate: float = 1e-3
    """Peak learning rate for a batch of `rate_batch`, or for any batch where that is 0."""
    rate_batch: int = 0
    """Linear scaling: the peak rate is rate * batch / rate_batch (512 in DeiT). 0: `rate` is taken as it stands."""
    weight_decay: float = 0.05
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    layer_decay: float = 1.0
    """Factor on the learning rate for every layer further from the classifier; 1 is none."""
    clip: float = 0.0
    """Largest norm of all gradients together; 0 does not clip."""


@dataclass(frozen=True)
class Schedule:
    """Linear warm-up, half a cosine, then the minimum; all lengths in epochs, the rate changes at every step."""

    epochs: int = 300
    """Length of warm-up and cosine together."""
    warmup: int = 5
    warmup_rate: float = 1e-6
    minimum_rate: float = 1e-5
    cooldown: int = 0
    """More epochs at the minimum rate."""


@dataclass(frozen=True)
class Augmentation:
    """What is done to single images, by timm's transforms."""

    crop: Literal["resized", "padded", "none"] = "resized"
    """A random part resized to the image size; or the image moved by up to `padding` pixels; or the centre."""
    scale: tuple[float, float] = (0.08, 1.0)
    """Share of the area that a 'resized' crop takes."""
    padding: int = 4
    interpolation: Literal["bicubic", "bilinear", "random"] = "bicubic"
    flip: float = 0.5
    """Chance of mirroring left to right; 0 for digits and text."""
    policy: str = ""
    """timm's text form: 'rand-m9-mstd0.5-inc1' (RandAugment), '3a' (3-Augment), or empty."""
    colour_jitter: float = 0.0
    """Brightness, contrast and saturation; without effect while a RandAugment policy is set, as in timm."""
    erasing: float = 0.0
    """Chance that a rectangle is filled with noise (Random Erasing, pixel mode, one rectangle)."""
    repeats: int = 1
    """Repeated augmentation: every image so many times in an epoch's order, which keeps its length."""


@dataclass(frozen=True)
class Mixing:
    """What is done to pairs of images of a batch, and to the labels (timm's Mixup)."""

    mixup: float = 0.0
    """Alpha of the beta distribution; 0 is off."""
    cutmix: float = 0.0
    probability: float = 1.0
    """Share of the batches that are mixed."""
    switch: float = 0.5
    """Share of those that take CutMix where both are on."""
    smoothing: float = 0.1
    """Label smoothing."""


@dataclass(frozen=True)
class Averaging:
    """The exponential moving average of the weights."""

    decay: float = 0.0
    """0 keeps none. 1 / (1 - decay) steps are its memory: keep it below a fifth of the steps."""


@dataclass(frozen=True)
class Distillation:
    """A teacher beside the labels (DeiT, section 4)."""

    kind: Literal["none", "hard", "soft"] = "none"
    teacher: str = ""
    """The model as `weatherglass evaluate` takes it."""
    teacher_checkpoint: str = ""
    weight: float = 0.5
    """alpha: share of the teacher in the loss."""
    temperature: float = 1.0
    reduction: Literal["numel", "batchmean"] = "numel"
    """What the soft loss is divided by: images times classes, as DeiT's code does, or images."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training, apart from the data."""

    name: str
    network: Network
    summary: str = ""
    image_size: int = 224
    batch: int = 1024
    """Images a step, over all processes and accumulated parts."""
    accumulate: int = 1
    """Parts in which a process computes its share of the batch, one after the other."""
    optimiser: Optimiser = Optimiser()
    schedule: Schedule = Schedule()
    augmentation: Augmentation = Augmentation()
    mixing: Mixing = Mixing()
    averaging: Averaging = Averaging()
    distillation: Distillation = Distillation()
    crop_ratio: float = 0.875
    """Evaluation: share of the resized shorter side that the centre crop keeps."""
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    precision: Precision = "float32"
    """'bfloat16' and 'float16' are autocast; weights stay float32."""
    channels_last: bool = False
    compile: bool = False
    seed: int = 0

    @property
    def peak_rate(self) -> float:
        """The learning rate at the end of the warm-up."""
        scale = self.batch / self.optimiser.rate_batch if self.optimiser.rate_batch else 1.0
        return self.optimiser.rate * scale

    @property
    def epochs(self) -> int:
        """All epochs, the cooldown's too."""
        return self.schedule.epochs + self.schedule.cooldown


# ------------------------------------------------------------------------------------------- reading and changing


def read_recipe(path: str | Path) -> Recipe:
    """The recipe in a TOML file. A key `base` names a recipe that the file changes; see `recipes.find_recipe`.

    Raises `UserError` for a file that is absent or no TOML, an unknown key or a value of the wrong type.
    """
    from weatherglass.training.recipes import RECIPES

    path = Path(path)
    if not path.is_file():
        raise UserError(f"There is no recipe at {path}.")
    try:
        content = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not a TOML file: {error}.") from None
    base = content.pop("base", None)
    if base is not None:
        content = merged(as_mapping(RECIPES[base]), {"name": path.stem, **content})
    return recipe_from_mapping({"name": path.stem, **content}, origin=str(path))


def recipe_from_mapping(content: Mapping[str, Any], origin: str = "the recipe") -> Recipe:
    """A recipe from nested tables; every key is checked, and every value's type."""
    import msgspec

    _check_keys(Recipe, content, "", origin)
    try:
        recipe = msgspec.convert(dict(content), Recipe)
    except msgspec.ValidationError as error:
        raise UserError(f"{origin}: {str(error).replace(' - at `$.', ', at ').rstrip('`')}.") from None
    _check_values(recipe, origin)
    return recipe


def with_settings(recipe: Recipe, settings: Mapping[str, str]) -> Recipe:
    """A copy with some values changed, as `--set optimiser.rate=1e-3` asks.

    Keys are dotted paths; a value is read as TOML, and as text where it is none.
    """
    content = as_mapping(recipe)
    for key, text in settings.items():
        table: dict[str, Any] = {}
        inner = table
        *parents, last = key.split(".")
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[last] = _toml_value(text)
        _check_keys(Recipe, table, "", f"--set {key}")
        content = merged(content, table)
    return recipe_from_mapping(content, origin="--set")


def as_mapping(recipe: Any) -> dict[str, Any]:
    """Nested tables of plain values: what `recipe_from_mapping` reads."""
    table = {}
    for entry in fields(recipe):
        value = getattr(recipe, entry.name)
        table[entry.name] = as_mapping(value) if is_dataclass(value) else _plain(value)
    return table


def as_json(recipe: Recipe) -> str:
    """One line of stable text, for the metadata of checkpoints."""
    return json.dumps(as_mapping(recipe), sort_keys=True)


def as_toml(recipe: Recipe) -> str:
    """The recipe as a TOML file that `read_recipe` reads back as an equal value."""
    return "\n".join(_toml_lines(as_mapping(recipe), "")).strip() + "\n"


def differences(first: Recipe, second: Recipe) -> list[str]:
    """The keys in which two recipes differ, with both values: 'optimiser.rate: 0.001 and 0.002'."""
    left, right = _flat(as_mapping(first)), _flat(as_mapping(second))
    return [f"{key}: {left.get(key)} and {right.get(key)}" for key in left | right if left.get(key) != right.get(key)]


def merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the entries of `change`, table by table."""
    result = dict(base)
    for key, value in change.items():
        inner = result.get(key)
        result[key] = merged(inner, value) if isinstance(inner, dict) and isinstance(value, Mapping) else value
    return result


# ----------------------------------------------------------------------------------------------------- checking


def _check_keys(record: type, content: Mapping[str, Any], place: str, origin: str) -> None:
    hints = get_type_hints(record)
    for key, value in content.items():
        if key not in hints:
            known = [f"{place}{name}" for name in hints]
            raise UserError(f"{origin}: {UnknownName('recipe key', f'{place}{key}', known)}")
        if is_dataclass(hints[key]):
            if not isinstance(value, Mapping):
                raise UserError(f"{origin}: {place}{key} is a table of settings, got {value!r}.")
            _check_keys(hints[key], value, f"{place}{key}.", origin)  # pyright: ignore[reportArgumentType]


_AT_LEAST = {
    "image_size": 1,
    "batch": 1,
    "accumulate": 1,
    "optimiser.rate_batch": 0,
    "optimiser.weight_decay": 0,
    "optimiser.clip": 0,
    "schedule.epochs": 1,
    "schedule.warmup": 0,
    "schedule.warmup_rate": 0,
    "schedule.minimum_rate": 0,
    "schedule.cooldown": 0,
    "augmentation.repeats": 1,
    "augmentation.padding": 0,
    "mixing.mixup": 0,
    "mixing.cutmix": 0,
    "distillation.temperature": 1e-6,
}
_SHARES = (
    "network.drop_path",
    "augmentation.flip",
    "augmentation.erasing",
    "mixing.probability",
    "mixing.switch",
    "mixing.smoothing",
    "distillation.weight",
)


def _check_values(recipe: Recipe, origin: str) -> None:
    values = _flat(as_mapping(recipe))
    for key, least in _AT_LEAST.items():
        if values[key] < least:
            raise UserError(f"{origin}: {key} must be at least {least:g}, got {values[key]}.")
    for key in _SHARES:
        if not 0 <= values[key] <= 1:
            raise UserError(f"{origin}: {key} must lie in 0..1, got {values[key]}.")
    if recipe.optimiser.rate <= 0:
        raise UserError(f"{origin}: optimiser.rate must be above 0, got {recipe.optimiser.rate}.")
    if not 0 <= recipe.averaging.decay < 1:
        raise UserError(f"{origin}: averaging.decay must lie in 0..1 (without 1), got {recipe.averaging.decay}.")
    if not 0 < recipe.optimiser.layer_decay <= 1:
        raise UserError(
            f"{origin}: optimiser.layer_decay must lie in 0..1 (1: none), got {values['optimiser.layer_decay']}."
        )
    if not 0 < recipe.crop_ratio <= 1:
        raise UserError(f"{origin}: crop_ratio must lie in 0..1, got {recipe.crop_ratio}.")
    if recipe.schedule.warmup >= recipe.schedule.epochs and recipe.schedule.warmup:
        raise UserError(
            f"{origin}: schedule.warmup ({recipe.schedule.warmup}) must be shorter than schedule.epochs "
            f"({recipe.schedule.epochs})."
        )
    if recipe.distillation.kind != "none" and not recipe.distillation.teacher:
        raise UserError(f"{origin}: {recipe.distillation.kind} distillation needs distillation.teacher, a model.")


# ------------------------------------------------------------------------------------------------------ text forms


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, tuple | list) else value


def _flat(table: Mapping[str, Any], place: str = "") -> dict[str, Any]:
    flat = {}
    for key, value in table.items():
        flat |= _flat(value, f"{place}{key}.") if isinstance(value, Mapping) and value else {f"{place}{key}": value}
    return flat


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _toml_lines(table: Mapping[str, Any], place: str) -> list[str]:
    lines = [
        f"{key} = {_toml_text(value)}" for key, value in table.items() if not _is_table(value) and value is not None
    ]
    for key, value in table.items():
        if _is_table(value) and value:
            lines += ["", f"[{place}{key}]", *_toml_lines(value, f"{place}{key}.")]
    return lines


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping)


def _toml_text(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_toml_text(inner) for inner in value) + "]"
    return json.dumps(value)


def renamed(recipe: Recipe, name: str, summary: str) -> Recipe:
    """The same recipe under another name."""
    return replace(recipe, name=name, summary=summary)
