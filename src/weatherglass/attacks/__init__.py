"""Disturbances that know the model: gradient attacks, AutoAttack, worst-case rotations and shifts, transfer.

Names are imported on first use: the table of attacks needs no torch.
"""

from importlib import import_module
from typing import Any

_PLACES = {
    "ATTACKS": "names",
    "Attacked": "disturbance",
    "Ascent": "gradient",
    "Objective": "objective",
    "Threat": "norms",
    "Moved": "spatial",
    "SPATIAL": "names",
    "Spatial": "spatial",
    "Transferred": "transfer",
    "ascend": "gradient",
    "parse_attack": "parse",
    "parse_spatial": "parse",
    "rotate_and_shift": "warp",
}

__all__ = list(_PLACES)


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'weatherglass.attacks' has no attribute '{name}'")
    return getattr(import_module(f"weatherglass.attacks.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
