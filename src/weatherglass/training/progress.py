"""What a training tells whoever listens."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from weatherglass.training.training import Training


class Listener:
    """Hears of progress; this one says nothing."""

    def started(self, training: "Training") -> None: ...

    def stepped(self, training: "Training", pace: "Pace") -> None: ...

    def epoch_ended(self, training: "Training", row: Mapping[str, float]) -> None: ...


@dataclass
class Pace:
    """How fast an epoch goes."""

    samples: int = 0
    """By all processes."""
    waited: float = 0.0
    """Seconds in which the network waited for samples."""
    worked: float = 0.0
    """Seconds of everything else."""

    @property
    def rate(self) -> float:
        """Samples a second."""
        return self.samples / max(self.waited + self.worked, 1e-9)

    @property
    def starved(self) -> float:
        """Share of the time that was spent waiting for samples."""
        return self.waited / max(self.waited + self.worked, 1e-9)
