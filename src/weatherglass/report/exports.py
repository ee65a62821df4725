"""Results in the formats of others: timm's CSV, RobustBench's JSON, and tidy CSV or Parquet.

Equal measurements give equal bytes: nothing here says when or how fast a cell was measured.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from weatherglass.catalog import Catalog
from weatherglass.errors import UserError
from weatherglass.evaluation.estimates import SequenceSummary, Summary
from weatherglass.evaluation.files import write_aside, write_text
from weatherglass.evaluation.reference import ReferenceChoice
from weatherglass.evaluation.runs import Run, runs_of
from weatherglass.evaluation.store import Store
from weatherglass.evaluation.summary import summarise
from weatherglass.metrics.intervals import Estimate
from weatherglass.report.tables import grid_table, headline_table, latex, markdown
from weatherglass.types import SEQUENCES

Measured = Sequence[tuple[Run, Summary]]
TidyRow = dict[str, str | float | int | None]

TIMM_COLUMNS = (
    *("model", "img_size", "top1", "top1_err", "top5", "top5_err"),
    *("param_count", "crop_pct", "interpolation"),
)

TIDY_COLUMNS = (
    *("model", "weights", "data", "data_digest", "selection", "seed", "run", "samples"),
    *("scope", "disturbance", "kind", "family", "severity", "metric", "value", "low", "high", "method"),
    *("task", "preprocessing", "normalisation", "outputs", "precision", "device", "forward_batch"),
    *("choices", "versions", "cell", "applied"),
)


def export(store: Store, form: str, output: Path | None = None, *, reference: ReferenceChoice = "auto") -> str | None:
    """All runs of a store as text in one of `FORMATS`; with `output`, written there and None returned.

    'tidy' becomes Parquet where `output` ends in '.parquet'. Raises `UserError` for an unknown format, an empty
    store, a reference on other data, and a path that cannot be written.
    """
    write = FORMATS[form]
    runs = runs_of(store)
    if not runs:
        raise UserError(f"The store '{store.path}' holds no measured cells yet.")
    measured = [(run, summarise(run, reference=reference)) for run in runs]
    if output is not None and output.suffix == ".parquet":
        if form != "tidy":
            raise UserError(
                f"Only the tidy format can be Parquet; '{form}' is text. Choose another name than {output}."
            )
        _write_parquet(measured, output)
        return None
    text = write(measured)
    if output is None:
        return text
    write_text(output, text)
    return None


# ------------------------------------------------------------------ timm


def timm_csv(measured: Measured) -> str:
    """Clean results as timm's result files have them: percent with three decimals, parameters in millions."""
    rows = [_timm_row(run, summary) for run, summary in measured if summary.top1 and "top5" in summary.clean_others]
    if not rows:
        raise UserError("timm's format holds clean results, and no run has its clean cell; measure it or export tidy.")
    return _csv(TIMM_COLUMNS, sorted(rows, key=lambda row: (-float(row["top1"]), row["model"])))


def _timm_row(run: Run, summary: Summary) -> dict[str, str]:
    assert summary.top1 is not None and summary.top5 is not None
    top1, top5 = 100 * summary.top1.value, 100 * summary.top5.value
    size, ratio, interpolation = _geometry(run.protocol.preprocessing)
    return {
        "model": summary.model.removeprefix("timm/"),
        "img_size": size,
        "top1": f"{top1:.3f}",
        "top1_err": f"{100 - top1:.3f}",
        "top5": f"{top5:.3f}",
        "top5_err": f"{100 - top5:.3f}",
        "param_count": f"{summary.parameters / 1e6:.2f}",
        "crop_pct": ratio,
        "interpolation": interpolation,
    }


def _geometry(preprocessing: str) -> tuple[str, str, str]:
    """Image size, crop ratio and interpolation from 'resize 256 bicubic, crop 224x224'; empty where unknown."""
    crop = re.search(r"crop (\d+)x(\d+)", preprocessing)
    resize = re.search(r"resize (\d+)(?:x(\d+))? (\w+)", preprocessing)
    side = crop.group(1) if crop else resize.group(1) if resize else ""
    ratio = f"{int(side) / int(resize.group(1)):.3f}" if resize and side else "1.000" if side else ""
    return side, ratio, resize.group(3) if resize else ""


