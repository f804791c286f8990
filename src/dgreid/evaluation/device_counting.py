"""How many gallery images score above a query's matches: counted where the block of similarities lies, by torch."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dgreid.evaluation.counting import Counts
from dgreid.evaluation.labels import Numbers
from dgreid.evaluation.similarity import nan_error

PIECES = 8  # a sort takes several times the memory of what it sorts, so a block is sorted in pieces


class DeviceCounter:
    """The counts of :class:`~dgreid.evaluation.counting.BlockCounter`, by sorting each row and searching in it.

    Args:
        scores: (B, G) similarities on any device, float32 or float64.
        first: the number of the block's first query, for messages.
    """

    def __init__(self, scores: Tensor, first: int) -> None:
        self.scores = scores
        self.first = first
        self.piece = -(-len(scores) // PIECES)

    def at(self, queries: NDArray[np.int64], columns: NDArray[np.int64]) -> Numbers:
        """(n,) the scores of pairs."""
        return self.scores[self._bring(queries), self._bring(columns)].cpu().numpy()

    def count(self, thresholds: Numbers, bounds: NDArray[np.int64]) -> Counts:
        """Counts for thresholds[bounds[i]:bounds[i + 1]] in the scores of query i.

        Raises:
            InputError: a score is NaN.
        """
        lengths = np.diff(bounds)
        queries = np.repeat(np.arange(len(lengths)), lengths)
        places = np.arange(len(thresholds)) - bounds[queries]
        padded = np.full((len(lengths), max(1, lengths.max())), np.inf, dtype=thresholds.dtype)
        padded[queries, places] = thresholds
        counts, highest = [], []
        pieces = zip(self.scores.split(self.piece), self._bring(padded).split(self.piece), strict=True)
        for scores, wanted in pieces:
            ascending = scores.contiguous().sort(dim=1).values
            sides = [torch.searchsorted(ascending, wanted, side=side) for side in ("right", "left")]
            counts.append(scores.shape[1] - torch.stack(sides))
            highest.append(ascending[:, -1])  # NaN is sorted last
        wrong = np.flatnonzero(np.isnan(torch.cat(highest).cpu().numpy()))
        if wrong.size:
            raise nan_error(self.first + int(wrong[0]))
        above, not_below = torch.cat(counts, dim=1).cpu().numpy()[:, queries, places]
        return Counts(above, not_below)

    def tied_before(self, queries: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.int64]:
        """(n,) how many gallery images of smaller index have the very score of a pair."""
        indices = torch.arange(self.scores.shape[1], device=self.scores.device)
        counts = [torch.zeros(0, dtype=torch.int64)]
        for start in range(0, len(queries), self.piece):
            some = slice(start, start + self.piece)
            column = self._bring(columns[some])[:, None]
            rows = self.scores[self._bring(queries[some])]
            tied = (rows == rows.gather(1, column)) & (indices < column)
            counts.append(tied.sum(dim=1).cpu())
        return torch.cat(counts).numpy()

    def _bring(self, values: Numbers) -> Tensor:
        return torch.from_numpy(values).to(self.scores.device)
