"""MATLAB 5 files (``save -v6`` and ``-v7``): numbers, and cells of words.

Structures, sparse or complex numbers and functions are passed over. scipy reads all kinds, but beyond its memory where
a file is damaged, which ends the process. Source: MathWorks, MAT-File Format, chapter 1.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

HEADER = 128
MARKS = {b"IM": "<", b"MI": ">"}  # at the header's end, by the order of bytes
NUMBERS: Mapping[int, str] = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip
LETTERS: Mapping[int, str] = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
MATRIX, COMPRESSED = 14, 15
CELL, CHARACTERS, OF_NUMBERS = 1, 4, range(6, 16)  # classes of matrices
COMPLEX = 0x0800
LARGEST = 2**26  # bytes of an array once unpacked; real ones have some hundred thousand


class Element(NamedTuple):
    """A piece of a file: what kind it says it is, and its bytes."""

    kind: int
    content: memoryview


class Matrix(NamedTuple):
    """A variable, or a cell of one."""

    name: str
    shape: tuple[int, ...]
    values: NDArray[Any] | list[str] | None


def read_mat5(content: bytes) -> dict[str, NDArray[Any] | list[str]]:
    """Variables by name: numbers as arrays, cells of words and words as lists, in MATLAB's order (column by column).

    Args:
        content: of a whole file.

    Raises:
        ValueError: it is none, or damaged.
    """
    order = MARKS.get(content[HEADER - 2 : HEADER])
    if order is None:
        raise ValueError("no file of MATLAB 5")
    found = {}
    for kind, part in _elements(memoryview(content)[HEADER:], order):
        inside = [Element(kind, part)] if kind != COMPRESSED else _elements(memoryview(_unpacked(part)), order)
        for matrix in (_matrix(one.content, order) for one in inside if one.kind == MATRIX):
            if matrix.name and matrix.values is not None:  # functions leave one without a name
                found[matrix.name] = matrix.values
    return found


def _unpacked(content: memoryview) -> bytes:
    unpacking = zlib.decompressobj()
    try:
        unpacked = unpacking.decompress(content, LARGEST)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if not unpacking.eof:
        raise ValueError("an array is cut off, or too large")
    return unpacked


def _elements(content: memoryview, order: str) -> Iterator[Element]:
    """The elements of a part of a file, one after the other."""
    place = 0
    while place < len(content):
        if len(content) - place < 8:
            raise ValueError("the file is cut off")
        kind, size = (int(number) for number in np.frombuffer(content, f"{order}u4", 2, place))
        start, end = place + 8, place + 8 + size
        if kind >> 16:  # up to four bytes lie in the tag itself
            kind, size, start, end = kind & 0xFFFF, kind >> 16, place + 4, place + 8
        elif kind != COMPRESSED:
            end = start + -(-size // 8) * 8
        if size > min(end, len(content)) - start:
            raise ValueError("an element is larger than what is left of the file")
        yield Element(kind, content[start : start + size])
        place = end


def _matrix(content: memoryview, order: str, of_cell: bool = False) -> Matrix:
    if not len(content):  # an empty cell
        return Matrix("", (0, 0), [])
    flags, size, name, *parts = _elements(content, order)
    if flags.kind != 6 or len(flags.content) != 8:
        raise ValueError("a matrix does not say what it is")
    flag = int(np.frombuffer(flags.content, f"{order}u4", 1)[0])
    shape = tuple(int(number) for number in _numbers(size, order))
    named = Matrix(bytes(name.content).decode("latin-1"), shape, None)
    if min(shape, default=-1) < 0 or flag & COMPLEX:
        return named
    if flag & 0xFF == CHARACTERS:
        return named._replace(values=[_letters(part, order) for part in parts[:1]])
    if flag & 0xFF == CELL and not of_cell:
        cells = [_matrix(part.content, order, of_cell=True).values for part in parts]
        if len(cells) != math.prod(shape) or not all(isinstance(cell, list) and len(cell) < 2 for cell in cells):
            return named
        return named._replace(values=["".join(cell) for cell in cells if isinstance(cell, list)])
    if flag & 0xFF in OF_NUMBERS and parts:
        values = _numbers(parts[0], order)
        if values.size != math.prod(shape):
            raise ValueError(f"{values.size} numbers stand where {shape} should")
        return named._replace(values=values.reshape(shape, order="F"))
    return named


def _numbers(element: Element, order: str) -> NDArray[Any]:
    if element.kind not in NUMBERS:
        raise ValueError(f"numbers of an unknown kind ({element.kind})")
    return np.frombuffer(element.content, f"{order}{NUMBERS[element.kind]}")


def _letters(element: Element, order: str) -> str:
    if element.kind not in LETTERS:
        raise ValueError(f"letters of an unknown kind ({element.kind})")
    coding = LETTERS[element.kind]
    if coding in ("utf-16", "utf-32"):
        coding += "-le" if order == "<" else "-be"
    return bytes(element.content).decode(coding)
