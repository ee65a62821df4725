"""Where a model looks, clean beside disturbed: attention rollout and class activation."""

from dataclasses import dataclass

from weatherglass.analysis.look import looks, looks_sheet
from weatherglass.evaluation.conditions import parse_disturbance
from weatherglass.evaluation.studies import Card, Row, Sheet, Study
from weatherglass.report import analysis_figures as figures
from weatherglass.studies.bench import Bench
from weatherglass.studies.clusters import file_name
from weatherglass.studies.evidence import mean_estimate

CARD = Card(
    name="attention",
    title="Where the model looks",
    question="Does a disturbance move what the model attends to and what speaks for its class?",
    source="Abnar and Zuidema, ACL 2020 (rollout); Selvaraju et al., ICCV 2017 (class activation)",
    expected=(),
    caution="Rollout follows attention alone and says nothing of the class; neither map proves what the model uses. "
    "The papers make no claim that a number here could bear out.",
)


@dataclass(frozen=True)
class AttentionSettings:
    """What is shown."""

    disturbance: str = "gaussian_noise@3"
    pictures: int = 6


def study(bench: Bench, settings: AttentionSettings = AttentionSettings()) -> Study:
    """Both maps of every image, clean and disturbed, and how far they agree."""
    disturbance = parse_disturbance(settings.disturbance)
    rows: list[Row] = []
    means: list[Row] = []
    sheets: list[Sheet] = []
    for predictor in bench.predictors:
        found = looks(predictor, bench.images, disturbance, seed=bench.seed, pictures=settings.pictures)
        for method, values in found.agreement.items():
            pairs = zip(bench.images.ids, values, strict=True)
            rows += [{"model": predictor.name, "map": method, "id": i, "correlation": float(v)} for i, v in pairs]
            mean = mean_estimate(values)
            about = {"map": f"{method}, {predictor.name}", "low": mean.low, "high": mean.high}
            means.append(about | {"correlation": mean.value})
        picture = figures.png_of(looks_sheet(found, settings.pictures))
        caption = f"{predictor.name}; columns: {', '.join(found.columns)}."
        sheets.append(Sheet(f"attention_{file_name(predictor.name)}", caption, picture))
    spec = figures.interval_dots(means, "map", "correlation", title=f"correlation of clean and {settings.disturbance}")
    caption = "Mean over images of the correlation of both maps over the grid, with the 95 % interval; 1: the same."
    chart = figures.figure("attention_agreement", "Do the maps agree?", caption, spec)
    return bench.study(CARD, vars(settings), tables={"attention": rows}, figures=[chart], sheets=sheets)
