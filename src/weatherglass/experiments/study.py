"""A study: several models, clean, corrupted and shifted, with everything that its tables and claims need."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float

from weatherglass.errors import UserError
from weatherglass.evaluation.effective import FEWEST_BASELINES, Measurement, effective_robustness
from weatherglass.evaluation.estimates import Summary
from weatherglass.evaluation.evaluate import EvaluationSettings, Listener, evaluate
from weatherglass.evaluation.reference import ReferenceChoice
from weatherglass.evaluation.runs import Run
from weatherglass.evaluation.summary import summarise
from weatherglass.evaluation.tables import tables_of
from weatherglass.metrics.intervals import Bootstrap, Estimate, estimate
from weatherglass.metrics.trainings import TrainingNoise, over_trainings, training_noise
from weatherglass.tasks.task import task_named
from weatherglass.types import ImageData, Predictor


@dataclass(frozen=True)
class Member:
    """One model of a study and where it stands in the study's grid."""

    spec: str
    family: str
    """What its points are joined with, e.g. 'ViT'; the name of its row where the card prints a table."""
    share: str = ""
    """How much data it was trained on, as a label: '5%', '100%', 'ImageNet-21k'; empty where all had the same."""

    @classmethod
    def parse(cls, text: str) -> "Member":
        """'SPEC', 'FAMILY=SPEC' or 'FAMILY,SHARE=SPEC'."""
        label, equals, spec = text.rpartition("=")
        if not spec or (equals and not label):
            raise UserError(f"'{text}': a model is written SPEC, FAMILY=SPEC or FAMILY,SHARE=SPEC.")
        family, _, share = label.partition(",")
        return cls(spec, family.strip() or "models", share.strip())

    @property
    def group(self) -> str:
        """Family and share in one phrase."""
        return f"{self.family}, {self.share}" if self.share else self.family


@dataclass(frozen=True)
class StudyRow:
    """One model of a study."""

    member: Member
    parameters: int
    summary: Summary
    accuracy: dict[str, Estimate]
    """By benchmark: 'clean', 'corrupted', and the name of each shifted set."""
    effective: dict[str, Estimate] = field(default_factory=dict)
    """Effective robustness by shifted set, over the line through all models; empty for fewer than three models."""
    memory: float | None = None
    """MiB of one training step, where the card asks for it."""

    @property
    def recipe(self) -> tuple[str, str, int]:
        """What trainings of one recipe have in common: family, share of data, size."""
        return self.member.family, self.member.share, self.parameters


@dataclass(frozen=True)
class Study:
    """What was measured."""

    rows: tuple[StudyRow, ...]
    benchmarks: tuple[str, ...]
    points: dict[str, Float[np.ndarray, " models"]]
    """Accuracy of each model by benchmark, in the order of the rows."""
    resampled: dict[str, Float[np.ndarray, "resamples models"]]
    """The same in resamples of the images, which all models share."""
    samples: dict[str, int]

    @property
    def sizes(self) -> Float[np.ndarray, " models"]:
        """Learned parameters of each model."""
        return np.array([row.parameters for row in self.rows], dtype=np.float64)

    def positions(self, family: str, share: str | None = None) -> list[int]:
        """Rows of a family and a share of data (None: of any)."""
        members = [row.member for row in self.rows]
        return [k for k, one in enumerate(members) if one.family == family and share in (None, one.share)]

    def measure(self, name: str) -> tuple[Float[np.ndarray, " models"], Float[np.ndarray, "resamples models"]]:
        """A benchmark, or 'retention' (corrupted over clean), and the same in resamples of the images."""
        if name == "retention":
            with np.errstate(divide="ignore", invalid="ignore"):  # of nothing: no number, and left out
                points = self.points["corrupted"] / self.points["clean"]
                return points, self.resampled["corrupted"] / self.resampled["clean"]
        return self.points[name], self.resampled[name]

    @property
    def trainings(self) -> list[list[StudyRow]]:
        """The rows, those of one recipe together."""
        recipes = dict.fromkeys(row.recipe for row in self.rows)
        return [[row for row in self.rows if row.recipe == recipe] for recipe in recipes]

    def noise(self, measure: str) -> TrainingNoise | None:
        """How far trainings of one recipe lie apart in `measure`; None where every recipe was trained once."""
        return training_noise(*self.measure(measure), [row.recipe for row in self.rows])

    def difference(self, measure: str, first: Sequence[int], second: Sequence[int]) -> Estimate | None:
        """The second rows' mean less the first rows', on the same images; the interval counts images and trainings.

        None where a row's measure is no number: the retention of a model that is never right.
        """
        points, resampled = self.measure(measure)
        value = float(points[second].mean() - points[first].mean())
        draws = resampled[:, second].mean(axis=1) - resampled[:, first].mean(axis=1)
        found = estimate(value, draws, samples=min(self.samples.values()), span=(-1.0, 1.0))
        return None if found is None else over_trainings(found, self.noise(measure), [len(first), len(second)])

    @property
    def shares(self) -> list[str]:
        """Shares of data in the order in which they were given."""
        return list(dict.fromkeys(row.member.share for row in self.rows))

    @property
    def families(self) -> list[str]:
        """Families in the order in which they were given."""
        return list(dict.fromkeys(row.member.family for row in self.rows))


