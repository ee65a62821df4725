"""A training recipe as a value: everything that decides the weights, apart from the data and the seed's luck.

A recipe is a frozen record. The named ones stand in `recipes.py`; `recipe_text.py` reads, writes and changes them; the
loop in `loop.py` reads a recipe and nothing else. No torch here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Precision = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class Network:
    """What is trained."""

    name: str
    """A name of `weatherglass list models`, or timm/NAME."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """More arguments of the model's constructor, e.g. depth = 8 or channel_processing = "sa"."""
    drop_path: float = 0.0
    """Stochastic depth: the chance that a residual branch is skipped for a sample."""
    start: str | None = None
    """Checkpoint to start from; a classifier of another number of classes is made anew, all else must be there. Learned
    positions of another image size are interpolated."""
    head_scale: float = 1.0
    """Factor on the fresh classifier's weights (0.001 when fine-tuning, as ConvNeXt does); one that `start` brings is
    not scaled."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, about a third more time."""


@dataclass(frozen=True)
class Optimiser:
    """How weights follow gradients. Vectors, biases and what the model exempts are not decayed."""

    name: str = "adamw"
    """A name that timm.optim knows."""
    rate: float = 1e-3
    """Peak learning rate for a batch of `rate_batch`, or for any batch where that is 0."""
    rate_batch: int = 0
    """Linear scaling: the peak rate is rate * batch / rate_batch (512 in DeiT). 0: `rate` is taken as it stands."""
    weight_decay: float = 0.05
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    layer_decay: float = 1.0
    """Factor on the learning rate for every layer further from the classifier; 1 is none."""
    clip: float = 0.0
    """Largest norm of all gradients together; 0 does not clip."""
    head_factor: float = 1.0
    """Factor on the learning rate of a segmenter's head."""


@dataclass(frozen=True)
class Schedule:
    """Linear warm-up, then half a cosine (or a straight line, or steps), then the minimum; all lengths in epochs, the
    rate changes at every step."""

    epochs: int = 300
    """Length of warm-up and cosine together."""
    warmup: int = 5
    warmup_steps: int = 0
    """More steps of warm-up, where it is not whole epochs."""
    warmup_rate: float = 1e-6
    minimum_rate: float = 1e-5
    shape: Literal["cosine", "linear", "steps"] = "cosine"
    """'linear' is the polynomial schedule of power 1 that segmenters are trained with; 'steps' stays at the peak and
    drops at `milestones`, as detectors are trained, and has no minimum."""
    milestones: tuple[int, ...] = ()
    """Epochs behind which the rate is multiplied by `drop`."""
    drop: float = 0.1
    cooldown: int = 0
    """More epochs at the minimum rate."""


@dataclass(frozen=True)
class Augmentation:
    """What is done to single images, by timm's transforms."""

    crop: Literal["resized", "padded", "none"] = "resized"
    """A random part resized to the image size; or the image moved by up to `padding` pixels; or the centre."""
    scale: tuple[float, float] = (0.08, 1.0)
    """Share of the area that a 'resized' crop takes."""
    padding: int = 4
    interpolation: Literal["bicubic", "bilinear", "random"] = "bicubic"
    flip: float = 0.5
    """Chance of mirroring left to right; 0 for digits and text."""
    policy: str = ""
    """timm's text form: 'rand-m9-mstd0.5-inc1' (RandAugment), '3a' (3-Augment), or empty."""
    colour_jitter: float = 0.0
    """Brightness, contrast and saturation; without effect while a RandAugment policy is set, as in timm."""
    erasing: float = 0.0
    """Chance that a rectangle is filled with noise (Random Erasing, pixel mode, one rectangle)."""
    repeats: int = 1
    """Repeated augmentation: every image so many times in an epoch's order, which keeps its length."""


@dataclass(frozen=True)
class Masked:
    """What is done to images with masks, beside mirroring (`augmentation.flip`); only segmenters read it."""

    size: tuple[int, int] | None = None
    """Height and width that every image is brought to first, in evaluation too; None leaves it as it is."""
    scale: tuple[float, float] = (0.5, 2.0)
    """Factor on that size, before the crop of `image_size` pixels a side."""
    largest_share: float = 0.75
    """A crop in which one class has more of the pixels is drawn again, ten times at most."""
    distortion: bool = True
    """Photometric distortion: brightness, contrast, saturation, hue."""


@dataclass(frozen=True)
class Boxed:
    """What is done to images with objects, beside mirroring (`augmentation.flip`); only detectors read it."""

    short_sides: tuple[int, ...] = (480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800)
    """One is drawn for an image, and its shorter side brought to it."""
    long_side: int = 1333
    """No image becomes longer than this; 0: than the side that was drawn."""
    crop_chance: float = 0.5
    """Chance that a part is taken first, of the image at one of `crop_short_sides`."""
    crop_short_sides: tuple[int, ...] = (400, 500, 600)
    crop_range: tuple[int, int] = (384, 600)
    """Least and largest height, and width, of that part."""


@dataclass(frozen=True)
class Mixing:
    """What is done to pairs of images of a batch, and to the labels (timm's Mixup)."""

    mixup: float = 0.0
    """Alpha of the beta distribution; 0 is off."""
    cutmix: float = 0.0
    probability: float = 1.0
    """Share of the batches that are mixed."""
    switch: float = 0.5
    """Share of those that take CutMix where both are on."""
    smoothing: float = 0.1
    """Label smoothing."""


@dataclass(frozen=True)
class Averaging:
    """The exponential moving average of the weights."""

    decay: float = 0.0
    """0 keeps none. 1 / (1 - decay) steps are its memory: keep it below a fifth of the steps."""


@dataclass(frozen=True)
class Distillation:
    """A teacher beside the labels (DeiT, section 4)."""

    kind: Literal["none", "hard", "soft"] = "none"
    teacher: str = ""
    """The model as `weatherglass evaluate` takes it."""
    teacher_checkpoint: str = ""
    weight: float = 0.5
    """alpha: share of the teacher in the loss."""
    temperature: float = 1.0
    reduction: Literal["numel", "batchmean"] = "numel"
    """What the soft loss is divided by: images times classes, as DeiT's code does, or images."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training, apart from the data."""

    name: str
    network: Network
    summary: str = ""
    image_size: int = 224
    batch: int = 1024
    """Images a step, over all processes and accumulated parts."""
    accumulate: int = 1
    """Parts in which a process computes its share of the batch, one after the other."""
    optimiser: Optimiser = Optimiser()
    schedule: Schedule = Schedule()
    augmentation: Augmentation = Augmentation()
    masked: Masked = Masked()
    boxed: Boxed = Boxed()
    mixing: Mixing = Mixing()
    averaging: Averaging = Averaging()
    distillation: Distillation = Distillation()
    crop_ratio: float = 0.875
    """Evaluation: share of the resized shorter side that the centre crop keeps."""
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    precision: Precision = "float32"
    """'bfloat16' and 'float16' are autocast; weights stay float32."""
    channels_last: bool = False
    compile: bool = False
    seed: int = 0

    @property
    def peak_rate(self) -> float:
        """The learning rate at the end of the warm-up."""
        scale = self.batch / self.optimiser.rate_batch if self.optimiser.rate_batch else 1.0
        return self.optimiser.rate * scale

    @property
    def epochs(self) -> int:
        """All epochs, the cooldown's too."""
        return self.schedule.epochs + self.schedule.cooldown
