"""Every command and every Python example in the README and the docs is executed, page by page, in its own folder.

A fence marked `console` holds commands behind `$ ` prompts; what they print stands below them and is not compared.
`console shared` needs reference data that does not ship and is skipped where it is absent; `console slow` runs with
the slow tests alone. The `python` fences of a page run after its commands, as one program. The commands of pages are
forked from a process that has imported the libraries (`command_server.py`); the demo runs as it is installed.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from command_server import CommandServer

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```console([ \w]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """The commands of one fence."""

    marks: frozenset[str]
    commands: tuple[str, ...]


def blocks_of(page: Path) -> list[Block]:
    """The fences of a page; a command goes on in the next line after a backslash."""
    blocks = []
    for marks, text in FENCE.findall(page.read_text(encoding="utf-8")):
        joined = text.replace("\\\n", " ")
        commands = tuple(line[2:].strip() for line in joined.splitlines() if line.startswith("$ "))
        blocks.append(Block(frozenset(marks.split()), commands))
    return blocks


@pytest.fixture(scope="session")
def demo_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `weatherglass demo --quick` leaves, made once."""
    folder = tmp_path_factory.mktemp("demo")
    run_command("weatherglass demo --quick", folder, {})
    return folder


@pytest.fixture(scope="session")
def programs() -> Iterator[Path]:
    """The folder with a `weatherglass` and a `python` that start at once."""
    with tempfile.TemporaryDirectory(prefix="commands") as folder:
        server = CommandServer(Path(folder) / "server")
        yield server.bin
        server.stop()


def run_command(
    command: str, folder: Path, environment: dict[str, str], programs: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run one line of a page with this Python's `weatherglass`, or with the one in `programs`."""
    places = [str(programs)] if programs else []
    path = os.pathsep.join([*places, str(Path(sys.executable).parent), os.environ["PATH"]])
    settings = os.environ | {"PATH": path, "COLUMNS": "100", "OMP_WAIT_POLICY": "PASSIVE"} | environment
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=settings, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, f"$ {command}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    return done


def cases() -> list[object]:
    found = []
    for page in PAGES:
        marks_of_page = {mark for block in blocks_of(page) for mark in block.marks}
        for kind in ("", *sorted(marks_of_page)):
            blocks = [block for block in blocks_of(page) if (kind in block.marks if kind else not block.marks)]
            examples = not kind and PYTHON.search(page.read_text(encoding="utf-8"))
            if any(block.commands for block in blocks) or examples:
                slow = [pytest.mark.slow] if kind else []
                name = f"{page.relative_to(ROOT)}{'-' + kind if kind else ''}"
                found.append(pytest.param(page, kind, id=name, marks=[*slow, pytest.mark.timeout(1800)]))
    return found


@pytest.mark.parametrize(("page", "kind"), cases())
def test_commands_of_the_page_run(
    page: Path, kind: str, demo_store: Path, programs: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    environment = {}
    if kind == "shared":
        environment["SHARED"] = str(request.getfixturevalue("shared_data"))
    shutil.copytree(demo_store, tmp_path, dirs_exist_ok=True)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    for block in blocks_of(page):
        if (kind in block.marks) if kind else not block.marks:
            for command in block.commands:
                if not command.startswith(("make ", "git ", "pip ")):
                    run_command(command, tmp_path, environment, programs)
    examples = PYTHON.findall(page.read_text(encoding="utf-8"))
    if examples and not kind:
        (tmp_path / "page.py").write_text("\n".join(examples), encoding="utf-8")
        run_command("python page.py", tmp_path, environment, programs)


@pytest.mark.slow
def test_the_readme_quotes_the_demo(tmp_path: Path) -> None:
    printed = run_command("weatherglass demo", tmp_path, {}).stdout
    rows = [line.strip() for line in printed.splitlines() if re.match(r"digits_\w+ +\d", line)]
    assert len(rows) == 3
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert all(row in readme for row in rows), printed


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}, which is not there"
