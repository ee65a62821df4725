"""Stores with made-up but plausible outcomes, so that the page is tested without measuring anything."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from weatherglass.evaluation.protocol import Cell, Protocol
from weatherglass.evaluation.record import CellRecord, DataManifest, FailedCell, Observations, Picture, Provenance
from weatherglass.evaluation.store import Store
from weatherglass.tasks.classification import Classification

FAMILIES = {
    "noise": ("gaussian_noise", "shot_noise", "impulse_noise"),
    "blur": ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    "weather": ("snow", "frost", "fog", "brightness"),
    "digital": ("contrast", "elastic_transform", "pixelate", "jpeg_compression"),
}
GRID = {kind: family for family, kinds in FAMILIES.items() for kind in kinds}


@dataclass(frozen=True)
class Recipe:
    """What a synthetic store holds."""

    models: Sequence[str] = ("models.py:small_vit", "models.py:small_cnn", "models.py:small_fan")
    kinds: Sequence[str] = tuple(GRID)
    severities: Sequence[int] = (1, 2, 3, 4, 5)
    clean: bool = True
    samples: int = 300
    classes: Sequence[str] = tuple("0123456789")
    pictures: int = 2
    gap: float = 0.35
    """By how much each model's margin is below that of the one before."""
    ids: str = "test/{:05d}"
    data: str = "digits"
    failed: Sequence[str] = ()
    """Conditions of the first model that could not be measured."""
    reason: str = "the model returned NaN or infinite outputs for 3 of 32 images"
    unreadable: Sequence[str] = ()
    protocols: Sequence[dict[str, object]] = ()
    """Changes to the protocol, one dict a model."""


def make_store(path: Path, recipe: Recipe = Recipe()) -> Store:
    """Fill a new store at `path`; the outcomes depend on the recipe alone."""
    store = Store(path, create=True)
    labels = np.arange(recipe.samples) % len(recipe.classes)
    ids = tuple(recipe.ids.format(i) for i in range(recipe.samples))
    hardness = np.random.default_rng(0).normal(0, 1.2, recipe.samples) + 0.08 * labels % 1.5
    for position, model in enumerate(recipe.models):
        changes = recipe.protocols[position] if position < len(recipe.protocols) else {}
        protocol = replace(_protocol(recipe, model), **changes)
        store.put_data(_manifest(recipe, protocol))
        skill = 5.5 - recipe.gap * position
        for text, kind, severity in _conditions(recipe):
            stress = _stress(kind, severity) * (1 - 0.12 * (position % 3))
            outputs = _outputs(labels, skill - hardness - stress, len(recipe.classes), seed=(position, len(text)))
            _put(store, recipe, protocol, model, (text, kind, severity), ids, labels, outputs, position)
    return store


def _conditions(recipe: Recipe) -> list[tuple[str, str, float | None]]:
    clean: list[tuple[str, str, float | None]] = [("clean", "clean", None)] if recipe.clean else []
    return clean + [(f"{kind}@{level}", kind, float(level)) for kind in recipe.kinds for level in recipe.severities]


def _stress(kind: str, severity: float | None) -> float:
    if severity is None:
        return 0.0
    weight = 0.35 + (sum(map(ord, kind)) % 17) / 17
    return 1.1 * weight * severity


def _outputs(labels: np.ndarray, margin: np.ndarray, classes: int, seed: tuple[int, int]) -> np.ndarray:
    outputs = np.random.default_rng(seed).normal(0, 1, (len(labels), classes))
    outputs[np.arange(len(labels)), labels] += margin
    return outputs


def _put(
    store: Store,
    recipe: Recipe,
    protocol: Protocol,
    model: str,
    condition: tuple[str, str, float | None],
    ids: tuple[str, ...],
    labels: np.ndarray,
    outputs: np.ndarray,
    position: int,
) -> None:
    text, kind, severity = condition
    disturbed = {} if severity is None else {"backend": "torch", "definition": "imagenet-c 32", "size": "32x32"}
    protocol = replace(protocol, disturbance=disturbed)
    cell = Cell(model, recipe.data, text)
    key = cell.key(protocol)
    if text in recipe.failed and position == 0:
        store.put_failure(FailedCell(key=key, cell=cell, protocol=protocol, reason=recipe.reason))
        return
    task = Classification()
    columns = task.observe(torch.from_numpy(outputs), torch.from_numpy(labels))
    record = CellRecord(
        key=key,
        cell=cell,
        protocol=protocol,
        family=GRID.get(kind, "clean" if severity is None else "other"),
        kind=kind,
        severity=severity,
        scores=task.summarise(columns),
        parameters=(210_000, 272_474, 198_000)[position % 3],
        provenance=Provenance(created="2026-11-21T05:00:00Z", seconds=1.5, device_name="2 CPU cores", threads=2),
    )
    pictures = [] if severity is None else _pictures(recipe, ids, labels, columns, severity)
    store.put(record, Observations(ids, labels, columns), pictures)


def _pictures(
    recipe: Recipe, ids: tuple[str, ...], labels: np.ndarray, columns: dict[str, np.ndarray], severity: float
) -> list[Picture]:
    wrong = np.flatnonzero(columns["rank"] > 0)[: recipe.pictures]
    return [
        Picture(
            id=ids[i],
            label=int(labels[i]),
            clean_prediction=int(labels[i]),
            prediction=int(columns["prediction"][i]),
            confidence=float(columns["confidence"][i]),
            clean=_png(int(labels[i]), 0.0, int(i)),
            disturbed=_png(int(labels[i]), severity, int(i)),
        )
        for i in wrong
    ]


def _png(label: int, severity: float, seed: int) -> bytes:
    """A 32 px picture with a bar for the label, under some noise."""
    pixels = np.full((32, 32, 3), 40.0)
    pixels[6:26, 4 + 2 * (label % 10) : 10 + 2 * (label % 10)] = (240, 200, 90)
    pixels += np.random.default_rng(seed).normal(0, 18 * severity, pixels.shape)
    buffer = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def _protocol(recipe: Recipe, model: str) -> Protocol:
    return Protocol(
        task="classification",
        weights=f"{abs(hash_of(model)):032x}",
        preprocessing="resize 32 bicubic, crop 32x32",
        normalisation="mean 0.5 0.5 0.5, std 0.5 0.5 0.5",
        data="d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1",
        selection="all",
        samples=recipe.samples,
        classes=f"all {len(recipe.classes)}",
        seed=0,
        precision="float32",
        device="cpu",
        forward_batch=32,
        versions={"weatherglass": "0.1.0", "torch": "2.15.0", "torchvision": "0.29.2", "numpy": "2.4.6"},
    )


def hash_of(text: str) -> int:
    """A number that is the same in every process, unlike `hash`."""
    return sum((i + 1) * ord(letter) ** 3 for i, letter in enumerate(text))


def _manifest(recipe: Recipe, protocol: Protocol) -> DataManifest:
    return DataManifest(
        digest=protocol.data,
        name=recipe.data,
        selection=protocol.selection,
        classes=tuple(recipe.classes),
        samples=recipe.samples,
        unreadable=tuple(recipe.unreadable),
    )
