"""Is a folder the data set it claims to be? Classes that are missing, renamed or doubled, before any measurement."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from weatherglass.data.detection import BoxedImages, unusable_annotations
from weatherglass.data.detection_layouts import DETECTION_LAYOUTS
from weatherglass.data.folder import check_directory, class_directories, image_files
from weatherglass.data.imagenet import imagenet_wnids
from weatherglass.data.masks import MASKS
from weatherglass.errors import UnreadableImage, UserError
from weatherglass.types import DetectionData

PUBLISHED_IMAGES = {
    "imagenet": 50_000,
    "imagenet-a": 7_500,
    "imagenet-r": 30_000,
    "imagenet-v2": 10_000,
    "imagenet-sketch": 50_889,
}
"""Images in the released files."""


@dataclass(frozen=True)
class Finding:
    """Something about a folder that its user should know."""

    kind: str
    """'missing', 'renamed', 'doubled', 'unexpected', 'empty', 'count', 'order' or 'unusable'."""
    text: str
    fatal: bool = True
    """Whether numbers measured on this folder would be wrong or incomplete."""


def validate_folder(kind: str, place: str) -> list[Finding]:
    """What is wrong with a folder of class directories, or with annotations of objects, worst first; empty where
    nothing is.

    `kind` is one of `PUBLISHED_IMAGES` or `DETECTION_LAYOUTS`. Raises `UserError` for another kind
    or a folder that is not there.
    """
    if kind in DETECTION_LAYOUTS:
        return _objects(f"{kind}:{place}", place, DETECTION_LAYOUTS[kind])
    if kind not in PUBLISHED_IMAGES:
        known = ", ".join((*PUBLISHED_IMAGES, *DETECTION_LAYOUTS))
        raise UserError(f"Folders of kind {known} can be validated, not '{kind}'.")
    root = Path(place).expanduser()
    check_directory(root, f"{kind}:{place}")
    there = class_directories(root)
    numbered = bool(there) and sum(one.isdigit() for one in there) > len(there) / 2
    expected = expected_classes(kind, numbered=numbered)
    images = {one: sum(1 for _ in image_files(root / one)) for one in there}
    findings = [*_doubled(there, expected), *_missing(there, expected), *_empty(images)]
    if numbered and any(int(one) > 9 for one in there if one.isdigit()):
        findings.append(
            Finding(
                "order",
                "The directories are numbers. They are read as output indices; a reader that sorts names as text "
                "(torchvision's ImageFolder) puts 10 before 2, and its labels mean other classes.",
                fatal=False,
            )
        )
    total = sum(images.values())
    if total != PUBLISHED_IMAGES[kind]:
        published = PUBLISHED_IMAGES[kind]
        findings.append(Finding("count", f"{total:,} images; {kind} was published with {published:,}.", fatal=False))
    return sorted(findings, key=lambda finding: not finding.fatal)


def expected_classes(kind: str, *, numbered: bool = False) -> tuple[str, ...]:
    """Directory names of a complete folder: WordNet ids, or the numbers 0 ... 999."""
    if numbered:
        return tuple(map(str, range(1000)))
    wnids = imagenet_wnids()
    return tuple(wnids[output] for output in MASKS[kind]) if kind in MASKS else wnids


def _doubled(there: Sequence[str], expected: Sequence[str]) -> list[Finding]:
    """Two directories for one class: the same number or id but for case, zeros, or a copy's ending."""
    groups: dict[str, list[str]] = {}
    for one in there:
        groups.setdefault(_plain(one), []).append(one)
    return [
        Finding("doubled", f"{' and '.join(names)} are one class twice; its images would count as two classes.")
        for plain, names in groups.items()
        if len(names) > 1 and plain in {_plain(one) for one in expected}
    ]


def _missing(there: Sequence[str], expected: Sequence[str]) -> list[Finding]:
    lacking = [one for one in expected if one not in there]
    strangers = [one for one in there if one not in expected]
    findings = []
    plain = {_plain(one): one for one in lacking}
    for stranger in list(strangers):
        near = plain.get(_plain(stranger)) or next(iter(get_close_matches(stranger, lacking, 1, 0.85)), None)
        if near is not None and near in lacking and len(strangers) <= 50:
            findings.append(Finding("renamed", f"'{stranger}' is probably '{near}'. Rename it."))
            lacking.remove(near)
            strangers.remove(stranger)
    if lacking:
        findings.append(Finding("missing", f"{len(lacking)} of {len(expected)} classes: {_some(lacking)}."))
    others = [one for one in strangers if _plain(one) not in {_plain(name) for name in expected}]
    if others:
        findings.append(Finding("unexpected", f"{len(others)} directories that are no class of it: {_some(others)}."))
    return findings


def _empty(images: dict[str, int]) -> list[Finding]:
    empty = [one for one, count in images.items() if count == 0]
    return [Finding("empty", f"{len(empty)} directories hold no images: {_some(empty)}.")] if empty else []


def string_sorted(decisions: Sequence[int], labels: Sequence[int], classes: int) -> bool:
    """Whether labels look like numbers that were sorted as text: wrong as they are, right when sorted back.

    For labels whose names are lost. Needs 20 decisions, of which at least a fifth, and three times as many as now,
    become right.
    """
    as_text = sorted(range(classes), key=str)  # label k was given to the directory named as_text[k]
    now = sum(int(d) == int(k) for d, k in zip(decisions, labels, strict=True))
    then = sum(int(d) == as_text[int(k)] for d, k in zip(decisions, labels, strict=True))
    return len(labels) >= 20 and then >= 0.2 * len(labels) and then >= 3 * now


def _objects(name: str, place: str, read: Callable[[str, str], DetectionData]) -> list[Finding]:
    """Annotations that cannot be used, images without objects, classes that never occur."""
    data = read(name, place)
    assert isinstance(data, BoxedImages)
    bad = [Finding("unusable", f"annotation {where}: {why}.") for where, why in unusable_annotations(data).items()]
    for index in range(len(data)):
        try:
            data.image(index)
            if not bad:
                data.objects(index)
        except UnreadableImage as error:
            bad.append(Finding("unusable", str(error)))
    bare = [image.id for image in data.images if not image.annotations]
    seen = {one.category for image in data.images for one in image.annotations}
    unseen = [one for position, one in enumerate(data.classes) if position not in seen]
    notes = [Finding("empty", f"{len(bare)} images without objects: {_some(bare)}.", fatal=False)] if bare else []
    notes += [Finding("missing", f"{len(unseen)} classes never occur: {_some(unseen)}.", fatal=False)] if unseen else []
    return [*bad, *notes]


def _plain(name: str) -> str:
    """The class that a directory's name means: without case, copies' endings and leading zeros."""
    name = re.sub(r"([ _-]*(copy|\(\d+\)|_\d))+$", "", name.strip().lower())
    return str(int(name)) if name.isdigit() else name


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
