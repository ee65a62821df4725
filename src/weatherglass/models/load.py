"""From a name to a predictor: timm, torchvision, our own networks, the user's code, exported files."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from weatherglass.errors import UserError
from weatherglass.models.digits import DIGITS_MODELS
from weatherglass.models.names import ALIASES, MODELS, model_name
from weatherglass.models.predictor import TorchPredictor
from weatherglass.models.preprocessing import PreprocessingOverride, from_timm_config
from weatherglass.models.segmenter_names import HEADS, is_segmenter
from weatherglass.models.trained import TRAINED_MODELS, build_trained_model
from weatherglass.types import Predictor, Preprocessing
from weatherglass.user_code import call_user_factory, names_user_code

if TYPE_CHECKING:
    from weatherglass.models.checkpoint import Checkpoint
    from weatherglass.models.load_segmenter import BuiltSegmenter

FORMS = (
    "timm/NAME, torchvision/NAME, fan_*, digits_vit, cifar10_fan_vit, HEAD/BACKBONE (segmenters), "
    "huggingface/FOLDER (segmenters), path/to/file.py:factory, package.module:factory, "
    "a .safetensors file that `weatherglass train` wrote, or a file that ends in .onnx, .pt2 or .torchscript"
)
EXPORTED_ENDINGS = (".onnx", ".pt2", ".torchscript", ".ts", ".pt", ".jit")


@dataclass(frozen=True)
class _Network:
    """A built network with what its library knows of it."""

    module: nn.Module
    preprocessing: Preprocessing
    class_names: tuple[str, ...] | None = None
    task: str = "classification"


def load_predictor(
    spec: str,
    *,
    checkpoint: str | Path | None = None,
    pretrained: bool | None = None,
    classes: int | None = None,
    device: str | torch.device = "auto",
    precision: str = "float32",
    preprocessing: PreprocessingOverride | None = None,
    ema: bool | None = None,
    windows: str | None = None,
) -> Predictor:
    """The model that `spec` names, ready to predict images in [0, 1].

    `spec` is one of `timm/NAME`, `torchvision/NAME`, `fan_*`, `path/to/file.py:factory`, `package.module:factory`
    (a function without arguments that returns a torch.nn.Module or a Predictor), or the path of an ONNX,
    torch.export (.pt2) or TorchScript file.

    `checkpoint` is a file of weights for the named architecture; `ema` chooses the averaged weights in it (None: the
    checkpoint reader's choice). `pretrained` False gives random weights, the same ones every time; None means the
    published weights unless there is a checkpoint. `classes` changes the number of outputs where the library can.
    A segmenter is `segformer/fan_hybrid_micro_64`, say (`weatherglass list segmenters`), and gives a
    `SegmentationPredictor`; `windows`, e.g. '1024/768', makes it infer by overlapping windows of that size and stride.
    Raises `UserError` for whatever cannot be found, loaded or placed.
    """
    override = preprocessing or PreprocessingOverride()
    if Path(spec).suffix in EXPORTED_ENDINGS:
        from weatherglass.models.exported import load_exported

        _refuse(spec, checkpoint=checkpoint, pretrained=pretrained, classes=classes, ema=ema, windows=windows)
        return load_exported(spec, override.apply(Preprocessing()), device=device, precision=precision)
    weights = None
    if checkpoint is not None:
        from weatherglass.models.checkpoint import load_checkpoint

        weights = load_checkpoint(checkpoint, ema=ema)
    with _repeatable_initialisation():
        built = _build(spec, pretrained=pretrained, weights=weights, classes=classes)
    if isinstance(built, Predictor):
        _refuse(spec, checkpoint=checkpoint, preprocessing=preprocessing, ema=ema, windows=windows)
        return built
    if weights is not None:
        from weatherglass.models.checkpoint import fit_checkpoint

        fit_checkpoint(built.module, weights)
    wanted = override.apply(built.preprocessing)
    if built.task == "segmentation":
        return _segmenter(built, spec, wanted, windows, device, precision)
    _refuse(spec, windows=windows)
    predictor = TorchPredictor(built.module, name=spec, preprocessing=wanted, device=device, precision=precision)
    if built.class_names is not None and len(built.class_names) == predictor.classes:
        predictor.class_names = built.class_names
    return predictor


def _segmenter(
    built: "_Network",
    spec: str,
    preprocessing: Preprocessing,
    windows: str | None,
    device: str | torch.device,
    precision: str,
) -> Predictor:
    from weatherglass.models.segmentation_predictor import SegmentationPredictor, Windows

    predictor = SegmentationPredictor(
        built.module,
        name=spec,
        preprocessing=preprocessing,
        windows=Windows.parse(windows) if windows else None,
        device=device,
        precision=precision,
    )
    if built.class_names is not None and len(built.class_names) == predictor.classes:
        predictor.class_names = built.class_names
    return predictor


def _build(
    spec: str, *, pretrained: bool | None, weights: "Checkpoint | None", classes: int | None
) -> "_Network | Predictor":
    library, slash, name = spec.partition("/")
    published = pretrained if pretrained is not None else weights is None
    if is_segmenter(spec) and not names_user_code(spec):
        from weatherglass.models.load_segmenter import build_named

        state = dict(weights.state_dict) if weights is not None else None
        return _dense(build_named(spec, published=published, classes=classes, state=state))
    if names_user_code(spec):
        _refuse(spec, pretrained=pretrained, classes=classes)
        return _from_user(spec)
    if library == "torchvision" and slash:
        from weatherglass.models.load_segmenter import from_torchvision, is_torchvision_segmenter

        if is_torchvision_segmenter(name):
            return _dense(from_torchvision(name, published, classes))
        return _from_torchvision(name, published, classes)
    if library == "timm" and slash:
        return _from_timm(name, published, classes, source="timm")
    if Path(spec).suffix == ".safetensors" and (described := _from_described(spec)) is not None:
        _refuse(spec, pretrained=pretrained, classes=classes)
        return described
    if spec in DIGITS_MODELS:
        _refuse(spec, classes=classes)
        return _from_digits(spec, trained=published)
    if spec in TRAINED_MODELS:
        _refuse(spec, classes=classes)
        module, description = build_trained_model(spec, trained=published)
        return _Network(module, description.preprocessing, description.class_names)
    if spec in MODELS or spec in ALIASES or spec.startswith("fan_"):
        return _from_ours(spec, published, classes)
    raise UserError(_unknown_form(spec))


def _dense(built: "BuiltSegmenter") -> "_Network":
    return _Network(built.module, built.preprocessing, built.class_names, "segmentation")


def _from_digits(name: str, *, trained: bool) -> _Network:
    from weatherglass.models.digits import CLASSES, build_digits_model

    scaled = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), source="weatherglass")
    return _Network(build_digits_model(name, trained=trained), scaled, CLASSES)


def _from_described(spec: str) -> _Network | None:
    """A file of weights that says which network it belongs to; None for one that does not."""
    from weatherglass.models.described import build_described, describe

    path = Path(spec).expanduser()
    description = describe(path)
    if description is None:
        return None
    task = "segmentation" if is_segmenter(description.name) else "classification"
    return _Network(build_described(path, description), description.preprocessing, description.class_names, task)


def _from_ours(name: str, published: bool, classes: int | None) -> _Network:
    model_name(name)
    if published:
        raise UserError(f"No weights of {name} come with Weatherglass: give --checkpoint FILE, or --random.")
    import weatherglass.models.registration  # noqa: F401  (tells timm about our models)

    return _from_timm(name, False, classes, source="weatherglass")


def _from_timm(name: str, published: bool, classes: int | None, source: str) -> _Network:
    import timm
    from timm.data.config import resolve_model_data_config

    from weatherglass.models.published import check_timm_name, fetch

    check_timm_name(name, published)
    arguments: dict[str, Any] = {} if classes is None else {"num_classes": classes}

    def build() -> nn.Module:
        return timm.create_model(name, pretrained=published, **arguments)

    module = fetch(build, f"timm/{name}") if published else build()
    config = {**getattr(module, "pretrained_cfg", {}), **resolve_model_data_config(module)}
    return _Network(module, from_timm_config(config, source), _imagenet_names(config))


def _imagenet_names(config: dict[str, Any]) -> tuple[str, ...] | None:
    if config.get("num_classes") != 1000:
        return None
    from timm.data.imagenet_info import ImageNetInfo

    return tuple(ImageNetInfo("imagenet-1k").label_descriptions(detailed=False))


def _from_torchvision(name: str, published: bool, classes: int | None) -> _Network:
    import warnings

    import torchvision.models

    from weatherglass.errors import UnknownName
    from weatherglass.models.published import fetch

    known = torchvision.models.list_models(module=torchvision.models)
    if name not in known:
        raise UnknownName("torchvision classifier", name, known)
    weights: Any = torchvision.models.get_model_weights(name).DEFAULT  # pyright: ignore[reportAttributeAccessIssue]
    if published and classes not in (None, len(weights.meta["categories"])):
        raise UserError(
            f"The published weights of torchvision/{name} have {len(weights.meta['categories'])} classes, not "
            f"{classes}: give --checkpoint FILE, or --random (pretrained=False)."
        )
    arguments: dict[str, Any] = {} if classes is None else {"num_classes": classes}

    def build() -> nn.Module:
        with warnings.catch_warnings():  # googlenet and inception announce a change of their default initialisation
            warnings.simplefilter("ignore", FutureWarning)
            return torchvision.models.get_model(name, weights=weights if published else None, **arguments)

    module = fetch(build, f"torchvision/{name}") if published else build()
    transforms = weights.transforms()
    preprocessing = Preprocessing(
        size=(transforms.crop_size[0],) * 2,
        resize=transforms.resize_size[0],
        interpolation=transforms.interpolation.value,
        mean=tuple(transforms.mean),
        std=tuple(transforms.std),
        source="torchvision",
    )
    return _Network(module, preprocessing, tuple(weights.meta["categories"]))


def _from_user(spec: str) -> "_Network | Predictor":
    made = call_user_factory(spec, "a torch.nn.Module or a weatherglass.Predictor")
    if isinstance(made, Predictor):
        return made
    if not isinstance(made, nn.Module):
        raise UserError(
            f"{spec} returned a {type(made).__name__}; it must return a torch.nn.Module or a weatherglass.Predictor."
        )
    names = getattr(made, "class_names", None)
    task = getattr(made, "task", "classification")
    if task not in ("classification", "segmentation"):
        raise UserError(f"{spec}: `task` is {task!r}; it must be 'classification' or 'segmentation'.")
    return _Network(made, declared_preprocessing(made, spec), tuple(names) if names is not None else None, task)


def declared_preprocessing(module: nn.Module, spec: str) -> Preprocessing:
    """What a user's module declares: `preprocessing`, or timm's `pretrained_cfg` or `default_cfg`; else nothing."""
    declared = getattr(module, "preprocessing", None)
    if isinstance(declared, Preprocessing):
        return declared if declared.source != "none declared" else _with_source(declared, "factory")
    if declared is not None:
        raise UserError(
            f"{spec}: `preprocessing` is a {type(declared).__name__}; it must be a weatherglass.Preprocessing."
        )
    for attribute in ("pretrained_cfg", "default_cfg"):
        config = getattr(module, attribute, None)
        if config:
            from timm.data.config import resolve_data_config

            given = config if isinstance(config, dict) else config.to_dict()
            return from_timm_config(resolve_data_config(pretrained_cfg=given), "factory")
    return Preprocessing()


def _with_source(preprocessing: Preprocessing, source: str) -> Preprocessing:
    from dataclasses import replace

    return replace(preprocessing, source=source)


def _unknown_form(spec: str) -> str:
    import timm
    import torchvision.models

    if Path(spec).suffix in (".pth", ".tar", ".safetensors", ".ckpt", ".bin") or Path(spec).is_file():
        return f"{spec} holds weights, not a model: name the architecture and give --checkpoint {spec}."
    if timm.is_model(spec):
        return f"There is no model '{spec}'. Did you mean timm/{spec}?"
    if spec in torchvision.models.list_models(module=torchvision.models):
        return f"There is no model '{spec}'. Did you mean torchvision/{spec}?"
    from difflib import get_close_matches

    near = get_close_matches(spec, (*DIGITS_MODELS, *TRAINED_MODELS, *MODELS, *ALIASES), n=2, cutoff=0.7)
    head, slash, backbone = spec.partition("/")
    near += [f"{one}/{backbone}" for one in get_close_matches(head, HEADS, n=1, cutoff=0.7) if slash]
    near += [f"timm/{name}" for name in get_close_matches(spec, timm.list_models(), n=3)]
    hint = f" Did you mean {' or '.join(near[:3])}?" if near else ""
    return f"There is no model '{spec}'.{hint} A model is given as {FORMS}."


def _refuse(spec: str, **given: object) -> None:
    """Say which options do not apply, instead of ignoring them."""
    names = [name for name, value in given.items() if value is not None]
    if names:
        raise UserError(f"{spec} brings its own {' and '.join(names)}: leave the option out.")


@contextmanager
def _repeatable_initialisation() -> Iterator[None]:
    """Random weights are the same every time, so that a run can be resumed; the caller's generator is untouched."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        yield
