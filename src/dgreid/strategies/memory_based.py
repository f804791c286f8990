"""What FB, FBF and the methods built on them share: a memory bank for each domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from dgreid.distributed import gather_rows
from dgreid.errors import InputError
from dgreid.memory import MemoryBank
from dgreid.strategies.base import TrainingStrategy
from dgreid.strategies.feature_dimension import feature_dimension
from dgreid.types import DomainInfo


class MemoryStrategy(TrainingStrategy):
    """One memory bank for each domain; each domain competes with its own identities only.

    What is computed from the banks, and how they follow the net, is what subclasses say.

    Args:
        temperature: divides the scores; positive.
        momentum: weight of a memory's old row in its update; in [0, 1).

    Raises:
        InputError: for values outside these ranges.
    """

    def __init__(self, temperature: float = 0.05, momentum: float = 0.2) -> None:
        super().__init__()
        if temperature <= 0:
            raise InputError(f"temperature={temperature} must be positive; M3L and IL use 0.05.")
        if not 0 <= momentum < 1:
            raise InputError(f"momentum={momentum} must lie in [0, 1): the weight of the old row; M3L and IL use 0.2.")
        self.temperature = temperature
        self.momentum = momentum
        self.banks = nn.ModuleDict()

    def setup(self, net: nn.Module, domains: Sequence[DomainInfo]) -> None:
        """Makes an empty bank for each domain, in the net's precision and on its device."""
        like = next(net.parameters())
        for domain in domains:
            self.banks[domain.name] = MemoryBank(domain.identities, feature_dimension(net)).to(like)

    def fill(self, centroids: Mapping[str, Tensor]) -> None:
        """Fills each bank with its domain's class centroids."""
        for name, rows in centroids.items():
            self.bank(name).fill(rows)

    def bank(self, name: str) -> MemoryBank:
        """The bank of a domain."""
        bank = self.banks[name]
        assert isinstance(bank, MemoryBank)
        return bank

    def update_bank(self, name: str, embeddings: Tensor, identities: Tensor) -> None:
        """Moves a bank by the rows of all processes, in rank order, so that it stays equal everywhere.

        Args:
            name: the domain.
            embeddings: (B, D) unit rows of this process.
            identities: (B,) their labels.
        """
        self.bank(name).update(gather_rows(embeddings), gather_rows(identities), self.momentum)
