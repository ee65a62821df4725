"""`weatherglass compare`: is B really better than A?"""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

    from weatherglass.evaluation.comparison import Comparison


@click.command("compare")
@click.argument("run_a")
@click.argument("run_b")
@click.option("--reference", default="auto", show_default=True, help="Divides mCE: auto, alexnet, or STORE::MODEL.")
@click.option(
    "--correction", default="holm", show_default=True, help="For many conditions: holm, benjamini-hochberg or none."
)
@click.option("--mid-p", is_flag=True, help="McNemar's mid-p test, less conservative than the exact one.")
@click.option("--common-images", is_flag=True, help="Allow different data; use the images that both runs share.")
@click.option("--level", type=click.FloatRange(0.5, 0.999), default=0.95, show_default=True, help="Of the intervals.")
@click.option("--all", "every", is_flag=True, help="List every condition, not only those that differ most.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(
    run_a: str,
    run_b: str,
    reference: str,
    correction: str,
    mid_p: bool,
    common_images: bool,
    level: float,
    every: bool,
    as_json: bool,
) -> None:
    """Compare two stored runs, image by image. A run is STORE::MODEL, or STORE where it holds one.

    Each condition gets McNemar's exact test, corrected for the number of conditions; means over conditions get an
    interval of the difference from resampled images.
    """
    from weatherglass.cli.results import console, print_json
    from weatherglass.evaluation.comparison import compare
    from weatherglass.evaluation.reference import reference_named
    from weatherglass.evaluation.runs import find_run

    found = compare(
        find_run(run_a),
        find_run(run_b),
        reference=reference_named(reference),
        correction=correction,
        common_images=common_images,
        mid_p=mid_p,
        level=level,
    )
    if as_json:
        print_json(found)
    else:
        _print(console(), found, every)


def _print(out: "Console", found: "Comparison", every: bool) -> None:
    from weatherglass.cli.results import print_lines, print_table
    from weatherglass.evaluation.estimates import headlines

    words = headlines(found.task)
    print_lines(out, [f"A  {found.first}", f"B  {found.second}", f"{found.samples} images in both."])
    rows = [
        [
            words[name],
            f"{100 * each.first:.1f}",
            f"{100 * each.second:.1f}",
            _signed(each.difference.value, each.difference.low, each.difference.high),
            _about_b(each.verdict),
        ]
        for name, each in found.aggregates.items()
    ]
    columns = [f"mean over {found.samples} images", "A %", "B %", "B - A, points", "B is"]
    print_table(out, columns, rows)
    conditions = sorted(found.conditions.values(), key=lambda each: (each.adjusted_p, each.p_value, each.disturbance))
    shown = conditions if every else conditions[:10]
    rows = [
        [
            each.disturbance,
            f"{100 * each.first:.1f}",
            f"{100 * each.second:.1f}",
            _signed(each.difference.value, each.difference.low, each.difference.high),
            f"{each.only_first}/{each.only_second}",
            f"{each.adjusted_p:.2g}",
            _about_b(each.verdict),
        ]
        for each in shown
    ]
    images = "only A/B" if found.task == "classification" else "ahead A/B"
    print_table(out, ["condition", "A %", "B %", "B - A, points", images, "p adj.", "B is"], rows)
    if len(shown) < len(conditions):
        print_lines(out, [f"{len(conditions) - len(shown)} more conditions: add --all."])
    print_lines(out, found.sentences)
    if "mce" in found.aggregates:
        print_lines(out, [f"mCE is relative to {found.reference}."])
    print_lines(out, [f"No {words[name]}: {reason.removesuffix('.')}." for name, reason in _reasons(found).items()])
    print_lines(out, found.warnings, mark="Note: ")


def _reasons(found: "Comparison") -> dict[str, str]:
    """Why aggregates are absent; relative mCE is told only where mCE itself is there."""
    return {
        name: reason for name, reason in found.absent.items() if name != "relative_mce" or "mce" in found.aggregates
    }


def _signed(value: float, low: float, high: float) -> str:
    return f"{100 * value:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"


def _about_b(verdict: str) -> str:
    return "not told apart" if verdict == "cannot be told apart" else verdict
