"""The networks that `weatherglass train` left in a folder, as the models of a card."""

import tomllib
from pathlib import Path

from weatherglass.errors import UserError
from weatherglass.experiments.card import Card
from weatherglass.experiments.study import Member
from weatherglass.training.files import finished


def trained_members(card: Card, folder: str | Path) -> list[Member]:
    """A model for every finished training of the card's recipes, in its order: FOLDER/RECIPE and FOLDER/RECIPE-seedN.

    Of trainings of one recipe with one seed the first is taken: they are one draw of the luck, not two. Raises
    `UserError` for a card without recipes, for a folder that is not there, and where no training is finished.
    """
    place = Path(folder).expanduser()
    if not card.recipes:
        raise UserError("This card has no recipes of its own: name the models instead of --trained.")
    if not place.is_dir():
        raise UserError(f"There is no folder {place}.")
    members = [
        Member(str(path / "model.safetensors"), row)
        for row, recipe in card.recipes.items()
        for path in _by_seed([place / recipe, *sorted(place.glob(f"{recipe}-seed[0-9]*"))])
    ]
    if not members:
        wanted = ", ".join(dict.fromkeys(card.recipes.values()))
        raise UserError(
            f"{place} holds no finished training of {wanted}. Each is made by: "
            f"weatherglass train RECIPE --data DATA --output {place}/RECIPE"
        )
    return members


def _by_seed(folders: list[Path]) -> list[Path]:
    """The finished ones among them, one a seed; those that do not tell their seed all."""
    found: dict[object, Path] = {}
    for folder in folders:
        if finished(folder / "model.safetensors"):
            recipe = folder / "recipe.toml"
            seed = tomllib.loads(recipe.read_text(encoding="utf-8")).get("seed") if recipe.is_file() else None
            found.setdefault(folder if seed is None else seed, folder)
    return list(found.values())
