"""Which images are meant: files, folders, patterns, lists, or the lists of a domain."""

from __future__ import annotations

import difflib
import glob
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from dgreid.data.domains.base import Domain, Subset
from dgreid.data.domains.files import IMAGE_SUFFIXES, is_image_name
from dgreid.errors import InputError
from dgreid.types import UNKNOWN_CAMERA

LIST_SUFFIX = ".csv"
PATTERN_SIGNS = "*?"
SUFFIXES_SHOWN = 3
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class SearchImage(NamedTuple):
    """An image that is searched for or among.

    Attributes:
        path: absolute.
        identity: who is on it, a number or word; empty if nobody said.
        camera: which camera took it, likewise.
    """

    path: str
    identity: str = ""
    camera: str = ""


def images_of_domain(domain: Domain, subset: Subset) -> list[SearchImage]:
    """The images of a domain's subset, with its own identities and cameras counted from 0.

    Raises:
        InputError: it has no such images, or cannot be read.
    """
    records = domain.records(subset)
    if not records:
        raise InputError(f"{domain.name} has no {subset} images; name another domain, or a folder of images")
    return [
        SearchImage(
            str(record.path.absolute()),
            str(record.identity),
            "" if record.camera == UNKNOWN_CAMERA else str(record.camera),
        )
        for record in records
    ]


def images_in(place: str, key: str, domains: Iterable[str] = ()) -> list[SearchImage]:
    """The images of a folder with all its subfolders, of one file, or of a pattern such as ``photos/*.jpg``.

    A file that is named itself may have any ending; in folders, endings tell images.

    Args:
        place: what the user typed; ``~`` is the home folder.
        key: the option it was typed for.
        domains: names that a mistyped one may mean.

    Raises:
        InputError: there is nothing of this name, or no image in it.
    """
    path = Path(place).expanduser().absolute()
    if path.is_dir():
        return [SearchImage(str(image)) for image in _below(path, key)]
    if path.is_file():
        return [SearchImage(str(path))]
    found = sorted(glob.glob(str(path), recursive=True)) if any(sign in place for sign in PATTERN_SIGNS) else []
    files = [SearchImage(name) for name in found if is_image_name(Path(Path(name).name)) and Path(name).is_file()]
    if not files:
        raise InputError(
            f"{key}={place}: there is no such file, folder or domain ({path}); {_meant(place, path, domains)}give "
            "images, a folder of images, a CSV file with the column path, or a domain's name"
        )
    return files


def unique(images: Iterable[SearchImage]) -> list[SearchImage]:
    """Each path once, as it came first."""
    first: dict[str, SearchImage] = {}
    for image in images:
        first.setdefault(image.path, image)
    return list(first.values())


def as_text(path: str) -> str:
    """A path that any text can hold: bytes that are no UTF-8 become a backslash and their number."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def printable(path: str) -> str:
    """A path for a terminal: as text, and line breaks and other control characters as their numbers."""
    return CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", as_text(path))


def other_files(places: Iterable[str]) -> str:
    """The files in folders that are not taken for images, by their endings: ``3 .webp, 1 no ending``; "" if none."""
    folders = [Path(place).expanduser().absolute() for place in places]
    others = [path for folder in folders if folder.is_dir() for path in _inside(folder) if not _is_image(path, folder)]
    return _endings(others)


def _below(folder: Path, key: str) -> Sequence[Path]:
    """The images in a folder and its subfolders, sorted; hidden ones and those of hidden folders are left out."""
    inside = _inside(folder)
    images = [path for path in inside if _is_image(path, folder)]
    if not images:
        held = _endings(inside)
        raise InputError(
            f"{key}={folder} holds no image" + (f" (but files: {held})" if held else "") + "; images end with "
            f"{', '.join(sorted(IMAGE_SUFFIXES))}"
        )
    return images


def _inside(folder: Path) -> list[Path]:
    """All files, and links to files that are gone, which reading them will tell."""
    return [
        path
        for path in sorted(folder.rglob("*"))
        if (path.is_file() or (path.is_symlink() and not path.exists()))
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]


def _is_image(path: Path, folder: Path) -> bool:
    return is_image_name(path.relative_to(folder))


def _endings(files: Iterable[Path]) -> str:
    counts = Counter(path.suffix.lower() or "no ending" for path in files).most_common(SUFFIXES_SHOWN)
    return ", ".join(f"{count:,} {ending}" for ending, count in counts)


def _meant(place: str, path: Path, domains: Iterable[str]) -> str:
    """A domain, or what lies beside the path, whose name is nearly the one that was typed."""
    beside = [str(Path(place).with_name(other.name)) for other in path.parent.iterdir()] if path.parent.is_dir() else []
    close = difflib.get_close_matches(place, [*domains, *beside], n=1, cutoff=0.7)
    return f"did you mean '{close[0]}'? " if close else ""
