"""compare, explain-diff, gate and export from the command line: exit codes and readable text."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from synthetic import full_grid, new_store, put_run

from weatherglass.cli import compare, explain_diff, export, gate
from weatherglass.errors import UserError


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    store = new_store(Path("runs/demo"))
    for name, corrupted in (("vit", 0.7), ("cnn", 0.5)):
        put_run(store, name, full_grid(120, 0.9, corrupted))
    return "runs/demo"


def run(module, *arguments: str) -> Result:
    return CliRunner().invoke(module.command, list(arguments), catch_exceptions=True)


def test_compare_is_readable_in_a_pipe(store: str) -> None:
    result = run(compare, f"{store}::cnn", f"{store}::vit")
    assert result.exit_code == 0, result.output
    assert "B is better" in result.output
    assert "\x1b" not in result.output
    assert max(map(len, result.output.splitlines())) < 100
    assert result.output.count("@") >= 10
    assert run(compare, f"{store}::cnn", f"{store}::vit", "--all").output.count("@") >= 75


def test_compare_as_json(store: str) -> None:
    found = json.loads(run(compare, f"{store}::cnn", f"{store}::vit", "--json", "--reference", f"{store}::cnn").output)
    assert found["aggregates"]["mce"]["first"] == 1.0
    assert found["conditions"]["fog@3"]["only_second"] > 0


def test_explain_diff(store: str) -> None:
    result = run(explain_diff, f"{store}::cnn", f"{store}::vit")
    assert result.exit_code == 0, result.output
    assert "The protocols are equal" in result.output
    assert max(map(len, result.output.splitlines())) < 100
    put_run(new_store(Path(store)), "vit", full_grid(120, 0.9, 0.7), weights="vit", seed=4)
    both = run(explain_diff, f"{store}::vit", f"{store}::vit")
    assert "seed" in both.output and "other random draws" in both.output
    found = json.loads(run(explain_diff, f"{store}::vit", f"{store}::vit", "--json").output)
    assert [field["field"] for field in found["fields"]] == ["seed"]


def test_gate_exit_codes(store: str) -> None:
    rules = Path("rules.toml")
    rules.write_text('[[rule]]\nmetric = "corrupted"\nminimum = "20 %"\n')
    passed = run(gate, f"{store}::vit", "--require", "rules.toml")
    assert (passed.exit_code, passed.output.splitlines()[0][:4]) == (0, "PASS")
    rules.write_text(rules.read_text() + '[[rule]]\nmetric = "corrupted"\nmaximum_regression = 0.01\n')
    failed = run(gate, f"{store}::cnn", "--require", "rules.toml", "--baseline", f"{store}::vit")
    assert failed.exit_code == 1
    assert "1 of 2 rules failed" in failed.output
    unusable = run(gate, f"{store}::cnn", "--require", "rules.toml")
    assert isinstance(unusable.exception, UserError)  # which the command line turns into exit code 2
    assert run(gate, f"{store}::cnn").exit_code == 2


def test_gate_formats(store: str) -> None:
    Path("rules.toml").write_text('[[rule]]\nmetric = "top1"\nminimum = 0.99\n')
    as_json = run(gate, f"{store}::vit", "--require", "rules.toml", "--format", "json", "--output", "out/gate.json")
    assert as_json.exit_code == 1
    assert json.loads(as_json.output)["passed"] is False
    assert json.loads(Path("out/gate.json").read_text()) == json.loads(as_json.output)
    assert "<testsuite" in run(gate, f"{store}::vit", "--require", "rules.toml", "--format", "junit").output


def test_export(store: str) -> None:
    assert run(export, store, "--format", "timm").output.startswith("model,img_size")
    assert run(export, store, "--output", "out/tidy.parquet").output == "Wrote out/tidy.parquet.\n"
    assert Path("out/tidy.parquet").is_file()
