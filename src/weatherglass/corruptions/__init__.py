"""Corruptions of images: what they are (`severity`, `suites`) and how to make them (`corrupt`, `Corrupted`).

Names are imported on first use: the tables of constants and suites need no torch.
"""

from importlib import import_module
from typing import Any

_PLACES = {
    "CORRUPTIONS": "severity",
    "Corruption": "level",
    "SUITES": "suites",
    "Suite": "suites",
    "corrupt": "engine",
    "apply": "engine",
    "Corrupted": "disturbance",
    "parse_corruption": "disturbance",
}

__all__ = list(_PLACES)


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'weatherglass.corruptions' has no attribute '{name}'")
    return getattr(import_module(f"weatherglass.corruptions.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
