"""Small runs on the embedded benchmark, its images drawn once for all tests of this folder."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def data_root(tmp_path_factory):
    """Where the synthetic domains are kept; drawn by the first test that reads them."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(autouse=True)
def _small(one_thread):
    """Tensors this small are ten times slower where two threads wait for each other."""
