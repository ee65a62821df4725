"""Recipes as text: TOML files, settings from the command line, JSON in checkpoints; and what a recipe may hold."""

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from math import inf, isfinite
from pathlib import Path
from typing import Any, get_type_hints

from weatherglass.errors import UnknownName, UserError
from weatherglass.training.recipe import Recipe


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
        if not isinstance(base, str):
            raise UserError(f"{path}: base is the name of a recipe (weatherglass list recipes), got {base!r}.")
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
    "optimiser.epsilon": 0,
    "network.head_scale": 0,
    "schedule.epochs": 1,
    "schedule.warmup": 0,
    "schedule.warmup_steps": 0,
    "boxed.long_side": 0,
    "schedule.warmup_rate": 0,
    "schedule.minimum_rate": 0,
    "schedule.cooldown": 0,
    "augmentation.repeats": 1,
    "augmentation.padding": 0,
    "augmentation.colour_jitter": 0,
    "optimiser.head_factor": 0,
    "mixing.mixup": 0,
    "mixing.cutmix": 0,
    "distillation.temperature": 1e-6,
}
_SHARES = (
    "network.drop_path",
    "augmentation.flip",
    "augmentation.erasing",
    "masked.largest_share",
    "boxed.crop_chance",
    "schedule.drop",
    "mixing.probability",
    "mixing.switch",
    "mixing.smoothing",
    "distillation.weight",
)

_SPANS = {"augmentation.scale": (0.0, 1.0), "masked.scale": (0.0, inf)}
"""Pairs of a least and a largest value, and between which bounds they lie."""


def _check_values(recipe: Recipe, origin: str) -> None:
    values = _flat(as_mapping(recipe))
    for key, value in values.items():
        if not all(isfinite(each) for each in _numbers(value)):
            raise UserError(f"{origin}: {key} must be finite, got {value}.")
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
    milestones = list(recipe.schedule.milestones)
    if milestones != sorted(set(milestones)) or not all(0 < each < recipe.epochs for each in milestones):
        raise UserError(
            f"{origin}: schedule.milestones must rise and lie between 0 and the {recipe.epochs} epochs, "
            f"got {milestones}."
        )
    for key, (least, most) in _SPANS.items():
        low, high = values[key]
        if not least < low <= high <= most:
            raise UserError(
                f"{origin}: {key} must be two numbers above {least:g}, the lesser first"
                + (f", none above {most:g}" if isfinite(most) else "")
                + f", got {values[key]}."
            )
    if min(recipe.std) <= 0:
        raise UserError(f"{origin}: std must be above 0 for every channel, got {values['std']}.")
    if not all(0 <= beta < 1 for beta in recipe.optimiser.betas):
        raise UserError(f"{origin}: optimiser.betas must lie in 0..1 (without 1), got {values['optimiser.betas']}.")
    if recipe.masked.size is not None and min(recipe.masked.size) < 1:
        raise UserError(f"{origin}: masked.size must be height and width in pixels, got {values['masked.size']}.")
    if abs(recipe.seed) >= 2**63:
        raise UserError(f"{origin}: seed must be less than 2^63, got {recipe.seed}.")
    for key in ("boxed.short_sides", "boxed.crop_short_sides", "boxed.crop_range"):
        sides = values[key]
        if not sides or min(sides) < 1 or (key == "boxed.crop_range" and sides[0] > sides[1]):
            raise UserError(f"{origin}: {key} must be sides in pixels (the range with the least first), got {sides}.")
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


def _numbers(value: Any) -> Iterator[float]:
    """The numbers in a value and in lists and tables within it."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _numbers(inner)
    elif isinstance(value, float):
        yield value


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
