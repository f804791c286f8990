"""Twenty steps of the whole program on one, two and three processes: the same pixels, and the same weights."""

from __future__ import annotations

import os
import socket
from functools import cache

import numpy as np
import pytest
import torch
from process_groups import on_processes
from pytorch_lightning.callbacks import Callback
from small_runs import composed, strategies, typed

from dgreid.distributed import gather_rows, rank_and_world_size
from dgreid.errors import InputError
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


def trained(data_root, folder, port, overrides, steps=STEPS, callbacks=()):
    """Trains and embeds a target on this rank; what there is to compare."""
    rank, processes = rank_and_world_size()
    place = {"LOCAL_RANK": rank, "NODE_RANK": 0, "WORLD_SIZE": processes, "MASTER_ADDR": "127.0.0.1"}
    os.environ |= {name: str(value) for name, value in {**place, "MASTER_PORT": port}.items()} if processes > 1 else {}
    config = composed(typed(data_root, *SHAPE, f"trainer.devices={processes}", f"folder={folder}", *overrides))
    data = build_data(config, build_domains(config, "sources"), build_domains(config, "target"))
    data.setup("fit")
    module = build_module(config, build_net(config), data.infos())
    trainer, seen = build_trainer(config, folder, []), Seen()
    trainer.callbacks += [seen, *callbacks]
    trainer.fit(module, datamodule=data)
    assert trainer.global_step == steps
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


class SpoiledOnOneRank(Callback):
    """An image that is not a number, on the last process alone."""

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        """In the fourth step."""
        if trainer.global_step == 3 and trainer.global_rank == trainer.world_size - 1:
            next(iter(batch.values())).images[0] = float("nan")


def trained_on_spoiled(data_root, folder, port, policy):
    overrides = ["strategy=fb", f"on_nonfinite={policy}", "batch_statistics=local", "trainer.max_steps=6"]
    module = None

    class Keep(Callback):
        def on_train_start(self, trainer, pl_module):
            nonlocal module
            module = pl_module

    try:
        trained(data_root, folder, port, overrides, 6, [SpoiledOnOneRank(), Keep()])
    except InputError as error:
        return str(error)
    return module.non_finite.skipped, [value.numpy() for value in module.state_dict().values()]


def test_all_ranks_leave_out_a_step_that_one_cannot_take(data_root, tmp_path):
    first, *others = on_processes(3, trained_on_spoiled, data_root, tmp_path, free_port(), "skip")
    assert all(rank[0] == first[0] == 1 for rank in others)
    assert all(np.isfinite(value).all() for value in first[1])
    for rank in others:
        assert all((one == other).all() for one, other in zip(first[1], rank[1], strict=True))


def test_all_ranks_stop_at_a_step_that_one_cannot_take(data_root, tmp_path):
    messages = on_processes(3, trained_on_spoiled, data_root, tmp_path, free_port(), "stop")
    assert all("not finite at step 3 " in message and "loss/synthetic_plaza = nan" in message for message in messages)
