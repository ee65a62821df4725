"""Progress for TensorBoard, where the package is installed."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from weatherglass.errors import MissingExtra
from weatherglass.training.progress import Listener, Pace

if TYPE_CHECKING:
    from weatherglass.training.training import Training


class TensorBoard(Listener):
    """Every number of the metrics file, by step, in `FOLDER/tensorboard`."""

    def __init__(self) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise MissingExtra("tensorboard", "train", "Writing for TensorBoard") from None
        self._open: Any = SummaryWriter
        self._writer: Any = None

    def started(self, training: "Training") -> None:
        # What a run that was killed wrote behind its last checkpoint is taken back, from this step on.
        self._writer = self._open(str(training.folder.path / "tensorboard"), purge_step=training.step + 1)

    def epoch_ended(self, training: "Training", row: Mapping[str, float]) -> None:
        for name, value in row.items():
            self._writer.add_scalar(name.replace(" ", "_"), value, training.step)
        self._writer.flush()


class Several(Listener):
    """Passes everything on to all of them."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self.listeners = listeners

    def started(self, training: "Training") -> None:
        for listener in self.listeners:
            listener.started(training)

    def stepped(self, training: "Training", pace: Pace) -> None:
        for listener in self.listeners:
            listener.stepped(training, pace)

    def epoch_ended(self, training: "Training", row: Mapping[str, float]) -> None:
        for listener in self.listeners:
            listener.epoch_ended(training, row)
