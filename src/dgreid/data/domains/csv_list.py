"""One's own images in a table: path, identity, camera, split."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from dgreid.data.domains.base import SUBSETS, DatasetError, Domain, Subset
from dgreid.data.domains.files import whole_number
from dgreid.data.domains.published import in_data_root
from dgreid.errors import InputError, nearest
from dgreid.types import UNKNOWN_CAMERA, ReIDRecord

COLUMNS = ("path", "identity", "camera", "split")


class Row(NamedTuple):
    """A line of the table."""

    path: Path
    identity: str
    camera: str
    split: Subset


class CSVDomain(Domain):
    """A data set of one's own, described by a CSV file with a header.

    Columns: ``path`` (absolute, or relative to the CSV file's folder), ``identity`` and ``camera`` (numbers, or any
    text, which is numbered in sorted order), ``split`` (``train``, ``query`` or ``gallery``). An empty camera, a
    camera -1 or no such column says that the camera is unknown. Negative identities are junk and dropped.

    Args:
        data_root: folder of all data sets.
        name: its name in results.
        file: the CSV file, relative to ``data_root`` or absolute.
        family: the same word for all data sets that show the same people; by default the name.
        version: which release it is; part of results.
    """

    def __init__(
        self,
        *,
        data_root: str | Path | None,
        name: str = "csv",
        file: str | Path | None = None,
        family: str | None = None,
        version: str = "own",
    ) -> None:
        self.name = name
        self.family = family or name
        self._data_root = data_root
        self._file = file
        self._version = version

    @property
    def version(self) -> str:
        """As given."""
        return self._version

    @cached_property
    def table(self) -> Path:
        """The CSV file.

        Raises:
            InputError: none is given.
            DatasetError: it does not exist.
        """
        if self._file is None:
            raise InputError(
                f"{self.name}: no file is given; name it by domain.{self.name}.file=<CSV file in data_root>, or "
                "describe the data set in a file conf/domain/<name>.yaml of your own"
            )
        table = in_data_root(self._data_root, self._file)
        if not table.is_file():
            raise DatasetError(f"{self.name}: {table} does not exist; it must have columns {','.join(COLUMNS)}")
        return table

    @property
    def root(self) -> Path:
        """The folder of the CSV file, or that of all images if some lie outside."""
        folder = self.table.parent
        outside = [row.path.parent for row in self._rows if not row.path.is_relative_to(folder)]
        return Path(os.path.commonpath([folder, *outside])) if outside else folder

    def list_images(self) -> Mapping[Subset, list[ReIDRecord]]:
        """Reads the table; see ``Domain.list_images``."""
        identities = _numbers({row.identity for row in self._rows})
        cameras = _numbers({row.camera for row in self._rows if row.camera}) | {"": UNKNOWN_CAMERA}
        lists: dict[Subset, list[ReIDRecord]] = {subset: [] for subset in SUBSETS}
        for row in self._rows:
            record = ReIDRecord(row.path, identities[row.identity], cameras[row.camera])
            if record.camera < UNKNOWN_CAMERA:
                raise DatasetError(
                    f"{self.name}: {self.table} has the camera {row.camera} of {row.path}; cameras are counted from 0, "
                    "or are words, and -1 or nothing says that it is unknown"
                )
            if record.identity >= 0:
                lists[row.split].append(record)
        return lists

    @cached_property
    def _rows(self) -> list[Row]:
        try:
            with self.table.open(newline="", encoding="utf-8-sig") as file:
                return self._read(csv.DictReader(file, skipinitialspace=True))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise DatasetError(
                f"{self.name}: {self.table} cannot be read as a CSV file in UTF-8 ({error}); save it so"
            ) from error

    def _read(self, reader: csv.DictReader[str]) -> list[Row]:
        columns = reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
        missing = {"path", "identity", "split"} - set(columns)
        twice = {name for name in COLUMNS if columns.count(name) > 1}
        if missing or twice:
            wrong = f"{sorted(missing)} are missing" if missing else f"{sorted(twice)} are there twice"
            raise DatasetError(
                f"{self.name}: {self.table} has the columns {columns}; {wrong}. The first line must be "
                f"{','.join(COLUMNS)}"
            )
        return [self._row(reader.line_num, line) for line in reader]

    def _row(self, number: int, line: Mapping[str, str | None]) -> Row:
        path, identity, camera, split = ((line.get(column) or "").strip() for column in COLUMNS)
        if not path or not identity:
            raise DatasetError(f"{self.name}: line {number} of {self.table} has no path or no identity: {dict(line)}")
        subset = next((s for s in SUBSETS if s == split), None)
        if subset is None:
            hint = nearest(split, SUBSETS)
            raise DatasetError(f"{self.name}: line {number} of {self.table} has the split {split!r}; {hint}")
        try:
            return Row(self.table.parent / Path(path).expanduser(), identity, camera, subset)
        except RuntimeError as error:  # ~ and the name of nobody
            raise DatasetError(f"{self.name}: line {number} of {self.table} has the path {path!r}: {error}") from error


def _numbers(names: set[str]) -> dict[str, int]:
    """Whole numbers as they are; if any is none, all but -1 (junk, or unknown) are numbered in sorted order."""
    try:
        return {name: whole_number(name) for name in names}
    except ValueError:
        return {"-1": -1} | {name: number for number, name in enumerate(sorted(names - {"-1"}))}
