"""`corrupt`: checks what came, resolves every choice, and runs the kernels in pieces that fit the cache."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from weatherglass.corruptions.frost import frost_textures
from weatherglass.corruptions.level import CALIBRATIONS, DEFINITIONS, Level, calibration_for, checked_severity
from weatherglass.corruptions.severity import CORRUPTIONS
from weatherglass.errors import UserError
from weatherglass.randomness import Draws
from weatherglass.types import Images, Pixels

BACKENDS = ("auto", "torch", "numba")
SMALLEST_SIDE = 16
"""The definitions mirror, shuffle and shrink: below this many pixels too little is left of the picture."""

CPU_PIECE = 4 * 224 * 224
CUDA_PIECE = 64 * 512 * 512
"""Pixels worked on at once: what stays in a core's cache; what keeps an accelerator busy within a few GiB."""

KERNEL_REVISION = 1
"""Raised whenever a kernel of any backend changes pixels: results of different revisions are not compared."""

TRUNCATION = 1e-3
"""Levels added before truncating, so that float32 agrees with the reference's double precision."""


@dataclass(frozen=True)
class Step:
    """One corruption of a composition."""

    name: str
    severity: float

    def __str__(self) -> str:
        return f"{self.name}@{self.severity:g}"


def corrupt(
    images: UInt8[Tensor, "*batch 3 height width"] | Float[Tensor, "*batch 3 height width"],
    name: str,
    severity: float,
    *,
    seed: int = 0,
    ids: Sequence[str | int] | None = None,
    definition: str = "imagecorruptions",
    calibration: int | str = "auto",
    frost: str = "auto",
    backend: str = "auto",
    reencode: str | None = None,
) -> Tensor:
    """Corrupt RGB images; the result has the input's shape, dtype and device, and the input is not changed.

    images: (3, height, width) or (batch, 3, height, width), uint8 in 0..255 or floating point in [0, 1].
    name: a corruption ('fog'), or several one after another ('fog+motion_blur', 'fog@3+motion_blur@2').
    severity: 1..5, also fractional; for the parts of a composition that name none.
    ids: one sample id an image (default: its position). Pixels depend on (seed, id, corruption, severity) alone.
    definition: 'imagecorruptions' (Michaelis et al. 2019, any size) or 'imagenet-c' (Hendrycks and Dietterich 2019:
        224, 64 or 32 pixels square).
    calibration: 224, 64 or 32, the side the constants were tuned for; 'auto' decides by the shorter side.
    frost: 'auto', 'procedural', 'reference' or a folder of textures.
    backend: 'torch' (the definition), 'numba' (compiled, uint8 on CPU) or 'auto' (the faster one that applies).
    reencode: 'jpeg85' for the JPEG quality 85, 4:2:0 of the files of ImageNet-C on disk.

    uint8 results are truncated as the reference's are, float results clipped to [0, 1]. Raises `UserError` for input
    that cannot be corrupted and `UnknownName` for a wrong name.
    """
    steps = parse_steps(name, severity)
    batch = checked_images(images)
    height, width = batch.shape[-2:]
    check_choices(definition, calibration, backend, reencode, (height, width))
    sample_ids = tuple(range(len(batch))) if ids is None else _checked_ids(ids, images, len(batch))
    for label, step in labelled(steps):
        draws = Draws(seed, sample_ids, label)
        level = level_of(step, (height, width), definition=definition, calibration=calibration)
        batch = apply(batch, step.name, level, draws=draws, frost=frost, backend=backend)
    if reencode is not None:
        batch = _reencoded(batch, reencode)
    return batch.reshape(images.shape)


def labelled(steps: Sequence[Step]) -> Iterator[tuple[str, Step]]:
    """Each step with the label of its random numbers; one that comes twice must not repeat them."""
    for position, step in enumerate(steps):
        earlier = steps[:position].count(step)
        yield f"{step}#{earlier + 1}" if earlier else str(step), step


def apply(
    images: Pixels | Images, name: str, level: Level, *, draws: Draws, frost: str = "auto", backend: str = "auto"
) -> Pixels | Images:
    """One corruption with physical parameters of your own: the way to sweep a parameter.

    `level` holds the keywords of the kernel, e.g. `{"scale": 0.1}` for 'gaussian_noise'; a row of
    `CORRUPTIONS[name].levels[224]` shows them.
    """
    if images.dtype == torch.uint8 and images.device.type == "cpu" and compiles(name, level, backend):
        from weatherglass.corruptions.compiled.run import run

        pixels = images.contiguous().numpy()
        return torch.from_numpy(run(name, pixels, level, draws, lambda: frost_textures(frost)))
    return _by_torch(images, name, level, draws, frost)


def compiles(name: str, level: Level, backend: str) -> bool:
    """Whether a choice of backend means the compiled kernel for 8-bit images on the CPU."""
    if backend == "torch" or find_spec("numba") is None:
        return False
    from weatherglass.corruptions.compiled.run import supports

    return supports(name, level)


def backend_used(name: str, level: Level, backend: str) -> str:
    """The backend that a choice means for 8-bit images on the CPU, with the revision of its kernels."""
    return f"{'numba' if compiles(name, level, backend) else 'torch'} r{KERNEL_REVISION}"


def parse_steps(name: str, severity: float) -> tuple[Step, ...]:
    """'fog@3+motion_blur' with a severity for the parts that name none."""
    steps = []
    for part in name.split("+"):
        corruption, at, own = part.strip().partition("@")
        try:
            strength = float(own) if at else severity
        except ValueError:
            raise UserError(f"The severity in {part.strip()!r} is not a number; write e.g. 'fog@3'.") from None
        steps.append(Step(CORRUPTIONS[corruption].name, checked_severity(strength)))
    return tuple(steps)


