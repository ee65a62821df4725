"""Text tables of results, as Markdown for a README and LaTeX for a paper."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from weatherglass.catalog import Catalog
from weatherglass.evaluation.estimates import Summary
from weatherglass.metrics.intervals import Estimate
from weatherglass.report.words import titled


@dataclass(frozen=True)
class TextTable:
    """Rows of text under columns; the first column names the row."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    """Sentences that belong under the table."""


def headline_table(summaries: Sequence[Summary]) -> TextTable:
    """One row a model: clean and corrupted score, retention, mCE, calibration; percent with intervals."""
    found = [s.metrics | ({"clean score": s.clean} if s.clean else {}) for s in summaries]
    shown = [(name, words) for name, words in _HEADLINE.items() if any(name in metrics for metrics in found)]
    rows = [
        (s.model, str(s.samples), *(_cell(metrics.get(name), s) for name, _ in shown))
        for s, metrics in zip(summaries, found, strict=True)
    ]
    notes = [f"{100 * s.level:g} % intervals from {s.resamples} resamples of the images." for s in summaries[:1]]
    notes += dict.fromkeys(f"Corrupted: mean over {s.grid.description}." for s in summaries if s.corrupted)
    notes += dict.fromkeys(f"mCE is relative to {s.reference}." for s in summaries if s.mce)
    notes += dict.fromkeys(f"Clean and corrupted are {s.measure}." for s in summaries if s.task != "classification")
    if any(s.partial for s in summaries):
        notes.append("* Cells are missing; the mean is over what was measured.")
    return TextTable("Robustness", ("model", "images", *(words for _, words in shown)), tuple(rows), tuple(notes))


def grid_table(summary: Summary) -> TextTable:
    """Headline score of one model in percent: a row a corruption, a column a severity, and the mean."""
    severities = summary.grid.severities
    rows = []
    for name, kind in summary.kinds.items():
        cells = [summary.conditions.get(f"{name}@{severity:g}") for severity in severities]
        accuracies = [f"{100 * cell.score.value:.1f}" if cell else "-" for cell in cells]
        rows.append((name, *accuracies, kind.score.percent() + ("*" if kind.missing else "")))
    title = f"{titled(summary.measure)} of {summary.model} in percent"
    notes = (f"Clean: {summary.clean.percent()}.",) if summary.clean else ()
    if summary.partial:
        notes += ("* Severities are missing; the mean is over what was measured.",)
    return TextTable(title, ("corruption", *(f"{s:g}" for s in severities), "mean"), tuple(rows), notes)


def markdown(table: TextTable) -> str:
    """The table as GitHub-flavoured Markdown."""
    lines = [_markdown_row(table.columns), "|" + "|".join([" --- ", *[" ---: "] * (len(table.columns) - 1)]) + "|"]
    lines += [_markdown_row(row) for row in table.rows]
    notes = [f"\n{_markdown_text(note)}" for note in table.notes]
    return "\n".join([f"**{_markdown_text(table.title)}**\n", *lines, *notes]) + "\n"


def latex(table: TextTable) -> str:
    """The table as a LaTeX `table` with booktabs rules (`\\usepackage{booktabs}`)."""
    rows = [" & ".join(_latex_text(cell) for cell in row) + r" \\" for row in (table.columns, *table.rows)]
    caption = _latex_text(" ".join([f"{table.title}.", *table.notes]))
    return "\n".join(
        [
            r"\begin{table}",
            r"  \centering",
            rf"  \caption{{{caption}}}",
            rf"  \begin{{tabular}}{{l{'r' * (len(table.columns) - 1)}}}",
            r"    \toprule",
            f"    {rows[0]}",
            r"    \midrule",
            *(f"    {row}" for row in rows[1:]),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
            "",
        ]
    )


TEXT_FORMATS: Catalog[Callable[[TextTable], str]] = Catalog("text format", {"markdown": markdown, "latex": latex})

_HEADLINE = {
    "clean score": "clean",
    "corrupted": "corrupted",
    "retention": "retention",
    "mce": "mCE",
    "relative_mce": "relative mCE",
    "ece": "ECE",
    "ece_corrupted": "ECE corrupted",
}


def _cell(found: Estimate | None, summary: Summary) -> str:
    if found is None:
        return "-"
    means = (summary.corrupted, summary.retention, *summary.corrupted_others.values())
    partial = summary.partial and found in means
    return found.percent() + ("*" if partial else "")


def _markdown_row(cells: Sequence[str]) -> str:
    return "|" + "|".join(f" {_markdown_text(cell)} " for cell in cells) + "|"


def _markdown_text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("|", "\\|").replace("_", "\\_").replace("*", "\\*")
    return escaped.replace("<", "&lt;").replace("\n", " ")


_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "_": r"\_",
    "%": r"\%",
    "&": r"\&",
    "#": r"\#",
    "$": r"\$",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\n": " ",
}


def _latex_text(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)
