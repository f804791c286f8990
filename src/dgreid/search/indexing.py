"""Making an index, making it anew in another kind, and adding images to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from numpy.typing import NDArray

from dgreid.errors import InputError
from dgreid.evaluation.indexes.kinds import EXACT, require_possible
from dgreid.evaluation.indexes.recall import NEIGHBOURS
from dgreid.evaluation.neighbours import NeighbourIndex, check_kind
from dgreid.files import write_text
from dgreid.search.embedding import Embedder
from dgreid.search.images import SearchImage, as_text, printable
from dgreid.search.index_folder import (
    IndexFolder,
    Metadata,
    Part,
    part_files,
    read_embeddings,
    write_metadata,
    write_part,
)
from dgreid.search.leftovers import clear_unlisted, new_index
from dgreid.search.readable import Skipped
from dgreid.search.weights import Weights

Progress: TypeAlias = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""``progress(what, total)`` opens a bar; what it gives takes the number done so far."""

SKIPPED = "skipped.txt"
INDEX_NAME = "index-{}.faiss"


@dataclass(frozen=True)
class Kind:
    """Of which kind an index is to be.

    Attributes:
        name: ``exact``, or a string of faiss's ``index_factory``.
        parameters: faiss's search parameters.
        float16: keep embeddings in half precision, in an exact index too.
    """

    name: str = EXACT
    parameters: str = ""
    float16: bool = False

    def check(self, dimension: int, count: int) -> None:
        """Refuses a kind that cannot be made of so many embeddings.

        Raises:
            InputError: as said.
        """
        if self._half and count <= NEIGHBOURS:
            raise InputError(f"float16=true: {count} images are too few to measure what it loses; leave it out")
        if self.name != EXACT:
            require_possible(self.name, False, count, recall_queries=1)
        check_kind(self.name, dimension, self.parameters)

    def build(self, embeddings: NDArray[Any], progress: Progress) -> NeighbourIndex:
        """The index over embeddings."""
        with progress("indexing", len(embeddings)) as advance:
            return NeighbourIndex.build(
                embeddings, self.name, parameters=self.parameters, float16=self._half, progress=advance
            )

    @property
    def _half(self) -> bool:
        return self.float16 and self.name == EXACT


def make_index(
    path: Path,
    images: Sequence[SearchImage],
    skipped: Sequence[Skipped],
    embedder: Embedder,
    weights: Weights,
    kind: Kind,
    gallery: Sequence[str],
    progress: Progress,
) -> IndexFolder:
    """Embeds and indexes images; nothing is left behind where that is interrupted.

    Args:
        path: the folder to write; it must not exist.
        images: what is indexed, at least one.
        skipped: what was left out, for a list beside the index.
        embedder: makes the embeddings.
        weights: which net it has.
        kind: of the index.
        gallery: what the user called the images.
        progress: opens bars.

    Raises:
        InputError: something is at ``path`` already, the kind does not suit the images, or an image cannot be read.
    """
    check_free(path)
    kind.check(next(embedder(images[:1])).shape[1], len(images))
    with new_index(path) as folder:
        with progress("embedding", len(images)) as advance:
            part, dimension = write_part(folder, 0, images, _counted(embedder(images), advance), kind.float16)
        _finish(folder, part, dimension, weights, kind, gallery, embedder.precision, progress)
        _write_skipped(folder, skipped)
    return IndexFolder(path)


def remake_index(path: Path, source: IndexFolder, kind: Kind, progress: Progress) -> IndexFolder:
    """An index of another kind over the embeddings of an existing one; no image is read, no net is needed.

    Args:
        path: the folder to write; it must not exist.
        source: the index whose images and embeddings are taken.
        kind: of the new index.
        progress: opens bars.

    Raises:
        InputError: something is at ``path`` already, or the kind does not suit the images.
    """
    check_free(path)
    old = source.metadata
    kind.check(old.dimension, old.images)
    with new_index(path) as folder:
        images = list(source.all_images())
        part, dimension = write_part(folder, 0, images, source.embeddings(), kind.float16)
        _finish(folder, part, dimension, old.weights, kind, old.gallery, old.precision, progress)
    return IndexFolder(path)


