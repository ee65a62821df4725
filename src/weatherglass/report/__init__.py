"""Reports from stores: one offline page, figures, tables. The package itself is the function: `report("runs/first")`.

`weatherglass.report` names both this package and the verb of the Python interface, and Python puts a package under
its own name into its parent as soon as it is imported. So the package can be called; see docs/design/report.md.
"""

import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    def __call__(self, *stores: Any, reference: Any = None) -> Any:
        """Summarise stores; see `weatherglass.report.document.report`."""
        from weatherglass.report.document import report

        return report(*stores, reference=reference)


def __getattr__(name: str) -> Any:
    """The function and its result also stand in the package: `from weatherglass.report import report, Report`."""
    if name not in {"report", "Report"}:
        raise AttributeError(f"module 'weatherglass.report' has no attribute '{name}'")
    from weatherglass.report import document

    return getattr(document, name)


sys.modules[__name__].__class__ = _Callable
