"""Imports point downwards only: each row may import the rows before it, and nothing beside or below it."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "weatherglass"

LAYERS = (
    {"errors", "lazy", "unfinished"},
    {"types", "catalog", "randomness", "user_code"},
    {"models", "corruptions", "data", "metrics"},
    {"tasks", "attacks", "analysis"},
    {"evaluation", "training"},
    {"report"},
    {"studies"},
    {"experiments"},
    {"cli"},
)
RANK = {part: rank for rank, layer in enumerate(LAYERS) for part in layer}


def part_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported_parts(path: Path) -> set[str]:
    """The parts of weatherglass that a file imports, at any depth of nesting."""
    parts = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module] if node.module != "weatherglass" else [f"weatherglass.{a.name}" for a in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        parts |= {name.split(".")[1] for name in names if name.startswith("weatherglass.")}
    return parts


@pytest.mark.parametrize(
    "path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)).replace("/", ".")
)
def test_imports_point_downwards(path: Path) -> None:
    part = part_of(path)
    if part in {"__init__", "__main__"}:
        return
    assert part in RANK, f"{part} has no place in LAYERS: give it one in tests/test_architecture.py"
    for other in (imported_parts(path) & RANK.keys()) - {part}:
        assert RANK[other] < RANK[part], f"{path.name} ({part}) may not import weatherglass.{other}"
