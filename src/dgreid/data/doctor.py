"""Examines a data set on disk: what is there, what should be, and what to do about the difference."""

from __future__ import annotations

import hashlib
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from dgreid.data.cuhk03_mat import read_mat_image
from dgreid.data.decoding import is_turned
from dgreid.data.domains.base import SUBSETS, CountWarning, Domain, Subset, list_hash
from dgreid.data.images import decoded, read_file
from dgreid.data.sets import RetrievalSet
from dgreid.errors import InputError
from dgreid.types import UNKNOWN_CAMERA, ReIDRecord

Lists = Mapping[Subset, tuple[ReIDRecord, ...]]
EXAMPLES = 3
STRAY = ("._*", "Thumbs.db", "__MACOSX", ".DS_Store")


@dataclass(frozen=True)
class Finding:
    """Something to know about a data set.

    Attributes:
        level: a problem makes results wrong or incomparable; a note does not.
        message: what was found.
        way_out: what to do; empty where the message says it.
    """

    level: Literal["problem", "note"]
    message: str
    way_out: str = ""


@dataclass(frozen=True)
class SubsetReport:
    """The size of a subset; distractors count as images, not as identities.

    Attributes:
        expected_identities: as published, None where nothing is; so is ``expected_images``.
        list_hash: sha256 (hex) of relative paths, identities and cameras; equal lists give equal results.
    """

    identities: int
    images: int
    cameras: int
    expected_identities: int | None
    expected_images: int | None
    list_hash: str


@dataclass(frozen=True)
class DomainReport:
    """What the examination of one domain found.

    Attributes:
        status: ``absent`` only where nobody asked for the domain by name.
        expected_cameras: as published, None where nothing is.
    """

    name: str
    status: Literal["ok", "problem", "absent"]
    root: str | None = None
    version: str | None = None
    family: str | None = None
    expected_cameras: int | None = None
    subsets: Mapping[Subset, SubsetReport] = field(default_factory=dict)
    findings: Sequence[Finding] = ()


