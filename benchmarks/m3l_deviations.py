"""What each deviation of the M3L release changes in the first step of a ResNet-50: one turned on at a time.

    python benchmarks/m3l_deviations.py

Float64, three domains of 8 images of 64x32, random weights with the last scale of each block at 0.2 (as well behaved as
trained weights; at 1 the second-order term dominates everything), learning rate 3.5e-4, the same draws for all rows.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dgreid.nets.reid import ReIDNet
from dgreid.nets.resnet import resnet50
from dgreid.strategies.m3l import M3L
from dgreid.types import Clock, DomainInfo, ReIDBatch

DOMAINS = [DomainInfo(name, 6, 100, 2, "") for name in ("first", "second", "third")]
ROWS: dict[str, dict[str, Any]] = {
    "outer_gradient=second_order_only": {"outer_gradient": "second_order_only"},
    "metabn_scale=variance": {"metabn_scale": "variance"},
    "meta_test_updates_bn=true": {"meta_test_updates_bn": True},
    "net.stem_relu=false": {"stem_relu": False},
    "(order=first)": {"order": "first"},
}


def batches(seed: int) -> dict[str, ReIDBatch]:
    """Normal images, four identities of two images each, domains that differ in mean and spread."""
    generator = torch.Generator().manual_seed(seed)
    made = {}
    for position, domain in enumerate(DOMAINS):
        images = torch.randn(8, 3, 64, 32, dtype=torch.float64, generator=generator)
        labels = torch.randperm(domain.identities, generator=generator)[:4].repeat_interleave(2)
        cameras = torch.zeros(8, dtype=torch.int64)
        made[domain.name] = ReIDBatch(images * (1 + 0.2 * position) + 0.1 * position, labels, cameras, torch.arange(8))
    return made


def network(stem_relu: bool) -> ReIDNet:
    """The same random weights each time, with running statistics of 20 batches of another seed."""
    torch.manual_seed(0)
    net = resnet50(weights="random", stem_relu=stem_relu, neck_bias="trainable").double().train()
    for name, parameter in net.named_parameters():
        if name.endswith("bn3.weight"):
            torch.nn.init.constant_(parameter, 0.2)
    with torch.no_grad():
        for seed in range(100, 120):
            for batch in batches(seed).values():
                net(batch.images)
    return net


def centroids(net: ReIDNet) -> dict[str, Tensor]:
    """Unit means of the embeddings, in evaluation mode, of eight images an identity: a bank's start."""
    generator = torch.Generator().manual_seed(7)
    net.eval()
    rows = {}
    with torch.no_grad():
        for domain in DOMAINS:
            people = torch.randn(domain.identities, 1, 3, 64, 32, dtype=torch.float64, generator=generator)
            images = people + 0.5 * torch.randn(
                domain.identities, 8, 3, 64, 32, dtype=torch.float64, generator=generator
            )
            embeddings = net(images.flatten(0, 1)).embedding.view(domain.identities, 8, -1)
            rows[domain.name] = F.normalize(embeddings.mean(1), dim=1)
    net.train()
    return rows


def first_step(stem_relu: bool = True, **options: Any) -> tuple[dict[str, Tensor], dict[str, Tensor], float]:
    """The outer gradient by name, the running statistics after the step by name, and the meta-test loss."""
    net = network(stem_relu)
    strategy = M3L(**options)
    strategy.setup(net, DOMAINS)
    strategy.fill(centroids(net))
    clock = Clock(step=0, epoch=0, learning_rate=3.5e-4, seed=0)
    result = strategy.loss(net, batches(1), clock)
    result.loss.backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
    gradient = {name: value.grad for name, value in net.named_parameters() if value.grad is not None}
    torch.optim.Adam(strategy.parameter_groups(net), lr=3.5e-4, weight_decay=5e-4).step()
    with torch.no_grad():
        strategy.after_step(net, batches(1), result, clock)
    statistics = {name: value for name, value in net.named_buffers() if "running" in name}
    return gradient, statistics, float(result.scalars["loss/meta_test"])


def together(tensors: dict[str, Tensor]) -> Tensor:
    """All values in one vector, in the order of the names."""
    return torch.cat([tensors[name].flatten() for name in sorted(tensors)])


def bank_cosine() -> float:
    """Mean cosine between banks that start from a net's own statistics and from means 0 and variances 1."""
    net = network(stem_relu=True)
    own = centroids(net)
    for name, buffer in net.named_buffers():
        if "running" in name:
            buffer.fill_(float(name.endswith("var")))
    without = centroids(net)
    return float(torch.cat([(own[name] * without[name]).sum(1) for name in own]).mean())


def main() -> None:
    """Prints one line for each deviation."""
    gradient, statistics, loss = first_step()
    print(f"{'':34} gradient: change   cosine   statistics: change   L_test ({loss:.4f}): change")
    for name, options in ROWS.items():
        other_gradient, other_statistics, other_loss = first_step(**options)
        g, other = together(gradient), together(other_gradient)
        s, moved = together(statistics), together(other_statistics)
        print(
            f"{name:34} {float((other - g).norm() / g.norm()):16.2e} {float(F.cosine_similarity(g, other, dim=0)):8.4f}"
            f" {float((moved - s).norm() / s.norm()):20.2e} {other_loss - loss:25.2e}"
        )
    print(f"net.load_bn_statistics=false: mean cosine between the banks' first rows {bank_cosine():.4f}")


if __name__ == "__main__":
    main()
