"""The user's own code: `path/to/file.py:name` and `module:name` become the object that the name stands for."""

import importlib
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from types import ModuleType
from typing import Any

from weatherglass.errors import UserError, unknown_name_message


def names_user_code(spec: str) -> bool:
    """Whether `spec` has the form `file.py:name` or `package.module:name` (and not `kind:path`)."""
    place, colon, name = spec.rpartition(":")
    if not colon or not name.isidentifier():
        return False
    return place.endswith(".py") or all(part.isidentifier() for part in place.split("."))


def call_user_factory(spec: str, purpose: str) -> Any:
    """Call the factory that `spec` names, without arguments, and return what it returns.

    `purpose` completes the sentence "... must return ...", e.g. 'a torch.nn.Module'. Raises `UserError` with the
    file, the line and the error in one line when the file does not import or the factory fails.
    """
    place, _, name = spec.rpartition(":")
    with _importable_from(place), _one_line_errors(spec):
        module = _module(place)
        factory = getattr(module, name, None)
        if factory is None:
            known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
            raise UserError(f"{place}: {unknown_name_message('factory', name, known)}")
        if not callable(factory):
            raise UserError(f"{spec} is a {type(factory).__name__}; a function without arguments is needed.")
        _check_signature(spec, factory)
        result = factory()
    if result is None:
        raise UserError(f"{spec} returned None; it must return {purpose}.")
    return result


def _module(place: str) -> ModuleType:
    if not place.endswith(".py"):
        try:
            return importlib.import_module(place)
        except ModuleNotFoundError as error:
            if error.name and place.startswith(error.name):
                raise UserError(f"There is no importable module '{place}' (no part named '{error.name}').") from error
            raise
    path = Path(place).expanduser()
    if not path.is_file():
        raise UserError(f"There is no file {place}; the form is path/to/file.py:factory.")
    # One name a path: the same file is executed once, and what it defines can be pickled to worker processes.
    name = f"weatherglass_user_{path.stem}_{blake2b(str(path.resolve()).encode(), digest_size=6).hexdigest()}"
    if name in sys.modules:
        return sys.modules[name]
    specification = importlib.util.spec_from_file_location(name, path)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    try:
        specification.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _check_signature(spec: str, factory: Callable[..., Any]) -> None:
    parameters = inspect.signature(factory).parameters.values()
    needed = [p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    if needed:
        raise UserError(
            f"{spec} needs the arguments {', '.join(needed)}; factories are called without any: give them defaults."
        )


@contextmanager
def _importable_from(place: str) -> Iterator[None]:
    """Let the user's file import its neighbours, and `module:name` be found in the working directory."""
    folder = str(Path(place).expanduser().resolve().parent) if place.endswith(".py") else str(Path.cwd())
    added = folder not in sys.path
    if added:
        sys.path.insert(0, folder)
    try:
        yield
    finally:
        if added and folder in sys.path:
            sys.path.remove(folder)


@contextmanager
def _one_line_errors(spec: str) -> Iterator[None]:
    """An exception of the user's code, told in one line with the innermost line of their own file."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        place = Path(spec.rpartition(":")[0]).name
        frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).name == place]
        frames = frames or [f for f in traceback.extract_tb(error.__traceback__) if f.filename != __file__]
        where = f" at {os.path.relpath(frames[-1].filename)} line {frames[-1].lineno}" if frames else ""
        if isinstance(error, SyntaxError) and error.filename:
            where = f" at {os.path.relpath(error.filename)} line {error.lineno}"
        text = " ".join(str(error).split()) or "no message"
        raise UserError(f"{spec} failed{where}: {type(error).__name__}: {text}.") from error
