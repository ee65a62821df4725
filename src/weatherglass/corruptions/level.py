"""What a severity means: the record of a corruption, its five levels, and what lies between them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from weatherglass.errors import UserError

Level = Mapping[str, float | int | bool]
"""The physical parameters of one severity, by the names of the kernel's keywords."""

Levels = tuple[Level, Level, Level, Level, Level]

DEFINITIONS = ("imagecorruptions", "imagenet-c")
CALIBRATIONS = (224, 64, 32)


@dataclass(frozen=True)
class Corruption:
    """What a catalog tells about one corruption."""

    name: str
    family: str
    """'noise', 'blur', 'weather' or 'digital' for the published ones; 'camera', 'delivery' or 'held-out' for others."""
    description: str
    """One line: what happens to the picture."""
    source: str
    """Where the definition comes from; 'ours' where it is our own."""
    stochastic: bool
    """Whether the pixels depend on the seed."""
    levels: Mapping[int, Levels]
    """Calibration (224, 64, 32: the image side the constants were tuned for) -> five levels."""
    hendrycks: Mapping[int, Levels] = field(default_factory=dict)
    """Levels that differ under the definition 'imagenet-c'."""

    def level(self, severity: float, *, calibration: int = 224, definition: str = "imagecorruptions") -> Level:
        """The parameters at a severity in 1..5; between whole severities they are interpolated linearly."""
        table = self.levels
        if definition == "imagenet-c" and calibration in self.hendrycks:
            table = self.hendrycks
        return interpolate(table.get(calibration, table[224]), severity)


def columns(**values: Sequence[float | int | bool]) -> Levels:
    """Five levels from columns of five numbers: `columns(scale=(0.08, 0.12, 0.18, 0.26, 0.38))`."""
    rows = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    assert len(rows) == 5
    first, second, third, fourth, fifth = (MappingProxyType(row) for row in rows)
    return first, second, third, fourth, fifth


def same(**values: float | int | bool) -> dict[str, tuple[float | int | bool, ...]]:
    """Columns of constants, for `columns(**same(passes=1), ...)`."""
    return {name: (value,) * 5 for name, value in values.items()}


def interpolate(levels: Levels, severity: float) -> Level:
    """The level at a severity, whole or fractional: floats linearly, whole numbers rounded, switches at the half."""
    severity = checked_severity(severity)
    below = min(int(severity), 4)
    part = severity - below
    low, high = levels[below - 1], levels[below]
    return {name: _between(low[name], high[name], part) for name in low}


def _between(low: float, high: float, part: float) -> float:
    if isinstance(low, bool):
        return high if part >= 0.5 else low
    value = low + (high - low) * part if part < 1 else high
    return round(value) if isinstance(low, int) and isinstance(high, int) else float(value)


def checked_severity(severity: float) -> float:
    """The severity itself, or a sentence when it does not lie in 1..5."""
    if isinstance(severity, bool) or not isinstance(severity, int | float) or not 1 <= severity <= 5:
        raise UserError(
            f"A severity is a number from 1 (weak) to 5 (strong), whole or fractional; got {severity!r}. "
            "For the clean image, do not corrupt it."
        )
    return severity


def calibration_for(height: int, width: int) -> int:
    """The calibration that 'auto' means at a size: by the shorter side, below 48 -> 32, below 112 -> 64, else 224."""
    shorter = min(height, width)
    return 32 if shorter < 48 else 64 if shorter < 112 else 224
