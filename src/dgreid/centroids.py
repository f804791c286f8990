"""Class centroids of a source domain: what memory banks start from."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dgreid.distributed import sum_over_ranks
from dgreid.types import ReIDBatch


@torch.no_grad()
def class_centroids(
    net: nn.Module, batches: Iterable[ReIDBatch], identities: int, prepare: Callable[[ReIDBatch], ReIDBatch]
) -> Tensor:
    """Mean unit embedding of each identity, at unit length (M3L main.py's initialisation; methods of both papers).

    Args:
        net: module from images to features; used in evaluation mode and put back as it was.
        batches: each training image exactly once over all ranks, without augmentation.
        identities: number of identities of the domain.
        prepare: moves a batch to the device and normalises it.

    Returns:
        (identities, D) in the embeddings' dtype. Sums are taken in float64, so that their order does not show.
    """
    was_training = net.training
    net.eval()
    sums: Tensor | None = None
    try:
        for batch in map(prepare, batches):
            embedding = net(batch.images).embedding
            if sums is None:
                sums = embedding.new_zeros((identities, embedding.shape[1]), dtype=torch.float64)
                dtype = embedding.dtype
            sums.index_add_(0, batch.identities, embedding.double())
    finally:
        net.train(was_training)
    if sums is None:
        raise ValueError("no batch to take centroids of")
    return F.normalize(sum_over_ranks(sums), dim=1).to(dtype)
