"""The field's plain baseline: classification and triplet loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dgreid.errors import InputError
from dgreid.losses import batch_hard_triplet
from dgreid.strategies.base import TrainingStrategy
from dgreid.strategies.chunked_forward import chunked_features
from dgreid.strategies.feature_dimension import feature_dimension
from dgreid.strategies.statistics_chunks import parts_of
from dgreid.types import Clock, DomainInfo, Features, ReIDBatch, StepResult


class SoftmaxTriplet(TrainingStrategy):
    """Cross entropy over a trainable classifier plus batch-hard triplet (Luo et al., CVPRW 2019, "Bag of Tricks").

    Each domain has a classifier without bias on the neck's features, with label smoothing; the triplet loss sees the
    pooled features; their sum is averaged over domains. Of the paper's tricks, BNNeck, last stride 1, warm-up and
    random erasing belong to net, schedule and data; the centre loss is left out. A classifier for each of several
    sources is ours: the paper has one source.

    Training forwards a step: one for each domain, so with three sources batch normalisation moves its running
    statistics 3 times a step.

    Args:
        label_smoothing: share of the target spread evenly over all identities; in [0, 1).
        margin: of the triplet loss.
        statistics_chunks: batch statistics are those of so many equal parts of each forward, and triplets are of one
            part; running statistics follow the first.

    Raises:
        InputError: for a value outside its range.
    """

    def __init__(self, label_smoothing: float = 0.1, margin: float = 0.3, statistics_chunks: int = 1) -> None:
        super().__init__()
        self.parts = parts_of(statistics_chunks)
        if not 0 <= label_smoothing < 1:
            raise InputError(f"label_smoothing={label_smoothing} must lie in [0, 1); the paper uses 0.1.")
        self.label_smoothing = label_smoothing
        self.margin = margin
        self.classifiers = nn.ModuleDict()

    def setup(self, net: nn.Module, domains: Sequence[DomainInfo]) -> None:
        """Makes a classifier for each domain, in the net's precision and on its device; weights ~ N(0, 0.001^2)."""
        like = next(net.parameters())
        for domain in domains:
            classifier = nn.Linear(feature_dimension(net), domain.identities, bias=False)
            nn.init.normal_(classifier.weight, std=0.001)
            self.classifiers[domain.name] = classifier.to(like)

    def domain_losses(self, name: str, features: Features, identities: Tensor) -> dict[str, Tensor]:
        """Both losses of one domain and their sum, by the names under which they are logged."""
        logits = self.classifiers[name](features.neck)
        cross_entropy = F.cross_entropy(logits, identities, label_smoothing=self.label_smoothing)
        triplet = batch_hard_triplet(features.pooled, identities, self.margin, self.parts)
        return {
            f"loss/{name}": cross_entropy + triplet,
            f"cross_entropy/{name}": cross_entropy,
            f"triplet/{name}": triplet,
        }

    def loss(self, net: nn.Module, batches: Mapping[str, ReIDBatch], clock: Clock) -> StepResult:
        """Mean over domains of cross entropy plus triplet; one training forward for each domain."""
        terms: dict[str, Tensor] = {}
        embeddings: dict[str, Tensor] = {}
        for name, batch in batches.items():
            features = chunked_features(net, batch.images, self.parts)
            terms |= self.domain_losses(name, features, batch.identities)
            embeddings[name] = features.embedding.detach()
        return StepResult(
            loss=torch.stack([terms[f"loss/{name}"] for name in batches]).mean(),
            scalars={name: value.detach() for name, value in terms.items()},
            embeddings=embeddings,
        )
