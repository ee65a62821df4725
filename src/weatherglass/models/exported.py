"""Models that come as a file of their own: ONNX, torch.export (.pt2) and TorchScript.

Such a file holds network and weights but no preprocessing, so none is assumed: give it with the override. Where the
batch axis was fixed when the file was made, batches are padded and cut to that size.
"""

import zipfile
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from weatherglass.errors import MissingExtra, UserError
from weatherglass.models.predictor import TorchPredictor, resolve_device
from weatherglass.types import Images, Logits, Predictor, Preprocessing


def load_exported(
    path: str, preprocessing: Preprocessing, *, device: str | torch.device = "auto", precision: str = "float32"
) -> Predictor:
    """The model in the file at `path`; its kind is read from the content, not from the ending."""
    file = Path(path).expanduser()
    if not file.is_file():
        raise UserError(f"There is no file {path}.")
    kind = _kind(file)
    if kind == "onnx":
        return OnnxPredictor(file, name=path, preprocessing=preprocessing, device=device, precision=precision)
    module = _load_export(file) if kind == "export" else _load_script(file)
    return TorchPredictor(
        module, name=path, preprocessing=preprocessing, device=device, precision=precision, digest=_file_digest(file)
    )


class OnnxPredictor(Predictor):
    """An ONNX file run by onnxruntime: no gradients, the precision that the file was made with."""

    differentiable = False
    parameters = 0
    class_names = None

    def __init__(
        self, file: Path, *, name: str, preprocessing: Preprocessing, device: str | torch.device, precision: str
    ) -> None:
        if precision != "float32":
            raise UserError(f"{name}: an ONNX file computes in the precision it was made with; leave it at float32.")
        self.name, self.preprocessing, self.precision = name, preprocessing, precision
        self.digest = _file_digest(file)
        self._session, self.device = _session(file, device)
        self._input = _input_layout(self._session.get_inputs(), name)
        self._mean, self._std = (torch.tensor(v).view(1, 3, 1, 1) for v in (preprocessing.mean, preprocessing.std))
        size = (self._input.height or 224, self._input.width or 224)
        self.classes = int(self(torch.full((1, 3, *size), 0.5)).shape[1])

    def __call__(self, images: Images) -> Logits:
        """Raw outputs in float32; raises `UserError` where the file wants another image size."""
        self._check_size(images)
        normalised = (images.detach().cpu() - self._mean) / self._std
        return in_fixed_batches(self._run, normalised, self._input.batch).to(images.device)

    def _run(self, images: Tensor) -> Tensor:
        array = images.to(self._input.dtype).contiguous().numpy()
        if self._input.channels_last:
            array = array.transpose(0, 2, 3, 1)
        output = self._session.run(None, {self._input.name: array})[0]
        if output.ndim != 2:
            raise UserError(f"{self.name} returned {output.shape}; a classifier returns (batch, classes) logits.")
        return torch.from_numpy(output).float()

    def _check_size(self, images: Images) -> None:
        height, width = images.shape[-2:]
        wanted = (self._input.height or height, self._input.width or width)
        if (height, width) != wanted:
            raise UserError(
                f"{self.name} takes images of {wanted[0]}x{wanted[1]} pixels, these have {height}x{width}: give "
                f"--preprocessing 'resize {min(wanted)} bicubic, crop {wanted[0]}x{wanted[1]}', or likewise."
            )


@dataclass(frozen=True)
class _InputLayout:
    name: str
    batch: int | None
    """Number of images the file was fixed to; None: any."""
    height: int | None
    width: int | None
    dtype: torch.dtype
    channels_last: bool


def _input_layout(inputs: list[Any], name: str) -> _InputLayout:
    dtypes = {"tensor(float)": torch.float32, "tensor(float16)": torch.float16, "tensor(double)": torch.float64}
    first = inputs[0]
    fixed = [axis if isinstance(axis, int) and axis > 0 else None for axis in first.shape]
    if len(inputs) != 1 or len(fixed) != 4 or first.type not in dtypes:
        found = ", ".join(f"{one.name} {one.type} {one.shape}" for one in inputs)
        raise UserError(f"{name} takes ({found}); one float input (batch, 3, height, width) is needed.")
    channels_last = fixed[3] == 3 and fixed[1] != 3
    batch, height, width = (fixed[0], *fixed[1:3]) if channels_last else (fixed[0], *fixed[2:4])
    return _InputLayout(first.name, batch, height, width, dtypes[first.type], channels_last)


