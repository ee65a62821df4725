"""What a card prints: the published table, the measured one beside it, slopes and findings, as text tables."""

from collections.abc import Sequence

import numpy as np

from weatherglass.experiments.card import Card
from weatherglass.experiments.findings import Finding, Slope
from weatherglass.experiments.published import PublishedTable, Value, published_table
from weatherglass.experiments.study import Study, StudyRow
from weatherglass.metrics.intervals import Estimate
from weatherglass.metrics.trainings import TrainingNoise, over_trainings, training_noise
from weatherglass.report.tables import TextTable


def printed_table(name: str) -> TextTable:
    """A published table as it stands in the paper."""
    table = published_table(name)
    grouped = any(row.group for row in table.rows)
    rows = [
        (row.printed, *([row.group] if grouped else []), *(_text(row.values.get(one.key)) for one in table.columns))
        for row in table.rows
    ]
    columns = (
        "model",
        *(["group"] if grouped else []),
        *(f"{column.description} ({column.unit})" for column in table.columns),
    )
    notes = (f"As printed: {table.source}", *table.notes, *(f"Doubtful: {doubt}." for doubt in table.doubts))
    return TextTable(f"{name}: {table.title}", columns, tuple(rows), notes)


def study_table(study: Study) -> TextTable:
    """One row a model: size, accuracy on every benchmark in percent, what is kept, effective robustness in points."""
    shifts = [name for name in study.benchmarks if any(name in row.effective for row in study.rows)]
    kept = [name for name in study.benchmarks if name != "clean"]
    columns = (
        "model",
        "group",
        "parameters, M",
        *(f"{name} %" for name in study.benchmarks),
        *(f"{name} / clean %" for name in kept),
        *(f"{name}, effective" for name in shifts),
    )
    rows = []
    for row in study.rows:
        clean = row.accuracy["clean"].value
        shares = [f"{100 * row.accuracy[name].value / clean:.1f}" if clean else "-" for name in kept]
        beyond = [in_points(row.effective[name]) if name in row.effective else "-" for name in shifts]
        cells = [row.accuracy[name].percent() for name in study.benchmarks]
        size = f"{row.parameters / 1e6:.2f}"
        rows.append((row.member.spec, row.member.group, size, *cells, *shares, *beyond))
    sizes = ", ".join(f"{name} {samples}" for name, samples in study.samples.items())
    notes = [f"95 % intervals over images: {sizes}."]
    if study.rows[0].summary.measure != "accuracy":
        notes.append(f"Every number is {study.rows[0].summary.measure}.")
    if "corrupted" in study.benchmarks:
        notes.append(f"Corrupted: mean over {study.rows[0].summary.grid.description}.")
    return TextTable("Measured", columns, tuple(rows), tuple(notes))


def grid_table(study: Study, benchmark: str) -> TextTable:
    """One row a family and size, one column a share of training data: accuracy in percent."""
    shares = study.shares
    cells: dict[tuple[str, int], dict[str, str]] = {}
    for row in study.rows:
        place = cells.setdefault((row.member.family, row.parameters), {})
        text = row.accuracy[benchmark].percent()
        share = row.member.share
        place[share] = f"{place[share]}; {text}" if share in place else text
    rows = [
        (family, f"{size / 1e6:.2f}", *(place.get(share, "-") for share in shares))
        for (family, size), place in sorted(cells.items())
    ]
    columns = ("family", "parameters, M", *(share or "accuracy" for share in shares))
    return TextTable(f"Accuracy % on {benchmark} by share of training data", columns, tuple(rows))


def beside_table(card: Card, study: Study) -> TextTable | None:
    """Paper, ours and difference for the models that carry a row's name; None where the card prints no numbers."""
    if not card.tables:
        return None
    table = published_table(card.tables[0])
    trainings = study.trainings
    several = len(trainings) < len(study.rows)
    columns: list[str] = ["model", *(["trainings"] if several else [])]
    for key, name in card.columns.items():
        columns += [f"{key} paper", f"{key} ours", *([f"{key} difference"] if name != "memory" else [])]
    rows = []
    for group in trainings:
        first = group[0]
        published = _row_named(table, first.member.family)
        cells: list[str] = [first.member.family, *([str(len(group))] if several else [])]
        for key, name in card.columns.items():
            paper = None if published is None else published.get(key)
            if name == "memory":
                cells += (_text(paper), "-" if first.memory is None else f"{first.memory:.0f} MiB")
            else:
                cells += _beside(paper, averaged(study, group, name))
        rows.append(tuple(cells))
    unnamed = [group[0].member.family for group in trainings if _row_named(table, group[0].member.family) is None]
    notes = [f"Paper: {card.data}. On other data the difference means nothing."]
    if several:
        notes.append("Several trainings of a row: their mean; intervals count images and trainings.")
    if unnamed:
        names = ", ".join(row_names(table))
        notes.append(f"Not in the table: {', '.join(unnamed)}. Its rows: {names}.")
    return TextTable(f"{table.id} beside what was measured", tuple(columns), tuple(rows), tuple(notes))


