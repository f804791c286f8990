"""M3L from its text, slowly, on torch's own layers and autograd alone."""

import copy
from dataclasses import dataclass

import torch
from m3l_problem import batches, centroids, domains, net_of_four_channels, prepared, train
from small_problem import clock, looped_update, memory_cross_entropy
from torch.func import functional_call

from dgreid.draws import SeededDraws


def looped_triplet(features, labels, margin):
    terms = []
    for anchor, label in zip(features, labels, strict=True):
        distances = [(anchor - other).square().sum().clamp(min=1e-12).sqrt() for other in features]
        positives = [distance for distance, other in zip(distances, labels, strict=True) if other == label]
        negatives = [distance for distance, other in zip(distances, labels, strict=True) if other != label]
        hinge = max(positives) - min(negatives) + margin
        terms.append(hinge if hinge > 0 else 0 * hinge)
    return sum(terms) / len(terms)


def fresh_adam(parameter, gradient, learning_rate, weight_decay):
    """One step of Adam from zero state as the release writes it, with its 1e-8 inside the second moment."""
    beta1, beta2 = 0.9, 0.999
    gradient = gradient + weight_decay * parameter
    exp_avg = beta1 * torch.zeros_like(parameter) + (1 - beta1) * gradient
    exp_avg_sq = beta2 * torch.zeros_like(parameter) + (1 - beta2) * gradient * gradient + 1e-8
    denominator = exp_avg_sq.sqrt() / (1 - beta2) ** 0.5 + 1e-8
    return parameter - learning_rate / (1 - beta1) * exp_avg / denominator


def looped_metabn(features, statistics, normals, weight_of_samples, scale, neck_weight, neck_bias, eps):
    """One channel of one meta-train domain after the other."""
    outputs = []
    for (mean, variance), draws in zip(statistics, normals, strict=True):
        columns = []
        for channel in range(features.shape[1]):
            spread = {"std": variance[channel] ** 0.5, "variance": variance[channel]}[scale]
            samples = mean[channel] + spread * draws[:, channel]
            mixed = weight_of_samples * samples + (1 - weight_of_samples) * features[:, channel]
            centred = mixed - mixed.mean()
            normalised = centred / (centred.square().mean() + eps).sqrt()
            columns.append(normalised * neck_weight[channel] + neck_bias[channel])
        outputs.append(torch.stack(columns, dim=1))
    return outputs


@dataclass
class Options:
    """Those of the strategy, by its names."""

    temperature: float = 0.05
    momentum: float = 0.2
    margin: float = 0.3
    outer_gradient: str = "full"
    metabn_scale: str = "std"
    meta_test_updates_bn: bool = False
    order: str = "second"
    inner_learning_rate: float | str = "outer"
    inner_weight_decay: float = 5e-4


