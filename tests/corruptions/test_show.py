"""The verb `show`."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from weatherglass.cli.show import command
from weatherglass.errors import UnknownName, UnreadableImage, UserError


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def invoke(*arguments: object):
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_a_sheet_holds_the_clean_picture_and_every_severity(photograph: Path, tmp_path: Path) -> None:
    target = tmp_path / "sheet.png"
    result = invoke("fog,contrast", photograph, "-o", target, "--size", 64)
    assert result.exit_code == 0 and "2 corruption(s)" in result.output
    with Image.open(target) as sheet:
        assert sheet.size == (8 + 6 * (85 + 8), 8 + 2 * (64 + 18 + 8))
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_the_published_definition_crops_to_a_square(photograph: Path, tmp_path: Path) -> None:
    target = tmp_path / "sheet.png"
    invoke("elastic_transform", photograph, "-o", target, "--size", 64, "--definition", "imagenet-c")
    with Image.open(target) as sheet:
        assert sheet.width == 8 + 6 * (64 + 8)


def test_mistakes_get_sentences(photograph: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="Did you mean frost"):
        invoke("frgo", photograph, "-o", tmp_path / "a.png")
    with pytest.raises(UnreadableImage, match="No such file"):
        invoke("fog", tmp_path / "nothing.png")
    with pytest.raises(UserError, match="numbers with commas"):
        invoke("fog", photograph, "--severities", "all")
    with pytest.raises(UserError, match=r"\.png"):
        invoke("fog", photograph, "-o", tmp_path / "sheet.txt")


def test_the_sheet_shows_what_a_model_sees(photograph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # stored on its side
    with Image.open(photograph) as picture:
        picture.save(tmp_path / "turned.jpg", exif=exif)
    invoke("contrast", tmp_path / "turned.jpg", "-o", tmp_path / "sheet.png", "--size", 64)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (8 + 6 * (85 + 8), 8 + 64 + 18 + 8)
    with Image.open(photograph) as picture:
        picture.save(tmp_path / "huge.bmp")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(UnreadableImage, match=r"huge\.bmp: .*decompression bomb"):
        invoke("contrast", tmp_path / "huge.bmp", "-o", tmp_path / "sheet.png")
