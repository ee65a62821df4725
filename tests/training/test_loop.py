"""The loop: interrupted runs equal uninterrupted ones, parts equal wholes, and nothing is lost on a failure."""

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from recipes_small import small
from small_trainings import ALONE, DATA, HELD_OUT, Breaks, assert_equal, run, weights

from weatherglass.data.load import load_data
from weatherglass.errors import UserError
from weatherglass.models.load import load_predictor
from weatherglass.training.classification import Classification
from weatherglass.training.interruption import Interrupted
from weatherglass.training.loop import train
from weatherglass.training.progress import Listener
from weatherglass.training.recipe import Schedule
from weatherglass.training.training import Diverged, Training


@pytest.mark.parametrize(
    ("step", "how", "workers"), [(6, "SIGTERM", 0), (3, "SIGTERM", 2), (8, "SIGTERM", 0), (7, "killed", 0)]
)
def test_an_interrupted_run_equals_one_that_was_not(
    whole: Training, tmp_path: Path, step: int, how: str, workers: int
) -> None:
    with pytest.raises(Interrupted if how == "SIGTERM" else RuntimeError):
        run(small(), tmp_path, workers=workers, listener=Breaks(step, how))
    kept = torch.load(tmp_path / "last.pt", weights_only=True)
    assert kept["step"] == (step if how == "SIGTERM" else 4)
    assert_equal(run(small(), tmp_path, workers=workers), whole)


FAILING = """
import torch
from recipes_small import small
from small_trainings import ALONE, DATA, HELD_OUT, Breaks, assert_equal, run, weights
from weatherglass.data.load import load_data
from weatherglass.training.classification import Classification
from weatherglass.training.distributed import Group
from weatherglass.training.loop import train
from weatherglass.training.progress import Listener

class Fails(Listener):
    def stepped(self, training, pace):
        raise RuntimeError("a mistake of ours")

if __name__ == "__main__":
    objective = Classification(small(), load_data("digits:train", limit=70), None)
    train(small(), objective, FOLDER, group=Group(0, 1, torch.device("cpu")), workers=2, listener=Fails())
"""


def test_an_error_ends_the_processes_that_load_samples_too(tmp_path: Path) -> None:
    script = tmp_path / "failing.py"
    script.write_text(FAILING.replace("FOLDER", repr(str(tmp_path / "run"))))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=200, env=environment)
    assert done.returncode == 1
    assert done.stderr.strip().endswith("a mistake of ours")


def test_training_leaves_the_callers_random_numbers_and_signals_alone(tmp_path: Path) -> None:
    handler, state = signal.getsignal(signal.SIGTERM), torch.get_rng_state()
    run(small(schedule=Schedule(epochs=1, warmup=0)), tmp_path)
    assert signal.getsignal(signal.SIGTERM) is handler
    assert torch.equal(torch.get_rng_state(), state)


def test_the_folder_holds_what_evaluation_needs(whole: Training) -> None:
    folder = whole.folder.path
    assert {path.name for path in folder.iterdir()} == {"recipe.toml", "last.pt", "metrics.csv", "model.safetensors"}
    predictor = load_predictor(str(folder / "model.safetensors"))
    assert predictor.class_names == DATA.classes
    assert predictor.preprocessing.size == (32, 32)
    pixels = torch.stack([HELD_OUT.image(index) for index in range(len(HELD_OUT))]).float() / 255
    with torch.inference_mode():
        right = (predictor(pixels).argmax(1) == torch.from_numpy(HELD_OUT.labels)).float().mean().item()
    assert right == pytest.approx(whole.history[-1]["accuracy"])
    header, *rows = (folder / "metrics.csv").read_text().splitlines()
    assert header.startswith("epoch,loss,rate,samples/s,waiting,seconds,accuracy")
    assert len(rows) == 2


def test_a_finished_training_is_left_as_it_is_and_lost_weights_are_written_again(whole: Training) -> None:
    written = content(whole.folder.weights)
    changed = whole.folder.weights.stat().st_mtime_ns
    run(small(), whole.folder.path)
    assert whole.folder.weights.stat().st_mtime_ns == changed
    whole.folder.weights.unlink()
    run(small(), whole.folder.path)
    assert content(whole.folder.weights) == written


def content(weights: Path) -> tuple[dict[str, str], list[tuple[str, list[float]]]]:
    """Metadata and values; safetensors writes its metadata in any order."""
    from safetensors import safe_open

    with safe_open(weights, framework="pt") as file:
        return file.metadata(), [(name, file.get_tensor(name).flatten().tolist()) for name in sorted(file.keys())]


