"""Corruptions as disturbances: text forms, protocol, equality."""

import subprocess
import sys

import pytest
import torch

from weatherglass.corruptions.disturbance import Corrupted, parse_corruption
from weatherglass.corruptions.engine import corrupt
from weatherglass.errors import UnknownName, UserError
from weatherglass.types import Batch


@pytest.mark.parametrize("text", ["fog@3", "fog@2.5", "fog@3+motion_blur@2", "jpeg_compression@1"])
def test_text_forms_round_trip(text: str) -> None:
    assert str(parse_corruption(text)) == text
    assert parse_corruption(str(parse_corruption(text))) == parse_corruption(text)


def test_equal_corruptions_are_equal() -> None:
    assert Corrupted("fog", 3) == parse_corruption("fog@3") == Corrupted("fog@3")
    assert Corrupted("fog+snow", 2) == parse_corruption("fog@2+snow@2")
    assert hash(Corrupted("fog", 3)) == hash(parse_corruption("fog@3"))


def test_kind_family_and_severity() -> None:
    assert (Corrupted("fog", 3).kind, Corrupted("fog", 3).family, Corrupted("fog", 3).severity) == ("fog", "weather", 3)
    both = parse_corruption("fog@3+motion_blur@2")
    assert (both.kind, both.family, both.severity) == ("fog+motion_blur", "composition", None)


def test_the_protocol_names_every_choice() -> None:
    protocol = parse_corruption("frost@3", frost="procedural", backend="torch", reencode="jpeg85").protocol(64, 64)
    assert protocol["corruption definition"] == "imagecorruptions"
    assert protocol["corruption calibration"] == "64 px"
    assert protocol["corruption backend"].startswith("torch r")
    assert protocol["frost textures"].startswith("procedural ")
    assert protocol["re-encoding"] == "jpeg85"
    assert parse_corruption("fog@3").protocol(224, 224)["corruption calibration"] == "224 px"
    assert "frost textures" not in parse_corruption("fog@3").protocol(224, 224)


def test_of_input_is_corrupt_with_the_ids_of_the_batch() -> None:
    images = torch.randint(0, 256, (2, 3, 40, 40), dtype=torch.uint8)
    batch = Batch(images, torch.zeros(2, dtype=torch.long), ("x", "y"))
    result = parse_corruption("fog@3").of_input(batch, None, seed=5)  # pyright: ignore[reportArgumentType]
    assert torch.equal(result, corrupt(images, "fog", 3, seed=5, ids=["x", "y"]))


def test_mistakes_get_sentences() -> None:
    with pytest.raises(UnknownName, match="Did you mean frost"):
        parse_corruption("frgo@3")
    with pytest.raises(UserError, match="needs a severity"):
        parse_corruption("fog")
    with pytest.raises(UserError, match="from 1"):
        parse_corruption("fog@9")


def test_the_tables_need_no_torch() -> None:
    code = (
        "import sys, weatherglass.corruptions.severity, weatherglass.corruptions.suites;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
