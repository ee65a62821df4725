"""Stored studies as the page shows them: the question, what was expected and found, figures, pictures, tables."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass

from weatherglass.evaluation.store import Store
from weatherglass.evaluation.studies import Card, Finding, Study, studies_of
from weatherglass.report.analysis_figures import csv_text
from weatherglass.report.charts import Spec, inline_svg
from weatherglass.report.words import listed, short_labels, shortened

MOST_STUDIES = 24
"""Studies on one page, the newest of each kind first."""

LARGEST_TABLE = 400_000
"""Bytes of a table that the page carries; a larger one stays in the store."""


@dataclass(frozen=True)
class Chart:
    """A figure, drawn."""

    title: str
    caption: str
    svg: str


@dataclass(frozen=True)
class Picture:
    """A sheet of pictures as a data address."""

    caption: str
    address: str


@dataclass(frozen=True)
class Download:
    """A table as CSV inside the page."""

    name: str
    rows: int
    address: str
    """A data address; empty where the table is too large to carry."""


@dataclass(frozen=True)
class Claim:
    """One sentence of a paper, and what every model says to it."""

    sentence: str
    findings: tuple[tuple[str, Finding], ...]
    """(short name of the model, finding)."""


@dataclass(frozen=True)
class StudyView:
    """One study."""

    anchor: str
    card: Card
    heading: str
    claims: tuple[Claim, ...]
    charts: tuple[Chart, ...]
    pictures: tuple[Picture, ...]
    tables: tuple[Download, ...]
    protocol: tuple[tuple[str, str], ...]


def study_views(stores: Sequence[Store]) -> tuple[list[StudyView], int]:
    """The studies of all stores, and how many are left out. The same study of two stores appears once."""
    found = {study.key: study for store in stores for study in studies_of(store)}
    newest = sorted(found.values(), key=lambda study: study.created, reverse=True)
    ordered = sorted(newest, key=lambda study: study.card.name)
    shown = [study_view(study, place) for place, study in enumerate(ordered[:MOST_STUDIES])]
    return shown, max(0, len(ordered) - MOST_STUDIES)


def study_view(study: Study, place: int) -> StudyView:
    """One study, drawn."""
    names = dict(zip(study.models, short_labels(list(study.models)), strict=True))
    claims = [
        Claim(
            sentence, tuple((names.get(one.model, one.model), one) for one in study.findings if one.claim == sentence)
        )
        for sentence in study.card.expected
    ]
    about = {"models": ", ".join(f"{name} ({digest[:12]})" for name, digest in study.models.items())}
    about |= {"data": study.data} | study.protocol | {"made": study.created}
    return StudyView(
        anchor=f"study-{place}",
        card=study.card,
        heading=f"{listed(list(names.values()), 4) or study.card.title} on {shortened(study.data)}",
        claims=tuple(claims),
        charts=tuple(Chart(f.title, f.caption, inline_svg(_untitled(f.spec), f.caption)) for f in study.figures),
        pictures=tuple(Picture(sheet.caption, _address("image/png", sheet.png)) for sheet in study.sheets),
        tables=tuple(_download(name, csv_text(rows), len(rows)) for name, rows in study.tables.items()),
        protocol=tuple((name, value) for name, value in about.items() if value),
    )


def _untitled(spec: Spec) -> Spec:
    """The figure without its title, which the page writes above it."""
    return {name: value for name, value in spec.items() if name != "title"}


def _download(name: str, text: str, rows: int) -> Download:
    content = text.encode()
    address = _address("text/csv", content) if len(content) <= LARGEST_TABLE else ""
    return Download(f"{name}.csv", rows, address)


def _address(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{b64encode(content).decode()}"
