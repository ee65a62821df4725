"""A corrupted copy holds the pixels of an evaluation, can be stopped at any moment, and loads back."""

import json
import os
import signal
import subprocess
import sys
import time
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from weatherglass.corruptions.engine import corrupt
from weatherglass.data.decode import decode_file
from weatherglass.data.load import load_data
from weatherglass.data.stored import StoredConditions
from weatherglass.errors import UserError
from weatherglass.evaluation import corrupted_copy
from weatherglass.evaluation.copy_files import Encoding, target_files
from weatherglass.evaluation.copy_plan import CopySettings, plan_copy
from weatherglass.evaluation.corrupted_copy import write_copy
from weatherglass.types import Preprocessing

ONE = CopySettings(workers=1)


def photos(root: Path) -> str:
    """Pictures of two sizes, one of them grey, two with the same name but for the ending."""
    generator = np.random.default_rng(0)
    colour = (20, 24, 3)
    shapes = {"cat/a.png": colour, "cat/a.jpg": colour, "dog/deep/b.png": (33, 17), "dog/c.png": colour}
    for name, shape in shapes.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, shape, dtype=np.uint8)).save(root / name)
    return f"imagefolder:{root}"


def contents(out: Path) -> dict[str, str]:
    files = sorted(path for path in out.rglob("*") if path.is_file())
    return {path.relative_to(out).as_posix(): blake2b(path.read_bytes()).hexdigest() for path in files}


def test_pixels_are_those_of_an_evaluation_and_load_back(tmp_path: Path) -> None:
    data = load_data(photos(tmp_path / "photos"))
    out = tmp_path / "copy"
    result = write_copy(plan_copy(data, out, corruptions=["fog@3", "gaussian_noise@2.5"], settings=ONE))
    assert result.files == 3 * 4
    copy = load_data(f"imagenet-c:{out}")
    assert isinstance(copy, StoredConditions)
    assert copy.conditions == [("fog", 3), ("gaussian_noise", 2.5)]
    assert set(copy.ids) == {"cat/a_jpg.png", "cat/a_png.png", "dog/c.png", "dog/deep/b.png"}
    place = dict(zip(target_files(data), range(len(data)), strict=True))
    for index, sample in enumerate(copy.ids):
        source = place[sample.removesuffix(".png")]
        image = data.image(source)
        assert copy.clean is not None
        assert torch.equal(copy.clean.image(index), image)
        assert copy.labels[index] == data.labels[source]
        expected = corrupt(image, "fog", 3, seed=0, ids=[data.ids[source]])
        assert torch.equal(copy.at("fog", 3).image(index), expected)


def test_the_manifest_lists_every_file_with_its_digest(tmp_path: Path) -> None:
    data = load_data(photos(tmp_path / "photos"))
    write_copy(plan_copy(data, tmp_path / "copy", corruptions=["snow@1"], settings=ONE))
    header, *lines = map(json.loads, (tmp_path / "copy" / "manifest.jsonl").read_text().splitlines())
    assert header["source digest"] == data.digest
    assert header["classes"] == ["cat", "dog"]
    assert header["conditions"]["snow@1"]["corruption definition"] == "imagecorruptions"
    on_disk = set(contents(tmp_path / "copy")) - {"manifest.jsonl"}
    assert {line["file"] for line in lines} == on_disk
    for line in lines:
        assert blake2b((tmp_path / "copy" / line["file"]).read_bytes(), digest_size=16).hexdigest() == line["digest"]
    assert {line["id"] for line in lines} == set(data.ids)


def test_an_interrupted_copy_goes_on_to_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = load_data("digits:test", limit=50)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    write_copy(plan_copy(data, whole, corruptions=["fog@1", "shot_noise@4"], settings=ONE))

    def stops_after_two(plan: corrupted_copy.CopyPlan):
        for chunk in plan.chunks[:2]:
            yield corrupted_copy.write_chunk(plan.job, chunk)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(corrupted_copy, "_results", stops_after_two)
        with pytest.raises(KeyboardInterrupt):
            write_copy(plan_copy(data, broken, corruptions=["fog@1", "shot_noise@4"], settings=ONE))
    assert not (broken / "manifest.jsonl").exists()
    plan = plan_copy(data, broken, corruptions=["fog@1", "shot_noise@4"], settings=ONE)
    assert len(plan.chunks) == plan.job.chunks - 2
    write_copy(plan)
    assert contents(broken) == contents(whole)


