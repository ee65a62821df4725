"""Stores with made-up observations, whose true accuracies are known."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from weatherglass.evaluation.protocol import Cell, Protocol
from weatherglass.evaluation.record import CellRecord, DataManifest, Observations
from weatherglass.evaluation.runs import Run, runs_of
from weatherglass.evaluation.store import Store
from weatherglass.metrics.alexnet import MAIN_CORRUPTIONS
from weatherglass.tasks.classification import Classification

FAMILY = {"clean": "clean", "gaussian_noise": "noise", "shot_noise": "noise", "impulse_noise": "noise"}
MAIN_GRID = tuple(f"{kind}@{severity}" for kind in MAIN_CORRUPTIONS for severity in range(1, 6))


def make_protocol(**changes: object) -> Protocol:
    fields: dict[str, object] = {
        "task": "classification",
        "weights": "w",
        "preprocessing": "none",
        "normalisation": "mean 0 0 0, std 1 1 1",
        "data": "d",
        "selection": "all",
        "samples": 0,
        "classes": "all 10",
        "seed": 0,
        "precision": "float32",
        "device": "cpu",
        "forward_batch": 32,
        "versions": {"torch": "2.15"},
    }
    return Protocol(**(fields | changes))  # type: ignore[arg-type]


def observations_of(correct: Sequence[bool] | np.ndarray, classes: int = 10) -> Observations:
    """Right where asked for, the next class otherwise; confidence 0.9 and losses that fit."""
    right = np.asarray(correct, dtype=bool)
    labels = np.arange(len(right)) % classes
    columns = {
        "prediction": np.where(right, labels, (labels + 1) % classes).astype(np.int32),
        "rank": np.where(right, 0, 1 + np.arange(len(right)) % (classes - 1)).astype(np.int32),
        "confidence": np.full(len(right), 0.9, np.float32),
        "nll": np.where(right, 0.1, 3.0).astype(np.float32),
        "brier": np.where(right, 0.02, 1.6).astype(np.float32),
    }
    return Observations(tuple(f"{i:05d}.png" for i in range(len(right))), labels, columns)


def put_run(
    store: Store,
    model: str,
    correct: Mapping[str, Sequence[bool] | np.ndarray],
    *,
    classes: int = 10,
    names: Sequence[str] | None = None,
    data: str = "digits",
    **protocol: object,
) -> Run:
    """A run whose conditions are right where the arrays say so."""
    samples = len(next(iter(correct.values())))
    common = make_protocol(samples=samples, classes=f"all {classes}", **({"weights": model} | protocol))
    for text, right in correct.items():
        observations, kind = observations_of(right, classes), text.split("@")[0]
        cell = Cell(model, data, text)
        record = CellRecord(
            key=cell.key(common),
            cell=cell,
            protocol=common,
            family=FAMILY.get(kind, "weather"),
            kind=kind,
            severity=float(text.split("@")[1]) if "@" in text else None,
            scores=Classification().summarise(observations.columns),
            parameters=1234,
        )
        store.put(record, observations)
    manifest = DataManifest(
        digest=common.data,
        name=data,
        selection="all",
        classes=tuple(names or map(str, range(classes))),
        samples=samples,
    )
    store.put_data(manifest)
    return next(run for run in runs_of(store) if run.model == model and run.protocol.common == common.common)


def full_grid(samples: int, clean: float, corrupted: float, seed: int = 0) -> dict[str, np.ndarray]:
    """Clean and the 75 main conditions, each image right with the given probability, lower at higher severities."""
    generator = np.random.default_rng(seed)
    luck = generator.random(samples)
    rows = {"clean": luck < clean}
    for position, text in enumerate(MAIN_GRID):
        chance = corrupted + 0.05 * (3 - int(text[-1])) + 0.004 * (position // 5 - 7)
        rows[text] = (0.7 * luck + 0.3 * generator.random(samples)) < chance
    return rows


def new_store(path: Path) -> Store:
    return Store(path, create=True)
