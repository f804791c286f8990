"""Parsers against arbitrary and mutated input: what they raise is what they document, and no code is run."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
for folder in (HERE, HERE.parent / "hostile", HERE.parent / "unit" / "export"):
    sys.path.insert(0, str(folder))


@pytest.fixture(autouse=True)
def _small(one_thread):
    """Tensors this small are ten times slower where two threads wait for each other."""
