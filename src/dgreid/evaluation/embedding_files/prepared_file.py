"""A file of embeddings made ready to be ranked: queries first, then the gallery, at unit length."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from dgreid.evaluation.embedding_files.alignment import rows_like
from dgreid.evaluation.embedding_files.embedding_file import GALLERY, QUERY, EmbeddingSet, read_embeddings
from dgreid.evaluation.embedding_files.unit_length import at_unit_length
from dgreid.evaluation.labels import Labels, Numbers
from dgreid.types import ReIDRecord


class PreparedFile(NamedTuple):
    """Embeddings in the order of ranking, queries first.

    Attributes:
        path: the file.
        images: what the file says of the images, in the order of ranking; its embeddings are at unit length.
        file_rows: (N,) the file's row of each.
        query_count: how many of them are queries.
        rescaled: whether the file's embeddings were not at unit length.
    """

    path: Path
    images: EmbeddingSet
    file_rows: Numbers
    query_count: int
    rescaled: bool

    @property
    def query(self) -> Numbers:
        """(Q, D) embeddings of the queries."""
        return self.images.embeddings[: self.query_count]

    @property
    def gallery(self) -> Numbers:
        """(G, D) embeddings of the gallery."""
        return self.images.embeddings[self.query_count :]

    @property
    def labels(self) -> tuple[Labels, Labels]:
        """Who is on the queries and on the gallery images, and which camera took them."""
        identities, cameras = self.images.identities, self.images.cameras
        query, gallery = slice(self.query_count), slice(self.query_count, None)
        return Labels(identities[query], cameras[query]), Labels(identities[gallery], cameras[gallery])

    def records(self, folder: Path | None = None) -> list[ReIDRecord]:
        """The images; where the file has no paths, a path says the file's row instead.

        Args:
            folder: what relative paths are relative to; None leaves paths as they are.
        """
        names = [f"row {row}" for row in self.file_rows] if self.images.paths is None else self.images.paths
        return [
            ReIDRecord(Path(str(name)) if folder is None else folder / str(name), int(identity), int(camera))
            for name, identity, camera in zip(names, self.images.identities, self.images.cameras, strict=True)
        ]


def prepare(path: Path, reference: tuple[str, EmbeddingSet] | None = None) -> PreparedFile:
    """Reads a file and puts its rows in order.

    Args:
        path: the file.
        reference: name and lists of the file whose order of images counts; None for the file's own order.

    Raises:
        InputError: the file is malformed, an embedding is 0, or its images are not the reference's.
    """
    whole = read_embeddings(path)
    name, lists = reference or (path.name, whole)
    parts = [rows_like(lists, whole, split, (name, path.name)) for split in (QUERY, GALLERY)]
    rows = np.concatenate(parts)
    unit = at_unit_length(whole.embeddings, str(path))
    rescaled = unit is not whole.embeddings
    in_order = np.array_equal(rows, np.arange(rows.size))  # then no second matrix is made
    images = whole._replace(
        embeddings=unit if in_order else unit[rows],
        identities=whole.identities[rows],
        cameras=whole.cameras[rows],
        split=whole.split[rows],
        paths=None if whole.paths is None else whole.paths[rows],
    )
    return PreparedFile(path, images, rows, parts[0].size, rescaled)
