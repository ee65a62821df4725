"""Results in the formats of others: timm's CSV, RobustBench's JSON, and tidy CSV or Parquet.

Equal measurements give equal bytes: nothing here says when or how fast a cell was measured.
"""

import re
from collections.abc import Callable
from pathlib import Path

import msgspec

from weatherglass.catalog import Catalog
from weatherglass.errors import UserError
from weatherglass.evaluation.estimates import Summary
from weatherglass.evaluation.files import write_text
from weatherglass.evaluation.reference import ReferenceChoice
from weatherglass.evaluation.runs import Run, runs_of
from weatherglass.evaluation.store import Store
from weatherglass.evaluation.summary import summarise
from weatherglass.metrics.intervals import Estimate
from weatherglass.report.tables import grid_table, headline_table, latex, markdown
from weatherglass.report.tidy import Measured, csv_text, tidy_csv, write_parquet

TIMM_COLUMNS = (
    *("model", "img_size", "top1", "top1_err", "top5", "top5_err"),
    *("param_count", "crop_pct", "interpolation"),
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
        write_parquet(measured, output)
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
    return csv_text(TIMM_COLUMNS, sorted(rows, key=lambda row: (-float(row["top1"]), row["model"])))


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
