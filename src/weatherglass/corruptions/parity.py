"""Agreement with the reference: the adapter for the checker of the golden data."""

import os

from weatherglass.corruptions.engine import corrupt
from weatherglass.types import Pixels


def checker(images: Pixels, name: str, severity: int, seed: int) -> Pixels:
    """The signature of the checker: the published 224-pixel constants at every size.

    WEATHERGLASS_FROST names the folder of reference textures, WEATHERGLASS_BACKEND the backend.
    """
    return corrupt(
        images,
        name,
        severity,
        seed=seed,
        calibration=224,
        frost=os.environ.get("WEATHERGLASS_FROST", "reference"),
        backend=os.environ.get("WEATHERGLASS_BACKEND", "auto"),
    )
