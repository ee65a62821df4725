"""The page: one HTML file that needs nothing from outside and may load nothing.

Templates escape everything they print; what is marked safe is the style sheet, the script and the charts, which
this package writes itself. The content security policy names the digests of style and script, so that even text
that escaped its escaping could not run.
"""

import json
from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from weatherglass import __version__
from weatherglass.report import heat, words
from weatherglass.report.adversaries import attack_table, space_maps, transfer_tables
from weatherglass.report.charts import MODEL_COLOURS, heat_classes, theme_rules
from weatherglass.report.comparisons import rivals_of
from weatherglass.report.content import Content, DataGroup, ModelView
from weatherglass.report.curves import curves_of
from weatherglass.report.gallery import BYTES, Flip, Masked, flips_of, overlays_of
from weatherglass.report.methods import methods_of
from weatherglass.report.model_curves import model_curves
from weatherglass.report.notices import facts_of, notices_of
from weatherglass.report.panels import Panels, calibration_of, curve_svg, failing_panels
from weatherglass.report.parts import (
    MOST_CARDS,
    MOST_IN_LEAGUE,
    capped,
    class_rows,
    condition_table,
    gaps_of,
    measures_of,
    worst_rows,
)
from weatherglass.report.protocols import differing_fields, protocol_rows, versions_of
from weatherglass.report.stability import stability_tables
from weatherglass.report.studies import study_views
from weatherglass.report.verdicts import title_of, verdicts_of

MOST_CURVES = 12
"""Lines in one chart."""

MOST_DRAWN = 6
"""Models that get a chart of their own in each part."""

PICTURES = 24
"""Pairs of images on the page, shared by the models."""


