"""What an evaluation looks like on a terminal: the plan, a progress bar with the time left, the table."""

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from weatherglass.cli.interruption import raise_if_asked
from weatherglass.evaluation.evaluate import Evaluation
from weatherglass.evaluation.plan import ModelPlan, PlannedCell
from weatherglass.evaluation.record import CellRecord, FailedCell
from weatherglass.evaluation.runs import Run

if TYPE_CHECKING:
    from weatherglass.evaluation.estimates import Summary
    from weatherglass.metrics.intervals import Estimate


class Terminal:
    """Shows an evaluation; a `Listener`, and a context manager that leaves the terminal as it was."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, markup=False)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._bar: TaskID | None = None
        self._failed = 0

    def __enter__(self) -> "Terminal":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def decoding(self, done: int, total: int) -> None:
        if self._bar is None:
            self._bar = self._progress.add_task("decoding", total=total)
        self._progress.update(self._bar, completed=done)
        if done == total:
            self._progress.remove_task(self._bar)
            self._bar = None

    def planned(self, plans: Sequence[ModelPlan]) -> None:
        for plan in plans:
            self._console.print(plan_text(plan), soft_wrap=True)
        images = sum(plan.images for plan in plans)
        if images:
            self._bar = self._progress.add_task("measuring", total=images)

    def cell_started(self, planned: PlannedCell) -> None:
        raise_if_asked()
        if self._bar is not None:
            self._progress.update(self._bar, description=f"{planned.cell.model}  {planned.cell.disturbance}"[:60])

    def images_done(self, count: int) -> None:
        raise_if_asked()
        if self._bar is not None:
            self._progress.advance(self._bar, count)

    def cell_finished(self, record: CellRecord) -> None:
        for note in record.provenance.notes:
            self.note(f"{record.cell.disturbance}: {note}")

    def cell_failed(self, failed: FailedCell) -> None:
        self.note(f"{failed.cell.model} {failed.cell.disturbance} failed: {failed.reason}")

    def note(self, text: str) -> None:
        self._console.print(text, soft_wrap=True)


def plan_text(plan: ModelPlan) -> str:
    """The plan of one model in a few lines, e.g. 'timm/vit: 76 cells x 500 images ...'."""
    predictor, layout = plan.predictor, plan.pixels.layout
    lines = [
        f"{predictor.name} on {plan.data.name}: {len(plan.cells)} cells x {len(plan.data):,} images "
        f"({plan.data.selection}) of {layout}",
        f"  preprocessing: {predictor.preprocessing.geometry}; {predictor.preprocessing.normalisation} "
        f"({predictor.preprocessing.source})",
        f"  kept from before: {len(plan.kept)} cells; to measure: {len(plan.missing)} cells, {plan.images:,} "
        f"predictions, {_bytes(plan.decoded_bytes)} decoded, about {_duration(plan.seconds)} on "
        f"{predictor.device.type}",
    ]
    if layout.unreadable:
        lines.append(f"  left out: {len(layout.unreadable)} files that do not decode, e.g. {layout.unreadable[0]}")
    return "\n".join(lines)


def _bytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def print_summaries(runs: Sequence[Run], *, reference: Run | None = None) -> None:
    """A table of headline numbers, one row a model, with 95 % intervals, and what must be known to read it."""
    from weatherglass.evaluation.labels import label_warnings
    from weatherglass.evaluation.summary import summarise

    summaries = [summarise(run, reference=reference or "auto") for run in runs]
    if not summaries:
        return
    console = output_console()
    table = Table(box=None, pad_edge=False, title_justify="left")
    table.add_column("model", overflow="fold")
    rows = [
        {"clean %": s.clean, "corrupted %": s.corrupted, "retention %": s.retention, "mCE": s.mce} for s in summaries
    ]
    # mCE needs a reference model; where there is none, an empty column would only raise questions.
    headings = [heading for heading in rows[0] if any(row[heading] for row in rows)]
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for summary, row in zip(summaries, rows, strict=True):
        table.add_row(summary.model, *[percent(row[heading]) for heading in headings])
    console.print()
    console.print(table)
    first = summaries[0]
    for measure, grid in dict.fromkeys((s.measure, s.grid.description) for s in summaries if s.corrupted):
        console.print(f"Clean and corrupted are {measure}; corrupted: mean over {grid}.", soft_wrap=True)
    console.print(f"95 % intervals over {first.samples:,} images; the protocol of every number is in the store.")
    for note in dict.fromkeys(note for summary in summaries for note in summary.notes):
        console.print(note, soft_wrap=True)
    print_attacks(runs, console)
    print_sequences(summaries, console)
    for warning in dict.fromkeys(warning for run in runs for warning in label_warnings(run)):
        console.print(f"warning: {warning}", soft_wrap=True)


def print_attacks(runs: Sequence[Run], console: Console) -> None:
    """Accuracy under each attack and its success on images that were right, and reasons to doubt them."""
    from weatherglass.evaluation.adversarial import attack_results, attack_warnings

    rows = [(run, result) for run in runs for result in attack_results(run)]
    if not rows:
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("model", "attack"):
        table.add_column(heading, overflow="fold")
    for heading in ("accuracy %", "success %"):
        table.add_column(heading, justify="right", no_wrap=True)
    for run, result in rows:
        table.add_row(run.model, result.disturbance, percent(result.accuracy), percent(result.success))
    console.print()
    console.print(table)
    console.print("Success: of the images that were right when clean.")
    for warning in dict.fromkeys(warning for run in runs for warning in attack_warnings(run)):
        console.print(f"warning: {warning}", soft_wrap=True)


def print_sequences(summaries: "Sequence[Summary]", console: Console) -> None:
    """Flips and top-5 distance along every sequence, and both against the reference."""
    found = [(summary.model, summary.sequences) for summary in summaries if summary.sequences is not None]
    if not found:
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("model", "sequence"):
        table.add_column(heading, overflow="fold")
    rated = any(sequences.reference for _, sequences in found)
    for heading in ("flips %", "top-5 distance", *(("flip rate", "top-5 rate") if rated else ())):
        table.add_column(heading, justify="right", no_wrap=True)
    for model, sequences in found:
        rows = [(r.perturbation, r.flips, r.top5_distance, r.flip_rate, r.top5_rate) for r in sequences.results]
        means = (sequences.flips, sequences.top5_distance, sequences.mean_flip_rate, sequences.mean_top5_rate)
        for name, flipped, moved, *rates in [*rows, (f"mean ({sequences.suite or len(rows)})", *means)]:
            shown = [percent(rate) for rate in rates] if rated else []
            table.add_row(model, name, percent(flipped), moved.number(2), *shown)
    console.print()
    console.print(table)
    console.print("Flips: steps at which the prediction changes. Top-5 distance: places the best five move in a step.")
    if rated:
        console.print(f"Rates: over those of {', '.join(dict.fromkeys(s.reference for _, s in found if s.reference))}.")
    for reason in dict.fromkeys(sequences.reason for _, sequences in found):
        console.print(reason, soft_wrap=True)


def output_console() -> Console:
    """Plain text on standard output; a pipe or a log has no width, so lines may be 120 wide there."""
    console = Console(highlight=False, markup=False)
    return console if console.is_terminal else Console(highlight=False, markup=False, width=120)


def percent(estimate: "Estimate | None") -> str:
    """'91.7 [91.1, 92.3]', or a dash where there is no number."""
    if estimate is None:
        return "-"
    return f"{100 * estimate.value:.1f} [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"


def print_comparison(a: Run, b: Run) -> None:
    """One sentence: is b better than a under corruption?"""
    from weatherglass.evaluation.comparison import compare

    click.echo(f"{b.model} (B) against {a.model} (A). {compare(a, b).sentences[0]}")


def print_failures(evaluation: Evaluation) -> None:
    """One line for each cell that could not be measured."""
    for failed in evaluation.failed:
        click.echo(
            f"weatherglass: {failed.cell.model} under {failed.cell.disturbance} could not be measured: "
            f"{failed.reason}. The other cells are kept; the same command tries it again.",
            err=True,
        )
