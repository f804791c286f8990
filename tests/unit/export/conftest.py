"""Runs as folders, without training: what an export reads of a run is written by hand."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def _small(one_thread):
    """Nets this small are slower where two threads wait for each other."""
