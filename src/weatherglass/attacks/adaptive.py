"""AutoAttack through the package of its authors, behind our contract.

Croce and Hein, "Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse Parameter-free Attacks"
(ICML 2020). The package draws from torch's global generator; it is put back afterwards, and its seed is made from
ours and the ids of the chunk, so results do not depend on batch size or order of cells.
"""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from torch import Tensor, nn

from weatherglass.attacks.norms import Threat
from weatherglass.attacks.objective import padded_forward, pass_size, working_size
from weatherglass.errors import MissingExtra, UserError
from weatherglass.types import Images, Logits, Predictor

FEWEST_CLASSES = 4
"""The DLR loss compares the three largest outputs with that of the true class."""
TARGETS = 9


def library_version() -> str:
    """Version of pyautoattack, or 'absent'."""
    try:
        return version("pyautoattack")
    except PackageNotFoundError:
        return "absent"


def check_autoattack(predictor: Predictor) -> None:
    """Raise `UserError` where AutoAttack cannot run: package absent, or too few classes for its losses."""
    _library()
    if predictor.classes < FEWEST_CLASSES:
        raise UserError(
            f"{predictor.name} has {predictor.classes} classes; AutoAttack's losses need at least {FEWEST_CLASSES}. "
            f"Use pgd with restarts, e.g. pgd-100:restarts=5@8/255."
        )


def autoattack(
    predictor: Predictor,
    images: Images,
    labels: Tensor,
    threat: Threat,
    *,
    version: str = "standard",
    seed: int,
    ids: tuple[str, ...],
) -> Images:
    """Adversarial images of AutoAttack; images that it could not change to another class come back as they were.

    `version` 'standard' is APGD-CE, targeted APGD-DLR, targeted FAB and Square; 'apgd' the first two alone. Fewer
    targets are tried where the model has fewer than 10 classes.
    """
    library = _library()
    number = int.from_bytes(blake2b(f"{seed}:{ids}".encode(), digest_size=4).digest(), "little") >> 1
    norm = {"linf": "Linf", "l2": "L2"}[threat.norm]
    devices = [images.device] if images.device.type == "cuda" else []
    # The package keeps the graph of a whole batch. Where passes are small for want of memory its batches are too, and
    # its random numbers, which go by batch, are others; the note that the engine makes says so.
    short = working_size(predictor) < pass_size(predictor)
    batch = working_size(predictor) if short else len(images)
    quiet = logging.getLogger("auto-attack").level
    with (
        torch.random.fork_rng(devices=devices),
        _without_weight_gradients(predictor),
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        logging.getLogger("auto-attack").setLevel(logging.CRITICAL)
        try:
            attack = library.AutoAttack(
                _Module(predictor), eps=threat.radius, norm=norm, seed=number, device=images.device, version="standard"
            )
            if version == "apgd":
                attack.attacks_to_run = ["apgd-ce", "apgd-t"]
            for part in (attack.apgd_targeted, attack.fab):
                part.n_target_classes = min(TARGETS, predictor.classes - 1)
            with torch.enable_grad():
                found, _ = attack.run_standard_evaluation(images.clone(), labels, batch_size=batch)
        finally:
            logging.getLogger("auto-attack").setLevel(quiet)
    return found.detach()


@contextlib.contextmanager
def _without_weight_gradients(predictor: Predictor) -> Iterator[None]:
    """FAB calls `backward`, which would fill the `.grad` of the weights; they take no part meanwhile."""
    module = getattr(predictor, "module", None)
    learned = [p for p in module.parameters() if p.requires_grad] if isinstance(module, nn.Module) else []
    for parameter in learned:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learned:
            parameter.requires_grad_(True)


class _Module(nn.Module):
    """The predictor as the package wants it."""

    def __init__(self, predictor: Predictor) -> None:
        super().__init__()
        self._forward = padded_forward(predictor)

    def forward(self, images: Tensor) -> Logits:
        return self._forward(images)


def _library() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pyautoattack
    except ImportError as error:
        raise MissingExtra("pyautoattack", "attack", "AutoAttack") from error
    return pyautoattack
