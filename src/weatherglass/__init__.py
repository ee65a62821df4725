"""Weatherglass: the robustness laboratory for vision models.

The public names are imported on first use, so that `import weatherglass` costs nothing.
"""

from importlib import import_module
from typing import Any

from weatherglass.models.timm_hook import register_with_timm

__version__ = "0.1.0"

_PUBLIC: dict[str, str] = {
    "create_model": "weatherglass.models.create",
    "load_data": "weatherglass.data.load",
    "load_predictor": "weatherglass.models.load",
    "corrupt": "weatherglass.corruptions.engine",
    "evaluate": "weatherglass.evaluation.evaluate",
    "EvaluationSettings": "weatherglass.evaluation.evaluate",
    "summarise": "weatherglass.evaluation.summary",
    "compare": "weatherglass.evaluation.comparison",
    "explain_diff": "weatherglass.evaluation.explain",
    "gate": "weatherglass.evaluation.gate",
    "Store": "weatherglass.evaluation.store",
    "find_run": "weatherglass.evaluation.runs",
    "report": "weatherglass.report.document",
}
"""Public name -> module that defines it."""

__all__ = ["__version__", *_PUBLIC]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'weatherglass' has no attribute '{name}'")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)


register_with_timm()
