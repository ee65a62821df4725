"""Fresh weights that are the same every time, whatever was drawn before them."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded_initialisation(seed: int) -> Iterator[None]:
    """Networks built inside get the weights that `seed` decides; the caller's generator is untouched.

    torch's initialisers draw from the global generator of the CPU and take no other.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
