"""Spectral clusters of tokens on real images: painted, compared with masks and with corrupted images (card 4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import PurePosixPath

import numpy as np

from weatherglass.analysis.clusters import ClusterMaps, cluster_maps, contact_sheet
from weatherglass.analysis.masks import HasMasks
from weatherglass.errors import UserError
from weatherglass.evaluation.conditions import parse_disturbance
from weatherglass.evaluation.studies import Card, Figure, Finding, Row, Sheet, Study
from weatherglass.report import analysis_figures as figures
from weatherglass.report.analysis_figures import Axis
from weatherglass.studies.bench import Bench
from weatherglass.studies.evidence import beyond, mean_estimate
from weatherglass.types import ImageData

CARD = Card(
    name="clusters",
    title="Clusters of tokens",
    question="Do tokens gather in objects, and do they do so under corruption?",
    source="Zhou et al., ICML 2022, figures 4, 8, 9 and appendix A.6",
    expected=("Clusters become object-like over the middle blocks.",),
    caution="Pictures alone are no test. The overlap with masks counts the best cluster for every object, so it is "
    "above zero by chance; compare blocks and models, not the number itself. Expected across models: FAN separates "
    "foreground better than ViT and CNN.",
)


@dataclass(frozen=True)
class ClusterSettings:
    """How tokens are clustered."""

    clusters: int = 4
    affinity: str = "product"
    """'product' or 'pearson'."""
    layers: tuple[int, ...] | None = None
    """Positions of layers, 0 the embedding; None: all that have tokens enough."""
    disturbances: tuple[str, ...] = ("gaussian_noise@3",)
    pictures: int = 6
    """Images that are painted."""

    def __post_init__(self) -> None:
        if self.clusters < 2:
            raise UserError(f"At least 2 clusters are needed, not {self.clusters}.")


def study(bench: Bench, settings: ClusterSettings = ClusterSettings()) -> Study:
    """Cluster the tokens of every model."""
    rows: list[Row] = []
    sheets: list[Sheet] = []
    findings: list[Finding] = []
    for predictor in bench.predictors:
        found = cluster_maps(
            predictor,
            bench.images,
            clusters=settings.clusters,
            affinity=settings.affinity,
            layers=settings.layers,
            disturbances=[parse_disturbance(text) for text in settings.disturbances],
            seed=bench.seed,
            pictures=settings.pictures,
        )
        rows += _rows(found)
        names = ", ".join(layer.name for layer in found.layers)
        caption = f"{predictor.name}: each row an image, then its clusters after {names}."
        sheets.append(Sheet(f"clusters_{file_name(predictor.name)}", caption, figures.png_of(contact_sheet(found))))
        findings += _findings(found)
    choices = vars(settings) | {"masks": _digest_of_masks(bench.images)}
    return bench.study(
        CARD, choices, tables={"clusters": rows}, figures=_figures(rows), findings=findings, sheets=sheets
    )


def _digest_of_masks(data: ImageData) -> str:
    """What the masks were; 'none' without any."""
    if not isinstance(data, HasMasks):
        return "none"
    digest = blake2b(digest_size=16)
    for index in range(len(data)):
        digest.update(data.mask(index).numpy().tobytes())
    return f"{digest.hexdigest()}, background {data.background}"


def _rows(found: ClusterMaps) -> list[Row]:
    """One row a layer, and for every disturbance one more: means over images with intervals."""
    rows: list[Row] = []
    for i, layer in enumerate(found.layers):
        about: Row = {"model": found.model, "layer": i, "name": layer.name, "tokens": layer.layout.tokens}
        about |= {"coherence": found.coherence[i], "overlap": None, "overlap_low": None, "overlap_high": None}
        about |= {"mask_rand": None, "disturbance": None, "stability": None, "low": None, "high": None}
        if found.overlap is not None and found.rand is not None:
            overlap = mean_estimate(found.overlap[:, i])
            about |= {"overlap": overlap.value, "overlap_low": overlap.low, "overlap_high": overlap.high}
            about |= {"mask_rand": mean_estimate(found.rand[:, i]).value}
        rows.append(about)
        for text, values in found.stability.items():
            stable = mean_estimate(values[:, i])
            known = {"disturbance": text, "stability": stable.value, "low": stable.low, "high": stable.high}
            rows.append(about | known)
    return rows


def _findings(found: ClusterMaps) -> list[Finding]:
    """With masks: are the middle blocks closer to the objects than the first layer, image by image?

    Asked where every layer has the same grid: on a coarser one small objects vanish, and the numbers do not compare.
    """
    grids = {layer.layout.grid for layer in found.layers}
    if found.overlap is None or len(found.layers) < 4 or len(grids) > 1:
        return []
    count = len(found.layers)
    middle = found.overlap[:, count // 4 : count - count // 4]
    gain = mean_estimate(middle.mean(axis=1) - found.overlap[:, 0])
    means = np.nanmean(found.overlap, axis=0)
    evidence = (
        f"overlap of objects with their best cluster: {found.layers[0].name} {means[0]:.3f}, middle layers "
        f"{np.nanmean(middle):.3f}, last {means[-1]:.3f}; gain of the middle layers {gain.number(3)}."
    )
    return [Finding(CARD.expected[0], found.model, beyond(gain), evidence)]


def _figures(rows: Sequence[Row]) -> list[Figure]:
    charts = []
    stable = [row for row in rows if row["disturbance"] is not None]
    if stable:
        spec = figures.lines(
            stable,
            Axis("layer", whole=True),
            Axis("stability", "adjusted Rand, clean and disturbed"),
            "model",
            band=("low", "high"),
        )
        caption = "Agreement of the clusters of clean and disturbed images, with 95 % intervals; 1: the same."
        charts.append(figures.figure("clusters_stability", "Stability", caption, figures.facets(spec, "disturbance")))
    masked = [row for row in rows if row["disturbance"] is None and row["overlap"] is not None]
    if masked:
        spec = figures.lines(
            masked,
            Axis("layer", whole=True),
            Axis("overlap", "intersection over union", zero=False),
            "model",
            band=("overlap_low", "overlap_high"),
        )
        caption = "Overlap of every object with the cluster that fits it best, with 95 % intervals."
        charts.append(figures.figure("clusters_overlap", "Agreement with masks", caption, spec))
    return charts


def file_name(model: str) -> str:
    """The model's name as part of a file's name."""
    last = PurePosixPath(model).name.replace(".py:", "_")
    return "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in last)
