"""`weatherglass train` from the command line, and its mistakes."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from recipes_small import SMALL

from weatherglass.cli.train import command, duration
from weatherglass.errors import UserError
from weatherglass.training.parts import training_and_validation
from weatherglass.training.recipe_text import as_toml


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    path = tmp_path / "small.toml"
    path.write_text(as_toml(SMALL))
    return str(path)


def test_trains_scores_and_says_what_to_do_next(recipe: str, tmp_path: Path) -> None:
    arguments = [recipe, "--data", "digits", "--limit", "64", "--output", str(tmp_path / "out"), "--workers", "0"]
    done = CliRunner().invoke(command, [*arguments, "--tensorboard"], catch_exceptions=False)
    assert "2 epochs of 4 steps of 16" in done.output
    assert "the average will hold much of the untrained network" in done.output
    assert "of 597 images that it did not train on" in done.output
    assert f"weatherglass evaluate {tmp_path}/out/model.safetensors --data" in done.output
    assert list((tmp_path / "out" / "tensorboard").glob("events*"))
    again = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert "going on after step 8 (epoch 2 of 2 is done)" in again.output


def test_shows_a_recipe_with_its_changes() -> None:
    shown = CliRunner().invoke(command, ["fan-vit-s", "--set", "optimiser.rate=1e-3", "--show"], catch_exceptions=False)
    assert "rate = 0.001" in shown.output
    assert '[augmentation]\ncrop = "resized"' in shown.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["fan-vit-z"], "There is no recipe named 'fan-vit-z'"),
        (["fan-vit-s"], "needs --data"),
        (["fan-vit-s", "--data", "digits", "--set", "batch"], "--set takes KEY=VALUE"),
        (["fan-vit-s", "--data", "imagefolder:/nowhere"], "/nowhere"),
        (["fan-vit-s", "--data", "digits", "--set", "network.name=fan_tiny"], "fan_tiny"),
        (["vit-micro", "--data", "digits", "--set", "network.arguments.blocks=3"], "cannot be built with blocks=3"),
    ],
)
def test_mistakes_get_one_line(arguments: list[str], told: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^[^\n]*$") as caught:
        CliRunner().invoke(command, [*arguments, "--output", str(tmp_path / "out")], catch_exceptions=False)
    assert told in str(caught.value)


def test_data_with_parts_of_its_own_is_split(tmp_path: Path) -> None:
    import torch
    from PIL import Image

    training, held_out = training_and_validation("digits")
    assert held_out is not None
    assert not set(training.ids) & set(held_out.ids)
    for part, grey in (("train", 10), ("val", 200)):
        for label in ("cat", "dog"):
            folder = tmp_path / "pets" / part / label
            folder.mkdir(parents=True)
            Image.fromarray(torch.full((8, 8, 3), grey, dtype=torch.uint8).numpy()).save(folder / "1.png")
    training, held_out = training_and_validation(f"imagefolder:{tmp_path}/pets")
    assert (len(training), len(held_out or ())) == (2, 2)
    same = f"imagefolder:{tmp_path}/pets/train"
    with pytest.raises(UserError, match=r"2 of the 2 images .* a score on them says nothing"):
        training_and_validation(same, same)
    assert training_and_validation(same, None)[1] is not None


@pytest.mark.parametrize(("data", "limit", "shared"), [("digits:test", 60, 60), ("digits:all", None, 597)])
def test_a_part_of_what_is_scored_on_is_not_trained_on(data: str, limit: int | None, shared: int) -> None:
    with pytest.raises(UserError, match=f"^{shared} of the .* images of {data} .*a score on them says nothing"):
        training_and_validation(data, "digits:test", limit=limit)


def test_durations_in_words() -> None:
    assert [duration(seconds) for seconds in (42, 200, 9000)] == ["42 s", "3 min", "2.5 h"]