def test_conditions_can_be_added_and_nothing_is_written_twice(tmp_path: Path) -> None:
    data = load_data("digits:test", limit=20)
    write_copy(plan_copy(data, tmp_path, corruptions=["fog@1"], settings=ONE))
    before = contents(tmp_path)
    plan = plan_copy(data, tmp_path, corruptions=["fog@1", "contrast@2"], settings=ONE)
    assert [str(condition) for condition in plan.job.conditions] == ["contrast@2"]
    write_copy(plan)
    after = contents(tmp_path)
    assert {name: digest for name, digest in after.items() if name in before and name != "manifest.jsonl"} == {
        name: digest for name, digest in before.items() if name != "manifest.jsonl"
    }
    assert write_copy(plan_copy(data, tmp_path, corruptions=["fog@1", "contrast@2"], settings=ONE)).files == 0


def test_formats_and_geometry(tmp_path: Path) -> None:
    data = load_data(photos(tmp_path / "photos"))
    geometry = Preprocessing(size=(16, 16), resize=16)
    for form, ending in {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}.items():
        settings = CopySettings(encoding=Encoding(form), preprocessing=geometry, workers=1, clean=False)
        write_copy(plan_copy(data, tmp_path / form, corruptions=["brightness@1"], settings=settings))
        files = [path for path in (tmp_path / form).rglob("*") if path.suffix == ending]
        assert len(files) == 4
        assert {decode_file(path).shape for path in files} == {(3, 16, 16)}
    assert Encoding("webp").encode(data.image(0)) != Encoding("webp", 50).encode(data.image(0))


def test_mistakes_are_told_before_anything_is_written(tmp_path: Path) -> None:
    data = load_data("digits:test", limit=20)
    write_copy(plan_copy(data, tmp_path / "copy", corruptions=["fog@1"], settings=ONE))
    with pytest.raises(UserError, match="seed was 0, now 1"):
        plan_copy(data, tmp_path / "copy", corruptions=["fog@1"], settings=CopySettings(seed=1))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("precious")
    with pytest.raises(UserError, match="is not empty"):
        plan_copy(data, tmp_path / "full", corruptions=["fog@1"])
    with pytest.raises(UserError, match="Did you mean fog"):
        plan_copy(data, tmp_path / "new", corruptions=["fogg@1"])
    with pytest.raises(UserError, match="two severities"):
        plan_copy(data, tmp_path / "new", corruptions=["fog@1+snow@2"])
    with pytest.raises(UserError, match="png, jpeg, webp"):
        Encoding("tiff")
    assert not (tmp_path / "new").exists()


def test_unreadable_files_stop_the_copy_or_are_listed(tmp_path: Path) -> None:
    spec = photos(tmp_path / "photos")
    (tmp_path / "photos" / "dog" / "text.png").write_text("not a picture")
    data = load_data(spec)
    with pytest.raises(UserError, match=r"dog/text.png.*--skip-unreadable"):
        write_copy(plan_copy(data, tmp_path / "copy", corruptions=["fog@1"], settings=ONE))
    settings = CopySettings(workers=1, skip_unreadable=True)
    result = write_copy(plan_copy(data, tmp_path / "copy", corruptions=["fog@1"], settings=settings))
    assert len(result.unreadable) == 1
    assert "text.png" in (tmp_path / "copy" / "manifest.jsonl").read_text()
    assert len(load_data(f"imagenet-c:{tmp_path / 'copy'}")) == 4


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="Cannot write"):
        write_copy(plan_copy(load_data("digits:test", limit=5), tmp_path / "x", corruptions=["fog@1"], settings=ONE))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_processes_and_any_number_of_them_give_the_same_bytes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "weatherglass", "corrupt", "digits:test", "OUT", "--corruption", "fog@1"]
    command += ["--corruption", "elastic_transform@3", "--corruption", "glass_blur@2"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run([str(whole) if part == "OUT" else part for part in [*command, "--workers", "1"]], check=True)
    command = [str(killed) if part == "OUT" else part for part in [*command, "--workers", "2"]]
    for _ in range(3):
        process = subprocess.Popen(command, start_new_session=True)
        notes = len(list(killed.rglob("*.jsonl")))
        deadline = time.monotonic() + 120
        while process.poll() is None and len(list(killed.rglob("*.jsonl"))) <= notes and time.monotonic() < deadline:
            time.sleep(0.05)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    subprocess.run(command, check=True)
    assert contents(killed) == contents(whole)