def add_images(
    index: IndexFolder,
    images: Sequence[SearchImage],
    skipped: Sequence[Skipped],
    embedder: Embedder,
    gallery: Sequence[str],
    progress: Progress,
) -> IndexFolder:
    """Embeds images and appends them to an index, within ``leftovers.alone``; the old ones are not touched.

    Args:
        index: to be added to.
        images: whose paths are not in it, at least one.
        skipped: what was left out.
        embedder: has the net of the index.
        gallery: what the user called the images.
        progress: opens bars.

    Raises:
        InputError: an image cannot be read, or the folder cannot be written; the index then is as it was.
    """
    folder, old = index.path, index.metadata
    number = len(old.parts)
    name = INDEX_NAME.format(number)
    clear_unlisted(index)
    with _removed_unless_finished([folder / name, *part_files(folder, number)]):
        with progress("embedding", len(images)) as advance:
            part, _ = write_part(folder, number, images, _counted(embedder(images), advance), old.float16)
        neighbours = index.neighbours()
        with progress("indexing", part.images) as advance:
            neighbours.add(read_embeddings(folder / part.embeddings, part.images), advance)
        neighbours.save(folder / name)
        places = list(dict.fromkeys([*old.gallery, *map(as_text, gallery)]))
        new = replace(old, index=name, parts=[*old.parts, part], recall=_recall(neighbours), gallery=places)
        write_metadata(folder, new)
    (folder / old.index).unlink(missing_ok=True)
    _write_skipped(folder, skipped)
    return IndexFolder(folder)


@contextmanager
def _removed_unless_finished(files: Sequence[Path]) -> Iterator[None]:
    """Removes files where the block does not end well."""
    try:
        yield
    except BaseException as error:
        for file in files:
            file.unlink(missing_ok=True)
        if isinstance(error, OSError):
            reason = error.strerror or error
            raise InputError(f"{files[0].parent} cannot be written: {reason}; free space and try again") from error
        raise


def check_free(path: Path) -> None:
    """Nothing that exists is overwritten.

    Raises:
        InputError: something is there.
    """
    if path.exists() or path.is_symlink():
        raise InputError(
            f"{path} exists already, and nothing is overwritten: add images to it with `python -m dgreid.search add`, "
            "or choose name=<another name>, or delete it yourself"
        )


def _finish(
    folder: Path, part: Part, dimension: int, weights: Weights, kind: Kind, gallery: Sequence[str], precision: str,
    progress: Progress,
) -> None:  # fmt: skip
    """The index of the embeddings, and the metadata."""
    index = kind.build(read_embeddings(folder / part.embeddings, part.images), progress)
    name = INDEX_NAME.format(0)
    index.save(folder / name)
    metadata = Metadata(
        weights=weights, gallery=[as_text(place) for place in gallery], precision=precision, kind=index.kind,
        parameters=index.parameters, float16=kind.float16, dimension=dimension, recall=_recall(index), index=name,
        parts=[part],
    )  # fmt: skip
    write_metadata(folder, metadata)


def _recall(index: NeighbourIndex) -> dict[str, float] | None:
    measured = index.recall
    if not measured.queries:
        return None
    return {"at_1": round(measured.at_1, 4), "at_10": round(measured.at_10, 4), "queries": measured.queries}


def _counted(batches: Iterable[NDArray[Any]], advance: Callable[[int], None]) -> Iterator[NDArray[Any]]:
    done = 0
    for batch in batches:
        yield batch
        done += len(batch)
        advance(done)


def _write_skipped(folder: Path, skipped: Sequence[Skipped]) -> None:
    """Appends to the list of what was left out, a line each."""
    file = folder / SKIPPED
    if skipped:
        before = file.read_text(encoding="utf-8") if file.is_file() else ""
        write_text(file, before + "".join(f"{printable(reason)}\n" for _, reason in skipped))
