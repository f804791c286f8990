"""Image files and lists in folders: which count, and what their names say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from dgreid.data.domains.base import DatasetError
from dgreid.types import UNKNOWN_CAMERA, ReIDRecord

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp"})
APPLE_DOUBLE = "__MACOSX"
NUMBER = re.compile(r"[+-]?\d{1,18}")  # what 64 bits hold


def is_image_name(path: Path) -> bool:
    """Whether a name is an image's: no ``._*`` or other hidden file, nothing below ``__MACOSX``, no ``Thumbs.db``."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and APPLE_DOUBLE not in path.parts


def image_files(folder: Path, domain: str) -> list[Path]:
    """The images directly in a folder, sorted.

    Raises:
        DatasetError: the folder does not exist.
    """
    if not folder.is_dir():
        raise DatasetError(f"{domain}: the folder {folder} is missing; unpack the data set again, with all its folders")
    return sorted(path for path in folder.iterdir() if is_image_name(Path(path.name)))


def first_image(folder: Path) -> str:
    """Name of one image directly in a folder; empty if there is none or no folder."""
    if not folder.is_dir():
        return ""
    return next((path.name for path in folder.iterdir() if is_image_name(Path(path.name))), "")


def parse_name(path: Path, pattern: re.Pattern[str], first_camera: int, domain: str) -> ReIDRecord:
    """Identity and camera from a file's own name; folders above it play no role.

    Args:
        path: the image.
        pattern: matched at the beginning of the name; groups ``identity`` and, unless cameras are unknown, ``camera``.
        first_camera: number of the data set's first camera.
        domain: name for messages.

    Raises:
        DatasetError: the name does not match, identity or camera is no number, or the camera is below the first.
    """
    match = pattern.match(path.name)
    if match is None:
        raise DatasetError(f"{domain}: the name of {path} does not match {pattern.pattern!r}; move or rename the file")
    groups = match.groupdict()
    try:
        identity = whole_number(groups["identity"] or "")
        camera = whole_number(groups["camera"]) - first_camera if groups.get("camera") else UNKNOWN_CAMERA
    except ValueError:
        raise DatasetError(
            f"{domain}: identity and camera of {path} are {groups}; both must be numbers (a csv domain takes text)"
        ) from None
    if groups.get("camera") and camera < 0:
        raise DatasetError(
            f"{domain}: camera {groups['camera']} of {path} is below {first_camera}, the first; this is another data "
            "set, or first_camera is another"
        )
    return ReIDRecord(path, identity, camera)


def records_in(folder: Path, pattern: re.Pattern[str], first_camera: int, domain: str) -> list[ReIDRecord]:
    """The images directly in a folder, junk (negative identity) dropped.

    Raises:
        DatasetError: the folder is missing, or a name does not match.
    """
    listed = (parse_name(path, pattern, first_camera, domain) for path in image_files(folder, domain))
    return [record for record in listed if record.identity >= 0]


def listed_images(list_file: Path, domain: str) -> Iterator[tuple[str, int]]:
    """Lines ``path identity`` of a list; lines about ``__MACOSX`` or ``._*`` files and empty ones are skipped.

    Raises:
        DatasetError: the list is missing, or a line cannot be understood.
    """
    if not list_file.is_file():
        raise DatasetError(
            f"{domain}: the list {list_file} is missing; it comes with the archive and has lines such as "
            "'0000/0000_000_01_0303morning_0015_0.jpg 0'"
        )
    for number, line in enumerate(_lines(list_file, domain), start=1):
        path, _, identity = line.strip().rpartition(" ")
        if not line.strip() or Path(path).name.startswith("._") or APPLE_DOUBLE in Path(path).parts:
            continue
        if not path.strip() or not NUMBER.fullmatch(identity) or int(identity) < 0:
            raise DatasetError(f"{domain}: line {number} of {list_file} is {line!r}; it must be '<path> <identity>'")
        require_below(path.strip(), f"line {number} of {list_file}", domain)
        yield path.strip(), int(identity)


def _lines(list_file: Path, domain: str) -> list[str]:
    try:
        return list_file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{domain}: the list {list_file} cannot be read as text ({error}); copy it again") from error


def require_below(path: str, where: str, domain: str) -> None:
    """An image of a published data set lies in its folder, wherever a list says.

    Raises:
        DatasetError: the path leads elsewhere.
    """
    if Path(path).is_absolute() or ".." in Path(path).parts or "\0" in path:
        raise DatasetError(
            f"{domain}: {where} names {path!r}, which is not in the data set's folder; copy the list again"
        )


def whole_number(text: str) -> int:
    """The number that a text is.

    Raises:
        ValueError: it is none, or has so many digits that it is no number of a person or camera.
    """
    if not NUMBER.fullmatch(text):  # int() also takes 1_2, which is another name than 12
        raise ValueError(f"{text!r} is no whole number")
    return int(text)
