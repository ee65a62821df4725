"""Every number of a run as one row, with its interval and the protocol under which it was measured."""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from weatherglass.evaluation.estimates import SequenceSummary, Summary
from weatherglass.evaluation.files import write_aside
from weatherglass.evaluation.runs import Run
from weatherglass.metrics.intervals import Estimate
from weatherglass.types import SEQUENCES

Measured = Sequence[tuple[Run, Summary]]
TidyRow = dict[str, str | float | int | None]

TIDY_COLUMNS = (
    *("model", "weights", "data", "data_digest", "selection", "seed", "run", "samples"),
    *("scope", "disturbance", "kind", "family", "severity", "metric", "value", "low", "high", "method"),
    *("task", "preprocessing", "normalisation", "outputs", "precision", "device", "forward_batch"),
    *("choices", "versions", "cell", "applied"),
)


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
    return csv_text(TIDY_COLUMNS, tidy_rows(measured))


def write_parquet(measured: Measured, output: Path) -> None:
    """`tidy_rows` as Parquet: numbers as numbers, text as it is."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    numbers = {"value": pa.float64(), "low": pa.float64(), "high": pa.float64(), "severity": pa.float64()}
    whole = {"seed": pa.int64(), "samples": pa.int64(), "forward_batch": pa.int64()}
    schema = pa.schema([(name, (numbers | whole).get(name, pa.string())) for name in TIDY_COLUMNS])
    table = pa.Table.from_pylist(tidy_rows(measured), schema=schema)
    write_aside(output, lambda part: pq.write_table(table, part, compression="zstd"))


def csv_text(columns: Sequence[str], rows: Iterable[TidyRow] | Iterable[dict[str, str]]) -> str:
    """Rows as CSV with a heading; no text that a spreadsheet would run."""
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