def _session(file: Path, device: str | torch.device) -> tuple[Any, torch.device]:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtra("onnxruntime", "onnx", "Running an ONNX file") from error
    providers = onnxruntime.get_available_providers()
    on_cuda = "CUDAExecutionProvider" in providers
    place = resolve_device(device) if device != "auto" or on_cuda else torch.device("cpu")
    if place.type == "cuda" and not on_cuda:
        raise UserError(f"onnxruntime cannot run on {device} here (it has {', '.join(providers)}); use --device cpu.")
    chosen = ["CUDAExecutionProvider"] if place.type == "cuda" else ["CPUExecutionProvider"]
    try:
        return onnxruntime.InferenceSession(str(file), providers=chosen), place
    except Exception as error:  # onnxruntime's exceptions have no common public base class
        raise UserError(f"{file} does not load as ONNX: {' '.join(str(error).split())[:200]}") from error


class FixedBatch(nn.Module):
    """A module that accepts exactly `batch` images, made to accept any number."""

    def __init__(self, module: nn.Module, batch: int) -> None:
        super().__init__()
        self.module = module
        self.batch = batch

    def forward(self, images: Tensor) -> Tensor:
        return in_fixed_batches(self.module, images, self.batch)


def in_fixed_batches(function: Any, images: Tensor, batch: int | None) -> Tensor:
    """`function` over pieces of exactly `batch` images, the last one padded with its last image; None: in one piece."""
    if batch is None:
        return function(images)
    outputs = []
    for piece in images.split(batch):
        lacking = batch - len(piece)
        padded = torch.cat([piece, piece[-1:].expand(lacking, -1, -1, -1)]) if lacking else piece
        outputs.append(function(padded)[: len(piece)])
    return torch.cat(outputs)


def _load_export(file: Path) -> nn.Module:
    try:
        program = torch.export.load(file)
    except Exception as error:
        raise UserError(f"{file} does not load with torch.export: {' '.join(str(error).split())[:200]}") from error
    first = str(next(iter(program.graph_signature.user_inputs)))
    value = next(node.meta["val"] for node in program.graph.nodes if node.name == first)  # a tensor without data
    module = program.module()
    return FixedBatch(module, value.shape[0]) if isinstance(value.shape[0], int) else module


def _load_script(file: Path) -> nn.Module:
    import warnings

    try:
        with warnings.catch_warnings():  # torch announces that TorchScript will not be developed further
            for category in (DeprecationWarning, FutureWarning):
                warnings.simplefilter("ignore", category)
            return torch.jit.load(str(file), map_location="cpu")
    except (RuntimeError, ValueError) as error:
        raise UserError(f"{file} does not load as TorchScript: {' '.join(str(error).split())[:200]}") from error


def _kind(file: Path) -> str:
    """'onnx', 'export' or 'script'; a file of weights alone is a `UserError`."""
    if not zipfile.is_zipfile(file):
        if file.suffix == ".onnx":
            return "onnx"
        raise UserError(f"{file} is neither an ONNX, a torch.export nor a TorchScript file.")
    with zipfile.ZipFile(file) as archive:
        names = [name.partition("/")[2] or name for name in archive.namelist()]
    if any(name.startswith(("models/", "serialized_exported_program")) for name in names):
        return "export"
    if any(name.startswith("code/") for name in names):
        return "script"
    raise UserError(f"{file} holds weights, not a model: name the architecture and give --checkpoint {file}.")


def _file_digest(file: Path) -> str:
    """Of the file and, where an ONNX file keeps its weights beside it, of those too."""
    digest = blake2b(digest_size=16)
    for part in (file, file.with_name(f"{file.name}.data")):
        if part.is_file():
            with part.open("rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
    return digest.hexdigest()
