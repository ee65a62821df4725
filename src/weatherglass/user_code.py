"""The user's own code: `path/to/file.py:name` and `module:name` become the object that the name stands for."""

import ast
import importlib
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from weatherglass.errors import UserError, unknown_name_message

VERSIONED_LIBRARIES = frozenset({"torch", "torchvision", "timm", "weatherglass", "builtins"})
"""Libraries whose versions every protocol names, so that their files need not be looked at."""


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


def user_sources(spec: str) -> tuple[Path, ...]:
    """The file of the factory that `spec` names and every file of the user's own that it imports, directly or not.

    Follows the `import` statements wherever they stand, so that the answer is the same before and after the code ran.
    Installed packages are left out, but for the one that holds the factory. Not seen are modules whose names are put
    together at run time, and files that are no modules.
    """
    place = spec.rpartition(":")[0]
    with _importable_from(place):
        if place.endswith(".py"):
            waiting, home = [(Path(place).expanduser(), "")], None
        else:
            waiting, home = _files_of(place, place), place
        found: dict[Path, None] = {}
        while waiting:
            path, package = waiting.pop()
            if path.resolve() in found:
                continue
            found[path.resolve()] = None
            if path.suffix == ".py":
                waiting += [file for name in _imports_of(path, package) for file in _files_of(name, home)]
    return tuple(found)


def _imports_of(path: Path, package: str) -> Iterator[str]:
    """Dotted names that a file imports; `from a import b` gives 'a.b', which may or may not be a module."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):  # it has not been imported, then: a template, say
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            inside = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*inside, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names if base)


def _files_of(name: str, home: str | None) -> list[tuple[Path, str]]:
    """The files that importing a module of the user's runs, its packages' first, each with its package's name."""
    top, *rest = name.split(".")
    if top in sys.stdlib_module_names or top in VERSIONED_LIBRARIES:
        return []
    try:
        found = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return []
    files, full = [], top
    while found is not None:
        within = found.submodule_search_locations
        if found.has_location and found.origin and Path(found.origin).is_file():
            files.append((Path(found.origin), full if within is not None else full.rpartition(".")[0]))
        if within is None or not rest:
            break
        full = f"{full}.{rest.pop(0)}"
        found = PathFinder.find_spec(full, list(within))
    installed = any({"site-packages", "dist-packages"} & set(path.parts) for path, _ in files)
    return files if not installed or (home and home.split(".")[0] == top) else []


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
