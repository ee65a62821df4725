"""Cue-conflict stimuli: names become cues, a zip file is read like a folder, strange names are refused."""

import zipfile
from pathlib import Path

import pytest
from PIL import Image

from weatherglass.data.load import load_data
from weatherglass.data.masks import CATEGORIES16
from weatherglass.data.stimuli import cues_of
from weatherglass.errors import UserError

NAMES = ("cat/cat7-elephant1.png", "cat/cat1-cat2.png", "dog/dog10-bear3.png")


def write(root: Path, names: tuple[str, ...] = NAMES) -> Path:
    for place, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (place, 9, 9)).save(root / name)
    return root


def test_names_hold_the_cues() -> None:
    assert cues_of("cat/cat7-elephant1.png") == ("cat", "elephant")
    assert cues_of("cat/cat7.png") == ("cat", None)


def test_only_conflicting_cues_are_kept(tmp_path: Path) -> None:
    data = load_data(f"cue-conflict:{write(tmp_path)}")
    assert data.ids == ("cat/cat7-elephant1.png", "dog/dog10-bear3.png")
    assert [data.classes[label] for label in data.labels] == ["cat", "dog"]
    assert data.classes == tuple(CATEGORIES16)
    assert data.selection == "the 2 of 3 with conflicting cues"


def test_a_zip_file_is_the_same_data(tmp_path: Path) -> None:
    folder = write(tmp_path / "folder")
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
        for name in NAMES:
            archive.write(folder / name, name)
    packed, unpacked = load_data(f"cue-conflict:{tmp_path / 'packed.zip'}"), load_data(f"cue-conflict:{folder}")
    assert packed.digest == unpacked.digest
    assert (packed.image(1) == unpacked.image(1)).all()
    assert packed.image(1)[0, 0, 0] == 2


def test_one_cue_alone_is_kept_whole(tmp_path: Path) -> None:
    data = load_data(f"cue-conflict:{write(tmp_path, ('cat/cat7.png', 'dog/dog1.png'))}")
    assert len(data) == 2


def test_strange_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"1 of 2 stimuli, e.g. zebra/zebra1-cat2.png"):
        load_data(f"cue-conflict:{write(tmp_path, ('zebra/zebra1-cat2.png', 'dog/dog1-cat2.png'))}")
    with pytest.raises(UserError, match="neither a folder nor a zip"):
        load_data(f"cue-conflict:{tmp_path / 'zebra' / 'zebra1-cat2.png'}")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no images"):
        load_data(f"cue-conflict:{tmp_path / 'empty'}")
