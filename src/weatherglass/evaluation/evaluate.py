"""Evaluate: from names to measured cells in a store; what was measured before is not measured again."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol as Interface

from weatherglass.data.load import load_data
from weatherglass.data.several_labels import check_single_labels
from weatherglass.data.stored import StoredConditions
from weatherglass.errors import UnreadableImage, UserError
from weatherglass.evaluation import engine
from weatherglass.evaluation.claims import Claims
from weatherglass.evaluation.conditions import CorruptionChoices, Stored, conditions_of
from weatherglass.evaluation.estimates import Summary
from weatherglass.evaluation.forward import Forward, exact_arithmetic, find_objects
from weatherglass.evaluation.outputs import decide
from weatherglass.evaluation.pixels import PixelFile, clear_pixels, decode_for_plan, decode_once
from weatherglass.evaluation.plan import ModelPlan, PlannedCell, Probe, default_forward_batch, plan_model
from weatherglass.evaluation.record import CellRecord, DataManifest, FailedCell
from weatherglass.evaluation.runs import Run, run_asked_for
from weatherglass.evaluation.store import Store
from weatherglass.evaluation.summary import summarise
from weatherglass.metrics.matching import area_bits
from weatherglass.models.load import load_predictor
from weatherglass.tasks.task import InvalidOutput, task_named
from weatherglass.types import DetectionData, Disturbance, ImageData, Predictor

WAIT_SECONDS = 2.0


@dataclass(frozen=True)
class EvaluationSettings:
    """How to measure. Only `seed`, `forward_batch` and the choices change numbers; they enter the protocol."""

    seed: int = 0
    batch_size: int = 64
    """Images disturbed at a time; rounded up to whole forward batches. Does not change any number."""
    forward_batch: int | None = None
    """Images per forward pass; None: 32 on a CPU, 256 on a GPU."""
    workers: int = 0
    """Threads that decode; 0: one for each processor. Does not change any number."""
    skip_unreadable: bool = False
    """Leave out files that do not decode, and say so in the protocol, instead of stopping."""
    choices: CorruptionChoices = field(default_factory=CorruptionChoices)
    outputs: str = "auto"
    """Which outputs compete: 'all', a mask ('imagenet-a', 'imagenet-r'), 'categories16', or 'auto' by kind of data."""
    keep_pixels: bool = False
    """Keep the decoded images in the store after the run."""


class Listener(engine.Listener, Interface):
    """Hears, besides what the engine says, of decoding and of the plan."""

    def decoding(self, done: int, total: int) -> None: ...
    def planned(self, plans: Sequence[ModelPlan]) -> None: ...


class Silent(engine.Silent):
    """A listener that shows nothing."""

    def decoding(self, done: int, total: int) -> None: ...
    def planned(self, plans: Sequence[ModelPlan]) -> None: ...


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation leaves: the cells that it asked for, which its store keeps beside any others."""

    store: Store
    runs: tuple[Run, ...]
    """One for each model, in the order given, with the cells of this call alone: the same call has the same numbers
    whatever else was measured into the store. `runs_of(store)` has everything."""
    measured: int = 0
    """Cells measured now."""
    reused: int = 0
    """Cells that the store already held under the same protocol."""
    failed: tuple[FailedCell, ...] = field(default=())

    @property
    def summaries(self) -> list[Summary]:
        """Headline numbers with intervals, one summary for each run."""
        return [summarise(run) for run in self.runs]

    @property
    def summary(self) -> Summary:
        """The summary of the only run. Raises `UserError` when several models were evaluated."""
        if len(self.runs) != 1:
            raise UserError(f"{len(self.runs)} models were evaluated; use `summaries`.")
        return self.summaries[0]


def evaluate(
    models: str | Predictor | Sequence[str | Predictor],
    *,
    data: str | ImageData,
    store: str | Path,
    suite: str | None = None,
    disturbances: Sequence[str | Disturbance] = (),
    settings: EvaluationSettings | None = None,
    listener: Listener | None = None,
) -> Evaluation:
    """Measure `models` on `data`, clean and under every condition of `suite` and `disturbances`.

    `models` and `data` are names (see `load_predictor`, `load_data`) or objects. Without `suite` and
    `disturbances` the suite is 'imagenet-c' (15 corruptions, 5 severities), or all that a stored tree holds.
    The same call goes on where an interrupted one stopped. Raises `UserError` before anything is written when a
    name, the data or the model cannot be used.
    """
    settings = settings or EvaluationSettings()
    listener = listener or Silent()
    plans, opened = plan_evaluation(
        models,
        data=data,
        store=store,
        suite=suite,
        disturbances=disturbances,
        settings=settings,
        listener=listener,
    )
    listener.planned(plans)
    return run_plans(plans, opened, settings=settings, listener=listener)


