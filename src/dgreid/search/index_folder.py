"""The folder of an index: what it was made of and by which net, its images, their embeddings, and faiss's index.

``metadata.json`` names the files that count and is replaced last, so an interrupted addition leaves the index as it
was. Each addition has a part of its own: a table of images (``images-<n>.csv``) and their embeddings
(``embeddings-<n>.npy``), whose rows follow those of the parts before it. There is one index over all parts
(``index-<n>.faiss``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from dgreid.errors import InputError
from dgreid.evaluation.neighbours import Device, NeighbourIndex
from dgreid.files import write_json
from dgreid.search.images import SearchImage
from dgreid.search.lists import read_table, write_table
from dgreid.search.weights import Weights

FORMAT = 1
METADATA = "metadata.json"


@dataclass(frozen=True)
class Part:
    """Images that were indexed together.

    Attributes:
        table: name of the file with their paths, identities and cameras.
        embeddings: name of the file with their embeddings.
        images: how many they are.
    """

    table: str
    embeddings: str
    images: int


@dataclass(frozen=True)
class Metadata:
    """What ``metadata.json`` says.

    Attributes:
        weights: which net made the embeddings.
        gallery: what the user called the images.
        precision: of the net's forward passes.
        kind: ``exact`` or a string of faiss's ``index_factory``.
        parameters: faiss's search parameters.
        float16: whether embeddings are kept in half precision.
        dimension: numbers in an embedding.
        recall: of an approximate index against exact search; None for an exact one.
        index: name of faiss's file.
        parts: all images, in the order of the index.
    """

    weights: Weights
    gallery: Sequence[str]
    precision: str
    kind: str
    parameters: str
    float16: bool
    dimension: int
    recall: dict[str, float] | None
    index: str
    parts: Sequence[Part]

    @property
    def images(self) -> int:
        """How many images are indexed."""
        return sum(part.images for part in self.parts)


class IndexFolder:
    """An index on disk.

    Args:
        path: its folder.

    Raises:
        InputError: it holds no index, one of another version, or a damaged one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.metadata = _read_metadata(path)

    def neighbours(
        self, *, memory_map: bool = False, device: Device = "cpu", parameters: str | None = None
    ) -> NeighbourIndex:
        """The index of faiss.

        Args:
            memory_map: leave it on disk.
            device: where faiss searches.
            parameters: of the search, instead of those it was made with.

        Raises:
            InputError: it is damaged, does not hold as many images as are listed, or cannot be searched so.
        """
        index = NeighbourIndex.load(self.path / self.metadata.index, memory_map, device=device)
        if (index.size, index.dimension) != (self.metadata.images, self.metadata.dimension):
            raise InputError(
                f"{self.path / self.metadata.index} holds {index.size} vectors of {index.dimension} numbers, listed "
                f"are {self.metadata.images} of {self.metadata.dimension}: files of different indexes were mixed; make "
                "it anew"
            )
        if parameters is not None:
            index.set_parameters(parameters)
        return index

    def images(self, wanted: Iterable[int]) -> dict[int, SearchImage]:
        """Some of the images, by their place in the index.

        Raises:
            InputError: a table is damaged or missing.
        """
        places = np.unique(np.fromiter(wanted, dtype=np.int64))
        found: dict[int, SearchImage] = {}
        for start, part in self._starts():
            here = places[(places >= start) & (places < start + part.images)] - start
            if here.size:
                rows = read_table(self.path / part.table, set(here.tolist()))
                if len(rows) < here.size:
                    raise InputError(f"{self.path / part.table} has fewer than {part.images} images; make it anew")
                found.update({start + row: image for row, image in rows.items()})
        return found

    def all_images(self) -> Iterator[SearchImage]:
        """All images, in the order of the index."""
        for part in self.metadata.parts:
            yield from read_table(self.path / part.table).values()

    def embeddings(self) -> Iterator[NDArray[Any]]:
        """The embeddings of each part, memory-mapped.

        Raises:
            InputError: a file is damaged or missing.
        """
        for part in self.metadata.parts:
            yield read_embeddings(self.path / part.embeddings, part.images)

    def vectors(self, places: NDArray[np.int64]) -> NDArray[np.float32]:
        """(len(places), D) embeddings of some images."""
        rows = np.empty((len(places), self.metadata.dimension), dtype=np.float32)
        for (start, part), embeddings in zip(self._starts(), self.embeddings(), strict=True):
            here = (places >= start) & (places < start + part.images)
            rows[here] = embeddings[places[here] - start]
        return rows

    def _starts(self) -> Iterator[tuple[int, Part]]:
        start = 0
        for part in self.metadata.parts:
            yield start, part
            start += part.images


