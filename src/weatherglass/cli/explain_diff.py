"""`weatherglass explain-diff`: which parts of the protocol make two numbers differ."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

    from weatherglass.evaluation.explain import Explanation
    from weatherglass.evaluation.runs import Run


@click.command("explain-diff")
@click.argument("run_a")
@click.argument("run_b")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(run_a: str, run_b: str, as_json: bool) -> None:
    """Say which protocol fields make the numbers of two runs differ. A run is STORE::MODEL, or STORE.

    Give the same name twice where a store holds several runs of one model: they are explained against each other.
    """
    from weatherglass.cli.results import console, print_json
    from weatherglass.evaluation.explain import explain_diff

    explanations = [explain_diff(first, second) for first, second in _pairs(run_a, run_b)]
    if as_json:
        print_json(explanations[0] if len(explanations) == 1 else explanations)
        return
    for explanation in explanations:
        _print(console(), explanation)


def _pairs(run_a: str, run_b: str) -> "list[tuple[Run, Run]]":
    from weatherglass.evaluation.runs import find_run, runs_matching

    if run_a == run_b and len(same := runs_matching(run_a)) > 1 and len({run.model for run in same}) == 1:
        return [(same[0], other) for other in same[1:]]
    return [(find_run(run_a), find_run(run_b))]


def _print(out: "Console", found: "Explanation") -> None:
    from weatherglass.cli.results import print_lines, print_table

    print_lines(out, [f"A  {found.first}", f"B  {found.second}", *found.sentences])
    fields = {f.field: f for f in found.fields}
    for condition in found.conditions.values():
        fields |= {f.field: f for f in condition.fields if f.field not in fields}
    if fields:
        rows = [[f.field, _short(f.first), _short(f.second), f.words] for f in fields.values()]
        print_table(out, ["field", "A", "B", "what it does"], rows, text_columns=4)
    moved = [c for c in found.conditions.values() if c.first != c.second or c.changed]
    if moved:
        moved.sort(key=lambda c: (-abs(c.first - c.second), c.disturbance))
        rows = [
            [
                c.disturbance,
                f"{100 * c.first:.2f}",
                f"{100 * c.second:.2f}",
                f"{100 * (c.second - c.first):+.2f}",
                "other images" if c.changed is None else str(c.changed),
                ", ".join(f.field.partition(".")[2] for f in c.fields) or "-",
            ]
            for c in moved[:15]
        ]
        columns = ["condition", "A %", "B %", "B - A", "predictions changed", "applied otherwise"]
        print_table(out, columns, rows)
        if len(moved) > 15:
            print_lines(out, [f"{len(moved) - 15} more conditions differ: see --json."])
    for letter, alone in (("A", found.only_first), ("B", found.only_second)):
        if alone:
            print_lines(out, [f"Only {letter} holds {len(alone)} conditions, such as {alone[0]}."])


def _short(text: str) -> str:
    return text if len(text) <= 24 else f"{text[:21]}..."
