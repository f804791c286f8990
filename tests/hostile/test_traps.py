"""The traps work, without which no test with them could fail."""

import os
import pickle

import numpy as np
from traps import object_array, pickled


def test_an_unpickler_springs_them(tmp_path):
    pickle.loads(pickled(tmp_path / "trace"))
    os.rmdir(tmp_path / "trace")
    np.save(tmp_path / "a.npy", object_array(tmp_path / "trace"), allow_pickle=True)
    np.load(tmp_path / "a.npy", allow_pickle=True)
    assert (tmp_path / "trace").is_dir()
