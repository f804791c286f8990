"""Continuing a run: what ``resume`` asks for, whether it is still the same run, and from where it goes on."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast

from omegaconf import OmegaConf
from pytorch_lightning.utilities import rank_zero_only

from dgreid.errors import InputError
from dgreid.files import is_temporary, write_json
from dgreid.run.checkpoints import last_good_checkpoint
from dgreid.run.folder import CONFIG, RECORD, RESULT, difference, fingerprint, quoted, write_config
from dgreid.run.folder_lock import LOCK
from dgreid.run.processes import this_rank
from dgreid.run.protocols import variant_line
from dgreid.run.results import SHOWN
from dgreid.run.stored import plain_config, stored_json

SPACE_NEEDED = 200 * 2**20
Resume = Literal["no", "yes", "auto", "folder"]


def resume_mode(value: object) -> Resume:
    """What ``resume`` asks for.

    Returns:
        ``no``: a new run. ``yes``: one that is there. ``auto``: whichever is to be done. ``folder``: the run it names.

    Raises:
        InputError: it is neither one of these nor a folder.
    """
    if value is None or value is False:
        return "no"
    if value is True:
        return "yes"
    if value == "auto":
        return "auto"
    if not isinstance(value, str) or not Path(value).is_dir():
        raise InputError(f"resume={value}: no such run folder; take auto, true, false, or the folder of a run")
    return "folder"


def check_folder(folder: Path, config: Mapping[str, Any], mode: Resume) -> bool:
    """Decides whether a run may use its folder; nothing is written.

    Args:
        folder: where the run is to live.
        config: its resolved configuration.
        mode: of :func:`resume_mode`.

    Returns:
        Whether a run is there that is to be continued; else a new one is to be started.

    Raises:
        InputError: the folder holds a run (or anything else) that would be overwritten, holds nothing to continue, a
            finished run, or one of another configuration.
    """
    there = (folder / CONFIG).is_file()
    if this_rank():  # the first process asks, and tells all
        return there and mode != "no"
    if mode == "no" and there:
        raise InputError(f"{folder} already holds a run, which is never overwritten: {_what_to_do(folder)}")
    if mode in ("yes", "folder") and not there:
        raise InputError(f"resume=true: {folder} holds no run; start it without resume=true, or with resume=auto")
    if there:
        _check_same_run(folder, config, mode)
        return True
    # A run that was killed while it took the folder leaves its record at most.
    if folder.exists() and any(path.name not in (LOCK, RECORD) and not is_temporary(path) for path in folder.iterdir()):
        raise InputError(f"{folder} is not empty and holds no run; choose another with folder=... or name=...")
    _check_space(folder)
    return False


def take_up(folder: Path, config: Mapping[str, Any], mode: Resume, facts: Mapping[str, Any]) -> Path | None:
    """Makes the folder this run's: asks again, writes record and configuration, finds the checkpoint to go on from.

    Args:
        folder: its folder, in which no other process is.
        config: its resolved configuration; what it may change is what belongs to the machine, and its length.
        mode: of :func:`resume_mode`.
        facts: for ``run.json``; data and weights must be those that the record there names.

    Returns:
        None for a new run, and for one that broke off before its first checkpoint.

    Raises:
        InputError: as :func:`check_folder`; or lists of images or first weights are others.
    """
    continues = check_folder(folder, config, mode)
    if continues and (folder / RECORD).is_file():
        _check_same_data(folder, facts)
    checkpoint = last_good_checkpoint(folder) if continues else None
    if not this_rank():
        write_json(folder / RECORD, facts)
        write_config(folder, config)  # last: a folder with a configuration has a record, too
    return checkpoint


def is_finished(folder: Path, config: Mapping[str, Any]) -> bool:
    """Whether a result is there that this very configuration led to, not a shorter one."""
    result = folder / RESULT
    return result.is_file() and stored_json(result).get("fingerprint") == fingerprint(config)


@rank_zero_only
def tell_result(folder: Path) -> None:
    """Prints the numbers of a finished run."""
    print(f"finished already: {folder}")
    result = stored_json(folder / RESULT)
    for row in result.get("rows", []):
        numbers = ", ".join(f"{shown} {100 * row[key]:.1f}" for key, shown in SHOWN.items() if key in row)
        print(f"  {row['target']}, {row['selection']} (step {row['step']}), {row['ranking']}: {numbers}")
    if line := variant_line(result):
        print(line)


def _check_same_run(folder: Path, config: Mapping[str, Any], mode: Resume) -> None:
    stored = cast(dict[str, Any], OmegaConf.to_container(plain_config(folder / CONFIG)))
    if changed := difference(stored, config):
        raise InputError(
            f"resume: {folder} was made by another configuration ({'; '.join(changed[:5])}). "
            "Resume with the same values, or start a new run with init=<this folder>"
        )
    if mode == "yes" and is_finished(folder, config):
        raise InputError(
            f"resume=true: {folder} holds a finished run; see it with `python -m dgreid.evaluate run={quoted(folder)}` "
            f"or train longer with folder={quoted(folder)} and more epochs"
        )


def _check_same_data(folder: Path, facts: Mapping[str, Any]) -> None:
    before, now = _identity(stored_json(folder / RECORD)), _identity(facts)
    changed = [
        f"{key} was {before[key]} and is {now.get(key)}" for key in before if before[key] != now.get(key, before[key])
    ]
    if changed:
        raise InputError(
            f"resume: {folder} was begun with other data or weights ({'; '.join(changed[:5])}, by sha256). Bring back "
            "those, or start a new run with name=<another name>"
        )


def _identity(facts: Mapping[str, Any]) -> dict[str, str]:
    """Hashes of lists of images and of the file of first weights, by what they are of."""
    hashes = {f"training images of {source['name']}": source["list_hash"] for source in facts.get("sources", ())}
    for target in facts.get("targets", ()):
        for subset in ("query", "gallery"):
            hashes[f"{subset} images of {target['name']}"] = target[subset]["list_hash"]
    hashes["first weights"] = facts.get("weights", {}).get("sha256")
    return {name: str(digest)[:12] for name, digest in hashes.items() if digest is not None}


def _what_to_do(folder: Path) -> str:
    if (folder / RESULT).exists():
        ways = f"it is finished; see it with `python -m dgreid.evaluate run={quoted(folder)}`"
    else:
        ways = "it was interrupted; continue it with resume=true"
    return f"{ways}, repeat it under name=<another name>, or delete the folder yourself"


def _check_space(folder: Path) -> None:
    parent = next(path for path in (folder, *folder.resolve().parents) if path.exists())
    free = shutil.disk_usage(parent).free
    if free < SPACE_NEEDED:
        raise InputError(
            f"{parent} has {free // 2**20} MB left, a run needs at least {SPACE_NEEDED // 2**20}: "
            "free some, or choose another disk with runs=<folder>"
        )
