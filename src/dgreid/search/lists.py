"""Lists of images as CSV files: those a user writes, and those an index keeps."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from dgreid.data.domains.base import SUBSETS, Subset
from dgreid.errors import InputError, nearest
from dgreid.search.images import SearchImage

# Names of files need not be text: bytes that are none come back as they were.
ENCODING, UNDECODABLE = "utf-8-sig", "surrogateescape"


def read_list(file: Path, subset: Subset) -> list[SearchImage]:
    """The images of a user's list, in its order.

    Columns: ``path`` (absolute, or relative to the file's folder); if they are known ``identity`` and ``camera``, any
    text; and ``split`` (``train``, ``query`` or ``gallery``): where there is such a column, only the subset is taken.

    Args:
        file: a CSV file with a header.
        subset: what is asked for.

    Raises:
        InputError: it cannot be read as such a list, or holds no image of the subset.
    """
    folder = file.absolute().parent
    images, wrong = [], 0
    try:
        with file.open(newline="", encoding=ENCODING, errors=UNDECODABLE) as text:
            reader = csv.DictReader(text, skipinitialspace=True)
            if "path" not in (reader.fieldnames or ()):
                raise InputError(
                    f"{file} has the columns {reader.fieldnames}; its first line must name path, and may name "
                    "identity, camera and split"
                )
            for line in reader:
                split = _cell(line, "split") if "split" in (reader.fieldnames or ()) else subset
                _check_line(file, reader.line_num, line, split)
                if split == subset:
                    path = folder / Path(_cell(line, "path")).expanduser()
                    images.append(SearchImage(str(path), _cell(line, "identity"), _cell(line, "camera")))
                wrong += split != subset
    except (OSError, csv.Error, RuntimeError) as error:  # RuntimeError: ~ and the name of nobody
        raise InputError(f"{file} cannot be read as a CSV file: {error}") from error
    if not images:
        others = f"; its {wrong} images have another split: leave the column out to take all" if wrong else ""
        raise InputError(f"{file} lists no {subset} images{others}")
    return images


def write_table(file: Path, images: Iterable[SearchImage]) -> None:
    """Writes the list that an index keeps.

    Raises:
        OSError: it cannot be written.
    """
    with file.open("w", newline="", encoding="utf-8", errors=UNDECODABLE) as text:
        table = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)  # else a lone \r is not quoted
        table.writerow(SearchImage._fields)
        table.writerows(images)


def read_table(file: Path, wanted: Collection[int] | None = None) -> Mapping[int, SearchImage]:
    """Images of a list that :func:`write_table` wrote, by their row.

    Args:
        file: the list.
        wanted: rows to keep; all of them if None.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with file.open(newline="", encoding="utf-8", errors=UNDECODABLE) as text:
            rows = csv.reader(text)
            next(rows)
            return {row: SearchImage._make(cells) for row, cells in enumerate(rows) if wanted is None or row in wanted}
    except (OSError, csv.Error, TypeError, StopIteration) as error:
        raise InputError(f"{file} is damaged or missing ({error}); make the index anew") from error


def _cell(line: Mapping[str, str | None], column: str) -> str:
    return (line.get(column) or "").strip()


def _check_line(file: Path, number: int, line: Mapping[str, str | None], split: str) -> None:
    if not _cell(line, "path"):
        raise InputError(f"line {number} of {file} has no path: {dict(line)}")
    if split not in SUBSETS:
        raise InputError(f"line {number} of {file} has the split {split!r}; {nearest(split, SUBSETS)}")
