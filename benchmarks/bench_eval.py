"""Seconds and memory of exact retrieval figures, against the matrix product alone and against other programs.

Synthetic embeddings at the size of a benchmark. Each row is a fresh process; its time is the least of several, its peak
the highest resident memory (GPU: allocated) above the level with the embeddings. The rows take turns in rounds. Rows of
other libraries appear where these can be imported: by this interpreter, or by the one that ``--python`` names, which
needs numpy, torch and those libraries. A row whose matrices exceed the free memory is left out, and one that takes
longer than its time limit is stopped: the table says so. mAP must agree.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import platform
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from eval_problem import SIZES, size_of
from eval_rows import ROWS

LIBRARIES = {"Open Metric Learning": "oml.functional.knn", "torchreid": "torchreid.reid.metrics"}
BYTES_OF_PAIR = {"M3L's procedure": 20, "Open Metric Learning": 16, "torchreid": 20}  # of a query and a gallery image
SAME = 1e-6  # mAP, between procedures that round differently
OVER: dict[str, Any] = {"seconds": [], "peak_bytes": None, "figures": {}}
PRODUCTS = ("numpy's product", "torch's product")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="market", help=f"{', '.join(SIZES)}, or such as 842x3978x2048 (%(default)s)")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--rounds", type=int, default=2, help="processes for each row (%(default)s)")
    parser.add_argument("--times", type=int, default=3, help="timings in each process (%(default)s)")
    parser.add_argument("--limit", type=int, default=240, help="seconds that a row may take each time (%(default)s)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of the CPU (%(default)s)")
    parser.add_argument("--python", default=sys.executable, help="interpreter for the rows of other libraries")
    parser.add_argument("--json", type=Path, help="also write what was measured here")
    arguments = parser.parse_args()
    rows = [row for row in arguments.rows if can_run(row, arguments)]
    measured: dict[str, list[dict[str, Any]]] = {row: [] for row in rows}
    for row in rows * arguments.rounds:
        if OVER not in measured[row] and (one := in_a_fresh_process(row, arguments)) is not None:
            measured[row].append(one)
    found = {row: joined(ones) for row, ones in measured.items() if ones}
    show(found, arguments)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


def can_run(row: str, arguments: argparse.Namespace) -> bool:
    """Whether there is what the row needs; says so if not."""
    queries, gallery, _ = size_of(arguments.size)
    needed, free = BYTES_OF_PAIR.get(row, 0) * queries * gallery, free_bytes()
    missing = ""
    if row.endswith("GPU") and not torch.cuda.is_available():
        missing = "there is no GPU"
    elif needed > free:
        missing = f"it needs about {needed / 1e9:.0f} GB above the embeddings, {free / 1e9:.0f} GB are free"
    elif row in LIBRARIES and not imports(arguments.python, LIBRARIES[row]):
        missing = f"{arguments.python} cannot import {LIBRARIES[row].split('.')[0]}"
    if missing:
        print(f"{row}: left out, {missing}", file=sys.stderr)
    return not missing


def free_bytes() -> int:
    """Memory that a process could take."""
    return 1024 * int(re.search(r"MemAvailable:\s*(\d+) kB", Path("/proc/meminfo").read_text())[1])


@functools.cache
def imports(interpreter: str, module: str) -> bool:
    """Whether an interpreter can import a module."""
    command = [interpreter, "-c", f"import {module}"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def in_a_fresh_process(row: str, arguments: argparse.Namespace) -> dict[str, Any] | None:
    """What the row's own process measured, ``OVER`` if it took too long; None if it failed."""
    print(f"{row} ...", file=sys.stderr, flush=True)
    interpreter = arguments.python if row in LIBRARIES else sys.executable
    script = Path(__file__).with_name("eval_rows.py")
    command = [interpreter, str(script), row, arguments.size, str(arguments.times), str(arguments.limit)]
    environment = dict(os.environ) | dict.fromkeys(THREADS, str(arguments.threads))
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True, env=environment)
    if done.returncode == -signal.SIGALRM:
        return OVER
    if done.returncode:
        print(f"{row}: its process ended with {done.returncode} (-9: out of memory)", file=sys.stderr)
        return None
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def joined(ones: list[dict[str, Any]]) -> dict[str, Any]:
    """One row of several processes: all timings, the highest peak; ``OVER`` if one of them took too long."""
    if OVER in ones:
        return OVER
    return {
        "seconds": [second for one in ones for second in one["seconds"]],
        "peak_bytes": max(one["peak_bytes"] for one in ones),
        "figures": ones[0]["figures"],
    }


def show(found: dict[str, dict[str, Any]], arguments: argparse.Namespace) -> None:
    """The table; ratios are of least times, to the faster product on the same device and to M3L's procedure."""
    queries, gallery, width = size_of(arguments.size)
    print(
        f"{queries} queries, {gallery} gallery images, {width} wide, float32; {arguments.threads} threads "
        f"({platform.machine()}), numpy {np.__version__}, torch {torch.__version__}"
    )
    if torch.cuda.is_available():
        print(f"GPU: {torch.cuda.get_device_name()}")
    least = {row: min(one["seconds"], default=arguments.limit) for row, one in found.items()}
    more = {row: "" if one["seconds"] else "> " for row, one in found.items()}
    product = min((least[row] for row in PRODUCTS if row in least and not more[row]), default=None)
    plain, more_than = least.get("M3L's procedure"), more.get("M3L's procedure")
    print("| | n | least s | most s | peak GB | / product | M3L's / this | mAP | rank-1 |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for row, one in found.items():
        base = least.get("torch's product, GPU") if row.endswith("GPU") else product
        cells = [
            row,
            len(one["seconds"]),
            f"{more[row]}{least[row]:.3f}",
            f"{max(one['seconds']):.3f}" if one["seconds"] else "stopped",
            f"{one['peak_bytes'] / 1e9:.3f}" if one["seconds"] else "",
            f"{more[row]}{least[row] / base:.2f}" if base else "",
            f"{more_than}{plain / least[row]:.1f}" if plain and row not in PRODUCTS and one["figures"] else "",
            *(f"{one['figures'][name]:.8f}" if one["figures"] else "" for name in ("mAP", "rank1")),
        ]
        print("| " + " | ".join(map(str, cells)) + " |")
    compare({row: one["figures"]["mAP"] for row, one in found.items() if one["figures"]})


def compare(precisions: dict[str, float]) -> None:
    """Says how far apart the rows' mAP is, and fails if it is not one number."""
    if len(precisions) > 1:
        apart = max(precisions.values()) - min(precisions.values())
        print(f"mAP differs by at most {apart:.1e} between the rows")
        if apart > SAME:
            sys.exit(f"that is more than {SAME}")


if __name__ == "__main__":
    main()
