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
from dgreid.evaluation.embedding_files.request import Request, check_numbers, checked_comparing, options
from dgreid.evaluation.embedding_files.scored_file import OpenSet, Scored, Watch, held_out_scores, score_file
from dgreid.evaluation.embedding_files.tables import print_differences, print_further_figures, print_scores
from dgreid.evaluation.false_accepts import allowed_false_accepts
from dgreid.evaluation.pictures import Observations, evaluation_pictures, observe
from dgreid.evaluation.scoring import COSINE
from dgreid.types import ReIDRecord

FEW_UNITS = 30
SHOWN_DIGITS = 12

ReadImage: TypeAlias = Callable[[Path], NDArray[Any]]


class Method(NamedTuple):
    """What is kept of a file.

    Attributes:
        file: its lists, without embeddings.
        scored: its rankings, the plain one first.
        observed: what pictures show of the plain one; None if none are asked for.
        searches: how many the threshold for "not in the gallery" is taken from, where one is.
    """

    file: PreparedFile
    scored: list[Scored]
    observed: Observations | None
    searches: int


def score(request: Request, read: ReadImage) -> None:
    """Prints tables, and writes results and pictures if a folder is given.

    Args:
        request: what is asked for.
        read: from an image file to its pixels, for ranked galleries.

    Raises:
        InputError: files that are malformed or do not go together, or options that do not.
    """
    check_numbers(request)
    files = method_files(request.files)
    comparing = checked_comparing(request, list(files))
    if request.output is not None:
        require_new_folder(request.output)
    reference = None if comparing is None else _reference(files, comparing.baseline)
    methods = {name: _score_method(name, path, reference, request) for name, path in files.items()}
    scores = {name: method.scored for name, method in methods.items()}
    found = {} if comparing is None else _differences(methods, comparing)
    print_scores(scores)
    print_differences(found)
    print_further_figures(scores)
    for number, note in enumerate([*_notes(methods), *_doubts(request, methods, found)]):
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


def _open_set(request: Request, file: PreparedFile) -> OpenSet | None:
    """Where "not in the gallery" is answered for a file.

    Raises:
        InputError: the held-out embeddings are malformed, or another net's.
    """
    if request.open_set_rate is None:
        return None
    if request.held_out is None:
        return OpenSet((request.open_set_rate,))
    held_out = prepare(request.held_out)
    ours, theirs = file.images.weights_hash, held_out.images.weights_hash
    if ours and theirs and ours != theirs:
        raise InputError(
            f"--held-out {request.held_out}: made with the weights {theirs[:SHOWN_DIGITS]}, {file.path} with "
            f"{ours[:SHOWN_DIGITS]}; a threshold holds for the scores of one net: embed the held-out people with that"
        )
    return OpenSet((request.open_set_rate,), held_out_scores(held_out, request.scoring))


def _score_method(name: str, path: Path, reference: tuple[str, EmbeddingSet] | None, request: Request) -> Method:
    file = prepare(path, reference)
    records = file.records(request.images)
    _check_images(request, file, records)
    open_set = _open_set(request, file)
    scored, observed = [], None
    with _progress(name) as watch:
        for one, block in score_file(file, request.scoring, open_set, watch):
            scored.append(one)
            if request.output is not None and one.ranking == COSINE:
                embeddings, same_camera = file.images.embeddings, request.scoring.same_camera
                observed = observe(
                    block, one.result, records, embeddings, same_camera, memory_limit=request.scoring.memory_limit
                )
    searches = file.query_count if open_set is None or open_set.held_out is None else len(open_set.held_out.best)
    return Method(file._replace(images=file.images.lists()), scored, observed, searches)


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


def _doubts(
    request: Request, methods: Mapping[str, Method], found: Mapping[str, Sequence[Difference]]
) -> Iterator[str]:
    """What so few images cannot tell."""
    figures = [one.figures.get("verification", {}) for method in methods.values() for one in method.scored]
    if any(None in shares.values() for shares in figures):
        yield "-: too few impostor pairs to tell the rate"
    rate, searches = request.open_set_rate, min(method.searches for method in methods.values())
    if rate is not None and not allowed_false_accepts(rate, searches):
        yield f"{searches} searches cannot tell a rate of {rate:g}: the threshold lies above all that they found"
    units = [one.mean_average_precision.units for differences in found.values() for one in differences]
    if units and min(units) < FEW_UNITS:
        yield f"intervals of {min(units)} units are too narrow; about {FEW_UNITS} or more are wanted"


def _write(
    folder: Path,
    methods: Mapping[str, Method],
    found: Mapping[str, Sequence[Difference]],
    options: Mapping[str, Any],
    read: ReadImage,
) -> None:
    scores = {name: method.scored for name, method in methods.items()}
    observed = {name: method.observed for name, method in methods.items() if method.observed is not None}
    missing = {name: path for name, one in observed.items() if (path := _missing_image(one)) is not None}
    for name, one in observed.items():
        method = methods[name]
        own = folder if len(methods) == 1 else folder / name
        write_query_tables(own, method.file.records()[: method.file.query_count], method.scored)
        evaluation_pictures(own / PICTURES, {name: one}, None if name in missing else read)
    write_curves(folder / PICTURES, scores, {name: one.precision for name, one in observed.items()})
    facts = {"files": [file_facts(name, method.file) for name, method in methods.items()], "options": options}
    result = write_scores(folder, scores, found, facts)
    for name, path in missing.items():
        why = (
            "the file has no paths"
            if methods[name].file.images.paths is None
            else f"there is no {path}; say with --images where the paths in the file begin"
        )
        print(f"no ranked galleries of {name}: {why}")
    print(f"results:  {result}\npictures: {folder / PICTURES}")


def _missing_image(observed: Observations) -> Path | None:
    """The first image of the ranked lists that cannot be shown."""
    shown = (record.path for query in observed.ranked for record in (query.query, *query.matches))
    return next((path for path in shown if not path.is_file()), None)
