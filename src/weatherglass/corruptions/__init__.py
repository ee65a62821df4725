"""Corruptions of images: what they are (`severity`, `suites`) and how to make them (`corrupt`, `Corrupted`).

Names are imported on first use: the tables of constants and suites need no torch.
"""

from weatherglass.lazy import lazy_names

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
__getattr__, __dir__ = lazy_names(__name__, _PLACES)
