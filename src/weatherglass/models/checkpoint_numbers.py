"""Numbers of NumPy in a checkpoint, such as a best metric of type `numpy.float64`, as numbers of Python.

NumPy's own unpickling is not admitted: a file may describe any layout of memory to `numpy.dtype`, and what is built on
a wrong one can be made to run code. What stands for its names here knows whole numbers, floats and booleans alone.
"""

import re

import numpy as np


class NumberType:
    """Stands for `numpy.dtype`: the type of one number, e.g. 'f8', and its byte order."""

    def __init__(self, code: str, align: bool = False, copy: bool = False) -> None:
        if not isinstance(code, str) or not re.fullmatch(r"[biuf]\d{1,2}", code):
            raise ValueError(f"it holds a value of NumPy's type {code!r:.40}, which is no number")
        self._code, self._order = code, "="

    def __setstate__(self, state: tuple) -> None:
        order = state[1]
        if order not in ("<", ">", "=", "|"):
            raise ValueError(f"{order!r:.40} is no byte order")
        self._order = order

    def read(self, stored: bytes) -> int | float | bool:
        """The number in its bytes. Raises `ValueError` for too many or too few of them."""
        (number,) = np.frombuffer(stored, np.dtype(self._order + self._code))
        return number.item()


def scalar(kind: NumberType, stored: bytes) -> int | float | bool:
    """Stands for the function of NumPy that builds a scalar from its type and bytes."""
    if not isinstance(kind, NumberType) or not isinstance(stored, bytes):
        raise ValueError("it holds a value of NumPy that is no number")
    return kind.read(stored)


NUMBERS = [
    (NumberType, "numpy.dtype"),
    (scalar, "numpy._core.multiarray.scalar"),
    (scalar, "numpy.core.multiarray.scalar"),
]
"""For `torch.serialization.safe_globals`: what stands for which name in a file; NumPy 1 had another."""
