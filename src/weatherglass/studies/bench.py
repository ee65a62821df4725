"""What every study works with: models, images, and a store for what is measured."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch

from weatherglass import __version__
from weatherglass.analysis.labels import own_labels
from weatherglass.analysis.lesions import structure_of
from weatherglass.analysis.structure import Structure
from weatherglass.data.geometry import prepare
from weatherglass.data.unlabelled import is_unlabelled
from weatherglass.errors import UserError
from weatherglass.evaluation.evaluate import EvaluationSettings, Listener, Silent, evaluate
from weatherglass.evaluation.runs import Run
from weatherglass.evaluation.studies import Card, Figure, Finding, Row, Sheet, Study
from weatherglass.types import ImageData, Predictor


@dataclass(frozen=True)
class Bench:
    """Models and images side by side, and how numbers are obtained from them."""

    predictors: tuple[Predictor, ...]
    images: ImageData
    store: Path
    """Folder of the store that keeps measured cells; made when the first cell is."""
    seed: int = 0
    listener: Listener = field(default_factory=Silent)

    def __post_init__(self) -> None:
        if not self.predictors:
            raise UserError("No model was named.")

    def require_classifiers(self) -> None:
        """Raise `UserError`, before anything is measured, where accuracy has no meaning for a model or the images."""
        for one in (self.images, *self.predictors):
            if one.task != "classification":
                raise UserError(
                    f"This analysis reads the accuracy of classifiers, and {one.name} is for {one.task}. Under single "
                    "lesions models of any task are measured by: weatherglass evaluate MODEL --data DATA --disturb "
                    "lesion:random-1-blocks"
                )

    def structures(self) -> Iterator[tuple[Predictor, Structure]]:
        """Every model with what the structure finder reads in it."""
        for predictor in self.predictors:
            yield predictor, structure_of(predictor, self.size(predictor))

    def size(self, predictor: Predictor) -> tuple[int, int]:
        """Height and width of the images as the model gets them."""
        shape = prepare(self.images.image(0), predictor.preprocessing).shape
        return int(shape[1]), int(shape[2])

    def measure(self, predictor: Predictor, conditions: Sequence[str]) -> Run:
        """The run of a model with the clean cell and `conditions`, measured where the store lacks them.

        Images without classes are labelled by what the undisturbed model says of them, so that accuracy becomes
        agreement with itself.
        """
        images = own_labels(self.images, predictor) if is_unlabelled(self.images) else self.images
        evaluation = evaluate(
            predictor,
            data=images,
            store=self.store,
            disturbances=list(dict.fromkeys(conditions)) or ["clean"],
            settings=EvaluationSettings(seed=self.seed),
            listener=self.listener,
        )
        return evaluation.runs[0]

    @cached_property
    def accuracy(self) -> str:
        """What a share of right images is called here."""
        return "agreement with the whole model" if is_unlabelled(self.images) else "accuracy"

    def study(
        self,
        card: Card,
        settings: Mapping[str, object],
        *,
        tables: Mapping[str, Sequence[Row]],
        figures: Sequence[Figure],
        findings: Sequence[Finding] = (),
        sheets: Sequence[Sheet] = (),
    ) -> Study:
        """The study with its protocol."""
        protocol = {
            "data digest": self.images.digest,
            "part of the data": self.images.selection,
            "images": str(len(self.images)),
            "seed": str(self.seed),
            **{name: str(value) for name, value in settings.items()},
            **{f"input of {one.name}": one.preprocessing.geometry for one in self.predictors},
            "device": ", ".join(sorted({one.device.type for one in self.predictors})),
            "precision": ", ".join(sorted({one.precision for one in self.predictors})),
            "versions": f"weatherglass {__version__}, torch {torch.__version__.split('+')[0]}",
        }
        return Study(
            card=card,
            models={one.name: one.digest for one in self.predictors},
            data=self.images.name,
            protocol=protocol,
            tables={name: list(rows) for name, rows in tables.items()},
            figures=tuple(figures),
            sheets=tuple(sheets),
            findings=tuple(findings),
        )
