"""Twenty steps of the whole program on one, two and three processes: the same pixels, and the same weights."""

from __future__ import annotations

import os
import socket
from functools import cache

import pytest
import torch
from process_groups import on_processes
from pytorch_lightning.callbacks import Callback
from small_runs import composed, strategies, typed

from dgreid.distributed import gather_rows, rank_and_world_size
from dgreid.run.build import build_data, build_domains, build_module, build_net, build_scoring, build_trainer
from dgreid.run.scoring import embed

pytestmark = pytest.mark.slow

STEPS = 20
SHAPE = (
    "data.identities_per_batch=6", "data.images_per_identity=2", "trainer.precision=64-true", "trainer.max_steps=20",
    "steps_per_epoch=10", "epochs=2", "data.test_batch_size=7", "logger=none",
)  # fmt: skip


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Seen(Callback):
    """The images of all processes, as each step gets them, in rank order."""

    def __init__(self):
        self.steps = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        """Keeps which images they are, and a number that each of their pixels counts in."""
        for name, one in batch.items():
            weights = torch.arange(one.images[0].numel(), dtype=torch.float64).sin().view_as(one.images[0])
            pixels = (one.images * weights).sum(dim=(1, 2, 3))
            self.steps.append((name, gather_rows(one.indices).tolist(), gather_rows(pixels).tolist()))


def trained(data_root, folder, port, overrides):
    """Trains and embeds a target on this rank; what there is to compare."""
    rank, processes = rank_and_world_size()
    place = {"LOCAL_RANK": rank, "NODE_RANK": 0, "WORLD_SIZE": processes, "MASTER_ADDR": "127.0.0.1"}
    os.environ |= {name: str(value) for name, value in {**place, "MASTER_PORT": port}.items()} if processes > 1 else {}
    config = composed(typed(data_root, *SHAPE, f"trainer.devices={processes}", f"folder={folder}", *overrides))
    data = build_data(config, build_domains(config, "sources"), build_domains(config, "target"))
    data.setup("fit")
    module = build_module(config, build_net(config), data.infos())
    trainer, seen = build_trainer(config, folder, []), Seen()
    trainer.callbacks.append(seen)
    trainer.fit(module, datamodule=data)
    assert trainer.global_step == STEPS
    sets = {name: target.target_set() for name, target in data.targets.items()}
    scored = embed(trainer, module, data.targets, sets, build_scoring(config))
    embeddings = [metric.embeddings.numpy() for metric in scored.values()] if rank == 0 else []
    figures = [result.summary() for result in module.retrieval_results.values()]
    state = {name: value.numpy() for name, value in module.state_dict().items()}
    return seen.steps, state, embeddings, figures


@cache
def on_one(data_root, folder, *overrides):
    return trained(data_root, folder, 0, overrides)


@pytest.mark.parametrize(("processes", "workers"), [(1, 2), (2, 0), (2, 4), (3, 0), (3, 6)])
@pytest.mark.parametrize("strategy", strategies())
def test_all_is_as_on_one_process(strategy, processes, workers, data_root, tmp_path):
    expected = on_one(data_root, tmp_path / "one", f"strategy={strategy}")
    overrides = [f"strategy={strategy}", f"data.workers={workers}"]
    ranks = on_processes(processes, trained, data_root, tmp_path / "several", free_port(), overrides)
    steps, state, embeddings, figures = ranks[0]
    for one, other in zip(expected[0], steps, strict=True):
        assert one[:2] == other[:2]
        assert torch.allclose(torch.tensor(one[2]), torch.tensor(other[2]), rtol=1e-14)
    for name, value in expected[1].items():
        found = state[name]
        assert float(abs(value - found).max()) < 1e-9 * max(1, float(abs(value).max())), name
        assert all((rank[1][name] == found).all() for rank in ranks), name
    assert float(abs(expected[2][0] - embeddings[0]).max()) < 1e-9
    for rank in ranks:
        assert rank[3] == figures == expected[3]
