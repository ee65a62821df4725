"""Stimuli of our own: balanced, named so that they are read back, and decided among the classes they are made of."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from weatherglass.attacks.stimuli import conflict_stimuli
from weatherglass.cli.main import weatherglass
from weatherglass.data.imagenet import imagenet_wnids
from weatherglass.data.images import ArrayImages
from weatherglass.data.load import load_data
from weatherglass.data.stimuli import cue_name, cues_of
from weatherglass.errors import UserError
from weatherglass.evaluation.conflicts import ConflictSettings, classes_of, plan_conflicts, write_conflicts

NAMES = ("cat", "T-shirt", "7")


def pictures(classes: tuple[str, ...] = NAMES, each: int = 4, side: int = 16) -> ArrayImages:
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (len(classes) * each, side, side, 3), dtype=np.uint8)
    labels = np.repeat(np.arange(len(classes)), each)
    return ArrayImages("made", pixels, labels, classes, tuple(f"{k:02d}" for k in range(len(labels))))


def test_names_survive_the_way_into_file_names() -> None:
    assert [cue_name(name) for name in NAMES] == ["cat", "T_shirt", "7_"]
    assert cues_of("7_/7_12-T_shirt3.png") == ("7_", "T_shirt")


def test_every_ordered_pair_of_classes_comes_equally_often() -> None:
    data = pictures()
    names, members = classes_of(data)
    planned = plan_conflicts(data, names, members, ConflictSettings(count=24))
    pairs = [(int(data.labels[one.shape]), int(data.labels[one.texture])) for one in planned]
    assert sorted(set(pairs)) == [(a, b) for a in range(3) for b in range(3) if a != b]
    assert {pairs.count(pair) for pair in pairs} == {4}
    assert len({one.file for one in planned}) == 24
    assert planned == plan_conflicts(data, names, members, ConflictSettings(count=24))
    assert planned[:12] == plan_conflicts(data, names, members, ConflictSettings(count=12))
    other = plan_conflicts(data, names, members, ConflictSettings(count=24, seed=1))
    assert [one.shape for one in other] != [one.shape for one in planned]
    # What meets does not depend on the order of the files.
    turned = data.select(list(reversed(range(len(data)))), "all")
    again = plan_conflicts(turned, *classes_of(turned), ConflictSettings(count=24))
    assert [turned.ids[one.shape] for one in again] == [data.ids[one.shape] for one in planned]


def test_the_files_are_the_stimuli_and_read_back(tmp_path: Path) -> None:
    data = pictures()
    made = write_conflicts(data, tmp_path / "out", ConflictSettings(count=20, patch=4))
    stimuli = load_data(f"cue-conflict:{tmp_path / 'out'}")
    assert len(stimuli) == 20
    assert stimuli.classes == NAMES
    first = made[0]
    expected = conflict_stimuli(data.image(first.shape)[None] / 255, data.image(first.texture)[None] / 255, patch=4)
    row = stimuli.ids.index(first.file)
    assert np.abs(stimuli.image(row).numpy() - (expected[0] * 255).round().numpy()).max() == 0
    assert stimuli.labels[row] == data.labels[first.shape]
    manifest = json.loads((tmp_path / "out" / "stimuli.json").read_text())
    assert manifest["settings"] == {"count": 20, "patch": 4, "detail": 1.0, "size": 16, "seed": 0}
    assert manifest["stimuli"][0] == {
        "file": first.file,
        "shape": data.ids[first.shape],
        "texture": data.ids[first.texture],
    }
    with pytest.raises(UserError, match="not empty"):
        write_conflicts(data, tmp_path / "out")


def test_imagenet_photographs_become_the_sixteen_categories() -> None:
    wnids = imagenet_wnids()
    labels = np.array([281, 285, 385, 999])
    data = ArrayImages("made", np.zeros((4, 8, 8, 3), np.uint8), labels, wnids, ("a", "b", "c", "d"))
    assert classes_of(data) == (["cat", "elephant"], [[0, 1], [2]])


def test_what_cannot_be_made_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="fewer than two classes"):
        write_conflicts(pictures(("cat",)), tmp_path / "one")
    with pytest.raises(UserError, match="different stimuli, not 100"):
        write_conflicts(pictures(("a", "b"), each=2), tmp_path / "many", ConflictSettings(count=100))
    assert not (tmp_path / "many").exists()
    (tmp_path / "bad").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "bad" / "frog1-cat2.png")
    with pytest.raises(UserError, match="not named by the categories"):
        load_data(f"cue-conflict:{tmp_path / 'bad'}")
    (tmp_path / "bad" / "stimuli.json").write_text("[]")
    with pytest.raises(UserError, match="does not list the classes"):
        load_data(f"cue-conflict:{tmp_path / 'bad'}")


@pytest.mark.slow
def test_from_labelled_images_to_a_shape_bias(tmp_path: Path) -> None:
    def call(*arguments: str) -> str:
        done = CliRunner().invoke(weatherglass, list(arguments), catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    folder = str(tmp_path / "stimuli")
    assert "wrote 90 stimuli" in call("conflict-stimuli", "digits:test", folder, "--count", "90", "--patch", "4")
    said = call("shape-bias", "digits_cnn", "--data", f"cue-conflict:{folder}", "--store", str(tmp_path / "run"))
    assert "95 % intervals over 90 stimuli" in said
    lines = [line.split()[0] for line in said.splitlines() if line.strip()]
    assert all(digit in lines for digit in "0123456789")