def measure_study(
    members: Sequence[Member],
    *,
    data: ImageData,
    store: str | Path,
    predictors: Sequence[Predictor],
    shifts: Sequence[ImageData] = (),
    suite: str | None = "imagenet-c",
    settings: EvaluationSettings | None = None,
    reference: ReferenceChoice = "auto",
    listener: Listener | None = None,
) -> Study:
    """Measure every model on `data`, clean and under `suite`, and on each of `shifts`; kept cells are read.

    `predictors` are the loaded models, in the order of `members`; `reference` divides mCE. Raises `UserError` for a
    cell that failed.
    """
    names = [predictor.name for predictor in predictors]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise UserError(f"{sorted(repeated)[0]} is given twice.")
    wanted: list[tuple[ImageData, str | None]] = [(data, suite), *((shifted, None) for shifted in shifts)]
    runs: list[tuple[Run, ...]] = []
    for images, conditions in wanted:
        done = evaluate(
            list(predictors),
            data=images,
            store=store,
            suite=conditions,
            disturbances=() if conditions else ["clean"],
            settings=settings,
            listener=listener,
        )
        if done.failed:
            raise UserError(f"{done.failed[0].cell.disturbance} could not be measured: {done.failed[0].reason}.")
        runs.append(done.runs)
    others = dict(zip([shifted.name for shifted in shifts], runs[1:], strict=True))
    return study_of(members, runs[0], others, reference=reference)


def study_of(
    members: Sequence[Member],
    runs: Sequence[Run],
    shifted: dict[str, tuple[Run, ...]],
    *,
    reference: ReferenceChoice = "auto",
) -> Study:
    """The study of stored runs: one run a member on the clean data, and one on each shifted set, in their order."""
    if not task_named(runs[0].protocol.task).counts_images:
        return _study_of_parts(members, runs, shifted)
    right = {"clean": np.stack([run.correct(["clean"])[0] for run in runs]).astype(np.float64)}
    summaries = [summarise(run, reference=reference) for run in runs]
    if all(summary.grid.complete for summary in summaries):
        right["corrupted"] = np.stack([_mean_right(run, s) for run, s in zip(runs, summaries, strict=True)])
    names = _names_of(shifted)
    for name, others in shifted.items():
        right[names[name]] = np.stack([run.correct(["clean"])[0] for run in others]).astype(np.float64)
    resampled = {name: Bootstrap(rows.shape[1]).means(rows) for name, rows in right.items()}
    points = {name: rows.mean(axis=1) for name, rows in right.items()}
    effective = {
        names[name]: _effective([*runs, *others], runs[0].data, name)
        for name, others in shifted.items()
        if len(members) >= FEWEST_BASELINES
    }
    rows = []
    for k, (member, run, summary) in enumerate(zip(members, runs, summaries, strict=True)):
        accuracy = {}
        for name, values in points.items():
            found = estimate(float(values[k]), resampled[name][:, k], samples=right[name].shape[1])
            assert found is not None  # a mean over at least one image
            accuracy[name] = found
        beyond = {name: each[run.model] for name, each in effective.items() if run.model in each}
        rows.append(StudyRow(member, summary.parameters, summary, accuracy, beyond))
    samples = {name: values.shape[1] for name, values in right.items()}
    return Study(tuple(rows), tuple(right), points, resampled, samples)


def _study_of_parts(members: Sequence[Member], runs: Sequence[Run], shifted: dict[str, tuple[Run, ...]]) -> Study:
    """The same for mIoU and AP, which are no shares of images: from the tables of the runs and their resamples."""
    tables = [tables_of(run) for run in runs]
    columns = {"clean": [found.clean for found in tables], "corrupted": [found.mean_over_kinds() for found in tables]}
    names = _names_of(shifted)
    columns |= {names[name]: [tables_of(run).clean for run in others] for name, others in shifted.items()}
    whole = {
        name: np.stack([row for row in rows if row is not None])
        for name, rows in columns.items()
        if all(row is not None for row in rows)
    }
    summaries = [summarise(run) for run in runs]
    if not all(summary.grid.complete for summary in summaries):
        whole.pop("corrupted", None)
    rows = []
    for k, (member, summary) in enumerate(zip(members, summaries, strict=True)):
        found = {name: tables[k].estimate(values[k]) for name, values in whole.items()}
        scores = {name: one for name, one in found.items() if one is not None}
        rows.append(StudyRow(member, summary.parameters, summary, scores))
    return Study(
        tuple(rows),
        tuple(whole),
        {name: values[:, 0] for name, values in whole.items()},
        {name: values[:, 1:].T for name, values in whole.items()},
        dict.fromkeys(whole, len(tables[0].outcomes.ids))
        | {names[name]: others[0].protocol.samples for name, others in shifted.items()},
    )


def _names_of(shifted: Iterable[str]) -> dict[str, str]:
    """Data set -> its short name, or its whole one where two would share the short one."""
    short = {name: short_name(name) for name in shifted}
    return {name: name if list(short.values()).count(one) > 1 else one for name, one in short.items()}


def short_name(data: str) -> str:
    """The benchmark's name for a data set: 'imagenet-r' for 'imagenet-r:photos/r', 'natural_shift' for a reader's."""
    kind, colon, place = data.partition(":")
    return place if colon and (kind.endswith(".py") or kind == "imagefolder") else kind


def _mean_right(run: Run, summary: Summary) -> Float[np.ndarray, " samples"]:
    """For each image the share of the suite it is right under; every corruption weighs the same."""
    kinds = [run.correct(summary.grid.cells(kind)).mean(axis=0) for kind in summary.grid.kinds]
    return np.mean(kinds, axis=0)


def _effective(runs: Sequence[Run], clean: str, shift: str) -> dict[str, Estimate]:
    try:
        found = effective_robustness(runs, Measurement(clean), Measurement(shift))
    except UserError:  # models of one clean accuracy, or a mask that only one side has: no line
        return {}
    return {one.model: one.effective for one in found.models}
