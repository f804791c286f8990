"""What every test starts from: few threads, fixed seeds, no pictures on a screen, no reports to a server."""

from __future__ import annotations

import os
import signal

os.environ["MPLBACKEND"] = "Agg"  # before anything imports matplotlib or wandb
os.environ["WANDB_MODE"] = "offline"
os.environ["WANDB_SILENT"] = "true"

import random
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

# A shell that starts the tests in the background has them, and all that they start and stop, ignore SIGINT.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

sys.path.insert(0, str(Path(__file__).parent))

torch.set_num_threads(min(2, os.cpu_count() or 1))


@pytest.fixture(autouse=True)
def _fixed_seeds() -> None:
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture
def one_thread():
    """Torch on one thread, for what is so small that two wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
