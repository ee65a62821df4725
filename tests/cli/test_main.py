"""The command line: quick answers, one line for a user's mistake, nothing half-written."""

import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from weatherglass.cli.main import VERBS, main, weatherglass


@dataclass(frozen=True)
class Done:
    """What a call of the command line left."""

    returncode: int
    stdout: str
    stderr: str


Call = Callable[..., Done]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Call:
    """Run `weatherglass` as from a shell, in `tmp_path`, without paying for a new process."""

    def run(*arguments: str) -> Done:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["weatherglass", *arguments])
        capsys.readouterr()
        before = signal.getsignal(signal.SIGTERM)
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        finally:
            signal.signal(signal.SIGTERM, before)
        return Done(code, *capsys.readouterr())

    return run


@pytest.fixture
def complaint(call: Call, tmp_path: Path) -> Callable[..., str]:
    """The one line that a mistake earns; the exit code is 2 and nothing is written."""

    def run(*arguments: str) -> str:
        before = sorted(tmp_path.rglob("*"))
        done = call(*arguments)
        assert done.returncode == 2, done
        assert "Traceback" not in done.stderr
        lines = done.stderr.strip().splitlines()
        assert len(lines) == 1, done.stderr
        assert sorted(tmp_path.rglob("*")) == before
        return lines[0]

    return run


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["list", "models"], ["list", "corruptions"], ["list", "suites"], ["list", "data"], ["list", "verbs"]],
    ids=" ".join,
)
def test_quick_answers_import_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys; from weatherglass.cli.main import weatherglass; "
        f"weatherglass({arguments!r}, standalone_mode=False); "
        "heavy = {'torch', 'numpy', 'pyarrow', 'timm', 'rich', 'scipy'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_importing_weatherglass_imports_nothing_heavy() -> None:
    code = "import sys, weatherglass; assert not {'torch', 'numpy'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: str) -> None:
    command = weatherglass.get_command(None, verb)  # type: ignore[arg-type]
    assert command is not None
    assert command.help or command.short_help
    assert command.name == verb


def test_an_unknown_verb_names_the_nearest(call: Call) -> None:
    done = call("evalute")
    assert done.returncode == 2
    assert "Did you mean evaluate" in done.stderr


MISTAKES = {
    "unknown model": (["evaluate", "timm/resnet5", "--data", "digits"], "resnet50"),
    "bare timm name": (["evaluate", "resnet50", "--data", "digits"], "timm/resnet50"),
    "unknown corruption": (["evaluate", "digits_vit", "--data", "digits", "--disturb", "fogg@3"], "Did you mean fog"),
    "severity out of range": (["evaluate", "digits_vit", "--data", "digits", "--disturb", "fog@9"], "9"),
    "unknown suite": (["evaluate", "digits_vit", "--data", "digits", "--suite", "imagenetc"], "imagenet-c"),
    "missing path": (["evaluate", "digits_vit", "--data", "imagefolder:nowhere"], "nowhere"),
    "unknown data kind": (["evaluate", "digits_vit", "--data", "digit"], "digits"),
    "no such store": (["report", "nowhere"], "no Weatherglass store"),
    "class count": (["evaluate", "digits_vit", "--data", "imagefolder:two"], "10"),
    "offline weights": (["evaluate", "timm/resnet18.a1_in1k", "--data", "digits"], "--checkpoint"),
    "user file missing": (["evaluate", "gone.py:build", "--data", "digits"], "gone.py"),
    "user factory missing": (["evaluate", "model.py:biuld", "--data", "digits"], "build"),
    "preprocessing": (["evaluate", "digits_vit", "--data", "digits", "--preprocessing", "shrink 8"], "shrink"),
    "device": (["evaluate", "digits_vit", "--data", "digits", "--device", "gpu"], "gpu"),
    "precision": (["evaluate", "digits_vit", "--data", "digits", "--precision", "float8"], "float8"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_earns_one_line(case: str, complaint: Callable[..., str], tmp_path: Path) -> None:
    from PIL import Image

    for name in ("two/cat", "two/dog"):
        (tmp_path / name).mkdir(parents=True)
        Image.new("RGB", (32, 32), (200, 30, 30)).save(tmp_path / name / "0.png")
    (tmp_path / "model.py").write_text("import torch\n\ndef build():\n    return torch.nn.Flatten()\n")
    arguments, expected = MISTAKES[case]
    assert expected in complaint(*arguments)


def test_bad_image_files_are_named(call: Call, complaint: Callable[..., str], tmp_path: Path) -> None:
    from PIL import Image

    for digit in range(10):
        (tmp_path / "photos" / str(digit)).mkdir(parents=True)
        Image.new("RGB", (32, 32), (20 * digit, 90, 30)).save(tmp_path / "photos" / str(digit) / "a.jpg")
    whole = (tmp_path / "photos" / "3" / "a.jpg").read_bytes()
    (tmp_path / "photos" / "3" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "photos" / "4" / "text.png").write_text("not a picture")
    for name, mode in (("grey", "L"), ("alpha", "RGBA"), ("cmyk", "CMYK"), ("sixteen", "I;16")):
        ending = "jpg" if mode == "CMYK" else "png"
        Image.new(mode, (32, 32)).save(tmp_path / "photos" / "5" / f"{name}.{ending}")
    arguments = ["evaluate", "digits_cnn", "--data", "imagefolder:photos", "--disturb", "fog@1", "--store", "run"]
    line = complaint(*arguments)
    assert "cut.jpg" in line
    assert "--skip-unreadable" in line
    done = call(*arguments, "--skip-unreadable")
    assert done.returncode == 0, done.stderr
    assert "14 images (all, 2 unreadable left out)" in done.stderr


def test_a_pickle_that_runs_code_is_refused(complaint: Callable[..., str], tmp_path: Path) -> None:
    import pickle

    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "owned",))

    (tmp_path / "weights.pth").write_bytes(pickle.dumps({"state_dict": Evil()}))
    line = complaint("evaluate", "digits_vit", "--data", "digits", "--checkpoint", "weights.pth")
    assert "weights.pth" in line
    assert not (tmp_path / "owned").exists()