def plan_evaluation(
    models: str | Predictor | Sequence[str | Predictor],
    *,
    data: str | ImageData,
    store: str | Path,
    suite: str | None = None,
    disturbances: Sequence[str | Disturbance] = (),
    settings: EvaluationSettings,
    listener: Listener,
    only_plan: bool = False,
) -> tuple[list[ModelPlan], Store]:
    """Everything that precedes the first measurement: load, check, decode, list the cells, estimate the time.

    Writes decoded images alone; `run_plans` makes the store. `only_plan`: for plans that nobody carries out; no more
    is decoded than the plan needs, and nothing is written.
    """
    images = load_data(data) if isinstance(data, str) else data
    conditions = conditions_of(images, suite=suite, disturbances=disturbances, choices=settings.choices)
    named = [models] if isinstance(models, str | Predictor) else list(models)
    if not named:
        raise UserError("No model was named.")
    predictors = [load_predictor(model) if isinstance(model, str) else model for model in named]
    for predictor in predictors:
        check_task(predictor, images)
    check_objects(images)
    checked = [decide(predictor, images, settings.outputs) for predictor in predictors]
    for predictor, _ in checked:
        for condition in conditions:
            condition.check(predictor)
            check_single_labels(condition, images)
    opened, plans, probe = Store.planned(store), [], Probe()
    with _cleared_on_failure(opened) as decoded:
        for predictor, shown in checked:
            decoded.append(_decoded(predictor, shown, opened, settings, listener, only_plan=only_plan))
            readable = _readable(shown, decoded[-1], settings)
            plans.append(_planned(predictor, readable, decoded[-1], conditions, opened, settings, probe))
    return plans, opened


@contextmanager
def _cleared_on_failure(store: Store) -> Iterator[list[PixelFile]]:
    """A list for what is decoded. Where the planning fails for a store that is not there yet, nothing stays of it.

    Another process may have made the store meanwhile, so only decoded images are removed, and none that it uses.
    """
    found, decoded = store.path.exists(), list[PixelFile]()
    try:
        yield decoded
    except BaseException:
        if not store.made:
            clear_pixels(store.path / "pixels", decoded)
            with suppress(OSError):
                if not found:
                    store.path.rmdir()
        raise


def _decoded(
    predictor: Predictor,
    data: ImageData,
    store: Store,
    settings: EvaluationSettings,
    listener: Listener,
    *,
    only_plan: bool,
) -> PixelFile:
    shown, wanted, folder = _shown_first(data), predictor.preprocessing, store.path / "pixels"
    workers = settings.workers or os.cpu_count() or 1
    if not only_plan:
        return decode_once(shown, wanted, folder, workers=workers, progress=listener.decoding)
    batch = settings.forward_batch or default_forward_batch(predictor.device, predictor.task, *(wanted.size or (1, 1)))
    # Where all become alike, a few show what will be asked. Which files are left out only all of them show.
    alike = wanted.size is not None and not settings.skip_unreadable
    return decode_for_plan(
        shown, wanted, folder, keep=batch, whole=not alike, workers=workers, progress=listener.decoding
    )


def check_task(predictor: Predictor, data: ImageData) -> None:
    """Raise `UserError` where model and data are of different tasks."""
    if predictor.task != data.task:
        raise UserError(
            f"{predictor.name} does {predictor.task}, {data.name} has the truth for {data.task}. "
            "Segmenters and detectors are named HEAD/BACKBONE or torchvision/NAME; see: weatherglass list segmenters, "
            "list detectors, list data"
        )


def check_objects(data: ImageData) -> None:
    """Raise `UserError` for detection data without a single object that counts: it has no average precision."""
    if not isinstance(data, DetectionData):
        return
    for index in range(len(data)):
        try:
            if area_bits(data.boxes(index)).any():
                return
        except UnreadableImage:
            continue  # said of that image when it is decoded
    raise UserError(f"None of the {len(data)} images of {data.name} holds an object that counts, so there is no AP.")


def _shown_first(data: ImageData) -> ImageData:
    """The images that are decoded once: those of a stored tree are its clean ones, or its first condition."""
    if not isinstance(data, StoredConditions):
        return data
    return data.clean if data.clean is not None else data.at(*data.conditions[0])


def _manifest(plan: ModelPlan) -> DataManifest:
    return DataManifest(
        digest=plan.data.digest,
        name=plan.data.name,
        selection=plan.data.selection,
        classes=plan.data.classes,
        samples=len(plan.data),
        unreadable=plan.pixels.layout.unreadable,
    )


def _readable(data: ImageData, pixels: PixelFile, settings: EvaluationSettings) -> ImageData:
    """The images that decode. Raises `UserError` when some do not and they may not be left out."""
    layout = pixels.layout
    if not layout.unreadable:
        return data
    if not settings.skip_unreadable:
        count = len(layout.unreadable)
        others = f" ({count - 1} more like it)" if count > 1 else ""
        raise UserError(f"{layout.unreadable[0]}{others} Mend or remove it, or leave such files out: --skip-unreadable")
    selection = f"{data.selection}, {len(layout.unreadable)} unreadable left out"
    return data.select(layout.readable, selection)