def level_of(step: Step, size: tuple[int, int], *, definition: str, calibration: int | str) -> Level:
    """The parameters of a step at a size (height, width)."""
    side = calibration_for(*size) if calibration == "auto" else int(calibration)
    return CORRUPTIONS[step.name].level(step.severity, calibration=side, definition=definition)


def checked_images(images: Tensor) -> Tensor:
    """The images as a batch, or a sentence that says what is wrong with them."""
    if not isinstance(images, Tensor) or images.ndim not in (3, 4):
        got = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
        raise UserError(f"Images must be a tensor (3, height, width) or (batch, 3, height, width); got {got}.")
    batch = images if images.ndim == 4 else images[None]
    channels, height, width = batch.shape[1:]
    if channels != 3:
        advice = {
            1: "repeat the grey channel: images.expand(-1, 3, -1, -1)",
            4: "drop the alpha channel: images[:, :3]",
        }.get(channels, "the channels stand before height and width")
        raise UserError(f"Images must have 3 channels (RGB), got {channels} in shape {tuple(images.shape)}; {advice}.")
    if min(height, width) < SMALLEST_SIDE:
        raise UserError(
            f"Images of {height}x{width} pixels are too small: the corruptions are defined from "
            f"{SMALLEST_SIDE}x{SMALLEST_SIDE} on. Enlarge them first."
        )
    if batch.dtype != torch.uint8:
        if not batch.dtype.is_floating_point:
            raise UserError(f"Images must be uint8 (0..255) or floating point ([0, 1]), got {batch.dtype}.")
        if len(batch):
            low, high = (float(value) for value in batch.detach().aminmax())
            if not (low >= 0 and high <= 1):
                raise UserError(
                    f"Float images must lie in [0, 1], got values from {low:g} to {high:g}. "
                    "Undo the normalisation, divide 0..255 by 255, and remove NaN."
                )
    return batch.detach()


def check_choices(
    definition: str, calibration: int | str, backend: str, reencode: str | None, size: tuple[int, int]
) -> None:
    """Refuse choices that do not exist, or not at this size."""
    choices = (
        ("definition", definition, DEFINITIONS),
        ("calibration", calibration, ("auto", *CALIBRATIONS)),
        ("backend", backend, BACKENDS),
        ("reencode", reencode, (None, "jpeg85")),
    )
    for what, value, accepted in choices:
        if value not in accepted:
            raise UserError(f"{what}={value!r} is unknown; accepted: {', '.join(map(repr, accepted))}.")
    if definition == "imagenet-c" and size not in [(side, side) for side in CALIBRATIONS]:
        raise UserError(
            f"The definition 'imagenet-c' exists for images of 224x224, 64x64 and 32x32 pixels, got "
            f"{size[0]}x{size[1]}. Resize and crop, or use definition='imagecorruptions', which takes any size."
        )
    if backend == "numba" and find_spec("numba") is None:
        from weatherglass.errors import MissingExtra

        raise MissingExtra("numba", "fast", "backend='numba'")


def _checked_ids(ids: Sequence[str | int], images: Tensor, count: int) -> Sequence[str | int]:
    if isinstance(ids, str | int):
        raise UserError(f"ids must be a sequence of sample ids, one an image; got {ids!r}.")
    if len(ids) != count:
        raise UserError(f"There must be one id an image: got {len(ids)} ids for images of shape {tuple(images.shape)}.")
    return tuple(ids)


def _by_torch(batch: Tensor, name: str, level: Level, draws: Draws, frost: str) -> Tensor:
    from weatherglass.corruptions.kernels import KERNELS, Circumstances

    kernel, eight_bit = KERNELS[name], batch.dtype == torch.uint8
    result = torch.empty_like(batch, memory_format=torch.contiguous_format)
    pixels = max(1, batch.shape[-2] * batch.shape[-1])
    piece = max(1, (CPU_PIECE if batch.device.type == "cpu" else CUDA_PIECE) // pixels)
    with torch.inference_mode():
        for start in range(0, len(batch), piece):
            part = batch[start : start + piece]
            around = Circumstances(draws[start : start + piece], eight_bit, lambda: frost_textures(frost))
            if kernel.on_bytes:
                result[start : start + piece] = _on_bytes(part, partial(kernel, level=level, around=around))
                continue
            images = part.to(torch.float32, copy=True)
            images = images.div_(255) if eight_bit else images
            disturbed = kernel(images.contiguous(), level, around).clamp_(0, 1)
            if eight_bit:
                disturbed = disturbed.mul_(255).add_(TRUNCATION)  # stored as uint8 it is truncated
            result[start : start + piece] = disturbed
    return result


def _reencoded(batch: Tensor, reencode: str) -> Tensor:
    from weatherglass.corruptions.codecs import jpeg_round_trip

    quality = int(reencode.removeprefix("jpeg"))
    return _on_bytes(batch, lambda pixels: jpeg_round_trip(pixels, quality))


def _on_bytes(batch: Tensor, function: Callable[[Pixels], Pixels]) -> Tensor:
    """Apply a function of 8-bit images; float images are rounded to 8 bits for it."""
    if batch.dtype == torch.uint8:
        return function(batch)
    pixels = (batch.float() * 255 + 0.5).floor().to(torch.uint8)
    return (function(pixels).float() / 255).to(batch.dtype)
