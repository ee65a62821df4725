"""What the tests of training share."""

import pytest
from recipes_small import small
from small_trainings import run

from weatherglass.training.training import Training


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Training:
    """Two epochs of four steps with everything random on: augmentation, mixing, stochastic depth."""
    return run(small(), tmp_path_factory.mktemp("whole"))
