"""The inputs of the recorded IL iterations, drawn again from names, and our net and strategy set to them."""

import json
import zlib
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from dgreid.nets.names import reference_name
from dgreid.types import Clock, DomainInfo, ReIDBatch

FOLDER = Path(__file__).parents[2] / "fixtures" / "il"
IDENTITIES = {"domain0": 5, "domain1": 6, "domain2": 7}
DOMAINS = [DomainInfo(name, count, 100, 2, "") for name, count in IDENTITIES.items()]


def generator(name):
    return np.random.default_rng(zlib.crc32(name.encode()))


def normal(name, shape):
    return torch.from_numpy(generator(name).standard_normal(tuple(shape)))


def clock(iteration):
    return Clock(step=iteration, epoch=0, learning_rate=3.5e-4, seed=0)


def recorded_tensor(name, tensor):
    """The recording's initial value of the tensor that the release calls `name`."""
    if name.endswith("num_batches_tracked") or name == "feat_bn0.bias":
        return torch.zeros_like(tensor)
    draw = normal(name, tensor.shape)
    if tensor.ndim > 1:
        return draw * (2 / np.prod(tensor.shape[1:])) ** 0.5
    if name.endswith("running_var"):
        return 1 + 0.1 * draw.abs()
    if name.endswith("running_mean"):
        return 0.05 * draw
    return 1 + 0.1 * draw if name.endswith("weight") else 0.1 * draw


def set_recorded_weights(net, backbone=""):
    """Brings a float64 net to the recording's weights; `backbone` is the variant's prefix: "" or "base."."""
    state = net.state_dict()
    net.load_state_dict(
        {name: recorded_tensor(reference_name(name, backbone, "feat_bn0."), value) for name, value in state.items()}
    )


def recorded_centroids():
    return {name: F.normalize(normal(f"memory.{name}", (count, 2048)), dim=1) for name, count in IDENTITIES.items()}


def recorded_batches(iteration):
    batches = {}
    for name, count in IDENTITIES.items():
        labels = np.repeat(generator(f"ids.{name}.iter{iteration}").permutation(count)[:4], 2)
        batches[name] = ReIDBatch(
            images=normal(f"input.{name}.iter{iteration}", (8, 3, 64, 32)),
            identities=torch.from_numpy(labels),
            cameras=torch.zeros(8, dtype=torch.int64),
            indices=torch.arange(8),
        )
    return batches


class RecordedDraws:
    """Stands in for a strategy's draws."""

    def permutation(self, count, clock, name):
        assert (count, name) == (24, "memory_order")
        return torch.from_numpy(generator(f"perm.iter{clock.step}").permutation(count))

    def uniform(self, rows, width, clock, name):
        assert (rows, width) == (24, 256)
        tag = {"memory_style/backbone.layer1/mean": "mu", "memory_style/backbone.layer1/std": "sig"}[name]
        return torch.from_numpy(generator(f"ubs.{tag}.iter{clock.step}").random((rows, width)))


def projections(name, *tensors):
    """(3, tensors): projections of tensors of one shape onto three normals drawn from a name."""
    shape = tensors[0].shape
    return torch.stack(
        [
            torch.stack([(tensor * draw).sum() for tensor in tensors])
            for k in range(3)
            for draw in [normal(f"{name}{k}", shape)]
        ]
    )


def norms_and_projections(names, *lists):
    """For each list of tensors, in the order of the names: their norms (n,) and projections (n, 3)."""
    norms = [torch.stack([tensor.norm() for tensor in tensors]) for tensors in lists]
    projected = torch.stack([projections(name, *tensors) for name, *tensors in zip(names, *lists, strict=True)])
    return [(norm, projected[:, :, position]) for position, norm in enumerate(norms)]


def probe(tag, tensor):
    return torch.cat([torch.stack([tensor.norm(), tensor.sum()]), projections(tag, tensor)[:, 0]])


def embeddings_in_evaluation(net, batches):
    """Of the first domain's images."""
    net.eval()
    with torch.no_grad():
        embeddings = net(batches["domain0"].images).embedding
    net.train()
    return embeddings


def recorded_names(variant):
    return json.loads((FOLDER / f"names_{variant}.json").read_text())


def recorded_arrays(variant, mode):
    with np.load(FOLDER / f"train_{variant}_{mode}.npz") as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}
