"""Code in files: it makes a file wherever it is run."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np


class Trap:
    """What an unpickler would run."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.trace),)


def pickled(trace: Path) -> bytes:
    """A bare pickle with code."""
    return pickle.dumps({"state_dict": Trap(trace)})


def object_array(trace: Path) -> np.ndarray:
    """A numpy array of Python objects with code."""
    array = np.empty(2, dtype=object)
    array[:] = [Trap(trace), 1]
    return array
