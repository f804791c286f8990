import subprocess
import sys

import numpy as np
from PIL import Image

from dgreid.synthetic.contact_sheet import contact_sheet
from dgreid.synthetic.shot import Portrait, Studio
from dgreid.synthetic.styles import PLAZA, STYLES


def test_rows_are_people_and_columns_cameras():
    studio = Studio("synthetic_plaza", PLAZA, 0, 32, 16)
    sheet = contact_sheet(studio, people=2, cameras=7)
    assert sheet.shape == (64, 112, 3)
    np.testing.assert_array_equal(sheet[32:, 16:32], studio.draw(Portrait(1, 1, 0)))
    np.testing.assert_array_equal(sheet[:32, 96:], studio.draw(Portrait(0, 0, 1)))


def test_the_command_writes_small_files(tmp_path):
    command = [sys.executable, "-m", "dgreid.synthetic", "contact-sheet", str(tmp_path / "new"), "--people", "2"]
    subprocess.run(command, check=True, capture_output=True)
    written = {path.stem: path for path in (tmp_path / "new").iterdir()}
    assert set(written) == set(STYLES)
    for path in written.values():
        assert Image.open(path).size == (512, 256)
        assert path.stat().st_size < 200_000
