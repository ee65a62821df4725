"""The networks that `weatherglass train` left in a folder, as the models of a card."""

from pathlib import Path

from weatherglass.errors import UserError
from weatherglass.experiments.card import Card
from weatherglass.experiments.study import Member
from weatherglass.training.files import finished


def trained_members(card: Card, folder: str | Path) -> list[Member]:
    """A model for every finished training of the card's recipes, in its order: FOLDER/RECIPE and FOLDER/RECIPE-seedN.

    Raises `UserError` for a card without recipes, for a folder that is not there, and where no training is finished.
    """
    place = Path(folder).expanduser()
    if not card.recipes:
        raise UserError("This card has no recipes of its own: name the models instead of --trained.")
    if not place.is_dir():
        raise UserError(f"There is no folder {place}.")
    members = [
        Member(str(path / "model.safetensors"), row)
        for row, recipe in card.recipes.items()
        for path in (place / recipe, *sorted(place.glob(f"{recipe}-seed[0-9]*")))
        if finished(path / "model.safetensors")
    ]
    if not members:
        wanted = ", ".join(dict.fromkeys(card.recipes.values()))
        raise UserError(
            f"{place} holds no finished training of {wanted}. Each is made by: "
            f"weatherglass train RECIPE --data DATA --output {place}/RECIPE"
        )
    return members
