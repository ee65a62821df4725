"""How an error falls with the size of a model: a line in the logarithm of the size."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

Errors = Float[np.ndarray, "*resamples models"]
Numbers = Float[np.ndarray, "*resamples"]


@dataclass(frozen=True)
class SizeFit:
    """error = intercept + slope * log10(size); arrays where the errors were resampled."""

    intercept: Numbers
    slope: Numbers
    """Change of the error for ten times the size; negative where larger models err less."""

    def at(self, size: float) -> Numbers:
        """The error that the line gives for a size."""
        return self.intercept + self.slope * np.log10(size)


def fit_size(errors: Errors, sizes: Float[np.ndarray, " models"]) -> SizeFit:
    """Least squares over models. Models of one size alone have slope 0. Raises `ValueError` for sizes of 0 or less."""
    if (sizes <= 0).any():
        raise ValueError(f"sizes must be positive to have a logarithm, got {sizes.min():g}")
    position = np.log10(sizes)
    centred = position - position.mean()
    spread = float(centred @ centred)
    slope = errors @ (centred / spread) if spread > 1e-12 else np.zeros(errors.shape[:-1])
    return SizeFit(errors.mean(axis=-1) - slope * position.mean(), slope)
