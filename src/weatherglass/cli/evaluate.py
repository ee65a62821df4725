"""`weatherglass evaluate`: measure models, clean and under disturbances."""

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from weatherglass.evaluation.evaluate import Evaluation, EvaluationSettings
    from weatherglass.types import Predictor


@dataclass(frozen=True)
class Options:
    """What the command line said, one field an option."""

    models: tuple[str, ...]
    data: str
    store: str
    suite: str | None = None
    disturbances: tuple[str, ...] = ()
    reference: str | None = None
    limit: int | None = None
    fraction: float | None = None
    seed: int = 0
    checkpoint: str | None = None
    pretrained: bool | None = None
    ema: bool | None = None
    classes: int | None = None
    preprocessing: str | None = None
    windows: str | None = None
    definition: str = "imagecorruptions"
    calibration: str = "auto"
    frost: str = "auto"
    backend: str = "auto"
    reencode: str | None = None
    outputs: str = "auto"
    device: str = "auto"
    precision: str = "float32"
    batch_size: int = 64
    forward_batch: int | None = None
    workers: int = 0
    skip_unreadable: bool = False
    only_plan: bool = False


@click.command("evaluate")
@click.argument("models", nargs=-1, required=True)
@click.option("--data", required=True, help="KIND:PATH, e.g. imagefolder:photos/val. See: weatherglass list data")
@click.option("--store", default="runs/evaluation", show_default=True, help="Folder that keeps the results.")
@click.option("--suite", help="A named set of conditions [default: imagenet-c]. See: weatherglass list suites")
@click.option("--disturb", "disturbances", multiple=True, help="A condition such as fog@3; fog alone: severities 1-5.")
@click.option("--reference", help="STORE or STORE::MODEL whose errors normalise mCE; default: AlexNet on ImageNet.")
@click.option("--limit", type=click.IntRange(1), help="Measure so many images; each class keeps its share.")
@click.option("--fraction", type=click.FloatRange(0, 1, min_open=True), help="Measure such a share of the images.")
@click.option("--seed", default=0, show_default=True, help="Seed of the disturbances and of the subset.")
@click.option("--checkpoint", help="Local weights: safetensors or a weights-only torch file.")
@click.option("--ema/--no-ema", default=None, help="Which weights, where a checkpoint holds averaged ones too.")
@click.option("--pretrained/--random", default=None, help="Published weights, or random ones, for timm/torchvision.")
@click.option("--classes", type=click.IntRange(2), help="Number of classes, where the model must be told.")
@click.option("--preprocessing", help="Overrides the model's own: 'resize 256 bicubic, crop 224, mean .., std ..'.")
@click.option("--windows", help="Segmenters: infer by windows, SIZE/STRIDE in pixels, e.g. 1024/768 [default: whole].")
@click.option("--definition", default="imagecorruptions", show_default=True, help="Or: imagenet-c (Hendrycks, 224 px).")
@click.option("--calibration", type=click.Choice(["auto", "224", "64", "32"]), default="auto", show_default=True)
@click.option("--frost", default="auto", show_default=True, help="procedural, reference, or a folder of textures.")
@click.option("--backend", default="auto", show_default=True, help="Of the corruptions: torch or numba.")
@click.option("--reencode", type=click.Choice(["jpeg85"]), help="Re-encode corrupted images like the published files.")
@click.option("--outputs", default="auto", show_default=True, help="Which compete: all, imagenet-a, imagenet-r ...")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1 ...")
@click.option("--precision", default="float32", show_default=True, help="float32, bfloat16 or float16.")
@click.option("--batch-size", type=click.IntRange(1), default=64, show_default=True, help="Images disturbed at a time.")
@click.option("--forward-batch", type=click.IntRange(1), help="Images per forward pass [default: 32 CPU, 256 GPU].")
@click.option("--workers", type=click.IntRange(0), default=0, help="Threads that decode [default: one per processor].")
@click.option("--skip-unreadable", is_flag=True, help="Leave out files that do not decode, and say so.")
@click.option("--plan", "only_plan", is_flag=True, help="Print the plan and stop; nothing is written.")
def command(**options: Any) -> None:
    """Measure MODELS on DATA, clean and under every condition of a suite.

    Prints a plan before anything runs. Every condition is kept as soon as it is measured: stop at any time, the
    same command goes on. Models: fan_..., timm/NAME, torchvision/NAME, file.py:factory, model.onnx, model.pt2.

    \b
    weatherglass evaluate timm/resnet50.a1_in1k --data imagefolder:photos/val --store runs/first
    weatherglass evaluate my_model.py:build --data cifar10:data --suite imagenet-c --limit 2000
    """
    from weatherglass.cli.progress import print_failures, print_summaries
    from weatherglass.evaluation.runs import find_run

    given = Options(**options)
    reference = find_run(given.reference) if given.reference else None
    evaluation = measure(given)
    if evaluation is None:
        return
    print_summaries(evaluation.runs, reference=reference)
    print_failures(evaluation)
    sys.exit(2 if evaluation.failed else 0)


def measure(options: Options) -> "Evaluation | None":
    """Plan and measure, with a plan and progress on the terminal; None when only the plan was asked for."""
    from weatherglass.cli.progress import Terminal
    from weatherglass.data.load import load_data
    from weatherglass.evaluation.evaluate import plan_evaluation, run_plans

    settings = _settings(options)
    data = load_data(options.data, limit=options.limit, fraction=options.fraction, seed=options.seed)
    predictors = _predictors(options)
    with Terminal() as terminal:
        plans, store = plan_evaluation(
            predictors,
            data=data,
            store=options.store,
            suite=options.suite,
            disturbances=options.disturbances,
            settings=settings,
            listener=terminal,
            only_plan=options.only_plan,
        )
        terminal.planned(plans)
        if options.only_plan:
            return None
        return run_plans(plans, store, settings=settings, listener=terminal)


def _settings(options: Options) -> "EvaluationSettings":
    from weatherglass.evaluation.conditions import CorruptionChoices
    from weatherglass.evaluation.evaluate import EvaluationSettings

    return EvaluationSettings(
        seed=options.seed,
        batch_size=options.batch_size,
        forward_batch=options.forward_batch,
        workers=options.workers,
        skip_unreadable=options.skip_unreadable,
        outputs=options.outputs,
        choices=CorruptionChoices(
            definition=options.definition,
            calibration="auto" if options.calibration == "auto" else int(options.calibration),
            frost=options.frost,
            backend=options.backend,
            reencode=options.reencode,
        ),
    )


def _predictors(options: Options) -> "list[Predictor]":
    from weatherglass.models.load import load_predictor
    from weatherglass.models.preprocessing import PreprocessingOverride

    override = PreprocessingOverride.parse(options.preprocessing) if options.preprocessing else None
    return [
        load_predictor(
            model,
            checkpoint=options.checkpoint,
            pretrained=options.pretrained,
            classes=options.classes,
            device=options.device,
            precision=options.precision,
            preprocessing=override,
            ema=options.ema,
            windows=options.windows,
        )
        for model in options.models
    ]
