"""``export=``: the embeddings of an evaluation as a file that can be scored without the net."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from dgreid.data.domains.base import Domain, list_hash
from dgreid.data.sets import RetrievalSet
from dgreid.errors import InputError
from dgreid.evaluation.embedding_files.embedding_file import (
    GALLERY,
    QUERY,
    EmbeddingSet,
    require_new_file,
    write_embeddings,
)
from dgreid.nets.state_hash import state_sha256

Keep = Callable[[str, str, EmbeddingSet], None]
"""``keep(rule, target, embeddings)``"""


def embedding_set(images: RetrievalSet, embeddings: Tensor, domain: Domain, net: nn.Module) -> EmbeddingSet:
    """Embeddings with all that is known of their images.

    Args:
        images: the images.
        embeddings: (N, D) in their order.
        domain: whose images they are; paths become relative to its folder.
        net: made the embeddings.
    """
    splits = [QUERY] * images.query_count + [GALLERY] * len(images.gallery)
    return EmbeddingSet(
        embeddings=embeddings.numpy().astype(np.float32, copy=False),
        identities=images.identities.numpy(),
        cameras=images.cameras.numpy(),
        split=np.array(splits),
        paths=np.array([record.path.relative_to(domain.root).as_posix() for record in images.records]),
        weights_hash=state_sha256(net),
        list_hash=list_hash(images.records, domain.root),
    )


def export_to(export: str | None, evaluations: int) -> Keep | None:
    """What writes embeddings to the file asked for; None if none is.

    With several targets or checkpoints each has a file of its own, ``<file>_<target>_<checkpoint>.npz``.

    Args:
        export: the file.
        evaluations: targets times checkpoints.

    Raises:
        InputError: the file exists, or its name does not end in .npz.
    """
    if export is None:
        return None
    path = Path(export)
    require_new_file(path)
    if evaluations > 1 and (found := sorted(path.parent.glob(f"{path.stem}_*{path.suffix}"))):
        raise InputError(f"export={export}: {found[0]} exists already; remove it or choose another name")

    def keep(rule: str, target: str, embeddings: EmbeddingSet) -> None:
        name = path.name if evaluations == 1 else f"{path.stem}_{target}_{Path(rule).stem}{path.suffix}"
        print(f"embeddings: {write_embeddings(path.with_name(name), embeddings)}")

    return keep
