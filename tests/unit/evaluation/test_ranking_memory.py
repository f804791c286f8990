"""Evaluation of a large gallery stays within its memory, measured in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import re, sys
from pathlib import Path

import numpy as np
import torch

from dgreid.evaluation.labels import Labels
from dgreid.evaluation.ranking import evaluate_embeddings

dtype = getattr(torch, sys.argv[1])
generator = torch.Generator().manual_seed(0)
query, gallery = (torch.empty(count, 2048, dtype=dtype) for count in (2_000, 40_000))
for matrix in (query, gallery):
    for part in matrix.split(1000):  # a matrix of random numbers as a whole would be drawn in float32
        part.copy_(torch.nn.functional.normalize(torch.randn(len(part), 2048, generator=generator), dim=1))
rng = np.random.default_rng(0)
labels = [Labels(rng.integers(0, 1500, count), rng.integers(0, 8, count)) for count in (2_000, 40_000)]

def resident(field):
    return 1024 * int(re.search(rf"{field}:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1])

Path("/proc/self/clear_refs").write_text("5")
before = resident("VmRSS")
result = evaluate_embeddings(query, gallery, *labels)
print(resident("VmHWM") - before, result.summary()["queries"], before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
@pytest.mark.parametrize(
    "dtype",
    ["float32", pytest.param("float16", marks=pytest.mark.slow), pytest.param("bfloat16", marks=pytest.mark.slow)],
)
def test_a_large_gallery_needs_less_than_400_megabytes_above_its_embeddings(dtype):
    done = subprocess.run([sys.executable, "-c", PROGRAM, dtype], check=True, capture_output=True, text=True)
    above, queries, before = (int(word) for word in done.stdout.split())
    assert queries == 2_000
    assert before > 42_000 * 2048 * (4 if dtype == "float32" else 2)  # the embeddings were there
    assert above < 400e6
