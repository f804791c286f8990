"""What M3L needs of sources and net, said before anything is trained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from torch import nn

from dgreid.errors import InputError
from dgreid.types import DomainInfo


def check_sources(domains: Sequence[DomainInfo]) -> None:
    """M3L holds one source out of several, and mines negatives within a domain.

    Raises:
        InputError: fewer than two sources, or one of a single identity.
    """
    if len(domains) < 2:
        found = ", ".join(domain.name for domain in domains) or "none"
        raise InputError(
            f"sources: {found}; M3L holds one source out in each step, so it needs at least two. With one source take "
            "strategy=fb or strategy=softmax_triplet."
        )
    for domain in domains:
        if domain.identities < 2:
            raise InputError(
                f"source {domain.name} has {domain.identities} training identity: the triplet loss needs negatives, so "
                "at least two; leave this source out."
            )


def check_net(net: nn.Module) -> None:
    """The net must have a neck for MetaBN, and run under other weights than its own.

    Raises:
        InputError: it has no batch-normalisation neck, is compiled, or holds a layer under two names.
    """
    neck = getattr(net, "neck", None)
    if not isinstance(neck, nn.BatchNorm1d) or neck.weight is None or neck.running_mean is None:
        raise InputError(
            f"{type(net).__name__} has no attribute `neck` that is a torch.nn.BatchNorm1d with weight, bias and "
            f"running statistics, but {type(neck).__name__}: MetaBN mixes domains in it."
        )
    layers = list(net.named_modules(remove_duplicate=False))
    if any(hasattr(layer, "_orig_mod") or getattr(layer, "_compiled_call_impl", None) for _, layer in layers):
        raise InputError(
            "the net, or a part of it, went through torch.compile, which gives no second derivatives and keeps to its "
            "own weights: M3L needs it uncompiled."
        )
    times = Counter(id(layer) for _, layer in layers if layer._parameters or layer._buffers)
    names = [name for name, layer in layers if times[id(layer)] > 1]
    if names:
        raise InputError(
            f"the net holds one layer under several names ({', '.join(names)}): torch.func.functional_call, by which "
            "M3L runs it under other weights, would not put its weights back; keep one name."
        )
    neck_name(net)


def neck_name(net: nn.Module) -> str:
    """The name of the net's neck among its modules.

    Raises:
        InputError: it is none of them.
    """
    name = next((name for name, layer in net.named_modules() if layer is net.neck), None)
    if name is None:
        raise InputError(f"the neck of {type(net).__name__} is none of its submodules: assign it in the constructor.")
    return name
