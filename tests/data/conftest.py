"""One small data set of every kind in turn."""

from pathlib import Path

import pytest

from .samples import WRITERS


@pytest.fixture(params=WRITERS)
def spec(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The name of a small data set; one of every kind in turn."""
    if request.param == "huggingface":
        pytest.importorskip("datasets", reason="the extra 'huggingface' is not installed")
    return WRITERS[request.param](tmp_path)
