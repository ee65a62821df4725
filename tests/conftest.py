"""What all tests share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of reference data that does not ship; tests that need it are skipped where it is absent."""
    default = Path(__file__).parent.parent.parent / "shared"
    folder = Path(os.environ.get("WEATHERGLASS_SHARED", default))
    if not (folder / "data").is_dir():
        pytest.skip(f"the shared reference data is not at {folder}; set WEATHERGLASS_SHARED to its place")
    return folder
