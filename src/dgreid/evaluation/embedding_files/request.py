"""What a user wants to know of files of embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from dgreid.errors import InputError, check_one_of
from dgreid.evaluation.embedding_files.comparison import Comparing
from dgreid.evaluation.scoring import Scoring


class Request(NamedTuple):
    """What is asked for.

    Attributes:
        files: files of embeddings, and folders of them.
        scoring: how is compared, and which figures are taken.
        open_set_rate: wanted share of people outside the gallery who are taken for somebody; None for no such figures.
        held_out: the file that its threshold is taken from; None for the scored queries themselves.
        output: folder to write to; None to print only.
        images: where the paths in the files begin; None for the current folder.
        comparing: how several methods are compared.
    """

    files: Sequence[Path]
    scoring: Scoring
    open_set_rate: float | None = None
    held_out: Path | None = None
    output: Path | None = None
    images: Path | None = None
    comparing: Comparing = Comparing()


def check_numbers(request: Request) -> None:
    """Refuses what would fail only after hours of scoring.

    Raises:
        InputError: a number out of its range.
    """
    rate, comparing = request.open_set_rate, request.comparing
    if rate is not None and not 0 < rate < 1:
        raise InputError(f"--open-set {rate:g}: give a share between 0 and 1, for instance 0.01")
    if comparing.resamples < 1:
        raise InputError(f"--resamples {comparing.resamples}: at least 1, for instance {Comparing().resamples}")
    if comparing.seed < 0:
        raise InputError(f"--seed {comparing.seed}: a whole number, not negative")


def checked_comparing(request: Request, names: Sequence[str]) -> Comparing | None:
    """How the methods are compared; None if there is one.

    Args:
        request: what is asked for.
        names: of the methods.

    Raises:
        InputError: no such baseline, or options that need one file or several.
    """
    if len(names) == 1:
        if request.comparing != Comparing():
            raise InputError("--baseline, --unit, --resamples and --seed compare methods: give several files")
        return None
    if request.held_out is not None:
        raise InputError("--held-out gives a threshold that holds for one net alone: score the files one at a time")
    comparing = request.comparing._replace(baseline=request.comparing.baseline or names[0])
    check_one_of("--baseline", comparing.baseline, names)
    return comparing


def options(request: Request, comparing: Comparing | None) -> dict[str, Any]:
    """What was asked for, as plain values."""
    not_of_scoring = ("flip", "search", "open_set_rates")  # for whoever makes embeddings, or of a run
    return {
        **{key: value for key, value in asdict(request.scoring).items() if key not in not_of_scoring},
        "open_set_rate": request.open_set_rate,
        "held_out": None if request.held_out is None else str(request.held_out),
        "comparing": None if comparing is None else comparing._asdict(),
    }
