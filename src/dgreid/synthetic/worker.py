"""Draws a share of a domain's files: ``python -m dgreid.synthetic.worker``, a request on stdin, a report on stdout.

A plain process, because multiprocessing would load the caller's main module, and with it torch, in every worker.
"""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from dgreid.synthetic.plan import Plan, joint_hash, picture_hash

QUALITY = 92


class Request(NamedTuple):
    """Draw every ``shares``-th file of the plan, from the ``share``-th on, below ``folder``."""

    plan: Plan
    folder: Path
    share: int
    shares: int


class Report(NamedTuple):
    """How many files were written, and the hash of their pixels before encoding (64 hex digits)."""

    files: int
    pixels: str


def write_share(request: Request) -> Report:
    """Draws and writes the requested files.

    The folders are there already: a worker that has outlived a killed run ends once somebody clears them away.

    Raises:
        OSError: a file cannot be written.
    """
    studio, hashes = request.plan.studio, []
    for number, file in enumerate(request.plan.layout.files(request.plan.census)):
        if number % request.shares != request.share:
            continue
        picture = studio.draw(file.drawing)
        path = request.folder / file.path
        Image.fromarray(picture).save(path, quality=QUALITY)
        hashes.append(picture_hash(file.path, picture))
    return Report(len(hashes), joint_hash(hashes))


def main() -> None:
    """Reads a pickled request; prints the report, or ``[errno, message]`` of an ``OSError``."""
    request = pickle.load(sys.stdin.buffer)
    try:
        print(json.dumps({"report": write_share(request)}))
    except OSError as error:
        print(json.dumps({"error": [error.errno or 0, str(error)]}))


if __name__ == "__main__":
    main()