def test_the_weights_say_where_they_come_from(whole: Training) -> None:
    from safetensors import safe_open

    with safe_open(whole.folder.weights, framework="pt") as file:
        metadata = file.metadata()
    facts = json.loads(metadata["weatherglass.training"])
    assert (facts["data digest"], facts["epochs"], facts["steps"]) == (DATA.digest, 2, 8)
    assert {"weatherglass", "torch", "timm"} <= facts.keys()
    assert json.loads(metadata["weatherglass.recipe"])["name"] == "small"
    assert json.loads(metadata["weatherglass.model"])["scores"]["images"] == len(HELD_OUT)


def test_accumulated_parts_equal_the_whole_batch(tmp_path: Path) -> None:
    recipe = small(network=replace(small().network, drop_path=0.0))
    whole, parts = run(recipe, tmp_path / "whole"), run(replace(recipe, accumulate=4), tmp_path / "parts")
    for first, second in zip(whole.history, parts.history, strict=True):
        assert second["loss"] == pytest.approx(first["loss"], rel=1e-5)
    for name, tensor in weights(whole).items():
        torch.testing.assert_close(weights(parts)[name], tensor, rtol=1e-3, atol=1e-4, msg=name)


def test_two_processes_equal_one(tmp_path: Path) -> None:
    """Half the batch each, mixing on: the same curve up to rounding."""
    recipe = small(network=replace(small().network, drop_path=0.0))
    alone = run(recipe, tmp_path / "one")
    (tmp_path / "recipe.toml").write_text((tmp_path / "one" / "recipe.toml").read_text())
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
    command += ["weatherglass", "train", str(tmp_path / "recipe.toml"), "--data", "digits", "--limit", "70"]
    command += ["--workers", "0", "--threads", "1", "--device", "cpu", "--output", str(tmp_path / "two")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=250)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "2 processes" in done.stdout
    curve = losses(tmp_path / "two" / "metrics.csv")
    assert curve == pytest.approx([row["loss"] for row in alone.history], rel=1e-5)


def losses(path: Path) -> list[float]:
    header, *rows = (line.split(",") for line in path.read_text().splitlines())
    return [float(row[header.index("loss")]) for row in rows]


def test_a_loss_that_is_no_number_stops_and_names_the_good_checkpoint(tmp_path: Path) -> None:
    class Poison(Listener):
        def epoch_ended(self, training: Training, row: Mapping[str, float]) -> None:
            with torch.no_grad():
                next(training.model.parameters()).fill_(float("nan"))

    with pytest.raises(
        Diverged, match=r"The loss is nan at step 4 \(epoch 2\); the last good checkpoint is .*last\.pt"
    ):
        run(small(), tmp_path, listener=Poison())
    kept = torch.load(tmp_path / "last.pt", weights_only=True)
    assert kept["step"] == 4
    assert all(torch.isfinite(tensor).all() for tensor in kept["model"].values())


def test_a_full_disk_keeps_the_checkpoint_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Interrupted):
        run(small(), tmp_path, listener=Breaks(4, "SIGTERM"))
    before = (tmp_path / "last.pt").read_bytes()

    def full(content: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(UserError, match=r"No space left on device.*the one before is kept"):
        run(small(), tmp_path)
    assert (tmp_path / "last.pt").read_bytes() == before
    assert not list(tmp_path.glob(".*part"))


def test_another_recipe_or_other_data_never_overwrites(whole: Training) -> None:
    folder = whole.folder.path
    before = (folder / "last.pt").read_bytes()
    with pytest.raises(UserError, match=r"another recipe \(batch: 16 and 8\): give another --output"):
        run(small(batch=8), folder)
    objective = Classification(small(), load_data("digits:train", limit=60), HELD_OUT)
    with pytest.raises(UserError, match=r"on other data \(data digest differs\)"):
        train(small(), objective, folder, group=ALONE)
    assert (folder / "last.pt").read_bytes() == before


def test_a_file_that_is_no_state_is_refused(tmp_path: Path) -> None:
    (tmp_path / "last.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(UserError, match="is not the checkpoint of a training"):
        run(small(), tmp_path)


def test_a_batch_larger_than_the_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="A batch of 500 is larger than the epoch of 70 samples"):
        run(small(batch=500), tmp_path)
    with pytest.raises(UserError, match="cannot be dealt to 1 processes in 3 parts"):
        run(small(accumulate=3), tmp_path)
