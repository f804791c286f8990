"""Checkpoints are whole or recognised as damaged, and one is always there."""

from __future__ import annotations

import resource

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dgreid import files
from dgreid.errors import InputError
from dgreid.run.checkpoints import FORMAT, WholeCheckpoints, last_good_checkpoint, read_checkpoint, write_checkpoint


def content(step):
    return {"state_dict": {"weight": torch.arange(60.0) + step, "rows": torch.ones(3)}, "global_step": step, "epoch": 1}


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """The bytes of a checkpoint."""
    path = tmp_path_factory.mktemp("archive") / "last.ckpt"
    write_checkpoint(path, content(7))
    return path.read_bytes()


@pytest.fixture
def run(tmp_path):
    """A run's folder with checkpoints of the steps 1 and 2."""
    writer = WholeCheckpoints()
    for step in (1, 2):
        writer.save_checkpoint(content(step), tmp_path / "checkpoints" / "last.ckpt")
    return tmp_path


def steps(run):
    return {path.stem: read_checkpoint(path)["global_step"] for path in sorted((run / "checkpoints").iterdir())}


def damage(path):
    path.write_bytes(path.read_bytes()[:-100])


def test_what_was_written_is_read(tmp_path):
    write_checkpoint(tmp_path / "a.ckpt", content(7))
    found = read_checkpoint(tmp_path / "a.ckpt")
    assert found.pop("dgreid_format") == FORMAT
    assert torch.equal(found["state_dict"]["weight"], torch.arange(60.0) + 7)
    assert found["global_step"] == 7


def test_checkpoints_from_before_there_was_a_format_are_read(tmp_path):
    torch.save(content(7), tmp_path / "a.ckpt")
    assert read_checkpoint(tmp_path / "a.ckpt")["global_step"] == 7


@pytest.mark.parametrize("version", [FORMAT + 1, "2"])
def test_a_newer_format_is_refused_by_name(tmp_path, version):
    torch.save({**content(7), "dgreid_format": version}, tmp_path / "a.ckpt")
    with pytest.raises(
        InputError, match=rf"a\.ckpt has checkpoint format {version}, .* reads up to {FORMAT}: use a newer"
    ):
        read_checkpoint(tmp_path / "a.ckpt")


@settings(deadline=None, max_examples=400)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_an_altered_bit_is_recognised_or_without_effect(archive, tmp_path_factory, place, bit):
    altered = bytearray(archive)
    altered[int(place * len(archive))] ^= 1 << bit
    path = tmp_path_factory.getbasetemp() / "altered.ckpt"
    path.write_bytes(altered)
    try:
        found = read_checkpoint(path)
    except InputError as error:
        assert str(path) in str(error)  # noqa: PT017
        return
    assert found["global_step"] == 7
    assert torch.equal(found["state_dict"]["weight"], content(7)["state_dict"]["weight"])
    assert torch.equal(found["state_dict"]["rows"], torch.ones(3))


@pytest.mark.parametrize("entry", ["archive/data/0", "archive/data/1"])
@pytest.mark.parametrize("field", [24, 38])
def test_sizes_and_attributes_that_torch_goes_by_are_looked_at(entry, field, archive, tmp_path):
    """In a zip archive's directory they have no checksum: bit 4 makes numbers longer, or a folder of them."""
    altered = bytearray(archive)
    name = altered.rindex(entry.encode())
    altered[name - 46 + field] ^= 1 << 4
    (tmp_path / "a.ckpt").write_bytes(altered)
    with pytest.raises(InputError, match="it is damaged or no checkpoint"):
        read_checkpoint(tmp_path / "a.ckpt")


@settings(deadline=None, max_examples=100)
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_torn_file_is_recognised(archive, tmp_path_factory, share):
    path = tmp_path_factory.getbasetemp() / "torn.ckpt"
    path.write_bytes(archive[: int(share * len(archive))])
    with pytest.raises(InputError, match="it is damaged or no checkpoint"):
        read_checkpoint(path)


def test_the_one_before_is_kept(run):
    assert steps(run) == {"last": 2, "previous": 1}
    assert last_good_checkpoint(run) == run / "checkpoints" / "last.ckpt"


def test_other_checkpoints_are_not_kept_twice(tmp_path):
    writer = WholeCheckpoints()
    for step in (1, 2):
        writer.save_checkpoint(content(step), tmp_path / "checkpoints" / "source.ckpt")
    assert steps(tmp_path) == {"source": 2}


def test_a_new_run_has_none(tmp_path):
    assert last_good_checkpoint(tmp_path) is None


def test_behind_a_damaged_one_is_the_one_before(run):
    damage(run / "checkpoints" / "last.ckpt")
    with pytest.warns(UserWarning, match=r"last\.ckpt cannot be read .* going back to the checkpoint before it"):
        assert last_good_checkpoint(run) == run / "checkpoints" / "previous.ckpt"


def test_a_damaged_one_does_not_take_the_place_of_a_good_one(run):
    damage(run / "checkpoints" / "last.ckpt")
    writer = WholeCheckpoints()
    writer.load_checkpoint(run / "checkpoints" / "previous.ckpt")
    writer.save_checkpoint(content(3), run / "checkpoints" / "last.ckpt")
    assert steps(run) == {"last": 3, "previous": 1}
    writer.save_checkpoint(content(4), run / "checkpoints" / "last.ckpt")
    assert steps(run) == {"last": 4, "previous": 3}


@pytest.mark.filterwarnings("ignore:.*going back")
def test_a_run_whose_checkpoints_are_all_damaged_is_not_begun_again(run):
    for name in ("last", "previous"):
        damage(run / "checkpoints" / f"{name}.ckpt")
    with pytest.raises(InputError, match=r"neither last\.ckpt nor previous\.ckpt can be read; restore one"):
        last_good_checkpoint(run)


def test_a_full_disk_leaves_the_checkpoints(run):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(InputError, match=r"last\.ckpt cannot be written: File too large; free space"):
            WholeCheckpoints().save_checkpoint(content(3), run / "checkpoints" / "last.ckpt")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert steps(run) == {"last": 2, "previous": 1}


def test_a_good_one_is_there_while_another_is_written(run, monkeypatch):
    writer, seen = WholeCheckpoints(), []
    writer.load_checkpoint(run / "checkpoints" / "last.ckpt")
    sync = files._sync
    monkeypatch.setattr(
        files, "_sync", lambda path: (sync(path), seen.append(read_checkpoint(last_good_checkpoint(run))))
    )
    writer.save_checkpoint(content(3), run / "checkpoints" / "last.ckpt")
    assert [found["global_step"] for found in seen] == [2, 3]
