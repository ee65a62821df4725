"""Draw what detectors find in one image, clean and corrupted, beside what is there.

python examples/draw_detections.py --data scene-objects:8@96 --image 0 --output found.png DETECTOR...
"""

import argparse
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw

import weatherglass as wg
from weatherglass.data.load import load_data
from weatherglass.models.load import load_predictor
from weatherglass.types import DetectionData, Objects, Pixels

CONDITIONS = (("clean", 0), ("impulse_noise", 3), ("snow", 3), ("fog", 5))
COLOURS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#008080")
ENLARGED = 2
CONFIDENT = 0.5


def drawn(pixels: np.ndarray, objects: Objects) -> Image.Image:
    """An enlarged image with the outlines of boxes and, half transparent, the masks of confident objects."""
    masks = objects.masks
    tinted = pixels.astype(np.float64)
    chosen = [row for row in range(len(objects)) if objects.scores is None or objects.scores[row] >= CONFIDENT]
    for row in chosen:
        if masks is not None:
            colour = np.array(Image.new("RGB", (1, 1), COLOURS[objects.classes[row] % len(COLOURS)]))[0, 0]
            tinted[masks[row]] = 0.5 * tinted[masks[row]] + 0.5 * colour
    height, width = pixels.shape[:2]
    picture = Image.fromarray(tinted.round().astype(np.uint8)).resize((ENLARGED * width, ENLARGED * height), 0)
    pen = ImageDraw.Draw(picture)
    for row in chosen:
        x0, y0, x1, y1 = (ENLARGED * objects.boxes[row]).round()
        colour = COLOURS[objects.classes[row] % len(COLOURS)]
        pen.rectangle((x0, y0, max(x1 - 1, x0), max(y1 - 1, y0)), outline=colour, width=2)
    return picture


def conditions(image: Pixels, identity: str) -> list[Pixels]:
    """The image and its corrupted forms, as `evaluate` would make them with seed 0."""
    return [
        image if severity == 0 else wg.corrupt(image, name, severity=severity, seed=0, ids=[identity])
        for name, severity in CONDITIONS
    ]


def sheet(rows: Sequence[Sequence[Image.Image]]) -> Image.Image:
    """Pictures of equal size in a grid."""
    width, height = rows[0][0].size
    gap = 4
    whole = Image.new("RGB", (len(rows[0]) * (width + gap) - gap, len(rows) * (height + gap) - gap), "white")
    for down, row in enumerate(rows):
        for across, picture in enumerate(row):
            whole.paste(picture, (across * (width + gap), down * (height + gap)))
    return whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("detectors", nargs="+")
    parser.add_argument("--data", required=True)
    parser.add_argument("--image", type=int, default=0)
    parser.add_argument("--output", required=True)
    given = parser.parse_args()
    data = load_data(given.data)
    assert isinstance(data, DetectionData), f"{given.data} has no objects"
    image = data.image(given.image)[None]
    pictures = conditions(image, data.ids[given.image])
    rows = []
    for name in given.detectors:
        detector = load_predictor(name)
        row = [drawn(image[0].permute(1, 2, 0).numpy(), data.objects(given.image))]
        for picture in pictures:
            with torch.inference_mode():
                (found,) = detector(picture.to(detector.device).float() / 255)
            assert isinstance(found, Objects), f"{name} is no detector"
            row.append(drawn(picture[0].permute(1, 2, 0).numpy(), found))
        rows.append(row)
    sheet(rows).quantize(192).save(given.output, optimize=True)


if __name__ == "__main__":
    main()
