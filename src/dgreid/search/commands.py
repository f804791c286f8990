"""The three commands: index images, add more of them, and ask who is on others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from omegaconf import DictConfig
from rich.filesize import decimal

from dgreid.data.domains.files import IMAGE_SUFFIXES
from dgreid.errors import InputError
from dgreid.files import require_within, write_json, write_text
from dgreid.progress import progress
from dgreid.run.folder import quoted
from dgreid.search.answers import Answers, search, shown_path
from dgreid.search.images import other_files
from dgreid.search.index_folder import METADATA, IndexFolder
from dgreid.search.indexing import SKIPPED, add_images, check_free, make_index, remake_index
from dgreid.search.leftovers import alone
from dgreid.search.page import answers_page
from dgreid.search.readable import Skipped
from dgreid.search.requests import (
    COMMAND,
    SEARCH,
    at_least_one,
    config_of,
    embedder_of,
    embedder_of_index,
    existing_index,
    kind_of,
    list_images,
    new_place,
    opened,
    places,
    readable_images,
    run_folder,
    run_of_index,
    switch,
)
from dgreid.search.tables import print_answers
from dgreid.search.thresholds import chosen_threshold

ANSWERS = "answers"
TABLE, PAGE = "answers.json", "answers.html"


def index_images(config: DictConfig) -> None:
    """Embeds and indexes images, or makes an existing index anew in another kind.

    Raises:
        InputError: see ``conf/search_index.yaml`` and docs/search.md for what is possible.
    """
    gallery = places(config.gallery, "gallery")
    existing = Path(gallery[0]).expanduser()
    if len(gallery) == 1 and (existing / METADATA).is_file():
        _index_anew(config, IndexFolder(existing))
        return
    run = run_folder(config)
    path = new_place(config, run / SEARCH, gallery)
    check_free(path)
    if config.folder is None:
        require_within(run, path)
    kind, flip = kind_of(config), None if config.flip is None else switch(config, "flip")
    listed = list_images(config, gallery, "gallery", "gallery", config_of(config, run))
    images, skipped = readable_images(listed, config)
    embedder, weights = embedder_of(config, run, str(config.checkpoint), flip)
    made = make_index(path, images, skipped, embedder, weights, kind, gallery, progress)
    print(f"indexed:  {counted(len(images))}{_left_out(made, skipped)}{_passed_over(gallery)}")
    _say_what_it_is(made)


def _index_anew(config: DictConfig, source: IndexFolder) -> None:
    if config.run is not None:
        raise InputError(
            f"gallery={config.gallery} with run={config.run}: this is an index, whose embeddings are taken as they "
            "are; leave run out, or give the images themselves"
        )
    path = new_place(config, source.path.absolute().parent, [f"{source.path.absolute().name}-{config.kind}"])
    made = remake_index(path, source, kind_of(config), progress)
    print(f"indexed:  {counted(made.metadata.images)} of {source.path}, whose embeddings were taken")
    _say_what_it_is(made)


def add(config: DictConfig) -> None:
    """Adds those of the images that an index does not have.

    Raises:
        InputError: see ``conf/search_add.yaml`` and docs/search.md for what is possible.
    """
    wanted = places(config.images, "images")
    path = existing_index(config).path
    with alone(path):
        index = IndexFolder(path)
        listed = list_images(config, wanted, "images", "gallery", config_of(config, run_of_index(config, index)))
        known = {image.path for image in index.all_images()}
        new = [image for image in listed if image.path not in known]
        if not new:
            print(f"added:    nothing; all {counted(len(listed))} are in {shown_path(str(path))} already")
            return
        images, skipped = readable_images(new, config)
        index = add_images(index, images, skipped, embedder_of_index(config, index), wanted, progress)
    there = f" ({len(listed) - len(new):,} were in it already)" if len(listed) > len(new) else ""
    print(f"added:    {counted(len(images))}{there}{_left_out(index, skipped)}{_passed_over(wanted)}")
    _say_what_it_is(index)


def query(config: DictConfig) -> None:
    """Asks who is on images; prints tables, writes JSON and a page.

    Raises:
        InputError: see ``conf/search_query.yaml`` and docs/search.md for what is possible.
    """
    wanted = places(config.images, "images")
    index = existing_index(config)
    run = run_of_index(config, index)
    threshold = chosen_threshold(config.false_accept_rate, config.threshold, run, index.metadata.weights)
    top = at_least_one(config, "top")
    output = None if config.output is None else _free_folder(Path(str(config.output)).expanduser())
    if output is None:
        require_within(index.path, index.path / ANSWERS)
    listed = list_images(config, wanted, "images", "query", config_of(config, run))
    neighbours = opened(config, index)
    queries, skipped = readable_images(listed, config)
    embedder = embedder_of_index(config, index)
    with progress("embedding", len(queries)) as advance:
        batches, done = [], 0
        for batch in embedder(queries):
            batches.append(batch)
            advance(done := done + len(batch))
    found = search(index, queries, np.concatenate(batches), top, threshold, neighbours)
    answers = Answers(index, found, threshold, skipped)
    print_answers(answers)
    output = output or _numbered_folder(index.path / ANSWERS)
    write_json(output / TABLE, answers.record())
    write_text(output / PAGE, answers_page(answers))
    if skipped:
        print(f"left out: {counted(len(skipped))} that cannot be read, listed in {TABLE}")
    print(f"\nanswers:  {output / TABLE}\npage:     {output / PAGE}")


def _free_folder(output: Path) -> Path:
    """A folder that holds no answers yet."""
    for name in (TABLE, PAGE):
        if (output / name).exists():
            raise InputError(
                f"output={output} holds answers already ({name}), and nothing is overwritten; choose another"
            )
    return output


def _numbered_folder(beside: Path) -> Path:
    """A new folder with the next number; of two searches at once each has its own."""
    number = max((int(path.name) for path in beside.glob("*") if path.name.isdecimal()), default=0) + 1
    try:
        beside.mkdir(exist_ok=True)
        while True:
            try:
                (beside / str(number)).mkdir()
                return beside / str(number)
            except FileExistsError:
                number += 1
    except OSError as error:
        raise InputError(
            f"{beside} cannot be written: {error.strerror or error}; choose another place with output=..."
        ) from error


def _left_out(index: IndexFolder, skipped: Sequence[Skipped]) -> str:
    return f"; {len(skipped):,} that cannot be read are listed in {index.path / SKIPPED}" if skipped else ""


def _passed_over(places: Sequence[str]) -> str:
    """What of the folders is not taken for an image, which nobody would notice otherwise."""
    others = other_files(places)
    return f"\nnot seen: {others} (images end with {', '.join(sorted(IMAGE_SUFFIXES))})" if others else ""


def counted(images: int) -> str:
    """``1 image``, ``1,200 images``."""
    return f"{images:,} image{'' if images == 1 else 's'}"


def _say_what_it_is(index: IndexFolder) -> None:
    metadata = index.metadata
    recall = metadata.recall
    found = (
        "exact"
        if recall is None
        else f"{metadata.kind}; finds the nearest image in {100 * recall['at_1']:.1f} %, "
        f"{100 * recall['at_10']:.1f} % of the ten nearest"
    )
    size = decimal((index.path / metadata.index).stat().st_size)
    print(f"index:    {shown_path(str(index.path))} ({counted(metadata.images)}, {size}, {found})")
    print(f"next:     {COMMAND} query folder={quoted(Path(shown_path(str(index.path))))} images=<photos of someone>")
