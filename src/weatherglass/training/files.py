"""What a training leaves in its folder, written aside and renamed so that no reader meets half a file.

recipe.toml         the recipe, to train again
last.pt             everything needed to go on: weights, average, optimiser, step, history
metrics.csv         one row an epoch
model.safetensors   the weights to use, with recipe, data, scores and commit inside
"""

import csv
import io
import json
import pickle
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from weatherglass import __version__
from weatherglass.errors import UserError
from weatherglass.training.recipe import Recipe
from weatherglass.training.recipe_text import as_json, as_toml, differences, recipe_from_mapping


@dataclass(frozen=True)
class Folder:
    """The folder of one training."""

    path: Path

    @property
    def state(self) -> Path:
        return self.path / "last.pt"

    @property
    def weights(self) -> Path:
        return self.path / "model.safetensors"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.csv"

    def prepare(self, recipe: Recipe) -> None:
        """Make the folder and write the recipe into it."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"The folder {self.path} cannot be made: {error.strerror}.") from None
        write_text(self.path / "recipe.toml", as_toml(recipe))

    def save_state(self, content: Mapping[str, Any], recipe: Recipe, data: Mapping[str, str]) -> None:
        """Replace the state. Where that fails, for a full disk say, the one before stays."""
        whole = {**content, "recipe": as_json(recipe), "data": dict(data)}
        aside = self.state.with_name(f".{self.state.name}.part")
        try:
            torch.save(whole, aside)
            aside.replace(self.state)
        except (OSError, RuntimeError) as error:
            aside.unlink(missing_ok=True)
            kept = (
                "the one before is kept; make room and run the same command" if self.state.exists() else "none is kept"
            )
            raise UserError(
                f"The checkpoint {self.state} could not be written ({_first_line(error)}): {kept}."
            ) from error

    def load_state(self, recipe: Recipe, data: Mapping[str, str]) -> dict[str, Any] | None:
        """The state to go on from; None where there is none.

        Raises `UserError` for one of another recipe or of other data: nothing is overwritten.
        """
        if not self.state.is_file():
            return None
        try:
            content = torch.load(self.state, map_location="cpu", weights_only=True)
            kept = recipe_from_mapping(json.loads(content["recipe"]), str(self.state))
        except (RuntimeError, KeyError, EOFError, OSError, ValueError, TypeError, pickle.UnpicklingError) as error:
            raise UserError(
                f"{self.state} is not the checkpoint of a training ({_first_line(error)}): give another --output."
            ) from None
        differing = differences(kept, recipe)
        if differing:
            raise UserError(
                f"{self.path} holds a training by another recipe ({'; '.join(differing[:4])}): "
                "give another --output, or the settings it was started with."
            )
        for key in ("data digest", "validation digest"):
            if content["data"].get(key) != data.get(key):
                raise UserError(f"{self.path} holds a training on other data ({key} differs): give another --output.")
        return content


def write_weights(
    path: Path, model: nn.Module, recipe: Recipe, facts: Mapping[str, Any], description: Mapping[str, Any]
) -> None:
    """A file that `weatherglass evaluate` takes as it is: weights, how to build the network, where it came from."""
    from safetensors import SafetensorError

    from weatherglass.models.checkpoint import save_weights
    from weatherglass.models.described import METADATA_KEY

    metadata = {
        METADATA_KEY: json.dumps(description, sort_keys=True),
        "weatherglass.recipe": as_json(recipe),
        "weatherglass.training": json.dumps({**facts, **versions()}, sort_keys=True),
    }
    try:
        save_weights(model, path, metadata)
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"The weights {path} could not be written ({_first_line(error)}): make room and run the same command."
        ) from error


def steps_of_weights(path: Path) -> int | None:
    """After how many steps the weights in a file were written; None where there is no such file."""
    return _facts_of_weights(path).get("steps")


def finished(weights: Path) -> bool:
    """Whether a file holds the weights of a training that came to its end."""
    facts = _facts_of_weights(weights)
    return "epochs" in facts and facts["epochs"] == facts.get("of epochs")


def _facts_of_weights(path: Path) -> dict[str, Any]:
    """What a file of weights says of its training; empty where there is no such file."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return {}
    try:
        with safe_open(path, framework="pt") as file:
            return json.loads((file.metadata() or {})["weatherglass.training"])
    except (SafetensorError, KeyError, ValueError):
        return {}


def write_metrics(path: Path, history: list[dict[str, float]]) -> None:
    """One row an epoch, with the columns of all rows."""
    columns = list(dict.fromkeys(key for row in history for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    write_text(path, text.getvalue())


def write_text(path: Path, text: str) -> None:
    aside = path.with_name(f".{path.name}.part")
    try:
        aside.write_text(text)
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise UserError(f"{path} could not be written: {error.strerror}.") from error


def versions() -> dict[str, str]:
    """Of what decides the numbers, and the commit of the source where it is a checkout and git is there to ask."""
    import timm

    found = {"weatherglass": __version__, "torch": torch.__version__, "timm": timm.__version__}
    # An installed package may lie in somebody's repository: its commit is ours only where our files are in it.
    if _git("ls-files", "--error-unmatch", Path(__file__).name) and (commit := _git("rev-parse", "--short=12", "HEAD")):
        found["commit"] = commit
    return found


def _git(*arguments: str) -> str | None:
    """What git says in the folder of this file; None where it fails or is not installed."""
    command = ["git", "-C", str(Path(__file__).parent), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return None if done.returncode else done.stdout.strip()


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
