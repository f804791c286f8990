"""Two processes train one net: equal weights and banks on both, and one result."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from small_runs import composed, typed

from dgreid.run.build import build_data, build_domains

pytestmark = pytest.mark.slow


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def run_ranks(folder: Path, overrides: list[str]) -> list[dict[str, torch.Tensor]]:
    """Starts both processes as a cluster's launcher would; their weights when training ended."""
    script, port = Path(__file__).with_name("one_rank.py"), free_port()
    processes = []
    for rank in range(2):
        place = {"LOCAL_RANK": str(rank), "NODE_RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
        processes.append(
            subprocess.Popen(
                [sys.executable, str(script), str(folder / f"{rank}.pt"), *overrides],
                env={**os.environ, **place, "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    try:
        for process in processes:
            output, _ = process.communicate(timeout=120)
            assert process.returncode == 0, output
    finally:
        for process in processes:
            process.kill()
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("strategy", ["fb", "fbf", "m3l"])
def test_both_ranks_end_alike(strategy, data_root, tmp_path):
    overrides = typed(
        data_root, f"strategy={strategy}", f"folder={tmp_path / 'run'}", "trainer.devices=2", "evaluate_every=1",
        "data.identities_per_batch=4",
    )  # fmt: skip
    config = composed(overrides)
    build_data(config, build_domains(config, "sources"), build_domains(config, "target")).setup("fit")  # draws them
    first, second = run_ranks(tmp_path, overrides)
    assert {"rows", "running_mean"} <= {name.rpartition(".")[2] for name in first}
    for name in first:
        assert torch.equal(first[name], second[name]), name
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert {row["selection"] for row in result["rows"]} == {"last", "oracle"}
    assert all(0 < row["mAP"] <= 1 for row in result["rows"])
