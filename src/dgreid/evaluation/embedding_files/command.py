"""Scoring files of embeddings: read and check all, score one after the other, compare, print and write."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from dgreid.errors import InputError
from dgreid.evaluation.embedding_files.alignment import method_files
from dgreid.evaluation.embedding_files.comparison import Comparing, Difference, differences
from dgreid.evaluation.embedding_files.embedding_file import EmbeddingSet
from dgreid.evaluation.embedding_files.folder import (
    PICTURES,
    file_facts,
    require_new_folder,
    write_curves,
    write_query_tables,
    write_scores,
)
from dgreid.evaluation.embedding_files.prepared_file import PreparedFile, prepare
from dgreid.evaluation.embedding_files.request import Request, checked_comparing, options
from dgreid.evaluation.embedding_files.scored_file import OpenSet, Scored, Watch, held_out_scores, score_file
from dgreid.evaluation.embedding_files.tables import print_differences, print_further_figures, print_scores
from dgreid.evaluation.pictures import Observations, evaluation_pictures, observe
from dgreid.evaluation.scoring import COSINE
from dgreid.types import ReIDRecord

ReadImage: TypeAlias = Callable[[Path], NDArray[Any]]


class Method(NamedTuple):
    """What is kept of a file.

    Attributes:
        file: its lists, without embeddings.
        scored: its rankings, the plain one first.
        observed: what pictures show of the plain one; None if none are asked for.
    """

    file: PreparedFile
    scored: list[Scored]
    observed: Observations | None


def score(request: Request, read: ReadImage) -> None:
    """Prints tables, and writes results and pictures if a folder is given.

    Args:
        request: what is asked for.
        read: from an image file to its pixels, for ranked galleries.

    Raises:
        InputError: files that are malformed or do not go together, or options that do not.
    """
    files = method_files(request.files)
    comparing = checked_comparing(request, list(files))
    if request.output is not None:
        require_new_folder(request.output)
    reference = None if comparing is None else _reference(files, comparing.baseline)
    open_set = _open_set(request)
    methods = {name: _score_method(name, path, reference, open_set, request) for name, path in files.items()}
    scores = {name: method.scored for name, method in methods.items()}
    found = {} if comparing is None else _differences(methods, comparing)
    print_scores(scores)
    print_differences(found)
    print_further_figures(scores)
    for number, note in enumerate(_notes(methods)):
        print(note if number else f"\n{note}")
    if request.output is not None:
        _write(request.output, methods, found, options(request, comparing), read)


def _reference(files: Mapping[str, Path], baseline: str) -> tuple[str, EmbeddingSet]:
    """The baseline's lists, after each file was read once, so that a wrong one shows before hours of work."""
    lists = prepare(files[baseline]).images.lists()
    reference = (files[baseline].name, lists)
    for name, path in files.items():
        if name != baseline:
            prepare(path, reference)
    return reference


def _open_set(request: Request) -> OpenSet | None:
    if request.open_set_rate is None:
        return None
    if request.held_out is None:
        return OpenSet((request.open_set_rate,))
    return OpenSet((request.open_set_rate,), held_out_scores(prepare(request.held_out), request.scoring))


def _score_method(
    name: str, path: Path, reference: tuple[str, EmbeddingSet] | None, open_set: OpenSet | None, request: Request
) -> Method:
    file = prepare(path, reference)
    records = file.records(request.images)
    _check_images(request, file, records)
    scored, observed = [], None
    with _progress(name) as watch:
        for one, block in score_file(file, request.scoring, open_set, watch):
            scored.append(one)
            if request.output is not None and one.ranking == COSINE:
                embeddings, same_camera = file.images.embeddings, request.scoring.same_camera
                observed = observe(
                    block, one.result, records, embeddings, same_camera, memory_limit=request.scoring.memory_limit
                )
    return Method(file._replace(images=file.images.lists()), scored, observed)


def _check_images(request: Request, file: PreparedFile, records: Sequence[ReIDRecord]) -> None:
    """Refuses a folder of images that is none, before the scoring."""
    if request.images is None:
        return
    if file.images.paths is None:
        raise InputError(f"--images {request.images}: {file.path} has no paths, so no image can be found")
    if not records[0].path.is_file():
        raise InputError(f"--images {request.images}: there is no {records[0].path}; name the folder of the paths")


@contextmanager
def _progress(name: str) -> Iterator[Watch]:
    """A bar of the queries of each pass, on a terminal only."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(name, total=None)
        yield lambda ranking, done, queries: progress.update(
            task, description=f"{name}: {ranking}", completed=done, total=queries
        )


def _differences(methods: Mapping[str, Method], comparing: Comparing) -> dict[str, list[Difference]]:
    """The methods against the baseline, for each ranking."""
    baseline = methods[comparing.baseline]
    identities = np.asarray(baseline.file.labels[0].identities)
    rankings = [one.ranking for one in baseline.scored]
    found = {}
    for place, ranking in enumerate(rankings):
        results = {name: method.scored[place].result for name, method in methods.items()}
        found[ranking] = differences(results, identities, comparing)
    return found


def _notes(methods: Mapping[str, Method]) -> list[str]:
    """What a reader of the figures must know."""
    first = next(iter(methods.values()))
    invalid = first.scored[0].result.summary()["invalid_queries"]
    rescaled = ", ".join(name for name, method in methods.items() if method.file.rescaled)
    notes = []
    if rescaled:
        notes.append(f"{rescaled}: not at unit length, so scaled to it: embeddings are compared by their cosine")
    if invalid:
        notes.append(f"{invalid} queries have no valid match in the gallery and are not counted")
    if len(methods) > 1 and any(method.file.images.paths is None for method in methods.values()):
        notes.append("not all files have paths: images were taken to be the same in the order of the files")
    return notes


def _write(
    folder: Path,
    methods: Mapping[str, Method],
    found: Mapping[str, Sequence[Difference]],
    options: Mapping[str, Any],
    read: ReadImage,
) -> None:
    scores = {name: method.scored for name, method in methods.items()}
    observed = {name: method.observed for name, method in methods.items() if method.observed is not None}
    without_images = [name for name, one in observed.items() if not _at_hand(one)]
    for name, one in observed.items():
        method = methods[name]
        own = folder if len(methods) == 1 else folder / name
        write_query_tables(own, method.file.records()[: method.file.query_count], method.scored)
        evaluation_pictures(own / PICTURES, {name: one}, None if name in without_images else read)
    write_curves(folder / PICTURES, scores, {name: one.precision for name, one in observed.items()})
    facts = {"files": [file_facts(name, method.file) for name, method in methods.items()], "options": options}
    result = write_scores(folder, scores, found, facts)
    if without_images:
        print(
            f"no ranked galleries of {', '.join(without_images)}: write paths, and say with --images where they begin"
        )
    print(f"results:  {result}\npictures: {folder / PICTURES}")


def _at_hand(observed: Observations) -> bool:
    """Whether the images of the ranked lists can be shown."""
    return all(record.path.is_file() for query in observed.ranked for record in (query.query, *query.matches))
