"""The transfer matrix: how well each model does on the adversarial images made on each other, from stored cells."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from weatherglass.attacks.disturbance import Attacked
from weatherglass.attacks.transfer import Transferred
from weatherglass.errors import UserError
from weatherglass.evaluation.evaluate import Evaluation, EvaluationSettings, Listener, evaluate
from weatherglass.evaluation.outputs import decide
from weatherglass.evaluation.runs import Run
from weatherglass.metrics.intervals import Estimate, wilson_interval
from weatherglass.types import ImageData, Predictor


@dataclass(frozen=True)
class TransferMatrix:
    """Accuracy of target models (columns) on images made on source models (rows)."""

    attack: str
    models: tuple[str, ...]
    common: tuple[tuple[Estimate, ...], ...]
    """On the images that all models get right when clean."""
    whole: tuple[tuple[Estimate, ...], ...]
    """On all images."""
    images: int
    common_images: int


def measure_transfer(
    models: Sequence[Predictor],
    attack: Attacked,
    *,
    data: ImageData,
    store: str | Path,
    settings: EvaluationSettings | None = None,
    listener: Listener | None = None,
) -> tuple[TransferMatrix, Evaluation]:
    """Attack every model and show the images to all of them; cells that the store holds are not measured again.

    The images are kept in the store's folder 'adversarial', so each is made once. Raises `UserError` for fewer than
    two models, and for models that see different pixels or classes.
    """
    if len(models) < 2:
        raise UserError("Transfer needs at least two models.")
    folder = Path(store) / "adversarial"
    settings = settings or EvaluationSettings()
    # A source is attacked as the targets are judged: where a mask restricts theirs, with the same outputs.
    sources = [decide(model, data, settings.outputs)[0] for model in models]
    conditions = [Transferred(attack, source, folder) for source in sources]
    done = evaluate(
        models, data=data, store=store, disturbances=["clean", *conditions], settings=settings, listener=listener
    )
    if done.failed:
        raise UserError(f"{done.failed[0].cell.disturbance} could not be measured: {done.failed[0].reason}.")
    return transfer_matrix(done.runs, attack, [model.name for model in models]), done


def transfer_matrix(runs: Sequence[Run], attack: Attacked | str, models: Sequence[str]) -> TransferMatrix:
    """The matrix of the stored cells '<attack> from <model>' of `runs`, one run a model. Wilson intervals at 95 %."""
    by_model = {run.model: run for run in runs}
    clean = np.stack([by_model[model].correct(["clean"])[0] for model in models])
    everyone = clean.all(axis=0)
    if not everyone.any():
        raise UserError("No image is right for all models, so there is nothing to compare transfer on.")
    texts = [f"{attack} from {source}" for source in models]
    right = np.stack([by_model[target].correct(texts) for target in models], axis=1)  # source, target, image
    return TransferMatrix(
        attack=str(attack),
        models=tuple(models),
        common=_rates(right[:, :, everyone]),
        whole=_rates(right),
        images=right.shape[2],
        common_images=int(everyone.sum()),
    )


def _rates(right: np.ndarray) -> tuple[tuple[Estimate, ...], ...]:
    count = right.shape[2]
    return tuple(
        tuple(Estimate(float(rate), *wilson_interval(float(rate), count), "wilson") for rate in row)
        for row in right.mean(axis=2)
    )
