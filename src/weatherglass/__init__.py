"""Weatherglass: the robustness laboratory for vision models.

The public names are imported on first use, so that `import weatherglass` costs nothing.
"""

from weatherglass.lazy import lazy_names
from weatherglass.models.timm_hook import register_with_timm

__version__ = "0.1.0"

_PUBLIC: dict[str, str] = {
    "create_model": "models.create",
    "load_data": "data.load",
    "load_predictor": "models.load",
    "corrupt": "corruptions.engine",
    "evaluate": "evaluation.evaluate",
    "EvaluationSettings": "evaluation.evaluate",
    "summarise": "evaluation.summary",
    "compare": "evaluation.comparison",
    "explain_diff": "evaluation.explain",
    "gate": "evaluation.gate",
    "Store": "evaluation.store",
    "find_run": "evaluation.runs",
    "report": "report.document",
}
"""Public name -> module of the package that defines it."""

__all__ = ["__version__", *_PUBLIC]  # pyright: ignore[reportUnsupportedDunderAll]
__getattr__, __dir__ = lazy_names(__name__, _PUBLIC)

register_with_timm()