class SlowM3L:
    """One step after another; `net` is copied before the strategy changes its layers."""

    def __init__(self, net, sources, draws=None, **options):
        self.net, self.sources, self.options = copy.deepcopy(net), sources, Options(**options)
        self.draws = draws or SeededDraws()
        self.memory = centroids(sources, net.feature_dimension)
        self.optimizer = torch.optim.Adam(list(self.theta().values()), lr=1e-3, weight_decay=5e-4)

    def theta(self):
        return {name: value for name, value in self.net.named_parameters() if value.requires_grad}

    def forward(self, parameters, images, kept):
        """Features; of the running statistics that the forward moves, only those whose names are kept stay."""
        buffers = {name: value.clone() for name, value in self.net.named_buffers()}
        features = functional_call(self.net, {**parameters, **buffers}, (images,))
        for name, value in self.net.named_buffers():
            if kept(name):
                value.copy_(buffers[name])
        return features

    def domain_loss(self, name, batch, pooled, embeddings):
        memory = memory_cross_entropy(embeddings, batch.identities, self.memory[name], self.options.temperature)
        return memory + looped_triplet(pooled, batch.identities, self.options.margin)

    def split(self, iteration):
        """The meta-train domains and the meta-test domain of a step."""
        names = [domain.name for domain in domains(self.sources)]
        held_out = self.draws.choice(self.sources, clock(iteration), "meta_test_domain")
        return [name for position, name in enumerate(names) if position != held_out], names[held_out]

    def meta_train(self, theta, iteration, kept=lambda name: True):
        """L_train, and the statistics of each meta-train domain's pooled features."""
        losses, statistics = [], []
        for name in self.split(iteration)[0]:
            batch = batches(iteration, self.sources)[name]
            features = self.forward(theta, batch.images, kept)
            losses.append(self.domain_loss(name, batch, features.pooled, unit_rows(features.neck)))
            pooled = features.pooled.detach()
            statistics.append((pooled.mean(0), (pooled - pooled.mean(0)).square().mean(0)))
        return sum(losses) / len(losses), statistics

    def moved(self, start, theta, loss, create_graph=True):
        """theta' of the parameters it starts from, and the gradient by theta."""
        rate = self.options.inner_learning_rate
        rate = clock(0).learning_rate if rate == "outer" else rate
        gradients = torch.autograd.grad(loss, list(theta.values()), create_graph=create_graph)
        return {
            name: fresh_adam(start[name], gradient, rate, self.options.inner_weight_decay)
            for name, gradient in zip(theta, gradients, strict=True)
        }

    def meta_test(self, moved, statistics, iteration):
        """L_test."""
        meta_train, name = self.split(iteration)
        batch = batches(iteration, self.sources)[name]
        moves = self.options.meta_test_updates_bn

        def kept(buffer):
            return moves and buffer not in ("neck.running_mean", "neck.running_var")

        pooled = self.forward(moved, batch.images, kept).pooled
        draws, now = self.draws, clock(iteration)
        normals = [draws.normal(*pooled.shape, now, f"metabn/{k}").double() for k in range(len(meta_train))]
        neck = {**dict(self.net.named_parameters()), **moved}
        outputs = looped_metabn(
            pooled, statistics, normals, draws.number(now, "metabn_weight"), self.options.metabn_scale,
            neck["neck.weight"], neck["neck.bias"], self.net.neck.eps,
        )  # fmt: skip
        losses = [self.domain_loss(name, batch, pooled, unit_rows(output)) for output in outputs]
        return sum(losses) / len(losses)

    def step(self, iteration):
        """One step; returns L_train and L_test, and leaves the gradient where the optimizer looks."""
        theta = self.theta()
        train, statistics = self.meta_train(theta, iteration)
        copies = {name: value.detach().clone().requires_grad_() for name, value in theta.items()}
        moved = self.moved(theta if self.options.outer_gradient == "full" else copies, theta, train)
        if self.options.order == "first":
            moved = {name: theta[name] + (value - theta[name]).detach() for name, value in moved.items()}
        test = self.meta_test(moved, statistics, iteration)
        self.optimizer.zero_grad()
        (train + test).backward()
        self.optimizer.step()
        with torch.no_grad():
            for name, batch in batches(iteration, self.sources).items():
                features = self.forward({}, batch.images, kept=lambda name: True)
                looped_update(self.memory[name], unit_rows(features.neck), batch.identities, self.options.momentum)
        return train.detach(), test.detach()


def unit_rows(rows):
    return rows / rows.square().sum(1, keepdim=True).sqrt()


def assert_is_the_text(sources, net=None, draws=None, hypergradient="graph", **options):
    """Two steps: losses, gradients, weights, running statistics and memories."""
    net = net or net_of_four_channels()
    slow = SlowM3L(net, sources, draws, **options)
    strategy, net = prepared(sources, net, draws=draws, hypergradient=hypergradient, **options)
    for iteration, (result, gradients) in enumerate(train(strategy, net, sources)):
        meta_train, meta_test = slow.step(iteration)
        assert torch.allclose(result.scalars["loss/meta_train"], meta_train, rtol=1e-11)
        assert torch.allclose(result.scalars["loss/meta_test"], meta_test, rtol=1e-11)
        assert torch.allclose(result.loss.detach(), meta_train + meta_test, rtol=1e-11)
        expected = {name: value.grad for name, value in slow.theta().items()}
        assert gradients.keys() == expected.keys()
        for name, gradient in expected.items():
            assert (gradients[name] - gradient).norm() < 1e-10 * gradient.norm(), name
    for name, memory in slow.memory.items():
        assert torch.allclose(strategy.bank(name).rows, memory, rtol=0, atol=1e-10)
    expected = slow.net.state_dict()
    assert net.state_dict().keys() == expected.keys()
    for name, value in net.state_dict().items():
        assert torch.allclose(value, expected[name], rtol=1e-8, atol=1e-10), name
