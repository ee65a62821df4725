"""Lets `timm.create_model` know our models after `import weatherglass`, without importing timm or torch for it."""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

REGISTRATION = "weatherglass.models.registration"


def register_with_timm() -> None:
    """Register now if timm is loaded, else as soon as somebody imports it."""
    if "timm" in sys.modules:
        import_module(REGISTRATION)
    elif not any(isinstance(finder, _WhenTimmIsImported) for finder in sys.meta_path):
        sys.meta_path.insert(0, _WhenTimmIsImported())


class _WhenTimmIsImported(MetaPathFinder):
    """Steps aside at the first `import timm`, having arranged that our models are registered at its end."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "timm":
            return None
        sys.meta_path.remove(self)
        spec = find_spec("timm")
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def execute_and_register(module: ModuleType) -> None:
            execute(module)
            import_module(REGISTRATION)

        spec.loader.exec_module = execute_and_register
        return spec
