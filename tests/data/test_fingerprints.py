"""Digests of contents: the same on every machine, computed once, and never stale."""

import os
from hashlib import blake2b
from pathlib import Path

import pytest

from weatherglass.data import fingerprints
from weatherglass.data.fingerprints import file_digests
from weatherglass.data.load import load_data

from .samples import write_folder

OLD = 1_600_000_000


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.setenv("WEATHERGLASS_CACHE", str(tmp_path / "cache"))
    paths = [tmp_path / f"{number}.bin" for number in range(5)]
    for number, path in enumerate(paths):
        path.write_bytes(bytes([number]) * 1000)
        os.utime(path, (OLD, OLD))
    monkeypatch.setattr(fingerprints, "_YOUNG", 0)  # nobody can make the time of change old
    return paths


def test_digests_are_of_the_contents(files: list[Path]) -> None:
    assert file_digests(files) == [blake2b(path.read_bytes(), digest_size=16).digest() for path in files]
    assert file_digests([files[0] / "absent"]) == [b"unreadable"]


def test_the_second_time_nothing_is_read(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    first = file_digests(files)
    monkeypatch.setattr(fingerprints, "_digest", lambda path: pytest.fail(f"{path} was read again"))
    assert file_digests(files) == first


def test_a_changed_file_is_read_again(files: list[Path]) -> None:
    first = file_digests(files)
    files[2].write_bytes(b"other" * 200)  # of the same size, later
    assert file_digests(files) != first


def test_contents_that_change_places_are_read_again(files: list[Path]) -> None:
    """Size and time of modification are as before: programs that copy set the latter, and so may anybody."""
    first = file_digests(files)
    assert list(fingerprints.cache_folder().rglob("*.npy"))
    contents = [path.read_bytes() for path in files[:2]]
    for path, content in zip(files[:2], reversed(contents), strict=True):
        before = path.stat().st_ctime_ns
        path.write_bytes(content)
        while path.stat().st_ctime_ns == before:  # the clock of the file system ticks in milliseconds
            os.utime(path, (OLD, OLD))
        os.utime(path, (OLD, OLD))
    assert file_digests(files) == [first[1], first[0], *first[2:]]


def test_a_file_just_written_is_not_cached(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprints, "_YOUNG", 10**12)
    files[0].write_bytes(b"new")
    file_digests(files)
    assert not list(fingerprints.cache_folder().rglob("*.npy"))


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY damaged"])
def test_a_damaged_or_unwritable_cache_is_done_without(
    files: list[Path], damage: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = file_digests(files)
    for cached in fingerprints.cache_folder().rglob("*.npy"):
        cached.write_bytes(damage)
    assert file_digests(files) == first
    monkeypatch.setenv("WEATHERGLASS_CACHE", str(files[0] / "is a file"))
    assert file_digests(files) == first


def test_a_copied_folder_is_the_same_data(tmp_path: Path) -> None:
    first = load_data(f"imagefolder:{write_folder(tmp_path / 'a', ('cat', 'dog'))}")
    second = load_data(f"imagefolder:{write_folder(tmp_path / 'b', ('cat', 'dog'))}")
    assert first.digest == second.digest
    (tmp_path / "b" / "dog" / "0.png").write_bytes((tmp_path / "b" / "dog" / "1.png").read_bytes())
    assert load_data(f"imagefolder:{tmp_path / 'b'}").digest != first.digest
