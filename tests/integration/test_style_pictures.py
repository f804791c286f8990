"""The pictures of styles, drawn from the smallest size of the embedded benchmark."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hydra.core.hydra_config import HydraConfig
from PIL import Image
from small_runs import CELL, SMALL, train_small

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from style_pictures import main

NAMES = ["style_batches.png", "style_operations.png", "style_space.png"]


def drawn(folder, *words):
    main(["--folder", str(folder), *words])
    assert sorted(path.name for path in folder.iterdir()) == NAMES
    for name in NAMES:
        with Image.open(folder / name) as picture:
            assert min(picture.size) > 200
            assert np.asarray(picture.convert("L")).std() > 10
    return {name: (folder / name).read_bytes() for name in NAMES}


def test_pictures_of_an_untrained_net_are_the_same_each_time(data_root, tmp_path):
    values = ["--data-root", str(data_root), "--", *SMALL, *CELL]
    assert drawn(tmp_path / "first", *values) == drawn(tmp_path / "second", *values)


def test_pictures_of_a_run_are_of_its_net(data_root, tmp_path):
    run = train_small(data_root, tmp_path / "run", "epochs=1")
    HydraConfig.instance().cfg = None  # what was typed for the run; the script's own process has none
    trained = drawn(tmp_path / "trained", "--run", str(run), "--data-root", str(data_root))
    untrained = drawn(tmp_path / "untrained", "--data-root", str(data_root), "--", *SMALL, *CELL)
    same = {name for name in NAMES if trained[name] == untrained[name]}
    assert same == {"style_batches.png"}


def test_a_layer_that_the_net_lacks_ends_with_a_message(data_root, tmp_path):
    with pytest.raises(SystemExit, match=r"error: layer backbone\.stage1 is not in the net"):
        main(["--folder", str(tmp_path), "--layer", "backbone.stage1", "--data-root", str(data_root), "--",
              *SMALL, *CELL])  # fmt: skip
    assert list(tmp_path.iterdir()) == []
