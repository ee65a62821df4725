"""Too little memory for a disturbance that runs the model: smaller passes, and a note of it."""

from dataclasses import dataclass, field

import torch

from weatherglass.attacks.objective import pass_size, passes_of_at_most
from weatherglass.types import Batch, Disturbance, Images, Pixels, Predictor


@dataclass
class Disturbing:
    """Disturbs batches. Out of memory halves the passes of an attack, which stay halved, and that is noted."""

    disturbance: Disturbance
    seed: int
    notes: list[str] = field(default_factory=list)
    largest: int | None = None
    """Images in a pass at most; None: as many as the attack itself takes."""

    def __call__(self, batch: Batch, predictor: Predictor) -> Pixels | Images:
        """The disturbed images. Chunks, and the random numbers that belong to them, stay as they are."""
        while True:
            try:
                with passes_of_at_most(self.largest):
                    return self.disturbance.of_input(batch, predictor, seed=self.seed)
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                size = self.largest or pass_size(predictor)
                if size == 1 or not self.disturbance.passes or not is_out_of_memory(error):
                    raise
                self.largest = size // 2
                self.notes.append(f"out of memory: attack passes halved to {self.largest}")
            if torch.cuda.is_available():
                torch.cuda.empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed, on a GPU or in main memory."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return "not enough memory" in str(error) or "can't allocate memory" in str(error)
