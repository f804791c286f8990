"""The memory bank: one unit vector for each identity of a domain (M3L, CVPR 2021; IL, TMM 2023)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dgreid.errors import InputError


def memory_scores(memory: Tensor, features: Tensor) -> Tensor:
    """Inner products of features with a memory's rows, in the memory's precision whatever autocast says.

    Args:
        memory: (identities, D); gets no gradient.
        features: (B, D).

    Returns:
        (B, identities); cosines if both have unit rows.
    """
    with torch.autocast(features.device.type, enabled=False):
        return features.to(memory.dtype) @ memory.detach().t()


def memory_loss(memory: Tensor, features: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Cross entropy of ``softmax(features @ memory.T / temperature)``, mean over the batch.

    Args:
        memory: (identities, D) unit rows.
        features: (B, D) unit rows; the only input with a gradient, twice differentiable.
        labels: (B,) int64 rows of the memory.
        temperature: positive; 0.05 in M3L and IL.
    """
    return F.cross_entropy(memory_scores(memory, features) / temperature, labels)


def occurrences(labels: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Sorts a batch into rounds: round r holds the r-th occurrence of every label that occurs more than r times.

    Args:
        labels: (B,) int64, at least one.

    Returns:
        the distinct labels, most frequent first; for each round, positions in the batch, one for each of the first so
        many of these labels.
    """
    order = labels.argsort(stable=True)
    distinct, counts = labels[order].unique_consecutive(return_counts=True)
    first = counts.cumsum(0) - counts
    by_frequency = counts.argsort(descending=True, stable=True)
    distinct, counts, first = distinct[by_frequency], counts[by_frequency], first[by_frequency]
    in_round = (counts.unsqueeze(0) > torch.arange(int(counts[0]), device=labels.device).unsqueeze(1)).sum(1)
    return distinct, [order[first[:size] + r] for r, size in enumerate(in_round.tolist())]


def updated_rows(memory: Tensor, features: Tensor, labels: Tensor, momentum: float) -> tuple[Tensor, Tensor]:
    """What a batch makes of a memory, applied in order, repeated identities one after the other.

    For each (x, y) of the batch: M[y] <- momentum * M[y] + (1 - momentum) * x; M[y] <- M[y] / ||M[y]||. Rows of
    different identities do not meet, so the r-th occurrences of all identities are applied together: the same bits as
    one image at a time.

    Args:
        memory: (identities, D) unit rows; not changed.
        features: (B, D) unit rows, B >= 1.
        labels: (B,) int64 rows of the memory.
        momentum: weight of the OLD row; 0.2 in M3L and IL, so the last image of an identity dominates.

    Returns:
        the distinct labels and their new rows; all other rows stay.
    """
    distinct, rounds = occurrences(labels)
    features = features.to(memory.dtype)
    rows = memory[distinct]
    for positions in rounds:
        size = len(positions)
        mixed = momentum * rows[:size] + (1 - momentum) * features[positions]
        rows[:size] = mixed / mixed.norm(dim=1, keepdim=True)
    return distinct, rows


class MemoryBank(nn.Module):
    """The memory of one domain, kept in the checkpoint.

    Args:
        identities: number of rows.
        dimension: width of the embeddings.
    """

    rows: Tensor

    def __init__(self, identities: int, dimension: int) -> None:
        super().__init__()
        self.register_buffer("rows", torch.zeros(identities, dimension))

    @torch.no_grad()
    def fill(self, centroids: Tensor) -> None:
        """Starts from class centroids, brought to unit length.

        Args:
            centroids: (identities, D).

        Raises:
            InputError: for another shape, or a centroid that has no direction.
        """
        if centroids.shape != self.rows.shape:
            raise InputError(
                f"centroids of shape {tuple(centroids.shape)} do not fit a memory of shape {tuple(self.rows.shape)}: "
                "one row for each identity of the domain is needed."
            )
        rows = F.normalize(centroids.to(self.rows), dim=1)
        lengths = rows.norm(dim=1)
        if not bool(((lengths - 1).abs() < 0.01).all()):
            row = int((lengths - 1).abs().nan_to_num(nan=torch.inf).argmax())
            raise InputError(f"the centroid of identity {row} is zero or not finite: check the net's initial weights.")
        self.rows.copy_(rows)

    def scores(self, features: Tensor) -> Tensor:
        """(B, D) unit embeddings to (B, identities) cosines; gradient to the embeddings only."""
        return memory_scores(self.rows, features)

    def loss(self, features: Tensor, labels: Tensor, temperature: float) -> Tensor:
        """:func:`memory_loss` against this memory.

        Raises:
            InputError: for a label that is no row of this memory.
        """
        self.check_labels(labels)
        return memory_loss(self.rows, features, labels, temperature)

    @torch.no_grad()
    def update(self, features: Tensor, labels: Tensor, momentum: float) -> None:
        """Writes the :func:`updated_rows` of a batch.

        Raises:
            InputError: for a label that is no row of this memory.
        """
        self.check_labels(labels)
        self.rows.index_copy_(0, *updated_rows(self.rows, features, labels, momentum))

    def check_labels(self, labels: Tensor) -> None:
        """Refuses labels outside 0..identities-1 (cross entropy alone would skip -100 silently).

        Raises:
            InputError: with the label and the range.
        """
        smallest, largest = torch.stack(labels.aminmax()).tolist()
        if smallest < 0 or largest >= len(self.rows):
            wrong = smallest if smallest < 0 else largest
            raise InputError(
                f"label {wrong} is outside 0..{len(self.rows) - 1}, the identities of this memory: number the training "
                "identities of each domain from 0."
            )
