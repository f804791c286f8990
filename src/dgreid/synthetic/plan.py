"""Everything that decides on the files of one domain."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np

from dgreid.synthetic.census import Census, Size
from dgreid.synthetic.draws import VERSION
from dgreid.synthetic.layouts.base import Layout
from dgreid.synthetic.shot import Studio
from dgreid.synthetic.styles import Style


@dataclass(frozen=True, slots=True)
class Plan:
    """A domain before it is drawn.

    Attributes:
        name: of the domain; people, cameras and files follow from it, the seed and the version.
    """

    name: str
    seed: int
    style: Style
    layout: Layout
    size: Size

    @property
    def census(self) -> Census:
        """Who is seen by which camera."""
        return Census(self.name, self.seed, self.size, self.style.cameras, self.style.groups)

    @property
    def studio(self) -> Studio:
        """Draws the pictures."""
        return Studio(self.name, self.style, self.seed, self.size.height, self.size.width)

    @property
    def parameters(self) -> dict[str, object]:
        """What identifies the files, as JSON holds it; style and layout by a hash of their own."""
        look = hashlib.sha256(repr((self.style, type(self.layout).__name__)).encode()).hexdigest()[:16]
        return {"name": self.name, "version": VERSION, "seed": self.seed, "look": look, **asdict(self.size)}

    @property
    def folder_name(self) -> str:
        """Name of the data set's folder, different for different files."""
        size = self.size
        people = f"{size.train_identities}+{size.test_identities}x{size.images_per_identity}"
        return f"{self.name}-v{VERSION}-seed{self.seed}-{people}-{size.height}x{size.width}"


def picture_hash(path: str, picture: np.ndarray) -> int:
    """Hash of one file's path and pixels; the hash of many files is the sum, whatever the order."""
    return int.from_bytes(hashlib.sha256(path.encode() + b"\0" + picture.tobytes()).digest(), "big")


def joint_hash(hashes: Iterable[int]) -> str:
    """Hash (64 hex digits) of a set of files from the hashes of each."""
    return f"{sum(hashes) % 2**256:064x}"


def pixel_hash(plan: Plan) -> str:
    """Hash of all pictures of a plan before they are encoded; draws them all."""
    studio = plan.studio
    return joint_hash(picture_hash(file.path, studio.draw(file.drawing)) for file in plan.layout.files(plan.census))
