"""`weatherglass.report(...)`: from stores to a page, figures and tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from weatherglass.evaluation.files import write_text
from weatherglass.evaluation.runs import Run, find_run
from weatherglass.evaluation.store import Store
from weatherglass.report.charts import converter
from weatherglass.report.content import Content, read_stores


@dataclass(frozen=True)
class Report:
    """What stores say about their models, ready to be written down."""

    content: Content

    @cached_property
    def html(self) -> str:
        """The page as text: one self-contained offline HTML document."""
        from weatherglass.report.page import render

        return render(self.content)

    def save(self, path: str | Path = "report.html") -> Path:
        """Write the page. Raises `UserError` where the path cannot be written."""
        path = Path(path)
        write_text(path, self.html)
        return path

    def save_figures(self, folder: str | Path) -> list[Path]:
        """Write every figure as SVG, PNG and Vega-Lite, and every table as Markdown and LaTeX, into `folder`."""
        from weatherglass.report.album import save_album

        return save_album(self.content, Path(folder))


def report(*stores: str | Path | Store, reference: str | Run | None = None) -> Report:
    """Read one or several stores and summarise every run in them.

    `reference` names the run whose errors divide CE and mCE ('STORE::MODEL', or 'alexnet'); without it AlexNet's
    published errors are used where they apply. Raises `UserError` for a path that holds no store, a store without
    measured cells or studies, or a missing reference, and `MissingExtra` when the chart compiler is not installed.
    """
    converter()
    opened: Sequence[Store] = [store if isinstance(store, Store) else Store(store) for store in stores]
    choice = find_run(reference) if isinstance(reference, str) and reference != "alexnet" else reference
    return Report(read_stores(opened, "auto" if choice is None else choice))
