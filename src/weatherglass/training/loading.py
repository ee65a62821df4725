"""Batches in order, made by processes beside the training, and the errors met on the way.

torch rebuilds an error of a loading process from its traceback, or gives up and raises a `RuntimeError`. A mistake of
the user's is therefore handed over in place of the batch, and raised here as it was raised there.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from weatherglass.errors import UserError
from weatherglass.training.interruption import loading_process


def loaded(
    samples: Dataset[Any],
    order: Sequence[Sequence[Any]],
    collate: Callable[[list[Any]], Any],
    *,
    workers: int,
    ahead: int = 4,
) -> Iterator[Any]:
    """`collate` of the samples at each entry of `order`, in turn.

    Args:
        samples: `samples[place]` is one of them.
        order: the places of every batch.
        collate: makes a batch of samples; runs where they are loaded.
        workers: processes that load; 0 loads in this one.
        ahead: batches that each of them may have ready.

    Raises:
        UserError: what loading a sample raised, `UnreadableImage` for example, in whichever process.
    """
    batches = DataLoader(
        _Batches(samples, collate),
        batch_size=None,
        sampler=order,
        num_workers=workers,
        collate_fn=_as_it_is,
        prefetch_factor=ahead if workers else None,
        worker_init_fn=loading_process(),
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator(),  # or it would draw from the global one
    )
    for batch in batches:
        if isinstance(batch, UserError):
            raise batch
        yield batch


class _Batches(Dataset[Any]):
    """One item is a whole batch, or the mistake for which there is none."""

    def __init__(self, samples: Dataset[Any], collate: Callable[[list[Any]], Any]) -> None:
        self.samples = samples
        self.collate = collate

    def __getitem__(self, places: Sequence[Any]) -> Any:
        try:
            return self.collate([self.samples[place] for place in places])
        except UserError as error:
            return error


def _as_it_is(batch: Any) -> Any:
    return batch
