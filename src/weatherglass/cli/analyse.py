"""`weatherglass analyse`: disturb the model, or look inside it, and see why it behaves as it does."""

from pathlib import Path

import click

from weatherglass.cli.analysis_options import Common, common, places, write_study


@click.group("analyse", context_settings={"max_content_width": 110})
def command() -> None:
    """Disturb the model, or look inside it: lesions, attention distance, similarity, grouping, noise, gates.

    Every analysis writes tables (CSV) and figures (SVG, PNG, Vega-Lite) into a folder, says what the papers lead one
    to expect and whether the numbers bear it out, and is kept in a store, which `weatherglass report` draws as a page.
    Measured accuracies are kept there too, so a stopped analysis goes on where it was.

    \b
    weatherglass analyse lesions digits_vit --data digits:test
    weatherglass analyse grouping timm/vit_small_patch16_224.augreg_in1k --data images:photos --limit 256
    """


@command.command("lesions")
@click.option("--items", multiple=True, default=("blocks", "attentions", "mlps"), help="What is drawn at random.")
@click.option("--repeats", default=3, show_default=True, type=click.IntRange(0), help="Draws for each count; 0: none.")
@click.option("--after", default=0, show_default=True, type=click.IntRange(0), help="First blocks that are spared.")
@click.option("--equal", is_flag=True, help="Also whole blocks against as many scattered branches.")
@click.option("--disturb", "inputs", multiple=True, help="Under these inputs instead, e.g. clean and fog@3.")
@common
def lesions(
    source: Common, items: tuple[str, ...], repeats: int, after: int, equal: bool, inputs: tuple[str, ...]
) -> None:
    """Accuracy without single blocks or branches, and without k of them drawn at random."""
    from weatherglass.studies.lesions import LesionSettings, study

    settings = LesionSettings(items, repeats, after, equal, inputs or ("clean",))
    source.run(lambda bench: study(bench, settings))


@command.command("distance")
@click.option("--metric", type=click.Choice(["chebyshev", "euclidean", "manhattan"]), default="chebyshev")
@click.option("--by-block", "near", type=click.FloatRange(0), help="Also this distance from, and up to, each block.")
@click.option("--disturb", "condition", default="clean", help="Under this input instead, e.g. fog@3.")
@common
def distance(source: Common, metric: str, near: float | None, condition: str) -> None:
    """Accuracy with attention within a distance, beyond it, and without attention between patches in late blocks."""
    from weatherglass.studies.distance import DistanceSettings, study

    settings = DistanceSettings(metric, near, condition)
    source.run(lambda bench: study(bench, settings))


@command.command("redundancy")
@click.option("--repeats", default=3, show_default=True, type=click.IntRange(1), help="Draws for each count.")
@click.option("--after", default=0, show_default=True, type=click.IntRange(0), help="First blocks that are spared.")
@common
def redundancy(source: Common, repeats: int, after: int) -> None:
    """Accuracy against the multiply-adds that are left when blocks, branches or attention go."""
    from weatherglass.studies.redundancy import RedundancySettings, study

    settings = RedundancySettings(repeats, after)
    source.run(lambda bench: study(bench, settings))


@command.command("similarity")
@click.option("--tokens", type=click.Choice(["patches", "class", "all"]), default="patches", show_default=True)
@click.option("--between", is_flag=True, help="Compare the layers of the first model with those of the second.")
@common
def similarity(source: Common, tokens: str, between: bool) -> None:
    """How alike the layers are: cosine, Pearson and CKA; heat maps and the curve of adjacent layers."""
    from weatherglass.studies.similarity import SimilaritySettings, study

    settings = SimilaritySettings(tokens, between)
    source.run(lambda bench: study(bench, settings))


@command.command("grouping")
@click.option(
    "--sigma",
    default=0.18,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="Standard deviation of the noise on pixels in [0, 1].",
)
@click.option("--draws", default=5, show_default=True, type=click.IntRange(1), help="Of the noise, for each image.")
@click.option("--noise", "mode", type=click.Choice(["difference", "pure"]), default="difference", show_default=True)
@click.option("--normalisation", type=click.Choice(["l2", "softmax", "none"]), default="l2", show_default=True)
@click.option("--threshold", default="1", type=click.Choice(["0.1", "0.5", "1", "2", "5"]), show_default=True)
@common
def grouping(source: Common, sigma: float, draws: int, mode: str, normalisation: str, threshold: str) -> None:
    """Significant eigenvalues of the token affinity and the decay of input noise, block by block."""
    from weatherglass.studies.grouping import GroupingSettings, study

    settings = GroupingSettings(sigma, draws, mode, normalisation, float(threshold))
    source.run(lambda bench: study(bench, settings))


@command.command("clusters")
@click.option("--clusters", default=4, show_default=True, type=click.IntRange(2, 8))
@click.option("--affinity", type=click.Choice(["product", "pearson"]), default="product", show_default=True)
@click.option("--layers", help="Positions of layers, e.g. 0,2,4 (0: embedding); default: all.")
@click.option("--disturb", "disturbances", multiple=True, default=("gaussian_noise@3",), show_default=True)
@click.option("--pictures", default=6, show_default=True, type=click.IntRange(1), help="Images in the picture.")
@common
def clusters(
    source: Common, clusters: int, affinity: str, layers: str | None, disturbances: tuple[str, ...], pictures: int
) -> None:
    """Spectral clusters of the tokens, painted over the images; are they objects, and the same under corruption?"""
    from weatherglass.studies.clusters import ClusterSettings, study

    settings = ClusterSettings(clusters, affinity, _positions(layers), disturbances, pictures)
    source.run(lambda bench: study(bench, settings))


def _positions(text: str | None) -> tuple[int, ...] | None:
    try:
        return tuple(int(one) for one in text.split(",")) if text else None
    except ValueError:
        raise click.BadParameter(f"'{text}' is no list of positions such as 0,2,4.", param_hint="--layers") from None


@command.command("gates")
@common
def gates(source: Common) -> None:
    """How far channel attention really gates: percentiles of its gates in every block."""
    from weatherglass.studies.gates import study

    source.run(study)


@command.command("attention")
@click.option("--disturb", "disturbance", default="gaussian_noise@3", show_default=True)
@click.option("--pictures", default=6, show_default=True, type=click.IntRange(1), help="Images in the picture.")
@common
def attention(source: Common, disturbance: str, pictures: int) -> None:
    """Where the model looks: attention rollout and class activation, clean beside disturbed, and how far both agree."""
    from weatherglass.studies.attention import AttentionSettings, study

    settings = AttentionSettings(disturbance, pictures)
    source.run(lambda bench: study(bench, settings))


@command.command("bottleneck")
@click.option("--beta", default=1.0, show_default=True, help="Relevance against compression; the paper's is 2.")
@click.option("--iterations", default=100, show_default=True, type=click.IntRange(1))
@places
def bottleneck(beta: float, iterations: int, output: Path, store: Path | None) -> None:
    """The information bottleneck step, slot attention and self-attention merge the points of a known mixture."""
    from weatherglass.studies.bottleneck import BottleneckSettings, study

    write_study(study(BottleneckSettings(beta, iterations)), output, store or output / "store")
