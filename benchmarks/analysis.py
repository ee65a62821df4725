"""What the analyses cost: recording against a plain forward pass, grouping against a loop over scikit-learn, memory.

    python -m benchmarks analysis [--images 256] [--loop 8]

Both sides run in the same process in turns; the minimum of the CPU times counts, memory is the process's own peak.
"""

import argparse
import resource
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from timm.models.vision_transformer import VisionTransformer

from weatherglass.analysis.clusters import cluster_maps
from weatherglass.analysis.grouping import affinity_eigenvalues, spectral_clusters, token_affinity
from weatherglass.analysis.noise_decay import noise_decay, spectra
from weatherglass.analysis.recording import Recorder
from weatherglass.analysis.similarity import layer_similarity
from weatherglass.models.predictor import TorchPredictor
from weatherglass.randomness import Draws
from weatherglass.types import ImageData, Preprocessing

TOKENS, WIDTH, BLOCKS = 196, 384, 12


def main(options: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks analysis")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--loop", type=int, default=8, help="images that scikit-learn clusters; its time is scaled up")
    chosen = parser.parse_args(options)
    memory()
    recording()
    grouping(chosen.images, chosen.loop)


class Endless(ImageData):
    """As many random images of 32 pixels as are asked for, made when they are read: they take no memory."""

    def __init__(self, count: int) -> None:
        self.name, self.classes, self.digest = "random", ("none",), str(count)
        self.ids, self.labels = tuple(map(str, range(count))), np.zeros(count, dtype=np.int64)

    def image(self, index: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(index)
        return torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8, generator=generator)

    def select(self, indices: Sequence[int], selection: str) -> "Endless":
        raise NotImplementedError


def memory() -> None:
    """Peak memory of similarity, spectra, noise decay and clusters on 128 images, and what eight times as many add."""
    module = VisionTransformer(img_size=32, patch_size=4, embed_dim=96, depth=6, num_heads=4, num_classes=10)
    predictor = TorchPredictor(module, name="vit", classes=10, device="cpu", preprocessing=Preprocessing(size=(32, 32)))
    for name, study in (
        ("similarity", lambda data: layer_similarity(predictor, data)),
        ("spectra", lambda data: spectra(predictor, data)),
        ("noise decay", lambda data: noise_decay(predictor, data, draws=1)),
        ("clusters", lambda data: cluster_maps(predictor, data)),
    ):
        study(Endless(128))
        few = peak()
        study(Endless(1024))
        print(f"{name}: peak {few:.0f} MiB on 128 images, {peak() - few:+.1f} MiB on 1,024")


def recording() -> None:
    """ViT-S at 224 pixels, 8 images: all 12 blocks recorded, against the forward pass alone."""
    module = VisionTransformer(img_size=224, patch_size=16, embed_dim=WIDTH, depth=BLOCKS, num_heads=6)
    predictor = TorchPredictor(module, name="vit", classes=1000, device="cpu")
    recorder = Recorder(predictor, (224, 224))
    images = torch.rand(8, 3, 224, 224)
    with torch.no_grad():
        plain, recorded = in_turns(lambda: predictor(images), lambda: recorder(images), repeats=5)
    more = 100 * (recorded / plain - 1)
    print(f"forward {plain:.3f} CPU s, with all blocks recorded {recorded:.3f} CPU s: {more:+.1f} %")


def grouping(images: int, loop: int) -> None:
    """Eigenvalues and spectral clusters of `images` x 12 blocks of 196 tokens."""
    from sklearn.cluster import SpectralClustering

    generator = torch.Generator().manual_seed(0)
    batches = [torch.randn(min(16, images - i), TOKENS, WIDTH, generator=generator) for i in range(0, images, 16)]
    started, wall = time.process_time(), time.perf_counter()
    before = peak()
    for index, tokens in enumerate(batches):
        ids = tuple(str(16 * index + row) for row in range(len(tokens)))
        for block in range(BLOCKS):
            affinity_eigenvalues(tokens)
            spectral_clusters(tokens, 4, Draws(0, ids, f"block {block}"))
    ours = time.process_time() - started
    print(f"{images} images x {BLOCKS} blocks: {ours:.1f} CPU s, {time.perf_counter() - wall:.1f} s by the clock")
    print(f"peak memory grew by {peak() - before:.0f} MiB")
    few = batches[0][:loop]
    started = time.process_time()
    for affinity in token_affinity(few):
        loop_of_one = SpectralClustering(4, affinity="precomputed", assign_labels="kmeans", n_init=10, random_state=0)
        loop_of_one.fit(affinity.numpy())
    theirs = (time.process_time() - started) / len(few) * images * BLOCKS
    times = theirs / ours
    print(f"scikit-learn, one by one: {theirs:.0f} CPU s (from {len(few)}), clusters alone: {times:.1f} times as long")


def in_turns(first: Callable[[], object], second: Callable[[], object], *, repeats: int) -> tuple[float, float]:
    """The least CPU seconds of each."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for call, taken in zip((first, second), times, strict=True):
            started = time.process_time()
            call()
            taken.append(time.process_time() - started)
    return min(times[0]), min(times[1])


def peak() -> float:
    """Peak memory of this process in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
