"""`weatherglass effective-robustness`: does a model keep more under a shift than its clean accuracy promises?"""

from pathlib import Path

import click


@click.command("effective-robustness")
@click.argument("stores", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="STORE [STORE ...]")
@click.option("--clean", required=True, help="Data without the shift: a part of its name, or DATA::CONDITION.")
@click.option("--shift", required=True, help="Data with it, likewise, e.g. imagenet-r or cifar10_test::fog@3.")
@click.option("--baseline", "baselines", multiple=True, help="A model of the line, or part of its name [default: all].")
@click.option("--level", type=click.FloatRange(0.5, 0.999), default=0.95, show_default=True, help="Of the intervals.")
@click.option("--output", type=click.Path(path_type=Path), help="Plot with the line: .html, .svg, .png or .pdf.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(
    stores: tuple[Path, ...],
    clean: str,
    shift: str,
    baselines: tuple[str, ...],
    level: float,
    output: Path | None,
    as_json: bool,
) -> None:
    """What the models in STORES keep under a shift beyond what the line through the baselines lets one expect.

    The line is fitted on the logit scale. Intervals are over images; the line is fitted anew in every resample.
    """
    from weatherglass.cli.results import print_json
    from weatherglass.evaluation.effective import Measurement, effective_robustness
    from weatherglass.evaluation.runs import runs_of
    from weatherglass.evaluation.store import Store

    runs = runs_of(*map(Store, stores))
    study = effective_robustness(
        runs, Measurement.parse(clean), Measurement.parse(shift), baselines=baselines, level=level
    )
    if as_json:
        print_json(study)
    else:
        _print(study)
    if output is not None:
        from weatherglass.report.charts import write_chart
        from weatherglass.report.effective import effective_chart

        write_chart(effective_chart(study), output)
        click.echo(f"wrote {output}", err=as_json)


def _print(study: object) -> None:
    from weatherglass.cli.results import console, print_lines, print_table
    from weatherglass.evaluation.effective import RobustnessStudy

    assert isinstance(study, RobustnessStudy)
    from weatherglass.report.words import short_labels

    out = console()
    labels = short_labels([one.model for one in study.models])
    rows = [
        [
            label,
            "through it" if one.baseline else "beside it",
            one.clean.percent(),
            one.shifted.percent(),
            f"{100 * one.expected:.1f}",
            f"{100 * one.effective.value:+.1f} [{100 * one.effective.low:+.1f}, {100 * one.effective.high:+.1f}]",
        ]
        for label, one in zip(labels, study.models, strict=True)
    ]
    columns = ["model", "line goes", "clean %", "shifted %", "expected %", "effective, points"]
    print_table(out, columns, rows, text_columns=2)
    line = study.line
    print_lines(
        out,
        [
            f"Clean: {study.clean}, {study.images[0]} images. Shifted: {study.shift}, {study.images[1]} images.",
            f"logit(shifted) = {line.slope:.3f} logit(clean) {line.intercept:+.3f}, through "
            f"{sum(one.baseline for one in study.models)} models.",
            *([f"Without both measurements: {', '.join(study.left_out)}."] if study.left_out else []),
        ],
    )
