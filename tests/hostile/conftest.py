"""Files that somebody with bad intentions may hand to a user. What they try leaves a trace where it succeeds."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
# Runs and releases are made as other folders' tests make them.
for folder in (HERE, HERE.parent / "unit" / "export", HERE.parent / "integration"):
    sys.path.insert(0, str(folder))


@pytest.fixture(autouse=True)
def _small(one_thread):
    """Tensors this small are ten times slower where two threads wait for each other."""


@pytest.fixture
def trace(tmp_path):
    """A file that exists once a trap has sprung; every test fails that leaves it."""
    file = tmp_path / "elsewhere" / "trace"
    file.parent.mkdir()
    yield file
    assert list(file.parent.iterdir()) == [], "code of a file was run, or something was written outside"
