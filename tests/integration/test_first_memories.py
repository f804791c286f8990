"""Memories start from what the first net sees in each person, with images normalised once."""

from __future__ import annotations

import torch
from small_runs import train_small

import dgreid
from dgreid.strategies.memory_based import MemoryStrategy


def test_a_run_fills_its_memories_with_centroids_of_normalised_images(data_root, tmp_path, monkeypatch):
    given = {}
    monkeypatch.setattr(
        MemoryStrategy, "fill", lambda self, centroids: given.update(centroids) or filled(self, centroids)
    )
    folder = train_small(data_root, tmp_path / "run", "strategy=fb", "epochs=1")
    size = {"train_identities": 8, "test_identities": 6, "images_per_identity": 4, "height": 64, "width": 32}
    domain = dgreid.SyntheticPlaza(name="synthetic_plaza", folder=data_root / "synthetic", **size)
    net = dgreid.load_run(folder, "initial").module.net
    sums = torch.zeros(8, net.feature_dimension, dtype=torch.float64)
    for record in domain.source_records("train"):
        (picture,) = dgreid.FileCrops(64, 32)([record.path])
        pixels = torch.from_numpy(picture.copy()).permute(2, 0, 1).double() / 255
        mean, std = (torch.tensor(three).view(3, 1, 1) for three in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
        with torch.no_grad():
            neck = net(((pixels - mean) / std).float().unsqueeze(0)).neck[0].double()
        sums[record.identity] += neck / neck.norm()
    expected = sums / sums.norm(dim=1, keepdim=True)
    torch.testing.assert_close(given["synthetic_plaza"].double(), expected, rtol=0, atol=1e-5)


filled = MemoryStrategy.fill
