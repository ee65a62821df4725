"""Shape bias of a stored run on cue-conflict stimuli, over all and by category."""

from dataclasses import dataclass

import numpy as np

from weatherglass.data.masks import CATEGORIES16
from weatherglass.data.stimuli import cue_name, cues_of
from weatherglass.errors import UserError
from weatherglass.evaluation.runs import Run
from weatherglass.metrics.shape_bias import ShapeBias, shape_bias


@dataclass(frozen=True)
class TextureSummary:
    """Which cue a model follows."""

    model: str
    disturbance: str
    overall: ShapeBias
    categories: dict[str, ShapeBias]
    """By category of the shape, where it has conflicting stimuli."""


def texture_summary(run: Run, disturbance: str = "clean") -> TextureSummary:
    """Read the decisions of a run on stimuli; the cues are in the sample ids.

    Raises `UserError` for a run that was not measured on stimuli of its classes, or of the 16 categories.
    """
    names = [cue_name(name) for name in _classes(run)]
    seen = run.observations(disturbance)
    cues = [cues_of(sample) for sample in seen.ids]
    if not {cue for pair in cues for cue in pair if cue is not None} <= set(names):
        raise UserError(
            f"'{run.name}' was measured with outputs '{run.protocol.classes}', not with the 16 categories: "
            f"weatherglass shape-bias {run.model} --data cue-conflict:FOLDER"
        )
    if any(texture is None for _, texture in cues):
        raise UserError(f"The stimuli of '{run.name}' have one cue alone; their accuracy is the ordinary top-1.")
    shapes = np.array([names.index(shape) for shape, _ in cues])
    textures = np.array([names.index(texture) for _, texture in cues if texture is not None])
    decisions = seen.columns["prediction"].astype(np.int64)
    by_category = {}
    for position, name in enumerate(_classes(run)):
        rows = (shapes == position) & (textures != position)
        if rows.any():
            by_category[name] = shape_bias(decisions[rows], shapes[rows], textures[rows])
    return TextureSummary(run.model, disturbance, shape_bias(decisions, shapes, textures), by_category)


def _classes(run: Run) -> tuple[str, ...]:
    """What the decisions are numbers of."""
    return tuple(CATEGORIES16) if run.protocol.classes.startswith("categories16") else run.manifest.classes
