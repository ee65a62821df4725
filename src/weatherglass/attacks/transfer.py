"""`Transferred`: adversarial images made on one model and shown to another; made once, kept, used again."""

from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

import numpy as np
import torch

from weatherglass.attacks.disturbance import Attacked
from weatherglass.data.classes import check_same_outputs
from weatherglass.errors import UserError
from weatherglass.types import Batch, Disturbance, Images, Predictor
from weatherglass.unfinished import unfinished


@dataclass(frozen=True)
class Transferred(Disturbance):
    """The images that `attack` makes on `source`, whatever model looks at them."""

    attack: Attacked
    source: Predictor = field(compare=False)
    folder: Path | None = field(default=None, compare=False)
    """Where the images are kept for the next target, one file a chunk; None: they are made each time."""

    def __str__(self) -> str:
        return f"{self.attack} from {self.source.name}"

    @property
    def family(self) -> str:
        return "attack"

    @property
    def severity(self) -> float:
        """The radius."""
        return self.attack.radius

    @property
    def kind(self) -> str:
        return f"{self.attack.kind} from {self.source.name}"

    @property
    def passes(self) -> float:
        return self.attack.passes

    @property
    def needs_labels(self) -> bool:
        return self.attack.needs_labels

    def protocol(self, height: int, width: int) -> dict[str, str]:
        """That of the attack, and everything about the model it was made on that decides its outputs."""
        source, seen = self.source, self.source.preprocessing
        return self.attack.protocol(height, width) | {
            "made on": f"{source.name} {source.digest}",
            "preparation of source": f"{seen.geometry}; {seen.normalisation}; {source.precision}; {source.decision}",
        }

    def chunk(self, predictor: Predictor) -> int:
        return self.attack.chunk(self.source)

    def check(self, predictor: Predictor) -> None:
        """Raise `UserError` where the two models do not look at the same pixels or number classes differently."""
        self.attack.check(self.source)
        ours, theirs = self.source.preprocessing.geometry, predictor.preprocessing.geometry
        if ours != theirs:
            raise UserError(
                f"{self.source.name} sees images after '{ours}', {predictor.name} after '{theirs}'. Transfer compares "
                f"models on the same pixels: give both the same --preprocessing."
            )
        check_same_outputs(self.source, predictor)

    def of_input(self, batch: Batch, predictor: Predictor, *, seed: int) -> Images:
        """The adversarial images, from the folder where this chunk was attacked before."""
        chunk, parts = self.chunk(predictor), []
        for start in range(0, len(batch.ids), chunk):
            rows = slice(start, start + chunk)
            part = Batch(batch.images[rows], batch.labels[rows], batch.ids[rows])
            parts.append(self._made(part, seed).to(batch.images.device))
        return torch.cat(parts)

    def _made(self, batch: Batch, seed: int) -> Images:
        if self.folder is None:
            return self.attack.of_input(batch, self.source, seed=seed)
        path = self.folder / f"{self._key(batch, seed)}.npy"
        if path.is_file():
            return torch.from_numpy(np.load(path, allow_pickle=False))
        made = self.attack.of_input(batch, self.source, seed=seed)
        self.folder.mkdir(parents=True, exist_ok=True)
        part = unfinished(path)
        with part.open("xb") as stream:
            np.save(stream, made.cpu().numpy())
        part.replace(path)
        return made

    def _key(self, batch: Batch, seed: int) -> str:
        """Everything that decides the images of a chunk."""
        height, width = batch.images.shape[2:]
        made_by = f"{self.source.device.type} {torch.__version__}"
        text = f"{self} {seed} {sorted(self.protocol(height, width).items())} {batch.ids} {made_by}"
        digest = blake2b(text.encode(), digest_size=16)
        digest.update(batch.labels.cpu().numpy().tobytes())
        digest.update(batch.images.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()
