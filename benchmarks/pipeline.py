"""The whole pipeline against a plain loop of decoding and predicting: what does measuring under a disturbance cost?

A folder of JPEG files and a small model. The plain loop decodes, crops and predicts, once for each condition, as a
script would. The pipeline is `weatherglass.evaluate`: it decodes once, disturbs, predicts, observes and keeps. Both run
in one process, one after the other for each corruption. Printed for each: images a second and the overhead ratio
(pipeline / plain loop, below 1 is faster than the script); and the time to import the package and to answer `--help`.

Run: python -m benchmarks pipeline
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from weatherglass.corruptions.suites import SUITES
from weatherglass.data.geometry import prepare
from weatherglass.data.load import load_data
from weatherglass.evaluation.evaluate import EvaluationSettings, evaluate
from weatherglass.models.load import load_predictor
from weatherglass.types import ImageData, Predictor

IMAGES = 128
REPEATS = 3
MODEL = "timm/mobilenetv3_small_050"


def photographs(folder: Path) -> ImageData:
    """Smooth random JPEG files of 500x375 pixels in ten classes."""
    generator = np.random.default_rng(0)
    for number in range(IMAGES):
        coarse = generator.integers(0, 255, (24, 32, 3), np.uint8)
        picture = Image.fromarray(coarse).resize((500, 375), Image.Resampling.BICUBIC)
        place = folder / f"{number % 10}"
        place.mkdir(parents=True, exist_ok=True)
        picture.save(place / f"{number:04d}.jpg", quality=90)
    return load_data(f"imagefolder:{folder}")


def plain_seconds(predictor: Predictor, data: ImageData) -> float:
    """Time to decode, crop and predict every image once, in batches of 32, on one thread of Python."""
    started = time.perf_counter()
    with torch.inference_mode():
        for start in range(0, len(data), 32):
            rows = range(start, min(start + 32, len(data)))
            images = torch.stack([prepare(data.image(row), predictor.preprocessing) for row in rows])
            predictor(images.float() / 255)
    return time.perf_counter() - started


def cell_seconds(predictor: Predictor, data: ImageData, store: Path, condition: str, seed: int) -> float:
    """Time of one evaluated cell, from decoded pixels to a file in the store."""
    settings = EvaluationSettings(batch_size=32, keep_pixels=True, seed=seed)
    disturbances = [condition] if condition != "clean" else ["brightness@1"]
    done = evaluate(predictor, data=data, store=store, disturbances=disturbances, settings=settings)
    run = next(run for run in done.runs if run.seed == seed)
    return run.records[condition].provenance.seconds


def command_seconds(*arguments: str) -> float:
    """The shortest of five calls of Python."""
    times = []
    for _ in range(5):
        started = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
        times.append(time.perf_counter() - started)
    return min(times)


def main(arguments: Sequence[str]) -> None:
    if arguments:
        raise SystemExit(f"This benchmark takes no arguments, got: {' '.join(arguments)}")
    with tempfile.TemporaryDirectory() as folder:
        data = photographs(Path(folder) / "photographs")
        predictor = load_predictor(MODEL, pretrained=False, classes=10)
        store = Path(folder) / "store"
        print(f"{MODEL}, {IMAGES} JPEG files of 500x375, {torch.get_num_threads()} threads")
        print(f"{'condition':22}{'images/s':>10}{'plain loop':>12}{'ratio':>8}")
        for name in ["clean", *SUITES["all"].corruptions]:
            condition = name if name == "clean" else f"{name}@3"
            cell_seconds(predictor, data, store, condition, seed=0)  # compiles
            plain = min(plain_seconds(predictor, data) for _ in range(REPEATS))
            cell = min(cell_seconds(predictor, data, store, condition, seed) for seed in range(1, 1 + REPEATS))
            print(f"{name:22}{IMAGES / cell:10.0f}{IMAGES / plain:12.0f}{cell / plain:8.2f}", flush=True)
    print(f"python -c pass        {command_seconds('-c', 'pass'):.3f} s")
    print(f"import weatherglass   {command_seconds('-c', 'import weatherglass'):.3f} s")
    print(f"weatherglass --help   {command_seconds('-m', 'weatherglass', '--help'):.3f} s")
    print(f"weatherglass list     {command_seconds('-m', 'weatherglass', 'list', 'models'):.3f} s")
