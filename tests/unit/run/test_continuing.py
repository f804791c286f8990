"""A run's folder is taken by one run, and continued only as itself."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from pytorch_lightning.utilities import rank_zero_only

from dgreid.errors import InputError
from dgreid.run.continuing import check_folder, is_finished, resume_mode, take_up, tell_result
from dgreid.run.folder import CONFIG, RECORD, RESULT, fingerprint, make_folder
from dgreid.run.folder_lock import LOCK, alone_in

CONFIG_OF_RUN = {
    "sources": ["a"],
    "target": "c",
    "seed": 7,
    "runs": "out",
    "epochs": 3,
    "optim": {"lr": 0.1},
    "trainer": {},
}
FACTS = {
    "sources": [{"name": "a", "list_hash": "1" * 64}],
    "targets": [{"name": "c", "query": {"list_hash": "2" * 64}, "gallery": {"list_hash": "3" * 64}}],
    "weights": {"sha256": "4" * 64},
}


@pytest.fixture
def begun(tmp_path):
    """The folder of a run that broke off before its first checkpoint."""
    make_folder(tmp_path / "run")
    assert check_folder(tmp_path / "run", CONFIG_OF_RUN, "no") is False
    assert take_up(tmp_path / "run", CONFIG_OF_RUN, "no", FACTS) is None
    return tmp_path / "run"


def finish(folder, config=CONFIG_OF_RUN, **result):
    (folder / RESULT).write_text(json.dumps({"fingerprint": fingerprint(config), **result}))


def write_last(folder):
    last = folder / "checkpoints" / "last.ckpt"
    last.parent.mkdir()
    torch.save({"state_dict": {}}, last)
    return last


def test_what_may_be_asked(tmp_path):
    asked = {False: "no", None: "no", True: "yes", "auto": "auto", str(tmp_path): "folder"}
    assert {value: resume_mode(value) for value in asked} == asked
    for value in ("maybe", str(tmp_path / "none"), 1, 0):
        with pytest.raises(InputError, match=rf"resume={value}: no such run folder; take auto"):
            resume_mode(value)


class TestNew:
    def test_it_writes_what_it_is(self, begun):
        assert OmegaConf.to_container(OmegaConf.load(begun / CONFIG)) == CONFIG_OF_RUN
        assert json.loads((begun / RECORD).read_text()) == FACTS

    def test_a_run_is_not_overwritten(self, begun):
        for advice in (
            "interrupted; continue it with resume=true",
            r"finished; see it with `python -m dgreid.evaluate run=",
        ):
            with pytest.raises(InputError, match=f"never overwritten: it (was|is) {advice}"):
                check_folder(begun, CONFIG_OF_RUN, "no")
            finish(begun)

    def test_other_files_are_not_mixed_with_a_run(self, tmp_path):
        (tmp_path / LOCK).touch()  # a run was killed before it wrote anything
        assert check_folder(tmp_path, CONFIG_OF_RUN, "no") is False
        (tmp_path / "notes.txt").touch()
        for mode in ("no", "auto"):
            with pytest.raises(InputError, match="not empty and holds no run"):
                check_folder(tmp_path, CONFIG_OF_RUN, mode)

    def test_one_of_two_processes_wins(self, tmp_path):
        context = multiprocessing.get_context("fork")
        barrier, outcomes = context.Barrier(2), context.SimpleQueue()
        racers = [context.Process(target=race, args=(tmp_path / "run", barrier, outcomes)) for _ in range(2)]
        for racer in racers:
            racer.start()
        found = sorted(outcomes.get() for _ in racers)
        for racer in racers:
            racer.join(timeout=60)
        assert found == ["refused", "won"]
        assert OmegaConf.load(tmp_path / "run" / CONFIG) == CONFIG_OF_RUN


def race(folder, barrier, outcomes):
    check_folder(folder, CONFIG_OF_RUN, "no")
    barrier.wait(timeout=60)
    make_folder(folder)
    try:
        with alone_in(folder):
            take_up(folder, CONFIG_OF_RUN, "no", FACTS)
            outcomes.put("won")
            barrier.wait(timeout=60)
    except InputError as error:
        outcomes.put("refused" if f"{folder} is in use by process" in str(error) else str(error))
        barrier.wait(timeout=60)


class TestContinuing:
    @pytest.mark.parametrize("mode", ["yes", "auto", "folder"])
    def test_it_goes_on_from_the_last_checkpoint(self, mode, begun):
        assert check_folder(begun, CONFIG_OF_RUN, mode) is True
        assert take_up(begun, CONFIG_OF_RUN, mode, FACTS) is None
        last = write_last(begun)
        longer = {**CONFIG_OF_RUN, "runs": "x", "epochs": 9}
        assert take_up(begun, longer, mode, FACTS) == last
        assert OmegaConf.to_container(OmegaConf.load(begun / CONFIG)) == longer

    def test_where_nothing_is_auto_starts_and_the_others_refuse(self, tmp_path):
        assert check_folder(tmp_path / "none", CONFIG_OF_RUN, "auto") is False
        for mode in ("yes", "folder"):
            with pytest.raises(InputError, match="holds no run; start it without resume=true"):
                check_folder(tmp_path / "none", CONFIG_OF_RUN, mode)

    @pytest.mark.parametrize("mode", ["yes", "auto", "folder"])
    def test_another_configuration_is_refused(self, mode, begun):
        with pytest.raises(InputError, match=r"another configuration \(optim.lr was 0.1 and is 5\).*init="):
            check_folder(begun, {**CONFIG_OF_RUN, "optim": {"lr": 5}}, mode)

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            (
                {"sources": [{"name": "a", "list_hash": "9" * 64}]},
                "training images of a was 111111111111 and is 999999999999",
            ),
            ({"weights": {"sha256": "9" * 64}}, "first weights was 444444444444 and is 999999999999"),
            (
                {"targets": [{"name": "c", "query": {"list_hash": "2" * 64}, "gallery": {"list_hash": "9" * 64}}]},
                "gallery images of c was 333333333333 and is 999999999999",
            ),
        ],
    )  # fmt: skip
    def test_other_data_and_weights_are_refused(self, change, told, begun):
        with pytest.raises(InputError, match=f"other data or weights .{told}, by sha256"):
            take_up(begun, CONFIG_OF_RUN, "auto", {**FACTS, **change})
        assert json.loads((begun / RECORD).read_text()) == FACTS

    def test_a_finished_run_is_told_not_repeated(self, begun, capsys):
        row = {"target": "c", "selection": "last", "step": 6, "ranking": "cosine", "mAP": 0.5, "rank1": 0.25}
        finish(begun, rows=[row])
        assert is_finished(begun, CONFIG_OF_RUN)
        with pytest.raises(InputError, match=r"finished run.*more epochs"):
            check_folder(begun, CONFIG_OF_RUN, "yes")
        assert check_folder(begun, CONFIG_OF_RUN, "auto")
        tell_result(begun)
        told = capsys.readouterr().out
        assert told == f"finished already: {begun}\n  c, last (step 6), cosine: mAP 50.0, Rank-1 25.0\n"
        longer = {**CONFIG_OF_RUN, "epochs": 9}
        assert not is_finished(begun, longer)
        assert check_folder(begun, longer, "yes")

    def test_further_ranks_read_and_do_not_judge(self, begun, monkeypatch):
        last = write_last(begun)
        before = (begun / CONFIG).read_bytes()
        monkeypatch.setattr(rank_zero_only, "rank", 1)
        other = {**CONFIG_OF_RUN, "seed": 8}  # of which the first rank tells
        assert take_up(begun, other, "auto", FACTS) == last
        assert take_up(begun, other, "no", FACTS) is None  # written by the first rank a moment ago
        assert (begun / CONFIG).read_bytes() == before


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot be written .*runs="):
        make_folder(Path(tmp_path / "file" / "run"))


def test_a_run_that_was_killed_while_it_took_the_folder_is_begun_again(tmp_path):
    make_folder(tmp_path / "run")
    for left in (RECORD, LOCK, ".config.123.yaml"):
        (tmp_path / "run" / left).touch()
        assert check_folder(tmp_path / "run", CONFIG_OF_RUN, "auto") is False
    (tmp_path / "run" / "thesis.tex").touch()
    with pytest.raises(InputError, match="is not empty and holds no run"):
        check_folder(tmp_path / "run", CONFIG_OF_RUN, "auto")
