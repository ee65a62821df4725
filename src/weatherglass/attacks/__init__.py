"""Disturbances that know the model: gradient attacks, AutoAttack, worst-case rotations and shifts, transfer.

Names are imported on first use: the table of attacks needs no torch.
"""

from weatherglass.lazy import lazy_names

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
__getattr__, __dir__ = lazy_names(__name__, _PLACES)
