"""`weatherglass analyse`: disturb the model, or look inside it, and see why it behaves as it does."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from weatherglass.evaluation.runs import Run
    from weatherglass.report.charts import Figure
    from weatherglass.types import ImageData, Predictor

Row = dict[str, Any]


@dataclass(frozen=True)
class Source:
    """What the options common to all analyses say."""

    models: tuple[str, ...]
    data: str
    output: str
    limit: int | None
    seed: int
    checkpoint: str | None
    device: str

    def images(self) -> "ImageData":
        from weatherglass.data.load import load_data

        return load_data(self.data, limit=self.limit, seed=self.seed)

    def predictors(self) -> "list[Predictor]":
        from weatherglass.models.load import load_predictor

        return [load_predictor(name, checkpoint=self.checkpoint, device=self.device) for name in self.models]

    def size(self, predictor: "Predictor", images: "ImageData") -> tuple[int, int]:
        """Height and width of the images as the model gets them."""
        from weatherglass.data.geometry import prepare

        shape = prepare(images.image(0), predictor.preprocessing).shape
        return int(shape[1]), int(shape[2])


def common(command: Callable[..., None]) -> Callable[..., None]:
    """The arguments and options of every analysis, gathered in a `Source`."""

    def gathered(**options: Any) -> None:
        fields = {name: options.pop(name) for name in Source.__dataclass_fields__}
        command(Source(**fields), **options)

    gathered.__doc__ = command.__doc__
    gathered.__click_params__ = getattr(command, "__click_params__", [])  # pyright: ignore[reportFunctionMemberAccess]
    for option in (
        click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1 ..."),
        click.option("--checkpoint", help="Local weights: safetensors or a weights-only torch file."),
        click.option("--seed", default=0, show_default=True, help="Of the subset and of everything drawn."),
        click.option("--limit", type=click.IntRange(1), help="Look at a class-balanced subset of so many images."),
        click.option("--output", default="analysis", show_default=True, help="Folder for tables and figures."),
        click.option("--data", required=True, help="KIND:PATH, e.g. imagefolder:photos. See: weatherglass list data"),
        click.argument("models", nargs=-1, required=True),
    ):
        gathered = option(gathered)
    return gathered


@click.group("analyse", context_settings={"max_content_width": 110})
def command() -> None:
    """Disturb the model, or look inside it: lesions, attention distance, similarity, grouping, noise, gates.

    Every analysis writes a table (CSV) and figures (SVG, PNG, Vega-Lite) into a folder. Measured accuracies are kept
    in the folder's store, so a stopped analysis goes on where it was.

    \b
    weatherglass analyse lesions digits_vit --data digits:test
    weatherglass analyse grouping timm/vit_small_patch16_224.augreg_in1k --data imagefolder:photos --limit 256
    """


@command.command("lesions")
@click.option("--items", multiple=True, default=("blocks", "attentions", "mlps"), help="What is drawn at random.")
@click.option("--repeats", default=3, show_default=True, type=click.IntRange(0), help="Draws for each count; 0: none.")
@click.option("--after", default=0, show_default=True, type=click.IntRange(0), help="First blocks that are spared.")
@click.option("--disturb", "disturbance", help="Also disturb the input, e.g. fog@3.")
@common
def lesions(source: Source, items: Sequence[str], repeats: int, after: int, disturbance: str | None) -> None:
    """Accuracy without single blocks or branches, and without k of them drawn at random."""
    from weatherglass.analysis.lesions import Lesioned, available, random_lesions, single_lesions, structure_of
    from weatherglass.report import analysis_figures as figures

    images = source.images()
    rows: list[Row] = []
    predictors = source.predictors()
    structures = [structure_of(predictor, source.size(predictor, images)) for predictor in predictors]
    for predictor, structure in zip(predictors, structures, strict=True):
        usable = [item for item in items if available(structure, item, after)]
        studied: list[Lesioned] = single_lesions(structure)
        studied += random_lesions(structure, items=usable, repeats=repeats, after=after)
        suffix = f"+{disturbance}" if disturbance else ""
        run = _measured(source, predictor, images, [f"{one}{suffix}" for one in studied], disturbance)
        baseline = run.records[disturbance or "clean"].scores["top1"]
        order = [block.name for block in structure.trunk]
        for one in studied:
            branches = one.branches(structure)
            row = {"model": predictor.name, "lesion": str(one), "top1": run.records[f"{one}{suffix}"].scores["top1"]}
            row |= {"baseline": baseline, "block": None if one.random else order.index(branches[0].block)}
            row |= {
                "removed": one.random.count if one.random else 1,
                "repeat": one.random.repeat if one.random else None,
            }
            row["kind"] = one.random.items if one.random else branches[0].kind if len(branches) == 1 else "block"
            rows.append(row)
    single = [row for row in rows if row["block"] is not None]
    drawn = _over_repeats([row for row in rows if row["block"] is None])
    one = figures.lines(single, "block", "top1", "kind", title_y="accuracy without it", percent=True)
    charts = [
        figures.figure(
            "lesions_single", "One removed", "Accuracy without one block or branch.", figures.facets(one, "model")
        )
    ]
    if drawn:
        many = figures.lines(drawn, "removed", "top1", "kind", title_y="accuracy", percent=True, band=("low", "high"))
        caption = "Accuracy without k items drawn at random; band: lowest and highest draw."
        charts.append(figures.figure("lesions_random", "k removed", caption, figures.facets(many, "model")))
    _write(source.output, "lesions", rows, charts)


def _over_repeats(rows: list[Row]) -> list[Row]:
    """Mean, lowest and highest accuracy over the draws of each count, with the baseline as k = 0."""
    groups: dict[tuple[str, str, int], list[float]] = {}
    for row in rows:
        groups.setdefault((row["model"], row["kind"], 0), [row["baseline"]])
        groups.setdefault((row["model"], row["kind"], row["removed"]), []).append(row["top1"])
    return [
        {"model": m, "kind": kind, "removed": k, "top1": sum(v) / len(v), "low": min(v), "high": max(v)}
        for (m, kind, k), v in sorted(groups.items())
    ]


@command.command("distance")
@click.option("--metric", type=click.Choice(["chebyshev", "euclidean", "manhattan"]), default="chebyshev")
@click.option("--disturb", "disturbance", help="Also disturb the input, e.g. fog@3.")
@common
def distance(source: Source, metric: str, disturbance: str | None) -> None:
    """Accuracy with attention within a distance, beyond it, and without attention between patches in late blocks."""
    from weatherglass.analysis.attention_distance import AttentionDistance, kept_share
    from weatherglass.analysis.lesions import structure_of
    from weatherglass.report import analysis_figures as figures

    images = source.images()
    rows: list[Row] = []
    suffix = f"+{disturbance}" if disturbance else ""
    for predictor in source.predictors():
        structure = structure_of(predictor, source.size(predictor, images))
        blocks = list(AttentionDistance(0).blocks(structure).values())
        side = max(max(block.layout.grid) for block in blocks)
        studied = [("within", AttentionDistance(float(d), metric)) for d in range(side)]
        studied += [("beyond", AttentionDistance(float(d), metric, beyond=True)) for d in range(side)]
        studied += [("late", AttentionDistance(0.0, metric, first=-m)) for m in range(1, len(blocks) + 1)]
        texts = [f"{one}{suffix}" for _, one in studied]
        run = _measured(source, predictor, images, texts, disturbance)
        baseline = run.records[disturbance or "clean"].scores["top1"]
        rows.append({"model": predictor.name, "study": "late", "x": 0, "distance": None, "top1": baseline})
        for (study, one), text in zip(studied, texts, strict=True):
            row = {"model": predictor.name, "study": study, "x": -one.first if study == "late" else one.distance}
            row |= {"distance": one.distance, "top1": run.records[text].scores["top1"], "baseline": baseline}
            rows.append(row | {"kept_pairs": kept_share(blocks[0].layout.grid, one.distance, metric)})
    words = {
        "within": ("Attention within a distance", "distance in tokens"),
        "beyond": ("Attention beyond a distance only", "distance in tokens"),
        "late": ("No attention between patches in the last m blocks", "m"),
    }
    charts = []
    for study, (title, title_x) in words.items():
        part = [row for row in rows if row["study"] == study]
        spec = figures.lines(part, "x", "top1", "model", title_x=title_x, title_y="accuracy", percent=True)
        charts.append(figures.figure(f"distance_{study}", title, f"{title}: accuracy, no fine-tuning.", spec))
    _write(source.output, "distance", rows, charts)


@command.command("similarity")
@click.option("--tokens", type=click.Choice(["patches", "class", "all"]), default="patches", show_default=True)
@click.option("--between", is_flag=True, help="Compare the layers of the first model with those of the second.")
@common
def similarity(source: Source, tokens: str, between: bool) -> None:
    """How alike the layers are: cosine, Pearson and CKA; heat maps and the curve of adjacent layers."""
    from weatherglass.analysis.similarity import layer_similarity
    from weatherglass.errors import UserError
    from weatherglass.report import analysis_figures as figures

    predictors, images = source.predictors(), source.images()
    if between and len(predictors) != 2:
        raise UserError(f"--between compares two models, and {len(predictors)} were named.")
    rows: list[Row] = []
    curve: list[Row] = []
    for predictor in predictors[:1] if between else predictors:
        found = layer_similarity(predictor, images, second=predictors[1] if between else None, tokens=tokens)
        for one in found:
            label = f"{predictor.name} {one.measure}"
            for i, name in enumerate(one.rows):
                for j, other in enumerate(one.columns):
                    values = {"similarity": float(one.matrix[i, j]), "row": i, "column": j}
                    rows.append({"model": predictor.name, "measure": one.measure, "panel": label} | values)
                    rows[-1] |= {"layer": name, "other": other}
            if not between:
                pairs = [(i + 1, float(v)) for i, v in enumerate(one.adjacent) if v == v]
                curve += [{"model": predictor.name, "measure": one.measure, "x": i, "similarity": v} for i, v in pairs]
    title = f"Similarity of layers ({tokens})"
    charts = [figures.figure(f"similarity_{tokens}", title, title, figures.matrix(rows, "panel"))]
    if curve:
        spec = figures.lines(curve, "x", "similarity", "measure", title_x="layer", title_y="with the next", zero=False)
        charts.append(
            figures.figure(f"similarity_{tokens}_adjacent", "Adjacent layers", title, figures.facets(spec, "model"))
        )
    _write(source.output, f"similarity_{tokens}", rows, charts)


@command.command("grouping")
@click.option("--sigma", default=0.18, show_default=True, help="Standard deviation of the noise on pixels in [0, 1].")
@click.option("--normalisation", type=click.Choice(["l2", "softmax", "none"]), default="l2", show_default=True)
@click.option("--threshold", default="1", type=click.Choice(["0.1", "0.5", "1", "2", "5"]), show_default=True)
@click.option("--draws", default=5, show_default=True, type=click.IntRange(1), help="Of the noise, for each image.")
@common
def grouping(source: Source, sigma: float, normalisation: str, threshold: str, draws: int) -> None:
    """Significant eigenvalues of the token affinity and the decay of input noise, block by block."""
    import numpy as np

    from weatherglass.analysis.noise_decay import middle_correlation, noise_decay, spectrum
    from weatherglass.report import analysis_figures as figures

    images = source.images()
    rows: list[Row] = []
    for predictor in source.predictors():
        seen = spectrum(predictor, images, normalisation=normalisation)
        noise = noise_decay(predictor, images, sigma=sigma, draws=draws, seed=source.seed)
        for i, layer in enumerate(seen.layers):
            counts = {f"significant_{key:g}": float(np.median(v[:, i])) for key, v in seen.significant.items()}
            chosen = counts[f"significant_{threshold}"]
            row = {"model": predictor.name, "layer": i, "name": layer.name, "tokens": layer.layout.tokens}
            row |= {"share": chosen / layer.layout.tokens, "noise": float(noise.noise[:, i].mean())}
            row |= {"decay": float(noise.decay[i]), "depth": i / (len(seen.layers) - 1)}
            row |= {
                "zero": float(np.median(seen.zero[:, i])),
                "effective_rank": float(seen.effective_rank[:, i].mean()),
            }
            rows.append(row | counts | {"downsamples": layer.downsamples})
        rank, low, high = middle_correlation(seen, noise, threshold=float(threshold))
        click.echo(
            f"{predictor.name}: grouping and noise over the middle blocks, Spearman {rank:.2f} [{low:.2f}, {high:.2f}]"
        )
    both = "Bars: share of eigenvalues above the threshold (median over images). Line: noise in relation to the tokens."
    decay = figures.lines(
        rows,
        "depth",
        "decay",
        "model",
        title_x="relative depth",
        title_y="noise / noise at embedding",
        marks="downsamples",
    )
    charts = [
        figures.figure("grouping", "Grouping of tokens and decay of noise", both, figures.grouping(rows)),
        figures.figure("noise_decay", "Decay of noise", "Rings: the resolution falls.", decay),
    ]
    _write(source.output, "grouping", rows, charts)


@command.command("clusters")
@click.option("--clusters", default=4, show_default=True, type=click.IntRange(2, 8))
@click.option("--affinity", type=click.Choice(["product", "pearson"]), default="product", show_default=True)
@click.option("--layers", help="Positions of layers, e.g. 0,2,4 (0: embedding); default: all.")
@click.option("--disturb", "disturbances", multiple=True, default=("gaussian_noise@3",), show_default=True)
@click.option("--pictures", default=6, show_default=True, type=click.IntRange(1), help="Images in the picture.")
@common
def clusters(
    source: Source, clusters: int, affinity: str, layers: str | None, disturbances: Sequence[str], pictures: int
) -> None:
    """Spectral clusters of the tokens, painted over the images; are they the same under corruption?"""
    from dataclasses import replace

    from weatherglass.analysis.clusters import cluster_maps, contact_sheet
    from weatherglass.evaluation.conditions import parse_disturbance
    from weatherglass.report import analysis_figures as figures

    images = source.images()
    rows: list[Row] = []
    for predictor in source.predictors():
        found = cluster_maps(
            predictor,
            images,
            clusters=clusters,
            affinity=affinity,
            layers=[int(one) for one in layers.split(",")] if layers else None,
            disturbances=[parse_disturbance(text) for text in disturbances],
            seed=source.seed,
        )
        for i, layer in enumerate(found.layers):
            row = {"model": predictor.name, "layer": i, "name": layer.name, "coherence": found.coherence[i]}
            for text, values in found.stability.items():
                rows.append(row | {"disturbance": text, "stability": values[i]})
        few = replace(found, images=found.images[:pictures], labels=tuple(one[:pictures] for one in found.labels))
        picture = Path(source.output) / f"clusters_{_file_name(predictor.name)}.png"
        figures.save_picture(contact_sheet(few), picture)
        click.echo(f"wrote {picture}")
    spec = figures.lines(rows, "layer", "stability", "model", title_y="adjusted Rand index, clean and disturbed")
    caption = "Agreement of clusters on clean and disturbed images."
    charts = [figures.figure("clusters_stability", "Stability", caption, figures.facets(spec, "disturbance"))]
    _write(source.output, "clusters", rows, charts)


@command.command("gates")
@common
def gates(source: Source) -> None:
    """How far channel attention really gates: percentiles of its gates in every block."""
    from weatherglass.analysis.gates import PERCENTILES, gate_distributions
    from weatherglass.report import analysis_figures as figures

    images = source.images()
    rows: list[Row] = []
    for predictor in source.predictors():
        for block, one in enumerate(gate_distributions(predictor, images)):
            row = {"model": predictor.name, "block": block, "name": one.name, "mean": one.mean}
            row |= {f"p{percent}": value for percent, value in zip(PERCENTILES, one.percentiles, strict=True)}
            row |= {"between_channels": one.between_channels, "between_images": one.between_images}
            temperature = one.temperature or (None, None)
            rows.append(row | {"temperature_min": temperature[0], "temperature_max": temperature[1]})
    caption = "Dot: mean; bar: quartiles; line: 1st to 99th percentile over images and channels."
    _write(source.output, "gates", rows, [figures.figure("gates", "Gates", caption, figures.gates(rows))])


@command.command("attention")
@click.option("--disturb", "disturbance", default="gaussian_noise@3", show_default=True)
@click.option("--pictures", default=6, show_default=True, type=click.IntRange(1), help="Images in the picture.")
@common
def attention(source: Source, disturbance: str, pictures: int) -> None:
    """Where the model looks: attention rollout and class activation, clean beside disturbed, and how far both agree."""
    from weatherglass.analysis.look import looks, looks_sheet
    from weatherglass.evaluation.conditions import parse_disturbance
    from weatherglass.report import analysis_figures as figures

    images = source.images()
    disturbed = parse_disturbance(disturbance)
    rows: list[Row] = []
    for predictor in source.predictors():
        found = looks(predictor, images, disturbed, seed=source.seed)
        for method, values in found.agreement.items():
            pairs = zip(images.ids, values, strict=True)
            rows += [{"model": predictor.name, "map": method, "id": i, "correlation": float(v)} for i, v in pairs]
        picture = Path(source.output) / f"attention_{_file_name(predictor.name)}.png"
        figures.save_picture(looks_sheet(found, pictures), picture)
        click.echo(f"wrote {picture}  columns: {', '.join(found.columns)}")
    _write(source.output, "attention", rows, [])


@command.command("bottleneck")
@click.option("--output", default="analysis", show_default=True, help="Folder for tables and figures.")
@click.option("--beta", default=1.0, show_default=True, help="Relevance against compression; the paper's is 2.")
@click.option("--iterations", default=100, show_default=True, type=click.IntRange(1))
def bottleneck(output: str, beta: float, iterations: int) -> None:
    """The information bottleneck step, slot attention and self-attention merge the points of a known mixture."""
    from dataclasses import asdict

    from weatherglass.analysis.bottleneck import STEPS, gaussian_mixture, iterate
    from weatherglass.report import analysis_figures as figures

    points, truth = gaussian_mixture()
    every = max(1, iterations // 50)
    rows: list[Row] = []
    for step in STEPS:
        found = iterate(points, truth, step=step, iterations=iterations, every=every, beta=beta)
        rows += [asdict(one) | {"beta": beta} for one in found]
    charts = []
    for field, title in (
        ("objective", "I(i;c) - beta I(x;c)"),
        ("distinct", "distinct centres"),
        ("agreement", "adjusted Rand index with the truth"),
    ):
        part = [row for row in rows if row[field] is not None]
        spec = figures.lines(part, "iteration", field, "step", title_y=title, zero=False)
        charts.append(figures.figure(f"bottleneck_{field}", title, f"{title}; beta = {beta:g}.", spec))
    _write(output, "bottleneck", rows, charts)


def _measured(
    source: Source, predictor: "Predictor", images: "ImageData", texts: Sequence[str], disturbance: str | None
) -> "Run":
    """The run of `predictor` with every condition of `texts`, measured where the folder's store lacks it."""
    from weatherglass.cli.progress import Terminal
    from weatherglass.evaluation.evaluate import EvaluationSettings, evaluate

    wanted = [*([disturbance] if disturbance else []), *texts]
    with Terminal() as terminal:
        evaluation = evaluate(
            predictor,
            data=images,
            store=Path(source.output) / "store",
            disturbances=wanted,
            settings=EvaluationSettings(seed=source.seed),
            listener=terminal,
        )
    return evaluation.runs[0]


def _write(output: str, name: str, rows: list[Row], charts: "Sequence[Figure]") -> None:
    """The table, the figures, and a line about each."""
    from weatherglass.evaluation.files import write_text
    from weatherglass.report.analysis_figures import csv_text
    from weatherglass.report.charts import save_figure

    folder = Path(output)
    write_text(folder / f"{name}.csv", csv_text(rows))
    click.echo(f"wrote {folder / f'{name}.csv'} ({len(rows)} rows)")
    for chart in charts:
        paths = save_figure(chart, folder)
        click.echo(f"wrote {paths[1]}  {chart.caption}")


def _file_name(model: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in model.split("/")[-1])
