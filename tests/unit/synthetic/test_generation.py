import errno
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dgreid.errors import InputError
from dgreid.synthetic import generation
from dgreid.synthetic.census import Size
from dgreid.synthetic.generation import MARKER, ensure_generated
from dgreid.synthetic.plan import pixel_hash
from dgreid.synthetic.worker import Request

GENERATE = (
    "import pickle, sys; from pathlib import Path; from dgreid.synthetic.generation import ensure_generated; "
    "print(ensure_generated(pickle.load(sys.stdin.buffer), Path(sys.argv[1])))"
)


def start(plan, folder):
    """Another process that generates."""
    process = subprocess.Popen(
        [sys.executable, "-c", GENERATE, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    pickle.dump(plan, process.stdin)
    process.stdin.close()
    process.stdin = None  # communicate() would flush it
    return process


def images(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.jpg")}


def test_writes_what_the_plan_says(small_plan, tmp_path):
    folder = ensure_generated(small_plan, tmp_path / "new")
    assert folder == tmp_path / "new" / "synthetic_campus-v1-seed0-2+1x4-32x16"
    planned = {file.path: small_plan.studio.draw(file.drawing) for file in small_plan.layout.files(small_plan.census)}
    assert set(images(folder)) == set(planned)
    for path, picture in planned.items():
        decoded = np.asarray(Image.open(folder / path))
        assert decoded.shape == picture.shape
        assert np.abs(decoded.astype(int) - picture).mean() < 12  # JPEG


def test_the_marker_holds_parameters_and_the_hash_of_the_pixels(small_plan, tmp_path):
    marker = json.loads((ensure_generated(small_plan, tmp_path) / MARKER).read_text())
    assert marker == {**small_plan.parameters, "files": 12, "pixels": pixel_hash(small_plan)}
    assert marker["version"] == 1
    assert marker["height"] == 32


def test_several_processes_write_the_same(small_plan, tmp_path, monkeypatch):
    alone = ensure_generated(small_plan, tmp_path / "alone")
    monkeypatch.setattr(generation, "FILES_PER_PROCESS", 4)
    monkeypatch.setattr(generation, "_processors", lambda: 3)
    together = ensure_generated(small_plan, tmp_path / "together")
    assert images(alone) == images(together)
    assert (alone / MARKER).read_text() == (together / MARKER).read_text()


def test_a_second_call_draws_nothing(small_plan, tmp_path, monkeypatch, caplog):
    with caplog.at_level("INFO"):
        folder = ensure_generated(small_plan, tmp_path)
        assert len(caplog.messages) == 1
        assert caplog.messages[0].startswith("synthetic_campus: drew 12 images in ")
        monkeypatch.setattr(generation, "_draw", None)
        assert ensure_generated(small_plan, tmp_path) == folder
        assert len(caplog.messages) == 1


@pytest.mark.parametrize("change", [{"seed": 1}, {"name": "b"}, {"size": Size(2, 1, 5, 32, 16)}])
def test_other_parameters_are_another_folder(small_plan, change):
    assert replace(small_plan, **change).folder_name != small_plan.folder_name


def test_a_changed_look_is_not_taken_for_the_same(small_plan, tmp_path):
    folder = ensure_generated(small_plan, tmp_path)
    changed = replace(small_plan, style=replace(small_plan.style, occlusion=0.9))
    with pytest.raises(InputError, match=r"is not synthetic_campus as configured .*delete the folder") as refused:
        ensure_generated(changed, tmp_path)
    assert str(folder) in str(refused.value)


def test_a_folder_without_marker_is_refused_and_kept(small_plan, tmp_path):
    mine = tmp_path / small_plan.folder_name / "thesis.txt"
    mine.parent.mkdir()
    mine.write_text("years of work")
    with pytest.raises(InputError, match=r"synthetic\.json is missing or says otherwise"):
        ensure_generated(small_plan, tmp_path)
    assert mine.read_text() == "years of work"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES])
def test_no_space_is_an_input_error_and_leaves_nothing(small_plan, tmp_path, monkeypatch, code):
    def fail(*arguments, **options):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(InputError, match=rf"synthetic_campus cannot be written to .*{os.strerror(code)}; free some"):
        ensure_generated(small_plan, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [f".{small_plan.folder_name}.lock"]


def test_an_error_of_another_process_is_reported_as_it_is(small_plan, tmp_path):
    with pytest.raises(FileNotFoundError, match="No such file or directory"):
        generation._run_workers([Request(small_plan, tmp_path / "cleared away", 0, 1)])


def test_a_folder_that_cannot_be_made(small_plan, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot be written to .*choose another folder by synthetic\.folder="):
        ensure_generated(small_plan, tmp_path / "file" / "below")


def test_two_processes_at_once_both_end_well_and_one_draws(small_plan, tmp_path):
    processes = [start(small_plan, tmp_path) for _ in range(2)]
    answers = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], answers
    assert {Path(out.decode().strip()) for out, _ in answers} == {tmp_path / small_plan.folder_name}
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f".{small_plan.folder_name}.lock",
        small_plan.folder_name,
    ]


def test_a_killed_generation_is_not_taken_for_a_finished_one(small_plan, tmp_path):
    large = replace(small_plan, size=Size(1000, 1, 4, 32, 16))
    process = start(large, tmp_path)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("*part*/bounding_box_train/*.jpg")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    left = list(tmp_path.glob(".*part*"))
    assert left
    assert not (tmp_path / large.folder_name).exists()
    small_again = replace(large, size=Size(1, 1, 4, 32, 16))
    left[0].rename(tmp_path / f".{small_again.folder_name}.part-x")
    folder = ensure_generated(small_again, tmp_path)
    assert len(images(folder)) == 8
    assert not list(tmp_path.glob(".*part*"))


def test_a_crashed_worker_is_no_success(small_plan, tmp_path, monkeypatch):
    monkeypatch.setattr(generation, "FILES_PER_PROCESS", 4)
    monkeypatch.setattr(generation, "_processors", lambda: 2)
    monkeypatch.setattr(generation.sys, "executable", "false")
    with pytest.raises(RuntimeError, match="a drawing process ended with code 1"):
        ensure_generated(small_plan, tmp_path)
    assert not (tmp_path / small_plan.folder_name).exists()


def test_an_interrupt_leaves_nothing(small_plan, tmp_path, monkeypatch):
    def interrupt(plan, part):
        (part / "half").write_text("")
        raise KeyboardInterrupt

    monkeypatch.setattr(generation, "_draw", interrupt)
    with pytest.raises(KeyboardInterrupt):
        ensure_generated(small_plan, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [f".{small_plan.folder_name}.lock"]