# ------------------------------------------------------------------ RobustBench


def robustbench_json(measured: Measured) -> str:
    """One entry a model with RobustBench's keys (corruption track), accuracies and mCE as percent in text.

    A single run gives one object, several a list. Keys that a measurement cannot know are left for their author.
    """
    entries = [_robustbench_entry(run, summary) for run, summary in measured]
    body = entries[0] if len(entries) == 1 else entries
    return msgspec.json.format(msgspec.json.encode(body), indent=2).decode() + "\n"


def _robustbench_entry(run: Run, summary: Summary) -> dict[str, str | bool | None]:
    footnote = [f"{summary.samples} images of {summary.data}; corrupted: {summary.grid.description}."]
    footnote += [f"mCE relative to {summary.reference}."] if summary.mce else [f"No mCE: {summary.reference_reason}"]
    return {
        "link": None,
        "name": summary.model,
        "authors": None,
        "additional_data": None,
        "number_forward_passes": "1",
        "dataset": summary.data,
        "venue": None,
        "architecture": summary.model.removeprefix("timm/"),
        "eps": None,
        "clean_acc": _percent_text(summary.top1),
        "reported": None,
        "corruptions_acc": None if summary.partial else _percent_text(summary.corrupted),
        "corruptions_mce": _percent_text(summary.mce),
        "footnote": " ".join([*footnote, *summary.notes]),
    }


def _percent_text(found: Estimate | None) -> str | None:
    return None if found is None else f"{100 * found.value:.2f}"


# ------------------------------------------------------------------ tidy


def tidy_rows(measured: Measured) -> list[TidyRow]:
    """One row a number: every score of every condition, every corruption, sequence and aggregate, as fractions.

    Each row says under which protocol: the fields of the run, `choices` (definition, calibration, re-encoding ...) and
    `versions` as 'name=value; ...', and rows of one condition their `cell` (`key` of `Store.query`) and `applied`, the
    disturbance's own part of the protocol.
    """
    rows: list[TidyRow] = []
    for run, summary in measured:
        empty = dict.fromkeys(TIDY_COLUMNS) | _protocol_columns(run) | {"samples": summary.samples}
        rows += [empty | row | _of_cell(run, row.get("disturbance")) for row in _numbers(summary)]
    return rows


def _protocol_columns(run: Run) -> TidyRow:
    protocol = run.protocol
    return {
        "model": run.model,
        "weights": protocol.weights,
        "data": run.data,
        "data_digest": protocol.data,
        "selection": protocol.selection,
        "seed": run.seed,
        "run": run.key,
        "task": protocol.task,
        "preprocessing": protocol.preprocessing,
        "normalisation": protocol.normalisation,
        "outputs": protocol.classes,
        "precision": protocol.precision,
        "device": protocol.device,
        "forward_batch": protocol.forward_batch,
        "choices": _as_text(run.choices),
        "versions": _as_text(protocol.versions),
    }


def _of_cell(run: Run, disturbance: object) -> TidyRow:
    record = run.records.get(str(disturbance))
    return {"cell": record.key, "applied": _as_text(record.protocol.disturbance)} if record else {}


