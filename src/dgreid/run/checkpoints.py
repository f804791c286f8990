"""Checkpoint files: written whole or not at all, checked whenever they are read, and the one before the last kept.

A checkpoint is the zip archive that ``torch.save`` makes. Its checksums are the CRC-32 that such an archive holds of
each entry, which ``torch.load`` by itself does not look at.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO
from pytorch_lightning.utilities import rank_zero_warn

from dgreid.archives import require_reasonable_size
from dgreid.errors import InputError
from dgreid.files import second_name, write_atomically

DIRECTORY = 0x10  # attribute of an entry of a zip archive
CHECKPOINTS = "checkpoints"
LAST, PREVIOUS = "last.ckpt", "previous.ckpt"
FORMAT_KEY, FORMAT = "dgreid_format", 1  # checkpoints without the key are of the time before there was one


def read_checkpoint(path: Path) -> dict[str, object]:
    """Reads a checkpoint without running code that it may hold, and compares its checksums.

    Raises:
        InputError: it is no checkpoint, is cut short or altered, holds more than tensors and plain values, or was
            written by a newer version.
    """
    try:
        require_reasonable_size(path)
        if zipfile.is_zipfile(path):  # not so the files of old versions of torch, which may be read, too
            with zipfile.ZipFile(path) as archive:
                altered = archive.testzip()
                entries = archive.infolist()
            if altered is not None:
                raise zipfile.BadZipFile(f"wrong checksum of {altered}")
            # What torch goes by and the checksums do not see: without them it would return memory as it found it.
            if any(entry.file_size != entry.compress_size or entry.external_attr & DIRECTORY for entry in entries):
                raise zipfile.BadZipFile("entries of an altered kind or size")
        content = torch.load(path, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except Exception as error:  # the unpickler raises whatever the damaged bytes suggest
        raise InputError(
            f"{path} cannot be read as a checkpoint ({type(error).__name__}): it is damaged or no checkpoint"
        ) from error
    if not isinstance(content, dict):
        raise InputError(f"{path} holds a {type(content).__name__}, not a checkpoint with a state_dict")
    version = content.get(FORMAT_KEY, FORMAT)
    if not isinstance(version, int) or version > FORMAT:
        raise InputError(
            f"{path} has checkpoint format {version}, this version of dgreid reads up to {FORMAT}: use a newer one"
        )
    return content


def write_checkpoint(path: Path, content: dict[str, Any], keep: Path | None = None) -> None:
    """Writes a checkpoint that is on the disk, whole, before it takes the place of the one before.

    Args:
        path: its file.
        content: tensors and plain values.
        keep: becomes a name of the file that ``path`` was; None forgets it.

    Raises:
        InputError: the file cannot be written; whatever ``path`` and ``keep`` were stays.
    """
    archive = io.BytesIO()  # torch's own writer turns a full disk into an error that does not say so
    torch.save({**content, FORMAT_KEY: FORMAT}, archive)

    def write(temporary: Path) -> None:
        temporary.write_bytes(archive.getbuffer())
        if keep is not None and path.is_file():
            second_name(path, keep)

    write_atomically(path, write, durable=True)


def last_good_checkpoint(folder: Path) -> Path | None:
    """The checkpoint to continue a run from: its last, or the one before where the last is damaged.

    Args:
        folder: the run's.

    Returns:
        None if the run has none yet.

    Raises:
        InputError: it has some, and none can be read.
    """
    candidates = [folder / CHECKPOINTS / name for name in (LAST, PREVIOUS)]
    existing = [path for path in candidates if path.is_file()]
    for path in existing:
        try:
            read_checkpoint(path)
        except InputError as error:
            rank_zero_warn(f"{error}; going back to the checkpoint before it")
        else:
            return path
    if existing:
        raise InputError(
            f"{folder / CHECKPOINTS}: neither {LAST} nor {PREVIOUS} can be read; restore one from a backup, or delete "
            "both to train from the beginning"
        )
    return None


class WholeCheckpoints(TorchCheckpointIO):
    """How the trainer writes and reads checkpoints.

    ``last.ckpt`` becomes ``previous.ckpt`` when it is replaced, unless it is not known to be good: then the one that is
    ``previous.ckpt`` already may be the only good one.
    """

    def __init__(self) -> None:
        self._last_is_good = False

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Writes a checkpoint, as :func:`write_checkpoint`."""
        path = Path(path)
        last = path.name == LAST
        write_checkpoint(path, checkpoint, path.with_name(PREVIOUS) if last and self._last_is_good else None)
        self._last_is_good = self._last_is_good or last

    def load_checkpoint(self, path: str | Path, map_location: Any = None, weights_only: Any = None) -> dict[str, Any]:
        """Reads a checkpoint to the CPU, as :func:`read_checkpoint`; code is never run."""
        content = read_checkpoint(Path(path))
        self._last_is_good = Path(path).name == LAST
        return content
