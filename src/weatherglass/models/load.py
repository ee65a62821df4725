"""From a name to a predictor: timm, torchvision, our own networks, the user's code, exported files."""

from copy import copy
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from weatherglass.errors import UserError
from weatherglass.models.detector_names import DETECTORS, is_detector
from weatherglass.models.digests import digest_of, digest_of_files, digest_of_own
from weatherglass.models.initialisation import seeded_initialisation
from weatherglass.models.load_classifier import (
    BuiltNetwork,
    described_network,
    our_network,
    timm_network,
    torchvision_network,
    user_network,
)
from weatherglass.models.names import ALIASES, MODELS
from weatherglass.models.predictor import TorchPredictor
from weatherglass.models.preprocessing import PreprocessingOverride
from weatherglass.models.segmenter_names import HEADS, is_segmenter
from weatherglass.models.trained import TRAINED_MODELS, build_trained_model
from weatherglass.types import Predictor, Preprocessing
from weatherglass.user_code import names_user_code, user_sources

if TYPE_CHECKING:
    from weatherglass.models.checkpoint import Checkpoint
    from weatherglass.models.load_segmenter import BuiltSegmenter

FORMS = (
    "timm/NAME, torchvision/NAME, fan_*, digits_vit, cifar10_fan_vit, HEAD/BACKBONE (segmenters), "
    "METHOD/BACKBONE (detectors), "
    "huggingface/FOLDER (segmenters), path/to/file.py:factory, package.module:factory, "
    "a .safetensors file that `weatherglass train` wrote, or a file that ends in .onnx, .pt2 or .torchscript"
)
EXPORTED_ENDINGS = (".onnx", ".pt2", ".torchscript", ".ts", ".pt", ".jit")


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
    A detector is `mask-rcnn/fan_hybrid_micro_64`, say (`weatherglass list detectors`).
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
    with seeded_initialisation(0):
        built = _build(spec, pretrained=pretrained, weights=weights, classes=classes)
    if isinstance(built, Predictor):
        _refuse(spec, checkpoint=checkpoint, preprocessing=preprocessing, ema=ema, windows=windows)
        return _with_sources(built, spec)
    if weights is not None:
        from weatherglass.models.checkpoint import fit_checkpoint

        fit_checkpoint(built.module, weights)
    own = names_user_code(spec)
    digest = digest_of_own(built.module, user_sources(spec)) if own else digest_of(built.module)
    if built.task == "detection":
        from weatherglass.models.load_detector import detector

        _refuse(spec, preprocessing=preprocessing, windows=windows)
        return detector(built, spec, device, precision, digest)
    wanted = override.apply(built.preprocessing)
    if built.task == "segmentation":
        return _segmenter(built, spec, wanted, windows, device, precision, digest)
    _refuse(spec, windows=windows)
    predictor = TorchPredictor(
        built.module, name=spec, preprocessing=wanted, device=device, precision=precision, digest=digest
    )
    if built.class_names is not None and len(built.class_names) == predictor.classes:
        predictor.class_names = built.class_names
    return predictor


def _segmenter(
    built: BuiltNetwork,
    spec: str,
    preprocessing: Preprocessing,
    windows: str | None,
    device: str | torch.device,
    precision: str,
    digest: str,
) -> Predictor:
    from weatherglass.models.segmentation_predictor import SegmentationPredictor, Windows

    predictor = SegmentationPredictor(
        built.module,
        name=spec,
        preprocessing=preprocessing,
        windows=Windows.parse(windows) if windows else None,
        device=device,
        precision=precision,
        digest=digest,
    )
    if built.class_names is not None and len(built.class_names) == predictor.classes:
        predictor.class_names = built.class_names
    return predictor


def _with_sources(predictor: Predictor, spec: str) -> Predictor:
    """A predictor that the user's factory returned, identified by its code too where its class is ours.

    A class of the user's answers for its digest by itself. What the factory returned is left as it is.
    """
    from weatherglass.models.detection_predictor import DetectionPredictor

    if not isinstance(predictor, TorchPredictor | DetectionPredictor):
        return predictor
    identified = copy(predictor)
    code = digest_of_files(user_sources(spec))
    identified.digest = blake2b(f"{predictor.digest}{code}".encode(), digest_size=16).hexdigest()
    return identified


def _build(
    spec: str, *, pretrained: bool | None, weights: "Checkpoint | None", classes: int | None
) -> BuiltNetwork | Predictor:
    library, slash, name = spec.partition("/")
    published = pretrained if pretrained is not None else weights is None
    if is_detector(spec) and not names_user_code(spec):
        from weatherglass.models.load_detector import detector_by_name

        state = weights.state_dict if weights is not None else {}
        return detector_by_name(spec, published=published, classes=classes, state=state)
    if is_segmenter(spec) and not names_user_code(spec):
        from weatherglass.models.load_segmenter import build_named

        state = dict(weights.state_dict) if weights is not None else None
        return _dense(build_named(spec, published=published, classes=classes, state=state))
    if names_user_code(spec):
        _refuse(spec, pretrained=pretrained, classes=classes)
        return user_network(spec)
    if library == "torchvision" and slash:
        from weatherglass.models.load_detector import detector_from_torchvision, is_torchvision_detector
        from weatherglass.models.load_segmenter import from_torchvision, is_torchvision_segmenter

        if is_torchvision_detector(name):
            return detector_from_torchvision(name, published, classes, learned=weights is not None)
        if is_torchvision_segmenter(name):
            return _dense(from_torchvision(name, published, classes))
        return torchvision_network(name, published, classes)
    if library == "timm" and slash:
        return timm_network(name, published, classes, source="timm")
    if Path(spec).suffix == ".safetensors" and (described := described_network(spec)) is not None:
        _refuse(spec, pretrained=pretrained, classes=classes)
        return described
    if spec in TRAINED_MODELS:
        _refuse(spec, classes=classes)
        module, description = build_trained_model(spec, trained=published)
        return BuiltNetwork(module, description.preprocessing, description.class_names)
    if spec in MODELS or spec in ALIASES or spec.startswith("fan_"):
        return our_network(spec, published, classes)
    raise UserError(_unknown_form(spec))


def _dense(built: "BuiltSegmenter") -> BuiltNetwork:
    return BuiltNetwork(built.module, built.preprocessing, built.class_names, "segmentation")


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

    near = get_close_matches(spec, (*TRAINED_MODELS, *MODELS, *ALIASES), n=2, cutoff=0.7)
    head, slash, backbone = spec.partition("/")
    near += [f"{one}/{backbone}" for one in get_close_matches(head, (*HEADS, *DETECTORS), n=1, cutoff=0.7) if slash]
    near += [f"timm/{name}" for name in get_close_matches(spec, timm.list_models(), n=3)]
    hint = f" Did you mean {' or '.join(near[:3])}?" if near else ""
    return f"There is no model '{spec}'.{hint} A model is given as {FORMS}."


def _refuse(spec: str, **given: object) -> None:
    """Say which options do not apply, instead of ignoring them."""
    names = [name for name, value in given.items() if value is not None]
    if names:
        raise UserError(f"{spec} brings its own {' and '.join(names)}: leave the option out.")
