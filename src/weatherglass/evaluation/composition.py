"""A disturbance of the model and one of the input, at once: a lesioned model in fog."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from weatherglass.errors import UserError
from weatherglass.types import Batch, Disturbance, FrameSequence, Images, Masks, Pixels, Predictor


@dataclass(frozen=True)
class OfBoth(Disturbance):
    """The disturbed model sees the disturbed input."""

    model: Disturbance
    input: Disturbance

    def __post_init__(self) -> None:
        if isinstance(self.input, FrameSequence):
            raise UserError(f"'{self}': sequences are measured on the model as it is, without '{self.model}'.")

    def __str__(self) -> str:
        return f"{self.model}+{self.input}"

    @property
    def family(self) -> str:
        return self.model.family

    @property
    def severity(self) -> float | None:
        return self.input.severity

    @property
    def kind(self) -> str:
        return f"{self.model}+{self.input.kind}"

    @property
    def keeps_layout(self) -> bool:
        return self.input.keeps_layout

    @property
    def passes(self) -> float | None:
        return self.input.passes

    @property
    def needs_labels(self) -> bool:
        return self.input.needs_labels

    def chunk(self, predictor: Predictor) -> int:
        return self.input.chunk(predictor)

    def check(self, predictor: Predictor) -> None:
        self.model.check(predictor)
        self.input.check(predictor)

    def check_masks(self, height: int, width: int) -> None:
        self.input.check_masks(height, width)

    def of_masks(self, masks: Masks, ids: tuple[str, ...], *, seed: int) -> Masks:
        return self.input.of_masks(masks, ids, seed=seed)

    def protocol(self, height: int, width: int) -> dict[str, str]:
        return self.model.protocol(height, width) | self.input.protocol(height, width)

    def of_input(self, batch: Batch, predictor: Predictor, *, seed: int) -> Pixels | Images:
        return self.input.of_input(batch, predictor, seed=seed)

    @contextmanager
    def of_model(self, predictor: Predictor) -> Iterator[Predictor]:
        with self.model.of_model(predictor) as disturbed:
            yield disturbed
