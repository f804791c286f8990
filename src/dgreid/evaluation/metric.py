"""Retrieval figures as a torchmetrics metric: embeddings come in any order, on any number of processes."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor
from torchmetrics import Metric

from dgreid.distributed import rank_and_world_size
from dgreid.errors import InputError
from dgreid.evaluation.labels import Labels
from dgreid.evaluation.ranking import RetrievalResult
from dgreid.evaluation.scoring import Scoring
from dgreid.evaluation.similarity import ScoreBlock

DEFAULT_SCORING = Scoring()


class RetrievalMetric(Metric):
    """Collects embeddings by their index in the data set, queries first, and ranks the gallery.

    An index that comes twice (distributed samplers pad) is overwritten. The embeddings are kept on the CPU in one
    matrix addressed by index, outside torchmetrics' own states: those cannot gather a matrix from a rank that saw no
    image, and leave duplicates in. Rank 0 gathers and scores; every rank gets the result.

    Args:
        identities: (N,) int64 of queries, then gallery.
        cameras: (N,) int64 likewise, -1 where unknown.
        query_count: how many of them are queries.
        scoring: how embeddings are compared.

    Raises:
        InputError: a set is empty, labels do not fit each other, or too little memory is allowed to score them.
    """

    full_state_update = False

    def __init__(
        self,
        identities: Tensor,
        cameras: Tensor,
        query_count: int,
        scoring: Scoring = DEFAULT_SCORING,
    ) -> None:
        super().__init__(sync_on_compute=False)
        if not 0 < query_count < len(identities):
            raise InputError(f"{query_count} queries among {len(identities)} images; both sets need at least one image")
        self.identities = identities
        self.cameras = cameras
        self.query_count = query_count
        self.scoring = scoring
        scoring.check_sets(self.query_labels, self.gallery_labels)
        self._rows: Tensor | None = None
        self._seen = torch.zeros(len(identities), dtype=torch.bool)

    def update(self, embeddings: Tensor, indices: Tensor) -> None:
        """Takes the embeddings of a batch.

        Args:
            embeddings: (B, D) at unit length, any device.
            indices: (B,) int64 positions in the data set.

        Raises:
            InputError: shapes do not fit each other or an earlier batch, or an index is out of range.
        """
        if embeddings.ndim != 2 or indices.shape != embeddings.shape[:1]:
            raise InputError(
                f"embeddings of shape {tuple(embeddings.shape)} with indices of shape {tuple(indices.shape)}; "
                "give (B, D) and (B,)"
            )
        if len(indices):
            self._store(embeddings.detach().cpu(), indices.cpu())

    def forward(self, embeddings: Tensor, indices: Tensor) -> None:
        """As :meth:`update`: one batch has no figures of its own."""
        self.update(embeddings, indices)

    def compute(self) -> RetrievalResult:
        """The figures over all ranks; every rank must call it.

        Raises:
            InputError: embeddings are missing, not finite or of several widths, or no query has a match; on every rank.
        """
        rank, world_size = rank_and_world_size()
        if world_size == 1:
            return self._score()
        self._gather_on_rank_zero(rank, world_size)
        outcome: list[RetrievalResult | InputError | None] = [None]
        if rank == 0:
            try:
                outcome = [self._score()]
            except InputError as error:  # the other ranks wait for an answer, so they get this one
                outcome = [error]
        dist.broadcast_object_list(outcome)
        if isinstance(outcome[0], InputError):
            raise outcome[0]
        assert outcome[0] is not None
        return outcome[0]

    def reset(self) -> None:
        """Forgets all embeddings."""
        super().reset()
        self._rows = None
        self._seen.zero_()

    @property
    def embeddings(self) -> Tensor:
        """(N, D) embeddings on the CPU by data set index; of all ranks on rank 0 once computed.

        Raises:
            InputError: some are missing.
        """
        missing = int((~self._seen).sum())
        if self._rows is None or missing:
            raise InputError(
                f"{missing} of {len(self._seen)} images have no embedding; "
                "run the whole query and gallery set through the net before asking for figures"
            )
        return self._rows

    @property
    def query_embeddings(self) -> Tensor:
        """(Q, D) of the queries; see :attr:`embeddings`."""
        return self.embeddings[: self.query_count]

    @property
    def gallery_embeddings(self) -> Tensor:
        """(G, D) of the gallery; see :attr:`embeddings`."""
        return self.embeddings[self.query_count :]

    @property
    def query_labels(self) -> Labels:
        """Identities and cameras of the queries."""
        return Labels(self.identities[: self.query_count], self.cameras[: self.query_count])

    @property
    def gallery_labels(self) -> Labels:
        """Identities and cameras of the gallery."""
        return Labels(self.identities[self.query_count :], self.cameras[self.query_count :])

    @property
    def score_block(self) -> ScoreBlock:
        """The similarities of the queries to the gallery, for other figures than these; on rank 0 once computed.

        Raises:
            InputError: embeddings are missing or not finite.
        """
        return self.scoring.blocks(self.query_embeddings, self.gallery_embeddings)

    def _score(self) -> RetrievalResult:
        return self.scoring.score(self.score_block, self.query_labels, self.gallery_labels)

    def _store(self, embeddings: Tensor, indices: Tensor) -> None:
        if int(indices.min()) < 0 or int(indices.max()) >= len(self._seen):
            raise InputError(
                f"indices {int(indices.min())}..{int(indices.max())} in a data set of {len(self._seen)} images"
            )
        if self._rows is None:
            dtype = torch.float64 if embeddings.dtype == torch.float64 else torch.float32
            self._rows = torch.empty(len(self._seen), embeddings.shape[1], dtype=dtype)
        if embeddings.shape[1] != self._rows.shape[1]:
            raise InputError(f"embeddings of width {embeddings.shape[1]} after others of width {self._rows.shape[1]}")
        self._rows[indices] = embeddings.to(self._rows.dtype)
        self._seen[indices] = True

    def _gather_on_rank_zero(self, rank: int, world_size: int) -> None:
        """Brings what the other ranks saw to rank 0: explicit shapes, padded to the longest rank, none too short."""
        device = torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")
        seen = self._seen.nonzero().flatten()
        width, is_double = (0, 0) if self._rows is None else (self._rows.shape[1], self._rows.dtype == torch.float64)
        shape = torch.tensor([len(seen), width, int(is_double)], device=device)
        shapes = [torch.empty_like(shape) for _ in range(world_size)]
        dist.all_gather(shapes, shape)
        widths = {int(width) for count, width, _ in shapes if count}
        if len(widths) > 1:
            raise InputError(f"embeddings of widths {sorted(widths)} on different ranks; all must come from one net")
        longest, width, is_double = (int(value) for value in torch.stack(shapes).amax(dim=0))
        dtype = torch.float64 if is_double else torch.float32

        indices = torch.zeros(longest, dtype=torch.int64, device=device)
        rows = torch.zeros(longest, width, dtype=dtype, device=device)
        if self._rows is not None:
            indices[: len(seen)] = seen.to(device)
            rows[: len(seen)] = self._rows[seen].to(device)
        all_indices = [torch.empty_like(indices) for _ in range(world_size)] if rank == 0 else None
        all_rows = [torch.empty_like(rows) for _ in range(world_size)] if rank == 0 else None
        dist.gather(indices, all_indices)
        dist.gather(rows, all_rows)
        for other in range(1, world_size if rank == 0 else 0):
            assert all_indices is not None
            assert all_rows is not None
            count = int(shapes[other][0])
            if count:
                self._store(all_rows[other][:count].cpu(), all_indices[other][:count].cpu())
