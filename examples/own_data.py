"""Data of your own: `weatherglass evaluate digits_vit --data examples/own_data.py:ink_on_paper`.

The factory takes no arguments and returns an `ImageData`. `ArrayImages` serves for whatever fits in an array or a
memory map; `weatherglass.data.encoded.EncodedImages` for encoded images from an archive or a data base.
"""

import numpy as np

from weatherglass import load_data
from weatherglass.data.images import ArrayImages


def ink_on_paper() -> ArrayImages:
    """The test digits, dark on light instead of light on dark."""
    digits = load_data("digits:test")
    pixels = np.stack([255 - digits.image(index).permute(1, 2, 0).numpy() for index in range(len(digits))])
    return ArrayImages(
        name="ink on paper",
        pixels=pixels,  # uint8, (samples, height, width, 3)
        labels=digits.labels,  # indices into classes
        classes=digits.classes,
        ids=digits.ids,  # unique and stable: randomness and pairing are keyed by them
    )
