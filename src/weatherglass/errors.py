"""Errors written for whoever meets them.

A `UserError` is a mistake that the person at the keyboard can mend: the command line prints its one
line and exits with 2. Every other exception is our fault and keeps its traceback.
"""

import copyreg
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any


class UserError(Exception):
    """Something the user gave cannot be used. The message says what came, what is accepted, what to do."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Made again in another process from what it holds: some kinds are not made from their message.
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # pyright: ignore[reportAttributeAccessIssue]


class UnknownName(UserError, KeyError):
    """A name that no catalog holds; the message names the nearest ones that exist."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        super().__init__(unknown_name_message(kind, name, known))

    # KeyError would print the repr of its argument, quotes and all.
    __str__ = Exception.__str__


class UnreadableImage(UserError):
    """A file that should hold an image and does not decode."""

    def __init__(self, location: str, reason: str) -> None:
        super().__init__(f"Cannot read the image {location}: {reason}.")
        self.location = location
        self.reason = reason


class UnusableAnnotation(UnreadableImage):
    """The truth of one image cannot be used; such an image can be left out like one that does not decode."""

    def __init__(self, location: str, reason: str) -> None:
        UserError.__init__(self, f"The annotation {location} cannot be used: {reason}.")
        self.location = location
        self.reason = reason


class MissingExtra(UserError):
    """An optional dependency is absent; the message names the extra that brings it."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package '{package}'. Install it with: pip install 'weatherglass[{extra}]'"
        )


def unknown_name_message(kind: str, name: str, known: Iterable[str]) -> str:
    """One sentence for a wrong name, e.g. "There is no corruption named 'frgo'. Did you mean frost?"."""
    names = sorted(known)
    near = get_close_matches(name.lower(), names, n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    listing = ", ".join(names[:24]) + (f", ... ({len(names)} in all)" if len(names) > 24 else "")
    return f"There is no {kind} named '{name}'.{hint} Known: {listing}."