def slopes_table(slopes: list[Slope]) -> TextTable:
    """How the error falls for ten times the parameters."""
    rows = [(s.benchmark, s.family, s.share or "-", str(s.models), in_points(s.slope)) for s in slopes]
    columns = ("benchmark", "family", "share", "models", "points of error for 10 x parameters")
    return TextTable("Error = a + b log10(parameters)", columns, tuple(rows))


def findings_table(findings: list[Finding]) -> TextTable:
    """Each claim beside what was measured."""
    rows = [
        (f.claim, f.benchmark, f.measured, in_points(f.estimate) if f.estimate else "-", f.verdict) for f in findings
    ]
    columns = ("the paper says", "benchmark", "measured here", "points", "in this study")
    notes = (
        "Points with 95 % intervals over images, and over trainings where a recipe was trained more than once. One "
        "study of small models is an observation, no reproduction.",
    )
    return TextTable("Claims", columns, tuple(rows), notes)


def averaged(study: Study, rows: Sequence[StudyRow], name: str) -> Estimate | None:
    """The mean of trainings of one recipe; see `measured` for `name`. None where one of them lacks it.

    Their intervals over images are averaged as well (they saw the same images), and widened by the luck of training.
    """
    found = [measured(row, name) for row in rows]
    whole = [one for one in found if one is not None]
    if len(whole) < len(rows):
        return None
    value, low, high = np.mean([(one.value, one.low, one.high) for one in whole], axis=0).tolist()
    # One of them may be the reference of its own mCE, which is exact.
    method = whole[0].method if len({one.method for one in whole}) == 1 else "bootstrap"
    return over_trainings(Estimate(value, low, high, method), _noise(study, name), [len(rows)])


def _noise(study: Study, name: str) -> TrainingNoise | None:
    """Without what chance adds on so many images, where the study holds resamples of the measure."""
    benchmark = name.removeprefix("shift:")
    if benchmark in ("retention", *study.benchmarks):
        return study.noise(benchmark)
    found = [(row.recipe, one.value) for row in study.rows if (one := measured(row, name)) is not None]
    values = np.array([value for _, value in found])
    return training_noise(values, values[None], [recipe for recipe, _ in found])


def measured(row: StudyRow, name: str) -> Estimate | None:
    """The measurement of a row that a published column stands for; see `Card.columns`."""
    if name in ("retention", "mce"):
        return getattr(row.summary, name)
    if name.startswith("shift:"):
        kind = name.removeprefix("shift:")
        return next((found for benchmark, found in row.accuracy.items() if benchmark == kind), None)
    if name.startswith("kind:"):
        kind = row.summary.kinds.get(name.removeprefix("kind:"))
        return None if kind is None else kind.score
    return row.accuracy.get(name)


def row_names(table: PublishedTable) -> list[str]:
    """What a model is given to stand beside a row: the row's name, and for one that occurs twice ('+ FAN') with that
    of the last whole model above it ('Swin-T + FAN')."""
    names, above = [], ""
    once = {row.model for row in table.rows if sum(other.model == row.model for other in table.rows) == 1}
    for row in table.rows:
        if not row.model.startswith("+"):
            above = row.model
        names.append(row.model if row.model in once or not row.model.startswith("+") else f"{above} {row.model}")
    return names


def _row_named(table: PublishedTable, name: str) -> dict[str, Value] | None:
    pairs = zip(row_names(table), table.rows, strict=True)
    return next((row.values for known, row in pairs if name in (known, row.printed)), None)


def _beside(paper: Value, ours: Estimate | None) -> tuple[str, str, str]:
    difference = "-"
    if ours is not None and isinstance(paper, int | float):
        difference = f"{100 * ours.value - paper:+.1f}"
    return _text(paper), "-" if ours is None else ours.percent(), difference


def in_points(found: Estimate) -> str:
    """A difference of accuracies in points, with its sign and interval."""
    return f"{100 * found.value:+.1f} [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"


def _text(value: Value) -> str:
    return "-" if value is None else str(value)