def _as_text(parts: Mapping[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in sorted(parts.items()))


def _numbers(summary: Summary) -> Iterable[TidyRow]:
    for name, found in summary.run_metrics.items():
        yield from _number("run", name, found)
    for suite, found in sorted(summary.suites.items()):
        yield from _number("suite", "corrupted", found.corrupted, kind=suite)
        yield from _number("suite", "retention", found.retention, kind=suite)
    for family, mean in sorted(summary.families.items()):
        yield from _number("family", summary.headline, mean, family=family)
    for kind in sorted(summary.kinds.values(), key=lambda each: each.kind):
        yield from _number("corruption", summary.headline, kind.score, kind=kind.kind, family=kind.family)
        for name in ("corruption_error", "relative_corruption_error"):
            yield from _number("corruption", name, getattr(kind, name), kind=kind.kind, family=kind.family)
    for condition in sorted(summary.conditions.values(), key=lambda each: each.disturbance):
        place = {name: getattr(condition, name) for name in ("disturbance", "kind", "family", "severity")}
        others = dict(condition.others)
        named = {summary.headline: condition.score, **_before("top5", others), "drop": condition.drop, **others}
        for name, found in named.items():
            yield from _number("condition", name, found, **place)
    for name, found in _sequence_numbers(summary.sequences):
        yield from _number("sequence", name, found)
    for each in summary.sequences.results if summary.sequences else ():
        for name in ("flips", "top5_distance", "flip_rate", "top5_rate"):
            found = getattr(each, name)
            yield from _number(
                "sequence", name, found, disturbance=each.disturbance, kind=each.perturbation, family=SEQUENCES
            )
    for damage in summary.classes:
        for name in ("clean", "corrupted", "drop"):
            yield from _number("class", name, getattr(damage, name), kind=damage.name)


def _sequence_numbers(found: SequenceSummary | None) -> list[tuple[str, Estimate | None]]:
    """Means over the sequences of a run, at difficulty 1."""
    if found is None:
        return []
    means = [("flips", found.flips), ("top5_distance", found.top5_distance)]
    return [*means, ("mfr", found.mean_flip_rate), ("mt5d", found.mean_top5_rate)]


def _before(name: str, others: dict[str, Estimate]) -> dict[str, Estimate]:
    """One score taken out of the others, where it is among them: it keeps its place in files written before."""
    return {name: others.pop(name)} if name in others else {}


def _number(
    scope: str,
    metric: str,
    found: Estimate | None,
    *,
    disturbance: str | None = None,
    kind: str | None = None,
    family: str | None = None,
    severity: float | None = None,
) -> Iterable[TidyRow]:
    if found is None:
        return
    place: TidyRow = {"disturbance": disturbance, "kind": kind, "family": family, "severity": severity}
    number: TidyRow = {"value": found.value, "low": found.low, "high": found.high, "method": found.method}
    yield {"scope": scope, **place, "metric": metric, **number}


def tidy_csv(measured: Measured) -> str:
    """`tidy_rows` as CSV; numbers in the shortest form that reads back to the same bits."""
    return _csv(TIDY_COLUMNS, tidy_rows(measured))


def _write_parquet(measured: Measured, output: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    numbers = {"value": pa.float64(), "low": pa.float64(), "high": pa.float64(), "severity": pa.float64()}
    whole = {"seed": pa.int64(), "samples": pa.int64(), "forward_batch": pa.int64()}
    schema = pa.schema([(name, (numbers | whole).get(name, pa.string())) for name in TIDY_COLUMNS])
    table = pa.Table.from_pylist(tidy_rows(measured), schema=schema)
    write_aside(output, lambda part: pq.write_table(table, part, compression="zstd"))


# ------------------------------------------------------------------ text


def markdown_tables(measured: Measured) -> str:
    """The headline table and one table of accuracies a model, as Markdown."""
    summaries = [summary for _, summary in measured]
    return "\n".join(markdown(table) for table in (headline_table(summaries), *map(grid_table, summaries)))


def latex_tables(measured: Measured) -> str:
    """The headline table and one table of accuracies a model, as LaTeX."""
    summaries = [summary for _, summary in measured]
    return "\n".join(latex(table) for table in (headline_table(summaries), *map(grid_table, summaries)))


FORMATS: Catalog[Callable[[Measured], str]] = Catalog(
    "export format",
    {
        "timm": timm_csv,
        "robustbench": robustbench_json,
        "tidy": tidy_csv,
        "markdown": markdown_tables,
        "latex": latex_tables,
    },
)
"""Name -> how all runs of a store become text."""


def _csv(columns: Sequence[str], rows: Iterable[TidyRow] | Iterable[dict[str, str]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _inert(value) for name, value in row.items()} for row in rows)
    return out.getvalue()


def _inert(value: object) -> object:
    """Text that a spreadsheet would run as a formula, behind an apostrophe: names of classes may come from anybody."""
    if not isinstance(value, str) or not value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return value
    return value if _NUMBER.fullmatch(value) else f"'{value}"


_NUMBER = re.compile(r"[+-]?[\d.]+(e[+-]?\d+)?")
