"""`weatherglass gate`: pass or fail a run by rules, for continuous integration."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from weatherglass.evaluation.gate import GateResult


@click.command("gate")
@click.argument("run")
@click.option("--require", required=True, type=click.Path(path_type=Path), help="The rules, a TOML file.")
@click.option("--baseline", help="A run STORE::MODEL for the rules about regressions.")
@click.option("--format", "form", type=click.Choice(["text", "json", "junit"]), default="text", show_default=True)
@click.option("--output", type=click.Path(path_type=Path), help="Also write the verdict, in that format, to a file.")
def command(run: str, require: Path, baseline: str | None, form: str, output: Path | None) -> None:
    """Judge RUN (STORE::MODEL, or STORE) by the rules of a file.

    Exits with 0 when every rule is met, 1 when one is not, and 2 when the rules or the run cannot be used.
    """
    from weatherglass.evaluation.files import write_text
    from weatherglass.evaluation.gate import gate
    from weatherglass.evaluation.runs import find_run

    result = gate(find_run(run), require, baseline=find_run(baseline) if baseline else None)
    text = _formatted(result, form)
    click.echo(text, nl=not text.endswith("\n"))
    if output is not None:
        write_text(output, text if text.endswith("\n") else text + "\n")
    if not result.passed:
        raise SystemExit(1)


def _formatted(result: "GateResult", form: str) -> str:
    if form == "junit":
        from weatherglass.report.junit import junit_xml

        return junit_xml(result)
    if form == "json":
        import msgspec

        return msgspec.json.format(msgspec.json.encode(result), indent=2).decode()
    lines = [f"{'PASS' if rule.passed else 'FAIL'}  {rule.name}: {rule.reason}" for rule in result.results]
    failed = sum(not rule.passed for rule in result.results)
    verdict = f"{failed} of {len(result.results)} rules failed" if failed else f"All {len(result.results)} rules passed"
    against = f" against {result.baseline}" if result.baseline else ""
    notes = [f"Note: {note}" for note in result.notes]
    return "\n".join([*lines, *notes, f"{verdict}: {result.run}{against}, {result.samples} images."])
