"""Stability along a sequence of slightly different versions of an image: flips, and how far the best outputs move.

Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations" (ICLR 2019),
sections 4.2 and 4.3. Frames of noise have no order, so `noise` compares each frame with the first one; else each is
compared with the one `step` frames before it (the difficulty of the paper).
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float, Int

TOP = 5


def flips(
    predictions: Int[np.ndarray, "frames samples"], *, noise: bool = False, step: int = 1
) -> Bool[np.ndarray, "steps samples"]:
    """Where a frame is predicted otherwise than the frame it is compared with.

    Raises `ValueError` where no frame has one to be compared with.
    """
    before, after = compared(predictions, noise=noise, step=step)
    return after != before


def flip_probability(predictions: Int[np.ndarray, "frames samples"], *, noise: bool = False, step: int = 1) -> float:
    """FP: the share of flips over all steps and images; in [0, 1]."""
    return float(flips(predictions, noise=noise, step=step).mean())


def top5_distances(
    best: Int[np.ndarray, "frames samples top"], *, noise: bool = False, step: int = 1
) -> Int[np.ndarray, "steps samples"]:
    """T5D: by how many places the five best classes of the earlier frame have moved in the later one.

    `best` holds the classes of the largest outputs, best first. A class that left the five counts as the sixth: the
    sum over i = 1..5 of |i - min(rank in the later frame, 6)|, 0 for equal lists, 15 for disjoint ones. The distance
    has a direction: it looks at the classes of the earlier frame.
    """
    before, after = compared(best, noise=noise, step=step)
    same = before[..., :, None] == after[..., None, :]  # steps samples top(before) top(after)
    ranks = np.where(same.any(axis=-1), same.argmax(axis=-1), TOP)
    return np.abs(ranks - np.arange(best.shape[-1])).sum(axis=-1)


def zipf_distances(
    ranks: Int[np.ndarray, "frames samples classes"], *, noise: bool = False, step: int = 1
) -> Float[np.ndarray, "steps samples"]:
    """How far all classes have moved, the best ones weighing most: the sum over i of |1/i - 1/(rank of i later)| / i.

    `ranks` holds the place of each class, 1 = largest output.
    """
    before, after = compared(1.0 / ranks, noise=noise, step=step)
    return (np.abs(before - after) * before).sum(axis=-1)


def compared(frames: np.ndarray, *, noise: bool, step: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """The earlier and the later frames that are compared with each other, along the first axis.

    Raises `ValueError` for fewer than `step` + 1 frames.
    """
    step = 1 if noise else step
    if step < 1 or len(frames) <= step:
        raise ValueError(f"a sequence has at least 2 frames, {step} apart; got {len(frames)}")
    return (frames[:1] if noise else frames[:-step]), frames[step:]


def mean_flip_rate(probability: Mapping[str, float], reference: Mapping[str, float]) -> float:
    """mFR: the mean over perturbations of FP over that of a reference model; 1 where it flips as often.

    The same form divides top-5 distances (mT5D). Raises `ValueError` where the reference lacks a perturbation or never
    flips under one.
    """
    lacking = [name for name in probability if not reference.get(name)]
    if lacking:
        raise ValueError(f"the reference has no flips under {', '.join(lacking)}, so no rate can be formed")
    return float(np.mean([probability[name] / reference[name] for name in probability]))