def write_metadata(folder: Path, metadata: Metadata) -> None:
    """Makes the files that it names the index of a folder."""
    content = {"format": FORMAT, "images": metadata.images, **asdict(metadata)}
    write_json(folder / METADATA, content)


def part_files(folder: Path, number: int) -> tuple[Path, Path]:
    """Where a part's images and embeddings go."""
    return folder / f"images-{number}.csv", folder / f"embeddings-{number}.npy"


def write_part(
    folder: Path, number: int, images: Sequence[SearchImage], embeddings: Iterable[NDArray[Any]], float16: bool
) -> tuple[Part, int]:
    """Writes images and their embeddings, which come in batches and are not kept in memory.

    Args:
        folder: where they go.
        number: of the part.
        images: with their rows in this order.
        embeddings: (B, D) each, together a row for each image.
        float16: keep them in half precision.

    Returns:
        The part, and the numbers in an embedding.

    Raises:
        OSError: a file cannot be written.
    """
    table, file = part_files(folder, number)
    part = Part(table.name, file.name, len(images))
    dtype, dimension, rows = np.dtype(np.float16 if float16 else np.float32), 0, 0
    # Written, not mapped: a map on a full disk ends the process without a word.
    with file.open("wb") as stream:
        for batch in embeddings:
            if not rows:
                dimension = batch.shape[1]
                header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False}
                np.lib.format.write_array_header_1_0(stream, {**header, "shape": (len(images), dimension)})
            stream.write(np.ascontiguousarray(batch, dtype).tobytes())
            rows += len(batch)
    assert rows == len(images)
    write_table(table, images)
    return part, dimension


def read_embeddings(file: Path, images: int) -> NDArray[Any]:
    """(images, D) float16 or float32, memory-mapped.

    Raises:
        InputError: the file is damaged or missing.
    """
    try:
        embeddings = np.load(file, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # a damaged header can end in almost any error of its parsers
        raise InputError(f"{file} is damaged or missing ({error}); make the index anew") from error
    if not isinstance(embeddings, np.ndarray) or embeddings.ndim != 2 or embeddings.dtype.kind != "f":
        raise InputError(f"{file} is damaged (no rows of floating point numbers); make the index anew")
    if len(embeddings) != images:
        raise InputError(f"{file} has {len(embeddings)} rows, listed are {images}; make the index anew")
    return cast(NDArray[Any], embeddings)


def _check(metadata: Metadata) -> None:
    """Refuses values of another kind, and files outside the folder.

    Raises:
        ValueError: naming the first.
    """
    weights, recall = metadata.weights, metadata.recall
    files = [metadata.index, *(name for part in metadata.parts for name in (part.table, part.embeddings))]
    counts = [metadata.dimension, *(part.images for part in metadata.parts)]
    kinds: dict[type, list[Any]] = {
        str: [
            *files, metadata.precision, metadata.kind, metadata.parameters, *metadata.gallery, weights.run,
            weights.checkpoint, weights.sha256,
        ],
        int: [*counts, weights.step],
        bool: [metadata.float16, weights.preprocessing["flip_average"]],
        float: [] if recall is None else [recall["at_1"], recall["at_10"]],
        list: [metadata.gallery, metadata.parts],
    }  # fmt: skip
    for kind, values in kinds.items():
        if wrong := [value for value in values if type(value) is not kind]:
            raise ValueError(f"{wrong[0]!r} is no {kind.__name__}")
    for name in files:
        if Path(name).name != name or name in ("", "..") or {"\0", "\\"} & set(name):
            raise ValueError(f"{name!r} is no name of a file in this folder")
    if not metadata.parts or min(counts) < 1:
        raise ValueError("no images")


def _read_metadata(folder: Path) -> Metadata:
    if not (folder / METADATA).is_file():
        raise InputError(
            f"{folder} holds no index: {METADATA} is missing; make one with `python -m dgreid.search index ...`"
        )
    try:
        content = json.loads((folder / METADATA).read_text(encoding="utf-8"))
        form = content.pop("format")
        if form != FORMAT:
            raise InputError(f"{folder} has format {form}, this version reads {FORMAT}; make the index anew")
        content.pop("images")
        parts = [Part(**part) for part in content.pop("parts")]
        metadata = Metadata(weights=Weights(**content.pop("weights")), parts=parts, **content)
        _check(metadata)
        return metadata
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{folder / METADATA} is damaged ({error}); make the index anew") from error
