"""Images that were right when clean and wrong when disturbed, as data URIs."""

from base64 import b64encode
from collections import defaultdict
from dataclasses import dataclass
from itertools import zip_longest

from weatherglass.errors import UserError
from weatherglass.evaluation.grid import OF_MODEL
from weatherglass.evaluation.record import CellRecord, Picture
from weatherglass.evaluation.runs import Run
from weatherglass.report.words import condition_in_words

BYTES = 1_600_000
"""Encoded images of one page, all models together; the page must stay easy to send."""

TINY = 96
"""Images of at most this width in pixels are enlarged without smoothing."""


@dataclass(frozen=True)
class Flip:
    """One image, clean and disturbed, with what the model said of each."""

    id: str
    condition: str
    label: str
    clean_prediction: str
    prediction: str
    confidence: float
    clean: str
    disturbed: str
    tiny: bool

    @property
    def bytes(self) -> int:
        """Length of both data URIs."""
        return len(self.clean) + len(self.disturbed)


def flips_of(run: Run, limit: int, budget: int) -> list[Flip]:
    """Up to `limit` flipped images of `budget` bytes in all, of as many kinds of disturbance as possible.

    Families take turns, and so do severities, so that a short gallery shows the range. At most three cells a picture
    are opened, so that large stores stay quick.
    """
    names = _class_names(run)
    flips: list[Flip] = []
    shown: set[str] = set()
    for record in _cells_in_turn(run)[: 3 * limit]:
        flip = _first_new(run, record, shown, names)
        if flip is not None and flip.bytes <= budget:
            budget -= flip.bytes
            shown.add(flip.id)
            flips.append(flip)
        if len(flips) == limit:
            break
    return flips


@dataclass(frozen=True)
class Masked:
    """One image with masks or boxes: picture and what was found side by side, clean and disturbed."""

    id: str
    condition: str
    clean_score: float
    """The image's own mIoU or AP."""
    score: float
    clean: str
    disturbed: str
    wide: bool
    """Whether the pair is so wide that clean and disturbed stand one below the other."""


def overlays_of(run: Run, limit: int, budget: int) -> list[Masked]:
    """Up to `limit` segmented images, or images with boxes, of `budget` bytes in all, chosen as `flips_of` chooses."""
    found: list[Masked] = []
    shown: set[str] = set()
    for record in _cells_in_turn(run)[: 3 * limit]:
        kept = run.store.overlays(record.key)
        if not kept or len(found) == limit:
            continue
        overlay = next((one for one in kept if one.id not in shown), kept[0])
        condition = condition_in_words(record.cell.disturbance, record.kind, record.severity)
        clean, disturbed = _data_uri(overlay.clean), _data_uri(overlay.disturbed)
        if len(clean) + len(disturbed) <= budget:
            budget -= len(clean) + len(disturbed)
            shown.add(overlay.id)
            scores = overlay.clean_score, overlay.score
            found.append(Masked(overlay.id, condition, *scores, clean, disturbed, len(overlay.clean) > 20_000))
    return found


def _cells_in_turn(run: Run) -> list[CellRecord]:
    """Cells of disturbed images in an order whose beginning is a sample of families, kinds and severities."""
    by_family: dict[str, dict[str, list[CellRecord]]] = defaultdict(lambda: defaultdict(list))
    disturbed = [record for record in run.disturbed.values() if record.family not in OF_MODEL]
    for record in sorted(disturbed, key=lambda r: (r.kind, r.severity or 0)):
        by_family[record.family][record.kind].append(record)
    in_turn = zip_longest(*(kinds.values() for kinds in by_family.values()))
    kinds = [cells for turn in in_turn for cells in turn if cells is not None]
    # The i-th kind starts at its (i+1)-th severity, and each later round goes one further.
    rounds = max((len(cells) for cells in kinds), default=0)
    return [
        cells[(i + turn) % len(cells)] for turn in range(rounds) for i, cells in enumerate(kinds) if turn < len(cells)
    ]


def _first_new(run: Run, record: CellRecord, shown: set[str], names: tuple[str, ...]) -> Flip | None:
    """A picture of this cell, if possible of an image that the page does not show yet."""
    pictures = [p for p in run.store.pictures(record.key) if _media_type(p.clean) and _media_type(p.disturbed)]
    if not pictures:
        return None
    picture = next((p for p in pictures if p.id not in shown), pictures[0])
    return _flip(picture, record, names)


def _flip(picture: Picture, record: CellRecord, names: tuple[str, ...]) -> Flip:
    def name(index: int) -> str:
        return names[index] if 0 <= index < len(names) else f"class {index}"

    return Flip(
        id=picture.id,
        condition=condition_in_words(record.cell.disturbance, record.kind, record.severity),
        label=name(picture.label),
        clean_prediction=name(picture.clean_prediction),
        prediction=name(picture.prediction),
        confidence=picture.confidence,
        clean=_data_uri(picture.clean),
        disturbed=_data_uri(picture.disturbed),
        tiny=_is_tiny(picture.clean),
    )


def _class_names(run: Run) -> tuple[str, ...]:
    try:
        return run.manifest.classes
    except UserError:  # a store without the manifest still has a report
        return ()


def _media_type(encoded: bytes) -> str | None:
    """Media type by the first bytes; None for what a browser may not show."""
    if encoded.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if encoded.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    return "image/webp" if encoded[:4] == b"RIFF" and encoded[8:12] == b"WEBP" else None


def _data_uri(encoded: bytes) -> str:
    return f"data:{_media_type(encoded)};base64,{b64encode(encoded).decode('ascii')}"


def _is_tiny(encoded: bytes) -> bool:
    """Whether a PNG is at most `TINY` pixels wide; its width stands in bytes 16 to 19."""
    return _media_type(encoded) == "image/png" and int.from_bytes(encoded[16:20], "big") <= TINY
