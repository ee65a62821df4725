"""Every format becomes three channels of 8 bits; what does not decode is named."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, features

from weatherglass.data import decode
from weatherglass.data.decode import DECODED_ENDINGS, decode_bytes, decode_file
from weatherglass.errors import UnreadableImage

from .samples import picture


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def as_pillow_converts(data: bytes) -> torch.Tensor:
    return torch.from_numpy(np.array(Image.open(io.BytesIO(data)).convert("RGB"))).permute(2, 0, 1)


PICTURE = Image.fromarray(picture(1))
FORMS = {
    "PNG": lambda: encoded(PICTURE, "PNG"),
    "JPEG": lambda: encoded(PICTURE, "JPEG"),
    "progressive JPEG": lambda: encoded(PICTURE, "JPEG", progressive=True),
    "greyscale JPEG": lambda: encoded(PICTURE.convert("L"), "JPEG"),
    "CMYK JPEG": lambda: encoded(PICTURE.convert("CMYK"), "JPEG"),
    "greyscale PNG": lambda: encoded(PICTURE.convert("L"), "PNG"),
    "palette PNG": lambda: encoded(PICTURE.convert("P"), "PNG"),
    "black and white PNG": lambda: encoded(PICTURE.convert("1"), "PNG"),
    "RGBA PNG": lambda: encoded(PICTURE.convert("RGBA"), "PNG"),
    "grey with alpha PNG": lambda: encoded(PICTURE.convert("LA"), "PNG"),
    "WebP": lambda: encoded(PICTURE, "WEBP"),
    "AVIF": lambda: encoded(PICTURE, "AVIF"),
    "GIF": lambda: encoded(PICTURE.convert("P"), "GIF"),
    "BMP": lambda: encoded(PICTURE, "BMP"),
    "TIFF": lambda: encoded(PICTURE, "TIFF"),
    "PPM": lambda: encoded(PICTURE, "PPM"),
}


@pytest.mark.parametrize("form", FORMS)
def test_formats_equal_pillow(form: str) -> None:
    if form == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    data = FORMS[form]()
    image = decode_bytes(data, form)
    assert image.dtype == torch.uint8
    assert image.shape == (3, 20, 24)
    assert (image.int() - as_pillow_converts(data).int()).abs().max() <= 1


@pytest.mark.parametrize("form", FORMS)
def test_without_torchvision_pillow_decodes_the_same(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if form == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    data = FORMS[form]()
    usual = decode_bytes(data, form)
    monkeypatch.setattr(decode, "_torchvision_decoder", lambda: None)
    assert (decode_bytes(data, form).int() - usual.int()).abs().max() <= 1


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    grey = np.linspace(0, 65535, 20 * 24).reshape(20, 24).astype(np.uint16)
    image = decode_bytes(encoded(Image.fromarray(grey), "PNG"), "grey 16")
    expected = torch.from_numpy(np.rint(grey / 257)).to(torch.uint8).expand(3, -1, -1)
    assert (image.int() - expected.int()).abs().max() <= 1


@pytest.mark.parametrize("form", ["PNG", "TIFF", "PPM", "JPEG2000"])
def test_dark_sixteen_bits_stay_dark_in_every_format(form: str) -> None:
    """How bright a picture is says nothing about its range."""
    grey = np.linspace(0, 250, 20 * 24).reshape(20, 24).astype(np.uint16)
    options = {"irreversible": False} if form == "JPEG2000" else {}
    assert decode_bytes(encoded(Image.fromarray(grey), form, **options), form).max() <= 1


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_pixels_of_no_stated_range_are_refused(dtype: type) -> None:
    pixels = np.linspace(0, 1, 20 * 24).reshape(20, 24).astype(dtype)
    with pytest.raises(UnreadableImage, match=r"float\.tif: nothing says which .* value is white; make it 8 or 16"):
        decode_bytes(encoded(Image.fromarray(pixels), "TIFF"), "float.tif")


@pytest.mark.parametrize("ending", sorted(DECODED_ENDINGS - {".avif"}))
def test_every_ending_that_counts_is_decoded(ending: str) -> None:
    stream = io.BytesIO()
    PICTURE.convert("1" if ending == ".pbm" else "RGB").save(stream, Image.registered_extensions()[ending])
    assert decode_bytes(stream.getvalue(), f"a{ending}").shape == (3, 20, 24)


def test_a_raw_file_is_not_its_preview() -> None:
    with pytest.raises(UnreadableImage, match="a camera's raw file"):
        decode_bytes(encoded(PICTURE, "TIFF"), "photo.NEF")


def test_alpha_is_dropped_not_composited() -> None:
    pixels = np.full((4, 4, 4), 200, dtype=np.uint8)
    pixels[..., 3] = 0
    assert decode_bytes(encoded(Image.fromarray(pixels), "PNG"), "transparent").unique().tolist() == [200]


def test_exif_rotation_is_not_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode_bytes(encoded(PICTURE, "JPEG", exif=exif), "rotated").shape == (3, 20, 24)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"hello, this is no picture\n", "begins with the text 'hello, this is no pictur'"),
        (bytes(range(200, 250)), "begins with the bytes c8 c9"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "it begins like HEIC, which nothing installed decodes; convert"),
        (b"\xff\x0a\xfa\x1f", "it begins like JPEG XL"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    ],
)
def test_what_is_no_image_is_named(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "cat.png"
    path.write_bytes(content)
    with pytest.raises(UnreadableImage, match=reason) as caught:
        decode_file(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WebP"])
def test_truncated_files_are_unreadable(tmp_path: Path, form: str) -> None:
    path = tmp_path / "half.jpg"
    data = FORMS[form]()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(UnreadableImage, match=r"half\.jpg"):
        decode_file(path)


def test_a_file_that_went_away(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImage, match="No such file"):
        decode_file(tmp_path / "gone.png")
