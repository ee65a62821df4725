"""Studies: what an analysis found, with the paper's expectation beside it, kept in the store like a measured cell.

    runs/first/studies/lesions-3f2a91c0.json     card, protocol, findings, tables, figures and pictures in one file

A study's key is the digest of its card, its models, its data and its protocol: the same study is written once, and
another one never takes its place.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from weatherglass.errors import UserError
from weatherglass.evaluation.files import write_text
from weatherglass.evaluation.protocol import digest_of
from weatherglass.evaluation.store import Store

Row = dict[str, Any]
"""One line of a tidy table."""

Verdict = Literal["agrees", "disagrees", "open"]


@dataclass(frozen=True)
class Card:
    """The question of an analysis and what the paper leads one to expect."""

    name: str
    """As on the command line, e.g. 'lesions'."""
    title: str
    question: str
    source: str
    """Paper, section or figure."""
    expected: tuple[str, ...]
    """The paper's claims, one sentence each; findings refer to them."""
    caution: str = ""
    """What a reader should know before believing the figure."""


@dataclass(frozen=True)
class Finding:
    """Whether one model bears out one claim."""

    claim: str
    """One of `Card.expected`."""
    model: str
    verdict: Verdict
    """'open' where the measurement cannot tell."""
    evidence: str
    """The numbers, and the rule by which the verdict follows from them."""

    def __str__(self) -> str:
        return f"{self.model}: {self.claim} {self.verdict.upper()}: {self.evidence}"


@dataclass(frozen=True)
class Figure:
    """A picture with the words that belong to it."""

    name: str
    """File name without its ending."""
    title: str
    caption: str
    """What the picture shows and how to read it; also its text alternative."""
    spec: dict[str, Any]
    """Vega-Lite, data included."""


@dataclass(frozen=True)
class Sheet:
    """A picture made of pixels: overlays on images, side by side."""

    name: str
    caption: str
    png: bytes


@dataclass(frozen=True, kw_only=True)
class Study:
    """Everything an analysis leaves."""

    card: Card
    models: dict[str, str]
    """Name -> digest of its weights."""
    data: str
    protocol: dict[str, str]
    """What the numbers depend on besides the models: digest and part of the data, seed, settings, versions."""
    tables: dict[str, list[Row]]
    """Name -> tidy rows; the first is named like the card."""
    figures: tuple[Figure, ...] = ()
    sheets: tuple[Sheet, ...] = ()
    findings: tuple[Finding, ...] = ()
    created: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"))

    @property
    def key(self) -> str:
        """Digest of what decides the numbers: 32 hexadecimal digits."""
        return digest_of([self.card.name, sorted(self.models.items()), self.data, self.protocol])


def keep_study(store: Store, study: Study) -> Path:
    """Write a study into a store; returns the file."""
    path = store.path / "studies" / f"{study.card.name}-{study.key[:12]}.json"
    write_text(path, msgspec.json.encode(study).decode())
    return path


def studies_of(store: Store) -> list[Study]:
    """The studies of a store, by name and then in the order in which they were made. Raises `UserError` for a
    damaged file."""
    studies = [_decoded(path) for path in sorted((store.path / "studies").glob("*.json")) if path.name[0] != "."]
    return sorted(studies, key=lambda study: (study.card.name, study.created))


def _decoded(path: Path) -> Study:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Study)
    except (OSError, msgspec.DecodeError) as error:
        raise UserError(f"The study {path} is damaged ({error}). Delete it and analyse again.") from error
