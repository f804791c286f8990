"""The four style operations image by image, channel by channel, pixel by pixel, from their papers' formulas."""

from __future__ import annotations

import math

import torch

EPS = 1e-6


def mean_and_variance(values):
    """Of a list of numbers; the variance divides by their number less one."""
    mean = sum(values) / len(values)
    return mean, sum((value - mean) ** 2 for value in values) / (len(values) - 1)


def tables(maps):
    """Means and variances over the pixels, as lists over images of lists over channels."""
    both = [[mean_and_variance(channel.flatten().tolist()) for channel in image] for image in maps.double()]
    return [[pair[0] for pair in row] for row in both], [[pair[1] for pair in row] for row in both]


def repainted(maps, mean, std):
    """Every pixel normalised by its image's channel, then given the wanted mean and standard deviation."""
    means, variances = tables(maps)
    out = maps.double().clone()
    for b, image in enumerate(maps.double()):
        for c, channel in enumerate(image):
            for i, row in enumerate(channel.tolist()):
                for j, value in enumerate(row):
                    out[b, c, i, j] = (value - means[b][c]) / math.sqrt(variances[b][c] + EPS) * std[b][c] + mean[b][c]
    return out


def slow_uniform(maps, uniform_mean, uniform_std, strength):
    """IL: drawn from mean -/+ strength standard deviations over the batch; no eps in the standard deviations drawn."""
    means, variances = tables(maps)
    stds = [[math.sqrt(value) for value in row] for row in variances]
    drawn = []
    for table, uniform in ((means, uniform_mean), (stds, uniform_std)):
        rows = [[0.0] * len(table[0]) for _ in table]
        for c in range(len(table[0])):
            middle, variance = mean_and_variance([row[c] for row in table])
            half_width = strength * max(math.sqrt(variance), 1e-6)
            low, high = middle - half_width, middle + half_width
            for b in range(len(table)):
                rows[b][c] = low + float(uniform[b, c]) * (high - low)
        drawn.append(rows)
    return repainted(maps, *drawn)


def slow_mixstyle(maps, weight, partner):
    """MixStyle: the weight is that of the image's own style."""
    means, variances = tables(maps)
    stds = [[math.sqrt(value + EPS) for value in row] for row in variances]
    mixed = [
        [
            [float(weight[b]) * own + (1 - float(weight[b])) * table[int(partner[b])][c] for c, own in enumerate(row)]
            for b, row in enumerate(table)
        ]
        for table in (means, stds)
    ]
    return repainted(maps, *mixed)


def slow_dsu(maps, normal_mean, normal_std, strength):
    """DSU: noise as wide as the statistic varies over the batch; eps in all roots."""
    means, variances = tables(maps)
    stds = [[math.sqrt(value + EPS) for value in row] for row in variances]
    noisy = []
    for table, normal in ((means, normal_mean), (stds, normal_std)):
        spread = [math.sqrt(mean_and_variance([row[c] for row in table])[1] + EPS) for c in range(len(table[0]))]
        noisy.append(
            [
                [own + float(normal[b, c]) * strength * spread[c] for c, own in enumerate(row)]
                for b, row in enumerate(table)
            ]
        )
    return repainted(maps, *noisy)


def slow_swap(maps, partner, strength):
    """AdaIN with the partner's style, or what lies between it and one's own."""
    return slow_mixstyle(maps, torch.full((len(maps),), 1 - strength, dtype=torch.float64), partner)


def slow_partners(domains, uniform):
    """The image of another domain that a number in [0, 1) points at, for each image."""
    partners = []
    for own, u in zip(domains.tolist(), uniform.flatten().tolist(), strict=True):
        others = [row for row, domain in enumerate(domains.tolist()) if domain != own]
        partners.append(others[int(u * len(others))])
    return torch.tensor(partners)
