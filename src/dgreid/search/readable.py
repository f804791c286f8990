"""Images that can be read, sorted out before hours of embedding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from dgreid.data.verification import unreadable
from dgreid.errors import InputError
from dgreid.search.images import SearchImage

AT_ONCE = 2048
NAMED = 5


class Skipped(NamedTuple):
    """An image that is left out.

    Attributes:
        path: absolute.
        reason: why it cannot be read.
    """

    path: str
    reason: str


def readable(
    images: Sequence[SearchImage], skip: bool, progress: Callable[[int], None]
) -> tuple[list[SearchImage], list[Skipped]]:
    """The images that can be decoded, and the others.

    Args:
        images: all of them; each is decoded once.
        skip: leave out what cannot be read, instead of refusing.
        progress: called with the number of images looked at.

    Raises:
        InputError: images cannot be read, and are not to be left out; or none can.
    """
    reasons: dict[str, str] = {}
    for start in range(0, len(images), AT_ONCE):
        paths = [Path(image.path) for image in images[start : start + AT_ONCE]]
        reasons.update({str(path): str(error) for path, error in unreadable(paths).items()})
        progress(start + len(paths))
    if reasons and not skip:
        raise InputError(_refusal(list(reasons.values()), len(images)))
    kept = [image for image in images if image.path not in reasons]
    if not kept:
        raise InputError(f"none of the {len(images)} images can be read; the first: {next(iter(reasons.values()))}")
    return kept, [Skipped(path, reason) for path, reason in reasons.items()]


def _refusal(reasons: Sequence[str], total: int) -> str:
    listed = "".join(f"\n  {reason}" for reason in reasons[:NAMED])
    more = f"\n  and {len(reasons) - NAMED} more" if len(reasons) > NAMED else ""
    return (
        f"{len(reasons)} of {total} images cannot be read, and nothing was done (skip_unreadable=true leaves such "
        f"images out):{listed}{more}"
    )