def _planned(
    predictor: Predictor,
    data: ImageData,
    pixels: PixelFile,
    conditions: Sequence[Disturbance],
    store: Store,
    settings: EvaluationSettings,
    probe: Probe,
) -> ModelPlan:
    layout = pixels.layout
    size = default_forward_batch(predictor.device, predictor.task, layout.height, layout.width)
    if settings.forward_batch and predictor.task != "detection":
        size = settings.forward_batch
    plan = plan_model(
        predictor,
        data,
        pixels,
        conditions,
        store,
        seed=settings.seed,
        task=predictor.task,
        forward_batch=size,
    )
    forward = Forward(size)
    ask = find_objects if predictor.task == "detection" else forward
    try:
        with exact_arithmetic():
            seconds = probe.seconds(plan, lambda images: ask(predictor, images), forward_batch=size)
    except (RuntimeError, ValueError, TypeError, AssertionError) as error:
        raise UserError(
            f"The model '{predictor.name}' fails on images of {layout}: "
            f"{str(error).splitlines()[0] if str(error) else type(error).__name__}. "
            f"Check --size, or the model's own forward."
        ) from error
    return replace(plan, seconds=seconds)


def run_plans(
    plans: Sequence[ModelPlan], store: Store, *, settings: EvaluationSettings, listener: Listener
) -> Evaluation:
    """Measure what is missing of `plans`, sharing the cells with any other process that writes to the store."""
    store.make()
    for plan in plans:
        store.put_data(_manifest(plan))
    measured = 0
    failed: list[FailedCell] = []
    decoded = [plan.pixels for plan in plans]
    for plan in plans:
        for record in _measured_cells(plan, store, settings, listener, decoded):
            measured += isinstance(record, CellRecord)
            failed += [record] if isinstance(record, FailedCell) else []
    if not settings.keep_pixels:
        clear_pixels(store.path / "pixels", decoded)
    asked = [run_asked_for(store, {planned.key for planned in plan.cells}) for plan in plans]
    runs = tuple(run for run in asked if run is not None)
    return Evaluation(store, runs, measured, sum(len(plan.kept) for plan in plans), tuple(failed))


def _measured_cells(
    plan: ModelPlan, store: Store, settings: EvaluationSettings, listener: Listener, decoded: list[PixelFile]
) -> Iterator[CellRecord | FailedCell]:
    """Yield a record or a failure for every cell measured by this process; wait for those that others measure.

    What has to be decoded for it is added to `decoded`.
    """
    claims = Claims(store.path)
    pending: list[PlannedCell] = plan.missing
    while pending:
        held: list[PlannedCell] = []
        for planned in pending:
            if planned.key in store:
                continue
            if not claims.take(planned.key):
                held.append(planned)
                continue
            with claims.held(planned.key):
                record = _measure_and_keep(planned, plan, store, settings, listener, decoded)
            yield record
        if held:
            listener.note(f"waiting for {len(held)} cells that another process is measuring")
            time.sleep(WAIT_SECONDS)
        pending = [planned for planned in held if planned.key not in store]


def _measure_and_keep(
    planned: PlannedCell,
    plan: ModelPlan,
    store: Store,
    settings: EvaluationSettings,
    listener: engine.Listener,
    decoded: list[PixelFile],
) -> CellRecord | FailedCell:
    listener.cell_started(planned)
    task = task_named(plan.predictor.task)
    clean = None if planned.cell.disturbance == "clean" else engine.clean_outcome(store, plan)
    pixels = _pixels_of(planned.disturbance, plan, store, settings, decoded)
    try:
        record, observations, pictures = engine.measure(
            planned, plan, pixels, task, batch_size=settings.batch_size, clean=clean, listener=listener
        )
    except InvalidOutput as error:
        failed = engine.failure(planned, str(error))
        store.put_failure(failed)
        listener.cell_failed(failed)
        return failed
    store.put(record, observations, pictures)
    listener.cell_finished(record)
    return record


def _pixels_of(
    disturbance: Disturbance, plan: ModelPlan, store: Store, settings: EvaluationSettings, decoded: list[PixelFile]
) -> PixelFile:
    """The decoded images a cell starts from: the data's own, or those of a stored condition."""
    if not isinstance(disturbance, Stored):
        return plan.pixels
    assert isinstance(plan.data, StoredConditions)
    source = plan.data.at(disturbance.name, disturbance.level)
    workers = settings.workers or os.cpu_count() or 1
    pixels = decode_once(source, plan.predictor.preprocessing, store.path / "pixels", workers=workers)
    decoded.append(pixels)
    if pixels.layout.unreadable:
        raise UserError(f"{pixels.layout.unreadable[0]} The stored condition {disturbance} is not complete.")
    return pixels