def examine(domain: Domain, *, read_images: bool, advance: Callable[[], None] = lambda: None) -> DomainReport:
    """Examines one data set that is, or should be, on disk.

    Args:
        domain: the data set.
        read_images: decodes every image and compares the files' contents; without it, only lists are looked at.
        advance: called once for each image read.

    Returns:
        The report; a data set that is missing or unreadable is a problem in it, not an exception.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CountWarning)
            lists = {subset: domain.records(subset) for subset in SUBSETS}
        version, root, expected = domain.version, domain.root, domain.expected
    except InputError as error:
        return DomainReport(domain.name, "problem", findings=[Finding("problem", str(error))])
    cameras = None if domain.highest_camera is None else domain.highest_camera + 1
    findings = [
        *_count_findings(domain, lists, cameras if expected else None),
        *_query_findings(RetrievalSet(domain.name, lists["query"], lists["gallery"])),
        *_stray_findings(root, lists),
        *(_content_findings(lists, advance) if read_images else ()),
    ]
    return DomainReport(
        name=domain.name,
        status="problem" if any(finding.level == "problem" for finding in findings) else "ok",
        root=str(root),
        version=version,
        family=domain.family,
        expected_cameras=cameras,
        subsets={subset: _subset(domain, subset, records) for subset, records in lists.items() if records},
        findings=findings,
    )


def _subset(domain: Domain, subset: Subset, records: Sequence[ReIDRecord]) -> SubsetReport:
    found, expected = domain.count(records), domain.expected.get(subset)
    return SubsetReport(
        identities=found.identities,
        images=found.images,
        cameras=len({record.camera for record in records} - {UNKNOWN_CAMERA}),
        expected_identities=expected.identities if expected else None,
        expected_images=expected.images if expected else None,
        list_hash=list_hash(records, domain.root),
    )


def _count_findings(domain: Domain, lists: Lists, cameras: int | None) -> Iterable[Finding]:
    for difference in domain.count_differences(lists):
        yield Finding("problem", difference.message, difference.way_out)
    found = len({record.camera for records in lists.values() for record in records})
    if cameras is not None and found != cameras:
        yield Finding(
            "problem", f"{found} cameras, published are {cameras}", "the copy is incomplete, or files were renamed"
        )


def _query_findings(tested: RetrievalSet) -> Iterable[Finding]:
    unmatched = tested.query_count - tested.valid_queries
    if unmatched and not tested.valid_queries:
        yield Finding(
            "problem",
            f"none of the {unmatched:,} queries has a valid match (the same person from another camera) in the gallery",
            "as a target it is refused, unless metric.same_camera=keep: check that query and gallery number people "
            "alike, and that cameras are right; if they are not known, give none",
        )
    elif unmatched:
        yield Finding(
            "note", f"{unmatched:,} queries have no valid match in the gallery", "evaluation skips and counts them"
        )


def _stray_findings(root: Path, lists: Lists) -> Iterable[Finding]:
    folders = {root, root.parent} | {record.path.parent for records in lists.values() for record in records}
    stray = [path for folder in sorted(folders) if folder.is_dir() for name in STRAY for path in folder.glob(name)]
    if stray:
        yield Finding(
            "note",
            f"{len(stray):,} files of operating systems, such as {_some(stray)}",
            f"they are ignored; find {root} -name '._*' -delete removes the most common ones",
        )


class _Content(NamedTuple):
    """What a file holds: a hash of its bytes (of a .mat's image, its pixels), or why it cannot be read."""

    digest: str | None
    turned: bool = False
    reason: str = ""


def _content_findings(lists: Lists, advance: Callable[[], None]) -> Iterable[Finding]:
    sides = {record.path: subset == "train" for subset, records in lists.items() for record in records}
    with ThreadPoolExecutor() as pool:
        contents = dict(zip(sides, pool.map(lambda path: _content(path, advance), sides), strict=True))
    unreadable = [content.reason for content in contents.values() if content.digest is None]
    if unreadable:
        yield Finding(
            "problem",
            f"{len(unreadable):,} images are missing or cannot be read, such as {_some(unreadable)}",
            "copy them again from the original archive",
        )
    turned = [path for path, content in contents.items() if content.turned]
    if turned:
        yield Finding(
            "note",
            f"the EXIF of {len(turned):,} images asks to turn or mirror them, such as {_some(turned)}",
            "that is not done: they are used as their pixels are stored; `exiftran -ai <files>` turns the pixels",
        )
    yield from _copy_findings(sides, {path: content.digest for path, content in contents.items()})


def _copy_findings(sides: Mapping[Path, bool], digests: Mapping[Path, str | None]) -> Iterable[Finding]:
    same: dict[str, list[Path]] = defaultdict(list)
    for path, digest in digests.items():
        if digest is not None:
            same[digest].append(path)
    repeated = [paths for paths in same.values() if len(paths) > 1]
    leaks = [paths for paths in repeated if len({sides[path] for path in paths}) > 1]
    copies = [paths for paths in repeated if len({sides[path] for path in paths}) == 1]
    if leaks:
        yield Finding(
            "problem",
            f"{len(leaks):,} images are both in train and in query or gallery, such as {_some(leaks[0])}",
            "a test image must not be trained on: remove it from one side",
        )
    if copies:
        yield Finding(
            "note",
            f"{len(copies):,} images are there twice or more, such as {_some(copies[0])}",
            "harmless in a published data set; in one's own, remove the copies",
        )


def _content(path: Path, advance: Callable[[], None]) -> _Content:
    try:
        if any(parent.suffix == ".mat" for parent in path.parents):
            return _Content(_hash(read_mat_image(path).tobytes()))
        content = read_file(path)
        decoded(content, path)
        return _Content(_hash(content), is_turned(content))
    except InputError as error:
        return _Content(None, reason=str(error).removeprefix("cannot read image ").partition(";")[0])
    finally:
        advance()


def _hash(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _some(named: Sequence[Path | str]) -> str:
    more = "" if len(named) <= EXAMPLES else ", ..."
    return ", ".join(str(one) for one in named[:EXAMPLES]) + more