def render(content: Content) -> str:
    """The whole page as text."""
    environment = Environment(
        loader=PackageLoader("weatherglass.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": words.percent,
        "number": words.number,
        "across": words.across,
        "shortened": words.shortened,
        "described": lambda table, view: heat.described(view),
        "decimals": lambda value: f"{value:.2f}",
        "sure": lambda value: f"{value:.0%}",
    }
    style, script = _style(), _template_text("page.js")
    studies, studies_left = study_views(content.stores)
    parts = (
        _parts(content) if content.groups else {"models": (), "facts": words.count(len(studies), "study", "studies")}
    )
    parts |= {"studies": studies, "studies_left": studies_left}
    fixed = {
        "title": title_of(content) if content.groups else "Inside the models",
        "style": style,
        "script": script,
        "policy": _policy(style, script),
        "numbers": _embedded(numbers_of(content)),
        "contents": [(anchor, text) for anchor, text, key in _CONTENTS if parts.get(key)],
        "version": __version__,
        "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "stores": [str(store.path) for store in content.stores],
    }
    return environment.get_template("page.html.j2").render(fixed | parts)


_CONTENTS = (
    ("short", "In short", "models"),
    ("models", "Models", "models"),
    ("heat", "Heat map", "heat"),
    ("curves", "Curves", "curves"),
    ("disturbed", "Disturbed models", "model_curves"),
    ("worst", "Worst conditions", "worst"),
    ("failing", "Breaking point", "failing"),
    ("classes", "Classes", "classes"),
    ("stability", "Stability", "stability"),
    ("attacks", "Attacks", "adversaries"),
    ("space", "Rotations and shifts", "space"),
    ("gallery", "Images", "gallery"),
    ("overlays", "Overlays", "overlays"),
    ("calibration", "Calibration", "calibration"),
    ("studies", "Why", "studies"),
    ("gaps", "What is missing", "models"),
    ("protocol", "Protocol", "models"),
    ("methods", "Methods", "models"),
)
"""Anchor, words, and the part without which there is no such section."""


def _parts(content: Content) -> dict[str, Any]:
    detailed, drawn = content.detailed, content.detailed[:MOST_DRAWN]
    groups = [_group(group) for group in content.groups]
    failing = failing_panels(drawn)
    curves = [
        (group, curves, views)
        for group in content.groups
        for views in [group.models[:MOST_CURVES]]
        for curves in [curves_of(group, views)]
        if curves
    ]
    attacks = [(g, table) for g in content.groups for table in [attack_table(g, g.models[:MOST_DRAWN])] if table]
    transfers = [table for group in content.groups for table in transfer_tables(group)]
    heats = [(view, table) for view in detailed for table in [heat.heat_table(view)] if table]
    return {
        "facts": facts_of(content),
        "models": content.models,
        "level": f"{content.models[0].summary.level:.0%}",
        "groups": groups,
        "verdicts": [s for g in groups for s in _prefixed(g["verdicts"], g["name"], len(groups) > 1)],
        "notices": notices_of(content),
        "heat": heats,
        "not_detailed": len(content.models) - len(detailed),
        "curves": [(group, _Drawn(curves), views) for group, curves, views in curves],
        "model_curves": [(g, drawn) for g in content.groups for drawn in [model_curves(g, detailed)] if drawn],
        "condition_tables": [(g, condition_table(g, g.models[:MOST_DRAWN])) for g in content.groups],
        "attacks": attacks,
        "transfers": transfers,
        "adversaries": attacks or transfers,
        "space": space_maps(drawn),
        "worst": [(view, rows) for view in drawn for rows in [worst_rows(view)] if rows],
        "failing": _drawn(failing) if failing else None,
        "classes": [(v, rows) for v in drawn for rows in [class_rows(v)] if rows.shown and v.summary.corrupted],
        "stability": stability_tables(content.groups, MOST_DRAWN),
        "gallery": _gallery(drawn),
        "overlays": _overlays(drawn),
        "measure": content.measure,
        "title_measure": words.titled(content.measure),
        "whole_images": any(view.summary.task == "classification" for view in content.models),
        "calibration": _calibration(drawn, detailed),
        "gaps": gaps_of(content),
        "protocol": protocol_rows(content.models),
        "differing": differing_fields(content.models),
        "methods": methods_of(content),
        "notes": list(dict.fromkeys(note for view in content.models for note in view.summary.notes))[:20],
        "versions": versions_of(content.models) | {"weatherglass (this page)": __version__},
    }


class _Drawn:
    """Curves whose charts are drawn when the template asks for them."""

    def __init__(self, curves: Any) -> None:
        self.more = curves.more
        self.families = [
            (family, [(facet, curve_svg(facet, curves)) for facet in facets]) for family, facets in curves.families
        ]


def _group(group: DataGroup) -> dict[str, Any]:
    rivals = rivals_of(group)
    as_cards = len(group.models) <= MOST_CARDS
    return {
        "name": group.name,
        "samples": group.samples,
        "cards": [(view, measures_of(view)) for view in group.models] if as_cards else [],
        "league": None if as_cards else capped(group.models, MOST_IN_LEAGUE),
        "best": group.models[0],
        "rivals": rivals,
        "verdicts": verdicts_of(group, rivals),
    }


def _prefixed(sentences: list[str], name: str, several: bool) -> list[str]:
    return [f"On {name}: {sentence}" if several else sentence for sentence in sentences]


def _drawn(panels: Panels) -> dict[str, Any]:
    return {"charts": [(p.view, p.svg, p.sentence) for p in panels.panels], "legend": panels.legend}


def _calibration(drawn: Sequence[ModelView], detailed: Sequence[ModelView]) -> dict[str, Any] | None:
    found = calibration_of(drawn)
    if found is None:
        return None
    views = [view for view in detailed if view.summary.task == "classification"]
    tables = {"levels": found.levels, "errors": found.errors, "confident": found.confident, "views": views}
    return {
        "charts": [(p.view, p.svg, p.sentence) for p in found.panels.panels],
        "legend": found.panels.legend,
    } | tables


def _gallery(views: Sequence[ModelView]) -> list[tuple[ModelView, list[Flip]]]:
    each = max(2, min(12, PICTURES // max(1, len(views))))
    galleries = [(view, flips_of(view.run, each, BYTES // max(1, len(views)))) for view in views]
    return [(view, flips) for view, flips in galleries if flips]


def _overlays(views: Sequence[ModelView]) -> list[tuple[ModelView, list[Masked]]]:
    each = max(2, min(6, PICTURES // (2 * max(1, len(views)))))
    galleries = [(view, overlays_of(view.run, each, BYTES // max(1, len(views)))) for view in views]
    return [(view, masked) for view, masked in galleries if masked]


def numbers_of(content: Content) -> dict[str, Any]:
    """The headline numbers of the page for other programs: name -> [value, low, high], as fractions."""
    return {
        "weatherglass": __version__,
        "runs": [
            {
                "model": view.name,
                "data": view.run.data,
                "run": view.summary.key,
                "metrics": {
                    name: [round(e.value, 6), round(e.low, 6), round(e.high, 6)]
                    for name, e in view.summary.metrics.items()
                    if "." not in name
                },
            }
            for view in content.detailed
        ],
    }


def _embedded(value: object) -> str:
    """JSON that cannot end its script element: '<' is written as an escape."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).replace("<", "\\u003c").replace(">", "\\u003e")


def _style() -> str:
    classes = "\n".join(
        f".h{step} {{ background: {background}; color: {ink}; }}"
        for step, (background, ink) in enumerate(heat_classes(heat.STEPS))
    )
    hidden = "\n".join(
        f'html[data-hidden~="{i}"] .chart [{part}="{colour}"] {{ display: none; }}'
        for i, colour in enumerate(MODEL_COLOURS)
        for part in ("fill", "stroke")
    )
    return "\n".join([_template_text("style.css"), classes, theme_rules(), hidden])


def _template_text(name: str) -> str:
    return files("weatherglass.report").joinpath("templates", name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    def digest(text: str) -> str:
        return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"

    return (
        f"default-src 'none'; img-src data:; style-src {digest(style)}; script-src {digest(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
