import sys
from pathlib import Path

import pytest
import torch

# The recording's rules and the small problem are shared by the tests of several strategies.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True, scope="package")
def one_thread():
    """Problems this small are slower on several threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
